"""Builds that are killed with SIGKILL, all of their processes at once, and built again: the same farm.

The moments are drawn from a seed, which each test prints. A moment is a step of the build and a part of the time that a
step takes. Dagster's own records tell that the step has started.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.assets.postgres import POOL
from aquamind_pipeline.definitions import BUILD_FARM, build_defs
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_config import Rule
from aquamind_pipeline.orchestration.run_health import PROCESS_TAG, runs_in_pool
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.commands import AQUAMIND
from tests.helpers.database import row_counts, rows_of
from tests.helpers.farms import digests, wait_for

LONGEST_SECONDS = 0.15
"""A kill comes at most this long after its step has started, as long as most steps of the tiny farm take."""
JOB = build_defs(load_settings(profile="tiny")).resolve_job_def(BUILD_FARM)
STEPS = [node.name for node in JOB.graph.nodes_in_topological_order]
LOAD = [node.name for node in JOB.graph.nodes_in_topological_order if POOL in str(getattr(node.definition, "pool", ""))]


@pytest.fixture
def settings(tmp_path: Path, database: SecretStr) -> Settings:
    """A farm to be built, without the checks: they take most of the time and change nothing."""
    skipped = tuple(rule.value for rule in Rule)
    return load_settings(profile="tiny", home=tmp_path, database_url=database.get_secret_value(), skip_checks=skipped)


def start(settings: Settings, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, AQUAMIND, "build"],
        env=os.environ | settings.environment() | {"DAGSTER_HOME": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(settings: Settings, instance: dg.DagsterInstance, step: str, seconds: float, *before: str) -> None:
    """Start a build, with these words before its command, and kill it, that long after a step has started."""
    earlier = {run.run_id for run in instance.get_runs()}
    process = start(settings, *before)
    new = wait_for(lambda: [run for run in instance.get_runs(limit=1) if run.run_id not in earlier], process)
    cursor: str | None = None

    def started() -> bool:
        nonlocal cursor
        found = instance.get_records_for_run(new[0].run_id, cursor, of_type=dg.DagsterEventType.STEP_START)
        cursor = found.cursor
        return step in {record.event_log_entry.step_key for record in found.records}

    wait_for(started, process)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def killed_and_built_again(settings: Settings, built: Settings, steps: Sequence[str], draw: random.Random) -> None:
    """Kill a build in each of these steps, one after the other. The last build is left alone, and must give the farm
    that a build without kills gives.
    """
    dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        for step in steps:
            kill(settings, instance, step, draw.random() * LONGEST_SECONDS)
        last = start(settings)
        _, errors = last.communicate()
        assert last.returncode == 0, errors
        assert "waiting" not in errors
        assert not runs_in_pool(instance, POOL)
        done, *killed = [run.status for run in instance.get_runs()]
        assert done == dg.DagsterRunStatus.SUCCESS
        assert set(killed) <= {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}
    assert digests(settings.lake_path) == digests(built.lake_path)
    lake, database = Lake(settings.lake_path), settings.database_url
    assert database is not None
    assert row_counts(database) == rows_of(lake)
    assert all(found.passed for found in comparison.compared(open_target(database), lake, REGISTRY.aquamind))


def drawn() -> random.Random:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"KILL_SEED={seed}\n")
    return random.Random(seed)  # noqa: S311 - moments to kill, no secrets


def test_a_killed_build_is_built_again(settings: Settings, built: Settings) -> None:
    """Killed in the load as often as before it. A slow test kills every step."""
    draw = drawn()
    others = [step for step in STEPS if step not in LOAD]
    killed_and_built_again(settings, built, [draw.choice(draw.choice([others, LOAD]))], draw)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_build_killed_in_any_step_is_built_again(settings: Settings, built: Settings, part: int) -> None:
    """Every step of the build is killed once, in a drawn order, ten kills for each farm."""
    draw = drawn()
    killed_and_built_again(settings, built, draw.sample(STEPS[part::4], len(STEPS[part::4])), draw)


@pytest.mark.system
def test_a_build_killed_in_a_container_with_another_name_is_built_again(settings: Settings) -> None:
    """In a namespace of host names and one of processes, as a container's. Only root can make them."""
    container = ("unshare", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", 'hostname earlier; exec "$@"', "-")
    dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        kill(settings, instance, LOAD[0], 0, *container)
        (killed,) = instance.get_runs()
        assert killed.tags[PROCESS_TAG].startswith("earlier:")
        last = start(settings)
        _, errors = last.communicate()
        assert last.returncode == 0, errors
        assert [run.status.name for run in instance.get_runs()] == ["SUCCESS", "FAILURE"]
