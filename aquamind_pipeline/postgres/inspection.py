"""Questions to a loaded database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.postgres.connection import Connection, connect


def row_counts(url: SecretStr, table_names: Iterable[str]) -> dict[str, int]:
    """Rows of each table, counted by the server."""
    with connect(url) as connection:
        return {
            name: int(_one(connection, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))))
            for name in table_names
        }


def frame(connection: Connection, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """The answer to a query of a few hundred rows at most."""
    cursor = connection.execute(query.encode(), parameters)
    names = [column.name for column in cursor.description or ()]
    return pl.DataFrame(cursor.fetchall(), schema=names, orient="row", infer_schema_length=None)


def _one(connection: Connection, query: sql.Composed) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


__all__ = ["frame", "row_counts"]
