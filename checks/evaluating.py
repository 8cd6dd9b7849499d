"""From a rule's finding to Dagster's check result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg

from aquamind_pipeline.orchestration.asset_specs import frame_table
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.quality.catalogue import RULES
from aquamind_pipeline.quality.check_result import Finding


def check_specs(asset: str, rules: Iterable[str]) -> list[dg.AssetCheckSpec]:
    """Specs of an asset's checks, from names of rules. A failed blocking check stops what comes after."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset,
            description=f"{RULES[name].text} {'Blocks' if RULES[name].blocks else 'Warns'}: {RULES[name].why}",
            blocking=RULES[name].blocks,
        )
        for name in rules
    ]


def result(
    workspace: Workspace,
    asset: str,
    finding: Finding,
    shown: Callable[[], Mapping[str, dg.MetadataValue]] = dict,
) -> dg.AssetCheckResult:
    """A check result with the finding's detail, a few offending rows, and what else is to be shown."""
    settings = workspace.settings
    blocks = RULES[finding.rule].blocks and not settings.load_anyway and finding.rule not in settings.skip_checks
    metadata: dict[str, Any] = {"wrong": finding.wrong, **_drawn(shown)}
    if finding.sample.height:
        metadata["sample"] = frame_table(finding.sample)
    return dg.AssetCheckResult(
        passed=finding.passed,
        asset_key=asset,
        check_name=finding.rule,
        description=finding.detail,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
    )


def _drawn(shown: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What is to be shown; a picture that cannot be drawn says so, and does not take the finding with it."""
    try:
        return shown()
    except Exception as error:
        return {"not shown": f"{type(error).__name__}: {error}"}


__all__ = ["check_specs", "result"]
