"""New days of a month that is loaded already. A night sends their rows only."""

from __future__ import annotations

import polars as pl
from psycopg import sql

from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.journal import Entry
from aquamind_pipeline.schema.definition import TableDefinition


def added_rows(
    connection: Connection,
    lake: Lake,
    definition: TableDefinition,
    month: str,
    loaded: Entry,
    rows: sql.Composable,
    most: int,
) -> pl.DataFrame | None:
    """The rows of the days after the last loaded one; None if the month must be loaded as a whole.

    Earlier rows are unchanged if the hash of their file equals the loaded one.

    Args:
        connection: The database.
        lake: The lake.
        definition: A table that is kept by month.
        month: The month.
        loaded: The journal's entry of the month.
        rows: The month's rows in the database: the text after FROM.
        most: The highest number of rows to add. A month with more new rows is loaded as a whole.
    """
    if not loaded.digest or not 0 < lake.rows(definition.name, month) - loaded.rows <= most:
        return None
    time = str(definition.time)
    query = sql.SQL("SELECT max({})::date, count(*) FROM {}").format(sql.Identifier(time), rows)
    answer = connection.execute(query).fetchone()
    if answer is None or answer[0] is None or answer[1] != loaded.rows:  # somebody deleted rows: load all of them again
        return None
    frame, is_new = lake.read(definition.name, month), pl.col(time).cast(pl.Date) > answer[0]
    return frame.filter(is_new) if lake.digest_of(frame.filter(~is_new)) == loaded.digest else None


__all__ = ["added_rows"]
