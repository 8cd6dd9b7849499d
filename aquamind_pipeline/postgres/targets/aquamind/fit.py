"""Whether our rows fit into the tables of AquaMind's database, and which tables can be left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.postgres.copying import constants
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.rights import KINDS
from aquamind_pipeline.schema.frames import polars_type, primary_key, references

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class TheirColumn:
    """A column of AquaMind's database.

    Attributes:
        type: Its type.
        type_name: The type as PostgreSQL writes it.
        nullable: Whether it may be null.
        filled: Whether the database fills it: with a default, an identity or a computed value.
    """

    type: sa.types.TypeEngine[Any]
    type_name: str
    nullable: bool
    filled: bool


TheirTables = Mapping[str, Mapping[str, TheirColumn]]
"""table -> column name -> column, of the tables that the registry and their database both have."""


_IN_THE_WAY = """
    WITH ours AS (
      SELECT c.oid, c.relname, c.relkind, u.key, u.is_whole FROM unnest(%(names)s::text[], %(keys)s::text[],
        %(whole)s::boolean[]) AS u(name, key, is_whole)
      JOIN pg_class c ON c.relnamespace = to_regnamespace(%(schema)s) AND c.relname = u.name
    )
    SELECT 1 AS step, relname, relkind::text AS detail FROM ours WHERE relkind NOT IN ('r', 'p')
    UNION ALL
    SELECT 2, o.relname, a.attname FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
    WHERE a.attgenerated <> '' AND NOT a.attisdropped
    UNION ALL
    SELECT 3, relname, current_user FROM ours WHERE relkind IN ('r', 'p') AND row_security_active(oid)
    UNION ALL
    SELECT 4, o.relname, r.rulename FROM ours o JOIN pg_rewrite r ON r.ev_class = o.oid
    WHERE o.relkind IN ('r', 'p') AND r.ev_enabled IN ('O', 'A') AND (r.ev_type IN ('2', '3') OR r.is_instead)
    UNION ALL
    SELECT 5, o.relname, o.key FROM ours o WHERE o.relkind IN ('r', 'p') AND o.is_whole AND NOT EXISTS (
      SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = o.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indnkeyatts = 1
        AND i.indpred IS NULL AND i.indexprs IS NULL AND a.attname = o.key)
    UNION ALL
    SELECT 6, o.relname, o.key FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid AND a.attname = o.key
    WHERE o.relkind IN ('r', 'p') AND pg_get_serial_sequence(o.oid::regclass::text, o.key) IS NULL
    UNION ALL
    SELECT 7, o.relname, a.attname FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
    JOIN pg_type t ON t.oid = a.atttypid WHERE t.typtype = 'd' AND t.typnotnull AND t.typdefault IS NULL
      AND NOT a.atthasdef AND NOT a.attisdropped
    ORDER BY 1, 2, 3
