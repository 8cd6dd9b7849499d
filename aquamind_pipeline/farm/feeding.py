"""Feeding events: each day's feed, handed out in the meals of the automatic feeders."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import decimal, rounded
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.schedule import Plan

_FIRST_MEAL_MINUTE, _FEEDING_MINUTES = 6 * 60, 14 * 60  # feeders run from 06:00 to 20:00


def feedings(seed: int, plan: Plan, days: pl.DataFrame, unit_costs: pl.DataFrame) -> pl.DataFrame:
    """inventory_feedingevent of some of life's `days`; a day's meals add up to its feed to 0.0001 kg.

    Args:
        seed: The farm's seed.
        plan: The plan that `days` were lived by.
        days: Rows of `Life.days`.
        unit_costs: `Stores.unit_costs`: hall_id, area_id, date, cost_per_kg.
    """
    lived = (
        days.join(
            plan.assignments.select(
                "assignment_id", "assignment_date", "first_feeding_id", "meals_per_day", "hall_id", "area_id"
            ),
            on="assignment_id",
        )
        .filter(pl.col("meals_per_day") > 0)
        .join(unit_costs, on=["hall_id", "area_id", "date"], how="left", nulls_equal=True)
        .sort("container_id", "date")
    )
    meals = lived["meals_per_day"].to_numpy()
    row = np.repeat(np.arange(lived.height), meals)
    first = np.cumsum(meals) - meals
    meal = np.arange(row.size, dtype=np.int64) - first[row]
    day_of_stay = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy()
    ids = (lived["first_feeding_id"].to_numpy() + day_of_stay * meals)[row] + meal

    # Whole-number weights make the shares exact, so a day's meals do not depend on which other days are made with it.
    weights = 1_000 + (draws.bits(draws.stream(seed, "feeding", "share"), ids) % np.uint64(300)).astype(np.int64)
    running = np.cumsum(weights)
    before = (running - weights)[first] if first.size else running
    upto = running - before[row]
    total = upto[first + meals - 1][row] if first.size else upto
    feed_dg = lived["feed_dg"].to_numpy()[row]
    amount_dg = feed_dg * upto // total - feed_dg * (upto - weights) // total

    minutes = _FIRST_MEAL_MINUTE + meal * _FEEDING_MINUTES // meals[row]
    biomass_kg = (lived["population"].to_numpy() * lived["weight_g"].to_numpy() / 1000)[row]
    # An empty container is fed nothing, at no cost.
    percentage = np.divide(amount_dg / 100.0, biomass_kg, out=np.zeros(biomass_kg.size), where=biomass_kg > 0)
    cost_per_kg = lived["cost_per_kg"].fill_null(0.0).to_numpy()
    feeds = {stage.order: stage.feed_id for stage in STAGES if stage.feed_id is not None}
    lived = lived.with_columns(feed_id=pl.col("stage").replace_strict(feeds, default=None, return_dtype=pl.Int64))
    return pl.DataFrame(
        {
            "id": ids,
            "batch_id": lived["batch_id"].to_numpy()[row],
            "batch_assignment_id": lived["assignment_id"].to_numpy()[row],
            "container_id": lived["container_id"].to_numpy()[row],
            "feed_id": lived["feed_id"].to_numpy()[row],
            "feeding_date": lived["date"].gather(row),
            "feeding_time": pl.Series(minutes * 60_000_000_000).cast(pl.Time),
            "amount_kg": decimal(amount_dg, 10, 4),
            "batch_biomass_kg": rounded(biomass_kg, 10, 2),
            "feeding_percentage": rounded(percentage, 8, 6),
            "feed_cost": rounded(amount_dg / 10_000.0 * cost_per_kg[row], 10, 2),
        }
    )


__all__ = ["feedings"]
