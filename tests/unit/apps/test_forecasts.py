"""Forecasts of living assignments, and what months of feed and growth add up to."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.forecasts import LIVE_PROJECTIONS, SUMMARIES, computed_dates
from aquamind_pipeline.apps.inventory.feeding import FEEDINGS
from aquamind_pipeline.apps.inventory.feeding_summaries import BATCH_SUMMARIES, CONTAINERS
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.schema.frames import complete
from tests.helpers.farms import Made

MID = date(2026, 5, 10)
"""A Sunday on which the tiny farm has fish at sea and on land."""


@pytest.fixture(scope="module")
def kept() -> Made:
    """The tiny farm in May, with the forecasts of the weeks before."""
    return Made(load_profile("tiny", as_of=MID).model_copy(update={"forecast_history_days": 21}))


@pytest.mark.parametrize(("days", "dates"), [(0, [MID]), (6, [date(2026, 5, 4), MID]), (5, [MID])])
def test_dates_are_a_function_of_the_last_day(days: int, dates: list[date]) -> None:
    farm = load_profile("tiny", as_of=MID).model_copy(update={"forecast_history_days": days})
    assert computed_dates(farm) == dates


def test_a_monday_that_is_the_last_day_counts_once() -> None:
    farm = load_profile("tiny", as_of=date(2026, 5, 11)).model_copy(update={"forecast_history_days": 7})
    assert computed_dates(farm) == [date(2026, 5, 4), date(2026, 5, 11)]


def test_living_assignments_have_a_forecast(kept: Made) -> None:
    living = kept.frame(ASSIGNMENTS.name).filter("is_active")["id"].sort()
    assert kept.frame(SUMMARIES.name)["assignment_id"].sort().equals(living)
    assert set(kept.frame(LIVE_PROJECTIONS.name)["assignment_id"]) == set(living)
    assert set(kept.frame(SUMMARIES.name)["computed_date"]) == {MID}


def test_an_earlier_forecast_knows_nothing_of_later_days(kept: Made) -> None:
    """It is the one that a farm makes that ends on that day."""
    monday = date(2026, 5, 4)
    then = Made(load_profile("tiny", as_of=monday)).frame(LIVE_PROJECTIONS.name)
    now = kept.frame(LIVE_PROJECTIONS.name)
    still = then.filter(pl.col("assignment_id").is_in(now["assignment_id"].implode()))
    assert still.height
    assert_frame_equal(now.filter(computed_date=monday), still)


def test_a_forecast_begins_with_the_state(kept: Made) -> None:
    """Summaries have the values of the newest state, and projections go on from the day after it."""
    states = kept.frame(STATES.name).filter(date=MID).select("assignment_id", "avg_weight_g", "population")
    both = kept.frame(SUMMARIES.name).join(states, on="assignment_id")
    assert both.filter(pl.col("current_weight_g") != pl.col("avg_weight_g")).is_empty()
    assert both.filter(pl.col("current_population") != pl.col("population")).is_empty()
    first = (
        kept.frame(LIVE_PROJECTIONS.name)
        .group_by("computed_date", "assignment_id")
        .agg(pl.col("projection_date").min())
    )
    assert first.filter(pl.col("projection_date") != pl.col("computed_date") + timedelta(days=1)).is_empty()


def test_a_life_of_summaries_adds_up(tiny_made: Made) -> None:
    """Over all months: feed is that of the meals, and growth is biomass at the end, dead and moved fish included."""
    rows, batches = tiny_made.frame(CONTAINERS.name), tiny_made.frame(BATCH_SUMMARIES.name)
    meals = tiny_made.frame(FEEDINGS.name)["amount_kg"].cast(pl.Float64).sum()
    assert float(rows["total_feed_kg"].sum()) == pytest.approx(meals, abs=0.005 * rows.height)
    assert rows["total_feed_kg"].sum() == batches["total_feed_kg"].sum()

    states = tiny_made.frame(STATES.name).filter(pl.col("lifecycle_stage_id") > 1).sort("assignment_id", "date")
    moved = complete(tiny_made.scan("batch_transferaction"), REGISTRY.table("batch_transferaction"))
    done = moved.filter(status="COMPLETED").with_columns(pl.col("transferred_biomass_kg").cast(pl.Float64)).collect()
    leaves = tiny_made.frame(ASSIGNMENTS.name).select("departure_date", source_assignment_id="id")
    early = done.join(leaves, on="source_assignment_id").filter(
        pl.col("departure_date").is_null() | (pl.col("actual_execution_date") < pl.col("departure_date"))
    )
    came = done.filter(pl.col("dest_assignment_id").is_in(states["assignment_id"].unique().implode()))
    came_kg = came["transferred_biomass_kg"].sum() - early["transferred_biomass_kg"].sum()
    weight = pl.col("avg_weight_g").cast(pl.Float64)
    before = weight.shift(1).over("assignment_id")
    dead = (pl.col("mortality_count") * before / 1000).sum()
    ends = states.group_by("assignment_id").agg(kg=pl.col("biomass_kg").last().cast(pl.Float64))
    grown = ends["kg"].sum() - came_kg + states.select(dead).item()
    # Deaths of first days are not counted here, and months in which fish did not grow have no growth.
    assert float(rows["growth_kg"].sum()) == pytest.approx(grown, rel=0.005)
    conversion = float(rows["total_feed_kg"].sum() / rows["growth_kg"].sum())
    assert 1.0 < conversion < 1.2, "as the models of feed say"
