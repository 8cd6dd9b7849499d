"""Steps in processes of their own, and on a real Dask cluster of two workers: same bytes, checks block, one owner."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
import psutil
import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps.batch.daily_states import TEMPERATURE
from aquamind_pipeline.definitions import BUILD_LAKE, BUILD_MONTH, MONTH_ASSETS
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.compat import dask_steps
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_jobs import Outcome, run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings, load_settings
from tests.conftest import new_database
from tests.helpers.commands import AQUAMIND
from tests.helpers.farms import digests, wait_for
from tests.helpers.objects import put_lake

MONTH = "2026-04"
READINGS = "environmental_environmentalreading"


@pytest.fixture(scope="module")
def target(server: SecretStr) -> Iterator[SecretStr]:
    with new_database(server) as url:
        yield url


@pytest.fixture(scope="module")
def cluster(s3: Mapping[str, str], target: SecretStr, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers, processes of one thread; of settings they know secrets alone."""
    folder = tmp_path_factory.mktemp("dask")
    found = folder / "scheduler.json"
    environment = (
        os.environ | s3 | {"AQUAMIND_DATABASE_URL": target.get_secret_value(), "AQUAMIND_SEED": "7"}
    )  # the run's settings count
    one = ["--scheduler-file", str(found), "--no-dashboard"]
    commands = [["scheduler", "--host", "127.0.0.1", "--port", "0", *one], *[["worker", "--nthreads", "1", *one]] * 2]
    with contextlib.ExitStack() as started:
        log = started.enter_context((folder / "log").open("w"))
        processes = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command], env=environment, stdout=log, stderr=log, cwd=folder
            )
            started.callback(process.wait)
            started.callback(process.terminate)
            processes.append(process)
        wait_for(found.exists, *processes)
        wait_for(lambda: (folder / "log").read_text().count("Registered to:") == 2, *processes)
        yield json.loads(found.read_text())["address"]


