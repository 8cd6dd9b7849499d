"""What new days add to a month that is loaded already, so that a night's load is new rows only."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.journal import Entry


def added_rows(
    connection: Connection, lake: Lake, table: sa.Table, month: str, loaded: Entry, rows: sql.Composable, most: int
) -> pl.DataFrame | None:
    """A month's rows of the days after the last one that is loaded; None where earlier ones are not those loaded.

    They are when a file of them alone would be, to the byte, the file that was loaded.

    Args:
        connection: The database.
        lake: The lake.
        table: A monthly table.
        month: The month.
        loaded: What the journal says of it.
        rows: The month's rows in the database, as what follows FROM.
        most: How many rows may be added; None where there are more.
    """
    if not loaded.digest or not 0 < lake.rows(table.name, month) - loaded.rows <= most:
        return None
    column = str(REGISTRY[table.name].time)
    asked = sql.SQL("SELECT max({})::date, count(*) FROM {}").format(sql.Identifier(column), rows)
    found = connection.execute(asked).fetchone()
    if found is None or found[0] is None or found[1] != loaded.rows:  # where somebody deleted rows, all come again
        return None
    every, new = lake.read(table.name, month), pl.col(column).cast(pl.Date) > found[0]
    return every.filter(new) if lake.digest_of(every.filter(~new)) == loaded.digest else None


__all__ = ["added_rows"]
