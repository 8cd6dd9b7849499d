"""Each piece of work against the least that it can cost on this machine, now.

Seconds differ from machine to machine and from hour to hour; the ratio to a floor measured between the runs does not.
The floor of generation is to write the finished frame, that of growth one running sum over the states, that of the load
a COPY of the same rows into a table without keys.
"""

from __future__ import annotations

import polars as pl
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline import tables
from aquamind_pipeline.farm.readings import readings
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.lake import Lake, Manifest
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.postgres import load, schema
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.copying import copy_rows
from assets.growth import read_records
from assets.life import read_plan
from benchmarks.measuring import RUNS, built, report

READINGS = "environmental_environmentalreading"


def main() -> None:
    """Measure on the lake of test-40."""
    with built("test-40") as workspace:
        lake = workspace.lake
        some = lake.partitions(READINGS)[-8:-2]
        print(f"{'work':<34} {'rows':>12} {'seconds':>9} {'floor':>9} {'ratio':>7}   (medians of {RUNS})")
        _generation(workspace, some)
        _growth(workspace)
        with workspace.database() as url:
            schema.prepare(url, Manifest.of(workspace.planned))
            load.load_masters(url, lake)
            _load(url, lake, some)


def _generation(workspace: Workspace, some: list[str]) -> None:
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

    report("generate and write readings", sum(f.height for f in ready.values()), work, floor)


def _growth(workspace: Workspace) -> None:
    records = read_records(workspace.lake)
    states = workspace.lake.read(tables.STATE_TABLE)
    until = workspace.planned.as_of
    report(
        "assimilate growth",
        states.height,
        lambda: assimilate(records, until),
        lambda: states.select(pl.col("avg_weight_g").cast(pl.Float64).cum_sum().over("assignment_id")),
    )


def _load(url: SecretStr, lake: Lake, some: list[str]) -> None:
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
    report("load readings with keys, 2 streams", rows, work, floor)
