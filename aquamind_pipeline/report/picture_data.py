"""Data of the report's pictures, from the database."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.scenario.models import USUAL_MORTALITY
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import frame
from aquamind_pipeline.quality import farm_rules
from aquamind_pipeline.quality.volumes import planned_rows
from aquamind_pipeline.report.sums import Sums, weight_g
from aquamind_pipeline.simulation.deaths import hazard_bounds
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

SAMPLE_BATCHES = 4
"""Batches whose lives are drawn."""


@dataclass(frozen=True)
class PictureData:
    """Frames that the pictures show.

    Attributes:
        lives: batch, date, stage, fish, weight_g of some batches, oldest first.
        months: table, month, rows, planned (null for rows whose number is unpredictable).
        use: date, occupied (containers with fish), ever (containers used so far), days (container-days used so far),
            of (all containers that can hold fish).
        stages: batch_id, stage, survival, least and most (expected survival), fcr; stages of at least 60 days of real
            time.
    """

    lives: pl.DataFrame
    months: pl.DataFrame
    use: pl.DataFrame
    stages: pl.DataFrame


def read(connection: Connection, farm: Profile, plan: Plan, months: pl.DataFrame, sums: Sums) -> PictureData:
    """Read the data.

    Args:
        connection: The database.
        farm: The farm that it holds.
        plan: The farm's plan.
        months: table, month, rows: counted in the database.
        sums: Sums over the days of the farm.
    """
    daily = sums.days.with_columns(weight_g=weight_g())
    batches = frame(connection, "SELECT id AS batch_id, batch_number AS batch FROM batch_batch ORDER BY start_date, id")
    lived = batches.join(daily.select("batch_id").unique(), on="batch_id", how="semi", maintain_order="left")
    step = max(1, (lived.height - 1) // (SAMPLE_BATCHES - 1))
    some = lived.gather_every(step).head(SAMPLE_BATCHES)
    lives = some.join(daily, on="batch_id", maintain_order="left").select("batch", "date", "stage", "fish", "weight_g")
    return PictureData(
        lives, _with_plan(farm, plan, months), _use(connection, sums), _stages(connection, daily, farm.speed)
    )


def _with_plan(farm: Profile, plan: Plan, months: pl.DataFrame) -> pl.DataFrame:
    by_formula = [(name, planned_rows(REGISTRY[name], farm, plan)) for name in REGISTRY.events]
    planned = pl.concat(
        rows.select(pl.lit(name).alias("table"), "month", planned="rows")
        for name, rows in by_formula
        if rows is not None
    )
    counted = months.select("table", "month", "rows")
    both = counted.join(planned, on=["table", "month"], how="full", coalesce=True)
    return both.filter(pl.col("table").is_in(list(REGISTRY.events))).sort("table", "month")


def _use(connection: Connection, sums: Sums) -> pl.DataFrame:
    holding = (
        "SELECT count(*) AS of FROM infrastructure_container "
        "WHERE hierarchy_role = 'HOLDING' AND carrier_id IS NULL AND active"
    )
    # A container holds one assignment at a time, so the containers of batches can be added.
    occupied = sums.days.group_by("date").agg(occupied=pl.col("containers").sum())
    first = sums.use.group_by("container_id").agg(pl.col("date").min()).group_by("date").agg(new=pl.len())
    return (
        occupied.join(first, on="date", how="left")
        .sort("date")
        .select(
            "date",
            "occupied",
            ever=pl.col("new").fill_null(0).cast(pl.Int64).cum_sum(),
            days=pl.col("occupied").cum_sum(),
            of=pl.lit(frame(connection, holding).item(), pl.Int64),
        )
    )


def _stages(connection: Connection, daily: pl.DataFrame, speed: int) -> pl.DataFrame:
    rates = frame(
        connection,
        """SELECT l.id, l."order"::bigint AS stage, max(m.daily_rate_percent)::float8 / 100 AS daily_rate
        FROM batch_lifecyclestage l JOIN scenario_mortality_model_stage m ON m.lifecycle_stage = l.name
          JOIN scenario_mortalitymodel o ON o.model_id = m.mortality_model_id AND o.name = %(usual)s
        GROUP BY 1, 2""",
        {"usual": USUAL_MORTALITY},
    )
    lived = farm_rules.settled(farm_rules.by_stage(daily), speed)
    # The order is the same in every database; ids are not.
    order = rates.select("stage", id=pl.col("id").cast(pl.Int64))
    lived = lived.rename({"stage": "id"}).join(order, on="id", maintain_order="left").drop("id")
    fcr = pl.when(pl.col("feed_kg") > 0).then(pl.col("feed_kg") / pl.col("gain_kg"))
    return farm_rules.survived(lived, rates.drop("id"), hazard_bounds).select(
        "batch_id", "stage", "survival", "least", "most", fcr=fcr
    )


__all__ = ["PictureData", "read"]
