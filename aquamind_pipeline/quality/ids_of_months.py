"""Finds ids that occur in several months of a table, without holding the ids of all months.

Ids of a month form few stretches with small gaps. An id that occurs in two months lies in a stretch of each. So ids are
read again only if stretches of two months overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from aquamind_pipeline.schema.check_result import CheckResult, check_result

_GAP = 32
"""Ids that are closer than this are in one stretch."""


def stretches(ids: pl.Series) -> pl.DataFrame:
    """The stretches that hold all ids, in their order: first, last."""
    ordered = ids.drop_nulls().sort()
    begins = (ordered.diff() >= _GAP).fill_null(value=True)
    ends = begins.shift(-1, fill_value=True)
    return pl.DataFrame({"first": ordered.filter(begins), "last": ordered.filter(ends)})


def ids_of_several_months(
    rule: str, key: str, months: Mapping[str, pl.DataFrame], ids: Callable[[str], pl.Series]
) -> CheckResult:
    """Check that no id occurs in two months.

    Args:
        rule: Name of the rule that the result is of.
        key: Name of the column with the ids.
        months: The stretches of each month.
        ids: Reads the ids of a month.
    """
    shared, names = _shared(months), pl.Enum(list(months))
    found = (
        [_within(ids(month), shared).with_columns(month=pl.lit(month, names)) for month in months]
        if shared.height
        else []
    )
    wrong = pl.DataFrame()
    if found:
        seen = pl.concat(found).group_by("id").agg(pl.col("month").sort())
        repeated = seen.filter(pl.col("month").list.len() > 1).sort("id")
        wrong = repeated.select(
            pl.col("month").cast(pl.List(pl.String)).list.join(", ").alias("(month)"),
            pl.lit(key).alias("key"),
            pl.col("id").cast(pl.String).alias("value"),
            pl.col("month").list.len().cast(pl.Int64).alias("rows"),
        )
    return check_result(
        rule,
        wrong,
        f"no {key} occurs in two of {len(months)} months",
        f"values of {key} that occur in several months: {wrong.height:,}",
    )


def _shared(months: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Where stretches of two months overlap: first, last. Every id of two months lies there."""
    every = pl.concat(months.values()).sort("first", "last").with_columns(reach=pl.col("last").cum_max().shift())
    overlapping = every.filter(pl.col("first") <= pl.col("reach"))
    return overlapping.select("first", last=pl.min_horizontal("last", "reach").cum_max())


def _within(ids: pl.Series, places: pl.DataFrame) -> pl.DataFrame:
    """The different ids of a month in some places: id."""
    ordered = ids.drop_nulls().unique().sort().alias("id").to_frame()
    placed = ordered.join_asof(places, left_on="id", right_on="first", check_sortedness=False)
    return placed.filter(pl.col("id") <= pl.col("last")).select("id")


__all__ = ["ids_of_several_months", "stretches"]
