"""Water temperature of each row: measured, bridged between measurements, or from the profile (R14-R17).

A code says where a temperature comes from: `SOURCES[code]` names it and `CONFIDENCE[code]` says how sure it is.
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
"""Measured 1.0. Between two measurements 0.9, less a thirtieth for each day from one to the other, at least 0.4. With a
measurement on one side only 0.6. From the profile 0.5."""

UNNAMED = np.iinfo(np.int64).min
"""Stands for a null assignment_id: the record is of the container."""
_ASSUMED_C = 10.0  # R16: an empty profile
_DECIMALS = 4  # of environmental_environmentalreading.value

Bools = npt.NDArray[np.bool_]


def temperatures(grid: Grid, container: Ints, batch: Ints, records: Records, rules: RuleSet) -> tuple[Floats, Ints]:
    """Temperature (NaN for unknown) and its code, by row.

    Args:
        grid: The days of each assignment.
        container: container_id of each assignment.
        batch: Position in `records.batches` of each assignment's batch.
        records: The records.
        rules: The rules of the run.
    """
    readings = records.temperature
    names = readings["parameter"].unique().to_list()
    wanted = [name for name in names if (name.lower() if rules.any_capitals else name) == TEMPERATURE]
    if len(wanted) < len(names):
        readings = readings.filter(pl.col("parameter").is_in(wanted))
    if rules.own_records:
        temp_c, code = _bridge(grid, *_days_of_assignments(grid, readings, container), rules)
    else:
        containers = container_grid(grid, container, GAP_DAYS)
        rows = containers.row(container[grid.owner], grid.day)
        days = _days(containers, readings["container_id"].to_numpy(), readings)
        temp_c, code = _bridge(containers, *days, rules)
        temp_c, code = temp_c[rows], code[rows]
    _fill_from_profile(temp_c, code, grid, batch, records, rules)
    return temp_c, code


def container_grid(grid: Grid, container: Ints, margin: int) -> Grid:
    """The days of each container, from its first assignment to its last, and `margin` days more on either side.

    Args:
        grid: The days of each assignment.
        container: container_id of each assignment.
        margin: Days before the first and after the last.
    """
    ids, position = np.unique(container, return_inverse=True)
    start, end = np.full(ids.size, np.iinfo(np.int64).max), np.zeros(ids.size, np.int64)
    np.minimum.at(start, position, grid.start - margin)
    np.maximum.at(end, position, grid.start + grid.length + margin)
    return Grid.from_spans(ids, start, end)


def _days_of_assignments(grid: Grid, readings: pl.DataFrame, container: Ints) -> tuple[Floats, Floats]:
    """Mean and first reading by row: of the assignment's own readings, else of those that name only the container."""
    ids = readings["assignment_id"].fill_null(UNNAMED).to_numpy()
    mean_c, first_c = _days(grid, ids, readings)
    unnamed = readings.filter(pl.col("assignment_id").is_null())
    if unnamed.height:
        containers = container_grid(grid, container, 0)
        rows = containers.row(container[grid.owner], grid.day)
        shared_c, shared_first_c = _days(containers, unnamed["container_id"].to_numpy(), unnamed)
        has_own = ~np.isnan(mean_c)
        mean_c, first_c = np.where(has_own, mean_c, shared_c[rows]), np.where(has_own, first_c, shared_first_c[rows])
    return mean_c, first_c


def _days(grid: Grid, ids: Ints, readings: pl.DataFrame) -> tuple[Floats, Floats]:
    """Mean and first reading by row of a grid; NaN where nothing was read.

    The mean is computed from the exact sum and rounded once, so it is the float nearest to PostgreSQL's exact average.
    """
    rows = grid.row(ids, day_numbers(readings["date"]))
    inside = np.flatnonzero(rows >= 0)
    rows = rows[inside]
    total_c, number = readings["total_c"], readings["readings"]
    units = rounded_units(total_c.to_numpy()[inside], _DECIMALS)
    sums = np.bincount(rows, units, grid.rows)
    count = np.bincount(rows, number.to_numpy()[inside], grid.rows)
    first_readings = readings["first_c"]
    if first_readings.null_count():
        first_readings = first_readings.fill_null(total_c / number)
    first_c = np.full(grid.rows, np.nan)
    first_c[rows[::-1]] = first_readings.to_numpy()[inside][::-1]  # of several of a day, the first row stays
    return np.where(count > 0, sums / np.maximum(count * 10**_DECIMALS, 1), np.nan), first_c


