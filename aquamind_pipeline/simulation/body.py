"""Shape of fish: the condition factor K = 100 W/L³ (g, cm) by stage and season, and how single fish differ.

Parr grow plump, smolts become slender before they go to sea, and adults fill out. In late winter adults are leaner.
Figures: docs/reference/fish-health.md.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root
from aquamind_pipeline.simulation.biology import ADULT, WEIGHT_VARIATION

CONDITION: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.0, 0.95), (1.0, 0.95)),
    2: ((0.0, 0.95), (0.4, 1.05), (1.0, 1.10)),
    3: ((0.0, 1.10), (0.6, 1.20), (0.9, 1.17), (1.0, 1.10)),
    4: ((0.0, 1.05), (0.1, 1.00), (0.5, 0.97), (1.0, 0.95)),
    5: ((0.0, 1.00), (0.1, 1.05), (1.0, 1.15)),
}
"""By stage: mean condition factor along the stage, as points of a broken line from its first to its last day."""
ADULT_CONDITION = ((450.0, 1.15), (5500.0, 1.35))
"""Mean condition factor of adults at two weights in g; it rises with the cube root of the weight."""
LATE_WINTER = ((1, -0.03), (40, -0.05), (85, -0.05), (135, 0.0), (320, 0.0), (366, -0.03))
"""Change of the condition factor of adults by day of the year."""
CONDITION_VARIATION = 0.08
"""Coefficient of variation of the condition factor within a container."""

_SPREAD = np.array(WEIGHT_VARIATION)


def condition_factor(stage: Ints, share: Floats, weight_g: Floats, day_of_year: Ints) -> Floats:
    """Mean condition factor of the fish of a container.

    Args:
        stage: Order of the stage.
        share: Share of the stage's days that have passed, 0 to 1.
        weight_g: Mean weight.
        day_of_year: Day of the year, from 1.
    """
    factor = np.empty(stage.size)
    for order, points in CONDITION.items():
        rows = stage == order
        factor[rows] = np.interp(share[rows], [x for x, _ in points], [k for _, k in points])
    rows = stage == ADULT.order
    ends = cube_root([grams for grams, _ in ADULT_CONDITION])
    grown = np.interp(cube_root(weight_g[rows]), ends, [k for _, k in ADULT_CONDITION])
    factor[rows] = grown + np.interp(day_of_year[rows], [x for x, _ in LATE_WINTER], [k for _, k in LATE_WINTER])
    return factor


def mean_condition(days: pl.DataFrame) -> Floats:
    """Mean condition factor on days of life: stage, date, assignment_date, planned days, weight_g."""
    passed = (days["date"] - days["assignment_date"]).dt.total_days().to_numpy()
    return condition_factor(
        days["stage"].to_numpy(),
        passed / np.maximum(days["days"].to_numpy(), 1),
        days["weight_g"].to_numpy(),
        days["date"].dt.ordinal_day().to_numpy(),
    )


def weight_variation(stage: Ints) -> Floats:
    """Coefficient of variation of weight within a container, by order of the stage."""
    spread: Floats = _SPREAD[stage - 1]
    return spread


__all__ = ["CONDITION_VARIATION", "condition_factor", "mean_condition", "weight_variation"]
