"""What must hold of the database after the load."""

from collections.abc import Iterable

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.run_record import LASTING
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.quality.check_result import finding
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
        with retry_transient_errors(), workspace.database() as url:
            since = workspace.settings.since
            own = [name for name in names if since is None or name not in LASTING]
            months = months_of_run(context.run.tags)
            found = comparison.compared(url, workspace.lake, own, months, since=since)
        check_results.save(workspace.settings, asset, ((asset, finding) for finding in found))
        yield from (result(workspace, asset, finding) for finding in found)

    return arrived


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
