"""An id occurs in one month of a table only."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality.ids_of_months import ids_of_several_months, stretches
from aquamind_pipeline.quality.runner import CheckRunner
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.frames import primary_key
from aquamind_pipeline.settings import Settings

IDS = st.lists(st.integers(0, 5_000) | st.integers(-(2**62), 2**62) | st.none(), max_size=12)


@given(st.lists(IDS, min_size=1, max_size=5))
def test_every_id_of_two_months_is_found_and_no_other(months: list[list[int | None]]) -> None:
    series = {f"2026-{number:02d}": pl.Series(ids, dtype=pl.Int64) for number, ids in enumerate(months, 1)}
    result = ids_of_several_months(
        "keys", "id", {month: stretches(ids) for month, ids in series.items()}, lambda month: series[month]
    )
    every = [one for ids in months for one in set(ids) - {None}]
    assert result.wrong == len({one for one in every if every.count(one) > 1})


def keys(settings: Settings, name: str) -> CheckResult:
    workspace = Workspace(settings)
    results = CheckRunner(workspace.lake, workspace.planned, only=["keys"]).of_table(name)
    return next(result for result in results if result.rule == "keys")


MONTHLY = [name for name in REGISTRY.aquamind if REGISTRY[name].is_monthly]


@pytest.mark.parametrize("name", MONTHLY)
def test_an_id_of_another_month_is_seen(name: str, a_copy: Settings) -> None:
    lake, key = Workspace(a_copy).lake, primary_key(REGISTRY.table(name))[0]
    with_rows = [month for month in lake.partitions(name) if lake.rows(name, month)]
    if len(with_rows) < 2:
        pytest.skip("one month has rows")
    first, *_, last = with_rows
    value = lake.read(name, first)[key][0]
    rows = lake.read(name, last)
    of_first_row = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value, pl.Int64)).otherwise(key)
    assert keys(a_copy, name).passed
    lake.write(name, rows.with_columns(of_first_row.alias(key)), last)
    result = keys(a_copy, name)
    assert not result.passed
    assert result.detail == f"values of {key} that occur in several months: 1"
    assert result.sample.rows() == [(f"{first}, {last}", key, str(value), 2)]
