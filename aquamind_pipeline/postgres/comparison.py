"""The checks that compare lake and database: rows of each table (`arrived`) and every column (`content`).

Counts find a lost row. The sums of columns find a value that was rounded, cut off, shifted by a time zone, stored in a
wrong encoding, or put into another column or month. A sum over whole rows finds values that changed places between
rows (`column_sums`). A failed check says which tables and columns differ and what may be the cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from aquamind_pipeline.errors import TransientError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres import content, interference, journal
from aquamind_pipeline.postgres.connection import Connection, connect
from aquamind_pipeline.postgres.connection_pool import connection_pool
from aquamind_pipeline.postgres.targets import Target
from aquamind_pipeline.schema.check_result import CheckResult, attempted, check_result

_DIFFERENCES = dict.fromkeys(("table", "partition", "column", "lake", "database"), pl.String)
_NAMED = 3
"""How many differences the message of a failed check names. The sample has more."""

Difference = tuple[str, str, str, str, str]
"""table, partition, column, the lake's values in words, the database's."""


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
    differs = [
        f"{name} (lake {due:,} rows, database {rows:,} rows)"
        for name, rows, due in wrong.select("table", "database", "lake").iter_rows()
    ]
    return check_result(
        "arrived",
        wrong,
        f"{sum(there.values()):,} rows in {counts.height} tables{beside}",
        _message(target, "tables", differs, wrong["table"].to_list()),
    )


def _content(target: Target, lake: Lake, names: Sequence[str], months: Sequence[str] | None) -> CheckResult:
    parts: dict[str, Sequence[str | None]] = {
        name: [month for month in lake.partitions(name) if months is None or month in months]
        if name in target.monthly
        else [None]
        for name in names
    }
    wrong = differences(target, lake, parts)
    differs = [
        f"{table}{f' {partition}' if partition else ''} {column} (lake {mine}, database {theirs})"
        for table, partition, column, mine, theirs in wrong.iter_rows()
    ]
    names_of = wrong["table"].unique(maintain_order=True).to_list()
    return check_result("content", wrong, "every column adds up", _message(target, "columns", differs, names_of))


def _message(target: Target, things: str, differs: Sequence[str], names: Sequence[str]) -> str:
    """What a failed check says: the first differences, and what may be their cause."""
    if not differs:
        return ""
    more = f"; and {len(differs) - _NAMED} more" if len(differs) > _NAMED else ""
    with connect(target.url) as connection:
        hints = interference.causes(connection, names)
    shown = [hints[name] for name in names if name in hints][:_NAMED]
    return f"{things} that differ: {'; '.join(differs[:_NAMED])}{more}{''.join(f'. {hint}' for hint in shown)}"


def differences(target: Target, lake: Lake, parts: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    """Columns that differ: table, partition, column, and what the lake and the database have there.

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
        return [(name, partition, content.ROWS, str(lake.rows(name, partition)), "not loaded")]
    part = target.part(connection, lake, name, partition)
    return [(name, partition or "", *found) for found in content.differing(connection, name, part)]


__all__ = ["compared", "differences"]
