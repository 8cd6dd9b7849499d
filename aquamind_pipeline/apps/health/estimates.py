"""Rough numbers of rows, for the estimate of disk space only."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, rows_by_month

Estimate = Callable[[Profile, Plan], int]


def a_container_day(rows: float, most: float = 0.05) -> Estimate:
    """So many rows for each day of real fish of each container, as counted on `test-40`; `most` for a farm's day."""
    return lambda farm, plan: int(_days(farm, plan, at_sea_only=False) * min(rows * farm.speed, most))


def a_ring_day(rows: float, most: float) -> Estimate:
    """The same for rings."""
    return lambda farm, plan: int(_days(farm, plan, at_sea_only=True) * min(rows * farm.speed, most))


def _days(farm: Profile, plan: Plan, *, at_sea_only: bool) -> int:
    counts = (pl.col("stage") == ADULT.order) if at_sea_only else pl.lit(True)
    days = rows_by_month(farm, plan, pl.when(counts).then(pl.col("until") - pl.col("since")).otherwise(0))
    return int(days["rows"].sum())


__all__ = ["Estimate", "a_container_day", "a_ring_day"]
