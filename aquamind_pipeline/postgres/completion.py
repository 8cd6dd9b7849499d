"""What a database of our own may lack because an older version loaded it: comments, and indexes for lookups."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres import ddl, journal, locks
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.schema.meanings import meanings

_UNCOMMENTED = """
    SELECT n.nspname, c.relname, coalesce(a.attname, '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT 0 AS attnum, NULL AS attname UNION ALL
      SELECT attnum, attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a
    WHERE c.relkind IN ('r', 'p') AND (n.nspname, c.relname) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
      AND NOT EXISTS (SELECT FROM pg_description d
        WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = a.attnum)
    ORDER BY 1, 2, a.attnum
"""
_ASCII = str.maketrans({"²": "2", "³": "3", "°": "deg ", "×": "x", "−": "-", "’": "'", "…": "...", "µ": "u", "≥": ">="})
_LACKING = """
    SELECT n.nspname, c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE h.inhparent = to_regclass(%s) AND n.nspname = %s AND NOT EXISTS (SELECT FROM pg_index i
      JOIN pg_inherits x ON x.inhrelid = i.indexrelid WHERE i.indrelid = c.oid AND x.inhparent = to_regclass(%s))
    ORDER BY 2
"""


def complete_tables(connection: Connection) -> None:
    """Add the comments and indexes that are missing, each in a transaction of its own. Comments of others stay.

    Raises:
        DatabaseLockedError: when somebody was in the way for too long. The message names who.
    """
    with connection.transaction():
        _comment(connection)
    for name in REGISTRY.aquamind:
        for index in ddl.lookups(REGISTRY.table(name)):
            _build(connection, REGISTRY.table(name), index)


def _comment(connection: Connection) -> None:
    told = dict(_comments())
    if connection.info.parameter_status("server_encoding") != "UTF8":
        told = {key: as_ascii(text) for key, text in told.items()}
    tables = sorted({(schema, table) for schema, table, _ in told})
    schemas, names = zip(*tables, strict=True)
    found = connection.execute(_UNCOMMENTED.encode(), (list(schemas), list(names))).fetchall()
    missing = [key for row in found if (key := (str(row[0]), str(row[1]), str(row[2]))) in told]
    if not missing:
        return
    locked = sorted({(schema, table) for schema, table, _ in missing})
    locks.lock_tables(connection, [sql.Identifier(*one) for one in locked], "SHARE UPDATE EXCLUSIVE")
    statements = [
        sql.SQL("COMMENT ON COLUMN {} IS {}").format(sql.Identifier(*key), sql.Literal(told[key]))
        if key[2]
        else sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(*key[:2]), sql.Literal(told[key]))
        for key in missing
    ]
    connection.execute(sql.SQL("; ").join(statements))  # at once, since there are hundreds


def as_ascii(text: str) -> str:
    """A comment without the signs that a database's encoding may lack, such as m3 for m³."""
    return text.translate(_ASCII)


def _comments() -> Iterator[tuple[tuple[str, str, str], str]]:
    """Schema, table and column (empty for the table itself), and the comment."""
    for name in REGISTRY.aquamind:
        yield (ddl.PUBLIC, name, ""), REGISTRY[name].meaning
        yield from (((ddl.PUBLIC, name, column), text) for column, text in meanings(REGISTRY.table(name)).items())
    for name, texts in journal.MEANINGS.items():
        yield from (((journal.OURS, name, column), text) for column, text in texts.items())


def _build(connection: Connection, table: sa.Table, index: sa.Index) -> None:
    """Build an index where it is missing, one partition at a time, so that writers of the others go on."""
    parent, name = sql.Identifier(ddl.PUBLIC, table.name), ddl.index_name(index)
    whole = sql.Identifier(ddl.PUBLIC, name)
    row = connection.execute("SELECT to_regclass(%s) IS NULL", (whole.as_string(),)).fetchone()
    connection.commit()
    if row and row[0]:
        with connection.transaction():
            locks.lock_tables(connection, [parent], "SHARE")
            on = sql.SQL("ONLY {}").format(parent) if REGISTRY[table.name].is_monthly else parent
            connection.execute(ddl.create_index(index, sql.Identifier(name), on))
    lacking = connection.execute(_LACKING.encode(), (parent.as_string(), journal.OURS, whole.as_string())).fetchall()
    connection.commit()
    for schema, partition in lacking:
        place = sql.Identifier(schema, partition)
        with connection.transaction():
            locks.lock_tables(connection, [place], "SHARE")
            number = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
            assert number is not None
            part = f"{partition}_{number[0]}_l"
            connection.execute(ddl.create_index(index, sql.Identifier(part), place))
            connection.execute(
                sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(whole, sql.Identifier(schema, part))
            )


__all__ = ["as_ascii", "complete_tables"]
