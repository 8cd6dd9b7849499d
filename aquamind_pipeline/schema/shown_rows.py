"""Rows as people read them: floats with as many digits as tell something.

Whole numbers, texts, and decimals of stored columns are exact, and stay as they are.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import polars.selectors as cs

_DIGITS = (6, 9, 12)
"""Significant digits of a float: the first number of them that tells different floats of a row apart."""
_DECIMALS = 2
"""Decimals that large floats keep, even if they have more digits then."""
_NOISE = 1e-12
"""Relative difference of floats that are equal, but for the order in which they were computed."""


def rounded(rows: pl.DataFrame) -> pl.DataFrame:
    """Round floats. Two floats of a row that differ, such as a sum and what it should be, still differ afterwards."""
    names = rows.select(cs.float()).columns
    shown = rows
    for digits in _DIGITS:
        shown = rows.with_columns(_rounded(name, digits) for name in names)
        if not any(_hides(rows, shown, left, right) for left, right in combinations(names, 2)):
            break
    return shown


def as_text(value: object) -> str:
    """A value of rounded rows as text. A float has no exponent, and a whole one no decimals."""
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)


def _rounded(name: str, digits: int) -> pl.Expr:
    value = pl.col(name)
    is_large = value.abs() >= 10 ** (digits - _DECIMALS)
    return pl.when(is_large).then(value.round(_DECIMALS)).otherwise(value.round_sig_figs(digits)).alias(name)


def _hides(rows: pl.DataFrame, shown: pl.DataFrame, left: str, right: str) -> bool:
    """Whether two columns look the same in a row in which they differ."""
    a, b = rows[left], rows[right]
    differ = (a - b).abs() > _NOISE * (a.abs() + b.abs())
    return bool((differ & (shown[left] == shown[right])).any())


__all__ = ["as_text", "rounded"]
