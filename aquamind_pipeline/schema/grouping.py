"""Grouping by several whole-numbered columns as by one, and whole numbers that are all different."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

_ROOM = 2**63


def grouped(rows: pl.DataFrame, keys: Mapping[str, pl.Expr], *sums: pl.Expr) -> pl.DataFrame:
    """`rows.group_by(**keys).agg(*sums)`, in no certain order, for keys of whole numbers and days.

    Keys are packed into one number, by their spans, which makes it about four times as fast. Where they have no room in
    64 bits, or have nulls, they are grouped as they are.
    """
    named = [key.alias(name) for name, key in keys.items()]
    schema = rows.lazy().select(named).collect_schema()
    numbers = {name: key.to_physical().cast(pl.Int64) for name, key in keys.items()}
    least, most, nulls = (
        rows.select(getattr(pl.Expr, of)(key).alias(name) for name, key in numbers.items()).row(0)
        for of in ("min", "max", "null_count")
    )
    if any(nulls) or not rows.height:
        return rows.lazy().group_by(named).agg(*sums).collect()
    spans = [high - low + 1 for low, high in zip(least, most, strict=True)]
    if math.prod(spans) >= _ROOM:
        return rows.lazy().group_by(named).agg(*sums).collect()

    packed = pl.lit(0, pl.Int64)
    for key, low, span in zip(numbers.values(), least, spans, strict=True):
        packed = packed * span + (key - low)
    found = rows.lazy().group_by(packed=packed).agg(*sums).collect(engine="streaming")

    rest, unpacked = pl.col("packed"), []
    for (name, dtype), low, span in reversed(list(zip(schema.items(), least, spans, strict=True))):
        physical = pl.Int32 if dtype == pl.Date else pl.Int64
        unpacked.append((rest % span + low).cast(physical).cast(dtype).alias(name))
        rest = rest // span
    return found.select(*reversed(unpacked), pl.exclude("packed"))


def all_different(numbers: pl.Series) -> bool:
    """Whether no whole number comes twice, by its runs of successive numbers: no two of them may overlap.

    Ours come in few runs, which makes it many times as fast as counting unique values; it holds for any numbers.
    """
    begins = numbers.diff().ne_missing(1)
    ends = begins.shift(-1, fill_value=True)
    runs = pl.DataFrame({"first": numbers.filter(begins), "last": numbers.filter(ends)}).sort("first")
    return bool((runs["first"] > runs["last"].shift()).all())


__all__ = ["all_different", "grouped"]
