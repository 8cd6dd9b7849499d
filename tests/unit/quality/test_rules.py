"""The rules that follow from definitions: for every table of the registry, each sees what breaks it."""

from __future__ import annotations

import re

import polars as pl
import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import month_key
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality.common_rules import SHARED_COLUMNS
from aquamind_pipeline.quality.farm_rules import bands
from aquamind_pipeline.quality.rules import rules_of
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.definition import Unpredictable
from aquamind_pipeline.schema.frames import lake_schema, references, references_ahead, referring_ahead
from aquamind_pipeline.schema.rules import WHOLE, RuleInputs
from aquamind_pipeline.settings import Settings

MONTHLY = REGISTRY.monthly


class Table:
    """One table of a lake, and its rules on rows that a test changes."""

    def __init__(self, lake: Lake, settings: Settings, name: str) -> None:
        self.lake, self.farm, self.definition = lake, settings.farm, REGISTRY[name]
        self.month = lake.partitions(name)[-1] if self.definition.is_monthly else WHOLE
        self.rows = lake.read(name, None if self.month == WHOLE else self.month)

    def broken(self, rule_name: str, rows: pl.DataFrame) -> bool:
        """Whether a rule of the table is broken by these rows."""
        rule = rules_of(self.definition.name)[rule_name]
        inputs = RuleInputs(self.definition, rule, self.farm, self.lake, month=self.month, rows=rows, shared={}, own={})
        return not rule.check(inputs).passed

    def with_first(self, **values: pl.Expr) -> pl.DataFrame:
        """The rows, with other values in the first of them."""
        first = pl.int_range(pl.len()) == 0
        return self.rows.with_columns(
            pl.when(first).then(value.cast(self.rows.schema[column])).otherwise(column).alias(column)
            for column, value in values.items()
        )


@pytest.fixture
def table(built: Settings, name: str) -> Table:
    return Table(Lake(built.lake_path), built, name)


@pytest.mark.parametrize("name", REGISTRY.aquamind)
def test_correct_rows_pass(table: Table) -> None:
    rules = rules_of(table.definition.name)
    assert not [name for name, rule in rules.items() if not rule.once and table.broken(name, table.rows)]


@pytest.mark.parametrize("name", REGISTRY.aquamind)
def test_columns_keys_and_values_that_do_not_fit_are_seen(table: Table) -> None:
    """A lost column, a repeated row, a null, a value out of range."""
    rows, defined = table.rows, table.definition.table
    assert table.broken("schema", rows.drop(rows.columns[-1]))
    assert table.broken("schema", rows.select(reversed(rows.columns)))
    assert table.broken("keys", pl.concat([rows, rows.head(1)]))
    for column, dtype in lake_schema(defined).items():
        if not defined.columns[column].nullable:
            assert table.broken("values", table.with_first(**{column: pl.lit(None, dtype)})), column
        for no_number in ("nan", "inf", "-inf") if dtype.is_float() else ():
            assert table.broken("values", table.with_first(**{column: pl.lit(float(no_number))})), (column, no_number)
        low, high = defined.columns[column].info.get("range", (None, None))
        if low is not None:
            assert table.broken("values", table.with_first(**{column: pl.lit(low - 1)})), column
        if high is not None and pl.select(pl.lit(high + 1).cast(dtype, strict=False)).item() is not None:
            assert table.broken("values", table.with_first(**{column: pl.lit(high + 1)})), column


@pytest.mark.parametrize("name", [name for name in REGISTRY.aquamind if references(REGISTRY.table(name))])
def test_an_orphan_is_seen_in_every_column_that_refers(table: Table) -> None:
    ahead = references_ahead(table.definition.table)
    for column in references(table.definition.table):
        if column not in ahead and column in table.rows.columns and table.rows[column].null_count() < table.rows.height:
            assert table.broken("foreign_keys", table.with_first(**{column: pl.lit(2_000_000_000)})), column


@pytest.mark.parametrize("name", [name for name in REGISTRY.aquamind if referring_ahead(REGISTRY.table(name))])
def test_an_orphan_of_an_earlier_table_is_seen(table: Table) -> None:
    """The tables that are made first refer to rows of this one."""
    assert table.broken("foreign_keys", table.rows.head(0))


@pytest.mark.parametrize("name", MONTHLY)
def test_a_row_of_another_month_is_seen(table: Table) -> None:
    time = str(table.definition.time)
    for by in ("-1mo", "1mo"):
        assert table.broken("in_month", table.with_first(**{time: pl.col(time).dt.offset_by(by)})), by


