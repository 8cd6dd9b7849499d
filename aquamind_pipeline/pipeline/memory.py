"""A farm's tables in memory: each is made when it is first read, and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.months import month_of, months_between
from aquamind_pipeline.schema.frames import conform
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.simulation.profile import Profile


class MemoryTables:
    """Tables of a farm, in the lake's columns and with the lake's rows.

    What was made is kept as long as the object: this is for small farms, and for parts of large ones.
    """

    def __init__(self, farm: Profile) -> None:
        self.farm = farm
        self._months = months_between(farm.epoch, farm.as_of)
        self._made: dict[tuple[str, str | None], pl.DataFrame] = {}
        self._shared: dict[str, dict[Any, Any]] = {}
        self._own: dict[tuple[str, str | None], dict[Any, Any]] = {}

    def partitions(self, table: str) -> list[str]:
        """The farm's months, of a table that is kept by month."""
        return list(self._months) if REGISTRY[table].is_monthly else []

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether the farm has the table or the month: it is made when it is read."""
        return partition is None or partition in self._months

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table, or some months of it."""
        definition = REGISTRY[table]
        if not definition.is_monthly:
            return self._part(table).lazy()
        months = self._months if partitions is None else partitions
        if definition.batch_slices:
            month = month_of(str(definition.time))
            rows = self._part(table).lazy().filter(month.is_in(list(months)))
            return rows.sort(month, maintain_order=True)  # one month after the other, as in the lake
        none = self._part(table, self._months[0]).head(0)
        return pl.concat([none, *(self._part(table, month) for month in months)]).lazy()

    def make(self, table: str, month: str | None = None, batches: Sequence[int] | None = None) -> pl.DataFrame:
        """Make a table, or a part of it, in the lake's columns."""
        definition = REGISTRY[table]
        step = definition.build_step
        shared = self._shared.setdefault(step, {})
        own = self._own.setdefault((step, month), {}) if batches is None else None
        months = () if month is None else (month,)
        inputs = Inputs(definition, self.farm, self, months=months, batches=batches, shared=shared, own=own)
        return conform(definition.make(inputs), definition.table)

    def _part(self, table: str, month: str | None = None) -> pl.DataFrame:
        if (table, month) not in self._made:
            self._made[table, month] = self.make(table, month)
        return self._made[table, month]


__all__ = ["MemoryTables"]
