"""Cube roots of weights as whole numbers, so that their sums are exact.

Sums then do not depend on where a run begins, on its order, or on the machine.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root

UNITS = 2.0**44
"""Of a root: 6e-14 of a cube root of a gram."""


def in_units(root: Floats) -> Ints:
    """Roots (of grams) as whole numbers of 2^-44."""
    return np.rint(root * UNITS).astype(np.int64)


def root_of(weight_g: Floats) -> Ints:
    """The root of a weight, in units."""
    return in_units(cube_root(weight_g))


def grams(root: Ints) -> Floats:
    """The weight of a root in units."""
    value = root / UNITS
    return value * value * value


__all__ = ["grams", "in_units", "root_of"]
