"""The baseline scenario of each batch."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.farm.life import LIFE_MOVES
from aquamind_pipeline.apps.scenario.constraints import CONSTRAINTS
from aquamind_pipeline.apps.scenario.models import FCR_MODEL_ID, MORTALITY_MODEL_ID, SEA_FCR_MODEL_ID, model_id
from aquamind_pipeline.schema.columns import (
    OWNER,
    date,
    day,
    double,
    identity,
    integer,
    refers,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.profile import Profile

GENOTYPE, SUPPLIER = "SalmoBreed Standard", "AquaGen"
INITIAL_WEIGHT_G = 0.1
_DURATION_DAYS = 900
"""AquaMind's own length of a baseline, in days of real fish."""


def duration_days(farm: Profile) -> int:
    """Length of a baseline."""
    return farm.stage_days(_DURATION_DAYS)


def scenarios(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario. The one of a mixed batch begins with the fish that were mixed, and their weight."""
    mixed = is_mixed(pl.col("batch_id"))
    fish, mass = pl.col("count"), pl.col("count") * pl.col("weight_g")
    put_together = (
        inputs.whole(LIFE_MOVES.name)
        .join(inputs.plan.mixes.select("batch_id", dest_assignment_id="assignment_id"), on="dest_assignment_id")
        .group_by(pl.col("batch_id_right").alias("batch_id"))
        .agg(fish=fish.sum(), weight_g=mass.sum() / fish.sum())
    )
    batches = inputs.plan.batches.join(put_together, on="batch_id", how="left", maintain_order="left")
    return batches.select(
        "start_date",
        "batch_id",
        scenario_id="batch_id",
        name=pl.format("Baseline Projection - {}", "batch_number"),
        initial_count=pl.coalesce("fish", "eggs"),
        initial_weight=pl.coalesce(pl.col("weight_g").round(2), pl.lit(INITIAL_WEIGHT_G)),
        biological_constraints_id="geography_id",
        duration_days=pl.lit(duration_days(inputs.farm)),
        tgc_model_id=model_id(pl.col("geography_id"), pl.col("start_date"), from_sea=mixed),
        fcr_model_id=pl.when(mixed).then(SEA_FCR_MODEL_ID).otherwise(FCR_MODEL_ID).cast(pl.Int64),
        mortality_model_id=pl.lit(MORTALITY_MODEL_ID, pl.Int64),
    )


SCENARIOS = TableDefinition(
    name="scenario",
    kind=Kind.LEDGER,
    meaning="Baseline projection of a batch.",
    how="One for each batch, by the models of its geography and month of release.",
    columns=(
        identity("scenario_id"),
        varchar("name", 255),
        date("start_date"),
        integer("duration_days"),
        integer("initial_count"),
        varchar("genotype", 255, fill=pl.lit(GENOTYPE)),
        varchar("supplier", 255, fill=pl.lit(SUPPLIER)),
        double("initial_weight", nullable=True),
        refers("tgc_model_id", "scenario_tgcmodel.model_id"),
        refers("fcr_model_id", "scenario_fcrmodel.model_id"),
        refers("mortality_model_id", "scenario_mortalitymodel.model_id"),
        refers("batch_id", "batch_batch.id", nullable=True),
        refers("biological_constraints_id", f"{CONSTRAINTS.name}.id", nullable=True),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        timestamp("created_at", fill=day("start_date")),
        timestamp("updated_at", fill=day("start_date")),
    ),
    reads=(*PLAN, LIFE_MOVES.name),
    generate=scenarios,
    expected=ByFormula(lambda farm, plan: plan.batches.height),
    lineage={
        "scenario_id": "plan_batch.batch_id",
        "initial_count": f"plan_batch.eggs {LIFE_MOVES.name}.count",
        "initial_weight": f"{LIFE_MOVES.name}.weight_g",
    },
    rules=(),
)

__all__ = ["GENOTYPE", "INITIAL_WEIGHT_G", "SCENARIOS", "SUPPLIER", "duration_days"]
