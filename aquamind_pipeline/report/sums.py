"""Sums over all days of a farm, computed by the database.

Most days are long past, so a report keeps its sums. A night's report computes only the last months again, if the
database says that no earlier month was loaded again since.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import polars as pl
from psycopg import sql

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake.stores.folder import Folder
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import large_frame

_FRAMES, _FACTS = "sums.parquet", "sums.json"
_DAYS = pl.Schema(
    {
        "batch_id": pl.Int64,
        "date": pl.Date,
        "stage": pl.Int64,
        "day_number": pl.Int64,
        "containers": pl.Int64,
        "fish": pl.Int64,
        "died": pl.Int64,
        "feed_kg": pl.Float64,
        "temp_c": pl.Float64,
        "mass_g": pl.Float64,
    }
)
_USE = pl.Schema({"container_id": pl.Int64, "date": pl.Date, "days": pl.Int64})
_DEAD = pl.Schema({"batch_id": pl.Int64, "date": pl.Date, "dead": pl.Int64})


@dataclass(frozen=True)
class Sums:
    """Sums of the daily states, and of the recorded deaths.

    Attributes:
        days: batch_id, date, stage, day_number, containers (with fish), fish, died, feed_kg, temp_c (mean of the
            containers), mass_g (of all fish); sorted by batch and date.
        use: container_id, date (the first day of a month on which it held fish), days (of that month with fish).
        dead: batch_id, date, dead (by the mortality events).
        since: Month before which the sums are those of an earlier report; None if all sums are new.
    """

    days: pl.DataFrame
    use: pl.DataFrame
    dead: pl.DataFrame
    since: str | None = None

    @property
    def note(self) -> str:
        """End of a check's text that says which days an earlier report summed up; empty if there are none."""
        return f"; days before {self.since} summed up by an earlier report" if self.since else ""


def weight_g() -> pl.Expr:
    """Mean weight of a fish, from the columns of `Sums.days`; null where no fish is left."""
    return pl.when(pl.col("fish") > 0).then(pl.col("mass_g") / pl.col("fish"))


def read(connection: Connection, since: str | None = None, kept: Path | None = None) -> Sums:
    """Sum up what a database holds.

    Args:
        connection: The database, showing our rows only.
        since: Sums of earlier months are taken from the last report, if none of these months was loaded again since.
        kept: Folder where the last report left its sums. This report leaves its own there, if it can.
    """
    loads = {table: journal.loads(connection, table) for table in {query.table for query in _QUERIES}}
    earlier = _load(kept, loads, since) if kept is not None and since is not None else None
    frames = _compute(connection, since if earlier else None)
    if earlier is not None:
        frames = [pl.concat(both) for both in zip(earlier, frames, strict=True)]
    days, use, dead = frames
    sums = Sums(days.sort("batch_id", "date", "stage"), use, dead, since if earlier else None)
    if kept is not None:
        with contextlib.suppress(LakeError):  # without kept sums the next report computes all of them
            _save([sums.days, use, dead], loads, kept)
    return sums


class _Query(NamedTuple):
    """A sum over a table; `{later}` of its statement limits the rows to later months, by the column `date`."""

    table: str
    date: str
    statement: sql.SQL
    schema: pl.Schema


_QUERIES = (
    _Query(
        "batch_actualdailyassignmentstate",
        "date",
        sql.SQL(
            """SELECT batch_id, date, lifecycle_stage_id, min(day_number), count(*), sum(population),
              sum(mortality_count), sum(feed_kg)::float8, avg(temp_c)::float8, sum(avg_weight_g * population)::float8
            FROM batch_actualdailyassignmentstate WHERE {later} GROUP BY batch_id, date, lifecycle_stage_id"""
        ),
        _DAYS,
    ),
    _Query(
        "batch_actualdailyassignmentstate",
        "date",
        sql.SQL(
            """SELECT container_id, min(date), count(*)
            FROM batch_actualdailyassignmentstate WHERE {later} GROUP BY container_id, date_trunc('month', date)"""
        ),
        _USE,
    ),
    _Query(
        "batch_mortalityevent",
        "event_date",
        sql.SQL(
            """SELECT batch_id, event_date, sum(count)
            FROM batch_mortalityevent WHERE {later} GROUP BY batch_id, event_date"""
        ),
        _DEAD,
    ),
)
"""What is summed up: the frames of `Sums`, in order."""


def _compute(connection: Connection, since: str | None) -> list[pl.DataFrame]:
    """The frames of `Sums`, of the months from `since` on or of all."""

    def later(column: str) -> sql.Composable:
        first = sql.Literal(f"{since}-01")
        return sql.SQL("{} >= {}").format(sql.Identifier(column), first) if since else sql.SQL("true")

    return [
        large_frame(connection, query.statement.format(later=later(query.date)), query.schema) for query in _QUERIES
    ]


Loads = dict[str, dict[str, str]]
"""The load that brought each month, by table and month."""


def _load(kept: Path, loads: Loads, since: str) -> list[pl.DataFrame] | None:
    """Kept sums of the months before `since`; None if there are none, or one of the months was loaded again since."""
    content, facts = (Folder(kept).read(name) for name in (_FRAMES, _FACTS))
    if content is None or facts is None:
        return None
    try:
        saved = json.loads(facts)
        usable = saved["sha256"] == hashlib.sha256(content).hexdigest() and saved["queries"] == _queries_digest()
        if not usable or _before(saved["loads"], since) != _before(loads, since):
            return None
    except (ValueError, KeyError, TypeError):
        return None
    rows = pl.read_parquet(content).filter(pl.col("date") < date.fromisoformat(f"{since}-01"))
    return [rows.filter(pl.col("of") == of).select(list(query.schema)) for of, query in enumerate(_QUERIES)]


def _save(frames: list[pl.DataFrame], loads: Loads, kept: Path) -> None:
    rows = pl.concat([frame.with_columns(of=pl.lit(of)) for of, frame in enumerate(frames)], how="diagonal")
    _, digest = Folder(kept).write(_FRAMES, rows.write_parquet)
    facts = {"sha256": digest, "queries": _queries_digest(), "loads": loads}
    Folder(kept).put(_FACTS, json.dumps(facts).encode())


def _queries_digest() -> str:
    """Digest of the queries: sums that other queries made are not used."""
    return hashlib.sha256(repr(_QUERIES).encode()).hexdigest()[:16]


def _before(loads: Loads, since: str) -> Loads:
    return {name: {month: load for month, load in by.items() if month < since} for name, by in loads.items()}


__all__ = ["Sums", "read", "weight_g"]
