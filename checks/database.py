"""What must hold of the database after the load."""

from collections.abc import Iterable, Sequence

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.catalogue import REPORT
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.postgres.comparison import differences
from aquamind_pipeline.postgres.inspection import row_counts
from aquamind_pipeline.quality.finding import finding
from aquamind_pipeline.report import load_saved, report_path
from checks.evaluating import check_specs, result

ARRIVED = ("arrived", "content")
LOADS = {
    "postgres_master": tables.MASTER_TABLES,
    "postgres_events": tables.EVENT_TABLES,
    "postgres_states": tables.of_layer("state"),
}


def build() -> list[dg.AssetChecksDefinition]:
    """Row counts of each load, and the report's verdict."""
    return [*(_arrived(asset, names) for asset, names in LOADS.items()), verdict]


def _arrived(asset: str, names: Iterable[str]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=f"{asset}_checks", specs=check_specs(asset, ARRIVED))
    def arrived(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterable[dg.AssetCheckResult]:
        lake, months = workspace.lake, months_of_run(context.run.tags)
        with workspace.database() as url:
            there = row_counts(url, names)
            differing = [differences(url, lake, name, _partitions(lake, name, months)) for name in names]
        held = {name: lake.rows(name) for name in there}
        counts = pl.DataFrame({"table": list(there), "database": list(there.values()), "lake": list(held.values())})
        wrong = counts.filter(pl.col("database") != pl.col("lake"))
        text = f"{sum(there.values()):,} rows in {counts.height} tables"
        yield result(workspace, asset, finding("arrived", wrong, text, "tables that differ"))
        differs = pl.concat(differing)
        yield result(workspace, asset, finding("content", differs, "every column adds up", "columns that differ"))

    return arrived


def _partitions(lake: Lake, name: str, months: Sequence[str] | None) -> list[str | None]:
    if name not in tables.EVENT_TABLES:
        return [None]
    return [month for month in lake.partitions(name) if months is None or month in months]


@dg.multi_asset_check(name="report_checks", specs=check_specs(REPORT, ("verified",)))
def verdict(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """The report's own verdict, so that a failed report fails the run."""
    saved = load_saved(report_path(workspace.settings))
    failed = pl.DataFrame(
        [(check.name, check.detail) for check in saved.checks if not check.passed],
        schema={"check": pl.String, "detail": pl.String},
        orient="row",
    )
    yield result(workspace, REPORT, finding("verified", failed, f"{len(saved.checks)} checks passed", "checks failed"))
