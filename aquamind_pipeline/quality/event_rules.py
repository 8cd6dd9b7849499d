"""Rules about observations: they belong to their stay, are complete and on time, and agree with each other.

They look at one month at a time, so that memory does not grow with history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline import tables
from aquamind_pipeline.quality.check_result import Finding, finding
from aquamind_pipeline.quality.grouping import grouped

STUCK_READINGS = 12
"""So many equal readings in a row, two days of them, are a sensor that hangs: noise alone repeats one value in ten."""
STUCK_DAYS = 3
AGREEMENT_C = 1.0
"""How far a container's daily temperature may lie from its site's median: sensors are good to 0.1 °C."""
SATURATION = (0.7, 1.2)
"""Dissolved oxygen as a share of saturation that farmed salmon are kept in: below 0.7 appetite falls (Remen et al.
2016, Aquaculture 464, 268-278), above 1.2 gas bubble disease threatens."""
WEIGHT_MARGIN = 6.0
"""Fish may be so many times lighter or heavier than AquaMind's stage expects: fry begin at 0.1 g, not at its 0.5."""
STAYS = "batch_batchcontainerassignment"
_DAY_US = 86_400_000_000
SHARED = ("batch_id", "container_id", "lifecycle_stage_id")


def time_column(table: sa.Table) -> str:
    """The column that says when a row's event happened."""
    return str(table.info.get("partition_by", "date"))


def stay_column(table: sa.Table) -> str | None:
    """The column that says which stay a row belongs to."""
    return next((c for c, (parent, _) in tables.references(table).items() if parent == STAYS), None)


def in_month(table: sa.Table, rows: pl.LazyFrame, month: str) -> Finding:
    """Every row of a month's file happened in that month. Keys hold the time, so months may be looked at one by one."""
    column = time_column(table)
    first, when = pl.lit(f"{month}-01").str.to_date(), pl.col(column)
    begins, ends = (day.cast(tables.lake_schema(table)[column]) for day in (first, first.dt.offset_by("1mo")))
    outside = rows.filter((when < begins) | (when >= ends)).collect()
    return finding("in_month", outside, f"every {column} lies in its month", f"rows whose {column} lies elsewhere")


def by_day(table: sa.Table, rows: pl.DataFrame, *sums: pl.Expr) -> pl.DataFrame:
    """Rows of one day that refer to the same, as one: the columns that refer, `date`, `rows` and `sums`."""
    refers = [name for name in tables.references(table) if name in rows.columns]
    keys = {name: pl.col(name) for name in refers} | {"date": pl.col(time_column(table)).dt.date()}
    return grouped(rows, keys, pl.len().cast(pl.Int64).alias("rows"), *sums)


def of_its_stay(table: sa.Table, days: pl.DataFrame, stays: pl.LazyFrame, until: date) -> Finding:
    """Batch, container, stage and day of a row are those of the stay (batch_batchcontainerassignment) it refers to.

    `days` are the table's rows by day (`by_day`).
    """
    stay, day = stay_column(table), pl.col("date")
    assert stay is not None
    shared = [name for name in SHARED if name in days.columns]
    keys = {name: pl.col(name) for name in (stay, *shared)}
    groups = grouped(days, keys, pl.col("rows").sum(), day.min().alias("first"), day.max().alias("last"))
    differs = pl.any_horizontal(
        *(pl.col(name).ne_missing(pl.col(f"{name}_stay")) for name in shared),
        pl.col("first") < pl.col("assignment_date"),
        pl.col("last") > pl.col("departure_date").fill_null(until),
    )
    known = stays.select(pl.col("id").alias(stay), "assignment_date", "departure_date", *shared)
    wrong = groups.lazy().join(known, on=stay, suffix="_stay").filter(differs).collect()
    held = f"{', '.join((*shared, 'day'))} as in the assignment"
    return finding("of_its_stay", wrong.sort(stay), held, "groups of rows that do not fit their assignment")


def stay_days(stays: pl.LazyFrame, month: str | None, until: date) -> pl.LazyFrame:
    """Every stay and day with fish, of a month or of all time: assignment_id, stage, container_id, date."""
    end = pl.min_horizontal("departure_date", pl.lit(until).dt.offset_by("1d"))
    first = pl.col("assignment_date")
    if month is not None:
        begins = pl.lit(f"{month}-01").str.to_date()
        first, end = pl.max_horizontal(first, begins), pl.min_horizontal(end, begins.dt.offset_by("1mo"))
    return (
        stays.select(
            "container_id",
            assignment_id="id",
            stage="lifecycle_stage_id",
            date=pl.date_ranges(first, end, interval="1d", closed="left"),
        )
        .filter(pl.col("date").list.len() > 0)
        .explode("date")
    )


def gaps(found: pl.LazyFrame, wanted: pl.LazyFrame) -> Finding:
    """Every stay has on each of its days just the rows it should have.

    Args:
        found: assignment_id, date, rows, and off_schedule (rows at a time of day at which none is due).
        wanted: assignment_id, date, due (rows).
    """
    wrong = (
        wanted.join(found, on=["assignment_id", "date"], how="full", coalesce=True)
        .with_columns(pl.col("rows", "due", "off_schedule").fill_null(0))
        .filter((pl.col("rows") != pl.col("due")) | (pl.col("off_schedule") > 0))
        .sort("date", "assignment_id")
        .collect()
    )
    return finding("gaps", wrong, "no day too few, too many or off schedule", "days of a stay with other rows than due")


def fresh(last: date | None, due: date, until: date) -> Finding:
    """The last row of a table is as young as it should be."""
    late = last is None or last < due
    behind = pl.DataFrame({"last_row": [last], "due": [due], "as_of": [until]}) if late else pl.DataFrame()
    return finding("fresh", behind, f"reaches to {last}", f"ends on {last}, though the farm reaches to {until}")


