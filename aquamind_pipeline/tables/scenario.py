"""AquaMind's scenario app: models and projections."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    INSTALLED,
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
    metadata,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)

scenario = sa.Table(
    "scenario",
    metadata,
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
    info={"layer": "batch"},
    comment="Baseline projection of a batch.",
)

scenario_fcrmodel = sa.Table(
    "scenario_fcrmodel",
    metadata,
    identity("model_id"),
    varchar("name", 255),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("name"),
    info={"layer": "reference", "natural_key": ("name",)},
    comment="Feed conversion model.",
)

scenario_fcrmodelstage = sa.Table(
    "scenario_fcrmodelstage",
    metadata,
    identity("id"),
    refers("model_id", "scenario_fcrmodel.model_id"),
    refers("stage_id", "batch_lifecyclestage.id"),
    double("fcr_value", range_=(0, None)),
    integer("duration_days"),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("model_id", "stage_id"),
    info={"layer": "reference", "natural_key": ("model_id", "stage_id")},
    comment="Feed conversion ratio of one stage.",
)

scenario_mortality_model_stage = sa.Table(
    "scenario_mortality_model_stage",
    metadata,
    identity("id"),
    refers("mortality_model_id", "scenario_mortalitymodel.model_id"),
    varchar("lifecycle_stage", 20),
    numeric("daily_rate_percent", 5, 3, range_=(0, 100)),
    numeric("weekly_rate_percent", 5, 3, nullable=True, fill=NULL),
    unique("mortality_model_id", "lifecycle_stage"),
    info={"layer": "reference", "natural_key": ("mortality_model_id", "lifecycle_stage")},
    comment="Daily mortality of one stage.",
)

scenario_mortalitymodel = sa.Table(
    "scenario_mortalitymodel",
    metadata,
    identity("model_id"),
    varchar("name", 255),
    varchar("frequency", 10),
    double("rate"),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("name"),
    info={"layer": "reference", "natural_key": ("name",)},
    comment="Mortality model.",
)

scenario_projection_run = sa.Table(
    "scenario_projection_run",
    metadata,
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
    info={"layer": "batch"},
    comment="Run of a projection, pinned to its batch.",
)

scenario_temperatureprofile = sa.Table(
    "scenario_temperatureprofile",
    metadata,
    identity("profile_id"),
    varchar("name", 255),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("name"),
    info={"layer": "reference", "natural_key": ("name",)},
    comment="Water temperature that a release is expected to meet.",
)

scenario_temperaturereading = sa.Table(
    "scenario_temperaturereading",
    metadata,
    identity("reading_id"),
    refers("profile_id", "scenario_temperatureprofile.profile_id"),
    integer("day_number"),
    double("temperature"),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("profile_id", "day_number"),
    info={"layer": "reference", "natural_key": ("profile_id", "day_number")},
    comment="Expected temperature on one day of life, from 1.",
)

scenario_tgc_model_stage = sa.Table(
    "scenario_tgc_model_stage",
    metadata,
    identity("id"),
    refers("tgc_model_id", "scenario_tgcmodel.model_id"),
    varchar("lifecycle_stage", 20),
    numeric("tgc_value", 6, 4, range_=(0, None)),
    numeric("temperature_exponent", 4, 2, fill=pl.lit(1)),
    numeric("weight_exponent", 4, 2, fill=pl.lit("0.33").cast(pl.Decimal(4, 2))),
    unique("tgc_model_id", "lifecycle_stage"),
    info={"layer": "reference", "natural_key": ("tgc_model_id", "lifecycle_stage")},
    comment="Growth coefficient of one stage, per 1000 degree-days.",
)

scenario_tgcmodel = sa.Table(
    "scenario_tgcmodel",
    metadata,
    identity("model_id"),
    varchar("name", 255),
    varchar("location", 255),
    varchar("release_period", 255),
    double("tgc_value", range_=(0, None)),
    double("exponent_n", fill=pl.lit(0.33)),
    double("exponent_m", fill=pl.lit(0.66)),
    refers("profile_id", "scenario_temperatureprofile.profile_id"),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("name"),
    info={"layer": "reference", "natural_key": ("name",)},
    comment="Thermal growth model of a geography and month of release.",
)
