"""The water of every site and container, hour by hour: salinity, oxygen, pH, carbon dioxide and nitrogen.

Water has memory. Each process is a function of (seed, place, time): noise between knots at several time scales,
seasons, tides, the day's course of light and meals, and episodes. So any month is made alone and equals its part of the
whole.
Sources of the figures: docs/reference/water.md.

Arrays are [place, time]. Times are hours since 0001-01-00, `24 * date.toordinal() + hour`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.climate import half_wave
from aquamind_pipeline.simulation.schedule import READING_HOURS
from aquamind_pipeline.simulation.sites import RING_VOLUME_M3

DAY, YEAR_DAYS = 24, 365.25

# Salinity (w.1)
OCEAN_PPT = {1: 35.15, 2: 34.4}
"""Salinity of the water that a site gets from the sea, by geography_id: Faroe shelf 35.1-35.25, Scottish west coast
34-34.8."""
FRESHEST_PPT = {1: 0.9, 2: 3.0}
"""Most that run-off takes away at the depth of the sensors."""
EXPOSURE = {1: (0.3, 1.0), 2: (0.4, 2.2)}
"""Least and most run-off that a site gets. Sea lochs gather rivers; Faroese fjords are short and stirred by tides."""
RAIN_MEMORY, RAIN_DAYS = 0.82, 24
"""Share of the fresh water of a day that is still there a day later, and days after which the rest is forgotten."""
TIDE_HOURS = 12.4206

# Oxygen at sea, as a share of saturation (w.2)
SEA_OXYGEN = 0.945
SEASON_OXYGEN, SPRING_DAY = 0.05, 118
"""Half of the yearly range, and its highest day: plankton blooms in spring, and decays in autumn."""
LIGHT_OXYGEN = (0.018, 0.014)
"""Half of the daily range: its mean, and what summer adds and winter takes."""
SOLSTICE_DAY, LIGHTEST_HOUR = 172, 15.5
"""Day of the longest light, and hour (UTC) at which plankton has made most oxygen."""
EPISODE_OXYGEN, EPISODE_DAY = 0.24, 262
"""Most that an episode of low oxygen takes, and the middle of its season: mid-September."""
OXYGEN_RANGE = (0.68, 1.12)
"""The water around the pens stays within these shares of saturation."""
RESPIRATION = 0.0035
"""Share of saturation that fed fish take, for each kg/m3."""
MOST_DENSITY = 20.0
_RESTING = 0.6
MEAL_HOURS = np.array((0.75, 0.9, 1.1, 1.15, 1.1, 1.0))
"""Oxygen that fish use at the reading hours, relative to the day's mean: more after meals."""

# pH at sea (w.3)
SEA_PH = 8.06
PH_OF_OXYGEN, PH_OF_SALT = 0.6, 0.012
"""Change of pH for oxygen from 0 to full saturation, and for each ppt. Life exchanges one gas for the other: 1 % of
saturation is about 2.8 µmol of oxygen and 2.2 µmol of carbon dioxide per kg, which changes pH by about 0.005."""

# Tanks (w.4)
TANK_OXYGEN, TANK_OXYGEN_LOAD = 0.965, 0.09
TANK_PH, PH_OF_CO2 = 7.3, -0.045
CO2_MG_L = (3.5, 9.0)
NO2_MG_L, NO3_MG_L, NH4_MG_L = (0.026, 0.05), (12.0, 20.0), (0.007, 0.009)
"""Values of an empty tank, and what a full load adds."""


_PART_OF_DAY = np.array(READING_HOURS) / DAY


def reading_times(ordinals: Ints) -> Ints:
    """The hours of all readings of some days, in order."""
    times: Ints = (ordinals[:, None] * DAY + np.array(READING_HOURS, np.int64)).ravel()
    return times


def midnights(ordinals: Ints) -> Ints:
    """The hours at which some successive days begin, and that at which the last one ends."""
    times: Ints = np.arange(ordinals[0], ordinals[-1] + 2, dtype=np.int64) * DAY
    return times


def at_readings(by_day: Floats) -> Floats:
    """Values at midnights, [place, midnight], on straight lines between them: [place, reading time]."""
    before, after = by_day[:, :-1, None], by_day[:, 1:, None]
    values: Floats = (before + (after - before) * _PART_OF_DAY).reshape(by_day.shape[0], -1)
    return values


