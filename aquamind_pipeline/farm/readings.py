"""Environmental readings: every sensor of an occupied container, six times a day, around the water the fish live in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, decimal
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import oxygen_saturation_mg_l
from aquamind_pipeline.simulation.climate import half_wave
from aquamind_pipeline.simulation.schedule import READING_HOURS, Plan
from aquamind_pipeline.simulation.sites import FRESHWATER_SENSORS, SEA_SENSORS

SEA_SALINITY_PPT = 35.0
"""Salinity of Faroese and west Scottish coastal water, about 34.5 to 35.3."""

PARAMETER_IDS = {
    "Temperature": 1,
    "Dissolved Oxygen": 2,
    "pH": 3,
    "CO2": 4,
    "NO2": 5,
    "NO3": 6,
    "NH4": 7,
    "Salinity": 8,
}
"""environmental_environmentalparameter.id by sensor type. The parameter of `Temperature` is named `temperature`: so
AquaMind's growth engine looks for that spelling (rule R14)."""


@dataclass(frozen=True)
class _Noise:
    """Spread of one sensor (standard deviation in its unit) and the decimals it reports."""

    deviation: float
    decimals: int


_NOISE = {
    "Temperature": _Noise(0.08, 2),
    "Dissolved Oxygen": _Noise(0.15, 2),
    "pH": _Noise(0.04, 2),
    "CO2": _Noise(0.5, 2),
    "NO2": _Noise(0.006, 3),
    "NO3": _Noise(1.2, 2),
    "NH4": _Noise(0.0015, 4),
    "Salinity": _Noise(0.12, 2),
}
_SCALE = 4  # decimals of environmental_environmentalreading.value
_BELL = 65_536.0 / float(np.sqrt(3.0))  # standard deviation of draws.centred

_hours = np.array(READING_HOURS, np.float64)
# Warmest in mid-afternoon; centred, so that the mean of a day's readings is the day's temperature.
_daily = half_wave((_hours - 9.0) / 12.0)
_DAILY_CYCLE = _daily - _daily.mean()


def readings(seed: int, plan: Plan, days: pl.DataFrame, sensors: pl.DataFrame) -> pl.DataFrame:
    """environmental_environmentalreading of some of life's `days`, sorted by container and time.

    Args:
        seed: The farm's seed.
        plan: The plan that `days` were lived by.
        days: Rows of `Life.days`; a month of them is a month's partition.
        sensors: infrastructure_sensor.
    """
    first_sensor = sensors.group_by("container_id").agg(first_sensor_id=pl.col("id").min())
    lived = (
        days.join(
            plan.assignments.select("assignment_id", "assignment_date", "first_reading_id", "readings_per_day"),
            on="assignment_id",
        )
        .join(first_sensor, on="container_id")
        .sort("container_id", "date")
    )
    at_sea = pl.col("stage") == 6
    # Tanks have lower ids than rings, so freshwater before sea keeps the order by container.
    return pl.concat(
        [
            _of_one_water(seed, lived.filter(~at_sea), FRESHWATER_SENSORS, salinity_ppt=0.0),
            _of_one_water(seed, lived.filter(at_sea), SEA_SENSORS, salinity_ppt=SEA_SALINITY_PPT),
        ]
    )


def _of_one_water(seed: int, lived: pl.DataFrame, sensors: tuple[str, ...], salinity_ppt: float) -> pl.DataFrame:
    n, hours, kinds = lived.height, len(READING_HOURS), len(sensors)
    per_day = hours * kinds
    day_of_stay = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy()
    first_id = lived["first_reading_id"].to_numpy() + day_of_stay * per_day
    ids = first_id[:, None] + np.arange(per_day, dtype=np.int64)
    values = _values(seed, lived, sensors, salinity_ppt, ids.reshape(n, hours, kinds))
    midnight = lived["date"].cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()
    times = midnight[:, None] + np.array(READING_HOURS, np.int64) * 3_600_000_000

    def each(column: str) -> Ints:
        return np.repeat(lived[column].to_numpy(), per_day)

    sensor = lived["first_sensor_id"].to_numpy()[:, None] + np.tile(np.arange(kinds, dtype=np.int64), hours)
    parameter = np.array([PARAMETER_IDS[kind] for kind in sensors], np.int64)
    return pl.DataFrame(
        {
            "id": ids.ravel(),
            "parameter_id": np.tile(parameter, n * hours),
            "container_id": each("container_id"),
            "batch_id": each("batch_id"),
            "sensor_id": sensor.ravel(),
            "batch_container_assignment_id": each("assignment_id"),
            "value": decimal(values.ravel(), 10, _SCALE),
            "reading_time": pl.Series(np.repeat(times.ravel(), kinds)).cast(pl.Datetime("us", "UTC")),
        }
    )


def _values(seed: int, lived: pl.DataFrame, sensors: tuple[str, ...], salinity_ppt: float, ids: Ints) -> Ints:
    """Readings in 10^-4 of their unit, [days, hours, sensors]."""
    noise = draws.centred(draws.bits(draws.stream(seed, "readings", "noise"), ids)) / _BELL
    values = np.empty(ids.shape, np.int64)
    temp_c = lived["temp_c"].to_numpy()[:, None] + (0.3 if salinity_ppt == 0.0 else 0.15) * _DAILY_CYCLE
    for k, kind in enumerate(sensors):
        spec = _NOISE[kind]
        level = _level(seed, kind, lived, temp_c, salinity_ppt) + spec.deviation * noise[:, :, k]
        grain = 10 ** (_SCALE - spec.decimals)
        values[:, :, k] = np.rint(level * 10.0**spec.decimals).astype(np.int64) * grain
    return values


def _level(seed: int, kind: str, lived: pl.DataFrame, temp_c: Floats, salinity_ppt: float) -> Floats:
    """What the water of a container is like, without the sensor's noise; broadcasts to [days, hours]."""
    own = 0.5 + 0.15 * draws.normal(draws.stream(seed, "readings", kind), lived["container_id"].to_numpy())
    # Water wears out while a batch stays: carbon dioxide and nitrogen rise, oxygen falls (0 on arrival, towards 1).
    stay = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy() / 90.0
    load = (stay / (1.0 + stay) + own)[:, None] / 2.0
    match kind:
        case "Temperature":
            return temp_c
        case "Dissolved Oxygen":
            return oxygen_saturation_mg_l(temp_c, salinity_ppt) * (0.97 - 0.10 * load)
        case "pH":
            return (8.05 if salinity_ppt else 7.3) - (0.1 if salinity_ppt else 0.35) * load
        case "CO2":
            return 4.0 + 8.0 * load
        case "NO2":
            return 0.02 + 0.05 * load
        case "NO3":
            return 12.0 + 20.0 * load
        case "NH4":
            return 0.006 + 0.009 * load
        case "Salinity":
            return np.full_like(load, salinity_ppt) + 0.6 * (own - 0.5)[:, None]
        case _:
            raise ValueError(f"no water model for sensor {kind!r}")


__all__ = ["PARAMETER_IDS", "SEA_SALINITY_PPT", "readings"]
