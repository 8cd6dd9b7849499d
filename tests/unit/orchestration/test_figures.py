"""Figures in the metadata of assets and checks."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aquamind_pipeline.orchestration.figures import lines


@settings(max_examples=25)
@given(days=st.integers(1, 4_000))
@example(days=180)
@example(days=960)
def test_dates_of_any_span_find_their_ticks(days: int) -> None:
    """Else matplotlib warns, which is an error here."""
    first = date(2019, 6, 17)
    lines({"fish": pl.DataFrame({"date": [first, first + timedelta(days=days)], "fish": [0, 1]})}, "date", ["fish"])