def smooth(key: int, places: Ints, times: Ints, scale: int) -> Floats:
    """Noise with a memory of about `scale` hours: standard normal draws at knots, and curves between them.

    The curve is scaled so that its variance is one at every time. Each place has its knots at other times.

    Args:
        key: Stream of the draws.
        places: Numbers of the places.
        times: Hours, ascending.
        scale: Hours from knot to knot.

    Returns:
        Array [place, time], bounded to ±4.9.
    """
    shifted = times[None, :] + (draws.bits(key, places, -1) % np.uint64(scale)).astype(np.int64)[:, None]
    knot = shifted // scale
    first = int(knot[:, 0].min()) if places.size else 0
    knots = np.arange(first, int(knot[:, -1].max()) + 2 if places.size else 1)
    height = draws.normal(key, places[:, None], knots[None, :])
    fraction = (shifted - knot * scale) / scale
    part = fraction * fraction * (3.0 - 2.0 * fraction)
    rest = 1.0 - part
    knot += (np.arange(places.size) * knots.size - first)[:, None]  # positions in the flat array
    curve = height.take(knot) * rest + height.take(knot + 1) * part
    curve /= np.sqrt(rest * rest + part * part)
    return curve


def wave(times: Floats | Ints, peak_hour: float, period_hours: float) -> Floats:
    """A wave between -1 and 1 that is highest at `peak_hour` and every `period_hours` after it."""
    phase = np.mod((times - peak_hour) / period_hours, 1.0)
    x = 2.0 * phase + 0.5
    return half_wave(np.where(x > 1.0, x - 2.0, x))


def season(times: Ints, peak_day: int) -> Floats:
    """A yearly wave between -1 and 1 that is highest on a day of the year."""
    return wave(times, DAY * peak_day, DAY * YEAR_DAYS)


@dataclass(frozen=True)
class Sea:
    """Water of sea sites, [site, time].

    Attributes:
        salinity_ppt: Salinity.
        oxygen: Oxygen around the pens, as a share of saturation.
        ph: pH at the oxygen around the pens.
    """

    salinity_ppt: Floats
    oxygen: Floats
    ph: Floats


@dataclass(frozen=True)
class Station:
    """Water of freshwater stations, [site, time].

    Attributes:
        load: How much the station's water is worn, around zero.
        oxygen: What its aeration adds to or takes from saturation.
        ph: What its alkalinity adds to or takes from pH.
        biofilter: How far its biofilter is off, around zero.
    """

    load: Floats
    oxygen: Floats
    ph: Floats
    biofilter: Floats


def sea(seed: int, sites: Ints, geographies: Ints, ordinals: Ints) -> Sea:
    """The water of some sea sites at the reading hours of some successive days.

    Args:
        seed: The farm's seed.
        sites: Sites as in `climate`.
        geographies: geography_id of each site.
        ordinals: The days, as `date.toordinal()`.
    """
    times, days = reading_times(ordinals), midnights(ordinals)

    def noise(name: str, scale: int, times: Ints = days) -> Floats:
        return smooth(draws.stream(seed, "water", name), sites, times, scale)

    def own(name: str) -> Floats:
        return draws.uniform(draws.stream(seed, "water", name), sites)[:, None]

    def of_geography(values: dict[int, float]) -> Floats:
        return np.array([values[one] for one in geographies.tolist()])[:, None]

    tide = wave(times + TIDE_HOURS * own("tide"), 0.0, TIDE_HOURS)
    fresh = fresh_water(seed, sites, geographies, ordinals)
    lost = at_readings(of_geography(FRESHEST_PPT) * (fresh / (fresh + 1.0)))
    ocean = at_readings(of_geography(OCEAN_PPT) + 0.06 * noise("salinity", 20 * DAY))
    salinity = ocean - lost * (1.0 - 0.12 * tide) + 0.02 * noise("eddies", 8, times)

    episode = np.maximum(noise("low oxygen", 9 * DAY) + 1.1 * season(days, EPISODE_DAY) - 1.7, 0.0)
    light = LIGHT_OXYGEN[0] + LIGHT_OXYGEN[1] * season(days[:-1], SOLSTICE_DAY)
    oxygen = at_readings(
        SEA_OXYGEN
        + SEASON_OXYGEN * season(days, SPRING_DAY)
        + 0.034 * noise("oxygen of weeks", 11 * DAY)
        + 0.020 * noise("oxygen of days", 2 * DAY)
        - EPISODE_OXYGEN * (0.5 + own("shelter")) * episode / (episode + 1.2)
    )
    oxygen += np.outer(light, wave(np.array(READING_HOURS), LIGHTEST_HOUR, DAY)).ravel()
    oxygen += 0.008 * tide + 0.012 * noise("oxygen of hours", 8, times)
    np.clip(oxygen, *OXYGEN_RANGE, out=oxygen)
    ph = at_readings(SEA_PH + 0.018 * noise("ph", 24 * DAY) + 0.03 * (own("ph of the site") - 0.5))
    ph += PH_OF_OXYGEN * (oxygen - SEA_OXYGEN) + PH_OF_SALT * (salinity - 34.8)
    return Sea(salinity, oxygen, ph)


