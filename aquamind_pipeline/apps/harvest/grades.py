"""Quality grades of harvested fish."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import EMPTY, INSTALLED, identity, text, timestamp, unique, varchar
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.harvest_quality import GRADES as CODES

GRADES = TableDefinition(
    name="harvest_productgrade",
    kind=Kind.REFERENCE,
    meaning="Quality grade of harvested fish.",
    how="AquaMind's grades.",
    columns=(
        identity("id"),
        varchar("code", 50),
        varchar("name", 100),
        text("description", fill=EMPTY),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("code"),
    ),
    natural_key=("code",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        {
            "id": range(1, len(CODES) + 1),
            "code": CODES,
            "name": [grade.replace("_", " ").title() for grade in CODES],
        }
    ),
    expected=ByFormula(lambda farm, plan: len(CODES)),
    lineage={},
    rules=(),
)
