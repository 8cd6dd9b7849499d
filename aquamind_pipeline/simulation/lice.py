"""Salmon lice of each ring by stage, and what people count on a few fish.

Larvae attach and become sessile lice, then pre-adults, then adult males and females. Each step takes time by the
temperature, so sessile lice and pre-adults are chains of compartments. Females make eggs, and a share of the larvae
comes back to the batch's own rings. The other larvae come from outside: the pressure of a site is a function of the
site and the date. Caligus elongatus comes from wild fish and does not multiply on the farm.

The numbers are means per fish. Sources: docs/reference/fish-health.md.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, exponential, logarithm, power
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.climate import half_wave

SESSILE, PREADULT, FEMALE, MALE, CALIGUS = slice(0, 3), slice(3, 5), 5, 6, 7
COMPARTMENTS = 8
"""Rows of a ring's state: three sessile compartments, two of pre-adults, adult females, adult males, Caligus."""
STAGES = ("sessile", "preadult", "adult_male", "adult_female", "caligus")
"""Columns of `life_lice`, and the order in which counts are drawn."""

_DAILY_DEATH = (0.008, 0.05, 0.02, 0.06)
"""Share of sessile lice, pre-adults, adult females and adult males that die in a day (Stien et al. 2005)."""
_LIVING = 1.0 - np.array(_DAILY_DEATH)[[0, 0, 0, 1, 1, 2, 3], None]
"""Share of the lice of each compartment that lives through a day, without Caligus."""
_LARVAE_DEATH = 0.17
_CALIGUS_DEATH = 0.03
_DEVELOPMENT = {"larvae": (0.401, 8.81), "sessile": (1.305, 18.93), "preadult": (0.866, 10.74)}
"""Development takes d10 (T / 10 °C)^-p days: (p, d10), Aldrin et al. 2017."""
_LARVAE_A_FEMALE = 8.0
"""Larvae that a female makes in a day at 10 °C: about 150 eggs a string pair; most are lost before they swim."""
_RETURN = 0.21
"""Share of the farm's larvae that attach to the batch's own fish; chosen so that lice rise as on real farms."""
_SETTLE_POWER, _SETTLE_KG = 0.082, 0.55
"""Attachment rises with the weight in kg: log rate 0.082 (log W - 0.55) (Aldrin et al. 2017)."""
_RING_SPREAD = 0.3

_PRESSURE = {1: 0.00016, 2: 0.00020}
"""Larvae from outside that attach to a fish in a day, by geography_id; the median over sites and seasons."""
_PRESSURE_SPREAD, _PRESSURE_KNOT_DAYS = 1.0, 28
_CALIGUS_PRESSURE = {1: 0.0030, 2: 0.0012}

TABLE_STEPS = 10
_TABLE_C = np.maximum(np.arange(0, 30 * TABLE_STEPS) / TABLE_STEPS, 1.0)


def _rate(name: str) -> Floats:
    exponent, d10 = _DEVELOPMENT[name]
    return 1.0 / (d10 * power(_TABLE_C / 10.0, -exponent))


RATES = np.stack(
    [
        np.minimum(3 * _rate("sessile"), 0.9),
        np.minimum(2 * _rate("preadult"), 0.9),
        np.minimum(_rate("larvae"), 0.9),
        _LARVAE_A_FEMALE * power(_TABLE_C / 10.0, 1.0),
    ]
)
"""Daily rates by temperature in tenths of a degree: leaving a compartment of sessile lice, of pre-adults, of larvae,
and larvae made by a female."""
_SETTLE_ROOTS = 120
SETTLE = np.stack([power(np.maximum(np.arange(_SETTLE_ROOTS) / 4.0, 1.0) ** 3 / 1000.0, _SETTLE_POWER)])[0] * float(
    exponential(-_SETTLE_POWER * _SETTLE_KG)
)
"""Factor on attachment by the cube root of the weight in quarters of g^(1/3)."""


