"""Exact decimals from whole numbers: 1234 at scale 2 is 12.34, without passing through a float."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from aquamind_pipeline.farm.draws import Ints


def decimal(units: npt.ArrayLike, precision: int, scale: int) -> pl.Series:
    """A Decimal(precision, scale) series of `units` x 10^-scale."""
    low = np.ascontiguousarray(units, dtype=np.int64)
    words = np.empty((low.size, 2), np.int64)  # decimal128 is two little-endian words: value and sign
    words[:, 0] = low
    words[:, 1] = low >> 63
    array = pa.Array.from_buffers(pa.decimal128(precision, scale), low.size, [None, pa.py_buffer(words)])
    series = pl.from_arrow(array)
    assert isinstance(series, pl.Series)
    return series


def rounded(values: npt.ArrayLike, precision: int, scale: int) -> pl.Series:
    """Floats rounded half to even at `scale` decimals."""
    return decimal(units(values, scale), precision, scale)


def units(values: npt.ArrayLike, scale: int) -> Ints:
    """Floats as whole numbers of 10^-scale."""
    return np.rint(np.asarray(values, np.float64) * 10.0**scale).astype(np.int64)


__all__ = ["decimal", "rounded", "units"]
