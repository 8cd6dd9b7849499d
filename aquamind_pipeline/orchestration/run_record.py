"""Records which version of the rules verified a run, so that a nightly run need not check earlier months again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, date
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

import aquamind_pipeline
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import month_key
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.pipeline.workspace import Workspace

_RULES = ("quality", "schema", "apps")
"""Packages that decide whether a farm passes: when these change, everything is to be checked again."""


@cache
def rules_digest() -> str:
    """Names the rules as they are now."""
    digest = hashlib.sha256()
    package = Path(aquamind_pipeline.__file__).parent
    for path in sorted(path for name in _RULES for path in (package / name).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def last_facts(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """What the last materialisation of an asset said; nothing when there is none."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    if event is None or event.asset_materialization is None:
        return {}
    return {name: one.value for name, one in event.asset_materialization.metadata.items()}


def begun_on(instance: dg.DagsterInstance, run_id: str) -> date:
    """The day on which a run was made, in UTC: the same in all processes of the run."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        raise ConfigError(f"run {run_id} is not in Dagster's records: launch it again")
    return record.create_timestamp.astimezone(UTC).date()


def verified_by_these_rules(report: Mapping[str, Any], identity: str) -> bool:
    """Whether the run of a report verified all of this farm by the rules as they are now."""
    return report.get("identity") == identity and report.get("passed") is True and report.get("rules") == rules_digest()


def rules_of_run(context: dg.AssetExecutionContext, workspace: Workspace) -> str:
    """The version of the rules that verified all that this run loads; empty when something was left out.

    A nightly run leaves nothing out when it continues from a run that verified everything.
    """
    settings, farm = workspace.settings, workspace.planned
    if settings.load_anyway or settings.skip_checks:
        return ""
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    over = months_of_run(context.run.tags) or [""]
    if settings.since:
        before = last_facts(context.instance, REPORT)
        whole = (
            verified_by_these_rules(before, farm.identity)
            and settings.since <= str(before["as_of"])[: len(settings.since)]
        )
        begins, needed = settings.since, set(REGISTRY.aquamind) - set(REGISTRY.lasting)
    else:
        whole, begins, needed = True, month_key(farm.epoch), set(REGISTRY.aquamind)
    return rules_digest() if whole and "" < over[0] <= begins and made >= needed else ""


def lasting_unchanged(lake: Lake, instance: dg.DagsterInstance) -> bool:
    """Whether the files of `REGISTRY.lasting` are those that Dagster saw written."""
    return all(
        lake.has(name) and last_facts(instance, name).get("sha256") == lake.digest(name) for name in REGISTRY.lasting
    )


__all__ = ["begun_on", "last_facts", "lasting_unchanged", "rules_digest", "rules_of_run", "verified_by_these_rules"]
