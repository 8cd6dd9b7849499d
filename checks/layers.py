"""Which tables are checked together, so that no check waits for a table that waits for the check.

Dagster would split larger steps of checks by itself. It numbers the parts in the order of a set, which differs between
processes: a step that is called `event_table_checks_2` in the run would check other tables in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.orchestration.asset_specs import table_dependencies
from aquamind_pipeline.schema.kinds import Kind

KINDS = list(Kind)


def check_layers() -> Mapping[str, tuple[Kind, tuple[str, ...]]]:
    """AquaMind's tables by the step that checks them, and their kind, in the order in which they can be checked.

    A table lies in a later layer than all that its build step depends on. Layers are ordered by round, then by kind:
    an event table that needs another event table is checked in the second round.
    """
    steps = REGISTRY.steps()
    step_of = {one.name: step for step, definitions in steps.items() for one in definitions}
    needs = {
        step: {step_of[name] for one in definitions for name in table_dependencies(one)} - {step}
        for step, definitions in steps.items()
    }
    layers: dict[tuple[int, int], list[str]] = {}
    reached: dict[str, tuple[int, int]] = {}
    for step in TopologicalSorter({step: sorted(needs[step]) for step in sorted(steps)}).static_order():
        before = max((reached[one] for one in needs[step]), default=(1, -1))
        reached[step] = before
        for one in steps[step]:
            if not one.lake_only:
                kind = KINDS.index(one.kind)
                layer = (before[0] + (kind <= before[1]), kind)
                layers.setdefault(layer, []).append(one.name)
                reached[step] = max(reached[step], layer)
    return {
        f"{KINDS[kind].value}_table_checks" + (f"_{number}" if number > 1 else ""): (
            KINDS[kind],
            tuple(name for name in REGISTRY if name in names),
        )
        for (number, kind), names in sorted(layers.items())
    }


__all__ = ["check_layers"]
