"""Rows of every table, compared with the number that the plan predicts."""

from __future__ import annotations

from collections.abc import Mapping

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.quality.volumes import total_rows
from aquamind_pipeline.report.model import Check, Section
from aquamind_pipeline.report.sections.bands import band_checks
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan


def section(farm: Profile, plan: Plan, counts: Mapping[str, int], since: str | None) -> Section:
    """Compare counted rows with planned ones. Tables of events come first, and of each kind the longest.

    Args:
        farm: The farm.
        plan: Its plan.
        counts: Rows of each table that the database has.
        since: Month before which rows were counted when they were loaded, not now.
    """
    totals = {name: total_rows(REGISTRY[name], farm, plan) for name in counts}
    left_out = [name for name in REGISTRY.aquamind if name not in counts]
    planned = {name: number for name, number in totals.items() if number is not None}
    shown = [name for name in totals if counts[name] or name in planned]
    shown.sort(key=lambda name: (not REGISTRY[name].is_monthly, -counts[name], name))
    rows = [["all tables", sum(counts.values()), None], *([name, counts[name], planned.get(name)] for name in shown)]
    events = sum(REGISTRY[name].is_monthly for name in shown)
    wrong = [name for name, number in planned.items() if counts[name] != number]
    earlier = f"; months before {since} were counted when they were loaded" if since else ""
    detail = (
        "not as planned: " + ", ".join(f"{name} {counts[name]:,}, planned {planned[name]:,}" for name in wrong)
        if wrong
        else f"{len(planned)} tables hold exactly what the plan predicts{earlier}"
    )
    if left_out:
        detail += f"; left out, since this database does not have them: {', '.join(left_out)}"
    checks = [Check("volumes", not wrong, detail, wrong), *band_checks(farm, counts)]
    return Section("Event volume", ["table", "rows", "planned"], rows, checks, lead=1 + events)


__all__ = ["section"]
