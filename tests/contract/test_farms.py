"""What must hold of every table, on farms of every shape: invariants I2, I3, I7 and I8 (docs/reference/invariants.md).

Each test runs for every definition of the registry. No table is named here, so that a new one is tested, too.
"""

from __future__ import annotations

import random
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import aquamind_pipeline as aq
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS, BATCHES
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.pipeline.steps import rows_by_month
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.common_rules import COMMON_RULES, EXPECTATIONS
from aquamind_pipeline.quality.farm_rules import FARM_RULES
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.quality.volumes import expected_rows, planned_rows
from aquamind_pipeline.schema.definition import ByFormula, Unpredictable
from aquamind_pipeline.schema.frames import references
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import WHOLE
from aquamind_pipeline.simulation.profile import Profile
from tests.contract.drawn import PLAUSIBLE_EGGS, SEED, Stored, made, part, small_farms

EVERY = pytest.mark.parametrize("name", REGISTRY)
MONTH_BY_MONTH = [name for name, one in REGISTRY.items() if one.is_monthly and not one.batch_slices]
MADE_TOGETHER = [name for name in MONTH_BY_MONTH if not REGISTRY[name].covers_month]
BY_BATCH = [name for name, one in REGISTRY.items() if one.kind is Kind.EVENT and one.scope.has_batch]
IN_SLICES = [name for name, one in REGISTRY.items() if one.batch_slices]
FORETOLD = [name for name, one in REGISTRY.items() if not isinstance(one.expected, Unpredictable)]
LASTING = [name for name, one in REGISTRY.items() if not one.snapshot]
CHANGING = [name for name, one in REGISTRY.items() if one.changes_with_as_of]


@pytest.mark.parametrize("name", MONTH_BY_MONTH)
@seed(SEED)
@given(small_farms(), st.integers(0, 2**32 - 1))
def test_a_month_is_the_same_whatever_was_made_before_it(name: str, farm: Profile, order: int) -> None:
    """I2: alone, or after the other months in any order."""
    months = made(farm).partitions(name)
    shuffled = random.Random(order).sample(months, len(months))  # noqa: S311 - no secret
    fresh = Stored(farm)
    for month in shuffled:
        rows = fresh.read(name, month)
        assert_frame_equal(rows, made(farm).read(name, month))
        assert_frame_equal(part(REGISTRY[name], made(farm), month).select(rows.columns), rows, check_dtypes=False)


@pytest.mark.parametrize("name", MADE_TOGETHER)
@seed(SEED)
@given(small_farms())
def test_months_made_together_are_those_made_alone(name: str, farm: Profile) -> None:
    """I2: a build makes some successive months of a table in one call of its generator."""
    tables = made(farm)
    months = tables.partitions(name)
    together = rows_by_month(Inputs(REGISTRY[name], farm, tables, months=months), REGISTRY[name])
    assert list(together) == months
    for month, rows in together.items():
        assert_frame_equal(rows, tables.read(name, month))


@pytest.mark.parametrize("name", BY_BATCH)
@seed(SEED)
@given(small_farms(), st.integers(0, 2**32 - 1))
def test_batches_of_a_month_add_up_to_the_month(name: str, farm: Profile, order: int) -> None:
    """I2: the rows of one batch, made alone, are those that it has in the whole month."""
    tables = made(farm)
    batches = tables.plan.batches["batch_id"].to_list()
    shuffled = random.Random(order).sample(batches, len(batches))  # noqa: S311 - no secret
    for month in tables.partitions(name):
        alone = pl.concat(tables.make(name, month, [batch]) for batch in shuffled)
        assert_frame_equal(alone, tables.read(name, month), check_row_order=False)


@pytest.fixture(scope="module")
def farm() -> aq.Farm:
    return aq.Farm("tiny")


@EVERY
def test_batches_of_the_library_add_up_to_the_table(name: str, farm: aq.Farm) -> None:
    """I2: `Farm.table` gives the rows of one batch for every table whose rows belong to batches."""
    table, definition = REGISTRY.table(name), REGISTRY[name]
    owners = {BATCHES.name, ASSIGNMENTS.name} & {parent for parent, _ in references(table).values()}
    has_batch = owners or "batch_id" in table.columns or definition.parent.table
    if name != BATCHES.name and not has_batch and not definition.scope.has_batch:
        with pytest.raises(ConfigError, match=f"^{name} has no batches: leave `batch` out$"):
            farm.table(name, batch=1)
        return
    parts = [farm.table(name, batch=batch) for batch in (*farm.batches["batch_id"], *farm.coming["batch_id"])]
    assert_frame_equal(pl.concat(parts), farm.table(name), check_row_order=False)


