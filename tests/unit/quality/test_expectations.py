"""What suites see, what they say of themselves, and their pages."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.apps.environmental.readings import READINGS
from aquamind_pipeline.apps.infrastructure.places import AREAS
from aquamind_pipeline.apps.inventory.feeding import FEEDINGS
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.quality.expectations import profile, validate
from aquamind_pipeline.report.data_docs import DataDocs
from aquamind_pipeline.schema.frames import lake_schema
from aquamind_pipeline.settings import Settings


def test_a_month_counts_once_however_many_groups_it_has() -> None:
    """Readings are summarised by month and by what they measure."""
    columns = lake_schema(READINGS.table)
    months = {"2026-02": 1, "2026-03": 3}
    profiles = [
        profile(READINGS, pl.LazyFrame({name: list(range(kinds)) for name in columns}), month)
        for month, kinds in months.items()
    ]
    assert [one.height for one in profiles] == list(months.values())
    for frame, counted in ((pl.concat(profiles), "2 months"), (profiles[1], "1 month")):
        assert validate(READINGS.table, frame, profiled=True).check.detail.endswith(f" expectations met by {counted}")


def test_a_suite_lists_the_rows_that_break_it(built: Settings) -> None:
    """A value out of its range, a text that is too long, a null, and a key that comes twice."""
    table, rows = AREAS.table, Lake(built.lake_path).read(AREAS.name)
    second = pl.int_range(pl.len()) == 1

    def failed(column: str, value: object) -> pl.DataFrame:
        changed = pl.when(second).then(pl.lit(value, rows.schema[column])).otherwise(column).alias(column)
        validated = validate(table, rows.with_columns(changed), profiled=False)
        assert not validated.check.passed
        return validated.expectations.filter(~pl.col("passed"))

    assert validate(table, rows, profiled=False).check.passed
    second_id = f"{rows['id'][1]}"
    for column, value, seen in (
        ("latitude", 90.5, "latitude"),
        ("latitude", -90.5, "latitude"),
        ("name", "x" * 101, "length of name"),
        ("name", None, "missing required values"),
        ("id", rows["id"][0], "id"),
    ):
        shown = failed(column, value)
        assert seen in shown["column"].to_list(), column
        assert column == "id" or second_id in shown["sample"][0], column


def test_a_column_without_values_is_in_its_range(built: Settings) -> None:
    """No value is out of range, so none is the least or the largest."""
    rows = Lake(built.lake_path).read(AREAS.name)
    empty = rows.with_columns(pl.lit(None, rows.schema["latitude"]).alias("latitude"))
    shown = validate(AREAS.table, empty, profiled=False).expectations
    assert shown.filter(~pl.col("passed"))["column"].to_list() == ["missing required values"]
    assert validate(AREAS.table, rows.head(0), profiled=False).check.passed


def test_pages_show_the_least_and_the_largest_value(
    built: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Great Expectations logs an error if it cannot show a value, and leaves it out."""
    lake, docs = Lake(built.lake_path), DataDocs(built.model_copy(update={"home": tmp_path}))
    month = lake.partitions(FEEDINGS.name)[-1]
    profiled = profile(FEEDINGS, lake.scan(FEEDINGS.name, [month]), month)
    for definition, frame in ((AREAS, lake.read(AREAS.name)), (FEEDINGS, profiled)):
        page = docs.write(definition.name, validate(definition.table, frame, profiled=definition.is_monthly))
        text = page.read_text("utf-8")
        assert "minimum value must be" in text
        column = "latitude" if definition is AREAS else "amount_kg least"
        assert str(frame[column].min()) in text, column
    assert caplog.messages == []


def test_rows_that_break_an_expectation_are_named_plainly() -> None:
    values = {name: [1, None if name == "value" else 1] for name in lake_schema(READINGS.table)}
    month = profile(READINGS, pl.LazyFrame(values), "2026-02")
    shown = validate(READINGS.table, month, profiled=True).expectations
    assert shown.filter(~pl.col("passed"))["sample"].to_list() == ["missing required values 1, month 2026-02, group 1"]
