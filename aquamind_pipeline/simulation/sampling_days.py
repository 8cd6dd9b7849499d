"""Days of a batch's life on which growth samples are due."""

from __future__ import annotations

import polars as pl


def samples_before(days: pl.Expr, per_week: int) -> pl.Expr:
    """Number of days on which a growth sample is due (`examinations.is_due`) among a batch's first `days` days."""
    within = [sum((d * per_week) % 7 < per_week for d in range(n)) for n in range(7)]
    return days // 7 * per_week + (days % 7).replace_strict(range(7), within, return_dtype=pl.Int64)


__all__ = ["samples_before"]
