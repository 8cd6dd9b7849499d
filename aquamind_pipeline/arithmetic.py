"""Arithmetic with the same bits on every machine: exact decimals, and roots and powers without the C library."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def decimal(units: npt.ArrayLike, precision: int, scale: int) -> pl.Series:
    """Make a Decimal(precision, scale) series of `units` x 10^-scale, without floats: 1234 at scale 2 becomes 12.34."""
    import pyarrow as pa  # slow to import, and planning a farm needs none

    low = np.ascontiguousarray(units, dtype=np.int64)
    words = np.empty((low.size, 2), np.int64)  # decimal128 is two little-endian words: value and sign
    words[:, 0] = low
    words[:, 1] = low >> 63
    array = pa.Array.from_buffers(pa.decimal128(precision, scale), low.size, [None, pa.py_buffer(words.data)])
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def rounded(values: npt.ArrayLike, precision: int, scale: int) -> pl.Series:
    """Floats as decimals, rounded half to even at `scale` decimals."""
    return decimal(units(values, scale), precision, scale)


def units(values: npt.ArrayLike, scale: int) -> Ints:
    """Floats as whole numbers of 10^-scale."""
    return np.rint(np.asarray(values, np.float64) * 10.0**scale).astype(np.int64)


def rounded_units(values: Floats, scale: int) -> Ints:
    """Floats as whole numbers of 10^-scale, rounded exactly as by Python's round().

    round() compares the exact binary value with the half. Only an exact tie is rounded to even.
    """
    scaled = values * 10.0**scale
    result = np.rint(scaled)
    floor = np.floor(scaled)
    past_half = scaled - floor - 0.5  # exact; if it is 0, the rounding error of `scaled` decides
    near = np.flatnonzero(past_half == 0.0)
    if near.size:
        _, error = _product(values[near], np.full(near.size, 10.0**scale))
        result[near] = np.where(error > 0, floor[near] + 1, np.where(error < 0, floor[near], result[near]))
    return result.astype(np.int64)


def third_power(x: Floats) -> Floats:
    """Power x ** (1/3) of numbers >= 0, correctly rounded. The exponent is the float 1/3, 2^-54/3 below a third."""
    safe = np.where(x > 0, x, 1.0)
    root = np.cbrt(safe)
    square, square_error = _product(root, root)
    cube, cube_error = _product(square, root)
    rest = (safe - cube) - (cube_error + square_error * root)
    low = rest / (3.0 * root * root) - _BELOW_A_THIRD * np.log(safe) * root
    return np.where(x > 0, root + low, 0.0)


def cubed(x: Floats) -> Floats:
    """Power x ** 3, correctly rounded. The product x * x * x is rounded twice."""
    square, square_error = _product(x, x)
    cube, cube_error = _product(square, x)
    return cube + (cube_error + square_error * x)


_BELOW_A_THIRD = 2.0**-54 / 3.0
_SPLITTER = 2.0**27 + 1.0


def _product(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Product a * b as the rounded product and its exact rounding error (Dekker 1971)."""
    product = a * b
    part = a * _SPLITTER
    a_high = part - (part - a)
    a_low = a - a_high
    part = b * _SPLITTER
    b_high = part - (part - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def cube_root(x: npt.ArrayLike) -> Floats:
    """Cube root of numbers >= 0 by Newton's method: sums, products and quotients, whose bits IEEE 754 fixes."""
    values = np.asarray(x, np.float64)
    mantissa, exponent = np.frexp(values)  # 0.5 <= mantissa < 1, exact
    thirds = exponent // 3
    scaled = np.ldexp(mantissa, exponent - 3 * thirds)  # 0.5 <= scaled < 4
    root = 0.62 + 0.30 * scaled - 0.022 * scaled * scaled
    for _ in range(5):
        root = (2.0 * root + scaled / (root * root)) / 3.0
    return np.where(values > 0.0, np.ldexp(root, thirds), 0.0)


def rounded_cube_root(x: Floats, scale: int) -> Ints:
    """Cube root of numbers >= 0 as whole numbers of 10^-scale, rounded. Takes a third of the time of `cube_root`.

    The C library's root is near enough to differ by one at most. Products decide.
    """
    cube = x * 10.0 ** (3 * scale)
    near: Floats = np.rint(np.cbrt(cube))
    below, above = near - 0.5, near + 0.5
    near -= below * below * below > cube
    near += above * above * above <= cube
    return near.astype(np.int64)


def half_up(total: Ints, number: Ints | int) -> Ints:
    """Quotient of whole numbers >= 0, rounded half up as PostgreSQL rounds."""
    return (2 * total + number) // (2 * number)


def deviation(total: Ints, squares: Ints, number: Ints | int) -> Ints:
    """Population standard deviation of whole numbers, rounded half up.

    Args:
        total: Their sum.
        squares: The sum of their squares.
        number: How many they are.
    """
    spread = number * squares - total * total  # number² times the variance, in whole numbers
    near = np.floor(np.sqrt(spread.astype(np.float64)) / number + 0.5).astype(np.int64)
    too_high = ((2 * near - 1) * number) ** 2 > 4 * spread  # the root is a float; whole numbers decide at a half
    too_low = ((2 * near + 1) * number) ** 2 <= 4 * spread
    exact: Ints = near - (too_high & (near > 0)) + too_low
    return exact


def sine(x: npt.ArrayLike) -> Floats:
    """Sine of angles in radians, to about 1e-15 for up to a few turns, by sums and products only."""
    angle = np.asarray(x, np.float64)
    quarter = np.rint(angle * (2.0 / np.pi))
    rest = (angle - quarter * _HALF_PI_HIGH) - quarter * _HALF_PI_LOW  # within an eighth of a turn
    square = rest * rest
    odd, even = np.zeros_like(square), np.zeros_like(square)
    for n in range(8, -1, -1):  # Taylor series; the terms left out are below 1e-16
        odd = odd * square + (-1.0) ** n / math.factorial(2 * n + 1)
        even = even * square + (-1.0) ** n / math.factorial(2 * n)
    turn = np.mod(quarter, 4.0)
    value = np.where(np.mod(quarter, 2.0) == 0.0, odd * rest, even)
    signed: Floats = np.where(turn >= 2.0, -value, value)
    return signed


def cosine(x: npt.ArrayLike) -> Floats:
    """Cosine of angles in radians, as precise as `sine`."""
    return sine(np.asarray(x, np.float64) + np.pi / 2.0)


def arctangent(x: npt.ArrayLike) -> Floats:
    """Angle in radians whose tangent is x, to about 1e-15, by sums, products, quotients and square roots."""
    value = np.asarray(x, np.float64)
    size = np.abs(value)
    steep = size > 1.0
    slope = np.where(steep, 1.0 / np.where(steep, size, 1.0), size)
    for _ in range(2):  # each step halves the angle
        slope = slope / (1.0 + np.sqrt(1.0 + slope * slope))
    square = slope * slope
    total = np.zeros_like(square)
    for n in range(11, -1, -1):
        total = total * square + (-1.0) ** n / (2 * n + 1)
    angle = 4.0 * slope * total
    angle = np.where(steep, np.pi / 2.0 - angle, angle)
    signed: Floats = np.where(value < 0.0, -angle, angle)
    return signed


def arccosine(x: npt.ArrayLike) -> Floats:
    """Angle in radians, 0 to pi, whose cosine is x; x from -1 to 1."""
    value = np.asarray(x, np.float64)
    low = value <= -1.0
    return np.where(low, np.pi, 2.0 * arctangent(np.sqrt((1.0 - value) / np.where(low, 1.0, 1.0 + value))))


def exponential(x: npt.ArrayLike) -> Floats:
    """Exponential function of numbers between -700 and 700, to about 1e-15, by sums and products only."""
    value = np.asarray(x, np.float64)
    halvings = np.rint(value * _LOG2_E)
    rest = (value - halvings * _LN2_HIGH) - halvings * _LN2_LOW  # within half of ln 2
    total = np.ones_like(rest)
    for n in range(14, 0, -1):  # total = 1 + total * rest / n
        total *= rest
        total /= n
        total += 1.0
    return np.ldexp(total, halvings.astype(np.int64))


def logarithm(x: npt.ArrayLike) -> Floats:
    """Natural logarithm of numbers above 0, to about 1e-15, by sums, products and quotients only."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    low = mantissa < _SQRT_HALF
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    halvings = (exponent - low).astype(np.float64)
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    total = np.zeros_like(square)
    for n in range(12, -1, -1):  # total = total * square + 2 / (2 n + 1)
        total *= square
        total += 2.0 / (2 * n + 1)
    result: Floats = halvings * _LN2_HIGH + (ratio * total + halvings * _LN2_LOW)
    return result


def power(x: npt.ArrayLike, exponent: float) -> Floats:
    """Power of numbers above 0."""
    return exponential(exponent * logarithm(x))


_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""ln 2 in two parts; the first has few digits, so that its multiples are exact."""
_SQRT_HALF = 0.7071067811865476
_HALF_PI_HIGH, _HALF_PI_LOW = 1.5707963267948966, 6.123233995736766e-17
"""A quarter turn as a float, and the rounding error of this float."""

__all__ = [
    "Floats",
    "Ints",
    "arccosine",
    "arctangent",
    "cosine",
    "cube_root",
    "cubed",
    "decimal",
    "deviation",
    "exponential",
    "half_up",
    "logarithm",
    "power",
    "rounded",
    "rounded_cube_root",
    "rounded_units",
    "sine",
    "third_power",
    "units",
]
