"""The temperature of each assignment-day: measured, bridged between measurements, or the profile (R14-R17).

Where it comes from is a code: `SOURCES[code]` and `CONFIDENCE[code]` tell what and how sure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, rounded_units
from aquamind_pipeline.growth.grid import Grid, day_numbers
from aquamind_pipeline.growth.records import TEMPERATURE, Records
from aquamind_pipeline.growth.rules import GAP_DAYS, RuleSet

NONE, MEASURED, PROFILE, BEFORE, AFTER, BRIDGED = range(6)
SOURCES = ("none", "measured", "profile", "nearest_before", "nearest_after", *["interpolated"] * (2 * GAP_DAYS + 1))
CONFIDENCE = (0.0, 1.0, 0.5, 0.6, 0.6, *(max(0.4, 0.9 - span / 30) for span in range(2 * GAP_DAYS + 1)))
"""1.0 measured; 0.9 less a thirtieth per day bridged, at least 0.4, between two measurements; 0.6 with one on one side
only; 0.5 for the profile."""

_ASSUMED_C = 10.0  # R16: an empty profile
_DECIMALS = 4  # of environmental_environmentalreading.value

_UNNAMED = np.iinfo(np.int64).min

Bools = npt.NDArray[np.bool_]


def temperatures(stays: Grid, container: Ints, batch: Ints, records: Records, rules: RuleSet) -> tuple[Floats, Ints]:
    """temp_c (NaN where unknown) and its code, by row of the grid of stays.

    container and batch: container_id and position in records.batches, by stay.
    """
    readings = records.temperature
    names = readings["parameter"].unique().to_list()
    wanted = [name for name in names if (name.lower() if rules.any_capitals else name) == TEMPERATURE]
    if len(wanted) < len(names):
        readings = readings.filter(pl.col("parameter").is_in(wanted))
    if rules.own_records:
        temp_c, code = _bridged(stays, *_own_days(stays, readings, container), rules)
    else:
        water = container_grid(stays, container, GAP_DAYS)
        at = water.row(container[stays.owner], stays.day)
        temp_c, code = _bridged(water, *_days(water, readings["container_id"].to_numpy(), readings), rules)
        temp_c, code = temp_c[at], code[at]
    _fill_from_profile(temp_c, code, stays, batch, records, rules)
    return temp_c, code


def container_grid(stays: Grid, container: Ints, margin: int) -> Grid:
    """The days of each container from its first stay to its last, and a margin around."""
    ids, of = np.unique(container, return_inverse=True)
    start, end = np.full(ids.size, np.iinfo(np.int64).max), np.zeros(ids.size, np.int64)
    np.minimum.at(start, of, stays.start - margin)
    np.maximum.at(end, of, stays.start + stays.length + margin)
    return Grid.of(ids, start, end)


def _own_days(stays: Grid, readings: pl.DataFrame, container: Ints) -> tuple[Floats, Floats]:
    """Days by row of the grid of stays: from the stay's own readings, else from those that name no stay."""
    ids = readings["assignment_id"].fill_null(_UNNAMED).to_numpy()
    mean_c, first_c = _days(stays, ids, readings)
    unnamed = readings.filter(pl.col("assignment_id").is_null())
    if unnamed.height:
        water = container_grid(stays, container, 0)
        at = water.row(container[stays.owner], stays.day)
        shared_c, shared_first_c = _days(water, unnamed["container_id"].to_numpy(), unnamed)
        own = ~np.isnan(mean_c)
        mean_c, first_c = np.where(own, mean_c, shared_c[at]), np.where(own, first_c, shared_first_c[at])
    return mean_c, first_c


def _days(grid: Grid, ids: Ints, readings: pl.DataFrame) -> tuple[Floats, Floats]:
    """Mean and first reading by row of a grid, NaN where there is none.

    The mean is rounded once from the exact sum: the float that is next to PostgreSQL's exact average.
    """
    rows = grid.row(ids, day_numbers(readings["date"]))
    inside = np.flatnonzero(rows >= 0)
    rows = rows[inside]
    units = rounded_units(readings["total_c"].to_numpy()[inside], _DECIMALS)
    sums = np.bincount(rows, units, grid.rows)
    count = np.bincount(rows, readings["readings"].to_numpy()[inside], grid.rows)
    first_c = np.full(grid.rows, np.nan)
    first_c[rows[::-1]] = readings["first_c"].to_numpy()[inside][::-1]  # of several, the first one stays
    return np.where(count > 0, sums / np.maximum(count * 10**_DECIMALS, 1), np.nan), first_c


