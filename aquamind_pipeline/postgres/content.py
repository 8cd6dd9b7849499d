"""Where the rows of one table or month differ between lake and database, column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import sqlalchemy as sa
from psycopg import sql

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres import column_sums
from aquamind_pipeline.postgres.column_sums import Both, Texts
from aquamind_pipeline.postgres.connection import Connection

ROWS = "(rows)"
"""Stands for a column where whole rows differ."""
_COUNT: Both = (sql.SQL("count(*)"), pl.len())
_SAME = "the same values"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_TEXTS = 10_000
_SHOWN_TEXT = 40

Difference = tuple[str, str, str]
"""column, the lake's values in words, the database's."""


@dataclass(frozen=True)
class Part:
    """Where one table or month of ours is in the database, and the rows that it must have.

    Attributes:
        source: The relation to ask: the text after FROM.
        where: Which of its rows are ours: the text after WHERE.
        rows: The lake's rows in the database's columns, with the references that the database gives them.
        columns: The columns to compare: all but ids that the database gives.
    """

    source: sql.Composable
    where: sql.Composable
    rows: pl.LazyFrame
    columns: tuple[str, ...]


def differing(connection: Connection, name: str, part: Part) -> list[Difference]:
    """Columns of one table or month that differ."""
    columns = [REGISTRY.table(name).columns[column] for column in part.columns]
    texts = column_sums.texts_of(connection, columns, part.rows)
    time = REGISTRY[name].time
    totals = [column_sums.total(column, texts) for column in columns]
    counts = [column_sums.values(column) for column in columns]
    filled = [count for column, count in zip(columns, counts, strict=True) if "fill" in column.info]
    mix = column_sums.mixed(columns, time, texts)
    try:
        with connection.transaction():
            ours, theirs = _both(connection, part, [_COUNT, *totals, *filled, mix])
            if ours == theirs:
                return []
            found = _of_sums(columns, *_both(connection, part, [_COUNT, *totals, *counts]))
            if not found:
                found = _of_places(connection, part, columns, time, texts)
            found = [_with_texts(connection, part, texts, one) for one in found]
    except psycopg.DataError as error:  # such as an infinite time, or a text that is not valid in its encoding
        found = [(ROWS, "can be read", f"cannot be read: {error.diag.message_primary or error}")]
    return found


def _both(connection: Connection, part: Part, questions: Sequence[Both]) -> tuple[list[Decimal], list[Decimal]]:
    """The lake's and the database's answers."""
    asked = sql.SQL(", ").join(theirs for theirs, _ in questions)
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(asked, part.source, part.where)
    answer = connection.execute(query).fetchone()
    assert answer is not None
    ours = part.rows.select(mine.alias(str(i)) for i, (_, mine) in enumerate(questions)).collect().row(0)
    return list(map(_plain, ours)), list(map(_plain, answer))


def _of_sums(columns: Sequence[sa.Column[Any]], ours: Sequence[Decimal], theirs: Sequence[Decimal]) -> list[Difference]:
    """Columns with another number of values, or another sum. Where rows lack, the columns say nothing more."""
    if ours[0] != theirs[0]:
        return [(ROWS, f"{ours[0]:f}", f"{theirs[0]:f}")]
    found, counts = [], len(columns)
    for i, column in enumerate(columns, 1):
        added, their_sum, count, their_count = ours[i], theirs[i], ours[i + counts], theirs[i + counts]
        if count != their_count:
            found.append((column.name, f"{count:f} values", f"{their_count:f} values"))
        elif added != their_sum:
            found.append((column.name, _shown(column, count, added), _shown(column, count, their_sum)))
    return found


def _of_places(
    connection: Connection,
    part: Part,
    columns: Sequence[sa.Column[Any]],
    time: str | None,
    texts: Mapping[str, Texts],
) -> list[Difference]:
    """Columns that have the lake's values in other rows than the lake."""
    columns = column_sums.stored(columns)
    each = [column_sums.mixed(columns, time, texts, column.name) for column in columns]
    ours, theirs = _both(connection, part, each)
    moved = [column.name for column, mine, other in zip(columns, ours, theirs, strict=True) if mine != other]
    # Where keys changed places, everything else seems to have.
    names = [ROWS] if len(moved) in (0, len(columns)) else moved
    return [(name, _SAME, "in other rows") for name in names]


def _with_texts(
    connection: Connection,
    part: Part,
    texts: Mapping[str, Texts],
    found: Difference,
) -> Difference:
    """A difference of a text column with a text that only one side has, or has more often."""
    name = found[0]
    if name not in texts or found[1] == _SAME:
        return found
    query = sql.SQL('SELECT {0}::text COLLATE "C", count(*) FROM {1} WHERE {2} GROUP BY 1').format(
        sql.Identifier(name), part.source, part.where
    )
    limited = sql.SQL("{} LIMIT {}").format(query, sql.Literal(_MOST_TEXTS))
    theirs = Counter({row[0]: int(row[1]) for row in connection.execute(limited)})
    if len(theirs) == _MOST_TEXTS:
        return found
    counted = part.rows.group_by(name).len().collect()
    ours = Counter({texts[name].written.get(text, text): rows for text, rows in counted.iter_rows()})
    return (name, _most_common(ours - theirs), _most_common(theirs - ours))


def _most_common(texts: Counter[str | None]) -> str:
    ((text, count),) = texts.most_common(1) or [("", 0)]
    return f"{count:,} × {'null' if text is None else repr(_abridged(text))}" if count else "fewer"


def _abridged(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"


def _shown(column: sa.Column[Any], count: Decimal, added: Decimal) -> str:
    """A sum for people: of times the mean, of texts only that they are others."""
    mean = float(added / count) if count else 0.0
    match column.type:
        case sa.Date():
            return f"mean {_EPOCH + timedelta(days=mean):%Y-%m-%d %H:%M}"
        case sa.DateTime() | sa.Time():
            form = "%H:%M:%S.%f" if isinstance(column.type, sa.Time) else "%Y-%m-%d %H:%M:%S.%f"
            return f"sum {added:f} µs, mean {(_EPOCH + timedelta(microseconds=mean)).strftime(form)}"
        case _ if column_sums.is_text(column):
            return f"texts with the sum of hashes {added:f}"
        case _:
            return f"sum {added:f}"


def _plain(value: object) -> Decimal:
    """A number without trailing zeros. The sum of no values is 0 in Polars and null in SQL."""
    return Decimal(0) if value is None else Decimal(str(value)).normalize()


__all__ = ["ROWS", "Difference", "Part", "differing"]
