"""Batches that are planned, receive their eggs, or were called off, and how a later as_of changes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache

import polars as pl
import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import coming_batches
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.simulation.schedule import schedule
from tests.contract.drawn import Stored
from tests.helpers.farms import Made

TINY = load_profile("tiny")
BATCHES, ASSIGNMENTS = "batch_batch", "batch_batchcontainerassignment"
WORKFLOWS, ACTIONS = "batch_creationworkflow", "batch_creationaction"
RUNS = "scenario_projection_run"


@cache
def on(day: date) -> Made:
    return Made(TINY.model_copy(update={"as_of": day}))


def of_status(made: Made, status: str) -> pl.DataFrame:
    return made.frame(BATCHES).filter(status=status)


@pytest.mark.parametrize("name", ["tiny", "test-40", "saturation-170"])
def test_a_farm_has_as_many_as_its_profile_asks_for(name: str) -> None:
    farm = load_profile(name)
    wanted = {
        "RECEIVING": farm.receiving_batches,
        "PLANNED": farm.planned_batches,
        "CANCELLED": farm.cancelled_batches,
    }
    assert coming_batches(farm, schedule(farm)) == wanted
    assert min(wanted.values()) > 0


def test_statuses_are_counted_as_planned() -> None:
    found = dict(on(TINY.as_of).frame(BATCHES)["status"].value_counts().iter_rows())
    assert {name: found[name] for name in ("RECEIVING", "PLANNED", "CANCELLED")} == coming_batches(TINY, schedule(TINY))


def test_nights_turn_planned_into_receiving_into_active() -> None:
    """The same batch, with the same id, number, trays and dates."""
    first = of_status(on(TINY.as_of), "PLANNED").sort("start_date", "id").row(0, named=True)
    start, seen = first["start_date"], {}
    for days in range(-1, 4):
        made = on(start + timedelta(days=days))
        batch = made.frame(BATCHES).filter(id=first["id"]).row(0, named=True)
        trays = made.frame(ASSIGNMENTS).filter(batch_id=first["id"]).sort("id")
        seen[days] = (batch["status"], trays["is_active"].sum(), trays.filter(pl.col("population_count") > 0).height)
        same = ("batch_number", "start_date", "created_at", "expected_end_date")
        assert {name: batch[name] for name in same} == {name: first[name] for name in same}
        assert trays["assignment_date"].to_list() == [start + timedelta(days=tray) for tray in range(3)]
    assert seen == {
        -1: ("PLANNED", 0, 0),
        0: ("RECEIVING", 1, 1),
        1: ("RECEIVING", 2, 2),
        2: ("ACTIVE", 3, 3),
        3: ("ACTIVE", 3, 3),
    }


def test_a_workflow_says_how_many_deliveries_have_come() -> None:
    made = on(TINY.as_of)
    (batch,) = of_status(made, "RECEIVING")["id"]
    workflow = made.frame(WORKFLOWS).filter(batch_id=batch).row(0, named=True)
    actions = made.frame(ACTIONS).filter(workflow_id=workflow["id"]).sort("action_number")
    assert workflow["status"] == "IN_PROGRESS"
    assert actions["status"].to_list() == ["COMPLETED", "COMPLETED", "PENDING"]
    assert workflow["total_eggs_received"] == actions["egg_count_actual"].sum() < workflow["total_eggs_planned"]
    assert str(workflow["progress_percentage"]) == "66.67"
    assert workflow["actual_start_date"] == workflow["planned_start_date"]
    assert workflow["actual_completion_date"] is None
    pending = actions.filter(status="PENDING")
    came = ("egg_count_actual", "actual_delivery_date", "water_temp_on_arrival", "egg_quality_score")
    assert pending.select(came).null_count().row(0) == (1,) * len(came)
    assert (pending["expected_delivery_date"] > TINY.as_of).all()


def test_the_nearer_half_of_the_planned_ones_is_agreed() -> None:
    made = on(TINY.as_of)
    planned = of_status(made, "PLANNED").sort("id")
    workflows = made.frame(WORKFLOWS).filter(pl.col("batch_id").is_in(planned["id"].implode())).sort("batch_id")
    assert workflows["status"].to_list() == ["PLANNED", "PLANNED", "DRAFT", "DRAFT"]
    assert (workflows["created_at"].dt.date() <= TINY.as_of).all()
    assert planned["pinned_projection_run_id"].null_count() == planned.height


def test_a_batch_is_called_off_with_a_reason() -> None:
    """It was planned before. Its trays are never filled."""
    (batch,) = of_status(on(TINY.as_of), "CANCELLED")["id"]
    workflow = on(TINY.as_of).frame(WORKFLOWS).filter(batch_id=batch).row(0, named=True)
    assert (workflow["status"], workflow["total_eggs_received"]) == ("CANCELLED", 0)
    assert workflow["cancellation_reason"]
    before = workflow["cancelled_at"].date() - timedelta(days=1)
    assert on(before).frame(BATCHES).filter(id=batch)["status"].item() == "PLANNED"
    for made, status, closed in ((on(before), "PENDING", False), (on(TINY.as_of), "SKIPPED", True)):
        trays = made.frame(ASSIGNMENTS).filter(batch_id=batch)
        assert trays["population_count"].sum() == 0
        assert not trays["is_active"].any()
        assert trays["departure_date"].is_not_null().all() == closed
        actions = made.frame(ACTIONS).filter(workflow_id=batch)
        assert set(actions["status"]) == {status}


def test_only_batches_that_have_begun_have_anything_else() -> None:
    """Life, events, states, scenarios, activities and forecasts know no batch without fish."""
    made = on(TINY.as_of)
    coming = [*of_status(made, "PLANNED")["id"], *of_status(made, "CANCELLED")["id"]]
    (receiving,) = of_status(made, "RECEIVING")["id"]
    know_it = {ASSIGNMENTS, WORKFLOWS, *(name for name in PLAN if name not in ("plan_batch", "plan_assignment"))}
    for name in REGISTRY:
        rows = made.frame(name)
        if name not in know_it and "batch_id" in rows.columns:
            assert rows.filter(pl.col("batch_id").is_in(coming)).is_empty(), name
    assert made.frame("scenario").filter(batch_id=receiving).height == 1
    assert made.frame("life_day").filter(batch_id=receiving).height == 2 + 1
    assert made.frame("batch_liveforwardprojection").filter(batch_id=receiving).is_empty()


def test_a_tray_is_free_when_its_eggs_come() -> None:
    """Of all batches up to then, also those that start meanwhile."""
    farm = load_profile("test-40")
    plan = schedule(farm)
    last = plan.trays["assignment_date"].max()
    assert isinstance(last, date)
    later = schedule(farm.model_copy(update={"as_of": last + timedelta(days=1)})).assignments
    both = plan.trays.join(
        later.select("container_id", "departure_date", other="assignment_id", begins="assignment_date"),
        on="container_id",
    ).filter(pl.col("other") != pl.col("assignment_id"))
    taken = pl.col("assignment_date").is_between(pl.col("begins"), pl.col("departure_date"), closed="left")
    assert both.height
    assert both.filter(taken).is_empty()


class HalfBuilt(Stored):
    """A lake in the middle of a night: the runs of scenarios are still those of the night before."""

    before: Stored

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        return self.before.scan(table, partitions) if table == RUNS else super().scan(table, partitions)


def test_a_night_passes_the_start_of_a_batch() -> None:
    """The batch refers to a run that is made later in the same night. The reference is checked with the run."""
    start = of_status(on(TINY.as_of), "PLANNED")["start_date"].min()
    assert isinstance(start, date)
    half = HalfBuilt(TINY.model_copy(update={"as_of": start}))
    half.before = Stored(TINY)

    def passes(table: str) -> bool:
        runner = CheckRunner(half, half.farm, only={"foreign_keys"})
        return {one.rule: one.passed for one in runner.of_table(table)}["foreign_keys"]

    assert passes(BATCHES)
    assert not passes(RUNS)
    half.before = Stored(half.farm)
    assert passes(RUNS)


def test_farms_that_do_not_continue_plan_no_batch() -> None:
    farm = TINY.model_copy(update={"continues": False})
    assert coming_batches(farm, schedule(farm)) == {"RECEIVING": 1, "PLANNED": 0, "CANCELLED": 1}


def test_a_full_farm_plans_the_batches_that_fit() -> None:
    """A farm that has no room after its last day is built, with fewer planned batches."""

    crowd = {"speed": 1, "stagger_days": 1, "batches_per_geography": 5, "planned_batches": 100}
    farm = TINY.model_copy(update=crowd)
    assert 0 < coming_batches(farm, schedule(farm))["PLANNED"] < 100


def test_no_batch_is_older_than_a_farm_that_begins_later_than_its_profile() -> None:
    epoch = TINY.default_as_of + timedelta(days=100)
    plan = schedule(TINY.model_copy(update={"epoch": epoch, "as_of": epoch + timedelta(days=20)}))
    dates = (
        plan.batches["start_date"],
        plan.creations["start_date"],
        plan.creations["planned_on"],
        plan.trays["assignment_date"],
    )
    assert min(one.min() for one in dates) >= epoch  # type: ignore[type-var]
    assert plan.creations["cancelled_on"].null_count() == plan.creations.height
