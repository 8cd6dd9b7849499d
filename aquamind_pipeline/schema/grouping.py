"""Fast grouping and sorting by several columns of whole numbers, and a fast test whether numbers are all different."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

_LARGEST_KEY = 2**63
_DATES = 2**20
"""More days than there are from 1970 to any date."""


def grouped(rows: pl.DataFrame, keys: Mapping[str, pl.Expr], *sums: pl.Expr) -> pl.DataFrame:
    """Return `rows.group_by(**keys).agg(*sums)` in no certain order. Keys are whole numbers or days.

    The keys of a row are packed into one number, which is about four times as fast. Keys with nulls, and keys that do
    not fit into 64 bits, are grouped without packing.

    Args:
        rows: Rows to group.
        keys: Expression of each key, by name.
        sums: Aggregations.
    """
    named = [key.alias(name) for name, key in keys.items()]
    schema = rows.lazy().select(named).collect_schema()
    numbers = {name: key.to_physical().cast(pl.Int64) for name, key in keys.items()}
    smallest, largest, nulls = (
        rows.select(getattr(pl.Expr, method)(key).alias(name) for name, key in numbers.items()).row(0)
        for method in ("min", "max", "null_count")
    )
    if any(nulls) or not rows.height:
        return rows.lazy().group_by(named).agg(*sums).collect()
    spans = [high - low + 1 for low, high in zip(smallest, largest, strict=True)]
    if math.prod(spans) >= _LARGEST_KEY:
        return rows.lazy().group_by(named).agg(*sums).collect()

    packed = pl.lit(0, pl.Int64)
    for key, low, span in zip(numbers.values(), smallest, spans, strict=True):
        packed = packed * span + (key - low)
    groups = rows.lazy().group_by(packed=packed).agg(*sums).collect(engine="streaming")

    rest, unpacked = pl.col("packed"), []
    for (name, dtype), low, span in reversed(list(zip(schema.items(), smallest, spans, strict=True))):
        physical = pl.Int32 if dtype == pl.Date else pl.Int64
        unpacked.append((rest % span + low).cast(physical).cast(dtype).alias(name))
        rest = rest // span
    return groups.select(*reversed(unpacked), pl.exclude("packed"))


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
