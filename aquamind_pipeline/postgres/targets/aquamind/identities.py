"""Which row of AquaMind's database each of our rows is, of the tables that are kept whole.

Rows that both sides know (a species, a stage, a hall) are found by their natural key and never changed. All other rows
are made, with ids from AquaMind's own sequences. The lake's id 17 may be 4711 there, so every reference is translated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl
import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.ddl import PUBLIC
from aquamind_pipeline.postgres.targets.aquamind.id_blocks import allocate
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import primary_key, references

IDENTITY = sql.Identifier(journal.OURS, "identity")
_SCHEMA = {"lake_id": pl.Int64(), "id": pl.Int64(), "created": pl.Boolean()}

Identities = dict[str, pl.DataFrame]
"""table -> lake_id, id, created (whether we made the row)."""


def known(connection: Connection, names: Iterable[str]) -> Identities:
    """The rows of these tables that earlier loads found or made."""
    query = sql.SQL("SELECT lake_id, id, created FROM {} WHERE table_name = %s").format(IDENTITY)
    return {
        name: pl.DataFrame(connection.execute(query, (name,)).fetchall(), schema=_SCHEMA, orient="row")
        for name in names
    }


def identify(
    connection: Connection, definition: TableDefinition, rows: pl.DataFrame, parents: Identities
) -> pl.DataFrame:
    """lake_id, id, created of every row. New rows of ours get their ids here.

    Args:
        connection: The database.
        definition: A table that is kept whole.
        rows: Its rows in all columns, with the lake's ids.
        parents: The rows of the tables before it.

    Raises:
        DatabaseError: when a new row of ours has a unique key that somebody else's row has.
    """
    table = definition.table
    key = primary_key(table)[0]
    before = known(connection, [table.name])[table.name]
    new = rows.join(before, left_on=key, right_on="lake_id", how="anti").sort(key)
    if new.is_empty():
        return before
    if key in references(table):
        return pl.concat([before, _as_parents(connection, table, new, parents)])
    natural = definition.natural_key
    found = _found(connection, table, new, natural, parents) if natural else pl.DataFrame(schema=_SCHEMA)
    unmet = new.join(found, left_on=key, right_on="lake_id", how="anti")
    _require_free(connection, table, unmet)
    first = allocate(connection, table, unmet.height)
    made = unmet.select(
        lake_id=pl.col(key).cast(pl.Int64),
        id=pl.int_range(pl.len(), dtype=pl.Int64) + first,
        created=pl.lit(value=True),
    )
    identified = pl.concat([found, made])
    _remember(connection, table.name, identified)
    return pl.concat([before, identified])


def _as_parents(connection: Connection, table: sa.Table, new: pl.DataFrame, parents: Identities) -> pl.DataFrame:
    """lake_id, id, created of new rows whose key is the key of another table's row: a summary of an assignment."""
    key = primary_key(table)[0]
    parent, _ = references(table)[key]
    made = new.select(lake_id=pl.col(key).cast(pl.Int64)).join(
        parents[parent].select("lake_id", "id"), on="lake_id", how="left", maintain_order="left"
    )
    identified = made.with_columns(created=pl.lit(value=True))
    _remember(connection, table.name, identified)
    return identified


def _remember(connection: Connection, name: str, identified: pl.DataFrame) -> None:
    with connection.cursor().copy(
        sql.SQL("COPY {} (table_name, lake_id, id, created) FROM STDIN").format(IDENTITY)
    ) as copy:
        for row in identified.iter_rows():  # a few thousand, once
            copy.write_row((name, *row))


def translated(frame: pl.DataFrame, table: sa.Table, parents: Identities) -> pl.DataFrame:
    """The frame with the database's ids in every reference to a table of `parents`.

    A key is left alone, also if it is a reference: `with_ids` translates it with the table's own ids.
    """
    for column, (parent, _) in references(table).items():
        if column in frame.columns and parent in parents and column != primary_key(table)[0]:
            frame = with_ids(frame, column, parents[parent])
    return frame


def with_ids(frame: pl.DataFrame, column: str, ids: pl.DataFrame) -> pl.DataFrame:
    """The frame with the database's ids in one column.

    Args:
        frame: The rows.
        column: A column with the lake's ids.
        ids: lake_id, id. A lake_id that is not there becomes null.
    """
    real = ids.select(pl.col("lake_id").alias(column), __id=pl.col("id"))
    return (
        frame.with_columns(pl.col(column).cast(pl.Int64))
        .join(real, on=column, how="left", maintain_order="left")
        .with_columns(pl.col("__id").alias(column))
        .select(frame.columns)
    )


def _found(
    connection: Connection, table: sa.Table, rows: pl.DataFrame, natural: tuple[str, ...], parents: Identities
) -> pl.DataFrame:
    """Rows that exist already, by natural key. Of several the one with the lowest id."""
    key = primary_key(table)[0]
    ours = translated(rows, table, parents).select(pl.col(key).cast(pl.Int64).alias("lake_id"), *natural)
    query = sql.SQL("SELECT {}, {} FROM {} ORDER BY 1").format(
        sql.Identifier(key), sql.SQL(", ").join(map(sql.Identifier, natural)), sql.Identifier(PUBLIC, table.name)
    )
    schema = {"id": pl.Int64(), **{name: ours.schema[name] for name in natural}}
    theirs = pl.DataFrame(connection.execute(query).fetchall(), schema=schema, orient="row")
    theirs = theirs.unique(natural, keep="first", maintain_order=True)
    # The children of a row that we make are never found: nobody else's row has its id.
    return ours.join(theirs, on=natural, how="inner", nulls_equal=True).select(
        "lake_id", "id", created=pl.lit(value=False)
    )


def _require_free(connection: Connection, table: sa.Table, rows: pl.DataFrame) -> None:
    """Refuse rows whose unique names somebody else's rows have: batch numbers and workflow numbers above all.

    A unique reference, as of a workflow to its planned activity, leads to a row of ours, which nobody else's row names.
    """
    for constraint in table.constraints:
        if not isinstance(constraint, sa.UniqueConstraint) or len(constraint.columns) != 1:
            continue
        column = next(iter(constraint.columns)).name
        if column in references(table):
            continue
        values: list[Any] = rows[column].drop_nulls().to_list()
        query = sql.SQL("SELECT {0} FROM {1} WHERE {0} = ANY(%s) ORDER BY 1 LIMIT 3").format(
            sql.Identifier(column), sql.Identifier(PUBLIC, table.name)
        )
        taken = [str(row[0]) for row in connection.execute(query, (values,))] if values else []
        if taken:
            raise DatabaseError(
                f"{table.name}.{column} {', '.join(taken)} … are there already and are not ours: "
                "remove them, or build a farm with another epoch"
            )


__all__ = ["IDENTITY", "Identities", "identify", "known", "translated", "with_ids"]
