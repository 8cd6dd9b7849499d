"""Asset checks on the database after the load."""

from collections.abc import Iterable, Sequence

import dagster as dg
import polars as pl

from aquamind_pipeline.checks.results import check_specs, result
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.pipeline.loading import LOADS, compare
from aquamind_pipeline.pipeline.sample_names import named
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality.rules import DATABASE_STATEMENTS
from aquamind_pipeline.report import load_saved, report_path
from aquamind_pipeline.schema.check_result import check_result

ARRIVED, VERIFIED = DATABASE_STATEMENTS[:2], DATABASE_STATEMENTS[2:]


def build() -> list[dg.AssetChecksDefinition]:
    """Make the checks: row counts and content of each load, and the result of the report."""
    return [*(_arrived(asset, names) for asset, names in LOADS.items()), verdict]


def _arrived(asset: str, names: Sequence[str]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=f"{asset}_checks", specs=check_specs(asset, ARRIVED))
    def arrived(
        context: dg.AssetCheckExecutionContext, workspace: dg.ResourceParam[Workspace]
    ) -> Iterable[dg.AssetCheckResult]:
        with retry_transient_errors():
            results = [named(workspace.lake, one) for one in compare(workspace, names, months_of_run(context.run.tags))]
        check_results.save(workspace.settings, asset, ((asset, one) for one in results))
        yield from (result(workspace, asset, one) for one in results)

    return arrived


@dg.multi_asset_check(name="report_checks", specs=check_specs(REPORT, VERIFIED))
def verdict(workspace: dg.ResourceParam[Workspace]) -> Iterable[dg.AssetCheckResult]:
    """Whether all checks of the report passed, so that a failed report fails the run."""
    saved = load_saved(report_path(workspace.settings))
    failed = pl.DataFrame(
        [(check.name, check.detail) for check in saved.checks if not check.passed],
        schema={"check": pl.String, "detail": pl.String},
        orient="row",
    )
    yield result(
        workspace, REPORT, check_result("verified", failed, f"{len(saved.checks)} checks passed", "checks failed")
    )
