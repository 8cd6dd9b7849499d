"""A month's rows summed up by day, once for all rules that need no more."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.frames import references
from aquamind_pipeline.schema.grouping import grouped
from aquamind_pipeline.schema.rules import RuleInputs


def by_day(inputs: RuleInputs) -> pl.DataFrame:
    """Rows of one day that refer to the same, as one row.

    Returns:
        The columns that refer to other tables, `date` (of monthly tables), `rows` (their number), and the sums that
        the definition names. A table without `sums_by_day` keeps its rows: hardly two share a day.
    """
    return inputs.once("by day", lambda: _by_day(inputs))


def _by_day(inputs: RuleInputs) -> pl.DataFrame:
    definition, rows = inputs.definition, inputs.rows
    if definition.sums_by_day is None:
        one_each = rows.with_columns(rows=pl.lit(1, pl.Int64))
        return (
            one_each if definition.time is None else one_each.with_columns(date=pl.col(definition.time).cast(pl.Date))
        )
    keys = {name: pl.col(name) for name in references(definition.table) if name in rows.columns}
    days = {"date": pl.col(str(definition.time)).dt.date()}
    return grouped(rows, keys | days, pl.len().cast(pl.Int64).alias("rows"), *definition.sums_by_day)


__all__ = ["by_day"]
