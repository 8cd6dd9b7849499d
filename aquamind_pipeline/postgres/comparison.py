"""Lake against database, column by column: what each column adds up to, in every table and month.

Counts find a lost row. These sums also find a value that was rounded, cut off, shifted by a time zone, or put into
another column or month. They do not find values that changed places within a column, nor a text that was replaced by
another of the same length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import TransientError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.connection_pool import connection_pool
from aquamind_pipeline.postgres.targets import Target
from aquamind_pipeline.schema.check_result import CheckResult, attempted, check_result

_DIFFERENCES = dict.fromkeys(("table", "partition", "column", "lake", "database"), pl.String)
_MICRO = 1_000_000

Difference = tuple[str, str, str, str, str]
"""table, partition, column, sum of the lake's values, sum of the database's."""


def compared(
    target: Target, lake: Lake, names: Iterable[str], months: Sequence[str] | None = None, *, since: str | None = None
) -> list[CheckResult]:
    """Check that the database has the lake's rows (`arrived`), with their values (`content`).

    Tables that the database lacks are passed over (`Target.left_out`).

    Args:
        target: The database.
        lake: The lake it was loaded from.
        names: Tables.
        months: Months of tables kept by month whose values are compared; None for all.
        since: First month of tables kept by month whose rows are counted; None for all.

    Raises:
        TransientError: when the database or the lake is away. Then nothing can be said of the rows.
    """
    chosen = [name for name in names if name in target.tables]
    rules = {
        "arrived": lambda: _arrived(target, lake, chosen, since),
        "content": lambda: _content(target, lake, chosen, months),
    }
    return [attempted(rule, work, raises=(TransientError,)) for rule, work in rules.items()]


def _arrived(target: Target, lake: Lake, names: Sequence[str], since: str | None) -> CheckResult:
    later = [name for name in names if since is not None and name in target.monthly]
    there = target.row_counts([name for name in names if name not in later])
    due = {name: lake.rows(name) for name in there}
    if later:
        counted = target.month_counts(later, since).filter(pl.col("month") >= since)
        there |= {name: int(counted.filter(pl.col("table") == name)["rows"].sum()) for name in later}
        months = {name: [month for month in lake.partitions(name) if month >= str(since)] for name in later}
        due |= {name: sum(lake.rows(name, month) for month in months[name]) for name in later}
    counts = pl.DataFrame({"table": list(there), "database": list(there.values()), "lake": list(due.values())})
    wrong = counts.filter(pl.col("database") != pl.col("lake"))
    beside = f", of months since {since}" if since else ""
    return check_result(
        "arrived", wrong, f"{sum(there.values()):,} rows in {counts.height} tables{beside}", "tables that differ"
    )


def _content(target: Target, lake: Lake, names: Sequence[str], months: Sequence[str] | None) -> CheckResult:
    parts: dict[str, Sequence[str | None]] = {
        name: [month for month in lake.partitions(name) if months is None or month in months]
        if name in target.monthly
        else [None]
        for name in names
    }
    return check_result("content", differences(target, lake, parts), "every column adds up", "columns that differ")


def differences(target: Target, lake: Lake, parts: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    """Columns that differ: table, partition, column, and what the lake's and the database's values add up to.

    Args:
        target: The database.
        lake: The lake it was loaded from.
        parts: Tables of the target and months of them; None for a table that is kept whole.
    """

    def compare(connection: Connection, part: tuple[str, str | None]) -> list[Difference]:
        return _compare(connection, target, lake, *part)

    with connection_pool(target.url) as pool:
        each = pool.spread(compare, [(name, partition) for name, some in parts.items() for partition in some])
    return pl.DataFrame([row for rows in each for row in rows], schema=_DIFFERENCES, orient="row")


def _compare(connection: Connection, target: Target, lake: Lake, name: str, partition: str | None) -> list[Difference]:
    if partition is not None and partition not in journal.entries(connection, name):
        return [(name, partition, "(rows)", str(lake.rows(name, partition)), "not loaded")]
    part = target.part(connection, lake, name, partition)
    columns = [REGISTRY.table(name).columns[column] for column in part.columns]
    asked = [sql.SQL("count(*)"), *(total for column in columns for total in _asked(column))]
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(sql.SQL(", ").join(asked), part.source, part.where)
    answer = connection.execute(query).fetchone()
    assert answer is not None
    summed = [pl.len(), *(total for column in columns for total in _summed(column))]
    ours = part.rows.select(total.alias(str(i)) for i, total in enumerate(summed)).collect().row(0)
    of = ["(rows)", *(column for column in part.columns for _ in range(2))]
    return [
        (name, partition or "", column, str(mine), str(theirs))
        for column, mine, theirs in zip(of, ours, answer, strict=True)
        if _plain(mine) != _plain(theirs)
    ]


def _asked(column: sa.Column[Any]) -> tuple[sql.Composable, sql.Composable]:
    """What to ask the server about a column: how many values it has, and what they add up to."""
    name = sql.Identifier(column.name)
    match column.type:
        case sa.Boolean():
            total = sql.SQL("count(*) FILTER (WHERE {})")
        case sa.Double():
            total = sql.SQL("sum(floor({} * 1000000 + 0.5)::bigint)")
        case sa.Numeric() | sa.Integer():
            total = sql.SQL("sum({})")
        case sa.Date():
            total = sql.SQL("sum({} - date '1970-01-01')")
        case sa.DateTime():
            total = sql.SQL("sum(date_part('epoch', {})::bigint)")
        case sa.Time():
            total = sql.SQL("sum(date_part('epoch', {})::bigint)")
        case JSONB():
            total = sql.SQL("sum(length({}::text))")
        case _:
            total = sql.SQL("sum(octet_length({}))")
    return sql.SQL("count({})").format(name), total.format(name)


def _summed(column: sa.Column[Any]) -> tuple[pl.Expr, pl.Expr]:
    """The same questions to a frame."""
    value = pl.col(column.name)
    match column.type:
        case sa.Boolean():
            total = value.sum()
        case sa.Double():
            total = (value * _MICRO + 0.5).floor().cast(pl.Int64).sum()
        case sa.Numeric():
            total = value.sum()
        case sa.Integer():
            total = value.cast(pl.Int64).sum()
        case sa.Date():
            total = value.to_physical().cast(pl.Int64).sum()
        case sa.DateTime():
            total = ((value.to_physical() + _MICRO // 2) // _MICRO).sum()
        case sa.Time():
            total = (value.to_physical() // (1000 * _MICRO)).sum()
        case JSONB():
            total = value.str.len_chars().cast(pl.Int64).sum()
        case _:
            total = value.str.len_bytes().cast(pl.Int64).sum()
    return value.count(), total


def _plain(value: object) -> Decimal:
    """A number without trailing zeros. The sum of no values is 0 in Polars and null in SQL."""
    return Decimal(0) if value is None else Decimal(str(value)).normalize()


__all__ = ["compared", "differences"]
