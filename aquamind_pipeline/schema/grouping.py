"""Fast grouping and sorting by several columns of whole numbers, and a fast test whether numbers are all different."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

_MANY_ROWS = 100_000
"""From so many rows on, packing takes less time than it saves. It has a fixed cost of a millisecond."""
_LARGEST_KEY = 2**63
_PACKED = "(packed)"
_DATES = 2**20
"""More days than there are from 1970 to any date."""


def grouped(
    rows: pl.DataFrame, keys: Mapping[str, pl.Expr], *sums: pl.Expr, packed_from: int = _MANY_ROWS
) -> pl.DataFrame:
    """Return `rows.group_by(**keys).agg(*sums)` in no certain order. Keys are whole numbers or days.

    The keys of a row are packed into one number, which is about four times as fast. Few rows, keys with nulls, and keys
    that do not fit into 64 bits are grouped without packing.

    Args:
        rows: Rows to group.
        keys: Expression of each key, by name.
        sums: Aggregations.
        packed_from: Number of rows from which keys are packed.
    """
    named = [key.alias(name) for name, key in keys.items()]
    if rows.height < packed_from:
        return rows.lazy().group_by(named).agg(*sums).collect()
    values = rows.select(named)
    numbers = values.select(pl.all().to_physical().cast(pl.Int64))
    if not rows.height or any(number.null_count() for number in numbers):
        return rows.lazy().group_by(named).agg(*sums).collect()
    smallest, largest = numbers.min().row(0), numbers.max().row(0)
    spans = [high - low + 1 for low, high in zip(smallest, largest, strict=True)]
    if math.prod(spans) >= _LARGEST_KEY:
        return rows.lazy().group_by(named).agg(*sums).collect()

    packed = pl.lit(0, pl.Int64)
    for name, low, span in zip(keys, smallest, spans, strict=True):
        packed = packed * span + (pl.col(name) - low)
    key = numbers.select(packed.alias(_PACKED)).to_series()
    groups = rows.lazy().with_columns(key).group_by(_PACKED).agg(*sums).collect(engine="streaming")

    rest, unpacked = pl.col(_PACKED), []
    for (name, dtype), low, span in reversed(list(zip(values.schema.items(), smallest, spans, strict=True))):
        physical = pl.Int32 if dtype == pl.Date else pl.Int64
        unpacked.append((rest % span + low).cast(physical).cast(dtype).alias(name))
        rest = rest // span
    return groups.select(*reversed(unpacked), pl.exclude(_PACKED))


def by_container_and_date(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort rows by container_id and date. Sorting by one packed number takes a third of the time of two columns."""
    return rows.sort(pl.col("container_id") * _DATES + pl.col("date").to_physical())


def all_different(numbers: pl.Series) -> bool:
    """Whether no whole number occurs twice.

    The numbers are cut into runs of successive numbers. If no two runs overlap, all numbers are different. Ids of a
    table form few runs, so this is many times as fast as counting unique values. The result is right for any numbers.
    """
    begins = numbers.diff().ne_missing(1)
    ends = begins.shift(-1, fill_value=True)
    runs = pl.DataFrame({"first": numbers.filter(begins), "last": numbers.filter(ends)}).sort("first")
    return bool((runs["first"] > runs["last"].shift()).all())


__all__ = ["all_different", "by_container_and_date", "grouped"]
