"""What a column adds up to, asked of the server and of a frame in the same way.

Every value stands for a number: a text for the first 48 bits of the SHA-256 of its UTF-8 bytes, a time for its
microseconds. Equal columns have equal sums, so rows need not leave the server.

The sum of a column does not see values that changed places between rows, nor a null in the place of a zero. `mixed`
does: it multiplies a number of all columns of a row by a weight of the row. The weight follows from the row's id, or
from all columns where the database gives the ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import count
from typing import Any

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.copying import constants

_MICRO = 1_000_000
_HASH_BYTES = 6
_FEW = 16
_WEIGHT_MASK = (1 << 13) - 1
_TEXT_MASK = (1 << 34) - 1
"""Bits of a text in the mixed number, which so stays under 2^63."""
_NULL = 1_000_003

Both = tuple[sql.Composable, pl.Expr]
"""The same question to the server and to a frame."""


@dataclass(frozen=True)
class Texts:
    """The different texts of a column in the lake.

    Attributes:
        written: Text as the lake has it -> text as the server writes it.
        is_few: Whether the server compares with these texts first, which is faster than hashing the text of each row.
    """

    written: Mapping[str, str]
    is_few: bool

    @cached_property
    def numbers(self) -> list[int]:
        """The number of each text, as the server writes it."""
        return [number(text) for text in self.written.values()]


def texts_of(connection: Connection, columns: Sequence[sa.Column[Any]], rows: pl.LazyFrame) -> dict[str, Texts]:
    """The texts of the columns that hold text or JSON.

    The server writes JSON in its own way: it sorts keys and numbers lose their exponents. So it is asked how it writes
    the lake's JSON.
    """
    named = {column.name: column for column in columns if is_text(column)}
    if not named:
        return {}
    same = {name: value for name, value in constants(columns[0].table.name).items() if name in named}
    others = [pl.col(name).drop_nulls().unique().implode() for name in named if name not in same]
    found = rows.select(others).collect() if others else pl.DataFrame()
    is_utf8 = connection.info.parameter_status("server_encoding") == "UTF8"
    texts = {}
    for name, column in named.items():
        values = ([] if same[name] is None else [str(same[name])]) if name in same else found[name].item().to_list()
        written = dict(zip(values, values, strict=True))
        if isinstance(column.type, JSONB) and values:
            asked = connection.execute("SELECT v, v::jsonb::text FROM unnest(%s::text[]) AS v", (values,))
            written = {str(row[0]): str(row[1]) for row in asked}
        # In another encoding the server might not know our characters.
        texts[name] = Texts(written, is_utf8 and 0 < len(values) <= _FEW)
    return texts


def number(text: str) -> int:
    """The number that stands for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:_HASH_BYTES])


def is_text(column: sa.Column[Any]) -> bool:
    """Whether a column holds text or JSON."""
    return isinstance(column.type, sa.String | JSONB)


def total(column: sa.Column[Any], texts: Mapping[str, Texts]) -> Both:
    """What the values of a column add up to."""
    theirs, ours = _exact(column, texts)
    if isinstance(column.type, sa.Numeric) and not isinstance(column.type, sa.Double):
        added = ours.sum()
    else:
        added = ours.cast(pl.Int128).sum()
    return sql.SQL("sum({})").format(theirs), added


def values(column: sa.Column[Any]) -> Both:
    """How many values a column has that are not null."""
    return sql.SQL("count({})").format(sql.Identifier(column.name)), pl.col(column.name).count()


def stored(columns: Sequence[sa.Column[Any]]) -> list[sa.Column[Any]]:
    """The columns that are not filled. Filled ones say nothing about which row is which."""
    return [column for column in columns if "fill" not in column.info]


def mixed(
    columns: Sequence[sa.Column[Any]], time: str | None, texts: Mapping[str, Texts], only: str | None = None
) -> Both:
    """One sum over all columns, which other values in a row change, and the same values in other rows.

    Args:
        columns: The columns that are compared.
        time: The column by which the rows are kept by month.
        texts: The texts of the lake.
        only: Mix this column alone, to find which one changed.
    """
    columns = stored(columns)
    keys = [column for column in columns if column.primary_key and column.name != time]
    if not keys and only is None:
        keys = columns
    elif not keys:  # not the column itself, whose values would be in other rows, too
        keys = [column for column in columns if isinstance(column.type, sa.Integer) or column.name == time]
    weight = _combined([_part(column, texts) for column in keys])
    values = _combined([_part(column, texts) for column in columns if only in (None, column.name)])
    mask = sql.Literal(_WEIGHT_MASK)
    theirs = sql.SQL("sum(({}) * ((({}) & {}) + 1))").format(values[0], weight[0], mask)
    return theirs, (values[1] * ((weight[1] & _WEIGHT_MASK) + 1)).cast(pl.Int128).sum()


