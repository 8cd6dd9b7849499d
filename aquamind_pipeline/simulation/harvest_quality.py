"""What becomes of harvested fish: their quality grades, the weight of each grade, and yields.

Most fish are of superior quality. Scars of winter ulcers and maturation lower the grade. The fish of a ring
keep their number and their mass: grades share them out.

Sources of the figures: docs/reference/fish-health.md.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, exponential
from aquamind_pipeline.simulation import draws

GRADES = ("SUPERIOR", "GRADE_A", "GRADE_B", "GRADE_C", "REJECT")
"""AquaMind's grades, best first."""
_DOWNGRADED = (0.22, 0.24, 0.25, 0.22, 0.13, 0.09, 0.08, 0.07, 0.07, 0.07, 0.09, 0.15)
"""Share of the fish below superior quality by month from January, beside wounds of the ring and maturation. In Norway
a third is downgraded in the first quarter, most in March and fewest in autumn."""
_BATCH_SPREAD, _RING_SPREAD = 0.25, 0.12
"""Standard deviations of the logarithm of the odds of being downgraded, between batches and between rings."""
_BY_WOUNDS = 0.12
"""Share of the fish that is downgraded for each point of the ring's worst mean score of wounds in the weeks before."""
SCAR_DAYS = 60
"""Wounds of so many days of real fish before the harvest leave scars. *Chosen*."""
_MATURE = (0.002, 0.0, 0.0, 0.0, 0.0, 0.0, 0.004, 0.012, 0.020, 0.022, 0.012, 0.005)
"""Share of fish of 5.5 kg with signs of maturation by month: it shows from late summer on."""
_IMMATURE_G, _MATURING_G = 3500.0, 2000.0
"""Weight up to which no fish mature, and the range over which maturation rises to `_MATURE`."""
_LOWER = {
    "other": (0.45, 0.35, 0.17, 0.03),
    "wounds": (0.15, 0.35, 0.35, 0.15),
    "mature": (0.10, 0.30, 0.45, 0.15),
}
"""How downgraded fish are spread over the grades below the first, by cause."""
_MOST_DOWNGRADED = 0.9
_RELATIVE_WEIGHT, _WEIGHT_SPREAD = (1.0, 0.98, 0.96, 0.90, 0.70), 0.015
"""Weight of a fish of each grade relative to the first: runts and wounded fish are smaller."""

GUTTED, FILLET = 0.84, 0.56
"""Gutted fish with head, and fillet with skin, as shares of the live weight, for superior fish of 5 kg."""
_PER_KG = (0.004, 0.003)
"""How much gutted and fillet yields rise with each kilogram."""
_YIELD_SPREAD = ((0.004, 0.003, 0.002), (0.006, 0.003, 0.003))
"""Standard deviations of gutted and fillet yields between batches, between rings, and between lots of a ring."""
_YIELD_LOSS = ((0.0, 0.0, 0.002, 0.008, 0.015), (0.0, 0.003, 0.010, 0.022, 0.040))
"""What gutted and fillet yields of each grade lose: bad parts are cut away."""
GUTTED_RANGE, FILLET_RANGE = (0.78, 0.90), (0.46, 0.64)
"""Plausible yields, of any lot."""


def grade_shares(seed: int, batch: Ints, ring: Ints, month: Ints, weight_g: Floats, wound: Floats) -> Floats:
    """Share of each ring's fish in each grade.

    Args:
        seed: The farm's seed.
        batch: Batch of each ring.
        ring: The ring's assignment.
        month: Month of the harvest.
        weight_g: Mean weight of a fish.
        wound: The worst mean score of wounds in the last `SCAR_DAYS` days, 0 to 3.

    Returns:
        Shares [ring, grade], which add up to 1.
    """
    plain = np.array(_DOWNGRADED)[month - 1]
    luck = _BATCH_SPREAD * draws.normal(draws.stream(seed, "harvest", "batch"), batch)
    luck = luck + _RING_SPREAD * draws.normal(draws.stream(seed, "harvest", "ring"), ring)
    odds = plain / (1.0 - plain) * exponential(luck)
    grown = np.clip((weight_g - _IMMATURE_G) / _MATURING_G, 0.0, 2.0)
    causes = {
        "other": odds / (1.0 + odds),
        "wounds": _BY_WOUNDS * wound,
        "mature": np.array(_MATURE)[month - 1] * grown,
    }
    lower = np.stack([share[:, None] * np.array(_LOWER[cause])[None, :] for cause, share in causes.items()]).sum(axis=0)
    total = lower.sum(axis=1, keepdims=True)
    lower = lower * np.minimum(1.0, _MOST_DOWNGRADED / total)
    return np.concatenate([1.0 - lower.sum(axis=1, keepdims=True), lower], axis=1)


def live_kg(seed: int, ring: Ints, count: Ints, biomass_kg: Floats) -> Floats:
    """Live weight of each lot; the lots of a ring weigh what its fish weighed.

    Args:
        seed: The farm's seed.
        ring: The ring's assignment.
        count: Fish [ring, grade].
        biomass_kg: Mass of the ring's fish.
    """
    luck = draws.normal(draws.stream(seed, "harvest", "weight"), ring[:, None], np.arange(len(GRADES))[None, :])
    part = count * np.array(_RELATIVE_WEIGHT)[None, :] * (1.0 + _WEIGHT_SPREAD * luck)
    whole = part.sum(axis=1, keepdims=True)
    share: Floats = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0.0)
    return share * biomass_kg[:, None]


def yields(seed: int, batch: Ints, ring: Ints, weight_g: Floats) -> tuple[Floats, Floats]:
    """Gutted and fillet yield of each lot, as shares of its live weight [ring, grade]."""
    found = []
    grade = np.arange(len(GRADES))[None, :]
    for name, level, per_kg, spread, loss, limits in zip(
        ("gutted", "fillet"),
        (GUTTED, FILLET),
        _PER_KG,
        _YIELD_SPREAD,
        _YIELD_LOSS,
        (GUTTED_RANGE, FILLET_RANGE),
        strict=True,
    ):
        key = draws.stream(seed, "harvest", "yield", name)
        luck = spread[0] * draws.normal(key, batch, 0)[:, None] + spread[1] * draws.normal(key, ring, 1)[:, None]
        luck = luck + spread[2] * draws.normal(key, ring[:, None], 2 + grade)
        share = level + per_kg * (weight_g[:, None] / 1000.0 - 5.0) + luck - np.array(loss)[None, :]
        found.append(np.clip(share, limits[0] + 0.01, limits[1] - 0.01))
    return found[0], found[1]


__all__ = [
    "FILLET",
    "FILLET_RANGE",
    "GRADES",
    "GUTTED",
    "GUTTED_RANGE",
    "SCAR_DAYS",
    "grade_shares",
    "live_kg",
    "yields",
]
