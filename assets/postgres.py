"""The load into PostgreSQL, and the verification report on the database."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Manifest
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
from aquamind_pipeline.postgres.connection import described
from aquamind_pipeline.postgres.connection_pool import ConnectionPool
from aquamind_pipeline.postgres.copying import Loaded
from aquamind_pipeline.postgres.targets import Target, open_target
from aquamind_pipeline.report.data_docs import DataDocs
from assets.beginning import require_disk_space

GROUP = "postgres"
KINDS = frozenset({"postgres"})
POOL = "postgres"
"""Dagster runs one step of this pool at a time, because two loads into one database would wait for each other."""


@dg.multi_asset(
    name=POSTGRES_MASTER,
    pool=POOL,
    specs=[
        spec(
            POSTGRES_MASTER,
            GROUP,
            deps=(*REGISTRY.whole, *REGISTRY.states),  # states are made last, so the load waits for all checks
            kinds=KINDS,
            description="All master tables in PostgreSQL. Rows are inserted, updated and deleted to match the lake.",
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
        target = open_target(url)
        target.prepare(Manifest.of(workspace.planned))
        if target.left_out:
            context.log.warning(f"left out, since {described(url)} does not have them: {', '.join(target.left_out)}")
        if since := workspace.settings.since:
            kept = {name: [m for m in lake.partitions(name) if m < since] for name in REGISTRY.monthly}
            target.require_loaded(lake, kept | {name: [None] for name in REGISTRY.lasting})
        if workspace.settings.reload:
            target.distrust(REGISTRY.whole)
        loaded = target.load_whole(lake, run=context.run.run_id, history=workspace.settings.history)
        yield dg.MaterializeResult(asset_key=POSTGRES_MASTER, metadata=_metadata(loaded, started, described(url)))


def build(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets of the load, with the events over these months."""

    @dg.multi_asset(
        name=POSTGRES_EVENTS,
        pool=POOL,
        description="Each month is copied into a new table and indexed, and replaces the old month in one transaction. "
        "If a month only has new days, these are added. If its file is loaded already, the month is skipped.",
        specs=[
            spec(
                POSTGRES_EVENTS,
                GROUP,
                deps=(POSTGRES_MASTER, *REGISTRY.events),
                kinds=KINDS,
                description="Event tables in PostgreSQL, with a partition for each month. Only new rows are loaded.",
            )
        ],
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def postgres_events(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        loaded: list[Loaded] = []
        lake = workspace.lake
        with _loading(workspace, REGISTRY.events) as (target, pool):
            for table in REGISTRY.events:
                here = [month for month in context.partition_keys if lake.has(table, month)]
                with workspace.progress.track(f"load {table}", len(here)) as advance:
                    loaded += target.load_months(pool, lake, table, here, advance, run=context.run.run_id)
            _log_dropped(context, target.drop_vanished(pool, lake, REGISTRY.events))
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
            description="The daily states in PostgreSQL, with a partition for each month. Only new rows are loaded.",
        )
    ],
)
def postgres_states(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Load the months with changed states. In a nightly run these are the last ones."""
    started = time.perf_counter()
    lake, since, loaded = workspace.lake, workspace.settings.since or "", []
    with _loading(workspace, REGISTRY.states) as (target, pool):
        for table in REGISTRY.states:
            months = [month for month in lake.partitions(table) if month >= since]
            with workspace.progress.track(f"load {table}", len(months)) as advance:
                loaded += target.load_months(pool, lake, table, months, advance, run=context.run.run_id)
        _log_dropped(context, target.drop_vanished(pool, lake, REGISTRY.states))
        facts = _metadata(loaded, started, described(target.url), of="months")
    yield dg.MaterializeResult(asset_key=POSTGRES_STATES, metadata=facts)


@dg.multi_asset(
    name=REPORT,
    specs=[
        spec(
            REPORT,
            GROUP,
            deps=POSTGRES_ASSETS,
            kinds=frozenset({"html"}),
            description="A report on the database in five sections. Each figure is computed from the database.",
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
def _loading(workspace: Workspace, names: Sequence[str]) -> Iterator[tuple[Target, ConnectionPool]]:
    """Open connections for a load of these tables. The lake is locked meanwhile."""
    with retry_transient_errors(), workspace.lake.exclusive(), workspace.database() as url:
        target = open_target(url)
        if workspace.settings.reload:
            target.distrust(names)
        with target.loading() as pool:
            yield target, pool


def _log_dropped(context: dg.AssetExecutionContext, dropped: Sequence[str]) -> None:
    if dropped:
        context.log.info(f"dropped what the lake no longer has: {', '.join(dropped)}")


def _metadata(loaded: Iterable[Loaded], started: float, where: str, of: str = "tables") -> dict[str, Any]:
    done = list(loaded)
    return {
        "dagster/row_count": sum(one.rows for one in done),
        "rows_sent": sum(one.sent for one in done),
        of: len(done),
        "skipped": sum(one.skipped for one in done),
        "seconds": round(time.perf_counter() - started, 3),
        "target": where,
    }
