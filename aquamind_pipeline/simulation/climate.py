"""Water temperature of every site on every day. Fish grow by this temperature and sensors report it.

A temperature is the sum of a seasonal curve per geography and kind of water, an offset per site, and a slow anomaly,
interpolated between knots 15 days apart. The sea curves lie near AquaMind's scenario profiles (farm-figures b.2:
9.5 ± 1 °C in the Faroes, 10 ± 3 °C in Scotland) and near coastal records (about 7-11 °C and 7-14 °C). Freshwater is
tempered hatchery water around 7 °C. At 7 °C fish grow through AquaMind's weight ranges in its 90-day stages; in
AquaMind's warmer water they reach the end of a range early and stop growing (farm-figures b.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.sites import geography

_KNOT_DAYS = 15
_YEAR_DAYS = 365.25


@dataclass(frozen=True)
class Season:
    """Mean, half the yearly range (both °C) and the warmest day of the year."""

    mean_c: float
    amplitude_c: float
    peak_day: int


FRESHWATER = {1: Season(7.0, 0.6, 213), 2: Season(7.0, 0.7, 208)}
SEA = {1: Season(9.0, 1.5, 235), 2: Season(9.5, 2.8, 232)}
"""Seasons by geography_id."""


def site_geographies(sites: int) -> Ints:
    """geography_id of every site, in the order of `site_temperature_c`.

    Args:
        sites: `Profile.sites`.
    """
    places = geography(sites)
    ids = places["geography_id"].to_numpy()
    return np.concatenate([np.repeat(ids, places[kind].to_numpy()) for kind in ("stations", "areas")])


def half_wave(x: Floats) -> Floats:
    """Sine of πx for -1 <= x <= 1, to 0.001, by parabolas: the same bits on every machine."""
    y = 4.0 * x * (1.0 - np.abs(x))
    return 0.225 * (y * np.abs(y) - y) + y


def seasonal_c(season: Season, ordinals: Ints) -> Floats:
    """Mean temperature in °C on days given as `date.toordinal()`."""
    phase = np.mod((ordinals - season.peak_day) / _YEAR_DAYS, 1.0)
    x = 2.0 * phase + 0.5
    return season.mean_c + season.amplitude_c * half_wave(np.where(x > 1.0, x - 2.0, x))


def site_temperature_c(seed: int, first_day: int, days: int, sites: int = 1) -> Floats:
    """Daily mean water temperature of every site.

    Args:
        seed: The farm's seed.
        first_day: The first day, as `date.toordinal()`.
        days: Number of days.
        sites: `Profile.sites`.

    Returns:
        °C as an array [site, day]. Sites are numbered from 0: freshwater stations by id, then sea areas by id.
    """
    ordinals = np.arange(first_day, first_day + days, dtype=np.int64)
    places = geography(sites)
    curves = [
        np.broadcast_to(seasonal_c(season[place["geography_id"]], ordinals), (place[kind], days))
        for kind, season in (("stations", FRESHWATER), ("areas", SEA))
        for place in places.iter_rows(named=True)
    ]
    seasonal = np.concatenate(curves)
    site = np.arange(seasonal.shape[0], dtype=np.int64)
    offset = 0.25 * draws.normal(draws.stream(seed, "climate", "site"), site)
    knots = np.arange(ordinals[0] // _KNOT_DAYS, ordinals[-1] // _KNOT_DAYS + 2, dtype=np.int64)
    anomaly = 0.5 * draws.normal(draws.stream(seed, "climate", "anomaly"), site[:, None], knots[None, :])
    knot = ordinals // _KNOT_DAYS - knots[0]
    fraction = (ordinals % _KNOT_DAYS) / _KNOT_DAYS
    smooth = fraction * fraction * (3.0 - 2.0 * fraction)
    return seasonal + offset[:, None] + anomaly[:, knot] * (1.0 - smooth) + anomaly[:, knot + 1] * smooth


__all__ = ["FRESHWATER", "SEA", "Season", "half_wave", "seasonal_c", "site_geographies", "site_temperature_c"]
