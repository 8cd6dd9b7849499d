"""Grouping rows by one packed number."""

from __future__ import annotations

from datetime import date

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline.schema.grouping import all_different, grouped


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**40), 2**40) | st.integers(0, 3) | st.none(),
            st.integers(-5, 5) | st.integers(2**62, 2**62 + 2),
            st.dates(date(1990, 1, 1), date(2060, 1, 1)) | st.just(date(2026, 1, 1)),
            st.integers(-3, 3),
        ),
        max_size=30,
    )
)
def test_grouping_by_one_packed_number_is_grouping_by_its_columns(
    rows: list[tuple[int | None, int, date, int]],
) -> None:
    """Wherever it has room and wherever not: nulls, spans beyond 64 bits, no rows at all."""
    frame = pl.DataFrame(rows, {"a": pl.Int64, "b": pl.Int64, "day": pl.Date, "value": pl.Int64}, orient="row")
    keys = {"day": pl.col("day"), "b": pl.col("b"), "c": pl.col("a")}
    sums = pl.len().alias("rows"), pl.col("value").sum()
    plain = frame.group_by(**keys).agg(*sums)
    assert_frame_equal(grouped(frame, keys, *sums, packed_from=0), plain, check_row_order=False)
    assert_frame_equal(grouped(frame, keys, *sums), plain, check_row_order=False)


@given(st.lists(st.integers(-20, 20) | st.integers(-(2**62), 2**62), max_size=40), st.booleans())
def test_numbers_are_all_different_when_none_comes_twice(numbers: list[int], in_order: bool) -> None:
    given_ = sorted(numbers) if in_order else numbers
    assert all_different(pl.Series(given_, dtype=pl.Int64)) == (len(set(numbers)) == len(numbers))