def fresh_water(seed: int, sites: Ints, geographies: Ints, ordinals: Ints) -> Floats:
    """Fresh water at sea sites, without unit, at the midnights of some successive days.

    It rains on a region and on its sites. Heavy rain is rare; most falls from October to January. A day's fresh water
    leaves the site over weeks.
    """
    days = np.arange(ordinals[0] - RAIN_DAYS - 1, ordinals[-1] + 1, dtype=np.int64)
    noon = days * DAY + 12
    regions, region = np.unique(geographies, return_inverse=True)
    weather = smooth(draws.stream(seed, "water", "weather"), regions, noon, 5 * DAY)[region]
    showers = draws.normal(draws.stream(seed, "water", "showers"), sites[:, None], days[None, :])
    wet = 0.9 * weather + 0.5 * showers + 0.55 * season(noon, 350) - 0.5
    rain = np.maximum(wet, 0.0)
    rain *= rain
    fresh = np.zeros_like(rain)
    for ago in range(RAIN_DAYS, -1, -1):  # a sum over a fixed window, so that any day is made alone
        fresh[:, RAIN_DAYS:] += RAIN_MEMORY**ago * rain[:, RAIN_DAYS - ago : rain.shape[1] - ago]
    bounds = np.array([EXPOSURE[one] for one in geographies.tolist()])
    exposed = draws.uniform(draws.stream(seed, "water", "exposure"), sites)
    fresh *= (0.15 * (bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) * exposed))[:, None]
    by_day: Floats = fresh[:, RAIN_DAYS:]
    return by_day


def station(seed: int, sites: Ints, ordinals: Ints) -> Station:
    """The water of some freshwater stations at the reading hours of some successive days; arguments as of `sea`."""
    days = midnights(ordinals)

    def noise(name: str, scale: int) -> Floats:
        return at_readings(smooth(draws.stream(seed, "water", name), sites, days, scale))

    return Station(
        0.09 * noise("load", 6 * DAY),
        0.010 * noise("aeration", 2 * DAY),
        0.05 * noise("alkalinity", 12 * DAY),
        0.25 * noise("biofilter", 15 * DAY),
    )


def fish_use(density_kg_m3: Floats, fed: Floats) -> Floats:
    """Oxygen that fish in a pen use, as a share of saturation, [row, reading hour].

    Args:
        density_kg_m3: Stocking density of each row.
        fed: 1 on days with feed, 0 on others.
    """
    most = RESPIRATION * np.minimum(density_kg_m3, MOST_DENSITY)[:, None]
    return most * (_RESTING + fed[:, None] * (MEAL_HOURS - _RESTING))


def ring_density(population: Ints, weight_g: Floats) -> Floats:
    """Stocking density of rings in kg/m3."""
    density: Floats = population * weight_g / (1000.0 * RING_VOLUME_M3)
    return density


__all__ = [
    "CO2_MG_L",
    "DAY",
    "MEAL_HOURS",
    "NH4_MG_L",
    "NO2_MG_L",
    "NO3_MG_L",
    "PH_OF_CO2",
    "PH_OF_OXYGEN",
    "TANK_OXYGEN",
    "TANK_OXYGEN_LOAD",
    "TANK_PH",
    "Sea",
    "Station",
    "fish_use",
    "fresh_water",
    "reading_times",
    "ring_density",
    "sea",
    "season",
    "smooth",
    "station",
    "wave",
]
