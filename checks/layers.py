"""Which tables are checked together, so that no check waits for a table that waits for the check.

Dagster would split larger steps of checks by itself. It numbers the parts in the order of a set, which differs between
processes: a step that is called `event_table_checks_2` in the run would check other tables in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from graphlib import TopologicalSorter

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.orchestration.asset_specs import table_dependencies
from aquamind_pipeline.quality.rules import rules_of
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule

KINDS = list(Kind)
FOREIGN_KEYS = "foreign_keys"


def needed_for_check(name: str, rules: Iterable[Rule]) -> frozenset[str]:
    """Other tables that must be made and checked before a table is checked: those that its rules read.

    References are left out. They may lead to tables that come after it, such as a batch's pinned projection; the check
    of references looks at those that have been made.
    """
    read = {one for rule in rules if rule.name != FOREIGN_KEYS for one in rule.reads}
    return frozenset(read - {name})


def check_layers() -> Mapping[str, tuple[Kind, tuple[str, ...]]]:
    """AquaMind's tables by the step that checks them, and their kind, in the order in which they can be checked.

    A table lies in a later layer than all that its build step depends on, and than all that its rules wait for. Layers
    are ordered by round, then by kind: an event table that needs another event table is checked in the second round.
    """
    steps = REGISTRY.steps()
    step_of = {one.name: step for step, definitions in steps.items() for one in definitions}
    checked = [one.name for one in REGISTRY.values() if not one.lake_only]
    builds = {
        step: {name for one in definitions for name in table_dependencies(one)} - {one.name for one in definitions}
        for step, definitions in steps.items()
    }
    graph = {("build", step): _nodes_of(names, step_of, checked) for step, names in builds.items()}
    for name in checked:
        needed = needed_for_check(name, rules_of(name).values())
        graph["check", name] = {("build", step_of[name])} | _nodes_of(needed, step_of, checked)
    layers: dict[tuple[int, int], list[str]] = {}
    reached: dict[tuple[str, str], tuple[int, int]] = {}
    for node in TopologicalSorter({one: sorted(graph[one]) for one in sorted(graph)}).static_order():
        reached[node] = max((reached[one] for one in graph[node]), default=(1, -1))
        what, name = node
        if what == "check":
            number, latest = reached[node]
            kind = KINDS.index(REGISTRY[name].kind)
            reached[node] = (number + (kind <= latest), kind)
            layers.setdefault(reached[node], []).append(name)
    return {
        f"{KINDS[kind].value}_table_checks" + (f"_{number}" if number > 1 else ""): (
            KINDS[kind],
            tuple(name for name in REGISTRY if name in names),
        )
        for (number, kind), names in sorted(layers.items())
    }


def _nodes_of(names: Set[str], step_of: Mapping[str, str], checked: Sequence[str]) -> set[tuple[str, str]]:
    """The nodes of these tables: their build steps and, where they are checked, their checks."""
    return {("build", step_of[name]) for name in names} | {("check", name) for name in names if name in checked}


__all__ = ["check_layers", "needed_for_check"]
