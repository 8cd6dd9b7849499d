"""The load into PostgreSQL, and the verification report on the database."""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.assets.beginning import require_disk_space, require_target
from aquamind_pipeline.orchestration.asset_specs import POSTGRES_ASSETS, REPORT, one_of_each_step, page_link, spec
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.run_record import rules_of_run
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.pipeline.loading import (
    POSTGRES_EVENTS,
    POSTGRES_MASTER,
    POSTGRES_STATES,
    LoadResult,
    load_months,
    load_whole_tables,
)
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.report.data_docs import DataDocs

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
            deps=(
                *one_of_each_step(REGISTRY.whole),
                *REGISTRY.states,
            ),  # states are made last, so the load waits for all checks
            kinds=KINDS,
            description="All master tables in PostgreSQL. Rows are inserted, updated and deleted to match the lake.",
        )
    ],
)
def postgres_master(
    context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]
) -> Iterator[dg.MaterializeResult[None]]:
    """Make the tables in an empty database and load the tables that are kept whole."""
    started = time.perf_counter()
    require_target(context, workspace, lambda: workspace.planned)
    require_disk_space(context, workspace, workspace.planned)
    with retry_transient_errors():
        result = load_whole_tables(workspace, context.run.run_id)
    if result.left_out:
        context.log.warning(f"left out, because {result.target} does not have them: {', '.join(result.left_out)}")
    yield dg.MaterializeResult(asset_key=POSTGRES_MASTER, metadata=_metadata(context, result, started, "tables"))


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
        require_target(context, workspace, lambda: workspace.planned)
        with retry_transient_errors():
            result = load_months(workspace, REGISTRY.events, lambda name: context.partition_keys, context.run.run_id)
        _log_dropped(context, result)
        for month in context.partition_keys:
            mine = [one for one in result.loaded if one.partition == month]
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
    """Load the months with changed states. In a nightly run these are the last ones, but for snapshots."""
    started = time.perf_counter()
    require_target(context, workspace, lambda: workspace.planned)
    since = workspace.settings.since or ""

    def changed(name: str) -> list[str]:
        months = workspace.lake.partitions(name)
        return months if REGISTRY[name].snapshot else [month for month in months if month >= since]

    with retry_transient_errors():
        result = load_months(workspace, REGISTRY.states, changed, context.run.run_id)
    yield dg.MaterializeResult(asset_key=POSTGRES_STATES, metadata=_metadata(context, result, started, "months"))


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
    report.save_page(verified, series, check_results.load(settings), page, report.realism_path(settings))
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


def _log_dropped(context: dg.AssetExecutionContext, result: LoadResult) -> None:
    if result.dropped:
        context.log.info(f"dropped what the lake no longer has: {', '.join(result.dropped)}")


def _metadata(context: dg.AssetExecutionContext, result: LoadResult, started: float, counted: str) -> dict[str, Any]:
    _log_dropped(context, result)
    return {
        "dagster/row_count": sum(one.rows for one in result.loaded),
        "rows_sent": sum(one.sent for one in result.loaded),
        counted: len(result.loaded),
        "skipped": sum(one.skipped for one in result.loaded),
        "seconds": round(time.perf_counter() - started, 3),
        "target": result.target,
    }
