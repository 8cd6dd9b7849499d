"""Outages of sensors: any part equals the whole, and their share is the profile's."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.simulation.outages import (
    BLOCK_DAYS,
    LENGTHS,
    LONGEST_DAYS,
    SLOTS,
    TEMPERATURE,
    Outages,
    missing_by_day,
)
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sites import FRESHWATER_SENSORS, SEA_SENSORS
from tests.helpers.farms import farms, planned

FIRST = 738_000


def _missing(seed: int, share: float, containers: int, days: int, first: int = FIRST) -> np.ndarray:
    """Whether a reading is missing, [container, day, slot, sensor]. Ten containers to a site."""
    container = np.repeat(np.arange(1, containers + 1), days)
    ordinals = np.tile(np.arange(first, first + days), containers)
    begins, ends = Outages(seed, share).of_days(container // 10, container, ordinals, 4)
    slot = np.arange(SLOTS)[None, :, None]
    missing = (begins[:, None, :] <= slot) & (slot < ends[:, None, :])
    return missing.reshape(containers, days, SLOTS, 4)


@given(st.integers(0, 2**63 - 1), st.sampled_from([0.005, 0.02, 0.05, 0.1]))
def test_the_share_is_the_profiles(seed: int, share: float) -> None:
    """Within five standard errors; the sites' common outages weigh most, so each site and block counts as one draw.

    Temperature is left out, of which a day's first reading always arrives.
    """
    missing = _missing(seed, share, 400, 50 * BLOCK_DAYS)[..., TEMPERATURE + 1 :]
    by_site = missing.reshape(40, 10, 50, BLOCK_DAYS * SLOTS * 3).mean(axis=(1, 3))
    error = by_site.std() / np.sqrt(by_site.size)
    assert abs(missing.mean() - share) < 5 * error
    assert error < 0.1 * share + 0.0005


def test_without_a_share_nothing_is_missing() -> None:
    assert not _missing(1, 0.0, 100, 100).any()


@given(st.integers(0, 2**63 - 1))
def test_every_day_has_a_temperature(seed: int) -> None:
    whole_days = _missing(seed, 0.1, 100, 400).all(axis=2).any(axis=(0, 1))
    assert whole_days.tolist() == [kind != TEMPERATURE for kind in range(4)]


@given(st.integers(0, 2**63 - 1))
def test_outages_last_hours_to_days(seed: int) -> None:
    """Of one sensor: lengths are among those given, or two of them in a row, and all of the given ones occur."""
    gone = _missing(seed, 0.02, 400, 400)[..., 1].reshape(400, -1)
    edges = np.diff(np.pad(gone, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    assert set(LENGTHS) <= set(lengths)
    assert np.mean(np.isin(lengths, LENGTHS)) > 0.97
    assert lengths.max() <= 2 * LONGEST_DAYS * SLOTS


@given(st.integers(0, 2**63 - 1))
def test_a_site_loses_all_sensors_together(seed: int) -> None:
    """A sensor is out more often when the one of the next tank is, but not when one of another site is."""
    gone = _missing(seed, 0.1, 200, 400)[..., 1].reshape(20, 10, -1)[1:]  # the first site has nine containers
    here, next_tank, elsewhere = gone[:, 1], gone[:, 2], np.roll(gone[:, 2], 1, axis=0)
    assert (here & next_tank).mean() > 1.5 * here.mean() * next_tank.mean()
    assert (here & elsewhere).mean() < 1.5 * here.mean() * elsewhere.mean()


@given(st.integers(0, 2**63 - 1), st.integers(1, 100), st.integers(1, 60))
def test_parts_equal_the_whole(seed: int, since: int, days: int) -> None:
    whole = _missing(seed, 0.1, 30, 200)
    part = _missing(seed, 0.1, 30, days, FIRST + since)
    assert (part == whole[:, since : since + days]).all()


@given(farms())
def test_the_count_is_exact(farm: Profile) -> None:
    """By formula, and by looking at every assignment, day and sensor."""
    plan, outages = planned(farm), Outages(farm.seed, farm.sensor_gap_share)
    counted = []
    for row in plan.assignments.filter(pl.col("assignment_date") <= farm.as_of).iter_rows(named=True):
        days = pl.date_range(
            row["assignment_date"],
            min(row["departure_date"], farm.as_of + timedelta(days=1)),
            closed="left",
            eager=True,
        )
        sensors = len(SEA_SENSORS if row["area_id"] is not None else FRESHWATER_SENSORS)
        same = np.ones(days.len(), np.int64)
        ordinals = np.array([day.toordinal() for day in days], np.int64)
        begins, ends = outages.of_days(same * row["site"], same * row["container_id"], ordinals, sensors)
        counted.append(pl.DataFrame({"date": days, "missing": (ends - begins).sum(axis=1)}))
    by_day = pl.concat(counted).group_by("date").sum().filter(pl.col("missing") > 0).sort("date")
    assert missing_by_day(farm, plan).equals(by_day)
