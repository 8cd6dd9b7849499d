"""The registry of table definitions: its lists, and the order in which tables can be loaded and built."""

from __future__ import annotations

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.schema.frames import references
from aquamind_pipeline.schema.kinds import Kind
from tests.helpers.farms import steps_in_order


def test_parents_come_first() -> None:
    """But in the cycles of batch, scenario and projection run, and of workflow and planned activity."""
    order = {name: place for place, name in enumerate(REGISTRY)}
    late = {
        (name, parent)
        for name in REGISTRY
        for parent, _ in references(REGISTRY.table(name)).values()
        if order[parent] > order[name]
    }
    assert late <= {
        ("batch_batch", "scenario_projection_run"),
        ("batch_batch", "scenario"),
        ("batch_batchtransferworkflow", "planning_plannedactivity"),
    }
    assert all(order[one.parent.table] < order[name] for name, one in REGISTRY.items() if one.kind is Kind.CHILD)


def test_every_table_is_in_one_list_of_its_sort() -> None:
    assert sorted([*REGISTRY.aquamind, *REGISTRY.lake_only]) == sorted(REGISTRY)
    assert sorted([*REGISTRY.whole, *REGISTRY.monthly]) == sorted(REGISTRY.aquamind)
    assert sorted([*REGISTRY.events, *REGISTRY.states]) == sorted(REGISTRY.monthly)
    assert sorted(name for kind in Kind for name in REGISTRY.of_kind(kind)) == sorted(REGISTRY.aquamind)
    assert set(REGISTRY.lasting) <= set(REGISTRY.whole)


def test_steps_can_be_made_in_an_order_in_which_all_that_is_read_is_there() -> None:
    made: set[str] = set()
    for step in steps_in_order():
        made |= {one.name for one in step}
        assert {name for one in step for name in one.reads} <= made
    assert made == set(REGISTRY)


def test_tables_are_named_after_their_app() -> None:
    """But those whose name AquaMind chose otherwise."""
    others = {name for name in REGISTRY.aquamind if not name.startswith(f"{REGISTRY[name].app}_")}
    assert others <= {"auth_user", "scenario"}
