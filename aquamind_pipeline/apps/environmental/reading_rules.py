"""Rules on sensor readings: values are possible, sensors move, agree with each other, and fit physics."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.daily_rows import by_day
from aquamind_pipeline.schema.grouping import grouped
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING, PLAUSIBLE
from aquamind_pipeline.simulation.schedule import READING_HOURS

STUCK_READINGS, STUCK_DAYS = 12, 3
"""Twelve equal readings in a row, two days of them, are a sensor that hangs: noise alone repeats one value in ten."""
AGREEMENT_C = 1.0
"""How far a container's daily temperature may lie from its site's median: sensors are good to 0.1 °C."""
SATURATION = (0.55, 1.2)
"""Daily means of dissolved oxygen as a share of saturation. In farmed pens episodes reach about 0.6
(docs/reference/water.md#w.2); above 1.2 gas bubble disease threatens."""
OXYGEN_AGREEMENT = 0.2
"""How far a container's oxygen may lie from its site's median, as a share of it: fish use up to a tenth, and sensors
drift by a few hundredths. A sensor in mg/L shows about a tenth of the number."""
LATE_SECONDS = 180
"""How far from the hour a reading may be: clocks of loggers are set every week, and a scan takes some seconds."""
_DAY_US, _HOUR_US = 86_400_000_000, 3_600_000_000
_PARAMETERS, _CONTAINERS, _HALLS = (
    "environmental_environmentalparameter",
    "infrastructure_container",
    "infrastructure_hall",
)


def sensor_sums() -> tuple[pl.Expr, ...]:
    """Sums of a sensor's day: off_schedule (readings that are far from a reading hour), low, high, mean."""
    late_us = LATE_SECONDS * 1_000_000
    from_hour_us = (pl.col("reading_time").to_physical() + late_us) % _DAY_US
    hour = from_hour_us // _HOUR_US
    on_schedule = hour.is_in(READING_HOURS) & (from_hour_us - hour * _HOUR_US <= 2 * late_us)
    value = pl.col("value").cast(pl.Float64)
    return (
        (~on_schedule).sum().cast(pl.Int64).alias("off_schedule"),
        value.min().alias("low"),
        value.max().alias("high"),
        value.mean().alias("mean"),
    )


def _plausible(inputs: RuleInputs) -> CheckResult:
    """No reading outside the limits of its parameter."""
    limits = inputs.whole(_PARAMETERS).select(
        "name", pl.col("min_value", "max_value").cast(pl.Float64), parameter_id=pl.col("id")
    )
    beyond = (pl.col("low") < pl.col("min_value")) | (pl.col("high") > pl.col("max_value"))
    wrong = by_day(inputs).join(limits, on="parameter_id").filter(beyond).sort("date", "sensor_id")
    return check_result("plausible", wrong, "every value within its limits", "sensor-days beyond the limits")


def _stuck(inputs: RuleInputs) -> CheckResult:
    """No sensor repeats one value for days."""
    keys = {"sensor_id": pl.col("sensor_id"), "since": pl.col("date").dt.truncate(f"{STUCK_DAYS}d")}
    sums = (pl.col("rows").sum(), pl.col("low").min().alias("value"), pl.col("high").max())
    hung = (
        grouped(by_day(inputs), keys, *sums)
        .filter((pl.col("rows") >= STUCK_READINGS) & (pl.col("value") == pl.col("high")))
        .drop("high")
        .sort("since", "sensor_id")
    )
    return check_result("stuck", hung, "no sensor hangs", f"sensors with one value for {STUCK_DAYS} days")


def _sites(inputs: RuleInputs) -> pl.DataFrame:
    """container_id, site (a station or an area, as text), at_sea."""

    def make() -> pl.DataFrame:
        halls = inputs.whole(_HALLS).select("freshwater_station_id", hall_id="id")
        site = pl.coalesce(pl.format("area {}", "area_id"), pl.format("station {}", "freshwater_station_id"))
        return (
            inputs.whole(_CONTAINERS)
            .join(halls, on="hall_id", how="left")
            .select(container_id="id", site=site, at_sea=pl.col("area_id").is_not_null())
        )

    return inputs.shared("sites", make)


def _agreement(inputs: RuleInputs) -> CheckResult:
    """Temperature sensors of a site agree: containers there hold the same water."""
    parameters = inputs.whole(_PARAMETERS)
    temperature = parameters.filter(pl.col("name").str.to_lowercase() == "temperature")["id"]
    together = (
        by_day(inputs)
        .filter(pl.col("parameter_id").is_in(temperature.implode()))
        .join(_sites(inputs), on="container_id")
        .with_columns(
            median=pl.col("mean").median().over("site", "date", "parameter_id"),
            sensors=pl.len().over("site", "date", "parameter_id"),
        )
    )
    apart = together.filter(
        (pl.col("sensors") >= 3) & ((pl.col("mean") - pl.col("median")).abs() > AGREEMENT_C)
    ).select("date", "site", "sensor_id", "mean", "median")
    return check_result(
        "agreement",
        apart.sort("date", "sensor_id"),
        f"no sensor {AGREEMENT_C:.0f} °C off its site's median",
        f"sensor-days more than {AGREEMENT_C:.0f} °C off their site's median",
    )


def _oxygen(inputs: RuleInputs) -> CheckResult:
    """Oxygen is a share of saturation that farms keep, and near its site's."""
    parameters = inputs.whole(_PARAMETERS)
    oxygen = parameters.filter(pl.col("name").str.to_lowercase() == "dissolved oxygen")["id"]
    together = (
        by_day(inputs)
        .filter(pl.col("parameter_id").is_in(oxygen.implode()))
        .join(_sites(inputs), on="container_id")
        .select("date", "site", "container_id", saturation=pl.col("mean") / 100.0)
        .with_columns(median=pl.col("saturation").median().over("site", "date"), sensors=pl.len().over("site", "date"))
    )
    low, high = SATURATION
    off = (pl.col("saturation") / pl.col("median") - 1.0).abs() > OXYGEN_AGREEMENT
    wrong = together.filter(~pl.col("saturation").is_between(low, high) | (off & (pl.col("sensors") >= 3)))
    return check_result(
        "oxygen",
        wrong.drop("sensors").sort("date", "container_id"),
        f"between {low:.0%} and {high:.0%} of saturation, and within {OXYGEN_AGREEMENT:.0%} of the site's median",
        f"container-days outside {low:.0%} to {high:.0%}, or {OXYGEN_AGREEMENT:.0%} off their site's median",
    )


READING_RULES = (
    PLAUSIBLE.checked_by(_plausible, _PARAMETERS),
    Rule("stuck", "No sensor repeats one value for days.", MISLEADING, _stuck),
    Rule(
        "agreement",
        "Temperature sensors of a site agree to 1 °C.",
        MISLEADING,
        _agreement,
        reads=(_PARAMETERS, _CONTAINERS, _HALLS),
    ),
    Rule(
        "oxygen",
        "Oxygen is between 55 and 120 % of saturation, and within 20 % of its site's median.",
        MISLEADING,
        _oxygen,
        reads=(_PARAMETERS, _CONTAINERS, _HALLS),
    ),
)

__all__ = ["READING_RULES", "sensor_sums"]
