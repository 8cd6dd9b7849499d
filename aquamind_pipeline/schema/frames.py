"""A table's rows as frames: in the lake's columns and types, and completed for a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.errors import InputError


def polars_type(type_: sa.types.TypeEngine[Any]) -> pl.DataType:
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


@cache
def full_schema(table: sa.Table) -> pl.Schema:
    """Every column of a table, in the database's order."""
    return pl.Schema({column.name: polars_type(column.type) for column in table.columns})


@cache
def lake_schema(table: sa.Table) -> pl.Schema:
    """The columns that the lake keeps: all but the filled ones.

    Integers of 32 bits have 64 there, since Polars sums Int32 in Int32: the fish of a farm would overflow in silence.
    """
    types = {column.name: polars_type(column.type) for column in table.columns if "fill" not in column.info}
    return pl.Schema({name: pl.Int64() if type_ == pl.Int32() else type_ for name, type_ in types.items()})


def conform(frame: pl.DataFrame, table: sa.Table) -> pl.DataFrame:
    """A generator's frame in the lake's columns, order and types.

    Raises:
        InputError: when columns are missing or unknown, or a value does not fit its type in lake or database.
    """
    schema, where = lake_schema(table), f"{table.info.get('place', 'generate')}: "
    given, narrow = frame.schema, full_schema(table)
    _require_columns(given.names(), schema, table, where, "a generator gives each column without `fill`, and no other")
    cut = [name for name, dtype in schema.items() if dtype.is_integer() and given[name].is_float()]
    if cut:
        raise InputError(f"{where}{table.name}: {cut} would lose their fractions in columns of integers: round them")
    try:
        return frame.select(_fitted(name, given[name], narrow[name], dtype) for name, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{where}{table.name}: a value does not fit its column ({error})") from None


def _fitted(name: str, *types: pl.DataType) -> pl.Expr:
    """A column, cast from its type to the next ones in turn. A cast to the same type takes time, too."""
    column = pl.col(name)
    for before, after in pairwise(types):
        column = column if before == after else column.cast(after)
    return column


def complete(frame: pl.LazyFrame, table: sa.Table) -> pl.LazyFrame:
    """A table's rows as the database wants them: filled columns added, in its order and types.

    Raises:
        InputError: when the frame's columns are not the lake's.
    """
    _require_columns(frame.collect_schema().names(), lake_schema(table), table)
    fills = {c.name: c.info["fill"] for c in table.columns if "fill" in c.info}
    return frame.with_columns(**fills).select(pl.col(name).cast(dtype) for name, dtype in full_schema(table).items())


def _require_columns(
    given: Sequence[str], schema: pl.Schema, table: sa.Table, where: str = "", remedy: str = ""
) -> None:
    missing, extra = sorted(set(schema) - set(given)), sorted(set(given) - set(schema))
    if missing or extra:
        found = f"missing columns {missing or 'none'}, unknown columns {extra or 'none'}"
        raise InputError(f"{where}{table.name}: {found}{': ' if remedy else ''}{remedy}")


@cache
def primary_key(table: sa.Table) -> tuple[str, ...]:
    """Names of the primary key's columns; the id comes first."""
    return tuple(column.name for column in table.primary_key.columns)


@cache
def unique_keys(table: sa.Table) -> tuple[tuple[str, ...], ...]:
    """Columns that are unique together: of each unique constraint, by its name."""
    constraints = [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    return tuple(tuple(c.name for c in one.columns) for one in sorted(constraints, key=lambda c: str(c.name)))


@cache
def references(table: sa.Table) -> Mapping[str, tuple[str, str]]:
    """Column -> (table, column) it refers to, also where no database enforces it."""
    targets: dict[str, tuple[str, str]] = {}
    for column in table.columns:
        for key in column.foreign_keys:
            targets[column.name] = (key.column.table.name, key.column.name)
        if "references" in column.info:
            target, _, name = column.info["references"].rpartition(".")
            targets[column.name] = (target, name)
    return MappingProxyType(targets)


@cache
def references_ahead(table: sa.Table) -> Mapping[str, tuple[str, str]]:
    """Those of the `references` whose table is made after this one."""
    ahead = {column.name for column in table.columns if any(key.use_alter for key in column.foreign_keys)}
    return MappingProxyType({column: target for column, target in references(table).items() if column in ahead})


def referring_ahead(table: sa.Table) -> list[tuple[str, str, str]]:
    """The tables made before this one that refer to it: table, its column, and the column it refers to."""
    return [
        (other.name, column, key)
        for other in table.metadata.tables.values()
        for column, (target, key) in references_ahead(other).items()
        if target == table.name
    ]


__all__ = [
    "complete",
    "conform",
    "full_schema",
    "lake_schema",
    "polars_type",
    "primary_key",
    "references",
    "references_ahead",
    "referring_ahead",
    "unique_keys",
]
