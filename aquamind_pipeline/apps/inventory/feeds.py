"""Kinds of feed."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import (
    EMPTY,
    INSTALLED,
    TRUE,
    boolean,
    identity,
    numeric,
    text,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind

FEED_KINDS = (
    (1, "Starter Feed 0.5mm", "MICRO", 0.5, 50, 18, 20),
    (2, "Starter Feed 1.0mm", "SMALL", 1.0, 48, 18, 22),
    (3, "Grower Feed 2.0mm", "MEDIUM", 2.0, 45, 20, 23),
    (4, "Grower Feed 3.0mm", "MEDIUM", 3.0, 43, 22, 23),
    (5, "Finisher Feed 4.5mm", "LARGE", 4.5, 40, 24, 24),
    (6, "Finisher Feed 6.0mm", "LARGE", 6.0, 38, 26, 24),
)
"""AquaMind's feeds: id, name, size, pellet size in mm, and percentages of protein, fat and carbohydrates."""


def feeds(inputs: Inputs) -> pl.DataFrame:
    """Rows of inventory_feed."""
    columns = [
        "id",
        "name",
        "size_category",
        "pellet_size_mm",
        "protein_percentage",
        "fat_percentage",
        "carbohydrate_percentage",
    ]
    return pl.DataFrame(FEED_KINDS, schema=columns, orient="row").with_columns(brand=pl.lit("BioMar"))


FEEDS = TableDefinition(
    name="inventory_feed",
    kind=Kind.REFERENCE,
    meaning="Kind of feed.",
    how="AquaMind's six feeds.",
    columns=(
        identity("id"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        boolean("is_active", fill=TRUE),
        varchar("name", 100),
        varchar("brand", 100),
        varchar("size_category", 20),
        numeric("pellet_size_mm", 5, 2, nullable=True),
        numeric("protein_percentage", 5, 2, nullable=True, range_=(0, 100)),
        numeric("fat_percentage", 5, 2, nullable=True, range_=(0, 100)),
        numeric("carbohydrate_percentage", 5, 2, nullable=True, range_=(0, 100)),
        text("description", fill=EMPTY),
    ),
    natural_key=("name",),
    reads=(),
    generate=feeds,
    expected=ByFormula(lambda farm, plan: len(FEED_KINDS)),
    lineage={},
    rules=(),
)

__all__ = ["FEEDS"]
