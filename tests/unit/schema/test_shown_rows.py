"""Rows as people read them."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from aquamind_pipeline.schema.shown_rows import as_text, rounded


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.300000000000001, "12.3"),
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333"),
        (100 / 3, "33.3333"),
        (1e-7 / 3, "0.0000000333333"),
        (12345678.9012, "12345678.9"),
        (3500000.0, "3500000"),
        (-2.0, "-2"),
        (1e22, "10000000000000000000000"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (None, "None"),
        (7, "7"),
        ("12.300000000000001", "12.300000000000001"),
        (Decimal("12.3000"), "12.3000"),
        (True, "True"),
    ],
)
def test_a_value_has_the_digits_that_tell_something(value: object, text: str) -> None:
    assert as_text(rounded(pl.DataFrame({"value": [value]})).item()) == text


def test_large_whole_numbers_stay_exact() -> None:
    rows = pl.DataFrame({"id": [2**53 + 1], "kg": [Decimal("123456789.1234")]})
    assert rounded(rows).equals(rows)


def test_floats_that_differ_still_do() -> None:
    """A check that compares two numbers shows rows in which they differ."""
    rows = pl.DataFrame(
        {"sum": [1234.56781, 2.0, None], "should": [1234.56789, 1.0, 1.0], "other": [1 / 3, 1 / 3, 0.0]}
    )
    assert rounded(rows)["sum"].to_list() == [1234.56781, 2.0, None]
    assert rounded(rows)["should"].to_list() == [1234.56789, 1.0, 1.0]
    assert rounded(rows)["other"].to_list() == [0.333333333, 0.333333333, 0.0]


def test_floats_that_differ_by_noise_look_the_same() -> None:
    rows = pl.DataFrame({"sum": [12.300000000000001], "should": [12.3]})
    assert rounded(rows).row(0) == (12.3, 12.3)


def test_no_rows_and_no_columns() -> None:
    assert rounded(pl.DataFrame()).equals(pl.DataFrame())
    assert rounded(pl.DataFrame(schema={"a": pl.Float64, "b": pl.Float32})).height == 0
