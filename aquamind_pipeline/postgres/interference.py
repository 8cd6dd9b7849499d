"""What somebody added to a table that may change, hide or refuse the rows that we write."""

from __future__ import annotations

from collections.abc import Iterable

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


def causes(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """For each table that has any: what may be the cause when its rows are not ours, as half a sentence."""
    found: dict[str, list[str]] = {}
    for table, kind, name in connection.execute(_QUERY, {"schema": PUBLIC, "names": list(names)}):
        found.setdefault(table, []).append(_WORDS[kind].format(name))
    return {
        table: f"{table} has {' and '.join(some[:_MOST])}{' and more' if len(some) > _MOST else ''}"
        for table, some in found.items()
    }


__all__ = ["causes"]
