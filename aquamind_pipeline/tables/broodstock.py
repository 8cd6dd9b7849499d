"""AquaMind's broodstock app: where eggs come from."""

from __future__ import annotations

import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    INSTALLED,
    identity,
    metadata,
    text,
    timestamp,
    unique,
    varchar,
)

broodstock_eggsupplier = sa.Table(
    "broodstock_eggsupplier",
    metadata,
    identity("id"),
    varchar("name", 100),
    text("contact_details", fill=EMPTY),
    text("certifications", fill=EMPTY),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("name"),
    info={"layer": "reference", "natural_key": ("name",)},
    comment="Supplier of eggs.",
)
