"""Deaths and lice by farm-month: a batch at sea in a full calendar month, as the industry reports them by site.

The figures of real farms are in docs/reference/fish-health.md.
"""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.simulation.biology import ADULT

QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
REPORTED = 0.005
"""Reports have two decimals: fewer adult females than this are reported as none."""
_LEVEL = 0.05
"""Added to a mortality in percent before its logarithm is taken."""


def farm_months(days: pl.LazyFrame | pl.DataFrame, counts: pl.LazyFrame | pl.DataFrame | None = None) -> pl.DataFrame:
    """Deaths and lice of each batch in each full calendar month at sea.

    Args:
        days: assignment_id, batch_id, stage, date, population (at the end of the day), deaths.
        counts: batch_id, date, adult_female (found in all), fish_counted: one row for each ring and count.

    Returns:
        batch_id, month (its first day), months_at_sea (full months before it, from 0), mortality (% of the fish at the
        month's start), lice (adult females per fish, mean of the month's counts; null without counts), sorted.
    """
    month = pl.col("date").dt.truncate("1mo")
    at_sea = days.lazy().filter(pl.col("stage") == ADULT.order)
    daily = at_sea.group_by("batch_id", "date").agg(pl.col("population").sum(), pl.col("deaths").sum())
    months = (
        daily.sort("batch_id", "date")
        .group_by("batch_id", month.alias("month"), maintain_order=True)
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
    )
    if counts is None:
        return months.with_columns(lice=pl.lit(None, pl.Float64)).collect()
    found = (
        counts.lazy()
        .group_by("batch_id", month.alias("month"))
        .agg(lice=(pl.col("adult_female") / pl.col("fish_counted")).mean())
    )
    return months.join(found, on=["batch_id", "month"], how="left", maintain_order="left").collect()


def statistics(months: pl.DataFrame) -> dict[str, float]:
    """Figures that can be compared with those of real farms.

    Args:
        months: From `farm_months`.

    Returns:
        Of `mortality` and `lice`: mean, quantiles, maximum and the correlation with the month before, as
        `mortality_mean`, `mortality_p90`, `lice_max`, `lice_next` and so on; `mortality_over_1`, the share of months
        above 1 %; `lice_none`, the share without adult females. The correlation of mortality is one of logarithms.
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
    found["lice_none"] = _number((months["lice"].drop_nulls() < REPORTED).mean())
    return found


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


__all__ = ["QUANTILES", "REPORTED", "by_age", "farm_months", "statistics"]
