"""What each column of a table means, in one line: for comments in databases, DuckDB's views and Dagster's pages."""

from __future__ import annotations

from typing import Any

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.schema.frames import references


def meanings(table: sa.Table) -> dict[str, str]:
    """The meaning of each column, with its unit, what it refers to, and how it is filled if the lake lacks it."""
    targets = references(table)
    return {column.name: _meaning(column, targets.get(column.name)) for column in table.columns}


def _meaning(column: sa.Column[Any], target: tuple[str, str] | None) -> str:
    meaning = column.comment or ""
    if target is not None:
        meaning = f"{meaning}: {'.'.join(target)}" if meaning else f"Refers to {'.'.join(target)}"
    if "fill" not in column.info:
        return meaning
    filled = _filled(column.info["fill"])
    return f"{meaning}; {filled}" if meaning else filled[0].upper() + filled[1:]


def _filled(fill: pl.Expr) -> str:
    """What the load writes into a column that the lake lacks."""
    if not fill.meta.is_literal():
        return f"filled from {' and '.join(fill.meta.root_names())}"
    value = pl.select(fill).item()
    if value is None:
        return "null in the pipeline's rows"
    if value == "":
        return "empty in the pipeline's rows"
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"{shown} in all of the pipeline's rows"


__all__ = ["meanings"]
