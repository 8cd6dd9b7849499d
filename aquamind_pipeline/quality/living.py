"""The tables of the farm as the rules of a nightly run see them: only batches that have lived since its first month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.months import first_day, month_key
from aquamind_pipeline.schema.inputs import Tables
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS


class LivingTables:
    """Rows of batches with fish in a month or later, over their whole lives. Earlier batches cannot have changed."""

    def __init__(self, tables: Tables, since: str) -> None:
        self._tables, self._since = tables, since

    def partitions(self, table: str) -> list[str]:
        """The months that a table has."""
        return self._tables.partitions(table)

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether a table without months, or a month of a table, is there."""
        return self._tables.has(table, partition)

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table's rows of living batches; all rows of a table that knows no batch."""
        months = partitions
        if months is None and (built := self.partitions(table)):
            months = [month for month in built if month >= self._born] or built
        rows = self._tables.scan(table, months)
        if "batch_id" in rows.collect_schema():
            return rows.filter(pl.col("batch_id").is_in(self._batches))
        parent = REGISTRY[table].parent
        if parent.table and not REGISTRY[table].is_monthly:
            parents = self.scan(parent.table).select(pl.col("id").alias(parent.column))
            return rows.join(parents, on=parent.column, how="semi")
        return rows

    @cached_property
    def _living(self) -> pl.DataFrame:
        """Assignments of the living batches."""
        left = pl.col("departure_date").fill_null(date.max)
        lives = (left > first_day(self._since)).any().over("batch_id")
        return self._tables.scan(ASSIGNMENTS).filter(lives).collect()

    @cached_property
    def _batches(self) -> list[int]:
        return self._living["batch_id"].unique().to_list()

    @cached_property
    def _born(self) -> str:
        """The month in which the oldest living batch began."""
        begun = self._living["assignment_date"].min()
        return month_key(begun) if isinstance(begun, date) else self._since


__all__ = ["LivingTables"]
