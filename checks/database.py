"""What must hold of the database after the load."""

from collections.abc import Iterable

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.catalogue import REPORT
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.postgres.inspection import row_counts
from aquamind_pipeline.quality.finding import finding
from aquamind_pipeline.report import load_saved, report_path
from checks.evaluating import check_specs, result

ARRIVED = {"arrived": "The database counts exactly the lake's rows, table by table."}
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
    def arrived(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
        with workspace.database() as url:
            there = row_counts(url, names)
        counts = pl.DataFrame({"table": list(there), "database": list(there.values())}).with_columns(
            lake=pl.Series([workspace.lake.rows(name) for name in there])
        )
        wrong = counts.filter(pl.col("database") != pl.col("lake"))
        total = int(counts["database"].sum())
        yield result(
            asset, finding("arrived", wrong, f"{total:,} rows in {counts.height} tables", "tables that differ")
        )

    return arrived


@dg.multi_asset_check(
    name="report_checks", specs=check_specs(REPORT, {"verified": "Every check of the verification report passed."})
)
def verdict(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """The report's own verdict, so that a failed report fails the run."""
    saved = load_saved(report_path(workspace.settings))
    failed = pl.DataFrame(
        [(check.name, check.detail) for check in saved.checks if not check.passed],
        schema={"check": pl.String, "detail": pl.String},
        orient="row",
    )
    yield result(REPORT, finding("verified", failed, f"{len(saved.checks)} checks passed", "checks failed"))
