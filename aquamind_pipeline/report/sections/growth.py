"""Every batch: its fish on the first day after the egg stage (day 91), and over every transition."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import frame
from aquamind_pipeline.quality.farm_rules import with_day_before
from aquamind_pipeline.report.model import Check, Section
from aquamind_pipeline.report.sums import Sums, weight_g
from aquamind_pipeline.simulation.biology import STAGES, TRANSFER_MORTALITY
from aquamind_pipeline.simulation.deaths import hazard_bounds
from aquamind_pipeline.simulation.profile import Profile

_BATCHES = """
SELECT b.batch_number, b.id AS batch_id, b.start_date, c.total_eggs_received AS eggs,
  sum(a.mortality_during_transfer)::bigint AS dead_in_transfer
FROM batch_batch b JOIN batch_creationworkflow c ON c.batch_id = b.id
  LEFT JOIN batch_batchtransferworkflow t ON t.batch_id = b.id
  LEFT JOIN batch_transferaction a
    ON a.workflow_id = t.id AND a.actual_execution_date <= b.start_date + %(eggs_end)s::int
WHERE b.status NOT IN ('PLANNED', 'CANCELLED')
GROUP BY b.id, b.batch_number, b.start_date, c.total_eggs_received ORDER BY b.batch_number
"""

_DELIVERED = """
SELECT w.batch_id, a.actual_delivery_date AS date, sum(a.egg_count_actual)::bigint AS eggs
FROM batch_creationaction a JOIN batch_creationworkflow w ON w.id = a.workflow_id
WHERE a.actual_delivery_date IS NOT NULL GROUP BY 1, 2
"""


def section(connection: Connection, farm: Profile, sums: Sums) -> Section:
    """Check the fish of every batch against its records, its rate of survival, and its own day before."""
    eggs_end = farm.stage_days(STAGES[0].days)
    batches = frame(connection, _BATCHES, {"eggs_end": eggs_end})
    dead = (
        sums.dead.join(batches.select("batch_id", "start_date"), on="batch_id")
        .filter(pl.col("date") <= pl.col("start_date").dt.offset_by(f"{eggs_end}d"))
        .group_by("batch_id")
        .agg(pl.col("dead").sum())
    )
    grown = (
        batches.join(dead, on="batch_id", how="left", maintain_order="left")
        .join(
            _by_batch(sums.days, frame(connection, _DELIVERED), eggs_end + 1),
            on="batch_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("transitions", "gains").fill_null(0))
    )
    least, most = survival_of_eggs(farm, eggs_end)
    tested = grown.filter(pl.col("fish_after_eggs").is_not_null()).with_columns(
        by_records=pl.col("eggs") - pl.col("dead") - pl.col("dead_in_transfer").fill_null(0),
    )
    day = f"day {eggs_end + 1}"
    against_records = tested.filter(pl.col("by_records") != pl.col("fish_after_eggs"))
    rounding = farm.tanks_per_stage / pl.col("eggs")
    against_rate = tested.filter(~(pl.col("arrived") / pl.col("eggs")).is_between(least - rounding, most + rounding))
    gaining = grown.filter(pl.col("gains") > 0)
    checks = [
        Check(
            "states",
            grown["weight_g"].null_count() == 0,
            f"{grown.height} batches have daily states{sums.note}",
            grown.filter(pl.col("weight_g").is_null())["batch_number"].to_list(),
        ),
        _check(
            f"{day} by records",
            against_records,
            f"{tested.height} batches: population on {day} = eggs - dead",
            "population is not eggs - dead",
        ),
        _check(
            f"{day} by survival",
            against_rate,
            f"{least:.1%} to {most:.1%} of the eggs came to the next stage",
            f"not {least:.1%} to {most:.1%} of the eggs came to the next stage",
        ),
        _check(
            "no doubling",
            gaining,
            f"{grown['transitions'].sum()} transitions, population rises by deliveries of eggs only",
            "population rises by more than eggs that came",
        ),
    ]
    rows = grown.select(
        "batch_number",
        "eggs",
        "fish_after_eggs",
        (pl.col("fish_after_eggs") / pl.col("eggs")).alias("survival"),
        "transitions",
        "largest_ratio",
        pl.col("weight_g").round(1),
    ).rows()
    columns = ["batch", "eggs", f"fish on {day}", "survival", "transitions", "largest change", "weight now (g)"]
    return Section("Growth", columns, [list(row) for row in rows], checks)


def survival_of_eggs(farm: Profile, eggs_end: int) -> tuple[float, float]:
    """Smallest and largest share of the eggs whose fish come to the next stage: background, episodes, and the move."""
    rate = STAGES[0].daily_mortality * farm.speed
    days, trays = np.array([eggs_end]), np.array([farm.tanks_per_stage])
    low, high = (float(bound[0]) for bound in hazard_bounds(STAGES[0].order, days, trays, np.array([rate])))
    moved = 1 - TRANSFER_MORTALITY
    return (1 - rate) ** (eggs_end * high) * moved, (1 - rate) ** (eggs_end * low) * moved


def _by_batch(days: pl.DataFrame, delivered: pl.DataFrame, day_number: int) -> pl.DataFrame:
    """What the growth section says of each batch.

    Args:
        days: Of `Sums.days`.
        delivered: batch_id, date, eggs (that came).
        day_number: First day after the egg stage.

    Returns:
        batch_id, fish_after_eggs (fish on that day), arrived (with those that died on it), transitions, largest_ratio
        (of fish after and before a transition), gains (days on which a batch has more fish than on the day before and
        eggs that came), weight_g (on the last day).
    """
    daily = with_day_before(
        days.group_by("batch_id", "date")
        .agg(pl.col("day_number").min(), pl.col("stage").max(), pl.col("fish", "died", "mass_g").sum())
        .with_columns(weight_g=weight_g())
        .join(delivered, on=["batch_id", "date"], how="left")
    )
    fish, before, moved = pl.col("fish"), pl.col("fish_before"), pl.col("transition")
    return daily.group_by("batch_id").agg(
        fish_after_eggs=fish.filter(pl.col("day_number") == day_number).max(),
        arrived=(fish + pl.col("died")).filter(pl.col("day_number") == day_number).max(),
        transitions=moved.sum(),
        largest_ratio=(fish / before).filter(moved & (before > 0)).max(),
        gains=pl.col("gains").sum(),
        weight_g=pl.col("weight_g").last(),
    )


def _check(name: str, wrong: pl.DataFrame, passed: str, failed: str) -> Check:
    """A check that passes if no batch is wrong; else its detail names the first of them."""
    if wrong.is_empty():
        return Check(name, True, passed)
    more = " …" if wrong.height > 5 else ""
    return Check(
        name, False, f"{failed}: {', '.join(wrong['batch_number'].head(5))}{more}", wrong["batch_number"].to_list()
    )


__all__ = ["section", "survival_of_eggs"]
