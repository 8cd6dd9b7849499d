"""Great Expectations: one suite for each table, derived from its definition.

A table of at most `FULL_ROWS` rows is validated row by row. A larger table, and every monthly table, is first
summarised by month (`profile`), so that the suite runs on a few hundred rows whatever the size of the farm. Importing
the library takes two seconds and 270 MB, so it is imported where it is used.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import lake_schema, primary_key, unique_keys
from aquamind_pipeline.schema.shown_rows import as_text

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult

FULL_ROWS = 20_000
_SHOWN = 3
_MISSING = "missing required values"
"""A column that suites look at: how many nulls a row, or the rows of a group, have in columns that are NOT NULL.

One expectation for all columns, because each takes five milliseconds. The check `values` names the column.
"""


@dataclass(frozen=True)
class Validated:
    """The outcome of a table's suite.

    Attributes:
        check: The check result.
        expectations: expectation, column, passed, unexpected (values), percent, sample; one row for each expectation.
        result: Great Expectations' own result.
    """

    check: CheckResult
    expectations: pl.DataFrame
    result: ExpectationSuiteValidationResult


def is_profiled(definition: TableDefinition, rows: int) -> bool:
    """Whether a table's suite runs on its profile."""
    return definition.is_monthly or rows > FULL_ROWS


def profile(definition: TableDefinition, rows: pl.LazyFrame, month: str) -> pl.DataFrame:
    """Summarise a month's rows for the suite.

    Returns:
        month, group (the value of the definition's `split_by`), rows, missing required values, and for each column,
        where it is declared, the least and the most value.
    """
    table = definition.table
    sums = [pl.len().alias("rows"), pl.sum_horizontal(pl.col(_required(table)).null_count()).alias(_MISSING)]
    for name in lake_schema(table):
        column, value = table.columns[name], pl.col(name).cast(pl.Float64)
        low, high = column.info.get("range", (None, None))
        if low is not None:
            sums.append(value.min().alias(f"{name} least"))
        if high is not None:
            sums.append(value.max().alias(f"{name} most"))
    group = pl.col(definition.split_by) if definition.split_by else pl.lit(0)
    return (
        rows.group_by(group.cast(pl.Int64).alias("group"))
        .agg(sums)
        .filter(pl.col("rows") > 0)
        .sort("group")
        .select(pl.lit(month).alias("month"), pl.all())
        .collect()
    )


def _required(table: sa.Table) -> list[str]:
    """Columns in the lake that are NOT NULL."""
    return [name for name in lake_schema(table) if not table.columns[name].nullable]


def suite(table: sa.Table, *, profiled: bool) -> list[Any]:
    """The expectations of a table, or of its profile."""
    gxe = _library("expectations")
    expected: list[Any] = [gxe.ExpectColumnValuesToBeBetween(column=_MISSING, max_value=0)]
    if not profiled:
        columns = [*lake_schema(table), _MISSING]
        expected.append(gxe.ExpectTableColumnsToMatchOrderedList(column_list=columns))
        expected += [
            gxe.ExpectColumnValuesToBeUnique(column=key[0])
            if len(key) == 1
            else gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key))
            for key in _unique(table)
        ]
    for name in lake_schema(table):
        expected += _of_column(gxe, table.columns[name], profiled=profiled)
    return expected


def _of_column(gxe: ModuleType, column: sa.Column[Any], *, profiled: bool) -> list[Any]:
    low, high = column.info.get("range", (None, None))
    name = column.name
    expected = []
    if profiled:
        if low is not None:
            expected.append(gxe.ExpectColumnValuesToBeBetween(column=f"{name} least", min_value=low))
        if high is not None:
            expected.append(gxe.ExpectColumnValuesToBeBetween(column=f"{name} most", max_value=high))
        return expected
    if (low, high) != (None, None):
        expected.append(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high))
    if isinstance(column.type, sa.String) and column.type.length:
        expected.append(gxe.ExpectColumnValueLengthsToBeBetween(column=name, max_value=column.type.length))
    return expected


def _unique(table: sa.Table) -> list[tuple[str, ...]]:
    stored = set(lake_schema(table))
    keys = [primary_key(table), *unique_keys(table)]
    return sorted({key for key in keys if stored.issuperset(key)})


def validate(table: sa.Table, frame: pl.DataFrame, *, profiled: bool) -> Validated:
    """Run a table's suite on its rows or on its profile."""
    gx = _library()
    exact = frame.with_columns(pl.col(n).cast(pl.Float64) for n, t in frame.schema.items() if isinstance(t, pl.Decimal))
    if not profiled:
        exact = exact.with_columns(pl.sum_horizontal(pl.col(_required(table)).is_null()).alias(_MISSING))
    batch = _batches().get_batch({"dataframe": exact.to_pandas()})
    expectations = gx.ExpectationSuite(name=table.name, expectations=suite(table, profiled=profiled))
    index = ["month", "group"] if profiled else [primary_key(table)[0]]
    result = batch.validate(expectations, result_format="BASIC")
    if not result.success:  # only now, because listing the rows makes validation half as slow again
        present = [column for column in index if column in frame.columns]
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": present}
        result = batch.validate(expectations, result_format=form)
    rows = [_row(one) for one in result.results]
    shown = pl.DataFrame(rows, schema=_SHAPE, orient="row")
    failed = shown.filter(~pl.col("passed"))
    what = _counted(frame, profiled=profiled)
    named = ", ".join(f"{row['expectation']} ({row['column']})" for row in failed.head(_SHOWN).iter_rows(named=True))
    detail = f"{shown.height} expectations met by {what}" if failed.is_empty() else f"expectations not met: {named}"
    return Validated(
        CheckResult("expectations", failed.is_empty(), failed.height, detail, failed.head(10)), shown, result
    )


def _counted(frame: pl.DataFrame, *, profiled: bool) -> str:
    """How much a suite looked at, in words. A profile may have several rows for a month: one for each group."""
    count = frame["month"].n_unique() if profiled else frame.height
    noun = "month" if profiled else "row"
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


_SHAPE = {
    "expectation": pl.String,
    "column": pl.String,
    "passed": pl.Boolean,
    "unexpected": pl.Int64,
    "percent": pl.Float64,
    "sample": pl.String,
}


def _row(one: Any) -> tuple[str, str, bool, int, float, str]:
    arguments = one.expectation_config.kwargs
    column = arguments.get("column") or ", ".join(arguments.get("column_list") or ())
    result = one.result or {}
    values = result.get("partial_unexpected_index_list") or result.get("partial_unexpected_list") or []
    sample = "; ".join(_text(value) for value in values[:_SHOWN])
    if one.exception_info and one.exception_info.get("raised_exception"):
        sample = str(one.exception_info.get("exception_message")).partition("\n")[0]
    count, percent = result.get("unexpected_count") or 0, result.get("unexpected_percent") or 0.0
    return one.expectation_config.type, column, bool(one.success), int(count), round(float(percent), 2), sample


def _text(value: Any) -> str:
    """A value that is unexpected, or the columns that name its row, without the names of NumPy's types."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    return as_text(value.item() if isinstance(value, np.generic) else value)


@cache
def _library(part: str = "") -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library imports deprecated modules
        import great_expectations as gx
        import great_expectations.expectations as gxe
    return gxe if part else gx


@cache
def _batches() -> Any:
    """The batch definition for all frames, in one context that is kept in memory."""
    gx = _library()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("lake").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("rows")


__all__ = ["FULL_ROWS", "Validated", "is_profiled", "profile", "suite", "validate"]
