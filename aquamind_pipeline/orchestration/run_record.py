"""By which rules a run has proved the farm, so that a night need not prove again what has not changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import dagster as dg

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.orchestration.partitions import MONTH, months_of_run
from aquamind_pipeline.orchestration.workspace import Workspace

LASTING = (*tables.of_layer("infrastructure"), *tables.of_layer("reference"))
"""Tables that are the same on every day of a farm."""
_RULES = ("proof.py", "quality", "tables")
"""What decides whether a farm passes: when these change, everything is to be proved again."""


@cache
def proof_digest() -> str:
    """Names the rules as they are now."""
    found = hashlib.sha256()
    for place in (files("aquamind_pipeline") / name for name in _RULES):
        parts = sorted(place.iterdir(), key=lambda part: part.name) if place.is_dir() else [place]
        for part in parts:
            if part.name.endswith(".py"):
                found.update(part.read_bytes())
    return found.hexdigest()[:16]


def last_facts(instance: dg.DagsterInstance, asset: str) -> dict[str, Any]:
    """What the last materialisation of an asset said; nothing when there is none."""
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    if event is None or event.asset_materialization is None:
        return {}
    return {name: one.value for name, one in event.asset_materialization.metadata.items()}


def proved(report: Mapping[str, Any], identity: str) -> bool:
    """Whether the run of a report has proved all of this farm, by the rules as they are now."""
    return report.get("identity") == identity and report.get("passed") is True and report.get("proof") == proof_digest()


def proof_of(context: dg.AssetExecutionContext, workspace: Workspace) -> str:
    """The rules by which all that this run loads is proved; empty when something was left out.

    A night leaves nothing out when it goes on from where the run before it had proved everything.
    """
    settings, farm = workspace.settings, workspace.planned
    if settings.load_anyway or settings.skip_checks:
        return ""
    made = {key.to_user_string() for key in context.job_def.asset_layer.selected_asset_keys}
    over = months_of_run(context.run.tags) or [""]
    if settings.since:
        before = last_facts(context.instance, REPORT)
        whole = proved(before, farm.identity) and settings.since <= str(before["as_of"])[: len(settings.since)]
        begins, needed = settings.since, set(tables.TABLES) - set(LASTING)
    else:
        whole, begins, needed = True, farm.epoch.strftime(MONTH), set(tables.TABLES)
    return proof_digest() if whole and "" < over[0] <= begins and made >= needed else ""


def lasting_stand(lake: Lake, instance: dg.DagsterInstance) -> bool:
    """Whether the files of `LASTING` are those that Dagster saw written."""
    return all(lake.has(name) and last_facts(instance, name).get("sha256") == lake.digest(name) for name in LASTING)


__all__ = ["LASTING", "last_facts", "lasting_stand", "proof_digest", "proof_of", "proved"]
