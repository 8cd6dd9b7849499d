"""How rows reach the lake: with the faults that were asked for and their labels."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.lake import LABELS, Lake, Written
from aquamind_pipeline.quality.faults import broken_file, inject
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.simulation.profile import Profile


def with_faults(
    farm: Profile, definition: TableDefinition, rows: pl.DataFrame, month: str = ""
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows in the lake's columns, spoiled by the farm's faults, and the labels of these faults."""
    if definition.lake_only or not farm.faults:
        return rows, pl.DataFrame()
    return inject(farm.faults, farm.seed, farm.as_of, definition.name, rows, month)


def write(
    lake: Lake, farm: Profile, definition: TableDefinition, rows: pl.DataFrame, month: str | None = None
) -> Written:
    """Write a table or a month of it, in the lake's columns, with the faults that the farm asks for."""
    name = definition.name
    rows, labels = with_faults(farm, definition, rows, month or "")
    written = lake.write(name, rows, month)
    broken = broken_file(farm.faults, farm.seed, farm.as_of, name, month or "")
    if broken is not None:
        labels = broken.labels
        lake.damage(name, month, keep=broken.keep)
    if labels.height:
        lake.write(f"{LABELS}/{name}", labels, month)
    elif farm.faults:
        lake.remove(f"{LABELS}/{name}", month)  # labels of an earlier build, whose rows were spoiled
    return written


__all__ = ["with_faults", "write"]
