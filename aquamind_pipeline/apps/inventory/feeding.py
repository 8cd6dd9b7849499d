"""Meals: each day's feed, handed out by the automatic feeders."""

from __future__ import annotations

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.arithmetic import decimal, rounded
from aquamind_pipeline.schema.columns import (
    EMPTY,
    NULL,
    date,
    identity,
    index,
    lookup,
    numeric,
    refers,
    text,
    time,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import CountedIn, Freshness, TableDefinition
from aquamind_pipeline.schema.grouping import by_container_and_date
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import WHOLE, RuleInputs
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.schedule import rows_by_month

_FIRST_MEAL_MINUTE, _FEEDING_MINUTES = 6 * 60, 14 * 60  # feeders run from 06:00 to 20:00


def feedings(inputs: Inputs) -> pl.DataFrame:
    """Rows of inventory_feedingevent; the meals of a day add up to its feed, to 0.0001 kg."""
    planned = inputs.plan.assignments.select(
        "assignment_id", "assignment_date", "first_feeding_id", "meals_per_day", "hall_id", "area_id"
    )
    lived = by_container_and_date(
        inputs.frame("life_day")
        .join(planned, on="assignment_id")
        .filter(pl.col("meals") > 0)
        .join(inputs.whole("store_cost"), on=["hall_id", "area_id", "date"], how="left", nulls_equal=True)
    )
    meals = lived["meals"].to_numpy()
    row = np.repeat(np.arange(lived.height), meals)
    first = np.cumsum(meals) - meals
    meal = np.arange(row.size, dtype=np.int64) - first[row]
    day_of_assignment = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy()
    ids = (lived["first_feeding_id"].to_numpy() + day_of_assignment * lived["meals_per_day"].to_numpy())[row] + meal

    # Whole-number weights make the shares exact, so a day's meals do not depend on which other days are made with it.
    weights = 1_000 + (draws.bits(draws.stream(inputs.farm.seed, "feeding", "share"), ids) % np.uint64(300)).astype(
        np.int64
    )
    running = np.cumsum(weights)
    before = (running - weights)[first] if first.size else running
    upto = running - before[row]
    total = upto[first + meals - 1][row] if first.size else upto
    feed_dg = lived["feed_dg"].to_numpy()[row]
    amount_dg = feed_dg * upto // total - feed_dg * (upto - weights) // total

    # A meal begins some time in its part of the day: whoever starts it has other things to do, too.
    part = _FEEDING_MINUTES // meals[row]
    late = (draws.bits(draws.stream(inputs.farm.seed, "feeding", "minute"), ids) >> np.uint64(32)).astype(np.int64)
    minutes = _FIRST_MEAL_MINUTE + meal * _FEEDING_MINUTES // meals[row] + late * (part * 2 // 3) // 2**32
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


def _meals_due(inputs: RuleInputs) -> pl.LazyFrame:
    """The meals of each day on which the fish were fed."""
    months = None if inputs.month == WHOLE else [inputs.month]
    return inputs.scan("life_day", months).select("assignment_id", "date", due="meals").filter(pl.col("due") > 0)


FEEDINGS = TableDefinition(
    name="inventory_feedingevent",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="One meal of one assignment.",
    how="The day's feed of each assignment, divided over its stage's meals, from the nearest store.",
    columns=(
        identity("id"),
        timestamp(
            "created_at", fill=pl.col("feeding_date").dt.combine(pl.col("feeding_time")).dt.replace_time_zone("UTC")
        ),
        timestamp(
            "updated_at", fill=pl.col("feeding_date").dt.combine(pl.col("feeding_time")).dt.replace_time_zone("UTC")
        ),
        refers("batch_id", "batch_batch.id"),
        refers("batch_assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        refers("container_id", "infrastructure_container.id"),
        refers("feed_id", "inventory_feed.id"),
        date("feeding_date", primary_key=True),
        time("feeding_time"),
        numeric("amount_kg", 10, 4, range_=(0.0001, None)),
        numeric("batch_biomass_kg", 10, 2, range_=(0.01, None)),
        numeric("feeding_percentage", 8, 6, nullable=True, range_=(0, 100)),
        numeric("feed_cost", 10, 2, nullable=True, range_=(0, None)),
        varchar("method", 20, fill=pl.lit("AUTOMATIC")),
        text("notes", fill=EMPTY),
        refers("recorded_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=NULL),
        index("batch_id", "feeding_date"),
        index("container_id", "feeding_date"),
        lookup("batch_assignment_id", "feeding_date"),
    ),
    time="feeding_date",
    reads=(*PLAN, "life_day", "store_cost"),
    generate=feedings,
    expected=CountedIn(
        "life_day",
        pl.col("meals").sum(),
        about=lambda farm, plan: int(
            rows_by_month(farm, plan, (pl.col("until") - pl.col("since")) * pl.col("meals_per_day"))["rows"].sum()
        ),
    ),
    lineage={
        "id": "plan_assignment.first_feeding_id",
        "feeding_date": "life_day.date",
        "amount_kg": "life_day.feed_dg",
        "batch_biomass_kg": "life_day.population life_day.weight_g",
        "feed_cost": "life_day.feed_dg store_cost.cost_per_kg",
    },
    rules=(),
    freshness=Freshness(silent_days=14, fed=True),
    rows_due=_meals_due,
    sums_by_day=(),
    bytes_per_row=(10, 229),
)

__all__ = ["FEEDINGS"]
