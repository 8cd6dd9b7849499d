"""From a rule's finding to Dagster's check result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from aquamind_pipeline.orchestration.catalogue import frame_table
from aquamind_pipeline.quality.finding import Finding


def check_specs(asset: str, rules: dict[str, str], *, blocking: bool = True) -> list[dg.AssetCheckSpec]:
    """Specs of an asset's checks, from rule names and descriptions. A failed blocking check stops what comes after."""
    return [dg.AssetCheckSpec(rule, asset=asset, description=text, blocking=blocking) for rule, text in rules.items()]


def result(asset: str, finding: Finding, shown: Mapping[str, dg.MetadataValue] | None = None) -> dg.AssetCheckResult:
    """A check result with the finding's detail, a few offending rows, and what else is to be shown."""
    metadata: dict[str, Any] = {"wrong": finding.wrong, **(shown or {})}
    if finding.sample.height:
        metadata["sample"] = frame_table(finding.sample)
    return dg.AssetCheckResult(
        passed=finding.passed,
        asset_key=asset,
        check_name=finding.rule,
        description=finding.detail,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.ERROR,
    )


__all__ = ["check_specs", "result"]
