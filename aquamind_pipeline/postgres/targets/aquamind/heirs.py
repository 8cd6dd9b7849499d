"""Tables of others that inherit from AquaMind's, such as an archive. A statement about a table meets their rows.

TimescaleDB keeps the rows of a hypertable in tables that inherit from it. These are the table's own rows.
"""

from __future__ import annotations

from psycopg import sql

from aquamind_pipeline.postgres.connection import Connection

_IS_PLAIN = """
    SELECT c.relkind = 'r' AND NOT EXISTS (
      SELECT FROM pg_inherits i JOIN pg_class h ON h.oid = i.inhrelid
      WHERE i.inhparent = c.oid AND h.relnamespace = to_regnamespace('_timescaledb_internal'))
    FROM pg_class c WHERE c.oid = to_regclass(%s)
"""


def without_heirs(connection: Connection, table: sql.Identifier) -> sql.Composable:
    """The table as a statement names it, so that it meets the table's own rows only."""
    row = connection.execute(_IS_PLAIN, (table.as_string(),)).fetchone()
    return sql.SQL("ONLY {}").format(table) if row and row[0] else table


__all__ = ["without_heirs"]
