"""Rows and cells a second to Parquet, for each event table, against what generating and writing can cost.

`written` is Polars writing the finished frame from memory with the same settings: what generation cannot go below.
`DuckDB` generates the same shape in SQL (columns, types, decimals, order; values by its hash) from the same tables,
into Parquet with zstd and row groups of the same size; tables without SQL here have no such ratio. `tpchgen` is
tpchgen-cli on its lineitem table, in cells a second. Some successive months are made as the assets make them: in the
same groups, and by two threads; writing from memory, too. What a generator reads is in memory, and so is what DuckDB
reads.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.growth_samples import FISH_OBSERVATIONS, GROWTH_SAMPLES
from aquamind_pipeline.apps.batch.mortality import MORTALITY
from aquamind_pipeline.apps.environmental.photoperiod import PHOTOPERIOD
from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.lake import ROW_GROUP_ROWS, Lake
from aquamind_pipeline.months import day_after, first_day, month_key
from aquamind_pipeline.pipeline.steps import THREADS, groups_of_months, keep_freed_memory, rows_by_month
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.frames import lake_schema
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.simulation.schedule import Plan
from benchmarks.measuring import FEEDINGS, READINGS, Row, by_turns, cpu_seconds, farm, make, months_of, stages_before

PROFILE = "saturation-170"
MONTHS = 12
_TPCH_SCALE, _TPCH_ROWS, _TPCH_COLUMNS = "0.5", 2_999_671, 16

_MACROS = (
    "CREATE TEMP MACRO noise(key) AS hash(key) % 65536 / 65536.0 - 0.5",
    "CREATE TEMP MACRO fish_weight(weight, fish) AS round(greatest(weight * (1 + 0.5 * noise(2 * fish)), 0.01), 2)",
    "CREATE TEMP MACRO condition(fish) AS 1.15 * (1 + 0.2 * noise(2 * fish + 1))",
    "CREATE TEMP MACRO fish_length(weight, fish) AS round(cbrt(100 * weight / condition(fish)), 2)",
)
_SAMPLED = """
    CREATE TEMP MACRO sampled() AS TABLE
    SELECT *, date::TIMESTAMPTZ AS midnight, range(1, getvariable('fish_per_sample') + 1) AS fish FROM life_day
    WHERE fish_weighed > 0
    ORDER BY container_id, date"""
_SQL = {
    READINGS: """
        SELECT key AS id, 1 + i % kinds AS parameter_id, container_id, batch_id,
            container_id * 7 + i % kinds AS sensor_id, assignment_id AS batch_container_assignment_id,
            round(temp_c + noise(key), 2)::DECIMAL(10, 4) AS value,
            date::TIMESTAMPTZ + to_hours(6 + 2 * (i // kinds)) AS reading_time
        FROM (
            SELECT *, unnest(range(kinds * 6)) AS i, state_id * 64 + i AS key
            FROM (SELECT *, CASE WHEN stage = 6 THEN 4 ELSE 7 END AS kinds FROM life_day ORDER BY container_id, date)
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
            FROM (
                SELECT * FROM life_day WHERE meals > 0
                ORDER BY container_id, date
            )
        )""",
    MORTALITY.name: """
        SELECT state_id AS id, batch_id, assignment_id, date AS event_date, deaths::BIGINT AS count,
            (deaths * weight_g / 1000)::DECIMAL(10, 2) AS biomass_kg,
            CASE WHEN reason >= 8 THEN 'DISEASE' ELSE 'UNKNOWN' END AS cause
        FROM life_day WHERE deaths > 0 ORDER BY container_id, date""",
    GROWTH_SAMPLES.name: """
        SELECT state_id AS id, assignment_id, date AS sample_date, len(weights)::BIGINT AS sample_size,
            list_avg(weights)::DECIMAL(10, 2) AS avg_weight_g,
            list_avg(lengths)::DECIMAL(10, 2) AS avg_length_cm,
            list_stddev_pop(weights)::DECIMAL(10, 2) AS std_deviation_weight,
            list_stddev_pop(lengths)::DECIMAL(10, 2) AS std_deviation_length,
            list_min(weights)::DECIMAL(10, 2) AS min_weight_g,
            list_max(weights)::DECIMAL(10, 2) AS max_weight_g,
            (100 * list_avg(weights) / list_avg(lengths) ** 3)::DECIMAL(10, 2) AS condition_factor
        FROM (
            SELECT *, list_transform(fish, lambda k: fish_weight(weight_g, state_id * 1024 + k)) AS weights,
                list_transform(fish, lambda k: fish_length(weights[k], state_id * 1024 + k)) AS lengths
            FROM sampled()
        )""",
    FISH_OBSERVATIONS.name: """
        SELECT (state_id - 1) * getvariable('fish_per_sample') + k AS id, state_id AS growth_sample_id,
            printf('F%03d', k) AS fish_identifier, weight::DECIMAL(10, 2) AS weight_g,
            fish_length(weight, state_id * 1024 + k)::DECIMAL(10, 2) AS length_cm, midnight AS created_at
        FROM (
            SELECT *, unnest(fish) AS k, fish_weight(weight_g, state_id * 1024 + k) AS weight FROM sampled()
        )""",
    PHOTOPERIOD.name: """
        SELECT date - DATE '2000-01-01' + area_id * 65536 AS id, area_id, date,
            (CASE WHEN month(date) <= 6 AND noise(area_id * 4096 + year(date)) < 0 THEN 24
                ELSE 24 - 24 / pi() * acos((sin(radians(0.8333)) + sin(place) * sin(sun)) / (cos(place) * cos(sun)))
            END)::DECIMAL(5, 2) AS day_length_hours,
            (55000 * greatest(cos(place - sun), 0) * (1 - 0.75 * cloud ** 3.4))::DECIMAL(10, 2) AS light_intensity
        FROM (
            SELECT id AS area_id, date, radians(latitude::DOUBLE) AS place,
                round(8 * (0.75 + 0.5 * noise(geography_id * 1048576 + (date - DATE '2000-01-01')))) / 8 AS cloud,
                asin(0.39795 * cos(
                    0.2163108 + 2 * atan(0.9671396 * tan(0.00860 * (dayofyear(date) - 186))))) AS sun
            FROM infrastructure_area CROSS JOIN
                (SELECT unnest(range(getvariable('first_day'), getvariable('day_after'), INTERVAL 1 DAY))::DATE AS date)
            ORDER BY date, id
        )""",
}
"""DuckDB's SQL for a month of a table, from the tables that our generator reads."""
COMPARED = tuple(_SQL)
"""Tables that DuckDB generates, too."""


def measure(profile: str = PROFILE, count: int = MONTHS, runs: int = 3) -> list[Row]:
    """Every event and child table over the last full months of a profile."""
    keep_freed_memory()
    with farm(profile) as workspace:
        make(workspace, stages_before(REGISTRY.events))
        months = full_months(workspace, count)
        return [of_table(workspace, name, months, runs) for name in REGISTRY.events]


def full_months(workspace: Workspace, count: int) -> list[str]:
    """The last `count` full months."""
    return months_of(workspace)[-count - 1 : -1]


class InMemory:
    """What the generator of a table reads for some months, in memory. A summary also reads the month before them."""

    def __init__(self, lake: Lake, name: str, months: Sequence[str]) -> None:
        before = month_key(first_day(min(months)) - timedelta(days=1))
        self._months = [before, *months]
        self._parts: dict[tuple[str, str | None], pl.DataFrame] = {}
        for read in REGISTRY[name].reads:
            for month in self.partitions(read) or (None,):
                if lake.has(read, month):
                    self._parts[read, month] = lake.read(read, month)

    def partitions(self, table: str) -> list[str]:
        """The months, of a table that is kept by month."""
        return self._months if REGISTRY[table].is_monthly else []

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether the table, or its month, was read."""
        return (table, partition) in self._parts

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A table, or some months of it."""
        wanted = partitions if partitions is not None else self.partitions(table) or (None,)
        return pl.concat([self._parts[table, month] for month in wanted]).lazy()

    def parts(self, month: str) -> dict[str, pl.DataFrame]:
        """Every table: of those kept by month, this month."""
        return {name: rows for (name, of), rows in self._parts.items() if of in (month, None)}


Use = Callable[[str, pl.DataFrame], object]
"""Takes a month and its rows."""


def _making(workspace: Workspace, name: str, months: Sequence[str], use: Use, threads: int) -> Callable[[], object]:
    """Making the months of a table in the groups in which the assets make them."""
    definition, farm, tables = REGISTRY[name], workspace.planned, InMemory(workspace.lake, name, months)
    plan = Plan(*(workspace.lake.read(one) for one in PLAN))

    def work() -> None:
        shared: dict[Any, Any] = {}

        def make(group: Sequence[str]) -> None:
            inputs = Inputs(definition, farm, tables, months=group, shared=shared)
            for month, rows in rows_by_month(inputs, definition).items():
                use(month, rows)

        _side_by_side(make, groups_of_months(definition, farm, lambda: plan, months), threads)

    return work


def generated(workspace: Workspace, name: str, months: Sequence[str]) -> Callable[[], object]:
    """Making a table's months and writing them to the lake, as the assets do."""
    write = partial(workspace.lake.write, "measured")
    return _making(workspace, name, months, lambda month, rows: write(rows, month), THREADS)


def only_generated(workspace: Workspace, name: str, months: Sequence[str]) -> Callable[[], object]:
    """Making a table's months one group after another, without writing them."""
    return _making(workspace, name, months, lambda month, rows: None, threads=1)


def _side_by_side(work: Callable[[Any], object], items: Iterable[Any], threads: int = THREADS) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, items))


