"""A farm that the disk has no room for is refused before anything is written; what is there already counts."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline import tables
from aquamind_pipeline.definitions import BUILD_FARM, BUILD_LAKE, LOAD_DATABASE
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.partitions import months
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.pipeline import disk_space
from aquamind_pipeline.pipeline.disk_space import Room
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.settings import Settings, load_settings
from tests import farms
from tests.test_cli import aquamind, one_line


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of 300 KB that a server could use, too."""
    with farms.small_disk(home / "disk", "300k") as folder:
        yield folder


def test_too_little_is_refused_enough_is_not() -> None:
    disk_space.require([Room("the lake", Path("/a"), needed=5_000_000, free=5_000_000), Room("x", Path("/b"), 0, 0)])
    with pytest.raises(LakeError) as refused:
        disk_space.require(
            [Room("the lake", Path("/a"), 1, 2), Room("the server", Path("/b"), 2_600_000_000, 1_400_000_000)]
        )
    assert str(refused.value) == (
        "too little room: the disk of /b has 1.4 GB free; the server: about 2.6 GB more. "
        "Free some, set AQUAMIND_HOME to a larger disk, or take a smaller profile"
    )


def test_what_a_farm_needs(tmp_path: Path, server: SecretStr, home: Path) -> None:
    """One disk for lake and server counts both; a server by URL is not counted; a cluster that exists is."""
    settings = load_settings(profile="tiny", home=tmp_path / "not" / "made" / "yet")
    seen = preview(settings.farm)
    (both,) = disk_space.rooms(settings, settings.farm)
    assert both.what == "the lake and the embedded PostgreSQL"
    assert both.needed == seen.lake_bytes + seen.server_bytes
    assert abs(both.free - shutil.disk_usage(tmp_path).free) < 1e9
    (lake,) = disk_space.rooms(settings.model_copy(update={"database_url": server}), settings.farm)
    assert (lake.what, lake.needed) == ("the lake", seen.lake_bytes)
    assert not list(tmp_path.iterdir())

    (there,) = disk_space.rooms(load_settings(profile="tiny", home=home), settings.farm, lake=False)
    held = EmbeddedServer(home).held("no such database")
    assert held > 20_000_000
    assert there.needed == max(0, seen.server_bytes - held)


def test_folders_that_we_may_not_enter_are_named(home: Path) -> None:
    folder = home / "locked"
    folder.mkdir(mode=0)
    user = os.geteuid()
    for settings in (
        load_settings(profile="tiny", home=folder / "home"),
        load_settings(profile="tiny", home=folder / "home", lake=home / "not made"),
    ):
        preview(settings.farm)
        try:
            os.seteuid(user or 65534)  # root may enter every folder
            with pytest.raises(LakeError, match=f"{folder}/home.* cannot be read .*: check AQUAMIND_HOME"):
                disk_space.rooms(settings, settings.farm)
        finally:
            os.seteuid(user)


def test_a_databases_own_bytes_count(server: SecretStr, home: Path, database: SecretStr) -> None:
    name = database.get_secret_value().rsplit("/", 1)[1]
    with psycopg.connect(server.get_secret_value()) as connection:
        row = connection.execute("SELECT pg_database_size(%s)", (name,)).fetchone()
    assert row is not None
    assert EmbeddedServer(home).held(name) - EmbeddedServer(home).held("no such database") == row[0]


def test_the_estimate_is_close(built: Settings) -> None:
    """Within a tenth of the small farm's lake; the large ones' measured sizes stand in docs/volumes.md."""
    lake = Lake(built.lake_path)
    size = sum(lake.size(table) for table in lake.tables())
    assert size < preview(built.farm).lake_bytes < 1.1 * size


def test_a_full_disk_is_said_before_anything_is_written(small_disk: Path, tmp_path: Path, home: Path) -> None:
    """From the command line, and from Dagster's runs of the whole farm; a plan only says it."""
    where = {"AQUAMIND_HOME": str(tmp_path / "home"), "AQUAMIND_LAKE": str(small_disk / "lake")}
    message = f"too little room: the disk of {small_disk}/lake has 0.3 MB free; the lake: about 0.7 MB more"
    one_line(aquamind("build", "--no-database", **where), message)
    one_line(aquamind("build", **where), message)
    planned = aquamind("plan", **where)
    assert planned.returncode == 0
    assert message.removeprefix("too little room: ") in planned.stdout
    assert "the embedded PostgreSQL: about" in planned.stdout
    assert not list(tmp_path.glob("home/*"))

    settings = load_settings(profile="tiny", home=home, lake=small_disk / "lake")
    for job in (BUILD_LAKE, BUILD_FARM):
        with pytest.raises(LakeError, match="too little room"):
            run_job(Workspace(settings), job, months(settings.farm.epoch, settings.farm.as_of))
    assert not list(small_disk.rglob("*.parquet"))


def test_a_farm_that_is_there_is_not_refused(small_disk: Path, built: Settings) -> None:
    """Its lake on a disk that could not hold a second one; without it the same disk is too small."""
    subprocess.run(["mount", "-o", "remount,size=1600k", small_disk], check=True)
    settings = load_settings(profile="tiny", home=built.home, lake=small_disk / "lake")
    shutil.copytree(built.lake_path, settings.lake_path)
    (small_disk / "other").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 200_000))
    farm = settings.farm
    disk_space.require(disk_space.rooms(settings, farm, database=False))
    shutil.rmtree(settings.lake_path / "environmental_environmentalreading")
    (small_disk / "more").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 200_000))
    with pytest.raises(LakeError, match="too little room"):
        disk_space.require(disk_space.rooms(settings, farm, database=False))


def test_a_server_without_room_is_not_begun(
    small_disk: Path, a_copy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`load_database` in Dagster and `aquamind load`: the lake is there, the server's disk is too small."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    settings = a_copy.model_copy(update={"home": small_disk})
    with pytest.raises(LakeError, match="the embedded PostgreSQL: about"):
        run_job(Workspace(settings), LOAD_DATABASE, months(settings.farm.epoch, settings.farm.as_of))
    done = aquamind("load", AQUAMIND_HOME=str(small_disk), AQUAMIND_LAKE=str(settings.lake_path))
    one_line(done, "the embedded PostgreSQL: about")
    assert not (small_disk / "postgres").exists()


def test_runs_over_some_tables_are_let_through(small_disk: Path, home: Path) -> None:
    """Materialising one table needs little, and is its user's own business."""
    settings = load_settings(profile="tiny", home=home / "some", lake=small_disk / "lake")
    assert run_job(Workspace(settings), BUILD_LAKE, ["2026-02"], assets=tables.of_layer("infrastructure")).success
