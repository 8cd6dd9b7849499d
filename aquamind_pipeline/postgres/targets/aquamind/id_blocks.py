"""The ids of our rows in AquaMind's database.

The rows of a month get one block of ids in a row. So a month can be replaced or taken out by its ids, and no row of
somebody else is ever touched. The journal has each block's first and last id.
"""

from __future__ import annotations

import calendar

import polars as pl
import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import month_key
from aquamind_pipeline.postgres import journal, locks
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import primary_key

SPARE = 2
"""An unfinished month reserves twice the ids that it will need, since some days have more rows than others."""


def allocate(connection: Connection, table: sa.Table, count: int) -> int:
    """Take `count` ids in a row from the table's own sequence. Returns the first one.

    The table is locked for writers until the transaction ends, so that nobody inserts in between. Keep it short.
    """
    if count == 0:
        return 0
    key, name = sql.Identifier(primary_key(table)[0]), sql.Identifier(PUBLIC, table.name)
    locks.lock_tables(connection, [name], "SHARE ROW EXCLUSIVE")
    row = connection.execute(
        sql.SQL(
            "WITH s AS (SELECT pg_get_serial_sequence(%s, %s) AS name), "
            "f AS (SELECT greatest(nextval(s.name::regclass), (SELECT max({key}) + 1 FROM {table})) AS first FROM s) "
            "SELECT f.first, setval(s.name::regclass, f.first + %s - 1) FROM f, s"
        ).format(key=key, table=name),
        (f"{PUBLIC}.{table.name}", primary_key(table)[0], count),
    ).fetchone()
    if row is None or row[0] is None:
        raise DatabaseError(f"{table.name} has no sequence for its ids: its migrations are not AquaMind's")
    return int(row[0])


def free_after(connection: Connection, table: sa.Table, last_id: int) -> int:
    """How many ids after `last_id` are unused and already taken from the table's sequence."""
    row = connection.execute(
        sql.SQL(
            "SELECT greatest(0, least((SELECT min({key}) - 1 FROM {table} WHERE {key} > %(last)s), "
            "coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(name)s, %(key)s)::regclass), 0)) - %(last)s)"
        ).format(key=sql.Identifier(primary_key(table)[0]), table=sql.Identifier(PUBLIC, table.name)),
        {"last": last_id, "name": f"{PUBLIC}.{table.name}", "key": primary_key(table)[0]},
    ).fetchone()
    assert row is not None
    return int(row[0])


def size_of_block(lake: Lake, month: str, rows: int) -> int:
    """How many ids a month takes that has so many rows. While days are to come, it takes more: their rows follow on."""
    manifest = lake.manifest()
    if manifest is None or month_key(manifest.as_of) != month:
        return rows
    day, days = manifest.as_of.day, calendar.monthrange(manifest.as_of.year, manifest.as_of.month)[1]
    return rows if day == days else rows * days * SPARE // day


def in_order_of_ids(rows: pl.DataFrame, definition: TableDefinition) -> pl.DataFrame:
    """A month's rows in the order in which they get their ids.

    Rows of a table with children are ordered by day, and within a day as in the file. So the rows of new days follow
    the earlier ones, and `ids_of_month` knows every row's id without a stored translation. Rows of other tables keep
    the file's order.
    """
    if not REGISTRY.children(definition.name):
        return rows
    return rows.sort(pl.col(str(definition.time)).cast(pl.Date), maintain_order=True)


def ids_of_month(lake: Lake, definition: TableDefinition, month: str, entry: journal.Entry) -> pl.DataFrame:
    """lake_id, id of every row of a month of a table with children.

    Args:
        lake: The lake. Its file must be the loaded one.
        definition: The table.
        month: The month.
        entry: The journal's entry of the month.
    """
    key = primary_key(definition.table)[0]
    rows = lake.scan(definition.name, [month]).select(key, str(definition.time)).collect()
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    return in_order_of_ids(rows, definition).select(lake_id=pl.col(key).cast(pl.Int64), id=place + entry.first_id)


def block(table: sa.Table, entry: journal.Entry) -> sql.Composed:
    """Which rows of a table are in a block: the text after WHERE."""
    return sql.SQL("{} BETWEEN {} AND {}").format(sql.Identifier(primary_key(table)[0]), entry.first_id, entry.last_id)


__all__ = ["SPARE", "allocate", "block", "free_after", "ids_of_month", "in_order_of_ids", "size_of_block"]
