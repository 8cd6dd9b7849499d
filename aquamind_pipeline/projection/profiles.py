"""Temperature profiles, day by day (P5)."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, rounded_units
from aquamind_pipeline.projection.rules import NO_PROFILE_C


def profile_table(temperatures: pl.DataFrame, profiles: list[int], days: int) -> Floats:
    """Temperature of each profile on each day.

    A day without a reading lies on the line between its neighbours, rounded to 0.01 °C. Before the first reading and
    after the last one it has theirs.

    Args:
        temperatures: profile_id, day_number, temperature (°C).
        profiles: The profiles to lay out, ascending.
        days: Number of days; the first is day 1.

    Returns:
        °C [profile, day].
    """
    table = np.full((len(profiles), days), NO_PROFILE_C)
    known = temperatures.drop_nulls("temperature").sort("profile_id", "day_number")
    for row, profile in enumerate(profiles):
        readings = known.filter(profile_id=profile)
        if readings.height:
            read = readings["day_number"].cast(pl.Int64).to_numpy()
            table[row] = _bridged(read, readings["temperature"].cast(pl.Float64).to_numpy(), np.arange(1, days + 1))
    return table


def _bridged(read: Ints, temp_c: Floats, day: Ints) -> Floats:
    """Temperature of days from those of the days that were read, in ascending order."""
    after = np.searchsorted(read, day)
    before = np.maximum(np.searchsorted(read, day, side="right") - 1, 0)
    after = np.minimum(after, read.size - 1)
    length = (read[after] - read[before]).astype(np.float64)
    between = length > 0
    line_c = temp_c[before] + (temp_c[after] - temp_c[before]) * (day - read[before]) / np.where(between, length, 1.0)
    outside = (day < read[0]) | (day > read[-1])
    rounded_c = rounded_units(np.where(between & ~outside, line_c, 0.0), 2) / 100.0
    return np.where(between & ~outside, rounded_c, temp_c[np.where(day < read[0], 0, before)])


__all__ = ["profile_table"]