def _bridge(grid: Grid, mean_c: Floats, first_c: Floats, rules: RuleSet) -> tuple[Floats, Ints]:
    """Measured means; gaps are filled from the nearest days with readings, up to GAP_DAYS on either side."""
    has_readings = ~np.isnan(mean_c)
    measured = has_readings if rules.zero_is_measured else has_readings & (mean_c != 0.0)
    temp_c = np.where(measured, mean_c, np.nan)
    code = np.where(measured, MEASURED, NONE)
    gaps = np.flatnonzero(~measured)
    if gaps.size == 0 or not has_readings.any():
        return temp_c, code
    rows = np.arange(grid.rows)
    before = np.maximum.accumulate(np.where(has_readings, rows, -GAP_DAYS - 1))
    after = np.minimum.accumulate(np.where(has_readings, rows, grid.rows + GAP_DAYS)[::-1])[::-1]
    owner = grid.owner
    left, right = before[np.maximum(gaps - 1, 0)], after[np.minimum(gaps + 1, grid.rows - 1)]
    since, ahead = gaps - left, right - gaps
    has_left = (gaps > 0) & (since > 0) & (since <= GAP_DAYS)
    has_right = (gaps < grid.rows - 1) & (ahead > 0) & (ahead <= GAP_DAYS)
    has_left &= owner[np.where(has_left, left, 0)] == owner[gaps]
    has_right &= owner[np.where(has_right, right, 0)] == owner[gaps]
    values = mean_c if rules.gaps_use_means else first_c
    left_c, right_c = values[np.where(has_left, left, 0)], values[np.where(has_right, right, 0)]
    has_both, span = has_left & has_right, since + ahead
    slope = (since / np.where(has_both, span, 1)) * (right_c - left_c)
    temp_c[gaps] = np.select([has_both, has_left, has_right], [left_c + slope, left_c, right_c], np.nan)
    code[gaps] = np.select([has_both, has_left, has_right], [BRIDGED + span, BEFORE, AFTER], NONE)
    return temp_c, code


def _fill_from_profile(temp_c: Floats, code: Ints, grid: Grid, batch: Ints, records: Records, rules: RuleSet) -> None:
    """Fill unknown temperatures in place from the batch's profile (R16).

    Between two days of the profile the temperature is interpolated. Before the first and after the last it is theirs.
    """
    gaps = np.flatnonzero(code == NONE)
    if gaps.size == 0:
        return
    if not rules.no_assumed_temperature:
        temp_c[gaps], code[gaps] = _ASSUMED_C, PROFILE
    gap_batch = batch[grid.owner[gaps]]
    profile_id = records.batches["profile_id"].fill_null(-1).to_numpy()[gap_batch]
    number = grid.day[gaps] - day_numbers(records.batches["start_date"])[gap_batch] + 1
    points = records.profiles.sort("profile_id", "day_number")
    profiles, first = np.unique(points["profile_id"].to_numpy(), return_index=True)
    has_profile = np.flatnonzero(np.isin(profile_id, profiles))
    if has_profile.size == 0:
        return
    last = np.append(first[1:], points.height) - 1
    profile = np.searchsorted(profiles, profile_id[has_profile])
    number, gaps = number[has_profile], gaps[has_profile]
    days, values = points["day_number"].to_numpy(), points["temp_c"].to_numpy()
    # One ascending key for profile and day, so that one search finds the point at or before each day.
    lowest = min(days.min(), number.min())
    stride = max(days.max(), number.max()) - lowest + 1
    keys = np.repeat(np.arange(profiles.size), last - first + 1) * stride + (days - lowest)
    low = np.searchsorted(keys, profile * stride + (number - lowest), side="right") - 1
    low = np.maximum(low, first[profile])
    high = np.minimum(low + 1, last[profile])
    is_between = (days[low] < number) & (number < days[high])
    part = (number - days[low]) / np.where(is_between, days[high] - days[low], 1)
    interpolated = rounded_units(values[low] + part * (values[high] - values[low]), 2) / 100
    temp_c[gaps] = np.where(is_between, interpolated, values[low])
    code[gaps] = PROFILE


__all__ = ["CONFIDENCE", "NONE", "SOURCES", "UNNAMED", "Bools", "container_grid", "temperatures"]
