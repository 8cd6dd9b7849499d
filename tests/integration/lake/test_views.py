"""The lake for other programs: DuckDB's views, the examples of its page, and row groups that queries can skip."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.environmental import readings
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import ROW_GROUP_ROWS, Lake, duckdb_views
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.settings import Settings
from tests.helpers.commands import aquamind, one_line
from tests.helpers.golden import RENEW
from tests.helpers.places import DOCS, SIGNS

PAGE = DOCS / "lake.md"
READINGS = readings.READINGS.name
BLOCK = re.compile(r"^```(python|sql|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def lake(built: Settings, tmp_path: Path) -> Lake:
    """The built lake with its views, in the folder that the examples of its page use."""
    lake = Lake(tmp_path / "data" / "lake" / "tiny")
    shutil.copytree(built.lake_path, lake.folder)
    duckdb_views.create(lake)
    return lake


def ask(lake: Lake, query: str, *values: object) -> list[tuple[Any, ...]]:
    with duckdb.connect(duckdb_views.path_of(lake.folder), read_only=True) as connection:
        return connection.execute(query, values).fetchall()


def test_a_view_for_every_table(lake: Lake) -> None:
    """AquaMind's tables and our own, each with its comments and rows; monthly tables with their month."""
    comments = ask(lake, "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal")
    assert dict(comments) == {name: one.meaning for name, one in REGISTRY.items()}
    told = dict(ask(lake, "SELECT table_name || '.' || column_name, comment FROM duckdb_columns() WHERE NOT internal"))
    assert told["inventory_feedingevent.amount_kg"] == "Feed given in this meal [kg]"
    assert told["life_day.assignment_id"]
    assert [column for column, comment in told.items() if not comment] == []
    for name in REGISTRY:
        assert ask(lake, "SELECT count(*) FROM query_table(?)", name) == [(lake.rows(name),)]
    for name in (name for name, one in REGISTRY.items() if one.is_monthly):
        found = ask(lake, "SELECT month, count(*) FROM query_table(?) GROUP BY month ORDER BY month", name)
        months = [(month, lake.rows(name, month)) for month in lake.partitions(name)]
        assert found == [(month, rows) for month, rows in months if rows]


def test_every_sign_in_a_path_is_taken_as_it_is(built: Settings, tmp_path: Path) -> None:
    """No quote, glob or `year=2026` of the path changes what Polars and the views read. Printed lines can be copied."""
    lake = Lake(tmp_path / SIGNS / "lake")
    shutil.copytree(built.lake_path, lake.folder)
    done = aquamind("lake", AQUAMIND_HOME=str(tmp_path), AQUAMIND_LAKE=str(lake.folder))
    assert done.returncode == 0, done.stderr
    for name, one in REGISTRY.items():
        rows = lake.read(name)
        assert rows.equals(Lake(built.lake_path).read(name))
        answer = ask(lake, "FROM (DESCRIBE FROM query_table(?))", name)
        assert [column for column, *_ in answer] == [*rows.columns, *(["month"] if one.is_monthly else [])]
        assert ask(lake, "SELECT count(*) FROM query_table(?)", name) == [(rows.height,)]
    in_python, in_shell = (line.partition(": ")[2] for line in done.stdout.splitlines()[-2:])
    with eval(in_python, {"duckdb": duckdb}) as connection:  # noqa: S307 - what a user would copy
        assert connection.execute("SELECT count(*) FROM batch_batch").fetchone() == (lake.rows("batch_batch"),)
    assert shlex.split(in_shell) == ["duckdb", "-readonly", str(duckdb_views.path_of(lake.folder))]


def test_a_backslash_is_refused_since_duckdb_takes_it_for_a_slash(built: Settings, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "a\\b")
    shutil.copytree(built.lake_path, lake.folder)
    assert lake.rows("batch_batch") == Lake(built.lake_path).rows("batch_batch")
    with pytest.raises(LakeError, match=r"DuckDB cannot open .*a\\b.duckdb, because of the backslash"):
        duckdb_views.create(lake)


