"""Readings of sensors are what water can be, come from loggers with a clock, and have gaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.environmental.parameters import PARAMETER_IDS, SHOWN_TEMPERATURE_ID
from aquamind_pipeline.apps.environmental.reading_rules import LATE_SECONDS
from aquamind_pipeline.apps.environmental.readings import READINGS, sensor_errors
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.volumes import planned_rows
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.simulation.life import live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import READING_HOURS, schedule
from aquamind_pipeline.simulation.sites import SEA_SENSORS
from tests.helpers.farms import Made

MONTH = "2024-09"
DAY = pl.col("reading_time").dt.date()


class _OneMonth(MemoryTables):
    """A large farm with the life of one month in memory."""

    def __init__(self, farm: Profile, month: str) -> None:
        super().__init__(farm)
        first = date.fromisoformat(f"{month}-01")
        plan = schedule(farm)
        there = plan.assignments.filter(
            pl.col("assignment_date") <= pl.lit(first).dt.month_end(), pl.col("departure_date") > first
        )
        days = live(farm, plan.of_batches(there["batch_id"].unique().to_list())).days
        self._made["life_day", month] = days.filter(pl.col("date").dt.truncate("1mo") == first)

    def partitions(self, table: str) -> list[str]:
        return [MONTH] if table == "life_day" else super().partitions(table)

    def scan(self, table: str, partitions: object = None) -> pl.LazyFrame:
        if table == "life_day":
            return self._made[table, MONTH].lazy()
        return super().scan(table)


@pytest.fixture(scope="module")
def month() -> pl.DataFrame:
    """One September of `test-40`, with a seed that nobody chose the constants for."""
    farm = load_profile("test-40").model_copy(update={"seed": 918_273_645})
    tables = _OneMonth(farm, MONTH)
    rows = READINGS.make(Inputs(READINGS, farm, tables, months=[MONTH]))
    expected = planned_rows(READINGS, farm, schedule(farm))
    assert expected is not None
    assert rows.height == expected.filter(month=MONTH)["rows"].item()
    areas = tables.scan("infrastructure_container").select("area_id", container_id="id").collect()
    return rows.with_columns(pl.col("value").cast(pl.Float64), date=DAY).join(areas, on="container_id")


def _of(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    return rows.filter(parameter_id=PARAMETER_IDS[kind])


def _agreement(rows: pl.DataFrame, kind: str) -> tuple[float, float]:
    """Median deviation of a sea area's rings on one day, and correlation of two rings of an area over the month."""
    means = (
        _of(rows, kind).drop_nulls("area_id").group_by("area_id", "container_id", "date").agg(pl.col("value").mean())
    )
    apart = means.group_by("area_id", "date").agg(pl.col("value").std())["value"].median()
    assert isinstance(apart, float)
    together = []
    for _, area in means.group_by("area_id"):
        rings = area.pivot("container_id", index="date", values="value").drop("date").drop_nulls()
        if rings.height > 20:
            together.append(np.corrcoef(rings.to_numpy()[:, :6].T)[np.triu_indices(6, 1)].mean())
    return apart, float(np.mean(together))


def test_readings_are_physical(tiny_made: Made) -> None:
    """Values within the parameter's own limits, and oxygen between 60 and 120 % of saturation."""
    values = (
        tiny_made.frame(READINGS.name)
        .with_columns(pl.col("value").cast(pl.Float64))
        .join(
            tiny_made.frame("environmental_environmentalparameter").rename({"id": "parameter_id"}),
            on="parameter_id",
        )
    )
    assert values["name"].n_unique() == 9
    assert values.filter(~pl.col("value").is_between("min_value", "max_value")).is_empty()
    oxygen = values.filter(name="Dissolved Oxygen")["value"]
    assert 60 < oxygen.min() < oxygen.max() < 120  # type: ignore[operator]


def test_both_spellings_of_temperature_have_readings(month: pl.DataFrame) -> None:
    """AquaMind's growth engine reads `temperature`, its pages read `Temperature`; no reading is stored twice."""
    shown = month.filter(parameter_id=SHOWN_TEMPERATURE_ID)
    days = month.group_by("container_id", "batch_id", "date").len()
    assert shown.select("container_id", "batch_id", "date").is_unique().all()
    assert 0.9 * days.height < shown.height < days.height, "the last of a day, unless the sensor is out"
    assert set(shown["reading_time"].dt.offset_by("30m").dt.hour()) == {READING_HOURS[-1]}
    read = _of(month, "Temperature")
    assert read.group_by("container_id", "batch_id", "date").len().height == days.height, "one a day at least"
    assert read.join(shown, on=["sensor_id", "reading_time"]).is_empty()
    sea = [_of(month, "Temperature"), shown]
    means = [one.group_by("container_id", "date").agg(pl.col("value").mean()) for one in sea]
    both = means[0].join(means[1], on=["container_id", "date"])
    assert (both["value"] - both["value_right"]).abs().max() < 0.8  # type: ignore[operator]