@pytest.mark.parametrize("name", IN_SLICES)
@seed(SEED)
@given(small_farms(), st.integers(0, 2**32 - 1))
def test_slices_of_batches_add_up_to_one_pass(name: str, farm: Profile, order: int) -> None:
    """I2: batch by batch in any order, or all at once."""
    tables = made(farm)
    batches = tables.plan.batches["batch_id"].to_list()
    shuffled = random.Random(order).sample(batches, len(batches))  # noqa: S311 - no secret
    slices = pl.concat(tables.make(name, batches=[batch]) for batch in shuffled)
    assert_frame_equal(slices, tables.read(name), check_row_order=False)


@pytest.mark.parametrize("name", LASTING)
@seed(SEED)
@given(small_farms(), st.integers(1, 90))
def test_time_only_adds(name: str, farm: Profile, more: int) -> None:
    """I3: a later as_of changes no row but in the columns that the definition names, and adds none to days past."""
    definition = REGISTRY[name]
    later = made(farm.model_copy(update={"as_of": farm.as_of + timedelta(days=more)}))
    now, then = made(farm).read(name), later.read(name)
    lasting = [column for column in now.columns if column not in definition.changes_with_as_of]
    counted = now.group_by(lasting).agg(now=pl.len())
    kept = counted.join(then.group_by(lasting).agg(then=pl.len()), on=lasting, how="left", nulls_equal=True)
    lost = kept.filter(pl.col("then").fill_null(0) < pl.col("now"))
    assert lost.is_empty(), f"{definition.place}: rows that a later as_of changes or removes: {lost.head(3)}"
    if definition.time is not None:
        past = [rows.filter(pl.col(definition.time).cast(pl.Date) <= farm.as_of).height for rows in (now, then)]
        assert past[0] == past[1], f"{definition.place}: a later as_of adds rows to days that are past"


@pytest.mark.parametrize("name", CHANGING)
def test_columns_that_are_said_to_change_do_change(name: str) -> None:
    """I3: `changes_with_as_of` names no column too many. The tiny farm ends its first batches in its last weeks.

    On its 42nd day a workflow is planned that is called off later, on its 122nd a batch.
    """
    tiny = load_profile("tiny")
    late = made(tiny).read(name)
    days = [
        made(tiny.model_copy(update={"as_of": tiny.epoch + timedelta(days=day)})).read(name) for day in (42, 60, 122)
    ]
    both = pl.concat([early.join(late, on="id", suffix="_later") for early in days])
    for column in REGISTRY[name].changes_with_as_of:
        changed = both.filter(pl.col(column).ne_missing(pl.col(f"{column}_later")))
        assert changed.height, f"{REGISTRY[name].place}: {column} never changes: leave it out of `changes_with_as_of`"


@pytest.mark.parametrize("name", FORETOLD)
@seed(SEED)
@given(small_farms())
def test_rows_are_as_many_as_expected(name: str, farm: Profile) -> None:
    """I7: month by month, by formula or counted in the table that knows."""
    tables, definition = made(farm), REGISTRY[name]
    expected = expected_rows(definition, farm, tables.plan, tables)
    assert expected is not None
    months = tables.partitions(name) if definition.is_monthly else [WHOLE]
    counts = {month: tables.rows(name, month if definition.is_monthly else None) for month in months}
    wanted = {month: rows for month, rows in expected.select("month", "rows").iter_rows() if rows}
    assert {month: rows for month, rows in counts.items() if rows} == wanted
    foretold = planned_rows(definition, farm, tables.plan)
    assert (foretold is not None) == isinstance(definition.expected, ByFormula)


@pytest.mark.parametrize("name", REGISTRY.aquamind)
@seed(SEED)
@given(small_farms(least_eggs=PLAUSIBLE_EGGS))
def test_rows_keep_every_rule_of_their_table(name: str, farm: Profile) -> None:
    """I8: keys, references, columns and types as defined, and the table's own rules.

    The suite of Great Expectations is left out: `keys` and `values` look at each row, too, and much faster.
    """
    common = {rule.made(REGISTRY[name]).name for rule in COMMON_RULES if rule.applies(REGISTRY[name])}
    rules = (common | {rule.name for rule in REGISTRY[name].rules}) - {EXPECTATIONS.name}
    results = list(CheckRunner(made(farm), farm, only=rules).of_table(name))
    broken = [(one.rule, one.detail, one.sample.head(3)) for one in results if not one.passed]
    assert not broken
    assert {one.rule for one in results} == rules


@pytest.mark.parametrize("rule", [rule.name for rule in FARM_RULES if rule.blocks])
@seed(SEED)
@given(small_farms(least_eggs=PLAUSIBLE_EGGS))
def test_farms_keep_every_rule_that_blocks(rule: str, farm: Profile) -> None:
    """What nobody may load is never made. Rules that warn judge realism, which a farm of one egg need not have."""
    results = [one for _, one in CheckRunner(made(farm), farm, only={rule}).of_farm()]
    assert results
    assert not [(one.rule, one.detail, one.sample.head(3)) for one in results if not one.passed]