def pressure(seed: int, first_day: int, days: int, sites: Ints, geography: Ints, speed: int) -> tuple[Floats, Floats]:
    """Larvae from outside that attach to a fish in a day of real fish.

    Args:
        seed: The farm's seed.
        first_day: First day, as `date.toordinal()`.
        days: Number of days.
        sites: Numbers of the sites.
        geography: geography_id of each site.
        speed: How many days of real fish a day has.

    Returns:
        Salmon lice and Caligus [site, day].
    """
    ordinals = np.arange(first_day, first_day + days)
    phase = np.mod((ordinals - 290) / 365.25, 1.0)  # most in mid October, fewest in mid April
    x = 2.0 * phase + 0.5
    season = 1.0 + 0.6 * half_wave(np.where(x > 1.0, x - 2.0, x))
    moment = ordinals * speed
    knots = np.arange(moment[0] // _PRESSURE_KNOT_DAYS, moment[-1] // _PRESSURE_KNOT_DAYS + 2)
    knot = moment // _PRESSURE_KNOT_DAYS - knots[0]
    fraction = moment % _PRESSURE_KNOT_DAYS / _PRESSURE_KNOT_DAYS
    found = []
    for name, level in (("salmon louse", _PRESSURE), ("caligus", _CALIGUS_PRESSURE)):
        luck = draws.normal(draws.stream(seed, "lice", name), sites[:, None], knots[None, :])
        place = draws.normal(draws.stream(seed, "lice", name, "site"), sites)[:, None]
        base = np.array([level[int(one)] for one in geography])[:, None]
        strength = exponential(_PRESSURE_SPREAD * luck + 0.5 * place)
        found.append(base * season * (strength[:, knot] * (1.0 - fraction) + strength[:, knot + 1] * fraction))
    return found[0], found[1]


def ring_factor(seed: int, ids: Ints) -> Floats:
    """How many larvae reach a ring, relative to the others of its site."""
    return exponential(_RING_SPREAD * draws.normal(draws.stream(seed, "lice", "ring"), ids) - _RING_SPREAD**2 / 2.0)


def step(lice: Floats, larvae: Floats, rates: Floats, settle: Floats, outside: Floats, outside_caligus: Floats) -> None:
    """One day of real fish; changes `lice` and `larvae` in place.

    Args:
        lice: Means per fish [compartment, ring].
        larvae: Larvae of the batch in the water around a ring, per fish [ring].
        rates: The rates of `RATES` [rate, ring].
        settle: Factor on attachment [ring].
        outside: Larvae from outside that attach to a fish [ring].
        outside_caligus: Caligus that attach to a fish [ring].
    """
    sessile, preadult, hatched, made = rates
    swimming = larvae * hatched
    larvae += lice[FEMALE] * made - larvae * (hatched + _LARVAE_DEATH)
    out = np.empty_like(lice[:5])
    np.multiply(lice[:3], sessile, out=out[:3])
    np.multiply(lice[3:5], preadult, out=out[3:])
    lice[:7] *= _LIVING
    lice[:5] -= out
    lice[1:5] += out[:4]
    adults = 0.5 * out[4]
    lice[5] += adults
    lice[6] += adults
    lice[0] += (outside + _RETURN * swimming) * settle
    lice[7] += outside_caligus - _CALIGUS_DEATH * lice[7]
    np.maximum(lice, 0.0, out=lice)


FISH_COUNTED = {1: 20, 2: 10}
"""Fish examined in each ring, by geography_id: 20 in the Faroes, at least 10 by common practice in Scotland."""
COUNT_DAYS = {1: 14, 2: 7}
"""Days between two counts, by geography_id: fortnightly in the Faroes, weekly in Scotland."""
DISPERSION = 0.8
"""Size parameter of the negative binomial distribution of lice on one fish; smaller is more uneven."""


_MOST_COUNTED = 100_000
"""Nobody counts more lice of a stage in one ring."""
_FIRST_BLOCK, _LONGEST_BLOCK = 16, 64
_MANY = 100


def is_counting_day(ordinals: Ints, site: Ints, geography: Ints, speed: int) -> np.typing.NDArray[np.bool_]:
    """Whether a count is due in a ring of this site on this day; people count on the next working day."""
    every = np.where(geography == 1, COUNT_DAYS[1], COUNT_DAYS[2])
    interval = np.maximum(every // speed, 1)
    # Of a week, each site has its own day from Monday to Thursday.
    due: np.typing.NDArray[np.bool_] = np.where(
        interval > 4, (ordinals - 1 - site % 4) % interval == 0, (ordinals + site) % interval == 0
    )
    return due


def counted(mean: Floats, fish: Ints, u: Floats) -> Ints:
    """Lice found on some fish: a draw from the negative binomial distribution by its inverse.

    Args:
        mean: Lice on a fish, on average.
        fish: Fish examined.
        u: Uniform draws in [0, 1).

    Returns:
        Numbers of lice.
    """
    mean = np.asarray(mean, np.float64)
    size = DISPERSION * np.asarray(fish, np.float64)
    ratio = mean / (mean + DISPERSION)
    chance = exponential(-size * logarithm(1.0 + mean / DISPERSION))
    total = np.zeros(mean.shape, np.int64)
    rest = np.asarray(u, np.float64) - chance
    open_ = np.flatnonzero(rest >= 0.0)
    rest, chance, ratio, size = rest[open_], chance[open_], ratio[open_], size[open_]
    number, block = 0, _FIRST_BLOCK
    while open_.size and number < _MOST_COUNTED:
        # Several numbers at once. Accumulation adds one after the other, so the length of a block changes no result.
        lice = number + np.arange(block)[:, None]
        chances = np.concatenate([chance[None, :], ratio * ((size + lice) / (lice + 1))])
        _accumulate(np.multiply, chances)
        rests = np.concatenate([rest[None, :], chances[1:]])
        _accumulate(np.subtract, rests)
        going = (rests >= 0.0) & (chances > 0.0)
        total[open_] += going[:-1].sum(axis=0)
        rest, chance, more = rests[-1], chances[-1], going[-1]
        if not more.all():
            open_, rest, chance, ratio, size = open_[more], rest[more], chance[more], ratio[more], size[more]
        number, block = number + block, min(2 * block, _LONGEST_BLOCK)
    return np.minimum(total, _MOST_COUNTED)


def _accumulate(step: np.ufunc, table: Floats) -> None:
    """Replace each row by the step from the row above: `step.accumulate`, which is slow where rows are long."""
    if table.shape[1] < _MANY:
        step.accumulate(table, axis=0, out=table)
    else:
        for above, row in pairwise(table):
            step(above, row, out=row)


def count_luck(seed: int, assignment_id: Ints, ordinals: Ints, stage: Ints) -> Floats:
    """The uniform draw that decides what is counted of a stage (index into STAGES) in a ring on a day."""
    return draws.uniform(draws.stream(seed, "lice", "count"), assignment_id, ordinals, stage)


def counts(seed: int, lice: pl.DataFrame) -> pl.DataFrame:
    """What people counted in each ring on each counting day.

    Args:
        seed: The farm's seed.
        lice: `life_lice`, or some of its rows.

    Returns:
        The rows with fish_counted > 0: assignment_id, batch_id, container_id, date, fish_counted, and the lice found
        in all by stage: sessile, preadult, adult_male, adult_female, caligus.
    """
    examined = lice.filter(pl.col("fish_counted") > 0)
    ids = examined["assignment_id"].to_numpy()
    ordinals = examined["date"].to_physical().to_numpy().astype(np.int64) + 719_163
    fish = np.broadcast_to(examined["fish_counted"].to_numpy(), (len(STAGES), examined.height))
    luck = count_luck(seed, ids, ordinals, np.arange(len(STAGES))[:, None])
    means = np.stack([examined[stage].to_numpy() for stage in STAGES])
    found = counted(means.ravel(), fish.ravel(), luck.ravel()).reshape(fish.shape)
    return examined[["assignment_id", "batch_id", "container_id", "date", "fish_counted"]].hstack(
        [pl.Series(stage, some) for stage, some in zip(STAGES, found, strict=True)]
    )


__all__ = [
    "CALIGUS",
    "COMPARTMENTS",
    "FEMALE",
    "FISH_COUNTED",
    "MALE",
    "PREADULT",
    "RATES",
    "SESSILE",
    "SETTLE",
    "STAGES",
    "TABLE_STEPS",
    "count_luck",
    "counted",
    "counts",
    "is_counting_day",
    "pressure",
    "ring_factor",
    "step",
]
