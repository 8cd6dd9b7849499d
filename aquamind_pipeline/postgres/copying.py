"""Binary COPY from Arrow: a frame goes to the server in PostgreSQL's own format. No value becomes a Python object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pgpq
import pgpq.encoders
import pgpq.schema
import polars as pl
import pyarrow as pa
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.schema.frames import complete

_BATCH_ROWS = 32_768


@dataclass(frozen=True)
class Loaded:
    """One loaded table or month.

    Attributes:
        table: The table.
        partition: The month; None for a table that is kept whole.
        rows: How many rows the database has of it.
        sent: How many of them this load sent.
        seconds: How long the load took; 0 if everything was there already.
    """

    table: str
    partition: str | None
    rows: int
    sent: int
    seconds: float

    @property
    def skipped(self) -> bool:
        """Whether everything was there already."""
        return not self.seconds


@cache
def constants(table_name: str) -> dict[str, Any]:
    """Columns that have the same value in every row that we load, and that value.

    Column defaults write them faster than COPY reads them.
    """
    fills = {c.name: c.info["fill"] for c in REGISTRY.table(table_name).columns if "fill" in c.info}
    return {name: pl.select(fill).item() for name, fill in fills.items() if fill.meta.is_literal()}


def copy_rows(
    connection: Connection,
    table: sa.Table,
    target: sql.Identifier,
    rows: pl.LazyFrame,
    *,
    skip: tuple[str, ...] = (),
    freeze: bool = False,
) -> int:
    """COPY the lake's rows of a table into `target`. Returns how many rows the server counted.

    Args:
        connection: A connection. The rows go into its transaction.
        table: The table as the registry defines it.
        target: Where the rows go: the table itself, a partition of it, or a temporary table like it.
        rows: The rows in the lake's columns.
        skip: Columns that the target's defaults fill.
        freeze: Write the rows as already frozen. The target must be made or truncated in the same transaction.
    """
    return copy_frame(connection, table, target, complete(rows, table).drop(*skip).collect(), freeze=freeze)


def copy_frame(
    connection: Connection, table: sa.Table, target: sql.Identifier, frame: pl.DataFrame, *, freeze: bool = False
) -> int:
    """COPY a frame in the database's columns. Returns how many rows the server counted.

    Raises:
        DatabaseError: when the server did not count as many rows as were sent.
    """
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    arrow = arrow.cast(pa.schema([_microseconds(field) for field in arrow.schema]))
    encoders = {field.name: _encoder(field, table.columns[field.name]) for field in arrow.schema}
    encoder = pgpq.ArrowToPostgresBinaryEncoder.new_with_encoders(arrow.schema, encoders)
    statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT BINARY{})").format(
        target, sql.SQL(", ").join(map(sql.Identifier, frame.columns)), sql.SQL(", FREEZE" if freeze else "")
    )
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for batch in arrow.to_batches(max_chunksize=_BATCH_ROWS):
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())
        counted = cursor.rowcount
    if counted != frame.height:
        raise DatabaseError(
            f"{table.name}: {frame.height} rows were sent, the server counted {counted}: look for a trigger of this "
            "table that drops rows"
        )
    return counted


def _microseconds(field: pa.Field[Any]) -> pa.Field[Any]:
    """A field in microseconds: Polars' Time has nanoseconds, PostgreSQL's has not."""
    return field.with_type(pa.time64("us")) if pa.types.is_time64(field.type) else field


def _encoder(field: pa.Field[Any], column: sa.Column[Any]) -> Any:
    if isinstance(column.type, JSONB):
        return pgpq.encoders.LargeStringEncoderBuilder.new_with_output(field, pgpq.schema.Jsonb())
    return pgpq.ArrowToPostgresBinaryEncoder.infer_encoder(field)


__all__ = ["Loaded", "constants", "copy_frame", "copy_rows"]
