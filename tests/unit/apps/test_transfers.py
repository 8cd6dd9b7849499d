"""Transfers as people leave them: planned, done, graded with selection, called off, and by truck and well-boat."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aquamind_pipeline.apps.batch.carried import overlaps
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.transfers import (
    DEATHS_OF_MOVES,
    EMERGENCY_CASCADE,
    TRANSFER_ACTIONS,
    TRANSFER_WORKFLOWS,
    actions_of_a_workflow,
)
from aquamind_pipeline.apps.batch.workflows import CALLED_OFF, GRADING, TRANSITION, drafted_workflows
from aquamind_pipeline.growth.rules import SELECTION_BIAS
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.simulation import grading
from aquamind_pipeline.simulation.schedule import schedule
from tests.helpers.farms import Made

TINY = load_profile("tiny")
SLOW = TINY.model_copy(update={"speed": 1, "as_of": date(2027, 7, 31), "default_as_of": date(2027, 7, 31)})
"""A farm whose fish live as fast as real ones, so that plans reach months ahead."""


@pytest.fixture(scope="module")
def tiny() -> Made:
    """With slower fish, so that gradings fall on days without a growth sample, too."""
    return Made(TINY.model_copy(update={"speed": 7}))


@pytest.fixture(scope="module")
def actions(tiny: Made) -> pl.DataFrame:
    workflows = tiny.frame(TRANSFER_WORKFLOWS.name).select(
        "workflow_type", "is_dynamic_execution", "batch_id", workflow_id="id", workflow_status="status"
    )
    return tiny.frame(TRANSFER_ACTIONS.name).join(workflows, on="workflow_id")


def test_the_larger_and_the_smaller_fish_change_places() -> None:
    """As many of each, so counts and mass of the pair stay; picked fish differ from the mean by R11's factor."""
    fish, weight_g = np.array([1000, 1200, 7, 0, 50]), np.array([80.0, 100.0, 60.0, 60.0, 70.0])
    done = grading.exchange(1, np.arange(5), np.array([0, 2]), fish, weight_g)
    assert done.first.tolist() == [0], "too few fish to share"
    count, picked, left = int(done.count[0]), done.picked_g[:, 0], done.left_g[:, 0]
    assert 50 <= count <= 100
    assert picked.tolist() == pytest.approx([80 / SELECTION_BIAS["LARGEST"], 100 / SELECTION_BIAS["SMALLEST"]])
    assert left[0] < 80
    assert left[1] > 100
    assert 1000 * left[0] + 1200 * left[1] == pytest.approx(1000 * 80.0 + 1200 * 100.0)


def test_states_correct_a_grading_for_its_selection(tiny: Made, actions: pl.DataFrame) -> None:
    """R10, R11: without a growth sample on the day, the weight is the measured one times the factor."""
    graded = actions.filter(pl.col("selection_method") != "AVERAGE", pl.col("status") == "COMPLETED").select(
        "selection_method",
        "measured_avg_weight_g",
        assignment_id="source_assignment_id",
        date="actual_execution_date",
    )
    assert set(graded["selection_method"]) == {"LARGEST", "SMALLEST"}
    states = tiny.scan(STATES.name).collect().join(graded, on=["assignment_id", "date"])
    assert states.height == graded.height
    anchored = states.filter(anchor_type="transfer")
    assert anchored.height > 0
    factor = pl.col("selection_method").replace_strict(SELECTION_BIAS, return_dtype=pl.Float64)
    expected = anchored.select(pl.col("measured_avg_weight_g").cast(pl.Float64) * factor).to_series()
    assert (anchored["avg_weight_g"].cast(pl.Float64) - expected).abs().max() <= 0.0051  # type: ignore[operator]


def test_states_have_the_graded_fish(tiny: Made, actions: pl.DataFrame) -> None:
    """As many fish as before less the dead, and on later days, too (every fish moves once)."""
    graded = actions.filter(selection_method="LARGEST", status="COMPLETED").select(assignment_id="source_assignment_id")
    life = tiny.life.days.select("assignment_id", "date", lived="population")
    states = tiny.scan(STATES.name).collect().join(graded.unique(), on="assignment_id", how="semi")
    both = states.join(life, on=["assignment_id", "date"])
    assert both.height == states.height > 0
    assert (both["population"].cast(pl.Int64) == both["lived"]).all()


def test_what_is_called_off_moves_no_fish(actions: pl.DataFrame) -> None:
    idle = actions.filter(pl.col("status").is_in(["FAILED", "SKIPPED"]))
    assert idle.height > 0
    assert (idle["workflow_status"] == "CANCELLED").all()
    assert idle.select(pl.sum("transferred_count", "mortality_during_transfer")).row(0) == (0, 0)
    assert idle["actual_execution_date"].null_count() == idle.height
    assert idle["measured_avg_weight_g"].null_count() == idle.height


