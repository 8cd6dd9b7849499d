"""Turns the results of rules into Dagster's check results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg

from aquamind_pipeline.checks.layers import needed_for_check
from aquamind_pipeline.orchestration.asset_specs import frame_table
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.rules import Rule, Statement


def check_specs(asset: str, statements: Iterable[Statement]) -> list[dg.AssetCheckSpec]:
    """Specs of an asset's checks. Those of a table run when all that they read has been made. Those of the farm are
    shown with the last table that they need. If a check that blocks fails, later steps do not run.
    """
    return [
        dg.AssetCheckSpec(
            one.name,
            asset=asset,
            additional_deps=sorted(needed_for_check(asset, [one])) if isinstance(one, Rule) and not one.about else (),
            description=f"{one.text} {'Blocks' if one.blocks else 'Warns'}: {one.why}",
            blocking=one.blocks,
        )
        for one in statements
    ]


def result(
    workspace: Workspace,
    asset: str,
    one: CheckResult,
    show: Callable[[], Mapping[str, dg.MetadataValue]] = dict,
) -> dg.AssetCheckResult:
    """Make Dagster's result of a check.

    Args:
        workspace: The workspace of the run.
        asset: Name of the asset that the check is about.
        one: The result of the rule.
        show: Makes further metadata.
    """
    settings = workspace.settings
    blocks = STATEMENTS[one.rule].blocks and not settings.load_anyway and one.rule not in settings.skip_checks
    metadata: dict[str, Any] = {"wrong": one.wrong, **_drawn(show)}
    if one.sample.height:
        metadata["sample"] = frame_table(one.sample)
    return dg.AssetCheckResult(
        passed=one.passed,
        asset_key=asset,
        check_name=one.rule,
        description=one.detail,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
    )


def _drawn(show: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Make further metadata. If that fails, the metadata is the error, and the check result is unchanged."""
    try:
        return show()
    except Exception as error:
        return {"not shown": f"{type(error).__name__}: {error}"}


__all__ = ["check_specs", "result"]
