"""The farmed species and the stages of its life."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import (
    EMPTY,
    INSTALLED,
    count,
    identity,
    numeric,
    refers,
    small_count,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.biology import STAGES

SPECIES_ID = 1

SPECIES = TableDefinition(
    name="batch_species",
    kind=Kind.REFERENCE,
    meaning="Farmed species.",
    how="Atlantic salmon.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("scientific_name", 200),
        text("description", fill=EMPTY),
        numeric("optimal_temperature_min", 5, 2, nullable=True, fill=pl.lit(6)),
        numeric("optimal_temperature_max", 5, 2, nullable=True, fill=pl.lit(14)),
        numeric("optimal_oxygen_min", 5, 2, nullable=True, fill=pl.lit(7)),
        numeric("optimal_ph_min", 5, 2, nullable=True, fill=pl.lit("6.5").cast(pl.Decimal(5, 2))),
        numeric("optimal_ph_max", 5, 2, nullable=True, fill=pl.lit("8.5").cast(pl.Decimal(5, 2))),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
        unique("scientific_name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        {"id": [SPECIES_ID], "name": ["Atlantic Salmon"], "scientific_name": ["Salmo salar"]}
    ),
    expected=ByFormula(lambda farm, plan: 1),
    lineage={},
    rules=(),
)


_CONDITION = 1.1
"""Condition factor of a usual fish."""


def _length(weight: str) -> pl.Expr:
    """Length of a fish of this weight, to the millimetre."""
    return (pl.col(weight).cast(pl.Float64) * 100 / _CONDITION).cbrt().round(1)


def stages(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_lifecyclestage."""
    return pl.DataFrame(
        {
            "id": [s.order for s in STAGES],
            "name": [s.name for s in STAGES],
            "species_id": [SPECIES_ID] * len(STAGES),
            "order": [s.order for s in STAGES],
            "expected_weight_min_g": [s.expected_weight_g[0] for s in STAGES],
            "expected_weight_max_g": [s.expected_weight_g[1] for s in STAGES],
            "typical_duration_days": [inputs.farm.stage_days(s.days) for s in STAGES],
        }
    )


LIFECYCLE_STAGES = TableDefinition(
    name="batch_lifecyclestage",
    kind=Kind.REFERENCE,
    meaning="Stage of life with its order and expected weights.",
    how="AquaMind's six stages.",
    columns=(
        identity("id"),
        varchar("name", 100),
        refers("species_id", "batch_species.id"),
        small_count("order"),
        text("description", fill=EMPTY),
        numeric("expected_weight_min_g", 10, 2, nullable=True),
        numeric("expected_weight_max_g", 10, 2, nullable=True),
        numeric("expected_length_min_cm", 10, 2, nullable=True, fill=_length("expected_weight_min_g")),
        numeric("expected_length_max_cm", 10, 2, nullable=True, fill=_length("expected_weight_max_g")),
        count("typical_duration_days", nullable=True),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
        unique("species_id", "order"),
    ),
    natural_key=("name",),
    reads=(),
    generate=stages,
    expected=ByFormula(lambda farm, plan: len(STAGES)),
    lineage={},
    rules=(),
)

__all__ = ["LIFECYCLE_STAGES", "SPECIES", "SPECIES_ID"]
