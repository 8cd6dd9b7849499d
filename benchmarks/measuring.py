"""Farms to measure on, seconds by turns, and the peak memory of a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.orchestration.asset_specs import LIFE_TABLES, PLAN_TABLES, STORE_COST, TEMPERATURE
from aquamind_pipeline.orchestration.partitions import months, range_tags
from aquamind_pipeline.orchestration.run_jobs import dagster_home
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.settings import load_settings
from aquamind_pipeline.tables import EVENT_TABLES, STATE_TABLE, of_layer

RUNS = 5
READINGS, FEEDINGS = "environmental_environmentalreading", "inventory_feedingevent"
_PURCHASES = ("inventory_feedpurchase", "inventory_feedcontainerstock")

STAGES: dict[str, Sequence[str]] = {
    "infrastructure": (*of_layer("infrastructure"), *of_layer("reference")),
    "plan": tuple(PLAN_TABLES),
    "life": tuple(LIFE_TABLES),
    "records": tuple(name for name in of_layer("batch") if name not in _PURCHASES),
    "stores": (*_PURCHASES, STORE_COST),
    **{name: (name,) for name in EVENT_TABLES},
    TEMPERATURE: (TEMPERATURE,),
    STATE_TABLE: (STATE_TABLE,),
    "load": ("postgres_master", "postgres_events", "postgres_states"),
}
"""Assets of each stage of a build, in the order in which they are made."""
LAKE_STAGES = [stage for stage in STAGES if stage != "load"]

Row = dict[str, str | int | float]
"""One line of a benchmark's table, by column."""


@contextmanager
def farm(profile: str) -> Iterator[Workspace]:
    """A workspace in a folder of its own, with nothing built yet, for as long as it is wanted."""
    with tempfile.TemporaryDirectory(prefix="aquamind-bench-") as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as nobody
        os.environ.pop("DAGSTER_HOME", None)
        yield Workspace(load_settings(profile=profile, home=Path(folder)))
        os.environ.pop("DAGSTER_HOME", None)


@contextmanager
def built(profile: str) -> Iterator[Workspace]:
    """A workspace with the whole lake of a profile, unchecked."""
    with farm(profile) as workspace:
        make(workspace, LAKE_STAGES)
        yield workspace


def make(workspace: Workspace, stages: Sequence[str], some_months: Sequence[str] | None = None) -> None:
    """Run stages as a build does, in one run over the farm's months or some successive ones, without checks."""
    wanted = workspace.settings.farm
    assets = [asset for stage in stages for asset in STAGES[stage]]
    job = dg.define_asset_job("measured", dg.AssetSelection.assets(*assets).without_checks())
    ours = build_defs(workspace.settings, resource_overrides={"workspace": workspace})
    dagster_home(workspace.settings)
    with dg.DagsterInstance.get() as instance:
        dg.Definitions.merge(ours, dg.Definitions(jobs=[job])).resolve_job_def("measured").execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags=range_tags(list(some_months or months(wanted.epoch, wanted.as_of))),
        )


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def by_turns(work: Callable[[], object], *floors: Callable[[], object], runs: int = RUNS) -> list[tuple[float, float]]:
    """Median seconds of work and of each floor, and median of the ratio of work to it.

    They take turns, so that a slow minute of the machine hits all of them.
    """
    taken = [[seconds(one) for one in (work, *floors)] for _ in range(runs)]
    medians = [statistics.median(column) for column in zip(*taken, strict=True)]
    ratios = [statistics.median(turn[0] / turn[i] for turn in taken) for i in range(len(medians))]
    return list(zip(medians, ratios, strict=True))


def against(name: str, rows: int, work: Callable[[], object], floor: Callable[[], object], runs: int = RUNS) -> Row:
    """A line that compares work with its floor."""
    (worked, _), (least, ratio) = by_turns(work, floor, runs=runs)
    return {"work": name, "rows": rows, "seconds": worked, "floor": least, "ratio": ratio}


def alone(module: str, *arguments: str, **environment: str) -> dict[str, float]:
    """What a module prints as JSON when it runs in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | environment)
    return dict(json.loads(done.stdout))


def peak_mib() -> float:
    """Peak resident memory of this process; getrusage would tell its parent's, where that was larger."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
