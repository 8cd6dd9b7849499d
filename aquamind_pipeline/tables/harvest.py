"""AquaMind's harvest app: harvested fish by grade."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    INSTALLED,
    count,
    identity,
    metadata,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)

harvest_harvestevent = sa.Table(
    "harvest_harvestevent",
    metadata,
    identity("id"),
    timestamp("event_date"),
    refers("batch_id", "batch_batch.id"),
    refers("assignment_id", "batch_batchcontainerassignment.id"),
    refers("dest_geography_id", "infrastructure_geography.id", nullable=True),
    varchar("dest_subsidiary", 3, nullable=True, fill=pl.lit("LG")),
    varchar("document_ref", 100),
    timestamp("created_at", fill=pl.col("event_date")),
    timestamp("updated_at", fill=pl.col("event_date")),
    info={"layer": "batch"},
    comment="Harvest of one ring.",
)

harvest_harvestlot = sa.Table(
    "harvest_harvestlot",
    metadata,
    identity("id"),
    refers("event_id", "harvest_harvestevent.id"),
    refers("product_grade_id", "harvest_productgrade.id"),
    numeric("live_weight_kg", 12, 3, range_=(0, None)),
    numeric("gutted_weight_kg", 12, 3, nullable=True, range_=(0, None)),
    numeric("fillet_weight_kg", 12, 3, nullable=True, range_=(0, None)),
    count("unit_count"),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    info={"layer": "batch"},
    comment="Harvested fish of one grade.",
)

harvest_productgrade = sa.Table(
    "harvest_productgrade",
    metadata,
    identity("id"),
    varchar("code", 50),
    varchar("name", 100),
    text("description", fill=EMPTY),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("code"),
    info={"layer": "reference", "natural_key": ("code",)},
    comment="Quality grade of harvested fish.",
)
