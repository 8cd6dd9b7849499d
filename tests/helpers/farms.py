"""Farms in memory, straight from the pure functions, and a strategy that draws farms of every shape."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from aquamind_pipeline.farm.deaths import mortality_events
from aquamind_pipeline.farm.feeding import feedings
from aquamind_pipeline.farm.readings import readings
from aquamind_pipeline.farm.records import records
from aquamind_pipeline.farm.reference import reference
from aquamind_pipeline.farm.samples import growth_samples
from aquamind_pipeline.farm.stores import stores
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.tables import TABLES, complete, conform
from hypothesis import assume
from hypothesis import strategies as st

from aquamind_pipeline.definitions import BUILD_LAKE
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.growth.records import Records, daily_temperature, from_tables
from aquamind_pipeline.orchestration.partitions import months
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.life import Life, live, summary
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule
from aquamind_pipeline.simulation.sites import infrastructure


@dataclass(frozen=True)
class Made:
    """A farm in memory, straight from the pure functions."""

    profile: Profile
    plan: Plan
    life: Life
    events: dict[str, pl.DataFrame]


def make(profile: Profile) -> Made:
    """Plan a farm, live it, and record its events for all days at once."""
    plan = schedule(profile)
    life = live(profile, plan)
    return Made(profile, plan, life, record(profile, plan, life, life.days))


def record(profile: Profile, plan: Plan, life: Life, days: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The events of some days of a life."""
    sites = infrastructure()
    costs = stores(profile, plan, life.days.lazy(), sites["infrastructure_feedcontainer"]).unit_costs
    return {
        "environmental_environmentalreading": readings(profile.seed, plan, days, sites["infrastructure_sensor"]),
        "inventory_feedingevent": feedings(profile.seed, plan, days, costs),
        "batch_mortalityevent": mortality_events(days),
        "batch_growthsample": growth_samples(profile.seed, plan, days, profile.samples_per_week),
    }


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
        "speed": speed,
    }
    return Profile.model_validate(profile)


def planned(profile: Profile) -> Plan:
    """The plan; a farm that does not fit is not what these tests are about."""
    try:
        return schedule(profile)
    except ConfigError:
        assume(False)
        raise


def make_or_skip(profile: Profile) -> Made:
    planned(profile)
    return make(profile)


def books(made: Made) -> Records:
    """What growth assimilation may know of a farm: its records and events."""
    lived = summary(made.life.days.lazy(), made.profile.samples_per_week)
    booked = records(made.profile, made.plan, lived, made.life.moves)
    everything = {**infrastructure(), **reference(made.profile), **booked}
    frames = {
        name: complete(conform(frame, TABLES[name]).lazy(), TABLES[name])
        for name, frame in (everything | made.events).items()
        if name in TABLES
    }
    temperature = daily_temperature(
        frames["environmental_environmentalreading"], frames["environmental_environmentalparameter"]
    )
    return from_tables(frames, temperature.lazy())


def build_lake(settings: Settings) -> None:
    """Build a farm's lake by its Dagster job, with all its checks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", "")
        outcome = run_job(Workspace(settings), BUILD_LAKE, months(settings.farm.epoch, settings.farm.as_of))
    assert outcome.success
    assert not outcome.failed_checks + outcome.warnings


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it is so; fails when it never is."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.02)  # between looks at another process, which tells nobody when it is so far


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own in a folder that is made for it; only root may mount one, others skip the test."""
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)
