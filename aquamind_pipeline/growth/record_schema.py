"""The frames of records: every column with its type and meaning.

This is the only declaration. The empty frames of `Records`, the validation of columns and the table in `docs/growth.md`
are derived from `FRAMES`. Rules between records are in `validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from aquamind_pipeline.errors import InputError

_ID, _COUNT, _NUMBER, _DAY, _TEXT, _FLAG = pl.Int64(), pl.Int64(), pl.Float64(), pl.Date(), pl.String(), pl.Boolean()
_LIKENESS = 0.8
"""From this likeness on, an unread column is taken for a misspelt one."""


@dataclass(frozen=True)
class Column:
    """One column of a frame.

    Attributes:
        dtype: Its Polars type.
        meaning: What its values say, with the unit.
        nullable: Whether a value may be null.
        optional: Whether the frame may lack the column.
        default: The value of a column that was left out.
        choices: The only values, where they are few.
    """

    dtype: pl.DataType
    meaning: str
    nullable: bool = False
    optional: bool = False
    default: str | int | bool | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One frame of records.

    Attributes:
        meaning: What a row is.
        columns: Its columns by name.
        key: Columns that no two rows have in common; empty where rows may be alike.
    """

    meaning: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()

    @property
    def schema(self) -> pl.Schema:
        """Polars types of the columns, in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})


def _required(dtype: pl.DataType, meaning: str) -> Column:
    return Column(dtype, meaning)


def _nullable(dtype: pl.DataType, meaning: str) -> Column:
    """A column that may be left out, which means null in every row."""
    return Column(dtype, meaning, nullable=True, optional=True)


FRAMES: Mapping[str, Frame] = {
    "batches": Frame(
        "a batch that has a scenario",
        {
            "batch_id": _required(_ID, "the batch"),
            "start_date": _required(_DAY, "its first day; states are numbered from it"),
            "profile_id": _nullable(_ID, "temperature profile of its scenario"),
            "initial_weight_g": _nullable(_NUMBER, "weight at the start of its scenario, g"),
        },
        key=("batch_id",),
    ),
    "stages": Frame(
        "a lifecycle stage in the scenario of a batch",
        {
            "batch_id": _required(_ID, "the batch"),
            "lifecycle_stage_id": _required(_ID, "the stage"),
            "name": _required(_TEXT, "name of the stage; AquaMind's caps on weight go by it"),
            "order": _required(_COUNT, "position of the stage in life"),
            "tgc": _required(_NUMBER, "thermal growth coefficient per 1000; below 0.01 it is taken as it is"),
            "daily_mortality": _nullable(
                _NUMBER,
                "share of the fish that die in a day (in a week where `weekly`); needed where deaths are modelled",
            ),
            "weekly": Column(_FLAG, "whether `daily_mortality` is the share of a week", optional=True, default=False),
            "expected_weight_min_g": _nullable(_NUMBER, "weight at which the stage begins, g"),
            "expected_weight_max_g": _nullable(_NUMBER, "weight at which the stage ends, g"),
            "constraint_min_g": _nullable(_NUMBER, "the scenario's own weight at which the stage begins, g"),
            "constraint_max_g": _nullable(_NUMBER, "the scenario's own weight at which the stage ends, g"),
        },
        key=("batch_id", "lifecycle_stage_id"),
    ),
    "assignments": Frame(
        "fish of a batch in a container",
        {
            "assignment_id": _required(_ID, "the assignment"),
            "batch_id": _required(_ID, "the batch of the fish"),
            "container_id": _required(_ID, "the container"),
            "lifecycle_stage_id": _required(_ID, "the stage of the fish"),
            "population_count": _nullable(
                _COUNT,
                "fish that AquaMind counts: recorded deaths are taken off, arrivals are added; not read where "
                "`placements` has the assignment; null: all fish come by placement and transfer",
            ),
            "avg_weight_g": _nullable(_NUMBER, "weight of fish that came by no transfer, g"),
            "assignment_date": _required(_DAY, "first day"),
            "departure_date": _nullable(_DAY, "day after the last one; null while the assignment is active"),
        },
        key=("assignment_id",),
    ),
    "placements": Frame(
        "eggs or fish that came from outside the farm",
        {
            "assignment_id": _required(_ID, "where they were placed"),
            "date": _required(_DAY, "day of delivery; the fish count from the first day of the assignment"),
            "count": _required(_COUNT, "fish"),
        },
    ),
    "transfers": Frame(
        "a completed transfer; newest workflow first and then by action number, as AquaMind reads them",
        {
            "source_assignment_id": Column(_ID, "where the fish come from", nullable=True),
            "dest_assignment_id": Column(_ID, "where the fish go to", nullable=True),
            "date": _required(_DAY, "day of the transfer, at whose start the fish move"),
            "count": _required(_COUNT, "fish that arrive"),
            "deaths": Column(
                _COUNT, "fish that die on the way, beside `count`", nullable=True, optional=True, default=0
            ),
            "measured_weight_g": _nullable(_NUMBER, "mean weight measured during the transfer, g"),
            "selection_method": Column(
                _TEXT,
                "which fish were picked",
                nullable=True,
                optional=True,
                default="AVERAGE",
                choices=("AVERAGE", "LARGEST", "SMALLEST"),
            ),
        },
    ),
    "deaths": Frame(
        "fish found dead",
        {
            "assignment_id": Column(
                _ID, "the assignment; null where only the batch is known, such a row is not used", nullable=True
            ),
            "date": _required(_DAY, "day"),
            "count": _required(_COUNT, "fish"),
        },
    ),
    "incomplete": Frame(
        "a day whose deaths were not all recorded; they are modelled if none was",
        {"assignment_id": _required(_ID, "the assignment"), "date": _required(_DAY, "day")},
    ),
    "weighings": Frame(
        "a measured mean weight; of several of one day and kind the last row counts",
        {
            "assignment_id": _required(_ID, "the assignment"),
            "date": _required(_DAY, "day"),
            "weight_g": Column(_NUMBER, "mean weight, g; null or 0 g does not count", nullable=True),
            "kind": Column(
                _TEXT,
                "occasion of the weighing",
                optional=True,
                default="growth_sample",
                choices=("growth_sample", "vaccination"),
            ),
        },
    ),
    "temperature": Frame(
        "water temperature of a day",
        {
            "container_id": _required(_ID, "the container"),
            "assignment_id": _nullable(_ID, "the assignment that was measured for; null: all in the container"),
            "date": _required(_DAY, "day (UTC)"),
            "parameter": Column(
                _TEXT,
                "name of the parameter; others than temperature are not read",
                optional=True,
                default="temperature",
            ),
            "total_c": _required(_NUMBER, "sum of the day's readings, °C, with at most 4 decimals"),
            "readings": Column(
                _COUNT, "number of readings; where it is 1, `total_c` is the mean", optional=True, default=1
            ),
            "first_c": _nullable(_NUMBER, "the reading with the lowest id, °C; null: the mean"),
        },
    ),
    "feed": Frame(
        "feed of a day",
        {
            "container_id": _required(_ID, "the container"),
            "assignment_id": _nullable(_ID, "the assignment that was fed; null: all in the container"),
            "date": _required(_DAY, "day"),
            "feed_kg": _required(_NUMBER, "feed, kg, with at most 4 decimals"),
        },
    ),
    "profiles": Frame(
        "a day of a temperature profile",
        {
            "profile_id": _required(_ID, "the profile"),
            "day_number": _required(_COUNT, "day of the batch, from 1"),
            "temp_c": _required(_NUMBER, "water temperature, °C"),
        },
        key=("profile_id", "day_number"),
    ),
}
"""Frames by their name in `Records`. Days are UTC, weights g, temperatures °C, feed kg."""


def empty(name: str) -> pl.DataFrame:
    """The frame of that name without rows."""
    return pl.DataFrame(schema=FRAMES[name].schema)


def conform(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the declared columns, in their order and types.

    Columns that were left out get their default. Columns that growth does not read are dropped. Values are cast where
    that loses nothing.

    Args:
        name: Name of the frame in `Records`.
        frame: The frame as the user gave it.

    Raises:
        InputError: when a column is missing, misspelt or of a type that cannot be cast.
    """
    if not isinstance(frame, pl.DataFrame):
        given = f"{type(frame).__module__.partition('.')[0]}.{type(frame).__name__}".removeprefix("builtins.")
        raise InputError(f"Records.{name} is a {given}; give a Polars DataFrame")
    declared = FRAMES[name]
    if frame.schema == declared.schema:
        return frame
    if frame.width == 0:
        return empty(name)
    unread = {column.lower(): column for column in frame.columns if column not in declared.columns}
    columns = []
    for column_name, column in declared.columns.items():
        if column_name in frame.columns:
            columns.append(_cast(name, frame[column_name], column))
            continue
        if similar := get_close_matches(column_name, unread, n=1, cutoff=_LIKENESS):
            raise InputError(
                f"Records.{name} has a column {unread[similar[0]]!r}, which is not read; rename it to {column_name!r} "
                f"({column.meaning}) or drop it"
            )
        if not column.optional:
            raise InputError(f"Records.{name} has no column {column_name!r} ({column.meaning}); add it")
        columns.append(pl.repeat(column.default, frame.height, dtype=column.dtype, eager=True).alias(column_name))
    return pl.DataFrame(columns)


