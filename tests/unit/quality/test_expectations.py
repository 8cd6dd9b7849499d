"""What a suite says of itself."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.environmental.readings import READINGS
from aquamind_pipeline.quality.expectations import profile, validate
from aquamind_pipeline.schema.frames import lake_schema


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


def test_rows_that_break_an_expectation_are_named_plainly() -> None:
    values = {name: [1, None if name == "value" else 1] for name in lake_schema(READINGS.table)}
    month = profile(READINGS, pl.LazyFrame(values), "2026-02")
    shown = validate(READINGS.table, month, profiled=True).expectations
    assert shown.filter(~pl.col("passed"))["sample"].to_list() == ["missing required values 1, month 2026-02, group 1"]
