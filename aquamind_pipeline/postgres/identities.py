"""Which row of AquaMind's database each of our master rows is.

Rows that both sides know (a species, a stage, a hall) are found by their natural key and never changed; the others are
made, under ids that AquaMind's own sequences give out. What the lake calls 17 may be 4711 there, so every reference is
translated.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.schema import frames as tables

_IDENTITY = sql.Identifier(journal.OURS, "identity")
_SCHEMA = {"lake_id": pl.Int64(), "id": pl.Int64(), "created": pl.Boolean()}

Identities = dict[str, pl.DataFrame]
"""table -> lake_id, id, created."""


def known(connection: Connection, table_name: str) -> pl.DataFrame:
    """lake_id, id, created of the rows of a table that an earlier load found or made."""
    query = sql.SQL("SELECT lake_id, id, created FROM {} WHERE table_name = %s").format(_IDENTITY)
    return pl.DataFrame(connection.execute(query, (table_name,)).fetchall(), schema=_SCHEMA, orient="row")


def all_known(connection: Connection) -> Identities:
    """Those of every master table."""
    return {name: known(connection, name) for name in REGISTRY.whole}


def identify(connection: Connection, table: sa.Table, rows: pl.DataFrame, parents: Identities) -> pl.DataFrame:
    """lake_id, id, created for every row (all columns, the lake's ids), known, found or newly numbered.

    Raises:
        DatabaseError: when a row of ours cannot be made because somebody else's has the same unique key.
    """
    key = tables.primary_key(table)[0]
    before = known(connection, table.name)
    new = rows.join(before, left_on=key, right_on="lake_id", how="anti").sort(key)
    if new.is_empty():
        return before
    natural = REGISTRY[table.name].natural_key
    found = _found(connection, table, new, natural, parents) if natural else pl.DataFrame(schema=_SCHEMA)
    unmet = new.join(found, left_on=key, right_on="lake_id", how="anti")
    _require_free(connection, table, unmet)
    first = allocate(connection, table, unmet.height)
    made = unmet.select(
        lake_id=pl.col(key).cast(pl.Int64),
        id=pl.int_range(pl.len(), dtype=pl.Int64) + first,
        created=pl.lit(value=True),
    )
    every = pl.concat([found, made])
    with connection.cursor().copy(
        sql.SQL("COPY {} (table_name, lake_id, id, created) FROM STDIN").format(_IDENTITY)
    ) as copy:
        for row in every.iter_rows():  # a few thousand, once
            copy.write_row((table.name, *row))
    return pl.concat([before, every])


def translated(frame: pl.DataFrame, table: sa.Table, parents: Identities) -> pl.DataFrame:
    """The frame with every reference to a master table in the database's ids."""
    for column, (parent, _) in tables.references(table).items():
        if column not in frame.columns or parent not in parents:
            continue
        ids = parents[parent].select(pl.col("lake_id").alias(column), __id=pl.col("id"))
        order = frame.columns
        frame = (
            frame.with_columns(pl.col(column).cast(pl.Int64))
            .join(ids, on=column, how="left", maintain_order="left")
            .with_columns(pl.col("__id").alias(column))
            .select(order)
        )
    return frame


def allocate(connection: Connection, table: sa.Table, count: int) -> int:
    """The first of `count` ids in a row that nobody else gets, from the table's own sequence.

    Nobody inserts in between: the table is locked for writers until the transaction ends, so keep it short.
    """
    if count == 0:
        return 0
    key, name = sql.Identifier(tables.primary_key(table)[0]), sql.Identifier("public", table.name)
    connection.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(name))
    row = connection.execute(
        sql.SQL(
            "WITH s AS (SELECT pg_get_serial_sequence(%s, %s) AS name), "
            "f AS (SELECT greatest(nextval(s.name::regclass), (SELECT max({key}) + 1 FROM {table})) AS first FROM s) "
            "SELECT f.first, setval(s.name::regclass, f.first + %s - 1) FROM f, s"
        ).format(key=key, table=name),
        (f"public.{table.name}", tables.primary_key(table)[0], count),
    ).fetchone()
    if row is None or row[0] is None:
        raise DatabaseError(f"{table.name} has no sequence for its ids: its migrations are not AquaMind's")
    return int(row[0])


def free_after(connection: Connection, table: sa.Table, last_id: int) -> int:
    """How many ids after one are nobody's, and will not be given by the table's sequence any more."""
    row = connection.execute(
        sql.SQL(
            "SELECT greatest(0, least((SELECT min({key}) - 1 FROM {table} WHERE {key} > %(last)s), "
            "coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(name)s, %(key)s)::regclass), 0)) - %(last)s)"
        ).format(key=sql.Identifier(tables.primary_key(table)[0]), table=sql.Identifier("public", table.name)),
        {"last": last_id, "name": f"public.{table.name}", "key": tables.primary_key(table)[0]},
    ).fetchone()
    assert row is not None
    return int(row[0])


def _found(
    connection: Connection, table: sa.Table, rows: pl.DataFrame, natural: tuple[str, ...], parents: Identities
) -> pl.DataFrame:
    """Rows that exist already, by natural key; of several the one with the lowest id."""
    key = tables.primary_key(table)[0]
    ours = translated(rows, table, parents).select(pl.col(key).cast(pl.Int64).alias("lake_id"), *natural)
    query = sql.SQL("SELECT {}, {} FROM {} ORDER BY 1").format(
        sql.Identifier(key), sql.SQL(", ").join(map(sql.Identifier, natural)), sql.Identifier("public", table.name)
    )
    schema = {"id": pl.Int64(), **{name: ours.schema[name] for name in natural}}
    theirs = pl.DataFrame(connection.execute(query).fetchall(), schema=schema, orient="row")
    theirs = theirs.unique(natural, keep="first", maintain_order=True)
    # A parent that we make is not theirs, so its children cannot be either.
    return ours.join(theirs, on=natural, how="inner", nulls_equal=True).select(
        "lake_id", "id", created=pl.lit(value=False)
    )


def _require_free(connection: Connection, table: sa.Table, rows: pl.DataFrame) -> None:
    """Unique names of ours must not be somebody else's: batch numbers and workflow numbers above all."""
    for constraint in table.constraints:
        if not isinstance(constraint, sa.UniqueConstraint) or len(constraint.columns) != 1:
            continue
        column = next(iter(constraint.columns)).name
        values: list[Any] = rows[column].drop_nulls().to_list()
        query = sql.SQL("SELECT {0} FROM {1} WHERE {0} = ANY(%s) ORDER BY 1 LIMIT 3").format(
            sql.Identifier(column), sql.Identifier("public", table.name)
        )
        taken = [str(row[0]) for row in connection.execute(query, (values,))] if values else []
        if taken:
            raise DatabaseError(
                f"{table.name}.{column} {', '.join(taken)} … are there already and are not ours: "
                "remove them, or build a farm with another epoch"
            )


__all__ = ["Identities", "all_known", "allocate", "free_after", "identify", "known", "translated"]
