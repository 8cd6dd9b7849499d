"""How much fish eat: weekdays, days without feed, loss of appetite, and feed per growth.

Sources of the figures: docs/reference/fish-health.md.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, exponential
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import Stage
from aquamind_pipeline.simulation.workdays import weekday

FULL = (1.0, 1.035, 1.033, 1.109, 1.049, 1.12)
"""By stage: appetite of healthy fish on a normal day, relative to the mean over all days of a life.

AquaMind's growth coefficients are means over good and bad days, so fish grow faster on good ones.
"""
_WEEKDAYS = np.array([1.02, 1.02, 1.02, 1.02, 1.02, 0.96, 0.94])
"""Feed by weekday, from Monday: fewer people work at the weekend. The mean is 1."""
FASTING_DAYS = ((0, 0), (1, 2), (1, 2), (1, 2), (2, 3), (3, 6))
"""By stage: shortest and longest time without feed before the fish are moved or harvested, in days of real fish."""
APPETITE_SPREAD = 0.05
ILLNESS_HALF = 0.004
"""Daily chance of death by illness at which fish eat half as much."""
_WASTE = 0.25
"""Share of the feed that ill fish leave, at full illness."""
_FCR_LEVEL = (0.97, 0.92)
"""Feed per growth of healthy fish relative to the stage's, in freshwater and at sea: illness, waste, and the fish that
die before the harvest make up the rest."""
_FCR_BATCH, _FCR_SITE_YEAR = 0.05, 0.025
"""Standard deviations of the logarithm of feed per growth, between batches, and between sites and years."""


def weekday_factor(ordinals: Ints) -> Floats:
    """Factor of the weekday on feed and growth."""
    return _WEEKDAYS[weekday(ordinals)]


def last_fed(seed: int, speed: int, stage: Stage, batch: Ints, days: Ints) -> Ints:
    """Number of days of each assignment before its fish are fasted for the move or the harvest.

    Args:
        seed: The farm's seed.
        speed: How many days of real fish a day has.
        stage: The stage.
        batch: Batch of each assignment.
        days: Its planned length.
    """
    fast, luck = _fast(seed, stage, batch)
    return days - np.floor(fast / speed + luck).astype(np.int64)


def grading_fast(seed: int, speed: int, stage: Stage, batch: Ints) -> Ints:
    """Days without feed for a grading, its own day included: as many before it as before a move, and one at least.

    Args:
        seed: The farm's seed.
        speed: How many days of real fish a day has.
        stage: The stage.
        batch: Batch of each assignment.
    """
    fast, luck = _fast(seed, stage, batch)
    return np.maximum(np.floor((fast + 1) / speed + luck), 1.0).astype(np.int64)


def _fast(seed: int, stage: Stage, batch: Ints) -> tuple[Floats, Floats]:
    """Days of real fish without feed before a move, and the draw that rounds them to days of the farm."""
    shortest, longest = FASTING_DAYS[stage.order - 1]
    u = draws.uniform(draws.stream(seed, "feeding", "before a move"), batch, stage.order, 0)
    v = draws.uniform(draws.stream(seed, "feeding", "before a move"), batch, stage.order, 1)
    return shortest + np.floor(u * (longest - shortest + 1)), v


def illness_appetite(chance: Floats) -> Floats:
    """Share of their appetite that fish keep, from the daily chance of death by illness of real fish."""
    return ILLNESS_HALF / (ILLNESS_HALF + chance)


def conversion(seed: int, stage: Stage, batch: Ints, site: Ints, year: Ints) -> Floats:
    """Feed per growth of healthy fish: the stage's, changed by batch, site and year."""
    if not stage.fcr:
        return np.zeros(batch.size)
    brood = draws.normal(draws.stream(seed, "feeding", "batch"), batch, 1 if stage.at_sea else 0)
    place = draws.normal(draws.stream(seed, "feeding", "site and year"), site, year)
    return stage.fcr * _FCR_LEVEL[stage.at_sea] * exponential(_FCR_BATCH * brood + _FCR_SITE_YEAR * place)


def waste(appetite: Floats) -> Floats:
    """Feed given per feed used: ill fish leave some, and feeders notice late."""
    return 1.0 + _WASTE * (1.0 - appetite)


__all__ = [
    "APPETITE_SPREAD",
    "FASTING_DAYS",
    "FULL",
    "conversion",
    "grading_fast",
    "illness_appetite",
    "last_fed",
    "waste",
    "weekday_factor",
]
