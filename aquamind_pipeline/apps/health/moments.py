"""Reading life, ids and times, as tables of the health app share them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.months import first_day, month_key
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import lake_schema
from aquamind_pipeline.schema.inputs import DeclaredReads, Inputs
from aquamind_pipeline.simulation.schedule import Plan

LOCAL = "Europe/London"
"""Clock of both geographies: Faroese and Scottish time are the same, in winter and in summer."""
_DAY_ZERO = 719_163  # 1970-01-01 as `date.toordinal()`


def lived(inputs: Inputs, definition: TableDefinition, months: Sequence[str] | None = None) -> pl.LazyFrame:
    """Rows of a table of life, of the batches to make. A month without rows has no file.

    Args:
        inputs: What the generator is given.
        definition: The table.
        months: Months to read; None for those to make.
    """
    rows = existing(inputs, definition, inputs.months_to_make if months is None else months)
    return rows if inputs.batches is None else rows.filter(pl.col("batch_id").is_in(inputs.batches))


def existing(inputs: DeclaredReads, definition: TableDefinition, months: Sequence[str]) -> pl.LazyFrame:
    """Those of a table's months that have rows."""
    built = set(inputs.months(definition.name))
    there = [month for month in months if month in built]
    return inputs.scan(definition.name, there) if there else pl.LazyFrame(schema=lake_schema(definition.table))


def with_month_before(*months: str) -> list[str]:
    """Successive months and the one before them, in which their first week may have begun."""
    return [month_key(first_day(months[0]) - timedelta(days=1)), *months]


def sunday(day: str) -> pl.Expr:
    """The last day of a date's week."""
    return pl.col(day) + pl.duration(days=7 - pl.col(day).dt.weekday())


def with_state_id(rows: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Rows with assignment_id and date, and the state_id of the assignment's day."""
    assignments = plan.assignments[["first_state_id", "assignment_date"]][plan.rows_of(rows["assignment_id"])]
    since = (rows["date"] - assignments["assignment_date"]).dt.total_days()
    return rows.with_columns(state_id=assignments["first_state_id"] + since)


def at_local_time(date: pl.Expr, minute: pl.Expr) -> pl.Expr:
    """The moment at which the local clock shows a minute of the day."""
    clock = date.cast(pl.Datetime("us")) + pl.duration(minutes=minute)
    return clock.dt.replace_time_zone(LOCAL).dt.convert_time_zone("UTC")


def ordinals(dates: pl.Series) -> Ints:
    """Dates as numbers, as by `date.toordinal()`."""
    return dates.to_physical().to_numpy().astype(np.int64) + _DAY_ZERO


__all__ = ["LOCAL", "at_local_time", "existing", "lived", "ordinals", "sunday", "with_month_before", "with_state_id"]
