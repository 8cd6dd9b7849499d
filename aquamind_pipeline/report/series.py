"""What the report's pictures show, from the database."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.farm.life import hazard_bounds
from aquamind_pipeline.farm.schedule import Plan
from aquamind_pipeline.farm.volume import monthly_volume
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import frame
from aquamind_pipeline.profile import Profile
from aquamind_pipeline.quality import farm_rules

SAMPLE_BATCHES = 4


@dataclass(frozen=True)
class Series:
    """Frames behind the pictures.

    Attributes:
        lives: batch, date, stage, fish, weight_g of some batches, from the oldest to the newest.
        months: table, month, rows, planned (null where chance decides).
        use: date, occupied (containers with fish), ever (used so far), days (container-days used so far), of (all).
        stages: batch_id, stage, survival, least and most survival, fcr of each batch's settled stages.
    """

    lives: pl.DataFrame
    months: pl.DataFrame
    use: pl.DataFrame
    stages: pl.DataFrame


def read(connection: Connection, farm: Profile, plan: Plan, months: pl.DataFrame) -> Series:
    """Ask the database, where the report has made `batch_day`.

    Args:
        connection: Where.
        farm: The farm that it holds.
        plan: Its plan.
        months: table, month, rows as counted there.
    """
    daily = frame(
        connection,
        """SELECT batch_id, date, stage, containers, fish, died, feed_kg::float8, temp_c::float8,
          (mass_g / nullif(fish, 0))::float8 AS weight_g
        FROM batch_day ORDER BY 1, 2""",
    ).cast({"feed_kg": pl.Float64, "temp_c": pl.Float64, "weight_g": pl.Float64})
    batches = frame(connection, "SELECT id AS batch_id, batch_number AS batch FROM batch_batch ORDER BY start_date, id")
    lived = batches.join(daily.select("batch_id").unique(), on="batch_id", how="semi", maintain_order="left")
    step = max(1, (lived.height - 1) // (SAMPLE_BATCHES - 1))
    some = lived.gather_every(step).head(SAMPLE_BATCHES)
    lives = some.join(daily, on="batch_id", maintain_order="left").select("batch", "date", "stage", "fish", "weight_g")
    return Series(lives, _with_plan(farm, plan, months), _use(connection), _stages(connection, daily, farm.speed))


def _with_plan(farm: Profile, plan: Plan, months: pl.DataFrame) -> pl.DataFrame:
    planned = monthly_volume(farm, plan).select("table", "month", planned=pl.col("rows").cast(pl.Int64))
    counted = months.select("table", "month", "rows")
    both = counted.join(planned, on=["table", "month"], how="full", coalesce=True)
    return both.filter(pl.col("table").is_in(list(tables.EVENT_TABLES))).sort("table", "month")


def _use(connection: Connection) -> pl.DataFrame:
    by_day = frame(
        connection,
        # A container holds one stay at a time, so that days need no DISTINCT, which costs as much as all the rest.
        """WITH first AS (SELECT min(date) AS date FROM batch_actualdailyassignmentstate GROUP BY container_id)
        SELECT u.date, u.occupied, coalesce(f.new, 0)::bigint AS new,
          (SELECT count(*) FROM infrastructure_container WHERE hierarchy_role = 'HOLDING' AND active) AS of
        FROM (SELECT date, count(*) AS occupied FROM batch_actualdailyassignmentstate GROUP BY 1) u
        LEFT JOIN (SELECT date, count(*) AS new FROM first GROUP BY 1) f ON f.date = u.date ORDER BY 1""",
    )
    return by_day.select(
        "date", "occupied", ever=pl.col("new").cum_sum(), days=pl.col("occupied").cum_sum(), of=pl.col("of")
    )


def _stages(connection: Connection, daily: pl.DataFrame, speed: int) -> pl.DataFrame:
    rates = frame(
        connection,
        """SELECT l.id AS stage, max(m.daily_rate_percent)::float8 / 100 AS daily_rate FROM batch_lifecyclestage l
        JOIN scenario_mortality_model_stage m ON m.lifecycle_stage = l.name GROUP BY 1""",
    )
    lived = farm_rules.settled(farm_rules.by_stage(daily), speed)
    fcr = pl.when(pl.col("feed_kg") > 0).then(pl.col("feed_kg") / pl.col("gain_kg"))
    return farm_rules.survived(lived, rates, hazard_bounds).select(
        "batch_id", "stage", "survival", "least", "most", fcr=fcr
    )


__all__ = ["Series", "read"]
