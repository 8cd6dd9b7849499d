"""Cube roots of weights as whole numbers, so that sums of them are exact.

An exact sum is the same in any order, on any machine, and wherever a run is split.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root

UNITS = 2.0**44
"""Units per cube root of a gram; one unit is 6e-14 of it."""


def in_units(root: Floats) -> Ints:
    """Cube roots of grams, in units."""
    return np.rint(root * UNITS).astype(np.int64)


def root_of(weight_g: Floats) -> Ints:
    """Cube roots of weights (g), in units."""
    return in_units(cube_root(weight_g))


def grams(root: Ints) -> Floats:
    """Weights (g) of cube roots in units."""
    value = root / UNITS
    return value * value * value


__all__ = ["grams", "in_units", "root_of"]
