"""What the report sums up over all days of a farm, asked of the database.

Nearly all of it is of days long past. So a report keeps its sums, and a night's report asks for the last months only:
where the database says that those before have not been loaded again since.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from psycopg import sql

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake.stores.folder import Folder
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import large_frame
from aquamind_pipeline.tables import STATE_TABLE

_FRAMES, _FACTS = "sums.parquet", "sums.json"
_DEATHS = "batch_mortalityevent"
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
    """Sums of the daily states, and of the deaths that were recorded.

    Attributes:
        days: batch_id, date, stage, day_number, containers (with fish), fish, died, feed_kg, temp_c (mean of the
            containers), mass_g (of all fish); by batch and date.
        use: container_id, date (the first of a month on which it held fish), days (of that month with fish).
        dead: batch_id, date, dead by the mortality events.
        since: Month before which they are what an earlier report found; None when all was asked.
    """

    days: pl.DataFrame
    use: pl.DataFrame
    dead: pl.DataFrame
    since: str | None = None


def weight_g() -> pl.Expr:
    """Mean weight of a fish, from the columns of `Sums.days`; null where none is left."""
    return pl.when(pl.col("fish") > 0).then(pl.col("mass_g") / pl.col("fish"))


def read(connection: Connection, since: str | None = None, kept: Path | None = None) -> Sums:
    """Sum up what a database holds.

    Args:
        connection: The database, showing our rows only.
        since: Earlier months are as the last report found them, where they have not been loaded again since.
        kept: The folder where that report left its sums, and this one leaves its own, if it can.
    """
    loads = {name: journal.loads(connection, name) for name in (STATE_TABLE, _DEATHS)}
    earlier = _load(kept, loads, since) if kept is not None and since is not None else None
    frames = _asked(connection, since if earlier else None)
    if earlier is not None:
        frames = [pl.concat(both) for both in zip(earlier, frames, strict=True)]
    days, use, dead = frames
    sums = Sums(days.sort("batch_id", "date", "stage"), use, dead, since if earlier else None)
    if kept is not None:
        with contextlib.suppress(LakeError):  # without them the next night asks for everything
            _save([sums.days, use, dead], loads, kept)
    return sums


def _asked(connection: Connection, since: str | None) -> list[pl.DataFrame]:
    def later(column: str) -> sql.Composable:
        first = sql.Literal(f"{since}-01")
        return sql.SQL("{} >= {}").format(sql.Identifier(column), first) if since else sql.SQL("true")

    return [large_frame(connection, query.format(later=later(column)), shape) for query, column, shape in _QUERIES]


_SUM_DAYS = sql.SQL(
    """SELECT batch_id, date, lifecycle_stage_id, min(day_number), count(*), sum(population), sum(mortality_count),
      sum(feed_kg)::float8, avg(temp_c)::float8, sum(avg_weight_g * population)::float8
    FROM batch_actualdailyassignmentstate WHERE {later} GROUP BY batch_id, date, lifecycle_stage_id"""
)
_SUM_USE = sql.SQL(
    """SELECT container_id, min(date), count(*)
    FROM batch_actualdailyassignmentstate WHERE {later} GROUP BY container_id, date_trunc('month', date)"""
)
_SUM_DEAD = sql.SQL(
    "SELECT batch_id, event_date, sum(count) FROM batch_mortalityevent WHERE {later} GROUP BY batch_id, event_date"
)

_QUERIES = ((_SUM_DAYS, "date", _DAYS), (_SUM_USE, "date", _USE), (_SUM_DEAD, "event_date", _DEAD))

Loads = dict[str, dict[str, str]]
"""Which load each month of a table is from."""


def _load(kept: Path, loads: Loads, since: str) -> list[pl.DataFrame] | None:
    """Sums of the months before `since`; None where they are not to be had, or some month was loaded since."""
    content, facts = (Folder(kept).read(name) for name in (_FRAMES, _FACTS))
    if content is None or facts is None:
        return None
    try:
        known = json.loads(facts)
        whole = known["sha256"] == hashlib.sha256(content).hexdigest() and known["queries"] == _asked_for()
        if not whole or _before(known["loads"], since) != _before(loads, since):
            return None
    except (ValueError, KeyError, TypeError):
        return None
    rows = pl.read_parquet(content).filter(pl.col("date") < date.fromisoformat(f"{since}-01"))
    return [rows.filter(pl.col("of") == of).select(list(shape)) for of, (_, _, shape) in enumerate(_QUERIES)]


def _save(frames: list[pl.DataFrame], loads: Loads, kept: Path) -> None:
    rows = pl.concat([frame.with_columns(of=pl.lit(of)) for of, frame in enumerate(frames)], how="diagonal")
    _, digest = Folder(kept).write(_FRAMES, rows.write_parquet)
    facts = {"sha256": digest, "queries": _asked_for(), "loads": loads}
    Folder(kept).put(_FACTS, json.dumps(facts).encode())


def _asked_for() -> str:
    """Names what is summed up, and how: sums of another version are none."""
    return hashlib.sha256(repr(_QUERIES).encode()).hexdigest()[:16]


def _before(loads: Loads, since: str) -> Loads:
    return {name: {month: load for month, load in by.items() if month < since} for name, by in loads.items()}


__all__ = ["Sums", "read", "weight_g"]
