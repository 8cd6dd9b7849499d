"""The characters of the text that a farm writes, for asking a database whether it can hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres.copying import constants
from aquamind_pipeline.schema.frames import complete, conform
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.profile import Profile

_DAY = date(2026, 1, 1)
_SMALLEST = Profile(
    name="text",
    description="",
    seed=0,
    epoch=_DAY,
    as_of=_DAY,
    default_as_of=_DAY,
    batches_per_geography=1,
    stagger_days=30,
    eggs=(1000, 1000),
)


class _ReferenceTables:
    """The reference tables of the smallest farm. They are made in memory, in a few hundredths of a second."""

    def partitions(self, table: str) -> list[str]:
        """No months: reference tables are kept whole."""
        return []

    def has(self, table: str, partition: str | None = None) -> bool:
        """Whether the table is a reference table."""
        return REGISTRY[table].kind is Kind.REFERENCE

    def scan(self, table: str, partitions: Sequence[str] | None = None) -> pl.LazyFrame:
        """A reference table."""
        definition = REGISTRY[table]
        return conform(definition.make(Inputs(definition, _SMALLEST, self)), definition.table).lazy()


@cache
def farm_text() -> str:
    """The distinct characters of all text in reference tables, and of the values that are the same in every row.

    Texts of other tables are numbers, codes and names made of these (`tests/contract/test_farm_text.py`).
    """
    return "".join(sorted(set().union(*_texts())))


def _texts() -> Iterator[str]:
    tables = _ReferenceTables()
    for name in REGISTRY.aquamind:
        yield from (value for value in constants(name).values() if isinstance(value, str))
        if REGISTRY[name].kind is Kind.REFERENCE:
            frame = complete(tables.scan(name), REGISTRY.table(name)).collect()
            for column in frame.select(pl.col(pl.String)):
                yield from column.drop_nulls().unique()


__all__ = ["farm_text"]
