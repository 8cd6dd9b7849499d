"""Farms to measure on, seconds by turns, and the peak memory of a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.environmental import readings
from aquamind_pipeline.apps.inventory import feeding
from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.asset_specs import POSTGRES_ASSETS
from aquamind_pipeline.orchestration.partitions import range_tags
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.pipeline.slices import make_slices
from aquamind_pipeline.pipeline.steps import failure, make_months, make_whole
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.settings import load_settings

RUNS = 5
READINGS, FEEDINGS = readings.READINGS.name, feeding.FEEDINGS.name
LOAD = "load"

Steps = dict[str, list[TableDefinition]]
"""Build steps by name: the tables that each makes."""
Row = dict[str, str | int | float]
"""One line of a benchmark's table, by column."""


def _sources(name: str) -> set[str]:
    """Tables that must be there before a table: those that it reads; and the plan, which tells how far a farm goes."""
    definition = REGISTRY[name]
    planned = () if definition.kind is Kind.REFERENCE or name in PLAN else PLAN
    return {*planned, *definition.reads}


def _in_order() -> Steps:
    """The registry's build steps, each after those that make what it needs."""
    steps = REGISTRY.steps()
    sources = {
        name: {REGISTRY[source].build_step for one in tables for source in _sources(one.name)} - {name}
        for name, tables in steps.items()
    }
    return {name: steps[name] for name in TopologicalSorter(sources).static_order()}


def _stages() -> dict[str, Steps]:
    """Each build step is a stage; those of reference tables are one together, since each takes a blink."""
    stages: dict[str, Steps] = {}
    for name, tables in _in_order().items():
        kind = tables[0].kind
        stages.setdefault(kind.value if kind is Kind.REFERENCE else name, {})[name] = tables
    return stages


_LAKE = _stages()
STAGES: dict[str, Sequence[str]] = {
    **{stage: [one.name for tables in steps.values() for one in tables] for stage, steps in _LAKE.items()},
    LOAD: POSTGRES_ASSETS,
}
"""Assets of each stage of a build, in the order in which they are made."""
LAKE_STAGES = list(_LAKE)


def stages_before(tables: Iterable[str]) -> list[str]:
    """The stages whose tables these tables need, directly or through others."""
    needed: set[str] = set()
    unseen = set[str]().union(*map(_sources, tables))
    while unseen:
        needed |= unseen
        unseen = set[str]().union(*map(_sources, unseen)) - needed
    return [stage for stage in LAKE_STAGES if needed.intersection(STAGES[stage])]


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


def months_of(workspace: Workspace) -> list[str]:
    """The farm's months."""
    wanted = workspace.settings.farm
    return months_between(wanted.epoch, wanted.as_of)


def make(workspace: Workspace, stages: Iterable[str], some_months: Sequence[str] | None = None) -> None:
    """Run the build steps of stages without Dagster, over all months of the farm or some successive ones.

    The load is the exception: it runs its assets.
    """
    wanted = set(stages)
    with workspace.lake.exclusive():
        for stage in LAKE_STAGES:
            if stage in wanted:
                for tables in _LAKE[stage].values():
                    _make_step(workspace, tables, some_months or months_of(workspace))
    if LOAD in wanted:
        run(workspace, STAGES[LOAD], some_months)


def _make_step(workspace: Workspace, tables: Sequence[TableDefinition], months: Sequence[str]) -> None:
    if any(one.batch_slices for one in tables):
        deque(make_slices(workspace, tables), maxlen=0)
    elif tables[0].is_monthly:
        for one in tables:
            if failed := make_months(workspace, one, months).failed:
                raise failure(failed, len(months), one.name)
    else:
        deque(make_whole(workspace, tables), maxlen=0)


def run(workspace: Workspace, assets: Iterable[str], some_months: Sequence[str] | None = None) -> None:
    """Run assets as a build does, in one run over the farm's months or some successive ones, without checks."""
    job = dg.define_asset_job("measured", dg.AssetSelection.assets(*assets).without_checks())
    ours = build_defs(workspace.settings, resource_overrides={"workspace": workspace})
    dagster_home(workspace.settings)
    with dg.DagsterInstance.get() as instance:
        dg.Definitions.merge(ours, dg.Definitions(jobs=[job])).resolve_job_def("measured").execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags=range_tags(list(some_months or months_of(workspace))),
        )


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpu_seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds of the processor that it takes at least: on a busy machine they vary less than those of the clock."""
    taken = []
    for _ in range(runs):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


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
