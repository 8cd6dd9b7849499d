"""Deaths and lice by farm-month: a batch at sea in a full calendar month, as the industry reports them by site.

The figures of real farms are in docs/reference/fish-health.md.
"""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.mixing import is_mixed

EARLY_MONTHS, LATE_MONTH = 4, 7
"""The first months at sea, and the number of full months after which the late ones begin."""
QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
REPORTED = 0.005
"""Reports have two decimals: fewer adult females than this are reported as none."""
_MONTH = pl.col("date").dt.truncate("1mo")
NO_LICE = pl.DataFrame(schema={"batch_id": pl.Int64, "month": pl.Date, "lice": pl.Float64})
"""Lice by month of a farm without counts."""
_LEVEL = 0.05
"""Added to a mortality in percent before its logarithm is taken."""


def farm_months(days: pl.LazyFrame | pl.DataFrame, counts: pl.LazyFrame | pl.DataFrame | None = None) -> pl.DataFrame:
    """Deaths and lice of each batch in each full calendar month at sea, but for mixed batches, which are no sites.

    Args:
        days: batch_id, stage, date, population (at the end of the day), deaths: one or several rows for each batch and
            day.
        counts: batch_id, date, adult_female (found in all), fish_counted: one row for each ring and count.

    Returns:
        batch_id, month (its first day), months_at_sea (full months before it, from 0), mortality (% of the fish at the
        month's start), lice (adult females per fish, mean of the month's counts; null without counts), sorted.
    """
    at_sea = days.lazy().filter(pl.col("stage") == ADULT.order, ~is_mixed(pl.col("batch_id")))
    daily = at_sea.group_by("batch_id", "date").agg(pl.col("population").sum(), pl.col("deaths").sum())
    months = (
        daily.sort("batch_id", "date")
        .group_by("batch_id", _MONTH.alias("month"), maintain_order=True)
        .agg(
            lived=pl.len(),
            fish=(pl.col("population") + pl.col("deaths")).first(),
            deaths=pl.col("deaths").sum(),
        )
        .filter(pl.col("lived") == pl.col("month").dt.month_end().dt.day(), pl.col("fish") > 0)
        .sort("batch_id", "month")
        .select(
            "batch_id",
            "month",
            months_at_sea=pl.int_range(pl.len()).over("batch_id"),
            mortality=100.0 * pl.col("deaths") / pl.col("fish"),
        )
        .collect()
    )
    return with_lice(months, lice_by_month(counts)) if counts is not None else with_lice(months, NO_LICE)


def lice_by_month(counts: pl.LazyFrame | pl.DataFrame) -> pl.DataFrame:
    """Adult females per fish, mean of the counts of a batch in a calendar month: batch_id, month, lice.

    Args:
        counts: batch_id, date, adult_female (found in all), fish_counted: one row for each ring and count.
    """
    share = pl.col("adult_female") / pl.col("fish_counted")
    return counts.lazy().group_by("batch_id", _MONTH.alias("month")).agg(lice=share.mean()).collect()


def with_lice(months: pl.DataFrame, lice: pl.DataFrame) -> pl.DataFrame:
    """Farm-months with the lice of `lice_by_month`."""
    return months.drop("lice", strict=False).join(lice, on=["batch_id", "month"], how="left", maintain_order="left")


def statistics(months: pl.DataFrame) -> dict[str, float]:
    """Figures that can be compared with those of real farms.

    Args:
        months: From `farm_months`.

    Returns:
        Of `mortality` and `lice`: mean, quantiles, maximum and the correlation with the month before, as
        `mortality_mean`, `mortality_p90`, `lice_max`, `lice_next` and so on; `mortality_over_1`, the share of months
        above 1 %; `lice_none`, the share without adult females; `mortality_rise` and `lice_rise`, the mean after
        `LATE_MONTH` months at sea over that of the first `EARLY_MONTHS`. The correlation of mortality is one of
        logarithms. A figure without data is not a number.
    """
    found: dict[str, float] = {"months": float(months.height)}
    for name in ("mortality", "lice"):
        known = months.drop_nulls(name)
        values = known[name]
        found[f"{name}_mean"] = _number(values.mean())
        found |= {f"{name}_p{round(100 * q)}": _number(values.quantile(q, "linear")) for q in QUANTILES}
        found[f"{name}_max"] = _number(values.max())
        level = (pl.col(name) + _LEVEL).log() if name == "mortality" else pl.col(name)
        following = pl.col("month").shift(-1).over("batch_id") == pl.col("month").dt.offset_by("1mo")
        pairs = known.select(
            now=level, then=level.shift(-1).over("batch_id"), following=following.fill_null(value=False)
        ).filter("following")
        found[f"{name}_next"] = _number(pairs.select(pl.corr("now", "then")).item())
    found["mortality_over_1"] = _number((months["mortality"] > 1.0).mean())
    found |= {f"{name}_rise": _rise(months, name) for name in ("mortality", "lice")}
    found["lice_none"] = _number((months["lice"].drop_nulls() < REPORTED).mean())
    return found


def _rise(months: pl.DataFrame, name: str) -> float:
    early = _number(months.filter(pl.col("months_at_sea") < EARLY_MONTHS)[name].mean())
    late = _number(months.filter(pl.col("months_at_sea") >= LATE_MONTH)[name].mean())
    return late / early if early > 0.0 else float("nan")


def by_age(months: pl.DataFrame) -> pl.DataFrame:
    """Mean mortality and lice by full months at sea: months_at_sea, months, mortality, median_mortality, lice."""
    return (
        months.group_by("months_at_sea")
        .agg(
            months=pl.len(),
            median_mortality=pl.col("mortality").median(),
            mortality=pl.col("mortality").mean(),
            lice=pl.col("lice").mean(),
        )
        .sort("months_at_sea")
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


__all__ = [
    "EARLY_MONTHS",
    "LATE_MONTH",
    "NO_LICE",
    "QUANTILES",
    "REPORTED",
    "by_age",
    "farm_months",
    "lice_by_month",
    "statistics",
    "with_lice",
]
