"""Models that AquaMind's growth engine looks up: growth, feed conversion, mortality, and the water to expect."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.schema.columns import (
    INSTALLED,
    double,
    identity,
    integer,
    numeric,
    refers,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation import climate
from aquamind_pipeline.simulation.biology import ADULT, FRESHWATER, STAGES, Stage
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sites import GEOGRAPHY

FCR_MODEL_ID = MORTALITY_MODEL_ID = 1
SEA_FCR_MODEL_ID = 2
"""Of mixed batches: AquaMind's engines take the stage of a day from the stages of this model, and a mixed batch begins
as adult fish."""
ILLNESS_MODEL_ID = 2
USUAL_MORTALITY = "Standard Mortality"
"""Name of the model that the fish die by."""
_ILLNESS = 2.5
"""How many times as many fish as usual die in months of illness."""
_ADULT_FCR = ((450.0, 2000.0, 1.11), (2000.0, 4000.0, 1.19), (4000.0, 8000.0, 1.30))
"""Feed per growth of adult fish by weight: from, to [g], and the ratio. Over a life at sea the mean is the stage's."""
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
BASE_TGC = {1: 0.00245, 2: 0.00235}
"""AquaMind's base coefficient by geography_id; the stage rows override it."""
BASE_DAILY_MORTALITY_PERCENT = 0.03
EXPONENT_N, EXPONENT_M = 0.33, 0.66
"""Exponents that AquaMind's models have and its engines do not use."""
_SEASONS = 12 * GEOGRAPHY.height
"""Number of growth models of batches that begin as eggs: one for each geography and month of release."""


def model_id(geography_id: pl.Expr, start_date: pl.Expr, *, from_sea: pl.Expr) -> pl.Expr:
    """Growth model and temperature profile of a batch: one for each geography and month of its first day.

    Args:
        geography_id: The batch's geography.
        start_date: Its first day.
        from_sea: Whether it begins at sea.
    """
    return (geography_id - 1) * 12 + start_date.dt.month().cast(pl.Int64) + from_sea.cast(pl.Int64) * _SEASONS


def seasons(farm: Profile) -> int:
    """Number of growth models. A farm with mixed batches has some for batches that begin at sea, too."""
    return _SEASONS * (2 if farm.mixed_batches else 1)


def _seasons(farm: Profile) -> pl.DataFrame:
    """id, geography_id, geography, month, month_name and from_sea of each growth model."""
    months = pl.DataFrame({"month": range(1, 13), "month_name": MONTH_NAMES})
    begins = pl.DataFrame({"from_sea": [False, True] if farm.mixed_batches else [False]})
    return (
        begins.join(GEOGRAPHY.select("geography_id", "geography"), how="cross", maintain_order="left_right")
        .join(months, how="cross", maintain_order="left_right")
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )


def _profile_days(farm: Profile) -> tuple[int, int]:
    """Days of a temperature profile on land and at sea."""
    return sum(farm.stage_days(stage.days) for stage in FRESHWATER), farm.stage_days(ADULT.days)


def _fcr_stages(farm: Profile) -> list[tuple[int, Stage]]:
    """Feed conversion models and their stages, in the order of ids."""
    usual = [(FCR_MODEL_ID, stage) for stage in STAGES]
    return [*usual, (SEA_FCR_MODEL_ID, ADULT)] if farm.mixed_batches else usual


