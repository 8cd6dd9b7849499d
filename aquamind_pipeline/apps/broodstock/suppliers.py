"""Where eggs come from."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import INSTALLED, identity, text, timestamp, unique, varchar
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.sites import GEOGRAPHY

SUPPLIERS = TableDefinition(
    name="broodstock_eggsupplier",
    kind=Kind.REFERENCE,
    meaning="Supplier of eggs.",
    how="One supplier for each geography.",
    columns=(
        identity("id"),
        varchar("name", 100),
        text("contact_details", fill=pl.format("{}, sales office", "name")),
        text("certifications", fill=pl.lit("GLOBALG.A.P. Aquaculture")),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame({"id": [1, 2], "name": ["AquaGen Norway", "Marine Harvest Scotland"]}),
    expected=ByFormula(lambda farm, plan: GEOGRAPHY.height),
    lineage={},
    rules=(),
)