def _bridged(grid: Grid, mean_c: Floats, first_c: Floats, rules: RuleSet) -> tuple[Floats, Ints]:
    """Measured means, and gaps of up to GAP_DAYS on either side filled from the nearest days with readings."""
    there = ~np.isnan(mean_c)
    measured = there if rules.zero_is_measured else there & (mean_c != 0.0)
    temp_c = np.where(measured, mean_c, np.nan)
    code = np.where(measured, MEASURED, NONE)
    gaps = np.flatnonzero(~measured)
    if gaps.size == 0 or not there.any():
        return temp_c, code
    rows = np.arange(grid.rows)
    before = np.maximum.accumulate(np.where(there, rows, -GAP_DAYS - 1))
    after = np.minimum.accumulate(np.where(there, rows, grid.rows + GAP_DAYS)[::-1])[::-1]
    owner = grid.owner
    left, right = before[np.maximum(gaps - 1, 0)], after[np.minimum(gaps + 1, grid.rows - 1)]
    since, ahead = gaps - left, right - gaps
    has_left = (gaps > 0) & (since > 0) & (since <= GAP_DAYS)
    has_right = (gaps < grid.rows - 1) & (ahead > 0) & (ahead <= GAP_DAYS)
    has_left &= owner[np.where(has_left, left, 0)] == owner[gaps]
    has_right &= owner[np.where(has_right, right, 0)] == owner[gaps]
    values = mean_c if rules.gaps_use_means else first_c
    left_c, right_c = values[np.where(has_left, left, 0)], values[np.where(has_right, right, 0)]
    both, span = has_left & has_right, since + ahead
    slope = (since / np.where(both, span, 1)) * (right_c - left_c)
    temp_c[gaps] = np.select([both, has_left, has_right], [left_c + slope, left_c, right_c], np.nan)
    code[gaps] = np.select([both, has_left, has_right], [BRIDGED + span, BEFORE, AFTER], NONE)
    return temp_c, code


def _fill_from_profile(temp_c: Floats, code: Ints, stays: Grid, batch: Ints, records: Records, rules: RuleSet) -> None:
    """In place, where nothing was measured: the batch's profile on its day; between its rows linearly, beyond them the
    first or last (R16)."""
    gaps = np.flatnonzero(code == NONE)
    if gaps.size == 0:
        return
    if not rules.no_assumed_temperature:
        temp_c[gaps], code[gaps] = _ASSUMED_C, PROFILE
    of = batch[stays.owner[gaps]]
    wanted = records.batches["profile_id"].fill_null(-1).to_numpy()[of]
    number = stays.day[gaps] - day_numbers(records.batches["start_date"])[of] + 1
    points = records.profiles.sort("profile_id", "day_number")
    profiles, first = np.unique(points["profile_id"].to_numpy(), return_index=True)
    known = np.flatnonzero(np.isin(wanted, profiles))
    if known.size == 0:
        return
    last = np.append(first[1:], points.height) - 1
    at = np.searchsorted(profiles, wanted)
    at, number, gaps = at[known], number[known], gaps[known]
    days, values = points["day_number"].to_numpy().astype(np.int64), points["temp_c"].to_numpy()
    lowest = min(days.min(), number.min())
    stride = max(days.max(), number.max()) - lowest + 1
    keys = np.repeat(np.arange(profiles.size), last - first + 1) * stride + (days - lowest)
    low = np.searchsorted(keys, at * stride + (number - lowest), side="right") - 1
    low = np.maximum(low, first[at])
    high = np.minimum(low + 1, last[at])
    inside = (days[low] < number) & (number < days[high])
    part = (number - days[low]) / np.where(inside, days[high] - days[low], 1)
    between = rounded_units(values[low] + part * (values[high] - values[low]), 2) / 100
    temp_c[gaps] = np.where(inside, between, values[low])
    code[gaps] = PROFILE


__all__ = ["CONFIDENCE", "SOURCES", "Bools", "container_grid", "temperatures"]
