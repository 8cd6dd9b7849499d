"""Biological constraints: the weights and temperatures that AquaMind allows a scenario's fish in each stage."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.schema.columns import (
    INSTALLED,
    OWNER,
    TRUE,
    boolean,
    identity,
    integer,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.sites import GEOGRAPHY

THRESHOLDS_G = {"smolt": (1.0, 100.0), "harvest": (500.0, 5000.0)}
"""Rows that AquaMind's live projection reads for its thresholds of transfer and harvest: their largest weight. They are
the ones that it assumes without a row (lower case; rows of stages have the stages' names)."""
_FRESHWATER_C, _SEA_C = {1: (2.0, 14.0), 2: (2.0, 16.0)}, {1: (4.0, 13.0), 2: (4.0, 17.0)}
"""Coldest and warmest water by geography_id."""

CONSTRAINTS = TableDefinition(
    name="scenario_biological_constraints",
    kind=Kind.REFERENCE,
    meaning="Set of biological constraints that scenarios are made under.",
    how="One set for each geography; its id is that of the geography.",
    columns=(
        identity("id"),
        varchar("name", 100),
        text("description", fill=pl.format("Weights and temperatures by stage: {}.", "name")),
        boolean("is_active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: GEOGRAPHY.select(id="geography_id", name=pl.format("{} Standard", "geography")),
    expected=ByFormula(lambda farm, plan: GEOGRAPHY.height),
    lineage={},
    rules=(),
)


def stage_constraints(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario_stage_constraint: the stages by name, and the two thresholds.

    The growth engine moves fish on at the largest weight (rule R37): it is the stage's expected one, so that the rows
    change no state.
    """
    rows: list[tuple[object, ...]] = []
    for geography_id in GEOGRAPHY["geography_id"]:
        for stage in STAGES:
            low, high = stage.expected_weight_g
            cold, warm = (_SEA_C if stage.at_sea else _FRESHWATER_C)[geography_id]
            days, freshwater = inputs.farm.stage_days(stage.days), None if stage.at_sea else high
            rows.append((geography_id, stage.name, low, high, cold, warm, days, freshwater))
        for name, (low, high) in THRESHOLDS_G.items():
            rows.append((geography_id, name, low, high, None, None, None, None))
    schema = {
        "constraint_set_id": pl.Int64,
        "lifecycle_stage": pl.String,
        "min_weight_g": pl.Float64,
        "max_weight_g": pl.Float64,
        "min_temperature_c": pl.Float64,
        "max_temperature_c": pl.Float64,
        "typical_duration_days": pl.Int64,
        "max_freshwater_weight_g": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("id", offset=1)


STAGE_CONSTRAINTS = TableDefinition(
    name="scenario_stage_constraint",
    kind=Kind.REFERENCE,
    meaning="Weights and temperatures that a set of constraints allows in one stage, or a threshold of weight.",
    how="The stages' expected weights, and AquaMind's own thresholds of transfer and harvest.",
    columns=(
        identity("id"),
        varchar("lifecycle_stage", 20, comment="Name of the stage; `smolt` and `harvest` are thresholds"),
        numeric("min_weight_g", 10, 2, range_=(0, None), comment="Lowest weight allowed [g]"),
        numeric("max_weight_g", 10, 2, range_=(0, None), comment="Highest weight allowed [g]"),
        numeric("min_temperature_c", 5, 2, nullable=True, comment="Coldest water allowed [°C]"),
        numeric("max_temperature_c", 5, 2, nullable=True, comment="Warmest water allowed [°C]"),
        integer("typical_duration_days", nullable=True),
        numeric("max_freshwater_weight_g", 10, 2, nullable=True, comment="Highest weight in fresh water [g]"),
        refers("constraint_set_id", f"{CONSTRAINTS.name}.id"),
        unique("constraint_set_id", "lifecycle_stage"),
    ),
    natural_key=("constraint_set_id", "lifecycle_stage"),
    reads=(),
    generate=stage_constraints,
    expected=ByFormula(lambda farm, plan: GEOGRAPHY.height * (len(STAGES) + len(THRESHOLDS_G))),
    lineage={},
    rules=(),
)

__all__ = ["CONSTRAINTS", "STAGE_CONSTRAINTS"]
