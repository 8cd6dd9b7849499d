"""Days in rows: each thing (an assignment, a container) has one row for every day it is there, one after the other.

Since days are consecutive, the row of a thing's day is arithmetic, not a join.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Ints

_DENSE = 4
"""Ids up to this many times their number are looked up in a table, wider ones by bisection."""


@dataclass(frozen=True)
class Grid:
    """Rows of days. Days are whole numbers since 1970-01-01.

    ids: ascending. start: first day of each. length: number of days, 0 for none. first: row of the first day.
    """

    ids: Ints
    start: Ints
    length: Ints
    first: Ints

    @classmethod
    def of(cls, ids: Ints, start: Ints, end: Ints) -> Self:
        """Grid from ascending ids, first days and the days after the last."""
        length = np.maximum(0, end - start)
        return cls(ids, start, length, np.cumsum(length) - length)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.length.sum())

    @cached_property
    def owner(self) -> Ints:
        """Position in `ids`, by row."""
        return np.repeat(np.arange(self.ids.size), self.length)

    @cached_property
    def day(self) -> Ints:
        """Day, by row."""
        return np.arange(self.rows) + np.repeat(self.start - self.first, self.length)

    @cached_property
    def _table(self) -> Ints | None:
        if self.ids.size == 0 or int(self.ids[-1] - self.ids[0]) > _DENSE * self.ids.size + 1000:
            return None
        table = np.full(int(self.ids[-1] - self.ids[0]) + 1, -1)
        table[self.ids - self.ids[0]] = np.arange(self.ids.size)
        return table

    def position(self, ids: Ints) -> Ints:
        """Position in `ids`, -1 where there is none."""
        if self.ids.size == 0:
            return np.full(ids.size, -1)
        if (table := self._table) is not None:
            at = ids - self.ids[0]
            inside = (at >= 0) & (at < table.size)
            return np.where(inside, table[np.where(inside, at, 0)], -1)
        at = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
        return np.where(self.ids[at] == ids, at, -1)

    def row_at(self, position: Ints, days: Ints) -> Ints:
        """Row of the day of a position (-1 for none), -1 where it has no such day."""
        ahead = days - self.start[position]
        there = (position >= 0) & (ahead >= 0) & (ahead < self.length[position])
        return np.where(there, self.first[position] + ahead, -1)

    def row(self, ids: Ints, days: Ints) -> Ints:
        """Row of the day of an id, -1 where it has no such day."""
        return self.row_at(self.position(ids), days)

    def total(self, ids: Ints, days: Ints, counts: Ints) -> Ints:
        """Sum of counts by row; those outside the grid are left out."""
        rows = self.row(ids, days)
        inside = rows >= 0
        return np.bincount(rows[inside], counts[inside], self.rows).astype(np.int64)


def day_numbers(dates: pl.Series) -> Ints:
    """Dates as days since 1970-01-01."""
    return dates.to_physical().to_numpy().astype(np.int64)


__all__ = ["Grid", "day_numbers"]