def _combined(parts: Sequence[Both]) -> Both:
    """The parts of a row as one number. Each has a factor of its own."""
    weighted = [
        (sql.SQL("{} * {}").format(sql.Literal(factor), theirs), ours * factor)
        for factor, (theirs, ours) in zip(count(3, 2), parts, strict=False)
    ]
    if not weighted:
        return sql.SQL("1::bigint"), pl.lit(1, pl.Int64)
    return (
        sql.SQL(" + ").join(theirs for theirs, _ in weighted),
        reduce(lambda left, right: left + right, (ours for _, ours in weighted)),
    )


def _part(column: sa.Column[Any], texts: Mapping[str, Texts]) -> Both:
    """A value as a whole number of few bits; a number of its own for null."""
    theirs, ours = _whole_number(column, texts)
    ours = ours.cast(pl.Int64)
    if is_text(column):
        theirs, ours = sql.SQL("({} & {})").format(theirs, sql.Literal(_TEXT_MASK)), ours & _TEXT_MASK
    if not column.nullable:
        return theirs, ours
    return sql.SQL("coalesce({}, {})").format(theirs, sql.Literal(_NULL)), ours.fill_null(_NULL)


def _whole_number(column: sa.Column[Any], texts: Mapping[str, Texts]) -> Both:
    """A value as a whole number, as cheap as can be: times by the second, decimals at the scale of the column."""
    name, value = sql.Identifier(column.name), pl.col(column.name)
    match column.type:
        case sa.Integer():
            return sql.SQL("{}::bigint").format(name), value
        case sa.Double():
            return _exact(column, texts)
        case sa.Numeric():
            scale = column.type.scale or 0
            factor = sql.Literal(10**scale)
            return sql.SQL("({} * {})::bigint").format(name, factor), value.to_physical()
        case sa.DateTime():
            return sql.SQL("floor(date_part('epoch', {}))::bigint").format(name), value.to_physical() // _MICRO
        case sa.Boolean():
            return sql.SQL("{}::int::bigint").format(name), value
        case _:
            theirs, ours = _exact(column, texts)
            return sql.SQL("({})::bigint").format(theirs), ours


def _exact(column: sa.Column[Any], texts: Mapping[str, Texts]) -> Both:
    """A value as the number that is summed. Floats count to the sixth decimal."""
    name, value = sql.Identifier(column.name), pl.col(column.name)
    match column.type:
        case sa.Boolean():
            return sql.SQL("{}::int").format(name), value
        case sa.Double():
            return sql.SQL("floor({} * 1000000 + 0.5)::bigint").format(name), (value * _MICRO + 0.5).floor()
        case sa.Numeric() | sa.Integer():
            return name, value
        case sa.Date():
            return sql.SQL("({} - date '1970-01-01')").format(name), value.to_physical()
        case sa.DateTime():
            return sql.SQL("(date_part('epoch', {}) * 1000000)::bigint").format(name), value.to_physical()
        case sa.Time():
            return sql.SQL("(date_part('epoch', {}) * 1000000)::bigint").format(name), value.to_physical() // 1000
        case _:
            return _text_number(column.name, texts[column.name])


def _text_number(column: str, texts: Texts) -> Both:
    text = sql.SQL("{}::text").format(sql.Identifier(column))
    digest = sql.SQL("encode(substr(sha256(convert_to({}, 'UTF8')), 1, {}), 'hex')").format(
        text, sql.Literal(_HASH_BYTES)
    )
    hashed = sql.SQL("('x' || {})::bit({})::bigint").format(digest, sql.Literal(8 * _HASH_BYTES))
    if texts.is_few:
        known = sql.SQL(" ").join(
            sql.SQL("WHEN {} THEN {}::bigint").format(sql.Literal(value), sql.Literal(stands_for))
            for value, stands_for in dict(zip(texts.written.values(), texts.numbers, strict=True)).items()
        )
        # By bytes: in some collations different texts are equal.
        hashed = sql.SQL('CASE {} COLLATE "C" {} ELSE {} END').format(text, known, hashed)
        hashed = sql.SQL("CASE WHEN {} IS NOT NULL THEN {} END").format(sql.Identifier(column), hashed)
    if not texts.written:
        return hashed, pl.lit(None, pl.Int64)
    ours = pl.col(column).replace_strict(
        pl.Series(list(texts.written), dtype=pl.String),
        pl.Series(texts.numbers, dtype=pl.Int64),
        return_dtype=pl.Int64,
    )
    return hashed, ours


__all__ = ["Texts", "is_text", "mixed", "number", "stored", "texts_of", "total", "values"]
