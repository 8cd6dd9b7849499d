"""Days of a batch's life on which growth samples are due."""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from aquamind_pipeline.arithmetic import Ints

Days = TypeVar("Days", pl.Expr, Ints)


def samples_before(days: Days, per_week: int) -> Days:
    """Number of days on which a growth sample is due (`examinations.is_due`) among a batch's first `days` days.

    The first day is due. Later ones are due when `per_week / 7 x day` has passed another whole number.
    """
    if per_week == 0:
        return days * 0
    return (days - 1) * per_week // 7 + 1


__all__ = ["samples_before"]
