"""Days of a batch's life on which fish are sampled."""

from __future__ import annotations

import polars as pl


def is_sampling_day(batch_day: pl.Expr, per_week: int) -> pl.Expr:
    """Whether a batch is sampled on this day of its life (from 0): `per_week` of every seven days, spread evenly."""
    return (batch_day * per_week) % 7 < per_week


def samples_before(days: pl.Expr, per_week: int) -> pl.Expr:
    """Number of sampling days (`is_sampling_day`) among the first `days` days of a batch."""
    within = [sum((d * per_week) % 7 < per_week for d in range(n)) for n in range(7)]
    return days // 7 * per_week + (days % 7).replace_strict(range(7), within, return_dtype=pl.Int64)


__all__ = ["is_sampling_day", "samples_before"]
