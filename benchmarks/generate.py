"""Rows and cells a second to Parquet, for each event table, against what generating and writing can cost.

`written` is Polars writing the finished frame from memory with the same settings: what generation cannot go below.
`DuckDB` generates the same shape in SQL (columns, types, decimals, order; values by its hash) from the same days of
life, into Parquet with zstd and row groups of the same size. `tpchgen` is tpchgen-cli on its lineitem table, in cells
a second. Some successive months are made two at a time, as the assets make them; writing from memory, too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.lake import ROW_GROUP_ROWS
from aquamind_pipeline.orchestration.workspace import Workspace
from assets.events import MAKERS, MONTHS_AT_ONCE, keep_freed_memory
from assets.life import read_plan
from benchmarks.measuring import FEEDINGS, READINGS, Row, by_turns, farm, make

PROFILE = "saturation-170"
MONTHS = 12
_TPCH_SCALE, _TPCH_ROWS, _TPCH_COLUMNS = "0.5", 2_999_671, 16

_NOISE = "CREATE MACRO noise(key) AS hash(key) % 65536 / 65536.0 - 0.5"
_SQL = {
    READINGS: """
        SELECT key AS id, 1 + i % kinds AS parameter_id, container_id, batch_id,
            container_id * 7 + i % kinds AS sensor_id, assignment_id AS batch_container_assignment_id,
            round(temp_c + noise(key), 2)::DECIMAL(10, 4) AS value,
            date::TIMESTAMPTZ + to_hours(6 + 2 * (i // kinds)) AS reading_time
        FROM (
            SELECT *, unnest(range(kinds * 6)) AS i, state_id * 64 + i AS key
            FROM (SELECT *, CASE WHEN stage = 6 THEN 4 ELSE 7 END AS kinds FROM days ORDER BY container_id, date)
        )""",
    FEEDINGS: """
        SELECT key AS id, batch_id, assignment_id AS batch_assignment_id, container_id, stage AS feed_id,
            date AS feeding_date, make_time(6 + i, 0, 0) AS feeding_time,
            (kg * (1 + noise(key)))::DECIMAL(10, 4) AS amount_kg,
            biomass::DECIMAL(10, 2) AS batch_biomass_kg,
            (100 * kg * (1 + noise(key)) / biomass)::DECIMAL(8, 6) AS feeding_percentage,
            (kg * (1 + noise(key)) * 2.1)::DECIMAL(10, 2) AS feed_cost
        FROM (
            SELECT *, unnest(range(meals)) AS i, state_id * 16 + i AS key, feed_dg / 10000.0 / meals AS kg,
                greatest(population * weight_g / 1000, 1) AS biomass
            FROM (SELECT *, [0, 10, 8, 7, 6, 6][stage] AS meals FROM days WHERE stage > 1 ORDER BY container_id, date)
        )""",
    "batch_mortalityevent": """
        SELECT state_id AS id, batch_id, assignment_id, date AS event_date, deaths::INTEGER AS count,
            (deaths * weight_g / 1000)::DECIMAL(10, 2) AS biomass_kg,
            ['UNKNOWN', 'DISEASE', 'HANDLING', 'ENVIRONMENTAL', 'PREDATION'][cause + 1] AS cause
        FROM days WHERE deaths > 0 ORDER BY container_id, date""",
    "batch_growthsample": """
        SELECT state_id AS id, assignment_id, date AS sample_date, 30::INTEGER AS sample_size,
            (weight_g * (1 + noise(state_id * 8)))::DECIMAL(10, 2) AS avg_weight_g,
            (20 + noise(state_id * 8 + 1))::DECIMAL(10, 2) AS avg_length_cm,
            (weight_g * 0.1 * (1 + noise(state_id * 8 + 2)))::DECIMAL(10, 2) AS std_deviation_weight,
            (2 + noise(state_id * 8 + 3))::DECIMAL(10, 2) AS std_deviation_length,
            (weight_g * 0.7 * (1 + noise(state_id * 8 + 4)))::DECIMAL(10, 2) AS min_weight_g,
            (weight_g * 1.3 * (1 + noise(state_id * 8 + 5)))::DECIMAL(10, 2) AS max_weight_g,
            (1.2 + noise(state_id * 8 + 6))::DECIMAL(10, 2) AS condition_factor
        FROM days WHERE stage > 1 AND batch_day % 7 IN (0, 3) ORDER BY container_id, date""",
}


def measure(profile: str = PROFILE, count: int = MONTHS, runs: int = 3) -> list[Row]:
    """Every event table over the last full months of a profile."""
    keep_freed_memory()
    with farm(profile) as workspace:
        make(workspace, ["infrastructure", "plan", "life", "stores"])
        lived = months_lived(workspace, count)
        return [_of_table(workspace, name, lived, runs) for name in tables.EVENT_TABLES]


def months_lived(workspace: Workspace, count: int) -> dict[str, pl.DataFrame]:
    """Days of life of the last `count` full months."""
    days = workspace.lake.scan("life_day").with_columns(month=pl.col("date").dt.strftime("%Y-%m"))
    last = days.select(pl.col("month").unique().sort()).collect()["month"].to_list()[-count - 1 : -1]
    return {month: days.filter(month=month).drop("month").collect() for month in last}


def generated(workspace: Workspace, name: str, lived: dict[str, pl.DataFrame]) -> Callable[[], object]:
    """Making a table's months and writing them to the lake, as the assets do."""
    plan, planned, lake, table = read_plan(workspace), workspace.planned, workspace.lake, tables.TABLES[name]

    def one(month: str) -> None:
        lake.write("measured", tables.conform(MAKERS[name](planned, plan, lived[month], lake), table), month)

    return lambda: _side_by_side(one, lived)


def _side_by_side(work: Callable[[str], None], months: Iterable[str]) -> None:
    with ThreadPoolExecutor(MONTHS_AT_ONCE) as pool:
        list(pool.map(work, months))


def written(workspace: Workspace, name: str, lived: dict[str, pl.DataFrame]) -> tuple[int, Callable[[], object]]:
    """Rows, and writing them from memory."""
    plan, planned, lake, table = read_plan(workspace), workspace.planned, workspace.lake, tables.TABLES[name]
    ready = {m: tables.conform(MAKERS[name](planned, plan, days, lake), table) for m, days in lived.items()}

    def one(month: str) -> None:
        lake.write("measured", ready[month], month)

    return sum(frame.height for frame in ready.values()), lambda: _side_by_side(one, ready)


def by_duckdb(workspace: Workspace, name: str, lived: dict[str, pl.DataFrame]) -> Callable[[], int]:
    """The same shape in DuckDB's SQL; gives the rows that it made."""
    folder = workspace.settings.home / "duckdb" / name
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(_NOISE)
    for i, days in enumerate(lived.values()):
        connection.register("lived", days.to_arrow())
        connection.execute(f"CREATE TABLE days_{i} AS FROM lived")

    def work() -> int:
        rows = 0
        for i in range(len(lived)):
            connection.execute(f"CREATE OR REPLACE TEMP VIEW days AS FROM days_{i}")
            made = connection.execute(
                f"COPY ({_SQL[name]}) TO '{folder}/{i}.parquet' "
                f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
            ).fetchone()
            assert made is not None
            rows += made[0]
        return rows

    return work


def by_tpchgen(folder: Path) -> Callable[[], object]:
    """tpchgen-cli on lineitem, in its own process with as many threads as there are cores."""
    options = ["-s", _TPCH_SCALE, "-T", "lineitem", "-o", str(folder), "--overwrite", "--compression", "ZSTD(3)"]
    command = [str(Path(sys.executable).with_name("tpchgen-cli")), "parquet", *options]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def by_cell(name: str, rows: int, ours: float, tpch: float) -> float:
    """Our seconds for a cell of a table over tpchgen's for one of lineitem."""
    columns = len(tables.lake_schema(tables.TABLES[name]))
    return (ours / (rows * columns)) / (tpch / (_TPCH_ROWS * _TPCH_COLUMNS))


def _of_table(workspace: Workspace, name: str, lived: dict[str, pl.DataFrame], runs: int) -> Row:
    rows, floor = written(workspace, name, lived)
    duck = by_duckdb(workspace, name, lived)
    made, columns = duck(), len(tables.lake_schema(tables.TABLES[name]))
    assert same_shape(workspace, name), name
    work = generated(workspace, name, lived)
    (ours, _), (_, to_floor), (theirs, _), (tpch, _) = by_turns(
        work, floor, duck, by_tpchgen(workspace.settings.home), runs=runs
    )
    return {
        "table": name,
        "rows": rows,
        "seconds": ours,
        "million rows/s": rows / ours / 1e6,
        "million cells/s": rows * columns / ours / 1e6,
        "/ written": to_floor,
        "/ DuckDB, by row": (ours / rows) / (theirs / made),
        "/ tpchgen, by cell": by_cell(name, rows, ours, tpch),
    }


def same_shape(workspace: Workspace, name: str) -> bool:
    """Whether DuckDB's files have our columns and types, in our order of rows where the file can tell it."""
    theirs = pl.read_parquet(workspace.settings.home / "duckdb" / name / "0.parquet")
    schema = {n: pl.Time() if t == pl.Time() else t for n, t in theirs.schema.items()}
    by = [c for c in ("container_id", "reading_time", "feeding_date") if c in theirs.columns]
    return schema == dict(tables.lake_schema(tables.TABLES[name])) and theirs.select(by).equals(
        theirs.select(by).sort(by)
    )
