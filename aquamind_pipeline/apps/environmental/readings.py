"""Sensor readings: every sensor of an occupied container, six times a day, unless it is out.

The water itself is in `simulation.water`, and when sensors send nothing is in `simulation.outages`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as date_type

import numpy as np
import numpy.typing as npt
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.environmental.parameters import PARAMETER_IDS, SHOWN_TEMPERATURE_ID
from aquamind_pipeline.apps.environmental.reading_rules import READING_RULES, sensor_sums
from aquamind_pipeline.arithmetic import Floats, Ints, decimal
from aquamind_pipeline.growth.records import daily_temperature
from aquamind_pipeline.months import month_of
from aquamind_pipeline.schema.columns import (
    EMPTY,
    FALSE,
    NULL,
    bigint,
    boolean,
    brin,
    brin_lookup,
    date,
    double,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
)
from aquamind_pipeline.schema.definition import ByFormula, Freshness, TableDefinition
from aquamind_pipeline.schema.frames import lake_schema
from aquamind_pipeline.schema.grouping import by_container_and_date
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.schema.standard_rules import assignment_days
from aquamind_pipeline.simulation import draws, water
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.climate import half_wave, site_geographies
from aquamind_pipeline.simulation.outages import TEMPERATURE, Outages, missing_by_day
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import READING_HOURS, Plan, rows_by_month
from aquamind_pipeline.simulation.sites import FRESHWATER_SENSORS, SEA_SENSORS


@dataclass(frozen=True)
class _Sensor:
    """How one type of sensor errs, as standard deviations in its unit, and the decimals that it reports.

    Attributes:
        noise: From reading to reading.
        offset: Between two sensors.
        drift: Between two calibrations, at the end.
        decimals: Decimals of a value.
    """

    noise: float
    offset: float
    drift: float
    decimals: int


_SENSORS = {
    "Temperature": _Sensor(0.05, 0.04, 0.03, 2),
    "Dissolved Oxygen": _Sensor(0.6, 0.6, 1.0, 1),
    "pH": _Sensor(0.025, 0.02, 0.03, 2),
    "CO2": _Sensor(0.30, 0.25, 0.40, 2),
    "NO2": _Sensor(0.003, 0.001, 0.0015, 3),
    "NO3": _Sensor(0.70, 0.60, 1.00, 2),
    "NH4": _Sensor(0.0007, 0.0003, 0.0005, 4),
    "Salinity": _Sensor(0.04, 0.04, 0.04, 2),
}
"""Errors of sensors in the field (docs/reference/water.md#w.5). The noise is at least two and a half times the last
decimal, so that a working sensor hardly repeats a value for long (rule `stuck`)."""
CALIBRATION_DAYS = (28, 35)
"""Fewest days between two calibrations of a container's sensors, and how many more there may be."""
_LOGGER_SECONDS, _SCAN_SECONDS = 40.0, 20
"""Standard deviation of a logger's clock, which is set every week, and the seconds within which a scan begins."""
_SCALE = 4  # decimals of environmental_environmentalreading.value
_BELL = 65_536.0 / float(np.sqrt(3.0))  # standard deviation of draws.centred
_SECOND_US = 1_000_000
_EPOCH = date_type(1970, 1, 1).toordinal()

_hours = np.array(READING_HOURS, np.float64)
# Warmest in mid-afternoon; centred, so that the mean of a day's readings of `temperature` is the day's temperature.
_daily = half_wave((_hours - 9.0) / 12.0)
_DAILY_CYCLE = _daily - _daily[:-1].mean()


def readings(inputs: Inputs) -> pl.DataFrame:
    """Rows of environmental_environmentalreading, sorted by container and time."""
    first_sensor = (
        inputs.whole("infrastructure_sensor").group_by("container_id").agg(first_sensor_id=pl.col("id").min())
    )
    planned = inputs.plan.assignments.select("assignment_id", "assignment_date", "first_reading_id")
    lived = by_container_and_date(
        inputs.frame("life_day").join(planned, on="assignment_id").join(first_sensor, on="container_id")
    )
    at_sea = pl.col("stage") == ADULT.order
    # Tanks have lower ids than rings, so freshwater before sea keeps the order by container.
    waters = ((lived.filter(~at_sea), FRESHWATER_SENSORS), (lived.filter(at_sea), SEA_SENSORS))
    parts = [_of_one_water(_Water(inputs.farm, rows, sensors)) for rows, sensors in waters if rows.height]
    return pl.concat(parts) if parts else pl.DataFrame(schema=lake_schema(READINGS.table))


class _Water:
    """Containers and days of one kind of water.

    Attributes:
        farm: The farm.
        lived: Rows of life, sorted by container and day.
        sensors: Types of the sensors of each container.
        container: Ids of the containers.
        row_container: Position of each row's container.
        site: Sites as in `climate`.
        row_site: Position of each row's site.
        ordinals: Day of each row, as `date.toordinal()`.
        days: The successive days that the rows lie in, as `date.toordinal()`.
        row_day: Position of each row's day.
    """

    def __init__(self, farm: Profile, lived: pl.DataFrame, sensors: tuple[str, ...]) -> None:
        self.farm, self.lived, self.sensors = farm, lived, sensors
        self.container, self.row_container = np.unique(lived["container_id"].to_numpy(), return_inverse=True)
        self.site, self.row_site = np.unique(lived["site"].to_numpy(), return_inverse=True)
        self.ordinals = lived["date"].to_physical().to_numpy().astype(np.int64) + _EPOCH
        first, last = int(self.ordinals.min()), int(self.ordinals.max())
        self.days, self.row_day = np.arange(first, last + 1), self.ordinals - first

    def of_site(self, values: Floats) -> Floats:
        """Values of sites and reading times, [site, time], as [row, reading hour]."""
        day = self.row_site * self.days.size + self.row_day
        rows: Floats = values.reshape(-1, len(READING_HOURS)).take(day, axis=0)
        return rows

    def of_container(self, name: str, scale_days: int) -> Floats:
        """Noise of each container with a memory, one value a row, [row, 1]."""
        key = draws.stream(self.farm.seed, "water", name)
        curve = water.smooth(key, self.container, self.days * water.DAY, scale_days * water.DAY)
        rows: Floats = curve.take(self.row_container * self.days.size + self.row_day)[:, None]
        return rows


def _of_one_water(here: _Water) -> pl.DataFrame:
    lived = here.lived
    n, hours, kinds = lived.height, len(READING_HOURS), len(here.sensors)
    per_day = hours * kinds
    day_of_assignment = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy()
    first_id = lived["first_reading_id"].to_numpy() + day_of_assignment * per_day
    ids = first_id[:, None] + np.arange(per_day, dtype=np.int64)
    values = _values(here, ids.reshape(n, hours, kinds))
    sensor = lived["first_sensor_id"].to_numpy()[:, None] + np.tile(np.arange(kinds, dtype=np.int64), hours)
    parameter = np.tile(np.array([PARAMETER_IDS[kind] for kind in here.sensors], np.int64), (hours, 1))
    parameter[-1, TEMPERATURE] = SHOWN_TEMPERATURE_ID

    def each(column: str) -> Ints:
        return np.repeat(lived[column].to_numpy(), per_day)

    every = pl.DataFrame(
        {
            "id": ids.ravel(),
            "parameter_id": np.tile(parameter.ravel(), n),
            "container_id": each("container_id"),
            "batch_id": each("batch_id"),
            "sensor_id": sensor.ravel(),
            "batch_container_assignment_id": each("assignment_id"),
            "value": decimal(values.ravel(), 10, _SCALE),
            "reading_time": pl.Series(np.repeat(_times(here).ravel(), kinds)).cast(pl.Datetime("us", "UTC")),
        }
    )
    return every.filter(pl.Series(_sent(here).ravel()))


def _sent(here: _Water) -> npt.NDArray[np.bool_]:
    """Whether no outage takes a reading, [row, reading hour, sensor]."""
    outages, kinds = Outages(here.farm.seed, here.farm.sensor_gap_share), len(here.sensors)
    site, container = here.site[here.row_site], here.container[here.row_container]
    begins, ends = outages.of_days(site, container, here.ordinals, kinds)
    sent = np.ones((here.lived.height, len(READING_HOURS), kinds), np.bool_)
    row, kind = np.nonzero(ends > begins)
    for hour in range(len(READING_HOURS)):
        is_out = (begins[row, kind] <= hour) & (hour < ends[row, kind])
        sent[row[is_out], hour, kind[is_out]] = False
    return sent


def _times(here: _Water) -> Ints:
    """When each site's logger read its sensors, in microseconds since 1970, [row, reading hour].

    A site has one logger, which reads all its sensors in one scan.
    """
    seed, weeks = here.farm.seed, np.arange(here.days[0] // 7, here.days[-1] // 7 + 1)
    clock = draws.normal(draws.stream(seed, "readings", "clock"), here.site[:, None], weeks[None, :])
    late_s = np.rint(_LOGGER_SECONDS * clock).astype(np.int64)[:, here.days // 7 - weeks[0]]
    word = draws.bits(draws.stream(seed, "readings", "scan"), here.site[:, None, None], water.reading_times(here.days))
    scan_s = (word % np.uint64(_SCAN_SECONDS)).astype(np.int64).reshape(here.site.size, here.days.size, -1)
    hours_s = here.days[:, None] * 86_400 + np.array(READING_HOURS, np.int64) * 3_600 - _EPOCH * 86_400
    times = (hours_s + late_s[:, :, None] + scan_s) * _SECOND_US
    rows: Ints = times[here.row_site, here.row_day]
    return rows


def _values(here: _Water, ids: Ints) -> Ints:
    """Readings in 10^-4 of their unit, [row, reading hour, sensor]."""
    noise = draws.centred(draws.bits(draws.stream(here.farm.seed, "readings", "noise"), ids))
    levels = _at_sea(here) if "Salinity" in here.sensors else _in_tanks(here)
    errors = sensor_errors(here.farm.seed, here.sensors, here.container, here.row_container, here.ordinals)
    values = np.empty(ids.shape, np.int64)
    for k, kind in enumerate(here.sensors):
        spec = _SENSORS[kind]
        level = (levels[kind] + errors[k][:, None]) + (spec.noise / _BELL) * noise[:, :, k]
        level *= 10.0**spec.decimals
        np.rint(level, out=level)
        np.multiply(level, 10.0 ** (_SCALE - spec.decimals), out=values[:, :, k], casting="unsafe")
    return values


def sensor_errors(seed: int, sensors: tuple[str, ...], container: Ints, row_container: Ints, ordinals: Ints) -> Floats:
    """Error of each sensor on each day, without noise: its own offset, and a drift that each calibration ends.

    Args:
        seed: The farm's seed.
        sensors: Types of the sensors of each container.
        container: Ids of the containers.
        row_container: Position of each row's container.
        ordinals: Day of each row, as `date.toordinal()`.

    Returns:
        Array [sensor, row].
    """
    key = draws.stream(seed, "readings", "calibration")
    least, more = CALIBRATION_DAYS
    every = least + (draws.bits(key, container, 0) % np.uint64(more + 1)).astype(np.int64)
    shift = (draws.bits(key, container, 1) % np.uint64(least + more)).astype(np.int64)
    cycle, since = np.divmod(ordinals + shift[row_container], every[row_container])
    first = (ordinals.min() + shift) // every
    cycles = np.arange((cycle - first[row_container]).max() + 1)
    offset, drift = (np.array([getattr(_SENSORS[name], error) for name in sensors]) for error in ("offset", "drift"))
    kind = np.arange(len(sensors))[:, None]
    own = draws.normal(key, container[None, :], 2 + kind) * offset[:, None]
    pace = draws.normal(
        key, container[None, :, None], 100 + kind[:, :, None], first[None, :, None] + cycles[None, None, :]
    )
    pace *= drift[:, None, None]
    which = row_container * cycles.size + (cycle - first[row_container])
    errors: Floats = own.take(row_container, axis=1)
    errors += pace.reshape(kind.size, -1).take(which, axis=1) * (since / every[row_container])
    return errors


def _temperature(here: _Water, amplitude_c: float, spread_c: float) -> Floats:
    """Temperature of each container: the site's on that day, with the day's course and the container's own place."""
    lived = here.lived["temp_c"].to_numpy()[:, None]
    temp_c: Floats = lived + amplitude_c * _DAILY_CYCLE + spread_c * here.of_container("temperature", 6)
    return temp_c


def _at_sea(here: _Water) -> dict[str, Floats]:
    """What the water of rings is like, without the sensors' errors; each broadcasts to [row, reading hour]."""
    farm, lived = here.farm, here.lived
    around = water.sea(farm.seed, here.site, site_geographies(farm.sites)[here.site], here.days)
    temp_c = _temperature(here, 0.15, 0.03)
    salinity_ppt = here.of_site(around.salinity_ppt) + 0.03 * here.of_container("salinity of a ring", 5)
    density = water.ring_density(lived["population"].to_numpy(), lived["weight_g"].to_numpy())
    fed = (lived["feed_dg"] > 0).cast(pl.Float64).to_numpy()
    own = 0.012 * here.of_container("oxygen of a ring", 4) - water.fish_use(density, fed)
    oxygen = here.of_site(around.oxygen) + own
    return {
        "Temperature": temp_c,
        "Dissolved Oxygen": 100.0 * oxygen,
        "pH": here.of_site(around.ph) + water.PH_OF_OXYGEN * own,
        "Salinity": salinity_ppt,
    }


def _in_tanks(here: _Water) -> dict[str, Floats]:
    """What the water of tanks is like, as `_at_sea`."""
    farm, lived = here.farm, here.lived
    around = water.station(farm.seed, here.site, here.days)
    temp_c = _temperature(here, 0.2, 0.03)
    own = 0.5 + 0.12 * draws.normal(draws.stream(farm.seed, "readings", "load"), here.container)[here.row_container]
    # Water wears out with each day of an assignment: carbon dioxide and nitrogen rise, oxygen falls.
    worn = (lived["date"] - lived["assignment_date"]).dt.total_days().to_numpy() / 90.0
    steady = (worn / (1.0 + worn) + own)[:, None] / 2.0 + 0.05 * here.of_container("load of a tank", 4)
    load = np.clip(steady + here.of_site(around.load), 0.05, 1.0)
    fed = (lived["feed_dg"] > 0).cast(pl.Float64).to_numpy()[:, None]
    busy = load * (1.0 + fed * (water.MEAL_HOURS - 1.0))
    filtered = load * np.clip(1.0 + here.of_site(around.biofilter), 0.4, 1.6)
    co2 = water.CO2_MG_L[0] + water.CO2_MG_L[1] * busy
    share = water.TANK_OXYGEN - water.TANK_OXYGEN_LOAD * busy + here.of_site(around.oxygen)
    return {
        "Temperature": temp_c,
        "Dissolved Oxygen": 100.0 * share,
        "pH": water.TANK_PH + water.PH_OF_CO2 * (co2 - 8.0) + here.of_site(around.ph),
        "CO2": co2,
        "NO2": water.NO2_MG_L[0] + water.NO2_MG_L[1] * filtered,
        "NO3": water.NO3_MG_L[0] + water.NO3_MG_L[1] * load,
        "NH4": water.NH4_MG_L[0] + water.NH4_MG_L[1] * filtered,
    }


def _rows(farm: Profile, plan: Plan) -> pl.DataFrame:
    """A reading of each sensor at each reading hour, less those that outages take."""
    every = rows_by_month(farm, plan, (pl.col("until") - pl.col("since")) * pl.col("readings_per_day"))
    lost = missing_by_day(farm, plan).group_by(month=month_of("date")).agg(pl.col("missing").sum())
    left = pl.col("rows") - pl.col("missing").fill_null(0)
    return every.join(lost, on="month", how="left").select("month", rows=left).sort("month")


def _readings_due(inputs: RuleInputs) -> pl.LazyFrame:
    """A reading of each sensor at each reading hour, less those that outages take."""
    outages = Outages(inputs.farm.seed, inputs.farm.sensor_gap_share)
    sensors = inputs.whole("infrastructure_sensor").lazy().group_by("container_id").agg(sensors=pl.len().cast(pl.Int64))
    sites = inputs.whole("plan_assignment").lazy().select("assignment_id", "site")
    # The order decides which site counts for a container with fish of two sites, which no correct farm has.
    days = (
        assignment_days(inputs)
        .join(sensors, on="container_id", maintain_order="left")
        .join(sites, on="assignment_id", maintain_order="left")
        .collect()
    )
    parts = [days.select("assignment_id", "date", due=pl.col("sensors")).head(0)]
    for kinds in days["sensors"].unique():
        rows = days.filter(sensors=kinds)
        ordinals = rows["date"].to_physical().to_numpy().astype(np.int64) + _EPOCH
        begins, ends = outages.of_days(rows["site"].to_numpy(), rows["container_id"].to_numpy(), ordinals, kinds)
        due = pl.Series(kinds * len(READING_HOURS) - (ends - begins).sum(axis=1))
        parts.append(rows.select("assignment_id", "date", due=due))
    return pl.concat(parts).lazy()


READINGS = TableDefinition(
    name="environmental_environmentalreading",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Value of one parameter in one container at one time.",
    how="Each sensor of each assignment around six hours of each day, unless it is out: the water of the site, the "
    "container's own share of it, and the sensor's offset, drift and noise. The last temperature of a day has the "
    "parameter `Temperature`, the others `temperature`.",
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
        brin_lookup("sensor_id", "batch_id", "batch_container_assignment_id"),
    ),
    time="reading_time",
    reads=(*PLAN, "life_day", "infrastructure_sensor"),
    generate=readings,
    expected=ByFormula(_rows),
    lineage={
        "id": "plan_assignment.first_reading_id",
        "reading_time": "life_day.date",
        "value": "life_day.temp_c life_day.population life_day.weight_g life_day.feed_dg",
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
        bigint("readings"),
        double("first_c"),
        text("parameter"),
    ),
    time="date",
    reads=("environmental_environmentalreading", "environmental_environmentalparameter"),
    generate=lambda inputs: daily_temperature(
        inputs.scan("environmental_environmentalreading", inputs.months_to_make),
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

__all__ = ["CALIBRATION_DAYS", "DAILY_TEMPERATURE", "READINGS", "sensor_errors"]
