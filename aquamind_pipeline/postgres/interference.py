"""What somebody added to a table that may change, hide or refuse the rows that we write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import psycopg
from psycopg import sql

from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.ddl import PUBLIC

_QUERY = sql.SQL("""
    WITH known AS (
      SELECT c.oid AS root, c.oid, c.relname FROM pg_catalog.pg_class c
      WHERE c.relnamespace = pg_catalog.to_regnamespace(%(schema)s) AND c.relname = ANY(%(names)s)
    ), every AS (
      SELECT relname, oid FROM known
      UNION ALL SELECT k.relname, i.inhrelid FROM known k JOIN pg_catalog.pg_inherits i ON i.inhparent = k.oid
    )
    SELECT DISTINCT relname, kind, name FROM (
      SELECT e.relname, 1 AS kind, t.tgname AS name FROM every e JOIN pg_catalog.pg_trigger t ON t.tgrelid = e.oid
      WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A')
      UNION ALL
      SELECT e.relname, 2, r.rulename FROM every e JOIN pg_catalog.pg_rewrite r ON r.ev_class = e.oid
      WHERE r.rulename <> '_RETURN' AND r.ev_enabled IN ('O', 'A')
      UNION ALL
      SELECT e.relname, 3, '' FROM every e WHERE pg_catalog.row_security_active(e.oid)
      UNION ALL
      SELECT e.relname, 4, a.attname FROM every e JOIN pg_catalog.pg_attribute a ON a.attrelid = e.oid
      WHERE a.attgenerated <> '' AND NOT a.attisdropped
    ) AS found ORDER BY relname, kind, name
""")
_WORDS = {
    1: "the trigger {}, which may change rows",
    2: "the rule {}, which may change rows",
    3: "row security, which may hide or refuse rows",
    4: "the generated column {}",
}
_MOST = 3
_TRIGGERS = sql.SQL("""
    SELECT t.tgrelid::regclass::text, t.tgname, p.proname, pg_catalog.format('%%I.%%I()', n.nspname, p.proname),
      EXISTS (SELECT FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid
        WHERE c.relnamespace = pg_catalog.to_regnamespace(%(schema)s) AND c.relname = ANY(%(names)s)
        AND t.tgrelid IN (c.oid, i.inhrelid)) AS is_on_table
    FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A') ORDER BY is_on_table DESC, 1, 2
""")
_UNKNOWN_NAME = ("42P01", "42883", "42704", "42P02", "3F000", "42703")
"""SQLSTATEs of a name that is not found: of a table, function, type, parameter, schema or column."""
_RAISE = "exec_stmt_raise"
"""Where PL/pgSQL raises an error by RAISE."""
_NOT_OF_ROWS = ("08", "40", "53", "55P03", "57")
"""SQLSTATEs that tell of the server, connections, locks and conflicts with others, and not of what we wrote."""


def causes(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """For each table that has any: what may be the cause when its rows are not ours, as half a sentence."""
    found: dict[str, list[str]] = {}
    for table, kind, name in connection.execute(_QUERY, {"schema": PUBLIC, "names": list(names)}):
        found.setdefault(table, []).append(_WORDS[kind].format(name))
    return {
        table: f"{table} has {' and '.join(some[:_MOST])}{' and more' if len(some) > _MOST else ''}"
        for table, some in found.items()
    }


def is_about_rows(error: psycopg.Error) -> bool:
    """Whether an error tells that something refuses what we write, with whatever SQLSTATE somebody has chosen."""
    if error.diag.source_function == _RAISE:
        return True
    return error.sqlstate is not None and not error.sqlstate.startswith(_NOT_OF_ROWS)


def blame(connection: Connection, names: Collection[str], error: psycopg.Error) -> str:
    """Which triggers refuse what we write, and what to do about it. Empty if none does.

    Args:
        connection: Another connection than the one that failed.
        names: The tables that may have such triggers.
        error: What the statement failed with. Its context names the functions that ran.
    """
    found = connection.execute(_TRIGGERS, {"schema": PUBLIC, "names": list(names)}).fetchall()
    context = error.diag.context or ""
    # A trigger may write to another table with triggers. Those of the table itself come first.
    ran = [row for row in found if re.search(rf"(?<!\w){re.escape(row[2])}(?!\w)", context)]
    guilty = [row for row in ran if row[4]] or ran or [row for row in found if row[4] and len(names) == 1]
    if not guilty:
        return ""
    shown = [f"{table} has the trigger {name} (function {function})" for table, name, _, function, _ in guilty[:_MOST]]
    table, name, _, function, _ = guilty[0]
    if error.sqlstate in _UNKNOWN_NAME and error.diag.source_function != _RAISE:
        row = connection.execute("SELECT reset_val FROM pg_settings WHERE name = 'search_path'").fetchone()
        path = row[0] if row else PUBLIC
        remedy = (
            "it looks for names in the schemas of a session's search_path, and ours has public alone: run "
            f"ALTER FUNCTION {function} SET search_path = {path}"
        )
    else:
        trigger = sql.Identifier(name).as_string()
        remedy = f"let it accept our rows, or run ALTER TABLE {table} DISABLE TRIGGER {trigger} until we are done"
    return f"{' and '.join(shown)}{' and more' if len(guilty) > _MOST else ''}; {remedy}"


__all__ = ["blame", "causes", "is_about_rows"]