def _cast(name: str, values: pl.Series, column: Column) -> pl.Series:
    if values.dtype == column.dtype:
        return values
    if values.null_count() == values.len():  # nothing tells the type of no values
        return pl.repeat(None, values.len(), dtype=column.dtype, eager=True).alias(values.name)
    wrong = f"Records.{name}: column {values.name!r} ({column.meaning})"
    if not _castable(values.dtype, column.dtype):
        raise InputError(f"{wrong} has the type {values.dtype}; cast it to {column.dtype}")
    cast = values.cast(column.dtype, strict=False)
    lost = cast.is_null() & values.is_not_null()
    if not (values.dtype.is_integer() or column.dtype.is_float()):
        lost |= (cast.cast(values.dtype) != values).fill_null(False)
    if lost.any():
        row = lost.arg_true()[0]
        raise InputError(f"{wrong} is {values[row]} in row {row}, which {column.dtype} cannot hold; correct it")
    return cast


def _castable(given: pl.DataType, wanted: pl.DataType) -> bool:
    if wanted.is_numeric():
        return given.is_numeric()
    if wanted == pl.Date:
        return isinstance(given, pl.Datetime) and given.time_zone in (None, "UTC")
    return wanted == pl.String and isinstance(given, pl.Categorical | pl.Enum)


__all__ = ["FRAMES", "Column", "Frame", "conform", "empty"]