@pytest.mark.parametrize("name", [name for name in MONTHLY if "of_its_assignment" in rules_of(name)])
def test_a_row_that_does_not_fit_its_assignment_is_seen(table: Table) -> None:
    """Another batch, container or stage than the assignment's; a day before it, a day after it."""
    time = str(table.definition.time)
    changes = {column: pl.col(column) + 1 for column in SHARED_COLUMNS if column in table.rows.columns}
    for column, value in changes.items():
        assert table.broken("of_its_assignment", table.with_first(**{column: value})), column
    for by in ("-10y", "10y"):
        assert table.broken("of_its_assignment", table.with_first(**{time: pl.col(time).dt.offset_by(by)})), by


@pytest.mark.parametrize("name", [name for name in MONTHLY if "gaps" in rules_of(name)])
def test_a_row_too_few_or_too_many_is_seen(table: Table) -> None:
    assert table.broken("gaps", table.rows.slice(1))
    assert table.broken("gaps", pl.concat([table.rows, table.rows.head(1)]))


def test_one_row_less_is_seen_in_every_table(a_copy: Settings) -> None:
    """But where the definition says that nothing tells the number of rows."""
    lake = Lake(a_copy.lake_path)
    runner, seen = Workspace(a_copy).checks(only=["volume"]), set()
    for name in REGISTRY.aquamind:
        month = lake.partitions(name)[-1] if REGISTRY[name].is_monthly else None
        lake.write(name, lake.read(name, month).head(-1), month)
        for one in runner.of_table(name):
            if one.rule == "volume" and not one.passed:
                seen.add(name)
                months = f"{month}: " if month else ""
                assert re.fullmatch(rf"{months}[\d,]+ rows instead of [\d,]+", one.detail), one.detail
    unpredictable = {name for name in REGISTRY.aquamind if isinstance(REGISTRY[name].expected, Unpredictable)}
    assert set(REGISTRY.aquamind) - seen == unpredictable


@pytest.mark.parametrize("name", [name for name in MONTHLY if REGISTRY[name].freshness is not None])
@pytest.mark.parametrize("kept", [0, 1])
def test_a_table_without_its_last_month_is_stale(a_copy: Settings, name: str, kept: int) -> None:
    """Unless the run was over other months."""
    workspace = Workspace(a_copy)
    built = workspace.lake.partitions(name)
    for month in built[kept:]:
        workspace.lake.remove(name, month)

    def fresh(months: list[str] | None) -> CheckResult:
        (result,) = [one for one in workspace.checks(months, only=["fresh"]).of_table(name) if one.rule == "fresh"]
        return result

    for stale in (fresh(None), fresh(built[-2:])):
        assert not stale.passed
        assert re.match(r"has no row since 2026-0\d-\d\d, but the farm reaches to 2026-06-07", stale.detail), (
            stale.detail
        )
    assert fresh(built[:1]).passed


def test_a_night_on_the_day_of_the_bands_passes(built: Settings) -> None:
    """A night looks at the events of batches that live, which are fewer than the bands say."""
    workspace, name = Workspace(built), "inventory_feedingevent"
    rows, last = workspace.lake.rows(name), month_key(workspace.planned.as_of)
    farm = workspace.planned.model_copy(update={"bands": ((name, (rows, rows)),)})
    assert farm.as_of == farm.default_as_of
    for since, said in ((None, f"within bands: {name} {rows:,}"), (last, f"since {last}: not looked at")):
        ((_, result),) = CheckRunner(workspace.lake, farm, since=since, only=["bands"]).of_farm()
        assert result.passed, result.detail
        assert said in result.detail


def test_a_profiles_bands_are_held() -> None:
    assert bands([("batches", (1, 10))], {"batches": 6}).passed
    found = bands([("batches", (7, 10)), ("completed", (0, 1))], {"batches": 6, "completed": 1})
    assert not found.passed
    assert found.wrong == 1


def test_rules_on_a_whole_table_that_lost_a_column_say_that_they_cannot_look(a_copy: Settings) -> None:
    workspace = Workspace(a_copy)
    lake = workspace.lake
    lake.write("batch_batch", lake.read("batch_batch").drop("status"))
    results = {result.rule: result for result in CheckRunner(lake, workspace.planned).of_table("batch_batch")}
    assert not results.pop("schema").passed
    assert results.pop("volume").passed
    assert {result.detail for result in results.values()} == {"not looked at: the table cannot be read as defined"}, (
        results
    )
