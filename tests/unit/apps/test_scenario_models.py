"""Constraints, overrides and changes of model: what AquaMind's screens and engines read of them."""

from __future__ import annotations

import polars as pl
import pytest

from aquamind_pipeline.apps.scenario.baselines import INITIAL_WEIGHT_G
from aquamind_pipeline.profiles import load_profile
from tests.helpers.farms import Made


@pytest.fixture(scope="module")
def farm() -> Made:
    return Made(load_profile("test-40").model_copy(update={"batches_per_geography": 8, "stagger_days": 70}))


def test_constraints_change_no_state(farm: Made) -> None:
    """The growth engine moves fish on at the largest weight of the row with the stage's name (R37)."""
    stages = farm.frame("batch_lifecyclestage").select("expected_weight_max_g", lifecycle_stage="name")
    rows = farm.frame("scenario_stage_constraint")
    assert rows["constraint_set_id"].n_unique() == 2
    named = rows.join(stages, on="lifecycle_stage")
    assert named.height == 2 * stages.height
    assert (named["max_weight_g"] == named["expected_weight_max_g"]).all()
    assert (rows["min_weight_g"] < rows["max_weight_g"]).all()


def test_scenarios_may_begin_where_they_do(farm: Made) -> None:
    """AquaMind refuses a scenario whose first weight lies in no stage of its constraints."""
    sets = farm.frame("scenario").select("scenario_id", constraint_set_id="biological_constraints_id")
    assert sets["constraint_set_id"].null_count() == 0
    rows = sets.join(farm.frame("scenario_stage_constraint"), on="constraint_set_id")
    inside = (pl.col("min_weight_g") <= INITIAL_WEIGHT_G) & (pl.col("max_weight_g") >= INITIAL_WEIGHT_G)
    assert rows.filter(inside)["scenario_id"].n_unique() == sets.height


def test_thresholds_of_forecasts_are_aquaminds_own(farm: Made) -> None:
    rows = farm.frame("scenario_stage_constraint").filter(pl.col("lifecycle_stage").is_in(["smolt", "harvest"]))
    assert dict(rows.select("lifecycle_stage", pl.col("max_weight_g").cast(pl.Int64)).iter_rows()) == {
        "smolt": 100,
        "harvest": 5000,
    }


def test_overrides_leave_the_mean_feed_of_a_life_at_sea(farm: Made) -> None:
    """Projected feed follows the weight (P12), and is over all that of the stage."""
    run = farm.scan("scenario_scenarioprojection").filter(projection_run_id=1).sort("day_number").collect()
    gain = run["average_weight"].diff() * run["population"] / 1000
    ratio = run.with_columns(gain=gain, ratio=run["daily_feed"] / gain).filter(
        (pl.col("current_stage_id") == 6) & (pl.col("average_weight").is_between(600, 5900)) & (pl.col("gain") > 0)
    )
    found = set(ratio["ratio"].round(2))
    assert found == {1.11, 1.19, 1.30}
    whole = ratio.filter(pl.col("average_weight") < 5500)
    assert whole["daily_feed"].sum() / whole["gain"].sum() == pytest.approx(1.2, abs=0.015)


def test_months_of_illness_begin_and_end(farm: Made) -> None:
    """More fish die in them: AquaMind's projection of a batch with them differs from that day on."""
    changes = farm.frame("scenario_scenariomodelchange")
    days = changes.group_by("scenario_id").agg(
        pl.col("change_day").sort(), pl.col("new_mortality_model_id").sort_by("change_day")
    )
    assert 0 < days.height < 16
    assert set(map(tuple, days["change_day"])) == {(600, 720)}
    assert set(map(tuple, days["new_mortality_model_id"])) == {(2, 1)}
    rows = farm.scan("scenario_scenarioprojection").collect()
    changed = rows.filter(pl.col("projection_run_id").is_in(days["scenario_id"].implode()))
    died = (pl.col("population").shift(1) - pl.col("population")).over("projection_run_id", order_by="day_number")
    daily = changed.with_columns(died=died).group_by("day_number").agg(pl.col("died").sum()).sort("day_number")
    ill = daily.filter(pl.col("day_number").is_between(605, 715))["died"].mean()
    well = daily.filter(pl.col("day_number").is_between(485, 595))["died"].mean()
    assert ill / well == pytest.approx(2.5, abs=0.4)  # type: ignore[operator]
