"""Rows in a table's columns and types."""

from __future__ import annotations

import polars as pl
import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.stages import SPECIES
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.schema.frames import conform, full_schema, lake_schema


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


@pytest.mark.parametrize("name", REGISTRY)
def test_whole_numbers_of_the_lake_can_be_summed(name: str) -> None:
    """Each column of each table, by group as well: a sum of its greatest values does not overflow in silence."""
    schema = lake_schema(REGISTRY.table(name))
    for dtype in schema.values():
        if dtype.is_integer() and dtype != pl.Int64:
            assert dtype == pl.Int16  # Polars sums it in 64 bits
    counts = {c: 2**30 for c, d in full_schema(REGISTRY.table(name)).items() if d == pl.Int32 and c in schema}
    if counts:
        rows = pl.concat([pl.DataFrame(counts)] * 3).cast({c: schema[c] for c in counts})
        assert rows.group_by(pl.lit(1)).agg(pl.col(*counts).sum()).row(0)[1:] == (3 * 2**30,) * len(counts)


def test_a_count_that_the_database_could_not_hold_is_refused() -> None:
    table = REGISTRY.table("batch_mortalityevent")
    row = pl.DataFrame({name: pl.Series([None], dtype=dtype) for name, dtype in lake_schema(table).items()})
    assert conform(row.with_columns(count=2**31 - 1), table)["count"].to_list() == [2**31 - 1]
    with pytest.raises(InputError, match="batch_mortalityevent: a value does not fit"):
        conform(row.with_columns(count=2**31), table)
