"""AquaMind's inventory app: feed, bought, stored and eaten."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    INSTALLED,
    NULL,
    TRUE,
    boolean,
    date,
    day,
    identity,
    index,
    metadata,
    numeric,
    refers,
    text,
    time,
    timestamp,
    varchar,
)

inventory_feed = sa.Table(
    "inventory_feed",
    metadata,
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
    info={"layer": "reference", "natural_key": ("name",)},
    comment="Kind of feed.",
)

inventory_feedcontainerstock = sa.Table(
    "inventory_feedcontainerstock",
    metadata,
    identity("id"),
    timestamp("created_at", fill=pl.col("entry_date")),
    timestamp("updated_at", fill=pl.col("entry_date")),
    refers("feed_container_id", "infrastructure_feedcontainer.id"),
    refers("feed_purchase_id", "inventory_feedpurchase.id"),
    numeric("quantity_kg", 10, 2, range_=(0, None)),
    timestamp("entry_date"),
    info={"layer": "batch"},
    comment="What is left of one delivery.",
)

inventory_feedingevent = sa.Table(
    "inventory_feedingevent",
    metadata,
    identity("id"),
    timestamp("created_at", fill=pl.col("feeding_date").dt.combine(pl.col("feeding_time")).dt.replace_time_zone("UTC")),
    timestamp("updated_at", fill=pl.col("feeding_date").dt.combine(pl.col("feeding_time")).dt.replace_time_zone("UTC")),
    refers("batch_id", "batch_batch.id"),
    refers("batch_assignment_id", "batch_batchcontainerassignment.id", nullable=True),
    refers("container_id", "infrastructure_container.id"),
    refers("feed_id", "inventory_feed.id"),
    date("feeding_date", primary_key=True),
    time("feeding_time"),
    numeric("amount_kg", 10, 4, range_=(0.0001, None)),
    numeric("batch_biomass_kg", 10, 2, range_=(0.01, None)),
    numeric("feeding_percentage", 8, 6, nullable=True, range_=(0, 100)),
    numeric("feed_cost", 10, 2, nullable=True, range_=(0, None)),
    varchar("method", 20, fill=pl.lit("AUTOMATIC")),
    text("notes", fill=EMPTY),
    refers("recorded_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=NULL),
    index("batch_id", "feeding_date"),
    index("container_id", "feeding_date"),
    info={"layer": "event", "partition_by": "feeding_date"},
    comment="One meal of one assignment.",
)

inventory_feedpurchase = sa.Table(
    "inventory_feedpurchase",
    metadata,
    identity("id"),
    timestamp("created_at", fill=day("purchase_date")),
    timestamp("updated_at", fill=day("purchase_date")),
    refers("feed_id", "inventory_feed.id"),
    date("purchase_date"),
    numeric("quantity_kg", 10, 2, range_=(0, None)),
    numeric("cost_per_kg", 10, 2, range_=(0.01, None)),
    varchar("supplier", 100),
    varchar("batch_number", 100),
    date("expiry_date", nullable=True),
    text("notes", fill=EMPTY),
    info={"layer": "batch"},
    comment="Delivery of feed.",
)
