"""Sensor readings: every sensor of an occupied container, six times a day, around the water that the fish live in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.environmental.parameters import PARAMETER_IDS
from aquamind_pipeline.apps.environmental.reading_rules import READING_RULES, sensor_sums
from aquamind_pipeline.arithmetic import Floats, Ints, decimal
from aquamind_pipeline.growth.records import daily_temperature
from aquamind_pipeline.schema.columns import (
    EMPTY,
    FALSE,
    NULL,
    bigint,
    boolean,
    brin,
    date,
    double,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
    unsigned,
)
from aquamind_pipeline.schema.definition import ByFormula, Freshness, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.schema.standard_rules import assignment_days
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, oxygen_saturation_mg_l
from aquamind_pipeline.simulation.climate import half_wave
from aquamind_pipeline.simulation.schedule import READING_HOURS, rows_by_month
from aquamind_pipeline.simulation.sites import FRESHWATER_SENSORS, SEA_SENSORS

SEA_SALINITY_PPT = 35.0
"""Salinity of Faroese and west Scottish coastal water, about 34.5 to 35.3."""


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


def readings(inputs: Inputs) -> pl.DataFrame:
    """Rows of environmental_environmentalreading, sorted by container and time."""
    seed = inputs.farm.seed
    first_sensor = (
        inputs.whole("infrastructure_sensor").group_by("container_id").agg(first_sensor_id=pl.col("id").min())
    )
    planned = inputs.plan.assignments.select("assignment_id", "assignment_date", "first_reading_id")
    lived = (
        inputs.frame("life_day")
        .join(planned, on="assignment_id")
        .join(first_sensor, on="container_id")
        .sort("container_id", "date")
    )
    at_sea = pl.col("stage") == ADULT.order
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
    day_of_assignment = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy()
    first_id = lived["first_reading_id"].to_numpy() + day_of_assignment * per_day
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
    # Water wears out with each day of an assignment: carbon dioxide and nitrogen rise, oxygen falls.
    worn = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy() / 90.0
    load = (worn / (1.0 + worn) + own)[:, None] / 2.0
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


def _readings_due(inputs: RuleInputs) -> pl.LazyFrame:
    """A reading of each sensor at each reading hour."""
    sensors = inputs.scan("infrastructure_sensor").group_by("container_id").agg(sensors=pl.len())
    due = (pl.col("sensors") * len(READING_HOURS)).cast(pl.Int64)
    return assignment_days(inputs).join(sensors, on="container_id").select("assignment_id", "date", due=due)


READINGS = TableDefinition(
    name="environmental_environmentalreading",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Value of one parameter in one container at one time.",
    how="Each sensor of each assignment at six hours of each day: the water's temperature, and what follows from it, "
    "such as oxygen, salinity and pH.",
    columns=(
        identity("id"),
        refers("parameter_id", "environmental_environmentalparameter.id"),
        refers("container_id", "infrastructure_container.id", nullable=True),
        refers("batch_id", "batch_batch.id", nullable=True),
        refers("sensor_id", "infrastructure_sensor.id", nullable=True),
        refers("batch_container_assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        numeric("value", 10, 4),
        timestamp("reading_time", primary_key=True),
        boolean("is_manual", fill=FALSE),
        refers("recorded_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=NULL),
        text("notes", fill=EMPTY),
        timestamp("created_at", fill=pl.col("reading_time")),
        index("container_id", "reading_time"),
        brin("reading_time"),
    ),
    time="reading_time",
    reads=(*PLAN, "life_day", "infrastructure_sensor"),
    generate=readings,
    expected=ByFormula(
        lambda farm, plan: rows_by_month(farm, plan, (pl.col("until") - pl.col("since")) * pl.col("readings_per_day"))
    ),
    lineage={
        "id": "plan_assignment.first_reading_id",
        "reading_time": "life_day.date",
        "value": "life_day.temp_c",
    },
    rules=READING_RULES,
    freshness=Freshness(),
    rows_due=_readings_due,
    sums_by_day=sensor_sums(),
    split_by="parameter_id",
    bytes_per_row=(3, 164),
)

DAILY_TEMPERATURE = TableDefinition(
    name="container_day_temperature",
    kind=Kind.DERIVED,
    lake_only=True,
    meaning="Mean water temperature of one assignment on one day, as growth assimilation reads it.",
    how="Sum and number of the day's temperature readings of each container.",
    columns=(
        bigint("container_id"),
        bigint("assignment_id", nullable=True),
        date("date"),
        double("total_c"),
        unsigned("readings"),
        double("first_c"),
        text("parameter"),
    ),
    time="date",
    reads=("environmental_environmentalreading", "environmental_environmentalparameter"),
    generate=lambda inputs: daily_temperature(
        inputs.scan("environmental_environmentalreading", [str(inputs.month)]),
        inputs.scan("environmental_environmentalparameter"),
    ),
    expected=ByFormula(lambda farm, plan: rows_by_month(farm, plan, pl.col("until") - pl.col("since"))),
    lineage={
        "container_id": "environmental_environmentalreading.container_id",
        "assignment_id": "environmental_environmentalreading.batch_container_assignment_id",
        "date": "environmental_environmentalreading.reading_time",
        "parameter": "environmental_environmentalparameter.name",
        "total_c": "environmental_environmentalreading.value",
    },
    rules=(),
    figure="temperatures",
    bytes_per_row=(0, 0),
)

__all__ = ["DAILY_TEMPERATURE", "READINGS", "SEA_SALINITY_PPT"]