@pytest.fixture
def instance(own_environment: None, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    dagster_home(load_settings(profile="tiny", home=tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_on_dask_a_month_has_the_same_bytes_and_a_failed_check_stops_the_load(
    instance: dg.DagsterInstance,
    built: Settings,
    s3: Mapping[str, str],
    bucket: str,
    cluster: str,
    target: SecretStr,
    tmp_path: Path,
) -> None:
    """Two workers write one lake on S3 in the name of the command that holds it; their own settings do not matter.

    One sensor is gone from the lake, so readings are too few and nothing may reach the database; deaths do not look at
    sensors and have their bytes. A table that reads readings waits for their checks. A slow test makes all tables.
    """
    first, later = {READINGS, "batch_mortalityevent"}, {TEMPERATURE, "postgres_events"}
    put_lake(s3, Path(built.lake_path), bucket)
    lake, same = Lake(bucket), Lake(built.lake_path)
    used = lake.read(READINGS, MONTH)["sensor_id"][0]
    lake.write("infrastructure_sensor", lake.read("infrastructure_sensor").filter(pl.col("id") != used))
    for name in {*first, *later} & set(MONTH_ASSETS):
        lake.remove(name, MONTH)
    settings = load_settings(
        profile="tiny",
        home=tmp_path,
        lake=bucket,
        executor="dask",
        dask_address=cluster,
        database_url=target.get_secret_value(),
        skip_checks=("expectations",),
    )
    outcome = build_month(settings, *first, *later)
    assert not outcome.success
    assert [one for one in outcome.failed_checks if one.startswith(f"{READINGS} gaps")], outcome
    assert first <= outcome.step_seconds.keys()
    assert not later & outcome.step_seconds.keys()
    with psycopg.connect(target.get_secret_value()) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    differ = {name for name in first if lake.digest(name, MONTH) != same.digest(name, MONTH)}
    assert differ == {READINGS}

    (run,) = instance.get_runs()
    said = "".join(str(event) for event in instance.all_logs(run.run_id))
    assert "Waiting for a Dask worker" in said
    assert "hunter2" not in said
    assert target.get_secret_value().split(":")[2].split("@")[0] not in said


def test_on_dask_ctrl_c_stops_the_steps(a_copy: Settings, cluster: str, tmp_path: Path) -> None:
    """After Ctrl-C during the steps the lake is unlocked."""
    environment = os.environ | a_copy.environment() | {"AQUAMIND_EXECUTOR": "dask", "AQUAMIND_DASK_ADDRESS": cluster}
    lake = Lake(a_copy.lake_path)
    for name in MONTH_ASSETS:
        lake.remove(name, MONTH)
    process = subprocess.Popen(
        [AQUAMIND, "build", "--month", MONTH, "--no-database"], env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: any(lake.has(name, MONTH) for name in MONTH_ASSETS), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.strip() == "Interrupted. Finished files are kept; run again to continue."
    with lake.exclusive():
        assert not lake.has("container_day_temperature", MONTH), "the signal came too late: every step had ended"


def test_an_executor_that_cannot_be_used() -> None:
    with pytest.raises(ConfigError, match="set AQUAMIND_DASK_ADDRESS"):
        load_settings(executor="dask")
    with pytest.raises(ConfigError, match="AQUAMIND_EXECUTOR"):
        load_settings(executor="fork")


def test_an_executor_without_its_cluster(
    instance: dg.DagsterInstance, a_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = a_copy.model_copy(update={"executor": "dask", "dask_address": "tcp://127.0.0.1:1"})
    monkeypatch.setattr(dask_steps, "_CONNECT_SECONDS", 1)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1: start it") as caught:
        build_month(nobody, *MONTH_ASSETS)
    assert "\n" not in str(caught.value)
    assert "AQUAMIND_DASK_ADDRESS" not in os.environ


@pytest.mark.slow
def test_on_dask_a_killed_step_fails_its_run(a_copy: Settings, cluster: str) -> None:
    """The kernel may kill a step for lack of memory. The run fails with that reason and unlocks the lake."""
    environment = os.environ | a_copy.environment() | {"AQUAMIND_EXECUTOR": "dask", "AQUAMIND_DASK_ADDRESS": cluster}
    process = subprocess.Popen(
        [AQUAMIND, "build", "--month", MONTH, "--no-database"], env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for(step_processes, process)[0].kill()
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "ended with status -9" in errors
    with Lake(a_copy.lake_path).exclusive():
        pass


def step_processes() -> list[psutil.Process]:
    """Processes of the steps that our workers execute now."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since
            if "execute_step" in child.cmdline():
                found.append(child)
    return found


@pytest.mark.slow
def test_on_dask_the_whole_farm_has_the_same_bytes(
    instance: dg.DagsterInstance, built: Settings, bucket: str, cluster: str, tmp_path: Path
) -> None:
    settings = load_settings(profile="tiny", home=tmp_path, lake=bucket, executor="dask", dask_address=cluster)
    lake, same = build_whole(settings), Lake(built.lake_path)
    for name in digests(Path(built.lake_path)):
        table, _, partition = name.partition("/")
        month = None if partition == "all" else partition
        assert lake.digest(table, month) == same.digest(table, month), name


@pytest.mark.slow
def test_in_processes_the_whole_farm_has_the_same_bytes(
    instance: dg.DagsterInstance, built: Settings, tmp_path: Path
) -> None:
    settings = load_settings(profile="tiny", home=tmp_path, executor="multiprocess")
    build_whole(settings)
    assert digests(Path(settings.lake_path)) == digests(Path(built.lake_path))


def build_whole(settings: Settings) -> Lake:
    workspace = Workspace(settings)
    with workspace.lake.exclusive():
        outcome = run_job(workspace, BUILD_LAKE, months_between(settings.farm.epoch, settings.farm.as_of))
    assert outcome.success
    assert not outcome.failed_checks
    return workspace.lake


def build_month(settings: Settings, *assets: str) -> Outcome:
    """Build one month as a command does, which locks the lake."""
    workspace = Workspace(settings)
    with workspace.lake.exclusive():
        return run_job(workspace, BUILD_MONTH, [MONTH], assets=assets or None)
