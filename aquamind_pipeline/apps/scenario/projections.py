"""Runs of the baselines and their days, as AquaMind's own engine computes them."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.stages import LIFECYCLE_STAGES
from aquamind_pipeline.apps.scenario.baselines import GENOTYPE, SCENARIOS, SUPPLIER, duration_days
from aquamind_pipeline.apps.scenario.model_changes import MODEL_CHANGES
from aquamind_pipeline.apps.scenario.models import (
    EXPONENT_M,
    EXPONENT_N,
    FCR_MODELS,
    FCR_OVERRIDES,
    FCR_STAGES,
    MORTALITY_MODELS,
    MORTALITY_STAGES,
    TEMPERATURE_READINGS,
    TGC_MODELS,
    TGC_STAGES,
)
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.projection.models import ScenarioModels
from aquamind_pipeline.projection.scenario import Projection, project
from aquamind_pipeline.schema.columns import (
    EMPTY,
    OWNER,
    date,
    day,
    double,
    identity,
    index,
    integer,
    jsonb,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import DeclaredReads, Inputs
from aquamind_pipeline.schema.kinds import Kind

STEP = "projections"
READS = (
    SCENARIOS.name,
    LIFECYCLE_STAGES.name,
    TGC_MODELS.name,
    TGC_STAGES.name,
    TEMPERATURE_READINGS.name,
    FCR_MODELS.name,
    FCR_STAGES.name,
    MORTALITY_MODELS.name,
    MORTALITY_STAGES.name,
    FCR_OVERRIDES.name,
    MODEL_CHANGES.name,
)
"""What `projection` reads."""


def scenario_models(inputs: DeclaredReads) -> ScenarioModels:
    """The farm's scenarios and their models, as the projection reads them."""
    others = dict.fromkeys(("new_tgc_model_id", "new_fcr_model_id"), pl.lit(None, pl.Int64))
    tgc = inputs.whole(TGC_MODELS.name).rename({"model_id": "tgc_model_id"})
    return ScenarioModels(
        scenarios=inputs.whole(SCENARIOS.name),
        stages=inputs.whole(LIFECYCLE_STAGES.name).rename({"id": "lifecycle_stage_id"}),
        tgc_models=tgc.with_columns(exponent_n=pl.lit(EXPONENT_N), exponent_m=pl.lit(EXPONENT_M)),
        tgc_stages=inputs.whole(TGC_STAGES.name),
        temperatures=inputs.whole(TEMPERATURE_READINGS.name),
        fcr_stages=inputs.whole(FCR_STAGES.name).rename(
            {"id": "fcr_stage_id", "model_id": "fcr_model_id", "stage_id": "lifecycle_stage_id"}
        ),
        fcr_overrides=inputs.whole(FCR_OVERRIDES.name),
        mortality_models=inputs.whole(MORTALITY_MODELS.name).rename({"model_id": "mortality_model_id"}),
        mortality_stages=inputs.whole(MORTALITY_STAGES.name),
        model_changes=inputs.whole(MODEL_CHANGES.name).with_columns(**others).sort("change_id"),
    )


def projection(inputs: Inputs) -> Projection:
    """The baselines of these batches, computed once for the runs and their days."""

    def make() -> Projection:
        made = project(scenario_models(inputs))
        failed = made.runs.filter(pl.col("outcome") != "ok")
        if failed.height:
            raise InputError(f"scenario {failed['scenario_id'][0]} cannot be projected: {failed['reasons'][0]}")
        return made

    return inputs.once("projection", make)