"""


def in_the_way(connection: Connection) -> list[str]:
    """What else somebody made of tables that we write, so that our rows could not be written, one line each.

    Triggers are not among them: only the rows tell what they do.
    """
    names = list(REGISTRY.aquamind)
    parameters = {
        "schema": PUBLIC,
        "names": names,
        "keys": [primary_key(REGISTRY.table(name))[0] for name in names],
        "whole": [not REGISTRY[name].is_monthly for name in names],
    }
    lines = []
    for step, name, detail in connection.execute(_IN_THE_WAY, parameters):
        if step == 6 and detail in references(REGISTRY.table(name)):  # the id is that of another row
            continue
        if step in (2, 7) and (detail in REGISTRY.table(name).columns) == (step == 7):
            continue
        lines.append(_WORDS[step].format(name=name, detail=KINDS.get(detail, detail)))
    return lines


_WORDS = {
    1: "{name} is {detail}, and we write into tables",
    2: "column {name}.{detail} is computed by the database (GENERATED ALWAYS AS), and we write it",
    3: "table {name} has row security that applies to role {detail}: ALTER ROLE {detail} BYPASSRLS",
    4: "table {name} has the rule {detail}, which rewrites what we write: drop or disable it",
    5: "column {name}.{detail} has no unique index of its own that is checked at once, and we find our rows by it",
    6: "column {name}.{detail} has no sequence for its ids",
    7: "column {name}.{detail} has a type that must not be null, and we do not know it",
}


def their_tables(url: SecretStr) -> TheirTables:
    """Look at the tables of a database that the registry has, too."""
    names = list(REGISTRY.aquamind)
    query = (
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE n.nspname = %s AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped"
    )
    with connect(url) as connection:
        written = {(row[0], row[1]): str(row[2]) for row in connection.execute(query, (PUBLIC, names))}
        connection.commit()
        engine = sa.create_engine(
            "postgresql+psycopg://", creator=lambda: connection, poolclass=sa.StaticPool, use_native_hstore=False
        )
        try:
            found = sa.inspect(engine).get_multi_columns(schema=PUBLIC, filter_names=names)
        except sa.exc.DBAPIError as error:
            raise error.orig or error from None  # `connect` turns psycopg's errors into ours
    return {
        table: {
            one["name"]: TheirColumn(
                one["type"],
                written[table, one["name"]],
                one["nullable"],
                one["default"] is not None or "identity" in one or "computed" in one,
            )
            for one in columns
        }
        for (_, table), columns in found.items()
    }


def left_out(there: Collection[str]) -> tuple[str, ...]:
    """Tables that a database lacks and that can be left out, of an app that is not installed.

    A table cannot be left out if a table that is there refers to it, or a table of another app: then the database is
    not AquaMind's, or not whole.
    """
    return tuple(name for name in REGISTRY.aquamind if name not in there and _needed_by(name, there) is None)


def _needed_by(missing: str, there: Collection[str]) -> str | None:
    """A table that cannot do without a missing one."""
    for name, one in REGISTRY.items():
        referring = [
            column
            for column, (target, _) in references(one.table).items()
            if target == missing and constants(name).get(column, column) is not None
        ]
        other_app = one.app != REGISTRY[missing].app
        if referring and not one.lake_only and (name in there or other_app):
            return name
    return None


def misfits(there: TheirTables) -> list[str]:
    """What stands in the way of a load, one line each. Empty if everything fits."""
    needed = {name: _needed_by(name, there) for name in REGISTRY.aquamind if name not in there}
    wrong = [f"table {name} is missing, and {user} refers to it" for name, user in needed.items() if user]
    for name, theirs in there.items():
        table = REGISTRY.table(name)
        for column in table.columns:
            if column.name not in theirs:
                wrong.append(f"column {name}.{column.name} is missing")
            elif problem := _misfit(column, theirs[column.name], constants(name)):
                wrong.append(f"column {name}.{column.name} {problem}")
        for column_name, one in theirs.items():
            if column_name not in table.columns and not one.nullable and not one.filled:
                wrong.append(f"column {name}.{column_name} must not be null, and we do not know it")
    return wrong


def integer_types(there: TheirTables, name: str) -> dict[str, pl.DataType]:
    """Polars types of a table's integer columns. Binary COPY needs the exact width."""
    return {column: polars_type(one.type) for column, one in there[name].items() if isinstance(one.type, sa.Integer)}


def _misfit(column: sa.Column[Any], there: TheirColumn, fixed: Mapping[str, Any]) -> str | None:
    if column.name in fixed and fixed[column.name] is None:
        return None if there.nullable else f"must not be null, and we leave it empty ({there.type_name})"
    if not _holds(there.type, column.type):
        return f"is {there.type_name}, which does not hold our {_text(column.type)}"
    if not there.nullable and column.nullable:
        return "must not be null, and ours may be"
    return None


def _holds(there: sa.types.TypeEngine[Any], ours: sa.types.TypeEngine[Any]) -> bool:
    """Whether every value of our type fits into theirs."""
    if isinstance(there, sa.Integer) and isinstance(ours, sa.Integer):
        return _bits(there) >= _bits(ours)
    # Exact classes: CHAR pads, and other subclasses are types of their own, such as enumerations.
    if type(there) in (sa.VARCHAR, sa.TEXT) and type(ours) in (sa.String, sa.Text):
        lengths = (getattr(there, "length", None), getattr(ours, "length", None))
        return lengths[0] is None or (lengths[1] is not None and lengths[0] >= lengths[1])
    if type(there) is sa.NUMERIC and type(ours) is sa.Numeric:
        if there.precision is None or ours.precision is None:
            return there.precision is None
        scale, our_scale = there.scale or 0, ours.scale or 0
        return scale >= our_scale and there.precision - scale >= ours.precision - our_scale
    return _text(there) == _text(ours)


def _bits(integer: sa.Integer) -> int:
    return 64 if isinstance(integer, sa.BigInteger) else 16 if isinstance(integer, sa.SmallInteger) else 32


@cache
def _text(type_: sa.types.TypeEngine[Any]) -> str:
    return str(type_.compile(dialect=_DIALECT)).lower()


__all__ = ["TheirColumn", "TheirTables", "in_the_way", "integer_types", "left_out", "misfits", "their_tables"]