def of_sensor(hours: Sequence[int]) -> tuple[pl.Expr, ...]:
    """Sums of a day's readings of a sensor (with `by_day`): off_schedule, low, high, mean."""
    time_us = pl.col("reading_time").to_physical() % _DAY_US
    value = pl.col("value").cast(pl.Float64)
    return (
        (~time_us.is_in([hour * _DAY_US // 24 for hour in hours])).sum().cast(pl.Int64).alias("off_schedule"),
        value.min().alias("low"),
        value.max().alias("high"),
        value.mean().alias("mean"),
    )


def plausible_readings(days: pl.DataFrame, parameters: pl.DataFrame) -> Finding:
    """No reading outside the limits of its parameter (environmental_environmentalparameter, in its unit)."""
    limits = parameters.select("name", pl.col("min_value", "max_value").cast(pl.Float64), parameter_id=pl.col("id"))
    wrong = days.join(limits, on="parameter_id").filter(
        (pl.col("low") < pl.col("min_value")) | (pl.col("high") > pl.col("max_value"))
    )
    return finding(
        "plausible", wrong.sort("date", "sensor_id"), "every value within its limits", "sensor-days beyond the limits"
    )


def plausible_weights(weights: pl.LazyFrame, stages: pl.LazyFrame) -> Finding:
    """Fish weigh what fish of their stage can. `weights`: stage, avg_weight_g, and what is to be shown."""
    grams = pl.col("avg_weight_g").cast(pl.Float64)
    expected = stages.select(pl.col("expected_weight_min_g", "expected_weight_max_g").cast(pl.Float64), stage="id")
    wrong = (
        weights.join(expected, on="stage")
        .filter(
            (grams < pl.col("expected_weight_min_g") / WEIGHT_MARGIN)
            | (grams > pl.col("expected_weight_max_g") * WEIGHT_MARGIN)
        )
        .collect()
    )
    return finding("plausible", wrong, "every weight one of its stage", "weights that no fish of the stage has")


def stuck(days: pl.DataFrame) -> Finding:
    """No sensor repeats one value for days."""
    keys = {"sensor_id": pl.col("sensor_id"), "since": pl.col("date").dt.truncate(f"{STUCK_DAYS}d")}
    hung = (
        grouped(days, keys, pl.col("rows").sum(), pl.col("low").min().alias("value"), pl.col("high").max())
        .filter((pl.col("rows") >= STUCK_READINGS) & (pl.col("value") == pl.col("high")))
        .drop("high")
        .sort("since", "sensor_id")
    )
    return finding("stuck", hung, "no sensor hangs", f"sensors with one value for {STUCK_DAYS} days")


def agreement(days: pl.DataFrame, parameters: pl.DataFrame, containers: pl.DataFrame) -> Finding:
    """Temperature sensors of a site agree: containers there hold the same water.

    Args:
        days: Readings by day (`by_day`) with the sums `of_sensor`.
        parameters: environmental_environmentalparameter.
        containers: container_id, site.
    """
    parameter = parameters.filter(pl.col("name").str.to_lowercase() == "temperature")["id"]
    together = (
        days.filter(pl.col("parameter_id").is_in(parameter.implode()))
        .join(containers, on="container_id")
        .with_columns(median=pl.col("mean").median().over("site", "date"), sensors=pl.len().over("site", "date"))
    )
    apart = together.filter(
        (pl.col("sensors") >= 3) & ((pl.col("mean") - pl.col("median")).abs() > AGREEMENT_C)
    ).select("date", "site", "sensor_id", "mean", "median")
    return finding(
        "agreement",
        apart.sort("date", "sensor_id"),
        f"no sensor {AGREEMENT_C:.0f} °C off its site's median",
        f"sensor-days more than {AGREEMENT_C:.0f} °C off their site's median",
    )


def oxygen(
    days: pl.DataFrame, parameters: pl.DataFrame, saturation_mg_l: Callable[[pl.Series, pl.Series], pl.Series]
) -> Finding:
    """Oxygen fits temperature and salinity: its share of saturation is one that farms keep.

    `saturation_mg_l` gives the oxygen of air-saturated water from °C and ppt.
    """
    names = parameters.select(name=pl.col("name").str.to_lowercase(), parameter_id="id")

    def mean_of(name: str) -> pl.Expr:
        return pl.when(pl.col("name") == name).then("mean").mean()

    water = grouped(
        days.join(names, on="parameter_id"),
        {name: pl.col(name) for name in ("container_id", "date")},
        mean_of("temperature").alias("temp_c"),
        mean_of("dissolved oxygen").alias("oxygen_mg_l"),
        mean_of("salinity").fill_null(0.0).alias("salinity_ppt"),
    ).drop_nulls()
    full = saturation_mg_l(water["temp_c"], water["salinity_ppt"])
    wrong = water.with_columns(saturation=water["oxygen_mg_l"] / full).filter(
        ~pl.col("saturation").is_between(*SATURATION)
    )
    low, high = SATURATION
    return finding(
        "oxygen",
        wrong.sort("date", "container_id"),
        f"between {low:.0%} and {high:.0%} of saturation",
        f"container-days with oxygen outside {low:.0%} to {high:.0%} of saturation",
    )


__all__ = [
    "agreement",
    "by_day",
    "fresh",
    "gaps",
    "in_month",
    "of_its_stay",
    "of_sensor",
    "oxygen",
    "plausible_readings",
    "plausible_weights",
    "stay_column",
    "stay_days",
    "stuck",
    "time_column",
]
