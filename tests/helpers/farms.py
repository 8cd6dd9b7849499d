"""Farms in memory and in a lake, without Dagster, and a strategy that draws farms of every shape."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import has_eggs, placed_eggs
from aquamind_pipeline.apps.batch.daily_states import STATES, read_records, with_fish
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import first_day, months_between
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.pipeline.slices import make_slices
from aquamind_pipeline.pipeline.steps import make_months, make_whole
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.life import Life
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule


class Made(MemoryTables):
    """A farm in memory: any table of the registry, made when it is first asked for."""

    @property
    def profile(self) -> Profile:
        """What the farm is made from."""
        return self.farm

    def frame(self, name: str) -> pl.DataFrame:
        """All rows of a table."""
        return self.scan(name).collect()

    @cached_property
    def plan(self) -> Plan:
        """Batches and their assignments."""
        return schedule(self.farm)

    @cached_property
    def life(self) -> Life:
        """What really happened, sorted as `live` gives it."""

        def in_order(name: str) -> pl.DataFrame:
            return self.frame(name).sort("assignment_id", "date")

        days, lice = in_order("life_day"), in_order("life_lice")
        treatments = in_order("life_treatment")
        return Life(days, self.frame("life_move"), lice, treatments)

    @cached_property
    def events(self) -> dict[str, pl.DataFrame]:
        """All rows of every event table and of what hangs on events."""
        return {name: self.frame(name) for name in REGISTRY.events}


EPOCH = date(2026, 2, 2)


@st.composite
def farms(draw: st.DrawFn) -> Profile:
    """Small farms of every shape: one or two geographies, slow and fast fish, short and long."""
    days = draw(st.integers(0, 150))
    eggs = draw(st.integers(1, 100_000))
    speed = draw(st.integers(6, 15))
    profile = {
        "name": "drawn",
        "description": "",
        "seed": draw(st.integers(0, 2**63 - 1)),
        "epoch": EPOCH,
        "as_of": EPOCH + timedelta(days=days),
        "default_as_of": EPOCH + timedelta(days=days),
        "geographies": draw(st.sampled_from([("Faroe Islands",), ("Scotland",), ("Faroe Islands", "Scotland")])),
        "batches_per_geography": draw(st.integers(1, 2)),
        "stagger_days": draw(st.integers(20, 60)),
        "eggs": (eggs, eggs + draw(st.integers(0, 20_000))),
        "tanks_per_stage": draw(st.integers(1, 10)),
        "rings_per_batch": draw(st.integers(1, 20)),
        "meals_per_day": (0, *(draw(st.integers(1, 12)) for _ in range(5))),
        "samples_per_week": draw(st.integers(0, 7)),
        "sensor_gap_share": draw(st.sampled_from([0.0, 0.02, 0.1])),
        "speed": speed,
        "mixed_batches": draw(st.integers(0, 2)),
        "planned_batches": draw(st.integers(0, 3)),
        "receiving_batches": draw(st.integers(0, 2)),
        "cancelled_batches": draw(st.integers(0, 2)),
    }
    return Profile.model_validate(profile)


def planned(profile: Profile) -> Plan:
    """The plan; a farm that does not fit is not what these tests are about."""
    try:
        return schedule(profile)
    except ConfigError:
        assume(False)
        raise


def delivered(profile: Profile, plan: Plan) -> pl.DataFrame:
    """batch_id and eggs: the eggs of each batch that have come by as_of."""
    came = placed_eggs(plan).filter(has_eggs(profile)).group_by("batch_id").agg(pl.col("eggs").sum())
    mixed = plan.batches.filter(is_mixed(pl.col("batch_id"))).select("batch_id", "eggs")
    return pl.concat([came, mixed])


def make_or_skip(profile: Profile) -> Made:
    planned(profile)
    return Made(profile)


def books(made: Made) -> Records:
    """What growth assimilation may know of a farm: what was recorded."""
    tables = {name: REGISTRY.table(name) for name in REGISTRY.aquamind}
    return read_records(Inputs(STATES, made.farm, made), with_fish(made.frame("batch_batch")), tables)


def steps_in_order() -> list[list[TableDefinition]]:
    """Return the build steps, each after the steps whose tables it reads, and after the plan."""
    steps = REGISTRY.steps()
    step_of = {one.name: name for name, some in steps.items() for one in some}
    before = {
        name: {step_of[read] for one in some for read in (*_first(one), *one.reads)} - {name}
        for name, some in steps.items()
    }
    return [steps[name] for name in TopologicalSorter(before).static_order()]


def _first(one: TableDefinition) -> tuple[str, ...]:
    return () if one.kind is Kind.REFERENCE else PLAN


def make_lake(settings: Settings) -> Workspace:
    """Make a farm's lake by the build steps alone: no Dagster, no checks. With `since`, extend it as a night does."""
    workspace, farm = Workspace(settings), settings.farm
    months = months_between(first_day(settings.since) if settings.since else farm.epoch, farm.as_of)
    with workspace.lake.exclusive():
        for some in steps_in_order():
            if any(one.batch_slices for one in some):
                list(make_slices(workspace, some))
            elif not some[0].is_monthly:
                list(make_whole(workspace, some))
            else:
                for one in some:
                    made = make_months(workspace, one, months)
                    assert not made.failed, made.failed
    return workspace


def thin_out(lake: Lake) -> None:
    """Leave one of ten rows in the two largest tables, to which no other table refers."""
    for name in ("environmental_environmentalreading", "health_fishparameterscore"):
        for month in lake.partitions(name):
            lake.write(name, lake.read(name, month).gather_every(10), month)


def digests(lake: Path | str) -> dict[str, str]:
    """SHA-256 of every Parquet file, by table and partition."""
    return {
        f"{path.parent.name}/{path.stem}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(lake).glob("*/*.parquet"))
    }


T = TypeVar("T")


def wait_for(condition: Callable[[], T], *processes: subprocess.Popen[Any]) -> T:
    """Wait until a condition holds, however slow the machine is. pytest's time limit ends a test that waits in vain.

    Args:
        condition: What other processes bring about without telling this one: a file, a lock, a run's status.
        processes: Processes that must be alive until then. The wait fails at once when one of them has ended.

    Returns:
        What the condition returned when it held.
    """
    while True:
        ended = [process for process in processes if process.poll() is not None]
        if found := condition():
            return found
        assert not ended, f"{ended[0].args} ended with status {ended[0].returncode} first"
        time.sleep(0.02)  # only yields the processor: no result depends on how long


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in a folder that is made for it; only root may mount one, others skip the test."""
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")  # nothing else fills a disk; root runs it in .ci/run
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
