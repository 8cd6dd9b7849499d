"""A farm for use from Python: its plan and any of its tables, without building anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from pathlib import Path

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS, BATCHES
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.mistakes import no_such
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.pipeline.preview import Preview, preview
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.schema.frames import references
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.profile import Profile

_MIXED_BATCH = "mixed_batch_id"
"""Column of the batch in tables about what mixed batches are made of."""


class Farm:
    """One farm, in memory. Making the object computes nothing. Faults of the profile are not put into its tables.

    Args:
        profile: Name of a profile, or path of a TOML file.
        seed: Another seed than the profile's.
        epoch: Another first day.
        as_of: Another last day.
        anchor: The day to which the farm is anchored, for a profile whose as_of is `today`.

    Raises:
        ConfigError: for an unknown profile or fault, or values that do not fit together.
    """

    def __init__(
        self,
        profile: str | Path = "test-40",
        *,
        seed: int | None = None,
        epoch: date | None = None,
        as_of: date | None = None,
        anchor: date | None = None,
    ) -> None:
        self.profile: Profile = load_profile(str(profile), seed=seed, epoch=epoch, as_of=as_of, anchor=anchor)
        self._tables = MemoryTables(self.profile)

    def __repr__(self) -> str:
        farm = self.profile
        return f"Farm({farm.name!r}, seed={farm.seed}, {farm.epoch} to {farm.as_of})"

    @cached_property
    def plan(self) -> Preview:
        """Batches, rows of each table, containers in use and disk that a build would take."""
        return preview(self.profile)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of AquaMind's tables, and of the lake's own, parents before children."""
        return tuple(REGISTRY)

    @property
    def months(self) -> list[str]:
        """The farm's months, such as `2026-03`."""
        return self._tables.partitions("life_day")

    @property
    def batches(self) -> pl.DataFrame:
        """Batches that have begun: batch_id, batch_number, geography_id, start_date, eggs, harvest_date and more."""
        return self._tables.scan("plan_batch").collect()

    @property
    def coming(self) -> pl.DataFrame:
        """Batches that are planned or were called off: batch_id, batch_number, start_date, cancelled_on and more."""
        begun = self.batches["batch_id"].implode()
        return self._tables.scan("plan_creation").filter(~pl.col("batch_id").is_in(begun)).collect()

    def table(self, name: str, *, month: str | None = None, batch: str | int | None = None) -> pl.DataFrame:
        """The rows of a table, the same as a build would write.

        Args:
            name: The table.
            month: Only this month, of a table that is kept by month.
            batch: Only this batch, by its number (`FI-2026-001`) or its id.

        Raises:
            ConfigError: when the farm has no such table, month or batch, or the table has no months or batches.
        """
        self._require(name, month)
        if batch is None:
            return self._tables.scan(name, None if month is None else [month]).collect()
        return self._of_batch(name, month, self._batch_id(batch))

    def _of_batch(self, name: str, month: str | None, batch_id: int) -> pl.DataFrame:
        definition = REGISTRY[name]
        if definition.kind is Kind.EVENT:
            if not definition.scope.has_batch:
                raise ConfigError(f"{name} has no batches: leave `batch` out")
            if batch_id in self.coming["batch_id"]:
                return self.table(name, month=month).clear()
            months: Sequence[str] = self.months if month is None else [month]
            return pl.concat(self._tables.make(name, one, [batch_id]) for one in months)
        rows = self.table(name, month=month)
        if name == BATCHES.name:
            return rows.filter(pl.col("id") == batch_id)
        if "batch_id" in rows.columns:
            return rows.filter(pl.col("batch_id") == batch_id)
        columns = {table: (column, key) for column, (table, key) in references(definition.table).items()}
        for owner in (definition.parent.table, ASSIGNMENTS.name):
            if owner in columns:
                column, key = columns[owner]
                owners = self._of_batch(owner, month if REGISTRY[owner].is_monthly else None, batch_id)[key]
                return rows.filter(pl.col(column).is_in(owners.implode()))
        if _MIXED_BATCH in rows.columns:
            return rows.filter(pl.col(_MIXED_BATCH) == batch_id)
        raise ConfigError(f"{name} has no batches: leave `batch` out")

    def _require(self, name: str, month: str | None) -> None:
        if not isinstance(name, str) or name not in REGISTRY:
            raise ConfigError(no_such("table", name, REGISTRY, "Farm.tables lists all"))
        if month is None:
            return
        if not REGISTRY[name].is_monthly:
            raise ConfigError(f"{name} is not kept by month: leave `month` out")
        if month not in self.months:
            raise ConfigError(f"there is no month {month!r}: the farm has {self.months[0]} to {self.months[-1]}")

    def _batch_id(self, batch: str | int) -> int:
        names = pl.concat(frame.select("batch_id", "batch_number") for frame in (self.batches, self.coming))
        for batch_id, number in names.iter_rows():
            if str(batch) in (str(batch_id), number):
                return int(batch_id)
        numbers = names["batch_number"].to_list()
        raise ConfigError(no_such("batch", batch, numbers, "Farm.batches and Farm.coming list all"))


__all__ = ["Farm"]
