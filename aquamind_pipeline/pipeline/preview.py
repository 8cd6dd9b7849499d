"""What a build will make, computed before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.farm.volume import RANDOM_TABLES, monthly_volume, total_volume
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule
from aquamind_pipeline.simulation.sites import infrastructure

BYTES_PER_ROW = {
    "environmental_environmentalreading": (3, 164),
    "inventory_feedingevent": (10, 217),
    "batch_mortalityevent": (6, 236),
    "batch_growthsample": (22, 298),
    "batch_actualdailyassignmentstate": (16, 446),
}
"""Bytes in the lake and in PostgreSQL (with keys and indexes), measured on test-40."""
_LIFE_BYTES = 27  # life and temperature, per assignment-day
_REST_BYTES = (370_000, 20_000_000)  # all other tables
_MONTH_BYTES = (10_000, 350_000)  # what files and partitions have beside their rows
_SERVER_BYTES, _SERVER_SHARE = 86_000_000, 0.13  # its own databases, and its log of what is written


@dataclass(frozen=True)
class Preview:
    """Batches, rows and disk that a farm will take. `rows`: by table, None where chance decides."""

    batches: int
    completed: int
    active: int
    months: int
    rows: dict[str, int | None]
    containers: int
    containers_ever: int
    containers_now: int
    containers_peak: int
    container_days_share: float
    lake_bytes: int
    database_bytes: int

    @property
    def server_bytes(self) -> int:
        """What the embedded server takes: the farm's database, and what a server has beside it."""
        return int(self.database_bytes * (1 + _SERVER_SHARE)) + _SERVER_BYTES


@cache
def preview(farm: Profile) -> Preview:
    """Plan the farm and count.

    Raises:
        ConfigError: when the profile asks for more than the farm holds.
    """
    plan = schedule(farm)
    rows: dict[str, int | None] = {**total_volume(farm, plan), **dict.fromkeys(RANDOM_TABLES)}
    days = rows[tables.STATE_TABLE] or 0
    done = int((plan.batches["harvest_date"] <= farm.as_of).sum())
    containers = (
        infrastructure(farm.sites)["infrastructure_container"].filter(pl.col("hierarchy_role") == "HOLDING").height
    )
    occupied = _occupied(farm, plan)
    now = occupied.filter(pl.col("date") == farm.as_of)["containers"]
    # A mortality event exists on nearly every assignment-day.
    counted = rows | {"batch_mortalityevent": days}
    months = monthly_volume(farm, plan)["month"].n_unique()
    sizes = [
        sum((counted[name] or 0) * size[place] for name, size in BYTES_PER_ROW.items())
        + months * _MONTH_BYTES[place]
        + _REST_BYTES[place]
        for place in (0, 1)
    ]
    return Preview(
        batches=plan.batches.height,
        completed=done,
        active=plan.batches.height - done,
        months=months,
        rows=rows,
        containers=containers,
        containers_ever=plan.assignments.filter(pl.col("assignment_date") <= farm.as_of)["container_id"].n_unique(),
        containers_now=int(now.sum()),
        containers_peak=int(str(occupied["containers"].max())),
        container_days_share=days / (containers * ((farm.as_of - farm.epoch).days + 1)),
        lake_bytes=sizes[0] + days * _LIFE_BYTES,
        database_bytes=sizes[1],
    )


def _occupied(farm: Profile, plan: Plan) -> pl.DataFrame:
    """date, containers: with fish on each day."""
    begun = plan.assignments.filter(pl.col("assignment_date") <= farm.as_of)
    change = pl.concat(
        [begun.select(date="assignment_date", by=pl.lit(1)), begun.select(date="departure_date", by=pl.lit(-1))]
    )
    days = pl.DataFrame({"date": pl.date_range(farm.epoch, farm.as_of, "1d", eager=True)})
    daily = change.group_by("date").agg(pl.col("by").sum())
    return days.join(daily, on="date", how="left", maintain_order="left").select(
        "date", containers=pl.col("by").fill_null(0).cum_sum()
    )


__all__ = ["Preview", "preview"]
