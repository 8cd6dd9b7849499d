"""From our check results to Dagster's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg

from aquamind_pipeline.orchestration.asset_specs import frame_table
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.rules import Statement


def check_specs(asset: str, statements: Iterable[Statement]) -> list[dg.AssetCheckSpec]:
    """Specs of an asset's checks. A failed blocking check stops what comes after."""
    return [
        dg.AssetCheckSpec(
            one.name,
            asset=asset,
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
    """Dagster's result with our detail, a few offending rows, and what else is to be shown."""
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
    """What is to be shown. A figure that cannot be drawn says so; the check result stays."""
    try:
        return show()
    except Exception as error:
        return {"not shown": f"{type(error).__name__}: {error}"}


__all__ = ["check_specs", "result"]