def test_times_are_those_of_loggers(month: pl.DataFrame) -> None:
    """Real seconds around the hours, the same for all sensors of a site, in order and once."""
    hour_us = 3_600_000_000
    hour = (pl.col("reading_time") + pl.duration(minutes=30)).dt.hour()
    late_s = (pl.col("reading_time").to_physical() + hour_us // 2) % hour_us / 1e6 - 1800
    times = month.with_columns(hour=hour, late_s=late_s)
    assert set(times["hour"]) == set(READING_HOURS)
    assert times["late_s"].abs().max() < LATE_SECONDS  # type: ignore[operator]
    assert times["late_s"].n_unique() > 60
    assert times.drop_nulls("area_id").group_by("area_id", "date", "hour").agg(pl.col("late_s").n_unique())[
        "late_s"
    ].unique().to_list() == [1]
    assert month.select("sensor_id", "reading_time").is_unique().all()
    assert month["id"].is_unique().all()
    by_container = month.select("container_id", "reading_time")
    assert by_container.equals(by_container.sort("container_id", "reading_time"))


@pytest.mark.parametrize(
    ("kind", "least", "most", "alike"),
    [
        ("Temperature", 0.02, 0.2, 0.8),
        ("Dissolved Oxygen", 0.4, 2.5, 0.7),
        ("pH", 0.01, 0.06, 0.6),
        ("Salinity", 0.02, 0.15, 0.5),
    ],
)
def test_neighbouring_rings_agree(month: pl.DataFrame, kind: str, least: float, most: float, alike: float) -> None:
    """They share the site's water, but not to the hundredth."""
    apart, together = _agreement(month, kind)
    assert least < apart < most
    assert together > alike


def test_oxygen_is_no_function_of_temperature(month: pl.DataFrame) -> None:
    """Where oxygen follows temperature alone the correlation is -0.93; here each site has its own course."""
    here = ["container_id", "reading_time"]
    sea = month.drop_nulls("area_id")
    both = _of(sea, "Temperature").join(_of(sea, "Dissolved Oxygen"), on=here, suffix="_oxygen")
    assert abs(both.select(pl.corr("value", "value_oxygen")).item()) < 0.8


def test_ph_of_tanks_follows_carbon_dioxide(month: pl.DataFrame) -> None:
    here = ["container_id", "reading_time"]
    both = _of(month, "pH").join(_of(month, "CO2"), on=here, suffix="_co2")
    assert both.select(pl.corr("value", "value_co2")).item() < -0.4


def _steps(values: np.ndarray, days: int) -> np.ndarray:
    return np.abs(values[days:] - values[:-days])


@pytest.mark.parametrize(("kind", "change"), [("Salinity", lambda step: step < 1.0), ("pH", lambda step: step < 0.15)])
def test_a_day_is_like_the_day_before(month: pl.DataFrame, kind: str, change: Callable[[float], bool]) -> None:
    """Of daily means: nearly all steps are small, and those over a week are larger."""
    daily = _of(month, kind).drop_nulls("area_id").group_by("container_id", "date").agg(pl.col("value").mean())
    one, seven = [], []
    for _, ring in daily.sort("date").group_by("container_id"):
        if ring.height == 30:
            one.append(_steps(ring["value"].to_numpy(), 1))
            seven.append(_steps(ring["value"].to_numpy(), 7))
    assert change(float(np.quantile(np.concatenate(one), 0.99)))
    assert np.concatenate(seven).mean() > 1.3 * np.concatenate(one).mean()


@given(st.integers(0, 2**63 - 1))
def test_sensors_drift_and_are_calibrated(seed: int) -> None:
    """An error grows in a straight line from the sensor's own offset, and is that again after four to nine weeks."""
    containers, days = np.arange(1, 101), np.arange(739_000, 739_700)
    row_container, ordinals = np.repeat(np.arange(100), 700), np.tile(days, 100)
    errors = sensor_errors(seed, SEA_SENSORS, containers, row_container, ordinals).reshape(4, 100, 700)
    for of_kind in errors:
        jumps = np.abs(np.diff(of_kind, n=2, axis=1)) > 1e-9
        assert 700 / 63 - 1 < np.mean([np.count_nonzero(np.diff(np.flatnonzero(one)) > 1) for one in jumps]) < 700 / 28
    part = (ordinals >= 739_300) & (ordinals < 739_331)
    alone = sensor_errors(seed, SEA_SENSORS, containers, row_container[part], ordinals[part])
    assert (alone == errors.reshape(4, -1)[:, part]).all(), "a month is made alone"


def test_missing_readings_are_missing(month: pl.DataFrame) -> None:
    """No null stands for one; about the profile's share is missing, of every type of sensor and in runs."""
    assert month["value"].null_count() == 0
    assert READINGS is REGISTRY[READINGS.name]
    for kind, number in PARAMETER_IDS.items():
        rows = month.filter(pl.col("parameter_id").is_in([number, SHOWN_TEMPERATURE_ID][: 1 + (kind == "Temperature")]))
        due = rows.select("container_id", "date").unique().height * len(READING_HOURS)
        assert 0.001 < 1 - rows.height / due < 0.06, kind


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_the_profile_sets_the_share(tiny: Profile, share: float) -> None:
    farm = tiny.model_copy(update={"sensor_gap_share": share})
    rows = Made(farm).frame(READINGS.name)
    plan = schedule(farm)
    expected = planned_rows(READINGS, farm, plan)
    without = planned_rows(READINGS, farm.model_copy(update={"sensor_gap_share": 0.0}), plan)
    assert expected is not None
    assert without is not None
    assert rows.height == expected["rows"].sum()
    assert abs(1 - rows.height / without["rows"].sum() - share) < 0.02


@pytest.mark.parametrize("share", [-0.01, 0.2])
def test_a_share_that_cannot_be_is_refused(tiny: Profile, share: float) -> None:
    with pytest.raises(ValueError, match="sensor_gap_share"):
        Profile.model_validate(tiny.model_dump() | {"sensor_gap_share": share})
