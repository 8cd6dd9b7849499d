"""What tests of every definition share: farms in memory, each made once, and parts of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import polars as pl
from hypothesis import assume
from hypothesis import strategies as st

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.simulation.profile import Profile
from tests.helpers.farms import Made, farms

SEED = 2026
"""Every test draws the same farms (`hypothesis.seed`), so that each farm is made once for all tables and tests."""
PLAUSIBLE_EGGS = 20_000
"""AquaMind wants at least 10 g of fish at each meal. A farm with fewer eggs may have less fry than that in a tank."""


_FISH_WEIGHED = {"fish_per_sample": 12, "fish_per_health_sample": 25}
"""Profile keys for how many fish are weighed, with the most that a drawn farm has."""


class Stored(Made):
    """A farm in memory that answers what a lake answers, so that the runner can check it."""

    def has(self, table: str, partition: str | None = None) -> bool:
        return partition is None or partition in self.partitions(table)

    def read(self, table: str, partition: str | None = None) -> pl.DataFrame:
        return self.scan(table, None if partition is None else [partition]).collect()

    def rows(self, table: str, partition: str | None = None) -> int:
        return self.read(table, partition).height


@cache
def made(farm: Profile) -> Stored:
    """The farm's tables, made once for all tests."""
    return Stored(farm)


def _fits(farm: Profile) -> bool:
    """Whether the containers suffice. A farm that is refused is not what these tests are about."""
    try:
        return bool(made(farm).plan)
    except ConfigError:
        return False


@st.composite
def small_farms(draw: st.DrawFn, least_eggs: int = 1) -> Profile:
    """Farms of every shape that fit into their containers."""
    farm = draw(farms())
    least, most = (max(one, least_eggs) for one in farm.eggs)
    weighed = {name: draw(st.integers(2, most_fish)) for name, most_fish in _FISH_WEIGHED.items()}
    history = 20 * (weighed["fish_per_sample"] % 2)  # half of the farms keep forecasts of earlier days
    farm = farm.model_copy(update={"eggs": (least, most), **weighed, "forecast_history_days": history})
    assume(_fits(farm))
    return farm


def part(
    definition: TableDefinition, tables: MemoryTables, month: str | None = None, batches: Sequence[int] | None = None
) -> pl.DataFrame:
    """A part of a table, made with nothing that other parts have computed."""
    months = () if month is None else (month,)
    return definition.make(Inputs(definition, tables.farm, tables, months=months, batches=batches))
