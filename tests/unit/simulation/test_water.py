"""Water has memory and a daily course, and any part equals its part of the whole. Ranges: docs/reference/water.md."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import water
from aquamind_pipeline.simulation.schedule import READING_HOURS

SEEDS = st.integers(0, 2**63 - 1)
HOURS = len(READING_HOURS)
SITES, GEOGRAPHIES = np.arange(22, 64), np.repeat([1, 2], [22, 20])
FAROES, SCOTLAND = GEOGRAPHIES == 1, GEOGRAPHIES == 2
FIRST = date(2023, 1, 1)
YEARS = np.arange(FIRST.toordinal(), FIRST.toordinal() + 3 * 365)
MONTH = np.array([date.fromordinal(day).month for day in YEARS.tolist()])


def _daily(values: Floats) -> Floats:
    means: Floats = values.reshape(values.shape[0], -1, HOURS).mean(axis=2)
    return means


def _memory(values: Floats, lag: int) -> float:
    """Mean correlation of each site's values with those `lag` steps later."""
    return float(np.mean([np.corrcoef(one[:-lag], one[lag:])[0, 1] for one in values]))


@given(SEEDS)
def test_smooth_noise_is_standard_and_remembers(seed: int) -> None:
    """Mean 0, deviation 1 at every time, near itself within a tenth of its scale, and strange to itself after two."""
    times = np.arange(17_000_000, 17_000_000 + 150 * 240)
    noise = water.smooth(seed, np.arange(20), times, 240)
    assert abs(noise.mean()) < 0.05
    assert 0.95 < noise.std() < 1.05
    middle = noise[:, ::240], noise[:, 120::240]
    assert all(0.9 < part.std() < 1.1 for part in middle)
    assert _memory(noise, 24) > 0.95
    assert abs(_memory(noise, 480)) < 0.1
    assert np.abs(np.corrcoef(noise)[np.triu_indices(20, 1)]).max() < 0.5


@given(SEEDS, st.integers(0, 900), st.integers(1, 60), st.lists(st.integers(0, 41), min_size=1, unique=True))
def test_parts_equal_the_whole(seed: int, since: int, days: int, some: list[int]) -> None:
    chosen = np.sort(np.array(some))
    part = YEARS[since : since + days]
    here = slice(since * HOURS, (since + days) * HOURS)
    whole, sea = (
        water.sea(seed, SITES[sites], GEOGRAPHIES[sites], ordinals)
        for sites, ordinals in ((np.arange(42), YEARS), (chosen, part))
    )
    for name in ("salinity_ppt", "oxygen", "ph"):
        assert (getattr(sea, name) == getattr(whole, name)[chosen, here]).all(), name
    stations, station = (water.station(seed, np.arange(22), days) for days in (YEARS, part))
    for name in ("load", "oxygen", "ph", "biofilter"):
        assert (getattr(station, name) == getattr(stations, name)[:, here]).all(), name


@given(SEEDS)
def test_salinity(seed: int) -> None:
    """w.1: sea lochs are fresher, above all in winter, and freshen by more than 1.5 ppt in some episode."""
    salinity = _daily(water.sea(seed, SITES, GEOGRAPHIES, YEARS).salinity_ppt)
    assert 34.8 < salinity[FAROES].mean() < 35.25
    assert 33.2 < salinity[SCOTLAND].mean() < 34.4
    assert salinity[FAROES].min() > 33.8
    assert 30.5 < salinity[SCOTLAND].min() < 32.7
    assert salinity[SCOTLAND].std() > 2 * salinity[FAROES].std()
    winter, summer = (np.isin(MONTH, months) for months in ((11, 12, 1, 2), (5, 6, 7, 8)))
    assert salinity[SCOTLAND][:, winter].mean() < salinity[SCOTLAND][:, summer].mean() - 0.2
    assert 0.9 < _memory(salinity, 1) < 0.995
    assert 0.15 < _memory(salinity, 14) < 0.75
    near = np.corrcoef(salinity[SCOTLAND])[np.triu_indices(int(SCOTLAND.sum()), 1)]
    assert near.mean() > 0.4, "it rains on a region"


@given(SEEDS)
def test_oxygen_at_sea(seed: int) -> None:
    """w.2: 60-110 % of saturation, highest in spring and in the afternoon, with episodes from August to November."""
    oxygen = water.sea(seed, SITES, GEOGRAPHIES, YEARS).oxygen
    assert oxygen.min() > 0.66
    assert oxygen.max() < 1.13
    daily = _daily(oxygen)
    assert 0.88 < daily.mean() < 0.99
    assert 0.04 < daily.std() < 0.09
    by_month = np.array([daily[:, month == MONTH].mean() for month in range(1, 13)])
    assert by_month[2:6].mean() > by_month[8:11].mean() + 0.06
    low = daily < 0.78
    autumn = np.isin(MONTH, (8, 9, 10, 11))
    assert 0.005 < low[:, autumn].mean() < 0.25
    assert low[:, ~autumn].mean() < low[:, autumn].mean() / 5
    runs = [np.diff(np.flatnonzero(np.diff(np.pad(one, 1).astype(np.int8))))[::2] for one in low]
    assert 2 < np.concatenate(runs).mean() < 15, "episodes last days to weeks"
    course = oxygen.reshape(42, -1, HOURS)
    june, december = (course[:, month == MONTH].mean(axis=(0, 1)) for month in (6, 12))
    assert READING_HOURS[int(june.argmax())] in (14, 16)
    assert june.max() - june[0] > 0.03
    assert december.max() - december.min() < 0.015
    assert 0.85 < _memory(daily, 1) < 0.985
    assert 0.2 < _memory(daily, 14) < 0.75
    assert _memory(oxygen, 1) > 0.85, "from reading to reading"


@given(SEEDS)
def test_ph_follows_oxygen(seed: int) -> None:
    """w.3: 7.85-8.25, higher in spring than in autumn, and with oxygen."""
    sea = water.sea(seed, SITES, GEOGRAPHIES, YEARS)
    ph = _daily(sea.ph)
    assert 7.8 < ph.min() < ph.max() < 8.3
    spring, autumn = (ph[:, np.isin(MONTH, months)].mean() for months in ((4, 5), (9, 10)))
    assert 0.03 < spring - autumn < 0.12
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ph, _daily(sea.oxygen), strict=True)]) > 0.6
    assert 0.85 < _memory(ph, 1) < 0.99


@pytest.mark.parametrize("fed", [0.0, 1.0])
def test_fed_fish_use_more_oxygen_after_meals(fed: float) -> None:
    population: Ints = np.array([0, 100_000, 200_000, 10**7])
    density = water.ring_density(population, np.full(4, 5_000.0))
    use = water.fish_use(density, np.full(4, fed))
    assert density[:3].tolist() == [0.0, 10.0, 20.0]
    assert (use[0] == 0).all()
    assert (use[3] == use[2]).all(), "what does not happen has a bound"
    assert use[2].max() < 0.1
    assert (use[2, 0] < use[2].max()) == bool(fed)
