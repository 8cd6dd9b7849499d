"""Rows in a table's columns and types."""

from __future__ import annotations

import polars as pl
import pytest

from aquamind_pipeline.apps.batch.stages import SPECIES
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.schema.frames import conform, lake_schema


def test_conform_refuses_what_does_not_fit() -> None:
    table = SPECIES.table
    good = pl.DataFrame(schema=lake_schema(table))
    assert conform(good.select(reversed(good.columns)), table).columns == good.columns
    with pytest.raises(InputError, match=r"batch_species: missing columns \['name'\]"):
        conform(good.drop("name"), table)
    with pytest.raises(InputError, match=r"unknown columns \['colour'\]"):
        conform(good.with_columns(colour=pl.lit("red")), table)
    wrong = pl.DataFrame({c: ["x"] for c in good.columns})
    with pytest.raises(InputError, match="batch_species: a value does not fit"):
        conform(wrong, table)
