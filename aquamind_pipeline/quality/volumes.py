"""How many rows each table must have (invariant I7)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.months import month_of
from aquamind_pipeline.schema.definition import ByFormula, CountedIn, TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import Tables
from aquamind_pipeline.schema.rules import WHOLE
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan


@lru_cache(maxsize=256)  # a run asks several times for each table
def planned_rows(definition: TableDefinition, farm: Profile, plan: Plan) -> pl.DataFrame | None:
    """Rows of each month, by formula.

    Returns:
        month (`WHOLE` for a table without months) and rows; None if chance decides.
    """
    if not isinstance(definition.expected, ByFormula):
        return None
    rows = definition.expected.rows(farm, plan)
    if isinstance(rows, pl.DataFrame):
        return rows.select("month", pl.col("rows").cast(pl.Int64))
    return pl.DataFrame({"month": [WHOLE], "rows": [rows]}, schema={"month": pl.String, "rows": pl.Int64})


def total_rows(definition: TableDefinition, farm: Profile, plan: Plan) -> int | None:
    """Rows of a whole table, by formula; None if chance decides."""
    rows = planned_rows(definition, farm, plan)
    return None if rows is None else int(rows["rows"].sum())


def rough_rows(definition: TableDefinition, farm: Profile, plan: Plan) -> int:
    """Rows of a whole table, an estimate if chance decides. Used for the disk estimate."""
    if isinstance(definition.expected, CountedIn | Unpredictable):
        return definition.expected.about(farm, plan)
    return total_rows(definition, farm, plan) or 0


def expected_rows(
    definition: TableDefinition, farm: Profile, plan: Plan, tables: Tables, months: Sequence[str] | None = None
) -> pl.DataFrame | None:
    """Rows of each month, by formula or counted in another table (`CountedIn`).

    Args:
        definition: The table.
        farm: The farm.
        plan: Its plan.
        tables: The lake with the other table.
        months: Months to count; None for all.

    Returns:
        month and rows, as `planned_rows`; None if the row count is unpredictable or the other table is not built.
    """
    expected = definition.expected
    if isinstance(expected, CountedIn):
        counted = _counted(definition, expected, tables, months)
    else:
        counted = planned_rows(definition, farm, plan)
    if counted is not None and definition.is_monthly and months is not None:
        return counted.filter(pl.col("month").is_in(list(months)))
    return counted


def _counted(
    definition: TableDefinition, expected: CountedIn, tables: Tables, months: Sequence[str] | None
) -> pl.DataFrame | None:
    time = REGISTRY[expected.table].time
    rows = expected.rows.cast(pl.Int64).alias("rows")
    if not definition.is_monthly or time is None:
        return tables.scan(expected.table).select(pl.lit(WHOLE).alias("month"), rows).collect()
    built = [month for month in tables.partitions(expected.table) if months is None or month in months]
    if not built:
        return None
    by_month = tables.scan(expected.table, built).group_by(month=month_of(time)).agg(rows)
    return by_month.filter(pl.col("rows") > 0).sort("month").collect()


__all__ = ["expected_rows", "planned_rows", "rough_rows", "total_rows"]
