"""What the report sums up over all days of a farm, asked of the database.

Nearly all of it is of days long past. So a report keeps its sums, and a night's report asks for the last months only:
where the database says that those before are still what they were when they were summed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
from psycopg import sql

from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import large_frame
from aquamind_pipeline.tables import STATE_TABLE

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
_ALL = sql.SQL("true")


@dataclass(frozen=True)
class Sums:
    """Sums of the daily states, and of the deaths that were recorded.

    Attributes:
        days: batch_id, date, stage, day_number, containers (with fish), fish, died, feed_kg, temp_c (mean of the
            containers), mass_g (of all fish); by batch and date.
        use: container_id, date (the first of a month on which it held fish), days (of that month with fish).
        dead: batch_id, date, dead by the mortality events.
    """

    days: pl.DataFrame
    use: pl.DataFrame
    dead: pl.DataFrame


def weight_g() -> pl.Expr:
    """Mean weight of a fish, from the columns of `Sums.days`; null where none is left."""
    return pl.when(pl.col("fish") > 0).then(pl.col("mass_g") / pl.col("fish"))


def read(connection: Connection, since: str | None = None, kept: Path | None = None) -> Sums:
    """Sum up what a database holds.

    Args:
        connection: The database, showing our rows only.
        since: Earlier months are as the last report found them, where they have not been loaded again since.
        kept: Where that report left its sums, and this one leaves its own.

    Raises:
        LakeError: when they cannot be left there.
    """
    loads = {name: journal.loads(connection, name) for name in (STATE_TABLE, _DEATHS)}
    earlier = _load(kept, loads, since) if kept is not None and since is not None else None
    found = _asked(connection, since if earlier else None)
    if earlier is not None:
        found = Sums(*(pl.concat(both) for both in zip(_frames(earlier), _frames(found), strict=True)))
    sums = Sums(found.days.sort("batch_id", "date", "stage"), found.use, found.dead)
    if kept is not None:
        _save(sums, loads, kept)
    return sums


def _asked(connection: Connection, since: str | None) -> Sums:
    def later(column: str) -> sql.Composable:
        first = sql.Literal(f"{since}-01")
        return sql.SQL("{} >= {}").format(sql.Identifier(column), first) if since else _ALL

    of_states, of_deaths = {"later": later("date")}, {"later": later("event_date")}
    return Sums(
        large_frame(connection, _SUM_DAYS.format(**of_states), _DAYS),
        large_frame(connection, _SUM_USE.format(**of_states), _USE),
        large_frame(connection, _SUM_DEAD.format(**of_deaths), _DEAD),
    )


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

Loads = dict[str, dict[str, str]]
"""Which load each month of a table is from."""


def _load(path: Path, loads: Loads, since: str) -> Sums | None:
    """Sums of the months before `since`; None where they are not to be had, or some month was loaded since."""
    try:
        summed: Loads = json.loads(pl.read_parquet_metadata(path)["loads"])
        if _before(summed, since) != _before(loads, since):
            return None
        rows = pl.read_parquet(path).filter(pl.col("date") < date.fromisoformat(f"{since}-01"))
        shapes = enumerate((_DAYS, _USE, _DEAD))
        return Sums(*(rows.filter(pl.col("of") == of).select(list(shape)) for of, shape in shapes))
    except (OSError, ValueError, KeyError, pl.exceptions.PolarsError):  # none yet, damaged, or of another version
        return None


def _before(loads: Loads, since: str) -> Loads:
    return {name: {month: load for month, load in by.items() if month < since} for name, by in loads.items()}


def _save(sums: Sums, loads: Loads, path: Path) -> None:
    rows = [frame.with_columns(of=pl.lit(of)) for of, frame in enumerate(_frames(sums))]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        pl.concat(rows, how="diagonal").write_parquet(temporary, metadata={"loads": json.dumps(loads)})
        temporary.replace(path)
    except OSError as error:
        raise LakeError(f"{path} cannot be written ({error.strerror})") from None


def _frames(sums: Sums) -> tuple[pl.DataFrame, ...]:
    return sums.days, sums.use, sums.dead


__all__ = ["Sums", "read", "weight_g"]
