"""Small farms of every shape, and their tables in memory, for tests that go through every definition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache

import polars as pl
from hypothesis import assume
from hypothesis import strategies as st

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

EPOCH = date(2026, 2, 2)
SEED = 2026
"""Every test draws the same farms (`hypothesis.seed`), so that each farm is made once for all tables and tests."""


@st.composite
def farms(draw: st.DrawFn, least_eggs: int = 1) -> Profile:
    """Farms of up to 150 days: one or two geographies, slow and fast fish, few and many containers and fish."""
    as_of = EPOCH + timedelta(days=draw(st.integers(0, 150)))
    eggs = draw(st.integers(least_eggs, 100_000))
    farm = Profile.model_validate(
        {
            "name": "drawn",
            "description": "",
            "seed": draw(st.integers(0, 2**63 - 1)),
            "epoch": EPOCH,
            "as_of": as_of,
            "default_as_of": as_of,
            "geographies": draw(st.sampled_from([("Faroe Islands",), ("Scotland",), ("Faroe Islands", "Scotland")])),
            "batches_per_geography": draw(st.integers(1, 2)),
            "stagger_days": draw(st.integers(20, 60)),
            "eggs": (eggs, eggs + draw(st.integers(0, 20_000))),
            "tanks_per_stage": draw(st.integers(1, 10)),
            "rings_per_batch": draw(st.integers(1, 20)),
            "meals_per_day": (0, *(draw(st.integers(1, 12)) for _ in range(5))),
            "samples_per_week": draw(st.integers(0, 7)),
            "fish_per_sample": draw(st.integers(2, 12)),
            "speed": draw(st.integers(6, 15)),
        }
    )
    try:
        made(farm).scan(PLAN[0])
    except ConfigError:  # a farm that does not fit into the containers is not what these tests are about
        assume(False)
    return farm


class StoredInMemory(MemoryTables):
    """A farm in memory that answers what a lake answers, so that the runner can check it."""

    def has(self, table: str, partition: str | None = None) -> bool:
        return partition is None or partition in self.partitions(table)

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        return self.scan(table, None if partition is None else [partition]).collect()

    def rows(self, table: str, partition: str | None = None) -> int:
        return self.read(table, partition).height


@cache
def made(farm: Profile) -> StoredInMemory:
    """The farm's tables, made once for all tests."""
    return StoredInMemory(farm)


def plan_of(tables: MemoryTables) -> Plan:
    return Plan(*(tables.scan(name).collect() for name in PLAN))


def rows_of(tables: MemoryTables, name: str, month: str | None = None) -> pl.DataFrame:
    return tables.scan(name, None if month is None else [month]).collect()


def has_batches(definition: TableDefinition) -> bool:
    """Whether the rows of a month can be made for some batches alone: those of a batch, and what hangs on them."""
    if definition.parent.table:
        return has_batches(REGISTRY[definition.parent.table])
    return definition.is_monthly and definition.scope.has_batch


def part(
    definition: TableDefinition, tables: MemoryTables, month: str | None = None, batches: Sequence[int] | None = None
) -> pl.DataFrame:
    """A part of a table, made with nothing that other parts have computed."""
    return definition.generate(Inputs(definition, tables.farm, tables, month=month, batches=batches))
