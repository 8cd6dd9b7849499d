"""Estimates of a build's batches, rows and disk space, computed before the build."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import coming_batches
from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.months import months_between
from aquamind_pipeline.quality.volumes import rough_rows, total_rows
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import lake_schema, unique_keys
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule
from aquamind_pipeline.simulation.sites import build_sites

_MONTH_BYTES = (32_000, 350_000)
"""Overhead of a month, without its rows: bytes of its files in the lake, and of its partitions in PostgreSQL."""
_TABLE_BYTES = (4_000, 60_000)
"""Overhead of a table, without its rows: bytes in the lake, and in PostgreSQL."""
_EMPTY_BYTES = (0, 10_400_000)
"""Bytes of an empty lake, and of an empty database."""
_SERVER_BYTES, _SERVER_SHARE = 76_000_000, 0.13
"""Bytes of a server's own databases, and the size of its write-ahead log as a share of the data."""


@dataclass(frozen=True)
class Preview:
    """Batches, rows and disk space of a farm.

    Attributes:
        batches: Batches that have all their eggs by the farm's last day, without mixed ones.
        completed: Batches that are harvested by that day.
        active: Those that live on that day.
        coming: Batches by status that have not all their eggs: RECEIVING, PLANNED, CANCELLED.
        months: Months of the farm.
        rows: Rows of each table; None if chance decides.
        containers: Tanks and rings.
        containers_ever: Containers with fish on any day.
        containers_now: Containers with fish on the last day.
        containers_peak: Most containers with fish on one day.
        container_days_share: Share of all container-days that have fish.
        lake_bytes: Size of the lake.
        database_bytes: Size of the farm's database.
    """

    batches: int
    completed: int
    active: int
    coming: dict[str, int]
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
        """Size of the embedded server: the farm's database, the server's own databases, and the log."""
        return int(self.database_bytes * (1 + _SERVER_SHARE)) + _SERVER_BYTES


@cache
def preview(farm: Profile) -> Preview:
    """Plan the farm and count its batches, rows and bytes.

    Raises:
        ConfigError: when the profile asks for too many batches.
    """
    plan = schedule(farm)
    rows = {name: total_rows(REGISTRY[name], farm, plan) for name in REGISTRY.aquamind}
    days = rough_rows(LIFE_DAYS, farm, plan)
    done = int((plan.hatched["harvest_date"] <= farm.as_of).sum())
    containers = build_sites(farm.sites).holding.height
    occupied = _occupied(farm, plan)
    now = occupied.filter(pl.col("date") == farm.as_of)["containers"]
    months = len(months_between(farm.epoch, farm.as_of))
    counted = {name: rough_rows(one, farm, plan) for name, one in REGISTRY.items()}
    sizes = [
        sum(counted[name] * _bytes_per_row(one)[place] + _TABLE_BYTES[place] for name, one in REGISTRY.items())
        + months * _MONTH_BYTES[place]
        + _EMPTY_BYTES[place]
        for place in (0, 1)
    ]
    coming = coming_batches(farm, plan)
    received = plan.hatched.height - coming["RECEIVING"]
    return Preview(
        batches=received,
        completed=done,
        active=received - done,
        coming=coming,
        months=months,
        rows=rows,
        containers=containers,
        containers_ever=plan.assignments.filter(pl.col("assignment_date") <= farm.as_of)["container_id"].n_unique(),
        containers_now=int(now.sum()),
        containers_peak=int(str(occupied["containers"].max())),
        container_days_share=days / (containers * ((farm.as_of - farm.epoch).days + 1)),
        lake_bytes=int(sizes[0]),
        database_bytes=int(sizes[1]),
    )


def _bytes_per_row(definition: TableDefinition) -> tuple[float, float]:
    """Bytes of a row in the lake and in PostgreSQL: measured ones, or an estimate from the columns.

    In the lake, sequences of numbers and repeated texts are compressed to about 2 bytes per column. In PostgreSQL a row
    has a header of 28 bytes, its values, and about 50 bytes for each index.
    """
    if definition.bytes_per_row is not None:
        return definition.bytes_per_row
    if definition.lake_only:
        return 2.0 * len(definition.table.columns), 0.0
    stored = len(lake_schema(definition.table))
    indexes = 1 + len(unique_keys(definition.table)) + len(definition.table.indexes)
    return 2.0 * stored, 28.0 + 8.0 * len(definition.table.columns) + 50.0 * indexes


def _occupied(farm: Profile, plan: Plan) -> pl.DataFrame:
    """date, and the number of containers with fish on it, for each day of the farm."""
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
