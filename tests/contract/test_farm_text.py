"""The characters that a database is asked for are those that a farm writes."""

from __future__ import annotations

import polars as pl
import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.postgres.farm_text import farm_text
from aquamind_pipeline.schema.frames import complete
from tests.helpers.farms import Made


@pytest.mark.parametrize("name", REGISTRY.aquamind)
def test_a_database_is_asked_for_every_character(name: str, tiny_made: Made) -> None:
    """Letters beyond ASCII, such as the degree sign: what reference tables lack, no other table has."""
    rows = complete(tiny_made.scan(name), REGISTRY.table(name)).select(pl.col(pl.String)).collect()
    written = {letter for column in rows for text in column.drop_nulls().unique() for letter in text}
    assert not {letter for letter in written if not letter.isascii()} - set(farm_text())


def test_there_is_such_a_letter() -> None:
    assert "°" in farm_text()
