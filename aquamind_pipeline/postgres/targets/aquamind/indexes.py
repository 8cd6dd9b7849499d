"""Indexes and foreign keys of AquaMind's tables: taken off before a large load, and built again after it.

What is off is listed in the journal's schema. So the next load, or a wipe, builds it again after a kill or a crash.
"""

from __future__ import annotations

from psycopg import sql

from aquamind_pipeline.postgres import journal, locks
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.connection_pool import ConnectionPool
from aquamind_pipeline.postgres.ddl import PUBLIC

_SUSPENDED = sql.Identifier(journal.OURS, "suspended")


def suspend(connection: Connection, name: str, *, keep_unique: bool = False) -> None:
    """Take off the indexes and foreign keys of a table, if our role owns it. Those that others' keys need stay.

    Args:
        connection: The database.
        name: The table.
        keep_unique: Whether unique keys stay on, other than the primary key: where rows of others may have the keys of
            ours, so that the load fails and not the rebuild.
    """
    owned = connection.execute(
        "SELECT pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid "
        "AND t.tgname LIKE 'ts_insert%%') FROM pg_class c WHERE c.oid = to_regclass(%s)",
        (f"{PUBLIC}.{name}",),
    ).fetchone()
    if not owned or not owned[0]:
        return
    connection.execute(
        sql.SQL("""
            INSERT INTO {suspended} (table_name, step, name, statement)
            SELECT %(table)s, row_number() OVER (ORDER BY step), name, statement FROM (
              SELECT 1 AS step, x.relname AS name, pg_get_indexdef(i.indexrelid) AS statement
              FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
              WHERE i.indrelid = to_regclass(%(of)s)
                AND (i.indisprimary OR NOT (i.indisunique AND %(keep_unique)s))
                AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.confrelid = i.indrelid
                                AND f.conindid = i.indexrelid AND f.contype = 'f')
              UNION ALL
              SELECT 2, k.conname,
                     format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s USING INDEX %%I', k.conrelid::regclass, k.conname,
                            CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, k.conname)
              FROM pg_constraint k
              WHERE k.conrelid = to_regclass(%(of)s)
                AND (k.contype = 'p' OR (k.contype = 'u' AND NOT %(keep_unique)s))
                AND NOT EXISTS (SELECT 1 FROM pg_constraint f WHERE f.confrelid = k.conrelid
                                AND f.conindid = k.conindid AND f.contype = 'f')
              UNION ALL
              SELECT 3, k.conname, format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', k.conrelid::regclass, k.conname,
                                          pg_get_constraintdef(k.oid))
              FROM pg_constraint k WHERE k.conrelid = to_regclass(%(of)s) AND k.contype = 'f'
            ) AS every
        """).format(suspended=_SUSPENDED),
        {"table": name, "of": f"{PUBLIC}.{name}", "keep_unique": keep_unique},
    )
    target = sql.Identifier(PUBLIC, name)
    locks.lock_tables(connection, [target, *_referenced(connection, name)], "ACCESS EXCLUSIVE")
    off = connection.execute(
        sql.SQL("SELECT name, statement FROM {} WHERE table_name = %s ORDER BY step DESC").format(_SUSPENDED), (name,)
    ).fetchall()
    for one, statement in off:
        if _is_constraint(statement):
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(target, sql.Identifier(one)))
    for one, statement in off:
        if not _is_constraint(statement):
            connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(PUBLIC, one)))


def restore(pool: ConnectionPool, name: str) -> None:
    """Build what is off of a table, indexes side by side. Each statement is either done or still listed."""
    first = pool.first
    first.commit()
    query = sql.SQL("SELECT step, statement FROM {} WHERE table_name = %s ORDER BY step").format(_SUSPENDED)
    off = first.execute(query, (name,)).fetchall()
    first.commit()

    def build(connection: Connection, row: tuple[int, str]) -> None:
        with connection.transaction():
            mode = "SHARE" if not _is_constraint(row[1]) else "SHARE ROW EXCLUSIVE"
            mode = "ACCESS EXCLUSIVE" if " USING INDEX " in row[1] else mode
            locks.lock_tables(connection, [sql.Identifier(PUBLIC, name)], mode)
            connection.execute(row[1].encode())
            done = sql.SQL("DELETE FROM {} WHERE table_name = %s AND step = %s").format(_SUSPENDED)
            connection.execute(done, (name, row[0]))

    pool.spread(build, [row for row in off if not _is_constraint(row[1])])
    for row in off:
        if _is_constraint(row[1]):
            build(first, row)


def _referenced(connection: Connection, name: str) -> list[sql.Identifier]:
    """The tables that a table refers to. PostgreSQL locks them, too, when it drops or adds a foreign key."""
    query = (
        "SELECT DISTINCT n.nspname, c.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND k.conrelid = to_regclass(%s) "
        "AND k.conrelid <> k.confrelid ORDER BY 1, 2"
    )
    return [sql.Identifier(*row) for row in connection.execute(query, (f"{PUBLIC}.{name}",))]


def _is_constraint(statement: str) -> bool:
    return statement.startswith("ALTER")


__all__ = ["restore", "suspend"]
