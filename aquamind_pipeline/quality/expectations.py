"""Great Expectations: one suite for each table, derived from its definition.

A table of at most `FULL_ROWS` rows is validated itself. A larger table, and every monthly table, is first summarised by
month (`profile`), so that the suite runs on a few hundred rows whatever the size of the farm. Importing the library
takes a second and 190 MB, so it is imported where it is used.

An expectation about every value of a column takes four times as long as one about its least or largest value. So a
suite first asks for these. If one is out of its range, the suite runs again and lists the rows.
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

from aquamind_pipeline.late_imports import imported_later
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

One expectation for all columns, because each takes a millisecond. The check `values` names the column.
"""
_LENGTH = "length of "
"""Begins the name of a column that suites look at: how long the texts of a column are."""
_USED_LATER = ("altair", "scipy.stats")
"""Modules that Great Expectations imports for expectations about distributions. No suite of ours has one. They take a
third of its import's time and 77 MB."""


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
        column, value = table.columns[name], pl.col(name)
        low, high = column.info.get("range", (None, None))
        if low is not None:
            sums.append(value.min().cast(pl.Float64).alias(f"{name} least"))
        if high is not None:
            sums.append(value.max().cast(pl.Float64).alias(f"{name} most"))
    if definition.split_by:
        summed = rows.group_by(pl.col(definition.split_by).cast(pl.Int64).alias("group")).agg(sums).sort("group")
    else:
        summed = rows.select(pl.lit(0, pl.Int64).alias("group"), *sums).filter(pl.col("rows") > 0)
    return summed.select(pl.lit(month).alias("month"), pl.all()).collect()


def _required(table: sa.Table) -> list[str]:
    """Columns in the lake that are NOT NULL."""
    return [name for name in lake_schema(table) if not table.columns[name].nullable]


def suite(table: sa.Table, frame: pl.DataFrame, *, profiled: bool, lists_rows: bool = False) -> list[Any]:
    """The expectations of a table.

    Args:
        table: The table.
        frame: Its rows, or its profile.
        profiled: Whether `frame` is a profile.
        lists_rows: Whether results list the rows that are out of range.
    """
    gxe, limits = _library("expectations"), _limited(table)

    def between(name: str, low: float | None, high: float | None) -> list[Any]:
        without_value = name in frame.columns and frame[name].null_count() == frame.height
        if lists_rows or without_value:
            return [gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high)]
        least = [] if low is None else [gxe.ExpectColumnMinToBeBetween(column=name, min_value=low)]
        return [*least, *([] if high is None else [gxe.ExpectColumnMaxToBeBetween(column=name, max_value=high)])]

    expected = between(_MISSING, None, 0)
    if not profiled:
        columns = [*lake_schema(table), _MISSING, *(_LENGTH + name for name in limits)]
        expected.append(gxe.ExpectTableColumnsToMatchOrderedList(column_list=columns))
        expected += [
            gxe.ExpectColumnValuesToBeUnique(column=key[0])
            if len(key) == 1
            else gxe.ExpectCompoundColumnsToBeUnique(column_list=list(key))
            for key in _unique(table)
        ]
    for name in lake_schema(table):
        low, high = table.columns[name].info.get("range", (None, None))
        if profiled:
            expected += [] if low is None else between(f"{name} least", low, None)
            expected += [] if high is None else between(f"{name} most", None, high)
        else:
            expected += [] if (low, high) == (None, None) else between(name, low, high)
            expected += between(_LENGTH + name, None, limits[name]) if name in limits else []
    return expected


def _limited(table: sa.Table) -> dict[str, int]:
    """Columns in the lake whose texts have a limited length, and the limit."""
    types = {name: table.columns[name].type for name in lake_schema(table)}
    return {name: one.length for name, one in types.items() if isinstance(one, sa.String) and one.length}


def _unique(table: sa.Table) -> list[tuple[str, ...]]:
    stored = set(lake_schema(table))
    keys = [primary_key(table), *unique_keys(table)]
    return sorted({key for key in keys if stored.issuperset(key)})


def validate(table: sa.Table, frame: pl.DataFrame, *, profiled: bool) -> Validated:
    """Run a table's suite on its rows or on its profile."""
    gx = _library()
    exact = frame.with_columns(pl.col(n).cast(pl.Float64) for n, t in frame.schema.items() if isinstance(t, pl.Decimal))
    if not profiled:
        lengths = [pl.col(name).str.len_chars().alias(_LENGTH + name) for name in _limited(table)]
        missing = pl.sum_horizontal(pl.col(_required(table)).is_null())
        exact = exact.with_columns(missing.alias(_MISSING), *lengths)
    batch = _batches().get_batch({"dataframe": exact.to_pandas()})

    def validated(form: str | dict[str, Any], *, lists_rows: bool = False) -> ExpectationSuiteValidationResult:
        expected = suite(table, exact, profiled=profiled, lists_rows=lists_rows)
        result: ExpectationSuiteValidationResult = batch.validate(
            gx.ExpectationSuite(name=table.name, expectations=expected), result_format=form
        )
        for one in result.results:  # Data Docs cannot show numbers of numpy
            if "observed_value" in one.result:
                one.result["observed_value"] = _plain(one.result["observed_value"])
        return result

    result = validated("BASIC")
    if not result.success:
        index = ["month", "group"] if profiled else [primary_key(table)[0]]
        present = [column for column in index if column in frame.columns]
        result = validated({"result_format": "COMPLETE", "unexpected_index_column_names": present}, lists_rows=True)
    rows = [_row(one) for one in result.results]
    shown = pl.DataFrame(rows, schema=_SHAPE, orient="row")
    failed = shown.filter(~pl.col("passed"))
    what = _counted(frame, profiled=profiled)
    named = ", ".join(f"{row['expectation']} ({row['column']})" for row in failed.head(_SHOWN).iter_rows(named=True))
    detail = f"{shown.height} expectations met by {what}" if failed.is_empty() else f"expectations not met: {named}"
    return Validated(
        CheckResult("expectations", failed.is_empty(), failed.height, detail, failed.head(10)), shown, result
    )


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python; any other value as it is."""
    return value.item() if hasattr(value, "item") else value


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
    with warnings.catch_warnings(), imported_later(*_USED_LATER):
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
