"""Months of small tables are made together, in groups that memory can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.mortality import MORTALITY
from aquamind_pipeline.apps.environmental.photoperiod import PHOTOPERIOD
from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.apps.inventory.feeding_summaries import CONTAINERS
from aquamind_pipeline.errors import DefinitionError
from aquamind_pipeline.months import months_between
from aquamind_pipeline.pipeline import steps
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.pipeline.steps import (
    MOST_MONTHS_AT_ONCE,
    ROWS_AT_ONCE,
    groups_of_months,
    make_months,
    rows_by_month,
)
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.volumes import rough_rows
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.settings import Settings
from aquamind_pipeline.simulation.schedule import Plan, schedule

FARM = load_profile("test-40")
MONTHS = months_between(FARM.epoch, FARM.as_of)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return schedule(FARM)


def with_rows(a_month: float) -> TableDefinition:
    """A table of so many rows a month."""
    rows = int(a_month * len(MONTHS))
    return replace(MORTALITY, expected=Unpredictable("By chance.", about=lambda farm, plan: rows))


def sizes(definition: TableDefinition, plan: Plan, months: Sequence[str] = MONTHS) -> list[int]:
    groups = groups_of_months(definition, FARM, lambda: plan, months)
    assert [month for group in groups for month in group] == list(months)
    return [len(group) for group in groups]


@pytest.mark.parametrize(
    ("rows", "size"), [(0, MOST_MONTHS_AT_ONCE), (1, MOST_MONTHS_AT_ONCE), (0.45, 2), (0.51, 1), (1.01, 1), (100, 1)]
)
def test_a_group_has_few_rows_and_few_months(rows: float, size: int, plan: Plan) -> None:
    a_month = rows if rows in (0, 1) else rows * ROWS_AT_ONCE
    assert max(sizes(with_rows(a_month), plan)) == size


def test_a_group_has_few_days_of_containers(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with few rows may read all days of life."""
    days = rough_rows(LIFE_DAYS, FARM, plan) / len(MONTHS)
    monkeypatch.setattr(steps, "DAYS_AT_ONCE", int(3.5 * days))
    assert max(sizes(with_rows(1), plan)) == 3


def test_a_gap_ends_a_group(plan: Plan) -> None:
    """A generator may read the days from the first month to the last, or the week before."""
    assert sizes(with_rows(1), plan, [*MONTHS[:3], *MONTHS[4:6], MONTHS[8]]) == [3, 2, 1]


def test_a_group_may_cross_a_new_year() -> None:
    tables = MemoryTables(load_profile("tiny", epoch=date(2024, 11, 20), as_of=date(2026, 1, 31)))
    months = tables.partitions(PHOTOPERIOD.name)
    together = rows_by_month(Inputs(PHOTOPERIOD, tables.farm, tables, months=months), PHOTOPERIOD)
    assert len(together) == 15
    for month, rows in together.items():
        assert_frame_equal(rows, tables.make(PHOTOPERIOD.name, month))


def test_a_table_about_whole_months_is_made_month_by_month(plan: Plan) -> None:
    assert set(sizes(CONTAINERS, plan)) == {1}


def test_a_generator_that_asks_for_its_month_while_several_are_made(a_copy: Settings) -> None:
    """It is told what to write. A build makes its months one by one, so the farm is whole all the same."""
    asks = replace(MORTALITY, generate=lambda inputs: MORTALITY.generate(inputs) if inputs.month else pl.DataFrame())
    object.__setattr__(asks, "table", MORTALITY.table)
    workspace = Workspace(a_copy)
    lake, months = workspace.lake, workspace.lake.partitions(MORTALITY.name)
    with pytest.raises(
        DefinitionError, match="asks for its month, but makes 5 months in one call: use `months_to_make`"
    ):
        rows_by_month(Inputs(asks, workspace.planned, lake, months=months), asks)
    before = {month: lake.digest(MORTALITY.name, month) for month in months}
    for month in months:
        lake.remove(MORTALITY.name, month)
    assert not make_months(workspace, asks, months).failed
    assert {month: lake.digest(MORTALITY.name, month) for month in months} == before


def test_rows_of_other_months_are_not_lost_in_silence(a_copy: Settings) -> None:
    late = pl.col("event_date").dt.offset_by("1mo")
    delayed = replace(MORTALITY, generate=lambda inputs: MORTALITY.generate(inputs).with_columns(event_date=late))
    object.__setattr__(delayed, "table", MORTALITY.table)
    workspace = Workspace(a_copy)
    with pytest.raises(DefinitionError, match="has rows outside the months that it was to make"):
        rows_by_month(Inputs(delayed, workspace.planned, workspace.lake, months=["2026-03", "2026-04"]), delayed)


def test_months_after_the_last_day_are_removed(a_copy: Settings) -> None:
    """A month that the farm no longer reaches is recorded as having no rows."""
    workspace = Workspace(a_copy)
    months = [*workspace.lake.partitions(MORTALITY.name), "2026-07", "2026-08"]
    made = make_months(workspace, REGISTRY[MORTALITY.name], months)
    assert not made.failed
    assert [month for month in months if made.written[month] is None] == ["2026-07", "2026-08"]
