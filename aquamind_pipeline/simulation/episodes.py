"""Episodes of illness and bad water: when they begin at a site, how long they last and how many fish they kill.

An episode belongs to a site. It begins on a day, grows, and fades over weeks. Its strength is drawn from a log-normal
distribution, so most episodes are mild and a few are terrible. Whether one begins is a function of seed, site and date
only. How much of it a container feels is up to `deaths`: the age of the fish, the batch and the container matter.

Causes, seasons and lengths: docs/reference/fish-health.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, exponential
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.workdays import month_and_day

WINDOW_DAYS = 28
"""At most one episode of a cause begins at a site in a window of so many days."""
_RISE = 0.3
"""Share of an episode's length in which it grows; it fades in the rest."""
_LONGEST_DAYS = 120


@dataclass(frozen=True)
class Cause:
    """A kind of episode.

    Attributes:
        reason: Name of the reason of death (`deaths.REASONS`).
        at_sea: Whether it strikes sea areas; else freshwater stations.
        chance: Chance that an episode begins in a window, by month from January.
        loss: Median share of susceptible fish that die of it in all.
        spread: Standard deviation of the logarithm of that share.
        most: Largest such share.
        days: Shortest and longest duration, in days of real fish.
        age: Susceptibility by age at sea in months (at sea) or by stage (in freshwater): points of a broken line.
    """

    reason: str
    at_sea: bool
    chance: tuple[float, ...]
    loss: float
    spread: float
    most: float
    days: tuple[int, int]
    age: tuple[tuple[float, float], ...]


def _months(**chances: float) -> tuple[float, ...]:
    names = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    return tuple(chances.get(name, 0.0) for name in names)


_ALL_YEAR = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
CAUSES: tuple[Cause, ...] = (
    Cause(
        "gill disease",
        True,
        _months(jul=0.05, aug=0.16, sep=0.20, oct=0.20, nov=0.14, dec=0.05),
        0.019,
        1.05,
        0.30,
        (21, 56),
        ((0.0, 0.15), (2.0, 0.25), (5.0, 0.6), (8.0, 1.0)),
    ),
    Cause(
        "cardiomyopathy syndrome",
        True,
        _months(**dict.fromkeys(_ALL_YEAR, 0.12)),
        0.017,
        0.95,
        0.25,
        (28, 70),
        ((5.0, 0.0), (8.0, 0.7), (10.0, 1.2), (13.0, 1.6)),
    ),
    Cause(
        "heart and skeletal muscle inflammation",
        True,
        _months(**dict.fromkeys(_ALL_YEAR, 0.08)),
        0.012,
        0.95,
        0.25,
        (28, 63),
        ((3.0, 0.0), (6.0, 0.8), (9.0, 1.2), (13.0, 1.0)),
    ),
    Cause(
        "pancreas disease",
        True,
        _months(may=0.06, jun=0.10, jul=0.10, aug=0.08, sep=0.06),
        0.014,
        0.95,
        0.30,
        (28, 70),
        ((1.0, 0.1), (4.0, 0.6), (8.0, 1.0)),
    ),
    Cause(
        "winter ulcer",
        True,
        _months(nov=0.06, dec=0.10, jan=0.14, feb=0.14, mar=0.12, apr=0.06),
        0.005,
        0.9,
        0.15,
        (28, 56),
        ((0.0, 0.5), (4.0, 0.7), (8.0, 1.0)),
    ),
    Cause(
        "algae or jellyfish",
        True,
        _months(apr=0.03, may=0.06, jun=0.08, jul=0.08, aug=0.09, sep=0.08, oct=0.04),
        0.050,
        1.10,
        0.25,
        (7, 21),
        ((0.0, 0.5), (3.0, 0.8), (8.0, 1.1)),
    ),
    Cause(
        "unspecified illness",
        True,
        _months(**dict.fromkeys(_ALL_YEAR, 0.30)),
        0.0012,
        1.0,
        0.05,
        (7, 24),
        ((0.0, 0.6), (4.0, 0.8), (9.0, 1.3)),
    ),
    Cause(
        "storm",
        True,
        _months(oct=0.30, nov=0.40, dec=0.50, jan=0.55, feb=0.45, mar=0.35, apr=0.10, sep=0.10),
        0.0004,
        1.0,
        0.02,
        (1, 4),
        ((0.0, 1.0), (12.0, 1.0)),
    ),
    Cause(
        "fungus",
        False,
        _months(**dict.fromkeys(_ALL_YEAR, 0.10)),
        0.003,
        1.0,
        0.05,
        (14, 42),
        ((1.0, 2.0), (2.0, 1.0), (4.0, 0.7), (5.0, 0.7)),
    ),
    Cause(
        "gas or water quality",
        False,
        _months(**dict.fromkeys(_ALL_YEAR, 0.05)),
        0.004,
        1.2,
        0.08,
        (3, 10),
        ((1.0, 0.5), (2.0, 1.0), (5.0, 1.0)),
    ),
)
SEA_CAUSES = tuple(cause for cause in CAUSES if cause.at_sea)
FRESHWATER_CAUSES = tuple(cause for cause in CAUSES if not cause.at_sea)


