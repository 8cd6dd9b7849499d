"""Questions to a loaded database, about our rows only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.schema import frames as tables

_IDENTITY = sql.Identifier(journal.OURS, "identity")
_JOURNAL = sql.Identifier(journal.OURS, "load_journal")

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


def row_counts(url: SecretStr, table_names: Iterable[str]) -> dict[str, int]:
    """Rows of ours in each table, counted by the server."""
    with connect(url) as connection:
        foreign = journal.kind(connection, url) == journal.AQUAMIND
        return {name: _count(connection, name, foreign=foreign) for name in table_names}


def month_counts(url: SecretStr, table_names: Iterable[str], since: str | None = None) -> pl.DataFrame:
    """table, month, rows of ours in each month of monthly tables, counted by the server.

    Months before `since` are not counted again: of these it is what the journal says that was loaded.
    """
    found: list[tuple[str, str, int]] = []
    with connect(url) as connection:
        foreign = journal.kind(connection, url) == journal.AQUAMIND
        for name in table_names:
            key = sql.Identifier(tables.primary_key(REGISTRY[name].table)[0])
            for month, entry in sorted(journal.entries(connection, name).items()):
                if since and month < since:
                    found.append((name, month, entry.rows))
                    continue
                if foreign:
                    query = sql.SQL("SELECT count(*) FROM {} WHERE {} BETWEEN {} AND {}").format(
                        sql.Identifier("public", name), key, sql.Literal(entry.first_id), sql.Literal(entry.last_id)
                    )
                else:
                    query = sql.SQL("SELECT count(*) FROM {}").format(journal.partition(name, month))
                row = connection.execute(query).fetchone()
                assert row is not None
                found.append((name, month, int(row[0])))
    return pl.DataFrame(found, schema={"table": pl.String, "month": pl.String, "rows": pl.Int64}, orient="row")


def _count(connection: Connection, name: str, *, foreign: bool) -> int:
    key = sql.Identifier(tables.primary_key(REGISTRY[name].table)[0])
    parts = {"table": sql.Identifier("public", name), "key": key, "name": sql.Literal(name)}
    if not foreign:
        query = sql.SQL("SELECT count(*) FROM {table}").format(**parts)
    elif name in REGISTRY.whole:
        query = sql.SQL(
            "SELECT count(*) FROM {table} t JOIN {identity} i ON i.table_name = {name} AND i.id = t.{key}"
        ).format(identity=_IDENTITY, **parts)
    else:
        query = sql.SQL(
            "SELECT coalesce(sum(c), 0) FROM {journal} j, LATERAL (SELECT count(*) AS c FROM {table} t "
            "WHERE t.{key} BETWEEN j.first_id AND j.last_id) AS block WHERE j.table_name = {name}"
        ).format(journal=_JOURNAL, **parts)
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def look_at_ours(connection: Connection, url: SecretStr) -> None:
    """From here on this connection sees our rows only, under the tables' own names.

    In AquaMind's database, temporary views hide the rows of others: masters by what we found or made, events and
    states by our batches and stays.
    """
    if journal.kind(connection, url) == journal.OWN:
        return
    for name, table in ((n, REGISTRY[n].table) for n in REGISTRY.aquamind):
        if name in REGISTRY.whole:
            column, parent = tables.primary_key(table)[0], name
        else:
            column, parent = next(
                (column, parent)
                for column, (parent, _) in tables.references(table).items()
                if parent in ("batch_batch", "batch_batchcontainerassignment")
            )
        connection.execute(
            sql.SQL(
                "CREATE TEMPORARY VIEW {view} AS SELECT * FROM {table} WHERE {column} IN "
                "(SELECT i.id FROM {identity} i WHERE i.table_name = {parent})"
            ).format(
                view=sql.Identifier(name),
                table=sql.Identifier("public", name),
                column=sql.Identifier(column),
                identity=_IDENTITY,
                parent=sql.Literal(parent),
            )
        )


def frame(
    connection: Connection, query: str | sql.Composed, parameters: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """The answer to a query of a few hundred rows at most; its types are the query's, whether there are rows or not."""
    cursor = connection.execute(query.encode() if isinstance(query, str) else query, parameters)
    schema = {column.name: _TYPES.get(column.type_code) for column in cursor.description or ()}
    return pl.DataFrame(cursor.fetchall(), schema=schema, orient="row", infer_schema_length=None)


def large_frame(connection: Connection, query: sql.Composable, schema: pl.Schema) -> pl.DataFrame:
    """The answer to a query of many rows, columns named and typed by the schema; floats to the last bit."""
    copy = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
    with connection.cursor().copy(copy) as rows:
        text = b"".join(rows)
    return pl.read_csv(text, has_header=False, schema=schema) if text else schema.to_frame()


__all__ = ["frame", "large_frame", "look_at_ours", "month_counts", "row_counts"]
