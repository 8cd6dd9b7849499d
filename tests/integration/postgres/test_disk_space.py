"""A farm that does not fit on the disk is refused before anything is written. Files that exist already count."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.definitions import BUILD_FARM, BUILD_LAKE, LOAD_DATABASE
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline import disk_space
from aquamind_pipeline.pipeline.disk_space import DiskSpace
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres.server import EmbeddedServer
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers import farms
from tests.helpers.commands import aquamind, one_line
from tests.helpers.farms import steps_in_order


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of 300 KB that a server could use, too."""
    with farms.small_disk(home / "disk", "300k") as folder:
        yield folder


def test_a_disk_that_is_too_small_is_refused() -> None:
    disk_space.require(
        [DiskSpace("the lake", Path("/a"), needed=5_000_000, free=5_000_000), DiskSpace("x", Path("/b"), 0, 0)]
    )
    with pytest.raises(LakeError) as refused:
        disk_space.require(
            [DiskSpace("the lake", Path("/a"), 1, 2), DiskSpace("the server", Path("/b"), 2_600_000_000, 1_400_000_000)]
        )
    assert str(refused.value) == (
        "too little disk space: the disk of /b has 1.4 GB free; the server will take about 2.6 GB more. "
        "Free some, set AQUAMIND_HOME to a larger disk, or take a smaller profile"
    )


def test_every_disk_that_a_farm_needs(tmp_path: Path, server: SecretStr, server_home: Path) -> None:
    """One disk of lake and server counts both. A server given by URL does not count; an existing cluster does."""
    settings = load_settings(profile="tiny", home=tmp_path / "not" / "made" / "yet")
    seen = preview(settings.farm)
    (both,) = disk_space.disk_spaces(settings, settings.farm)
    assert both.content == "the lake and the embedded PostgreSQL"
    assert both.needed == seen.lake_bytes + seen.server_bytes
    assert abs(both.free - shutil.disk_usage(tmp_path).free) < 1e9
    (lake,) = disk_space.disk_spaces(settings.model_copy(update={"database_url": server}), settings.farm)
    assert (lake.content, lake.needed) == ("the lake", seen.lake_bytes)
    assert not list(tmp_path.iterdir())

    (there,) = disk_space.disk_spaces(load_settings(profile="tiny", home=server_home), settings.farm, lake=False)
    held = EmbeddedServer(server_home).held("no such database")
    assert held > 20_000_000
    assert there.needed == max(0, seen.server_bytes - held)


def test_a_folder_that_cannot_be_read_is_named(home: Path) -> None:
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
                disk_space.disk_spaces(settings, settings.farm)
        finally:
            os.seteuid(user)


def test_the_bytes_of_the_database_count(server: SecretStr, server_home: Path, database: SecretStr) -> None:
    name = database.get_secret_value().rsplit("/", 1)[1]
    with psycopg.connect(server.get_secret_value()) as connection:
        row = connection.execute("SELECT pg_database_size(%s)", (name,)).fetchone()
    assert row is not None
    assert EmbeddedServer(server_home).held(name) - EmbeddedServer(server_home).held("no such database") == row[0]


def test_the_estimate_is_close(built: Settings) -> None:
    """Within a tenth for the small farm. docs/volumes.md has the measured sizes of the large ones."""
    lake = Lake(built.lake_path)
    size = sum(lake.size(table) for table in lake.tables())
    assert size < preview(built.farm).lake_bytes < 1.1 * size


def test_a_full_disk_is_reported_before_anything_is_written(small_disk: Path, tmp_path: Path, home: Path) -> None:
    """By the command line, and by Dagster's runs of the whole farm. `plan` only shows it."""
    where = {"AQUAMIND_HOME": str(tmp_path / "home"), "AQUAMIND_LAKE": str(small_disk / "lake")}
    needed = disk_space.size(preview(load_settings(profile="tiny").farm).lake_bytes)
    lake_disk = f"the disk of {small_disk}/lake has 0.3 MB free; the lake will take about {needed} more"
    message = f"too little disk space: {lake_disk}"
    one_line(aquamind("build", "--no-database", **where), message)
    one_line(aquamind("build", **where), message)
    planned = aquamind("plan", **where)
    assert planned.returncode == 0
    assert message.removeprefix("too little disk space: ") in planned.stdout
    assert "the embedded PostgreSQL will take about" in planned.stdout
    assert not list(tmp_path.glob("home/*"))

    settings = load_settings(profile="tiny", home=home, lake=small_disk / "lake")
    for job in (BUILD_LAKE, BUILD_FARM):
        with pytest.raises(LakeError, match="too little disk space"):
            run_job(Workspace(settings), job, months_between(settings.farm.epoch, settings.farm.as_of))
    assert not list(small_disk.rglob("*.parquet"))


def test_a_farm_that_exists_already_is_not_refused(small_disk: Path, built: Settings) -> None:
    """The lake lies on a disk with no space for a second lake. Without the lake the same disk is too small."""
    subprocess.run(["mount", "-o", "remount,size=3000k", small_disk], check=True)
    settings = load_settings(profile="tiny", home=built.home, lake=small_disk / "lake")
    shutil.copytree(built.lake_path, settings.lake_path)
    (small_disk / "other").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 200_000))
    farm = settings.farm
    disk_space.require(disk_space.disk_spaces(settings, farm, database=False))
    shutil.rmtree(settings.lake_path / "environmental_environmentalreading")
    (small_disk / "more").write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 200_000))
    with pytest.raises(LakeError, match="too little disk space"):
        disk_space.require(disk_space.disk_spaces(settings, farm, database=False))


def test_a_server_on_a_disk_that_is_too_small_is_not_started(
    small_disk: Path, a_copy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `load_database` in Dagster and by `aquamind load`: the lake exists, the server's disk is too small."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    settings = a_copy.model_copy(update={"home": small_disk})
    with pytest.raises(LakeError, match="the embedded PostgreSQL will take about"):
        run_job(Workspace(settings), LOAD_DATABASE, months_between(settings.farm.epoch, settings.farm.as_of))
    done = aquamind("load", AQUAMIND_HOME=str(small_disk), AQUAMIND_LAKE=str(settings.lake_path))
    one_line(done, "the embedded PostgreSQL will take about")
    assert not (small_disk / "postgres").exists()


def test_runs_of_some_tables_are_not_checked(small_disk: Path, home: Path) -> None:
    """One step needs little space."""
    some = [one.name for one in steps_in_order()[0]]
    settings = load_settings(profile="tiny", home=home / "some", lake=small_disk / "lake")
    assert run_job(Workspace(settings), BUILD_LAKE, ["2026-02"], assets=some).success
