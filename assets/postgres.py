"""The load into PostgreSQL, and the report on what arrived."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.orchestration.asset_specs import (
    POSTGRES_ASSETS,
    POSTGRES_EVENTS,
    POSTGRES_MASTER,
    POSTGRES_STATES,
    REPORT,
    page_link,
    spec,
)
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.run_record import rules_of_run
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import load, schema
from aquamind_pipeline.postgres.connection import described
from aquamind_pipeline.postgres.streams import Streams
from aquamind_pipeline.report.data_docs import DataDocs
from assets.beginning import require_disk_space

GROUP = "postgres"
KINDS = frozenset({"postgres"})
POOL = "postgres"
"""Dagster runs one step of this pool at a time: two loads of one database would only wait for each other."""


@dg.multi_asset(
    name=POSTGRES_MASTER,
    pool=POOL,
    specs=[
        spec(
            POSTGRES_MASTER,
            GROUP,
            deps=(*REGISTRY.whole, *REGISTRY.states),  # states come last: all checks stand before the load
            kinds=KINDS,
            description="All master tables in PostgreSQL, inserted, updated and deleted to match the lake.",
        )
    ],
)
def postgres_master(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Make the tables in an empty database and load the master rows."""
    started = time.perf_counter()
    require_disk_space(context, workspace, workspace.planned)
    lake = workspace.lake
    with retry_transient_errors(), lake.exclusive(), workspace.database() as url:
        schema.prepare(url, Manifest.of(workspace.planned))
        if since := workspace.settings.since:
            kept = {name: [m for m in lake.partitions(name) if m < since] for name in REGISTRY.monthly}
            load.require_loaded(url, lake, kept | {name: [None] for name in REGISTRY.lasting})
        if workspace.settings.reload:
            load.distrust(url, REGISTRY.whole)
        loaded = load.load_masters(url, lake, run=context.run.run_id, history=workspace.settings.history)
        yield dg.MaterializeResult(asset_key=POSTGRES_MASTER, metadata=_metadata(loaded, started, described(url)))


def build(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets of the load, with the events over these months."""

    @dg.multi_asset(
        name=POSTGRES_EVENTS,
        pool=POOL,
        description="Each month is copied into a table of its own, indexed, and put in the old one's place in one "
        "transaction. To a month that only has new days these are added; one whose file is loaded already is skipped.",
        specs=[
            spec(
                POSTGRES_EVENTS,
                GROUP,
                deps=(POSTGRES_MASTER, *REGISTRY.events),
                kinds=KINDS,
                description="Event tables in PostgreSQL, a partition for each month; only what is new is loaded.",
            )
        ],
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def postgres_events(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        loaded: list[load.Loaded] = []
        lake = workspace.lake
        with _loading(workspace, REGISTRY.events) as opened:
            for table in REGISTRY.events:
                here = [month for month in context.partition_keys if lake.has(table, month)]
                with workspace.progress.track(f"load {table}", len(here)) as advance:
                    loaded += load.load_months(opened, lake, table, here, advance, run=context.run.run_id)
            _drop_vanished(context, opened, lake, REGISTRY.events)
        for month in context.partition_keys:
            mine = [one for one in loaded if one.partition == month]
            facts = {
                "dagster/row_count": sum(one.rows for one in mine),
                "rows_sent": sum(one.sent for one in mine),
                "skipped": sum(one.skipped for one in mine),
                "seconds": round(sum(one.seconds for one in mine), 3),
            }
            context.add_asset_metadata(facts, POSTGRES_EVENTS, partition_key=month)

    return [postgres_master, postgres_events, postgres_states, verification_report]


@dg.multi_asset(
    name=POSTGRES_STATES,
    pool=POOL,
    specs=[
        spec(
            POSTGRES_STATES,
            GROUP,
            deps=(POSTGRES_MASTER, *REGISTRY.states),
            kinds=KINDS,
            description="The daily states in PostgreSQL, a partition for each month; only what is new is loaded.",
        )
    ],
)
def postgres_states(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Load the months whose states changed: a night's are the last ones."""
    started = time.perf_counter()
    lake, since, loaded = workspace.lake, workspace.settings.since or "", []
    with _loading(workspace, REGISTRY.states) as opened:
        for table in REGISTRY.states:
            months = [month for month in lake.partitions(table) if month >= since]
            with workspace.progress.track(f"load {table}", len(months)) as advance:
                loaded += load.load_months(opened, lake, table, months, advance, run=context.run.run_id)
        _drop_vanished(context, opened, lake, REGISTRY.states)
        facts = _metadata(loaded, started, described(opened.url), of="months")
    yield dg.MaterializeResult(asset_key=POSTGRES_STATES, metadata=facts)


@dg.multi_asset(
    name=REPORT,
    specs=[
        spec(
            REPORT,
            GROUP,
            deps=POSTGRES_ASSETS,
            kinds=frozenset({"html"}),
            description="What the database holds, in five sections; each figure is computed from it.",
        )
    ],
)
def verification_report(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Compute the verification report from the database and write it as JSON."""
    settings = workspace.settings
    with retry_transient_errors(), workspace.database() as url:
        verified, series = report.verify(url, workspace.planned, settings.since, report.sums_path(settings))
    report.save(verified, report.report_path(settings))
    page = report.page_path(settings)
    report.save_page(verified, series, check_results.load(settings), page)
    yield dg.MaterializeResult(
        asset_key=REPORT,
        metadata={
            "passed": verified.passed,
            "as_of": workspace.planned.as_of.isoformat(),
            "identity": workspace.planned.identity,
            "rules": rules_of_run(context, workspace),
            "page": page_link(settings, page),
            "data_docs": page_link(settings, DataDocs(settings).index),
            "checks": dg.MetadataValue.md(report.as_markdown(verified)),
        },
    )


@contextlib.contextmanager
def _loading(workspace: Workspace, names: Sequence[str]) -> Iterator[Streams]:
    """Connections for a load of these tables from a lake that nobody changes meanwhile."""
    with retry_transient_errors(), workspace.lake.exclusive(), workspace.database() as url:
        if workspace.settings.reload:
            load.distrust(url, names)
        with load.loading(url) as opened:
            yield opened


def _drop_vanished(context: dg.AssetExecutionContext, opened: Streams, lake: Lake, names: Sequence[str]) -> None:
    dropped = load.drop_vanished_months(opened, lake, names)
    if dropped:
        context.log.info(f"dropped what the lake no longer has: {', '.join(dropped)}")


def _metadata(loaded: Iterable[load.Loaded], started: float, where: str, of: str = "tables") -> dict[str, Any]:
    done = list(loaded)
    return {
        "dagster/row_count": sum(one.rows for one in done),
        "rows_sent": sum(one.sent for one in done),
        of: len(done),
        "skipped": sum(one.skipped for one in done),
        "seconds": round(time.perf_counter() - started, 3),
        "target": where,
    }
