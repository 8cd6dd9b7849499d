"""Lake against database, column by column: what each column adds up to, in every partition.

Counts see a lost row; these sums also see a value that was rounded, shifted by a time zone, cut off, or put into
another column or month. They cannot see values that changed places within a column, nor text for text of its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import sqlalchemy as sa
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.dialects.postgresql import JSONB

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import TransientError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import identities, journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import look_at_ours, month_counts, row_counts
from aquamind_pipeline.postgres.streams import streams
from aquamind_pipeline.schema import frames as tables
from aquamind_pipeline.schema.check_result import CheckResult as Finding
from aquamind_pipeline.schema.check_result import attempted
from aquamind_pipeline.schema.check_result import check_result as finding

_DIFFERENCES = dict.fromkeys(("table", "partition", "column", "lake", "database"), pl.String)
_MICRO = 1_000_000


def compared(
    url: SecretStr, lake: Lake, names: Iterable[str], months: Sequence[str] | None = None, *, since: str | None = None
) -> list[Finding]:
    """Whether the database has the lake's rows (`arrived`), with their values (`content`).

    Args:
        url: The database.
        lake: The lake it was loaded from.
        names: Tables of the catalogue.
        months: Months of monthly tables whose values are compared; None for all.
        since: The first month of monthly tables whose rows are counted; None for all.

    Raises:
        TransientError: when the database or the lake is away: there is nothing to say of rows that nobody could see.
    """
    chosen = list(names)
    rules = {
        "arrived": lambda: _arrived(url, lake, chosen, since),
        "content": lambda: _content(url, lake, chosen, months),
    }
    return [attempted(rule, work, raises=(TransientError,)) for rule, work in rules.items()]


def _arrived(url: SecretStr, lake: Lake, names: Sequence[str], since: str | None) -> Finding:
    later = [name for name in names if since is not None and name in REGISTRY.monthly]
    there = row_counts(url, [name for name in names if name not in later])
    held = {name: lake.rows(name) for name in there}
    if later:
        counted = month_counts(url, later, since).filter(pl.col("month") >= since)
        there |= {name: int(counted.filter(pl.col("table") == name)["rows"].sum()) for name in later}
        months = {name: [month for month in lake.partitions(name) if month >= str(since)] for name in later}
        held |= {name: sum(lake.rows(name, month) for month in months[name]) for name in later}
    counts = pl.DataFrame({"table": list(there), "database": list(there.values()), "lake": list(held.values())})
    wrong = counts.filter(pl.col("database") != pl.col("lake"))
    beside = f", of months since {since}" if since else ""
    return finding(
        "arrived", wrong, f"{sum(there.values()):,} rows in {counts.height} tables{beside}", "tables that differ"
    )


def _content(url: SecretStr, lake: Lake, names: Sequence[str], months: Sequence[str] | None) -> Finding:
    parts: dict[str, Sequence[str | None]] = {
        name: [month for month in lake.partitions(name) if months is None or month in months]
        if name in REGISTRY.monthly
        else [None]
        for name in names
    }
    return finding("content", differences(url, lake, parts), "every column adds up", "columns that differ")


def differences(url: SecretStr, lake: Lake, parts: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    """Columns that differ: table, partition, column, what the lake's adds up to, what the database's does.

    Args:
        url: The database.
        lake: The lake it was loaded from.
        parts: Tables of the catalogue, and months of them; None for the whole of a table without months.
    """

    def compare(connection: Connection, part: tuple[str, str | None]) -> list[tuple[str, str, str, str, str]]:
        table, partition = part
        found = list(_compare(connection, url, lake, REGISTRY[table].table, partition))
        connection.rollback()  # it may have made views, which the next comparison makes anew
        return found

    with streams(url) as opened:
        each = opened.spread(compare, [(name, partition) for name, some in parts.items() for partition in some])
    return pl.DataFrame([row for rows in each for row in rows], schema=_DIFFERENCES, orient="row")


def _compare(
    connection: Connection, url: SecretStr, lake: Lake, table: sa.Table, partition: str | None
) -> Iterator[tuple[str, str, str, str, str]]:
    entry = None if partition is None else journal.entries(connection, table.name).get(partition)
    if partition is not None and entry is None:
        yield table.name, partition, "(rows)", str(lake.rows(table.name, partition)), "not loaded"
        return
    rows = tables.complete(lake.scan(table.name, None if partition is None else [partition]), table)
    source: sql.Composable = sql.Identifier(table.name)
    where: sql.Composable = sql.SQL("true")
    key = tables.primary_key(table)[0]
    skipped = set()
    if journal.kind(connection, url) == journal.AQUAMIND:
        skipped = {key}  # of its own sequences
        rows = _theirs(connection, rows.collect(), table).lazy()
        if table.name in REGISTRY.whole:
            where = sql.SQL("{} IN (SELECT i.id FROM {} i WHERE i.table_name = {} AND i.created)").format(
                sql.Identifier(key), sql.Identifier(journal.OURS, "identity"), sql.Literal(table.name)
            )
        elif entry is None:
            look_at_ours(connection, url)
        else:
            block = (sql.Literal(entry.first_id), sql.Literal(entry.last_id))
            source = sql.Identifier("public", table.name)
            where = sql.SQL("{} BETWEEN {} AND {}").format(sql.Identifier(key), *block)
    elif partition is not None:
        source = journal.partition(table.name, partition)
    columns = [column for column in table.columns if column.name not in skipped]
    asked = [sql.SQL("count(*)"), *(part for column in columns for part in _asked(column))]
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(sql.SQL(", ").join(asked), source, where)
    answer = connection.execute(query).fetchone()
    assert answer is not None
    summed = [pl.len(), *(expr for column in columns for expr in _summed(column))]
    ours = rows.select(expr.alias(str(i)) for i, expr in enumerate(summed)).collect().row(0)
    names = ["(rows)", *(column.name for column in columns for _ in range(2))]
    for name, mine, theirs in zip(names, ours, answer, strict=True):
        if _plain(mine) != _plain(theirs):
            yield table.name, partition or "", name, str(mine), str(theirs)


def _theirs(connection: Connection, rows: pl.DataFrame, table: sa.Table) -> pl.DataFrame:
    """Our rows in the ids of AquaMind's database; of master rows those that we made."""
    known = identities.all_known(connection)
    if table.name in known:
        made = known[table.name].filter("created")
        rows = rows.join(made, left_on=tables.primary_key(table)[0], right_on="lake_id", how="semi")
    return identities.translated(rows, table, known)


def _asked(column: sa.Column[Any]) -> tuple[sql.Composable, sql.Composable]:
    """What the server is asked of a column: how many values, and what they add up to."""
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
    """The same of a frame."""
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
    """A number; a sum of nothing is 0 on one side and null on the other."""
    return Decimal(0) if value is None else Decimal(str(value)).normalize()


__all__ = ["compared", "differences"]