def test_views_show_the_lake_as_it_is_now(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any folder, after a month was added, after the lake was deleted and built again; without temporary files."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.copytree(lake.folder, tmp_path / "kept")
    june = lake.read("inventory_feedingevent", "2026-06")
    lake.write("inventory_feedingevent", june, "2026-07")
    (lake.path("inventory_feedingevent").parent / ".2026-08.parquet.77").write_bytes(b"half")
    assert ask(lake, "SELECT count(*) FROM inventory_feedingevent WHERE month = '2026-07'") == [(june.height,)]
    assert lake.delete(lake.tables())
    with pytest.raises(duckdb.IOException):
        ask(lake, "SELECT count(*) FROM inventory_feedingevent")
    shutil.copytree(tmp_path / "kept", lake.folder)
    assert ask(lake, "SELECT max(month) FROM inventory_feedingevent") == [("2026-06",)]


def test_folders_with_strange_names(lake: Lake, tmp_path: Path) -> None:
    copy = Lake(tmp_path / "o'hara [1] *" / "lake")
    shutil.copytree(lake.folder, copy.folder)
    duckdb_views.create(copy)
    assert ask(copy, "SELECT count(*) FROM environmental_environmentalreading") == [(lake.rows(READINGS),)]
    assert ask(copy, "SELECT count(*) FROM batch_batch") == [(14,)]


def test_views_move_with_the_lake(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy shows its own rows, by any path that leads to it; a lake that was moved shows what it showed before."""
    old, copy = lake.folder.parent, tmp_path / "o'hara [1] *"
    shutil.copytree(old, copy)
    Lake(copy / "tiny").write("batch_batch", lake.read("batch_batch").head(2))
    (tmp_path / "link").symlink_to(copy)
    monkeypatch.chdir(copy)
    for path in ("tiny.duckdb", "./tiny.duckdb", copy / "tiny.duckdb", tmp_path / "link" / "tiny.duckdb"):
        with duckdb.connect(path, read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM batch_batch").fetchone() == (2,)
    assert ask(lake, "SELECT count(*) FROM batch_batch") == [(14,)]
    moved = Lake(old.rename(tmp_path / "moved") / "tiny")
    for name in REGISTRY:
        assert ask(moved, "SELECT count(*) FROM query_table(?)", name) == [(moved.rows(name),)]


def test_attached_views_never_show_another_lake(lake: Lake, tmp_path: Path) -> None:
    """Attached to another file, views look where they were made. Two files of one name are refused with the remedy."""
    other = Lake(tmp_path / "other" / "tiny")
    shutil.copytree(lake.folder, other.folder)
    other.write("batch_batch", lake.read("batch_batch").head(2))
    duckdb_views.create(other)
    paths = [duckdb_views.path_of(one.folder) for one in (lake, other)]

    def rows(opened: Path | str, attached: Path, view: str, **options: str) -> object:
        with duckdb.connect(opened, config=options) as connection:
            connection.execute(f"ATTACH '{attached}' AS attached (READ_ONLY)")
            return connection.execute(f"SELECT count(*) FROM {view}").fetchone()  # noqa: S608 - names of ours

    for path, found in zip(paths, (14, 2), strict=True):
        for opened in (":memory:", tmp_path / "own.duckdb"):
            assert rows(opened, path, "attached.batch_batch") == (found,)
    for view in ("tiny.batch_batch", "attached.batch_batch"):
        with pytest.raises(duckdb.InvalidInputException, match=r"attach both to a connection in memory"):
            rows(paths[0], paths[1], view)
    assert rows(paths[0], paths[1], "attached.batch_batch", temp_directory=str(tmp_path / "spill")) == (2,)


def test_an_empty_lake_has_no_views(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="run `aquamind build` first"):
        duckdb_views.create(Lake(tmp_path / "lake"))
    one_line(aquamind("lake", AQUAMIND_HOME=str(tmp_path)), "there is no lake")
    assert not list(tmp_path.rglob("*.duckdb"))


def test_the_command_shows_path_and_sizes(lake: Lake, tmp_path: Path) -> None:
    duckdb_views.path_of(lake.folder).unlink()
    home = tmp_path / "data"
    done = aquamind("lake", AQUAMIND_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "read_only=True" in done.stdout
    assert str(home / "lake" / "tiny.duckdb") in done.stdout
    each = lake.size(READINGS) / lake.rows(READINGS)
    assert re.search(rf"{READINGS} *│ *5 │ *{lake.rows(READINGS):,} │ .*│ *{each:.1f} │", done.stdout)
    assert ask(lake, "SELECT count(*) FROM batch_batch") == [(14,)]
    assert aquamind("wipe", "--yes", "--no-database", AQUAMIND_HOME=str(home)).returncode == 0
    assert not duckdb_views.path_of(lake.folder).exists()


@pytest.mark.generated
@pytest.mark.usefixtures("lake")
def test_the_pages_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of the page runs, in order, and prints what the page shows. `make renew` writes what they print."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    said, ran = "", 0
    page = PAGE.read_text(encoding="utf-8")

    def shown(block: re.Match[str]) -> str:
        nonlocal said, ran
        language, text = block.groups()
        if language == "text":
            return f"```text\n{said.strip()}\n```"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(text if language == "python" else f"print(lake.sql({text!r}))", names)  # noqa: S102 - our own page
        said, ran = output.getvalue(), ran + 1
        return block[0]

    found = BLOCK.sub(shown, page)
    names["lake"].close()
    if RENEW:
        PAGE.write_text(found, encoding="utf-8")
    assert found == page or RENEW
    assert ran == 5


@pytest.fixture(scope="module")
def large_month(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A month of the full farm's first year: more readings than a row group holds."""
    farm = MemoryTables(load_profile("saturation-170", as_of=date(2020, 6, 30)))
    lake = Lake(tmp_path_factory.mktemp("large") / "lake")
    lake.write(READINGS, farm.make(READINGS, "2020-06"), "2020-06")
    return lake


def test_readings_are_sorted_and_have_statistics(large_month: Lake) -> None:
    """Sorted by container and time. All row groups but the last have one size, and statistics on every column."""
    rows = large_month.scan(READINGS).select("container_id", "reading_time").collect()
    assert rows.equals(rows.sort("container_id", "reading_time"))
    file = pq.read_metadata(large_month.path(READINGS, "2020-06"))
    sizes = [file.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {ROW_GROUP_ROWS}
    assert sizes[-1] <= ROW_GROUP_ROWS
    for i in range(file.num_row_groups):
        for j in range(file.num_columns):
            chunk = file.row_group(i).column(j)
            assert chunk.compression == "ZSTD"
            assert chunk.is_stats_set, chunk.path_in_schema
            assert chunk.statistics.has_min_max, chunk.path_in_schema


def test_a_query_about_one_container_reads_few_row_groups(large_month: Lake) -> None:
    """DuckDB itself counts the row groups that it reads, and finds every row."""
    duckdb_views.create(large_month)
    rows = large_month.read(READINGS)
    groups = pq.read_metadata(large_month.path(READINGS, "2020-06")).num_row_groups
    containers = rows["container_id"].unique().sort().to_list()
    query = "SELECT value FROM environmental_environmentalreading WHERE container_id = ? AND reading_time >= ?"
    since = datetime(2020, 6, 10, tzinfo=UTC)
    for container in (containers[0], containers[len(containers) // 2], containers[-1]):
        plan = ask(large_month, f"EXPLAIN ANALYZE {query}", container, since)[0][1]
        scanned = re.search(r"Row Groups Scanned: (\d+) / (\d+)", plan)
        assert scanned is not None, plan
        assert int(scanned[2]) == groups
        assert int(scanned[1]) <= 2 < groups, "a container's rows lie together"
        wanted = rows.filter(pl.col("container_id") == container, pl.col("reading_time") >= since)
        assert ask(large_month, query, container, since) == [(value,) for value in wanted["value"]]


def test_a_query_about_one_month_opens_one_file(lake: Lake) -> None:
    plan = ask(lake, "EXPLAIN ANALYZE SELECT value FROM environmental_environmentalreading WHERE month = '2026-05'")
    assert "Scanning Files: 1/5" in plan[0][1]
