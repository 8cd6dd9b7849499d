"""The table catalogue: AquaMind's tables as SQLAlchemy Core, one module per AquaMind app.

Polars schemas, DDL, checks, load order and documentation derive from it. Table.info has `layer` (infrastructure,
reference, batch, event or state); for events and states `partition_by`: the column by which lake and database are
partitioned by month; for what AquaMind may have already `natural_key`: the columns by which its row is found.
"""

from __future__ import annotations

import warnings

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.errors import InputError
from aquamind_pipeline.tables import (  # noqa: F401 - each module adds its tables to the metadata
    batch,
    broodstock,
    environmental,
    harvest,
    infrastructure,
    inventory,
    scenario,
    users,
)
from aquamind_pipeline.tables.columns import metadata

with warnings.catch_warnings():
    # batch, scenario and projection run refer to each other; their keys are checked at commit, so any order loads.
    warnings.simplefilter("ignore", sa.exc.SAWarning)
    TABLES: dict[str, sa.Table] = {str(table.name): table for table in metadata.sorted_tables}
"""Every table by name, parents before children (but for one known cycle)."""

EVENT_TABLES = tuple(name for name, table in TABLES.items() if table.info["layer"] == "event")
MASTER_TABLES = tuple(name for name, t in TABLES.items() if t.info["layer"] in ("infrastructure", "reference", "batch"))
STATE_TABLE = "batch_actualdailyassignmentstate"
MONTHLY_TABLES = tuple(name for name, table in TABLES.items() if "partition_by" in table.info)
"""Event tables and daily states: lake and database keep them by month."""


def of_layer(layer: str) -> tuple[str, ...]:
    """Names of the tables of one layer, parents first."""
    return tuple(name for name, table in TABLES.items() if table.info["layer"] == layer)


def polars_type(type_: sa.types.TypeEngine[object]) -> pl.DataType:
    """The Polars type in which a column is kept."""
    match type_:
        case sa.BigInteger():
            return pl.Int64()
        case sa.SmallInteger():
            return pl.Int16()
        case sa.Integer():
            return pl.Int32()
        case sa.Double():
            return pl.Float64()
        case sa.Numeric():
            return pl.Decimal(type_.precision, type_.scale or 0)
        case sa.Boolean():
            return pl.Boolean()
        case sa.Date():
            return pl.Date()
        case sa.Time():
            return pl.Time()
        case sa.DateTime():
            return pl.Datetime("us", "UTC")
        case sa.String() | JSONB():
            return pl.String()
        case _:
            raise TypeError(f"no Polars type for {type_!r}")


def full_schema(table: sa.Table) -> pl.Schema:
    """Every column of a table, in the database's order."""
    return pl.Schema({column.name: polars_type(column.type) for column in table.columns})


def lake_schema(table: sa.Table) -> pl.Schema:
    """The columns that the lake keeps: all but the filled ones."""
    return pl.Schema({c.name: polars_type(c.type) for c in table.columns if "fill" not in c.info})


def conform(frame: pl.DataFrame, table: sa.Table) -> pl.DataFrame:
    """A generator's frame in the lake's columns, order and types.

    Raises:
        InputError: when columns are missing or unknown, or a value does not fit its type.
    """
    schema = lake_schema(table)
    _require_columns(frame.columns, schema, table)
    try:
        return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{table.name}: a value does not fit its column ({error})") from None


def complete(frame: pl.LazyFrame, table: sa.Table) -> pl.LazyFrame:
    """A table's rows as the database wants them: filled columns added, in its order and types.

    Raises:
        InputError: when the frame's columns are not the lake's.
    """
    _require_columns(frame.collect_schema().names(), lake_schema(table), table)
    fills = {c.name: c.info["fill"] for c in table.columns if "fill" in c.info}
    return frame.with_columns(**fills).select(pl.col(name).cast(dtype) for name, dtype in full_schema(table).items())


def _require_columns(found: list[str], schema: pl.Schema, table: sa.Table) -> None:
    missing, extra = sorted(set(schema) - set(found)), sorted(set(found) - set(schema))
    if missing or extra:
        raise InputError(f"{table.name}: missing columns {missing or 'none'}, unknown columns {extra or 'none'}")


def primary_key(table: sa.Table) -> tuple[str, ...]:
    """Names of the primary key's columns."""
    return tuple(column.name for column in table.primary_key.columns)


def references(table: sa.Table) -> dict[str, tuple[str, str]]:
    """Column -> (table, column) it refers to, also where AquaMind's database does not enforce it."""
    found: dict[str, tuple[str, str]] = {}
    for column in table.columns:
        for key in column.foreign_keys:
            found[column.name] = (key.column.table.name, key.column.name)
        if "references" in column.info:
            target, _, name = column.info["references"].rpartition(".")
            found[column.name] = (target, name)
    return found


__all__ = [
    "EVENT_TABLES",
    "MASTER_TABLES",
    "MONTHLY_TABLES",
    "STATE_TABLE",
    "TABLES",
    "complete",
    "conform",
    "full_schema",
    "lake_schema",
    "metadata",
    "of_layer",
    "primary_key",
    "references",
]