def written(workspace: Workspace, name: str, months: Sequence[str]) -> tuple[int, Callable[[], object]]:
    """Rows, and writing them from memory."""
    ready: dict[str, pl.DataFrame] = {}
    _making(workspace, name, months, ready.__setitem__, threads=1)()
    rows, write = sum(frame.height for frame in ready.values()), partial(workspace.lake.write, "measured")
    return rows, lambda: _side_by_side(lambda month: write(ready[month], month), months)


def by_duckdb(workspace: Workspace, name: str, months: Sequence[str]) -> Callable[[], int] | None:
    """The same shape in DuckDB's SQL; gives the rows that it made. None where no SQL is written."""
    if name not in _SQL:
        return None
    folder = workspace.settings.home / "duckdb" / name
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET VARIABLE fish_per_sample = {workspace.planned.fish_per_sample}")
    tables = InMemory(workspace.lake, name, months)
    for i, month in enumerate(months):
        for table, rows in tables.parts(month).items():
            connection.register("given", rows.to_arrow())
            connection.execute(f"CREATE TABLE {table}_{i} AS FROM given")
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS FROM {table}_{i}")
    for macro in (*_MACROS, *[_SAMPLED] * (LIFE_DAYS.name in REGISTRY[name].reads)):
        connection.execute(macro)

    def work() -> int:
        rows = 0
        for i, month in enumerate(months):
            for table in tables.parts(month):
                connection.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS FROM {table}_{i}")
            for day, value in (("first_day", first_day(month)), ("day_after", day_after(month))):
                connection.execute(f"SET VARIABLE {day} = DATE '{value}'")
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
    return (ours / (rows * _columns(name))) / (tpch / (_TPCH_ROWS * _TPCH_COLUMNS))