TEMPERATURE_PROFILES = TableDefinition(
    name="scenario_temperatureprofile",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Water temperature that a release is expected to meet.",
    how="One profile for each geography and month of release, and of mixing where batches are mixed.",
    columns=(
        identity("profile_id"),
        varchar("name", 255),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: _seasons(inputs.farm).select(
        profile_id="id",
        name=pl.when("from_sea")
        .then(pl.format("{} sea, mixed in {}", "geography", "month_name"))
        .otherwise(pl.format("{} water, released in {}", "geography", "month_name")),
    ),
    expected=ByFormula(lambda farm, plan: seasons(farm)),
    lineage={},
    rules=(),
)


def temperature_days(inputs: Inputs) -> pl.DataFrame:
    """The season that a batch begun in mid-month meets: hatchery water and then the sea, or the sea only.

    Days count from 1.
    """
    farm = inputs.farm
    parts = []
    wanted = _seasons(farm).select("id", "geography_id", "month", "from_sea")
    for profile_id, geography_id, month, from_sea in wanted.iter_rows():
        on_land, at_sea = _profile_days(farm)
        if from_sea:
            on_land = 0
        total = on_land + at_sea
        days = np.arange(total, dtype=np.int64) + date(2025, month, 15).toordinal()
        water = np.concatenate(
            [
                climate.seasonal_c(climate.FRESHWATER[geography_id], days[:on_land]),
                climate.seasonal_c(climate.SEA[geography_id], days[on_land:]),
            ]
        )
        parts.append(
            pl.DataFrame(
                {
                    "profile_id": np.full(total, profile_id),
                    "day_number": np.arange(1, total + 1),
                    "temperature": water.round(2),
                }
            )
        )
    return pl.concat(parts).with_row_index("reading_id", offset=1)


TEMPERATURE_READINGS = TableDefinition(
    name="scenario_temperaturereading",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Expected temperature on one day of life, from 1.",
    how="The mean season of hatchery water, then of the sea, from the month of release on.",
    columns=(
        identity("reading_id"),
        refers("profile_id", "scenario_temperatureprofile.profile_id"),
        integer("day_number"),
        double("temperature"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("profile_id", "day_number"),
    ),
    natural_key=("profile_id", "day_number"),
    reads=(),
    generate=temperature_days,
    expected=ByFormula(
        lambda farm, plan: _SEASONS * sum(_profile_days(farm)) + (seasons(farm) - _SEASONS) * _profile_days(farm)[1]
    ),
    lineage={},
    rules=(),
)

TGC_MODELS = TableDefinition(
    name="scenario_tgcmodel",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Thermal growth model of a geography and month of release.",
    how="AquaMind's base coefficient of the geography.",
    columns=(
        identity("model_id"),
        varchar("name", 255),
        varchar("location", 255),
        varchar("release_period", 255),
        double("tgc_value", range_=(0, None)),
        double("exponent_n", fill=pl.lit(EXPONENT_N)),
        double("exponent_m", fill=pl.lit(EXPONENT_M)),
        refers("profile_id", "scenario_temperatureprofile.profile_id"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: _seasons(inputs.farm).select(
        model_id="id",
        name=pl.when("from_sea")
        .then(pl.format("{} Sea TGC, {}", "geography", "month_name"))
        .otherwise(pl.format("{} Standard TGC, {}", "geography", "month_name")),
        location="geography",
        release_period="month_name",
        tgc_value=pl.col("geography_id").replace_strict(BASE_TGC) * inputs.farm.speed,
        profile_id="id",
    ),
    expected=ByFormula(lambda farm, plan: seasons(farm)),
    lineage={},
    rules=(),
)


def tgc_stages(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario_tgc_model_stage."""
    coefficients = pl.DataFrame(
        {"lifecycle_stage": [s.name for s in STAGES], "tgc_value": [s.tgc for s in STAGES]}
    ).with_columns(pl.col("tgc_value") * inputs.farm.speed)
    models = _seasons(inputs.farm).select(tgc_model_id="id")
    return models.join(coefficients, how="cross", maintain_order="left_right").with_row_index("id", offset=1)


TGC_STAGES = TableDefinition(
    name="scenario_tgc_model_stage",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Growth coefficient of one stage, per 1000 degree-days.",
    how="The coefficients of the stages that the fish are made to grow by.",
    columns=(
        identity("id"),
        refers("tgc_model_id", "scenario_tgcmodel.model_id"),
        varchar("lifecycle_stage", 20),
        numeric("tgc_value", 6, 4, range_=(0, None)),
        numeric("temperature_exponent", 4, 2, fill=pl.lit(1)),
        numeric("weight_exponent", 4, 2, fill=pl.lit("0.33").cast(pl.Decimal(4, 2))),
        unique("tgc_model_id", "lifecycle_stage"),
    ),
    natural_key=("tgc_model_id", "lifecycle_stage"),
    reads=(),
    generate=tgc_stages,
    expected=ByFormula(lambda farm, plan: seasons(farm) * len(STAGES)),
    lineage={},
    rules=(),
)

FCR_MODELS = TableDefinition(
    name="scenario_fcrmodel",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Feed conversion model.",
    how="One standard model, and one for mixed batches, which begin at sea.",
    columns=(
        identity("model_id"),
        varchar("name", 255),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        {"model_id": [FCR_MODEL_ID, SEA_FCR_MODEL_ID], "name": ["Standard FCR", "Sea FCR"]}
    ).head(2 if inputs.farm.mixed_batches else 1),
    expected=ByFormula(lambda farm, plan: 2 if farm.mixed_batches else 1),
    lineage={},
    rules=(),
)

FCR_STAGES = TableDefinition(
    name="scenario_fcrmodelstage",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Feed conversion ratio of one stage.",
    how="The ratios that the fish are fed by.",
    columns=(
        identity("id"),
        refers("model_id", "scenario_fcrmodel.model_id"),
        refers("stage_id", "batch_lifecyclestage.id"),
        double("fcr_value", range_=(0, None)),
        integer("duration_days"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("model_id", "stage_id"),
    ),
    natural_key=("model_id", "stage_id"),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        {
            "id": range(1, len(_fcr_stages(inputs.farm)) + 1),
            "model_id": [model for model, _ in _fcr_stages(inputs.farm)],
            "stage_id": [s.order for _, s in _fcr_stages(inputs.farm)],
            "fcr_value": [s.fcr for _, s in _fcr_stages(inputs.farm)],
            "duration_days": [inputs.farm.stage_days(s.days) for _, s in _fcr_stages(inputs.farm)],
        }
    ),
    expected=ByFormula(lambda farm, plan: len(_fcr_stages(farm))),
    lineage={},
    rules=(),
)


def _adult_fcr_stages(farm: Profile) -> list[int]:
    """Ids of the rows of adult fish in `scenario_fcrmodelstage`."""
    return [number for number, (_, stage) in enumerate(_fcr_stages(farm), 1) if stage is ADULT]


FCR_OVERRIDES = TableDefinition(
    name="scenario_fcr_model_stage_override",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Feed conversion ratio of a stage for fish of some weights.",
    how="Adult fish need the more feed for their growth the heavier they are.",
    columns=(
        identity("id"),
        numeric("min_weight_g", 10, 2, range_=(0, None), comment="Lowest weight for which the ratio holds [g]"),
        numeric("max_weight_g", 10, 2, range_=(0, None), comment="Highest weight for which the ratio holds [g]"),
        numeric("fcr_value", 5, 3, range_=(0, None)),
        refers("fcr_stage_id", "scenario_fcrmodelstage.id"),
    ),
    natural_key=("fcr_stage_id", "min_weight_g"),
    reads=(),
    generate=lambda inputs: (
        pl.DataFrame({"fcr_stage_id": _adult_fcr_stages(inputs.farm)})
        .join(
            pl.DataFrame(_ADULT_FCR, schema=["min_weight_g", "max_weight_g", "fcr_value"], orient="row"),
            how="cross",
            maintain_order="left_right",
        )
        .with_columns(id=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    ),
    expected=ByFormula(lambda farm, plan: len(_ADULT_FCR) * len(_adult_fcr_stages(farm))),
    lineage={},
    rules=(),
)

MORTALITY_MODELS = TableDefinition(
    name="scenario_mortalitymodel",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Mortality model.",
    how="The standard model, and one for months of illness.",
    columns=(
        identity("model_id"),
        varchar("name", 255),
        varchar("frequency", 10),
        double("rate"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        {
            "model_id": [MORTALITY_MODEL_ID, ILLNESS_MODEL_ID],
            "name": [USUAL_MORTALITY, "Mortality in Months of Illness"],
            "frequency": ["daily", "daily"],
            "rate": [times * BASE_DAILY_MORTALITY_PERCENT * inputs.farm.speed for times in (1, _ILLNESS)],
        }
    ),
    expected=ByFormula(lambda farm, plan: 2),
    lineage={},
    rules=(),
)

_ALIVE = 1 - pl.col("daily_rate_percent").cast(pl.Float64) / 100
_WEEKLY_PERCENT = ((1 - _ALIVE * _ALIVE * _ALIVE * _ALIVE * _ALIVE * _ALIVE * _ALIVE) * 100).round(3)
"""What AquaMind computes of a daily rate when it saves the row. No engine reads it."""

MORTALITY_STAGES = TableDefinition(
    name="scenario_mortality_model_stage",
    part="models",
    kind=Kind.REFERENCE,
    meaning="Daily mortality of one stage.",
    how="The rates that the fish die by, and higher ones for months of illness.",
    columns=(
        identity("id"),
        refers("mortality_model_id", "scenario_mortalitymodel.model_id"),
        varchar("lifecycle_stage", 20),
        numeric("daily_rate_percent", 5, 3, range_=(0, 100)),
        numeric("weekly_rate_percent", 5, 3, nullable=True, fill=_WEEKLY_PERCENT),
        unique("mortality_model_id", "lifecycle_stage"),
    ),
    natural_key=("mortality_model_id", "lifecycle_stage"),
    reads=(),
    generate=lambda inputs: pl.DataFrame(
        {
            "id": range(1, 2 * len(STAGES) + 1),
            "mortality_model_id": [MORTALITY_MODEL_ID] * len(STAGES) + [ILLNESS_MODEL_ID] * len(STAGES),
            "lifecycle_stage": [s.name for s in STAGES] * 2,
            "daily_rate_percent": [
                round(times * s.daily_mortality * 100 * inputs.farm.speed, 3) for times in (1, _ILLNESS) for s in STAGES
            ],
        }
    ),
    expected=ByFormula(lambda farm, plan: 2 * len(STAGES)),
    lineage={},
    rules=(),
)
