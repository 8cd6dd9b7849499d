"""AquaMind's own database, made by its Django migrations: recognise it, and see whether our rows fit in."""

from __future__ import annotations

import re
from functools import cache

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection, described

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_INTEGERS = {"smallint": 16, "integer": 32, "bigint": 64}
_WIDTHS = {"smallint": pl.Int16(), "integer": pl.Int32(), "bigint": pl.Int64()}
_SHOWN = 12


def recognised(connection: Connection) -> str:
    """Which kind of target a database without a farm of ours is: AquaMind's, if any of its tables is there."""
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s)"
    row = connection.execute(query, ([*REGISTRY.aquamind, "django_migrations"],)).fetchone()
    return journal.AQUAMIND if row and row[0] else journal.OWN


def require_fit(connection: Connection, url: SecretStr) -> None:
    """Refuse a schema that our rows do not fit into, with everything that is wrong.

    Raises:
        DatabaseError: lists missing tables and columns, narrower types, and columns that we would leave empty.
    """
    wrong = misfits(connection)
    if wrong:
        more = f"\n  … and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        listed = "".join(f"\n  {line}" for line in wrong[:_SHOWN])
        raise DatabaseError(
            f"{described(url)} has tables that are not ours and that this version does not fit:{listed}{more}\n"
            "bring AquaMind's migrations to the version that docs/aquamind.md names, or use an empty database"
        )


def misfits(connection: Connection) -> list[str]:
    """What stands in the way of loading, a line each; empty when everything fits."""
    found = _columns(connection)
    wrong = []
    for name, table in ((n, REGISTRY[n].table) for n in REGISTRY.aquamind):
        there = found.get(name)
        if there is None:
            wrong.append(f"table {name} is missing")
            continue
        for column in table.columns:
            if column.name not in there:
                wrong.append(f"column {name}.{column.name} is missing")
            elif problem := _misfit(column, *there[column.name][:2]):
                wrong.append(f"column {name}.{column.name} {problem}")
        for column_name, (_, not_null, has_default) in there.items():
            if column_name not in table.columns and not_null and not has_default:
                wrong.append(f"column {name}.{column_name} must not be null, and we do not know it")
    return wrong


def integer_types(connection: Connection, table_name: str) -> dict[str, pl.DataType]:
    """Polars types of a table's integer columns: binary COPY wants the exact width."""
    columns = _columns(connection).get(table_name, {})
    return {name: _WIDTHS[kind] for name, (kind, _, _) in columns.items() if kind in _WIDTHS}


def _columns(connection: Connection) -> dict[str, dict[str, tuple[str, bool, bool]]]:
    """Table -> column -> (type, whether it is not null, whether the database fills it)."""
    query = """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname = ANY(%s)
          AND a.attnum > 0 AND NOT a.attisdropped
    """
    found: dict[str, dict[str, tuple[str, bool, bool]]] = {}
    for table, column, *facts in connection.execute(query, (list(REGISTRY.aquamind),)):
        found.setdefault(table, {})[column] = (facts[0], facts[1], facts[2])
    return found


def _misfit(column: sa.Column[object], there: str, not_null: bool) -> str | None:
    fill = column.info.get("fill")
    if fill is not None and fill.meta.is_literal() and pl.select(fill).item() is None:
        return f"must not be null, and we leave it empty ({there})" if not_null else None
    ours = column.type.compile(dialect=_DIALECT).lower()
    if not _holds(there, ours):
        return f"is {there}, which does not hold our {ours}"
    if not_null and column.nullable:
        return "must not be null, and ours may be"
    return None


@cache
def _holds(there: str, ours: str) -> bool:
    """Whether every value of our type fits into theirs."""
    there, ours = _plain(there), _plain(ours)
    if there == ours:
        return True
    if there in _INTEGERS and ours in _INTEGERS:
        return _INTEGERS[there] >= _INTEGERS[ours]
    kind, sizes = _sized(there)
    our_kind, our_sizes = _sized(ours)
    if kind in ("text", "varchar") and our_kind in ("text", "varchar"):
        return not sizes or (bool(our_sizes) and sizes[0] >= our_sizes[0])
    if kind == our_kind == "numeric":
        if not sizes or not our_sizes:
            return not sizes
        return sizes[1] >= our_sizes[1] and sizes[0] - sizes[1] >= our_sizes[0] - our_sizes[1]
    return False


def _plain(kind: str) -> str:
    """One name for each type."""
    for long, short in (("character varying", "varchar"), (" without time zone", ""), ("float8", "double precision")):
        kind = kind.replace(long, short)
    return kind.replace(", ", ",")


def _sized(kind: str) -> tuple[str, list[int]]:
    match = re.fullmatch(r"(\w+)\(([\d,]+)\)", kind)
    return (match[1], [int(part) for part in match[2].split(",")]) if match else (kind, [])


def history_table(table_name: str) -> str:
    """Where django-simple-history keeps a table's past: batch_batch's is batch_historicalbatch."""
    app, _, model = table_name.partition("_")
    return f"{app}_historical{_HISTORY_NAMES.get(table_name, model)}"


_HISTORY_NAMES = {"batch_creationworkflow": "batchcreationworkflow"}
"""Models whose table has another name than they."""


def history_tables(connection: Connection) -> dict[str, str]:
    """Master tables that have a history table here."""
    wanted = {history_table(name): name for name in REGISTRY.whole}
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename = ANY(%s)"
    return {wanted[row[0]]: row[0] for row in connection.execute(query, (list(wanted),))}


def grants(role: str, database: str) -> str:
    """SQL that gives a role the least rights that a load into AquaMind's database needs. Run it as the owner."""
    names = [
        sql.Identifier("public", name) for name in (*REGISTRY.aquamind, *sorted(map(history_table, REGISTRY.whole)))
    ]
    parts = {
        "role": sql.Identifier(role),
        "database": sql.Identifier(database),
        "ours": sql.Identifier(journal.OURS),
        "owner": sql.Literal(role),
        "tables": sql.SQL("\n  ").join(
            sql.SQL("IF to_regclass({}) IS NOT NULL THEN GRANT INSERT, UPDATE, DELETE ON {} TO {}; END IF;").format(
                sql.Literal(name.as_string()), name, sql.Identifier(role)
            )
            for name in names
        ),
    }
    return (
        sql.SQL(
            "-- The role itself, unless there is one: CREATE ROLE {role} LOGIN PASSWORD '…';\n"
            "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};\n"
            "GRANT USAGE ON SCHEMA public TO {role};\n"
            "-- Reading all tells a wipe which of our rows others use.\n"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};\n"
            "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {role};\n"
            "CREATE SCHEMA IF NOT EXISTS {ours} AUTHORIZATION {role};\n"
            "DO $$ BEGIN\n  {tables}\nEND $$;\n"
        )
        .format(**parts)
        .as_string()
    )


__all__ = ["grants", "history_table", "history_tables", "integer_types", "misfits", "recognised", "require_fit"]
