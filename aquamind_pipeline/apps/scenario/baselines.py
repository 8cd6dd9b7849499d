"""The baseline projection of each batch."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.scenario.models import FCR_MODEL_ID, MORTALITY_MODEL_ID, model_id
from aquamind_pipeline.schema.columns import (
    EMPTY,
    NULL,
    OWNER,
    ZERO,
    bigint,
    date,
    day,
    double,
    identity,
    integer,
    jsonb,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind


def scenarios(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario."""
    return inputs.plan.batches.select(
        "start_date",
        "batch_id",
        scenario_id="batch_id",
        name=pl.format("Baseline Projection - {}", "batch_number"),
        initial_count="eggs",
        tgc_model_id=model_id(pl.col("geography_id"), pl.col("start_date")),
        fcr_model_id=pl.lit(FCR_MODEL_ID, pl.Int64),
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
        integer("duration_days", fill=pl.lit(900)),
        integer("initial_count"),
        varchar("genotype", 255, fill=pl.lit("SalmoBreed Standard")),
        varchar("supplier", 255, fill=pl.lit("AquaGen")),
        double("initial_weight", nullable=True, fill=pl.lit(0.1)),
        refers("tgc_model_id", "scenario_tgcmodel.model_id"),
        refers("fcr_model_id", "scenario_fcrmodel.model_id"),
        refers("mortality_model_id", "scenario_mortalitymodel.model_id"),
        refers("batch_id", "batch_batch.id", nullable=True),
        bigint("biological_constraints_id", nullable=True, fill=NULL),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        timestamp("created_at", fill=day("start_date")),
        timestamp("updated_at", fill=day("start_date")),
    ),
    reads=PLAN,
    generate=scenarios,
    expected=ByFormula(lambda farm, plan: plan.batches.height),
    lineage={"scenario_id": "plan_batch.batch_id", "initial_count": "plan_batch.eggs"},
    rules=(),
)

PROJECTION_RUNS = TableDefinition(
    name="scenario_projection_run",
    kind=Kind.LEDGER,
    meaning="Run of a projection, pinned to its batch.",
    how="One run of each baseline, on the batch's first day.",
    columns=(
        identity("run_id"),
        refers("scenario_id", "scenario.scenario_id"),
        timestamp("run_date"),
        integer("run_number", fill=pl.lit(1)),
        varchar("label", 100, fill=pl.lit("Baseline")),
        jsonb("parameters_snapshot", fill=pl.lit("{}")),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        text("notes", fill=EMPTY),
        integer("total_projections", fill=ZERO),
        double("final_weight_g", nullable=True, fill=NULL),
        double("final_biomass_kg", nullable=True, fill=NULL),
        timestamp("created_at", fill=pl.col("run_date")),
        timestamp("updated_at", fill=pl.col("run_date")),
        unique("scenario_id", "run_number"),
    ),
    reads=PLAN,
    generate=lambda inputs: inputs.plan.batches.select(
        run_id="batch_id",
        scenario_id="batch_id",
        run_date=pl.col("start_date").cast(pl.Datetime("us", "UTC")),
    ),
    expected=ByFormula(lambda farm, plan: plan.batches.height),
    lineage={"run_id": "plan_batch.batch_id", "run_date": "plan_batch.start_date"},
    rules=(),
)

__all__ = ["PROJECTION_RUNS", "SCENARIOS"]
