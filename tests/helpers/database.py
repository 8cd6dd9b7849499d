"""Databases in tests: load a lake into one, count its rows, ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import polars as pl
import psycopg
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch import daily_states, growth_samples
from aquamind_pipeline.apps.inventory import feeding
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres.copying import Loaded
from aquamind_pipeline.postgres.targets import open_target

EVENT, STATES = feeding.FEEDINGS.name, daily_states.STATES.name
SAMPLES, FISH = growth_samples.GROWTH_SAMPLES.name, growth_samples.FISH_OBSERVATIONS.name


HOLD_REBUILDS = """
CREATE FUNCTION hold() RETURNS event_trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(1610); END';
CREATE EVENT TRIGGER hold ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION hold();
SELECT pg_advisory_lock(1610)
"""
"""From now on nobody in a database builds an index until this session lets go."""
HELD_REBUILDS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 1610 AND NOT granted"
"""The server processes that wait for that."""
LET_REBUILDS_GO = "SELECT pg_advisory_unlock(1610)"


def load_everything(url: SecretStr, lake: Lake) -> list[Loaded]:
    manifest = lake.manifest()
    assert manifest is not None
    open_target(url).prepare(manifest)
    target = open_target(url)
    done = target.load_whole(lake)
    with target.loading() as pool:
        for name in target.monthly:
            done += target.load_months(pool, lake, name, lake.partitions(name))
        target.drop_vanished(pool, lake, target.monthly)
    return done


def load_months(
    url: SecretStr, lake: Lake, name: str, months: Sequence[str], on_done: Callable[[], None] = lambda: None
) -> list[Loaded]:
    target = open_target(url)
    with target.loading() as pool:
        return target.load_months(pool, lake, name, months, on_done)


def row_counts(url: SecretStr, names: Iterable[str] = REGISTRY.aquamind) -> dict[str, int]:
    return open_target(url).row_counts(names)


def rows_of(lake: Lake) -> dict[str, int]:
    """Rows of every table of AquaMind's in a lake."""
    return {name: lake.rows(name) for name in REGISTRY.aquamind}


def ask(url: SecretStr, query: str, *parameters: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url.get_secret_value()) as connection:
        return connection.execute(query.encode(), parameters).fetchall()


def without_last_days(lake: Lake, month: str, days: int) -> dict[str, pl.DataFrame]:
    """Take a month's last days out of all tables of events; returns the months as they were."""
    whole = {name: lake.read(name, month) for name in REGISTRY.monthly if not REGISTRY[name].snapshot}
    for name, rows in whole.items():
        day = pl.col(str(REGISTRY[name].time)).cast(pl.Date)
        lake.write(name, rows.filter(day <= day.max().dt.offset_by(f"-{days}d")), month)
    return whole


def definitions(url: SecretStr) -> set[str]:
    """Every index and constraint of the tables in schema `public`."""
    rows = ask(
        url,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL SELECT conrelid::regclass || conname || "
        "pg_get_constraintdef(oid) || convalidated FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    )
    return {str(row[0]) for row in rows}


def we_wait(url: SecretStr) -> bool:
    """Whether a session of ours waits for a lock, or pauses between two attempts to get it."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
        "AND application_name = 'aquamind-pipeline' AND (wait_event_type = 'Lock' OR query LIKE '%%pg_sleep%%'))"
    )
    return ask(url, query) == [(True,)]


def nobody_loads(url: SecretStr) -> bool:
    """Whether the server has noticed that a killed process is gone."""
    held = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE datname = current_database()"
    return ask(url, f"{held} AND locktype = 'advisory'") == [(0,)]


__all__ = [
    "EVENT",
    "FISH",
    "HELD_REBUILDS",
    "HOLD_REBUILDS",
    "LET_REBUILDS_GO",
    "SAMPLES",
    "STATES",
    "ask",
    "definitions",
    "load_everything",
    "load_months",
    "nobody_loads",
    "row_counts",
    "rows_of",
    "we_wait",
    "without_last_days",
]