def episodes(seed: int, first_day: int, days: int, sites: Ints, speed: int, causes: tuple[Cause, ...]) -> pl.DataFrame:
    """Episodes that strike these sites in a span of days.

    Args:
        seed: The farm's seed.
        first_day: First day of the span, as `date.toordinal()`.
        days: Length of the span.
        sites: Numbers of the sites (see `climate`).
        speed: How many days of real fish a day has.
        causes: Causes to look at.

    Returns:
        site, cause (index into CAUSES), begins and fish_days (first moment and length, in days of real fish since day
        0), loss (share of susceptible fish that die in all), sorted by site, cause and time.
    """
    windows = np.arange(
        (first_day * speed - _LONGEST_DAYS) // WINDOW_DAYS, ((first_day + days) * speed) // WINDOW_DAYS + 1
    )
    month = month_and_day(windows * WINDOW_DAYS // speed)[0] - 1
    parts = []
    for cause in causes:
        number = CAUSES.index(cause)
        key = draws.stream(seed, "episodes", cause.reason)
        begin = draws.uniform(key, sites[:, None], windows[None, :], 0) < np.asarray(cause.chance)[month][None, :]
        place, when = np.nonzero(begin)
        site, window = sites[place], windows[when]
        shortest, longest = cause.days
        length = shortest + (draws.uniform(key, site, window, 1) * (longest - shortest + 1)).astype(np.int64)
        offset = (draws.uniform(key, site, window, 2) * WINDOW_DAYS).astype(np.int64)
        loss = cause.loss * exponential(cause.spread * draws.normal(key, site, window, 3))
        parts.append(
            pl.DataFrame(
                {
                    "site": site,
                    "cause": np.full(site.size, number),
                    "begins": window * WINDOW_DAYS + offset,
                    "fish_days": length,
                    "loss": np.minimum(loss, cause.most),
                }
            )
        )
    return pl.concat(parts).sort("site", "cause", "begins")


def intensity(found: pl.DataFrame, first_day: int, days: int, sites: Ints, speed: int, at_sea: bool) -> Floats:
    """Chance of death of susceptible fish by site, day and cause.

    Args:
        found: From `episodes`.
        first_day: First day of the span, as `date.toordinal()`.
        days: Length of the span.
        sites: Numbers of the sites, ascending.
        speed: How many days of real fish a day has.
        at_sea: Whether to look at the causes at sea; else at those in freshwater.

    Returns:
        Share of fish that dies on the day [site, day, cause], in the order of SEA_CAUSES or FRESHWATER_CAUSES.
    """
    causes = [number for number, cause in enumerate(CAUSES) if cause.at_sea == at_sea]
    found = found.filter(pl.col("cause").is_in(causes))
    length = found["fish_days"].to_numpy()
    row = np.repeat(np.arange(found.height), length)
    ends = np.cumsum(length)
    within = np.arange(row.size) - (ends - length)[row]
    x = (within + 0.5) / length[row]
    shape = np.minimum(x / _RISE, (1.0 - x) / (1.0 - _RISE))
    total = np.bincount(row, shape, minlength=found.height)
    share = found["loss"].to_numpy()[row] * shape / total[row]
    day = (found["begins"].to_numpy()[row] + within) // speed - first_day
    inside = (day >= 0) & (day < days)
    place = np.searchsorted(sites, found["site"].to_numpy())[row]
    column = (found["cause"].to_numpy() - causes[0])[row]
    flat = ((place * days + day) * len(causes) + column)[inside]
    dense: Floats = np.bincount(flat, share[inside], minlength=sites.size * days * len(causes)).astype(np.float64)
    return dense.reshape(sites.size, days, len(causes))


def susceptibility(causes: tuple[Cause, ...], age: Floats) -> Floats:
    """How strongly fish of an age feel each cause [age, cause]; age in months at sea, or the stage in freshwater."""
    return np.stack([at_age(cause.age, age) for cause in causes], axis=-1)


def at_age(points: Sequence[tuple[float, float]], age: Floats) -> Floats:
    """Value of a broken line through points of age and value."""
    return np.interp(age, [x for x, _ in points], [y for _, y in points])


__all__ = ["CAUSES", "FRESHWATER_CAUSES", "SEA_CAUSES", "Cause", "at_age", "episodes", "intensity", "susceptibility"]