def test_some_actions_fail_and_the_rest_of_their_workflow_is_skipped() -> None:
    made = Made(load_profile("tiny").model_copy(update={"batches_per_geography": 8, "stagger_days": 8, "seed": 6}))
    actions = made.frame(TRANSFER_ACTIONS.name)
    failed = actions.filter(status="FAILED")
    assert failed.height > 0
    assert (failed["action_number"] == 1).all()
    others = actions.join(failed.select("workflow_id"), on="workflow_id").filter(pl.col("action_number") > 1)
    assert set(others["status"]) == {"SKIPPED"}


def test_a_transfer_is_drafted_planned_begun_and_done() -> None:
    """A workflow keeps its id, number and plan, and goes on only forwards."""
    plan = schedule(SLOW)
    seen: dict[str, date] = {}
    last = None
    for k in range(80, 185):
        day = SLOW.epoch + timedelta(days=k)
        farm = SLOW.model_copy(update={"as_of": day})
        rows = drafted_workflows(farm, plan).filter(workflow_id=2).drop("status", "has_actions")
        now = drafted_workflows(farm, plan).filter(workflow_id=2)["status"].to_list()
        if not now:
            continue
        assert last is None or rows.equals(last)
        last = rows
        seen.setdefault(now[0], day)
    assert list(seen) == ["DRAFT", "PLANNED", "IN_PROGRESS", "COMPLETED"]
    assert seen["DRAFT"] == SLOW.epoch + timedelta(days=90), "when the stage before begins"
    assert seen["COMPLETED"] == SLOW.epoch + timedelta(days=180)
    assert 24 <= (seen["COMPLETED"] - seen["PLANNED"]).days <= 36


def test_kinds_of_workflow_have_their_states() -> None:
    """Transitions are done, plans for the next ones are open, a tenth at least of what is called off is called off."""
    profile = load_profile("test-40")
    kinds = drafted_workflows(profile, schedule(profile)).group_by("kind").agg(pl.col("status").unique().sort())
    states = dict(kinds.iter_rows())
    assert set(states[TRANSITION]) >= {"COMPLETED", "DRAFT", "PLANNED"}
    assert set(states[GRADING]) >= {"COMPLETED", "DRAFT"}
    assert "CANCELLED" in states[CALLED_OFF]
    assert "COMPLETED" not in states[CALLED_OFF]


def test_not_every_transfer_is_on_time() -> None:
    profile = load_profile("test-40")
    late = drafted_workflows(profile, schedule(profile)).filter(kind=TRANSITION, status="COMPLETED")
    days = (late["date"] - late["planned_start_date"]).dt.total_days()
    assert 0.3 < (days > 0).mean() < 0.5  # type: ignore[operator]
    assert days.min() == -3
    assert days.max() == 5


def test_pending_actions_have_a_source_and_no_destination_yet(tiny: Made) -> None:
    farm = TINY.model_copy(update={"as_of": TINY.epoch + timedelta(days=30)})
    pending = Made(farm).frame(TRANSFER_ACTIONS.name).filter(status="PENDING")
    assert pending.height > 0
    assert pending["dest_container_id"].null_count() == 0
    assert pending["actual_execution_date"].null_count() == pending.height
    assert (pending["created_at"].dt.date() <= farm.as_of).all()


def test_fish_reach_the_sea_leg_by_leg(tiny: Made, actions: pl.DataFrame) -> None:
    """Each leg carries all fish; the dead are those of the first; carriers are of the leg's kind, and empty again."""
    legs = actions.filter("is_dynamic_execution")
    assert set(legs["leg_type"]) == {"STATION_TO_TRUCK", "STATION_TO_VESSEL", "TRUCK_TO_VESSEL", "VESSEL_TO_RING"}
    by_leg = legs.group_by("workflow_id", "leg_type").agg(pl.sum("transferred_count", "mortality_during_transfer"))
    assert by_leg.group_by("workflow_id").agg(pl.col("transferred_count").n_unique())["transferred_count"].max() == 1
    dead = by_leg.filter(pl.col("mortality_during_transfer") > 0)["leg_type"]
    assert set(dead) <= {"STATION_TO_TRUCK", "STATION_TO_VESSEL"}
    stays = tiny.frame("batch_batchcontainerassignment").select(
        "container_id", "assignment_date", "departure_date", "is_active", dest_assignment_id="id"
    )
    containers = tiny.frame("infrastructure_container").select("carrier_id", "area_id", container_id="id")
    carriers = tiny.frame("infrastructure_transportcarrier").select("carrier_type", carrier_id="id")
    arrived = legs.join(stays, on="dest_assignment_id").join(containers, on="container_id")
    arrived = arrived.join(carriers, on="carrier_id", how="left")
    assert arrived.height == legs.height
    wanted = {
        "STATION_TO_TRUCK": "TRUCK",
        "STATION_TO_VESSEL": "VESSEL",
        "TRUCK_TO_VESSEL": "VESSEL",
        "VESSEL_TO_RING": None,
    }
    kinds = arrived.group_by("leg_type").agg(pl.col("carrier_type").unique())
    assert {leg: kind[0] for leg, kind in kinds.iter_rows() if len(kind) == 1} == wanted
    on_board = arrived.filter(pl.col("carrier_id").is_not_null())
    assert (on_board["assignment_date"] == on_board["departure_date"]).all()
    assert not on_board["is_active"].any()


