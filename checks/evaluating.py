"""From a rule's finding to Dagster's check result."""

from __future__ import annotations

from typing import Any

import dagster as dg

from aquamind_pipeline.quality.finding import Finding


def check_specs(asset: str, rules: dict[str, str], *, blocking: bool = True) -> list[dg.AssetCheckSpec]:
    """Specs of an asset's checks, from rule names and descriptions. A failed blocking check stops what comes after."""
    return [dg.AssetCheckSpec(rule, asset=asset, description=text, blocking=blocking) for rule, text in rules.items()]


def result(asset: str, finding: Finding) -> dg.AssetCheckResult:
    """A check result with the finding's detail and a few offending rows."""
    metadata: dict[str, Any] = {"wrong": finding.wrong}
    if finding.sample.height:
        rows = [{k: _plain(v) for k, v in row.items()} for row in finding.sample.iter_rows(named=True)]
        columns = [dg.TableColumn(name, str(dtype)) for name, dtype in finding.sample.schema.items()]
        metadata["sample"] = dg.MetadataValue.table(
            [dg.TableRecord(row) for row in rows], schema=dg.TableSchema(columns=columns)
        )
    return dg.AssetCheckResult(
        passed=finding.passed,
        asset_key=asset,
        check_name=finding.rule,
        description=finding.detail,
        metadata=metadata,
        severity=dg.AssetCheckSeverity.ERROR,
    )


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


__all__ = ["check_specs", "result"]
