"""`make bench`: each piece of work against the least that it can cost on this machine, now.

Seconds differ from machine to machine and from hour to hour; the ratio to a floor measured between the runs does not.
The floor of generation is to write the finished frame, that of growth one running sum over the states, that of the load
a COPY of the same rows into a table without keys.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline import tables
from aquamind_pipeline.definitions import BUILD_LAKE
from aquamind_pipeline.farm.readings import readings
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.orchestration.partitions import months
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.postgres import load, schema
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.copying import copy_rows
from aquamind_pipeline.running import run_job
from aquamind_pipeline.settings import load_settings
from assets.growth import read_records
from assets.life import read_plan

READINGS = "environmental_environmentalreading"


def main() -> None:
    """Build a farm's lake, then measure."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--profile", default="test-40")
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="aquamind-bench-") as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as nobody
        workspace = Workspace(load_settings(profile=given.profile, home=Path(folder)))
        farm = workspace.settings.farm
        run_job(workspace, BUILD_LAKE, months(farm.epoch, farm.as_of))
        lake = workspace.lake
        some = lake.partitions(READINGS)[-8:-2]
        print(f"{'work':<34} {'rows':>12} {'seconds':>9} {'floor':>9} {'ratio':>7}   (medians of {given.runs})")
        _generation(workspace, some, given.runs)
        _growth(workspace, given.runs)
        with workspace.database() as url:
            schema.prepare(url, Manifest.of(workspace.planned))
            load.load_masters(url, lake)
            _load(url, lake, some, given.runs)


def _generation(workspace: Workspace, some: list[str], runs: int) -> None:
    lake, plan = workspace.lake, read_plan(workspace)
    sensors = lake.read("infrastructure_sensor")
    lived = {
        month: lake.scan("life_day").filter(pl.col("date").dt.strftime("%Y-%m") == month).collect() for month in some
    }
    ready = {month: lake.read(READINGS, month) for month in some}

    def work() -> None:
        for month, days in lived.items():
            made = readings(workspace.planned.seed, plan, days, sensors)
            lake.write("bench", tables.conform(made, tables.TABLES[READINGS]), month)

    def floor() -> None:
        for month, frame in ready.items():
            lake.write("bench", frame, month)

    _report("generate and write readings", sum(f.height for f in ready.values()), work, floor, runs)


def _growth(workspace: Workspace, runs: int) -> None:
    records = read_records(workspace.lake)
    states = workspace.lake.read(tables.STATE_TABLE)
    until = workspace.planned.as_of
    _report(
        "assimilate growth",
        states.height,
        lambda: assimilate(records, until),
        lambda: states.select(pl.col("avg_weight_g").cast(pl.Float64).cum_sum().over("assignment_id")),
        runs,
    )


def _load(url: SecretStr, lake: Lake, some: list[str], runs: int) -> None:
    table = tables.TABLES[READINGS]
    bare = sql.Identifier("bench_bare")

    def work() -> None:
        with connect(url) as connection:
            connection.execute("DELETE FROM aquamind_pipeline.load_journal WHERE table_name = %s", (READINGS,))
        load.load_months(url, lake, READINGS, some)

    def floor() -> None:
        with connect(url) as connection:
            connection.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(bare, sql.Identifier(READINGS)))
            copy_rows(connection, table, bare, lake.scan(READINGS, some), freeze=True)
            connection.rollback()

    rows = sum(lake.rows(READINGS, month) for month in some)
    _report("load readings with keys, 2 streams", rows, work, floor, runs)


def _report(name: str, rows: int, work: Callable[[], object], floor: Callable[[], object], runs: int) -> None:
    """Work and floor by turns, so that a slow minute of the machine hits both."""
    seconds = [(_seconds(work), _seconds(floor)) for _ in range(runs)]
    worked, least = (statistics.median(column) for column in zip(*seconds, strict=True))
    ratio = statistics.median(one / other for one, other in seconds)
    print(f"{name:<34} {rows:>12,} {worked:>9.2f} {least:>9.2f} {ratio:>6.1f}x")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