def runs(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario_projection_run."""
    scenarios = inputs.frame(SCENARIOS.name)
    made = projection(inputs).runs.select("scenario_id", "total_projections", "final_weight_g", "final_biomass_kg")
    return scenarios.join(made, on="scenario_id", maintain_order="left").select(
        "scenario_id",
        "final_weight_g",
        "final_biomass_kg",
        run_id="scenario_id",
        run_date=pl.col("start_date").cast(pl.Datetime("us", "UTC")),
        total_projections=pl.col("total_projections").cast(pl.Int64),
        parameters_snapshot=_snapshots(inputs, scenarios),
    )


def _snapshots(inputs: Inputs, scenarios: pl.DataFrame) -> pl.Series:
    """What AquaMind notes of the models that a run used. Ids are left out: rows get others in another database."""
    tgc = inputs.whole(TGC_MODELS.name).select(
        pl.struct(
            "name",
            "location",
            "release_period",
            "tgc_value",
            exponent_n=pl.lit(EXPONENT_N),
            exponent_m=pl.lit(EXPONENT_M),
        ).alias("tgc_model"),
        tgc_model_id="model_id",
    )
    fcr = inputs.whole(FCR_MODELS.name).select(pl.struct("name").alias("fcr_model"), fcr_model_id="model_id")
    mortality = inputs.whole(MORTALITY_MODELS.name).select(
        pl.struct("name", "rate", "frequency").alias("mortality_model"), mortality_model_id="model_id"
    )
    own = pl.struct(
        "initial_count",
        "duration_days",
        "initial_weight",
        genotype=pl.lit(GENOTYPE),
        supplier=pl.lit(SUPPLIER),
    )
    joined = scenarios
    for models, key in ((tgc, "tgc_model_id"), (fcr, "fcr_model_id"), (mortality, "mortality_model_id")):
        joined = joined.join(models, on=key, how="left", maintain_order="left")
    captured = pl.format("{}T00:00:00+00:00", pl.col("start_date").cast(pl.String))
    whole = pl.struct("tgc_model", "fcr_model", "mortality_model", scenario=own, captured_at=captured)
    return joined.select(whole.struct.json_encode()).to_series()


PROJECTION_RUNS = TableDefinition(
    name="scenario_projection_run",
    kind=Kind.LEDGER,
    step=STEP,
    meaning="Run of a projection, pinned to its batch.",
    how="One run of each baseline, on the batch's first day.",
    columns=(
        identity("run_id"),
        refers("scenario_id", "scenario.scenario_id"),
        timestamp("run_date"),
        integer("run_number", fill=pl.lit(1)),
        varchar("label", 100, fill=pl.lit("Baseline")),
        jsonb("parameters_snapshot", comment="Models and settings that the run used"),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        text("notes", fill=EMPTY),
        integer("total_projections", comment="Days of the projection"),
        double("final_weight_g", nullable=True, comment="Weight on the last day [g]"),
        double("final_biomass_kg", nullable=True, comment="Biomass on the last day [kg]"),
        timestamp("created_at", fill=pl.col("run_date")),
        timestamp("updated_at", fill=pl.col("run_date")),
        unique("scenario_id", "run_number"),
    ),
    reads=READS,
    generate=runs,
    expected=ByFormula(lambda farm, plan: plan.batches.height),
    lineage={
        "run_id": "plan_batch.batch_id",
        "run_date": "plan_batch.start_date",
        "final_weight_g": f"{TGC_STAGES.name}.tgc_value {TEMPERATURE_READINGS.name}.temperature",
    },
    rules=(),
)


def projections(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario_scenarioprojection."""
    days = duration_days(inputs.farm)
    return projection(inputs).rows.select(
        pl.all().exclude("scenario_id", "day_number"),
        pl.col("day_number").cast(pl.Int64),
        projection_id=(pl.col("scenario_id") - 1) * days + pl.col("day_number"),
        projection_run_id="scenario_id",
    )


PROJECTIONS = TableDefinition(
    name="scenario_scenarioprojection",
    kind=Kind.DERIVED,
    step=STEP,
    meaning="Expected weight, fish and feed of a batch on one day of its baseline.",
    how="AquaMind's own rules of projection (docs/projections.md), days that are to come included.",
    columns=(
        identity("projection_id"),
        date("projection_date", comment="Day of the projection"),
        integer("day_number"),
        double("average_weight", range_=(0, None), comment="Expected weight of a fish [g]"),
        double("population", range_=(0, None), comment="Expected number of fish"),
        double("biomass", range_=(0, None), comment="Expected biomass [kg]"),
        double("daily_feed", comment="Expected feed of the day [kg]"),
        double("cumulative_feed", comment="Expected feed since the first day [kg]"),
        double("temperature", range_=(-2, 30), comment="Expected water temperature [°C]"),
        timestamp("created_at", fill=day("projection_date")),
        timestamp("updated_at", fill=day("projection_date")),
        refers("current_stage_id", f"{LIFECYCLE_STAGES.name}.id"),
        refers("projection_run_id", f"{PROJECTION_RUNS.name}.run_id", nullable=True),
        index("projection_run_id", "day_number"),
    ),
    reads=READS,
    generate=projections,
    expected=ByFormula(lambda farm, plan: plan.batches.height * duration_days(farm)),
    lineage={
        "average_weight": f"{TGC_STAGES.name}.tgc_value {TEMPERATURE_READINGS.name}.temperature",
        "population": f"{SCENARIOS.name}.initial_count {MORTALITY_STAGES.name}.daily_rate_percent",
        "daily_feed": f"{FCR_STAGES.name}.fcr_value",
        "projection_date": f"{SCENARIOS.name}.start_date",
    },
    rules=(),
)

__all__ = ["PROJECTIONS", "PROJECTION_RUNS", "projection", "scenario_models"]
