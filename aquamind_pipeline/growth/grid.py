"""A row for every day of every assignment or container.

The days of one id are consecutive rows. So the row of an id and a day is found by arithmetic, without a join.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Ints

_DENSE = 4
"""If ids span at most this many times their number, a lookup table finds them; otherwise bisection does."""
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Grid:
    """Rows for the days of some ids. Days are counted from 1970-01-01.

    Attributes:
        ids: Assignments or containers, ascending.
        start: First day of each id.
        length: Number of days of each id; 0 for none.
        first: Row of the first day of each id.
    """

    ids: Ints
    start: Ints
    length: Ints
    first: Ints

    @classmethod
    def from_spans(cls, ids: Ints, start: Ints, end: Ints) -> Self:
        """Grid of ascending ids, each from its day `start` to the day before `end`."""
        length = np.maximum(0, end - start)
        return cls(ids, start, length, np.cumsum(length) - length)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.length.sum())

    @cached_property
    def owner(self) -> Ints:
        """Position in `ids` of each row."""
        return np.repeat(np.arange(self.ids.size), self.length)

    @cached_property
    def day(self) -> Ints:
        """Day of each row."""
        return np.arange(self.rows) + np.repeat(self.start - self.first, self.length)

    @cached_property
    def _table(self) -> Ints | None:
        if self.ids.size == 0 or int(self.ids[-1] - self.ids[0]) > _DENSE * self.ids.size + 1000:
            return None
        table = np.full(int(self.ids[-1] - self.ids[0]) + 1, -1)
        table[self.ids - self.ids[0]] = np.arange(self.ids.size)
        return table

    def position(self, ids: Ints) -> Ints:
        """Positions in `ids`; -1 for an unknown id."""
        if self.ids.size == 0:
            return np.full(ids.size, -1)
        if (table := self._table) is not None:
            offset = ids - self.ids[0]
            inside = (offset >= 0) & (offset < table.size)
            return np.where(inside, table[np.where(inside, offset, 0)], -1)
        nearest = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
        return np.where(self.ids[nearest] == ids, nearest, -1)

    def row_at(self, position: Ints, days: Ints) -> Ints:
        """Rows of positions in `ids` on some days; -1 for position -1 and for days without a row."""
        if self.ids.size == 0:
            return np.full(position.size, -1)
        offset = days - self.start[position]
        has_row = (position >= 0) & (offset >= 0) & (offset < self.length[position])
        return np.where(has_row, self.first[position] + offset, -1)

    def row(self, ids: Ints, days: Ints) -> Ints:
        """Rows of ids on some days; -1 for an unknown id and for days without a row."""
        return self.row_at(self.position(ids), days)

    def total(self, ids: Ints, days: Ints, counts: Ints) -> Ints:
        """Sum of counts by row. Counts outside the grid are left out."""
        rows = self.row(ids, days)
        inside = rows >= 0
        return np.bincount(rows[inside], counts[inside], self.rows).astype(np.int64)


def day_numbers(dates: pl.Series) -> Ints:
    """Dates as days since 1970-01-01."""
    return dates.to_physical().to_numpy().astype(np.int64)


def day_number(day: date) -> int:
    """A date as days since 1970-01-01."""
    return (day - _EPOCH).days


def calendar_day(number: int) -> date:
    """The date that is so many days after 1970-01-01."""
    return _EPOCH + timedelta(days=int(number))


__all__ = ["Grid", "calendar_day", "day_number", "day_numbers"]
