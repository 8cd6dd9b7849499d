"""Names batches and containers as people do, in the rows that break a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS, BATCHES
from aquamind_pipeline.apps.infrastructure.containers import CONTAINERS
from aquamind_pipeline.errors import AquaMindError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.schema.check_result import CheckResult

_ASSIGNMENTS = (
    "assignment_id",
    "batch_assignment_id",
    "container_assignment_id",
    "batch_container_assignment_id",
    "source_assignment_id",
    "dest_assignment_id",
)
"""Columns with the id of an assignment. Source and destination of a transfer have the same batch."""


def named(lake: Lake, result: CheckResult) -> CheckResult:
    """The result, whose sample names batches and containers."""
    return replace(result, sample=with_names(lake, result.sample)) if result.sample.height else result


def with_names(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Put the number of its batch, as `FI-2026-001`, and the name of its container before the ids of each row.

    Rows that have only the id of an assignment get the batch and the container of the assignment. Rows stay as they are
    if nothing names them, or if the table with the names cannot be read.
    """
    try:
        batches = _names(lake, BATCHES.name, pl.col("batch_number"))
        containers = _names(lake, CONTAINERS.name, pl.col("name"))
        assignment = next((one for one in _ASSIGNMENTS if one in rows.columns), None)
        column = "batch_id" if "batch_id" in rows.columns else assignment
        if column == "batch_id":
            rows = _before(rows, "batch", column, batches())
        elif column is not None:
            rows = _before(rows, "batch", column, _names(lake, ASSIGNMENTS.name, pl.col("batch_id"), batches)())
        if "container_id" in rows.columns:
            rows = _before(rows, "container", "container_id", containers())
        elif assignment is not None and not {"source_assignment_id", "dest_assignment_id"} & set(rows.columns):
            rows = _before(
                rows, "container", assignment, _names(lake, ASSIGNMENTS.name, pl.col("container_id"), containers)()
            )
    except (AquaMindError, pl.exceptions.PolarsError):  # other checks say what is wrong with these tables
        return rows
    return rows


_Names = Callable[[], pl.DataFrame]


def _names(lake: Lake, table: str, value: pl.Expr, of: _Names | None = None) -> _Names:
    """The ids of a table's rows and their names: the value, or what `of` calls that value."""

    def read() -> pl.DataFrame:
        rows = lake.scan(table).select(pl.col("id").cast(pl.Int64), name=value).collect()
        if of is None:
            return rows
        outer = of().rename({"id": "outer", "name": "outer_name"})
        return (
            rows.with_columns(pl.col("name").cast(pl.Int64))
            .join(outer, left_on="name", right_on="outer", how="left")
            .select("id", name="outer_name")
        )

    return read


def _before(rows: pl.DataFrame, label: str, column: str, names: pl.DataFrame) -> pl.DataFrame:
    """Insert the names of a column's ids before that column."""
    if label in rows.columns:
        return rows
    ids = rows[column].cast(pl.Int64, strict=False).to_frame("id")
    found = ids.join(names, on="id", how="left", maintain_order="left")["name"].alias(label)
    return rows.clone().insert_column(rows.columns.index(column), found)


__all__ = ["named", "with_names"]
