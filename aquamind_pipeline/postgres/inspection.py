"""Answers to queries as frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from aquamind_pipeline.postgres.connection import Connection

_TYPES = {
    psycopg.adapters.types[name].oid: dtype
    for name, dtype in {
        "bool": pl.Boolean,
        "int4": pl.Int64,
        "int8": pl.Int64,
        "float8": pl.Float64,
        "date": pl.Date,
        "text": pl.String,
        "varchar": pl.String,
    }.items()
}


def frame(
    connection: Connection, query: str | sql.Composed, parameters: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """The answer to a query of at most a few hundred rows. The query decides the types, also of an empty answer."""
    cursor = connection.execute(query.encode() if isinstance(query, str) else query, parameters)
    schema = {column.name: _TYPES.get(column.type_code) for column in cursor.description or ()}
    return pl.DataFrame(cursor.fetchall(), schema=schema, orient="row", infer_schema_length=None)


def large_frame(connection: Connection, query: sql.Composable, schema: pl.Schema) -> pl.DataFrame:
    """The answer to a query of many rows. The schema names and types its columns; floats are exact to the last bit."""
    copy = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
    with connection.cursor().copy(copy) as rows:
        text = b"".join(rows)
    return pl.read_csv(text, has_header=False, schema=schema) if text else schema.to_frame()


__all__ = ["frame", "large_frame"]