def _columns(name: str) -> int:
    return len(lake_schema(REGISTRY[name].table))


def of_table(workspace: Workspace, name: str, months: Sequence[str], runs: int) -> Row:
    """A table's line."""
    rows, floor = written(workspace, name, months)
    work, alone = generated(workspace, name, months), only_generated(workspace, name, months)
    duck, tpch = by_duckdb(workspace, name, months), by_tpchgen(workspace.settings.home)
    made = duck() if duck else 0
    assert duck is None or same_shape(workspace, name), name
    (ours, _), (_, to_floor), (cells, _), *theirs = by_turns(work, floor, tpch, *([duck] if duck else []), runs=runs)
    row: Row = {
        "table": name,
        "rows": rows,
        "seconds": ours,
        "million rows/s": rows / ours / 1e6,
        "million rows/CPU s": rows / cpu_seconds(work) / 1e6,
        "not written, million rows/CPU s": rows / cpu_seconds(alone) / 1e6,
        "million cells/s": rows * _columns(name) / ours / 1e6,
        "/ written": to_floor,
        "/ tpchgen, by cell": by_cell(name, rows, ours, cells),
    }
    for seconds, _ in theirs:
        row["/ DuckDB, by row"] = (ours / rows) / (seconds / made)
    return row


def same_shape(workspace: Workspace, name: str) -> bool:
    """Whether DuckDB's files have our columns and types, in our order of rows where the file can tell it."""
    theirs = pl.read_parquet(workspace.settings.home / "duckdb" / name / "0.parquet")
    schema = {n: pl.Time() if t == pl.Time() else t for n, t in theirs.schema.items()}
    by = [c for c in ("container_id", "reading_time", "feeding_date", "date", "area_id") if c in theirs.columns]
    return schema == dict(lake_schema(REGISTRY[name].table)) and theirs.select(by).equals(theirs.select(by).sort(by))