def test_no_load_is_heavier_than_its_tank_may_be(tiny: Made, actions: pl.DataFrame) -> None:
    """Loads stay below the limit and are not nearly empty; each fish that came on board left again."""
    tanks = tiny.frame("infrastructure_container").filter(pl.col("carrier_id").is_not_null())
    loads = tiny.frame("batch_batchcontainerassignment").join(
        tanks.select("max_biomass_kg", container_id="id"), on="container_id"
    )
    filled = loads["biomass_kg"].cast(pl.Float64) / loads["max_biomass_kg"].cast(pl.Float64)
    assert loads.height > loads["container_id"].n_unique() > 1, "tanks make several trips"
    assert 0.1 < filled.min() <= filled.max() <= 1.0  # type: ignore[operator]
    legs = actions.filter("is_dynamic_execution")
    came = legs.group_by(id="dest_assignment_id").agg(came=pl.col("transferred_count").sum())
    went = legs.group_by(id="source_assignment_id").agg(went=pl.col("transferred_count").sum())
    both = loads.join(came, on="id", how="left").join(went, on="id", how="left")
    assert (both["population_count"] == both["came"]).all()
    assert (both["population_count"] == both["went"]).all()
    assert (legs["source_population_before"] >= legs["transferred_count"] + legs["mortality_during_transfer"]).all()


def test_loads_and_rings_share_the_fish_as_they_come() -> None:
    """Parts of a line of fish by two divisions; parts without fish are left out."""
    loads = pl.DataFrame({"source_assignment_id": [1, 1, 1, 2], "upto": [4, 4, 10, 3], "load": [1, 2, 3, 4]})
    rings = pl.DataFrame({"source_assignment_id": [1, 1, 2], "upto": [5, 10, 3], "ring": [7, 8, 9]})
    shared = overlaps(loads, rings).select("load", "ring", "count")
    assert shared.rows() == [(1, 7, 4), (3, 7, 1), (3, 8, 5), (4, 9, 3)]


@pytest.mark.parametrize("eggs", [1, 90_000, 3_500_000])
def test_ids_of_actions_do_not_run_into_the_next_workflow(eggs: int) -> None:
    """A transfer by carriers has as many actions as loads, and one more where loads and rings overlap."""
    farm = TINY.model_copy(update={"eggs": (eggs, eggs), "rings_per_batch": 20, "speed": 30, "samples_per_week": 0})
    actions = Made(farm).frame(TRANSFER_ACTIONS.name)
    assert actions["id"].is_unique().all()
    assert actions["action_number"].max() <= actions_of_a_workflow(farm)  # type: ignore[operator]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, 2.0])
def test_the_dead_of_an_emergency_are_events_of_its_source(share: float) -> None:
    """No more and no fewer, and states have as many fish as life."""
    made = Made(TINY)
    lost = pl.col("mortality_during_transfer")
    actions = made.frame(TRANSFER_ACTIONS.name)
    workflows = made.frame(TRANSFER_WORKFLOWS.name).filter(workflow_type=EMERGENCY_CASCADE, status="COMPLETED")
    hurried = actions.join(workflows.select(workflow_id="id"), on="workflow_id", how="semi")
    assert hurried["mortality_during_transfer"].min() > 0  # type: ignore[operator]
    changed = pl.when(pl.col("workflow_id").is_in(workflows["id"].implode())).then((lost * share).cast(pl.Int64))
    rows = actions.with_columns(changed.otherwise(lost).cast(actions.schema[lost.meta.output_name()]))
    inputs = RuleInputs(TRANSFER_ACTIONS, DEATHS_OF_MOVES, made.farm, made, rows=rows, shared={}, own={})
    assert DEATHS_OF_MOVES.check(inputs).passed is (share == 1.0)
    both = (
        made.scan(STATES.name)
        .collect()
        .join(made.life.days.select("assignment_id", "date", lived="population"), on=["assignment_id", "date"])
    )
    moved = both.filter(pl.col("assignment_id").is_in(hurried["source_assignment_id"].implode()))
    assert (moved["population"].cast(pl.Int64) == moved["lived"]).all()


def test_older_transfers_to_the_sea_have_no_carriers(tiny: Made, actions: pl.DataFrame) -> None:
    """What is recorded does not change when the farm goes on, so the day depends on the profile alone."""
    to_sea = tiny.frame(TRANSFER_WORKFLOWS.name).filter(source_lifecycle_stage_id=5, dest_lifecycle_stage_id=6)
    since = TINY.default_as_of - timedelta(days=60)
    assert (to_sea["is_dynamic_execution"] == (to_sea["actual_completion_date"] >= since)).all()
    assert to_sea["is_dynamic_execution"].any()
    assert not to_sea["is_dynamic_execution"].all()
    done = to_sea.filter("is_dynamic_execution")["completion_percentage"].cast(pl.Float64)
    assert done.is_between(90, 100).all()
