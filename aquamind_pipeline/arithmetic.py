"""Arithmetic that gives the same bits on every machine: exact decimals, and a cube root without the C library."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def decimal(units: npt.ArrayLike, precision: int, scale: int) -> pl.Series:
    """A Decimal(precision, scale) series of `units` x 10^-scale: 1234 at scale 2 is 12.34, never a float in between."""
    low = np.ascontiguousarray(units, dtype=np.int64)
    words = np.empty((low.size, 2), np.int64)  # decimal128 is two little-endian words: value and sign
    words[:, 0] = low
    words[:, 1] = low >> 63
    array = pa.Array.from_buffers(pa.decimal128(precision, scale), low.size, [None, pa.py_buffer(words.tobytes())])
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def rounded(values: npt.ArrayLike, precision: int, scale: int) -> pl.Series:
    """Floats as decimals, rounded half to even at `scale` decimals."""
    return decimal(units(values, scale), precision, scale)


def units(values: npt.ArrayLike, scale: int) -> Ints:
    """Floats as whole numbers of 10^-scale."""
    return np.rint(np.asarray(values, np.float64) * 10.0**scale).astype(np.int64)


def cube_root(x: npt.ArrayLike) -> Floats:
    """Cube root of numbers >= 0 by Newton's method: sums, products and quotients, which IEEE 754 fixes to the bit."""
    values = np.asarray(x, np.float64)
    mantissa, exponent = np.frexp(values)  # 0.5 <= mantissa < 1, exact
    thirds, rest = np.divmod(exponent, 3)
    scaled = np.ldexp(mantissa, rest)  # 0.5 <= scaled < 4
    root = 0.62 + 0.30 * scaled - 0.022 * scaled * scaled
    for _ in range(5):
        root = (2.0 * root + scaled / (root * root)) / 3.0
    return np.where(values > 0.0, np.ldexp(root, thirds), 0.0)


__all__ = ["Floats", "Ints", "cube_root", "decimal", "rounded", "units"]
