"""Reference rows that a fresh AquaMind database needs and none of its scripts makes: species, stages, parameters,
feeds, grades, the owning user, and the scenario models that its growth engine looks up.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.simulation import climate
from aquamind_pipeline.simulation.biology import ADULT, FRESHWATER, HARVEST_GRADES, STAGES
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sites import GEOGRAPHY

OWNER_USER_ID = 1
SPECIES_ID = 1
FCR_MODEL_ID = MORTALITY_MODEL_ID = 1
MONTHS = (
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


def model_id(geography_id: pl.Expr, start_date: pl.Expr) -> pl.Expr:
    """TGC model and temperature profile of a batch: one for each geography and month of release."""
    return (geography_id - 1) * 12 + start_date.dt.month().cast(pl.Int64)


def reference(profile: Profile) -> dict[str, pl.DataFrame]:
    """All reference tables in AquaMind's names and columns."""
    stages = pl.DataFrame(
        {
            "id": [s.order for s in STAGES],
            "name": [s.name for s in STAGES],
            "species_id": [SPECIES_ID] * len(STAGES),
            "order": [s.order for s in STAGES],
            "expected_weight_min_g": [s.expected_weight_g[0] for s in STAGES],
            "expected_weight_max_g": [s.expected_weight_g[1] for s in STAGES],
            "typical_duration_days": [profile.stage_days(s.days) for s in STAGES],
        }
    )
    models = _models()
    return {
        "auth_user": pl.DataFrame({"id": [OWNER_USER_ID], "username": ["aquamind-pipeline"]}),
        "users_userprofile": pl.DataFrame({"id": [1], "user_id": [OWNER_USER_ID], "full_name": ["AquaMind Pipeline"]}),
        "batch_species": pl.DataFrame(
            {"id": [SPECIES_ID], "name": ["Atlantic Salmon"], "scientific_name": ["Salmo salar"]}
        ),
        "batch_lifecyclestage": stages,
        "broodstock_eggsupplier": pl.DataFrame({"id": [1, 2], "name": ["AquaGen Norway", "Marine Harvest Scotland"]}),
        "environmental_environmentalparameter": _parameters(),
        "inventory_feed": _feeds(),
        "harvest_productgrade": pl.DataFrame(
            {
                "id": range(1, len(HARVEST_GRADES) + 1),
                "code": [grade for grade, _, _ in HARVEST_GRADES],
                "name": [grade.replace("_", " ").title() for grade, _, _ in HARVEST_GRADES],
            }
        ),
        "scenario_temperatureprofile": models.select(
            profile_id="id", name=pl.format("{} water, released in {}", "geography", "month_name")
        ),
        "scenario_temperaturereading": _temperature_profiles(profile, models),
        "scenario_tgcmodel": models.select(
            model_id="id",
            name=pl.format("{} Standard TGC, {}", "geography", "month_name"),
            location="geography",
            release_period="month_name",
            tgc_value=pl.col("geography_id").replace_strict(BASE_TGC) * profile.speed,
            profile_id="id",
        ),
        "scenario_tgc_model_stage": models.select(tgc_model_id="id")
        .join(
            pl.DataFrame(
                {"lifecycle_stage": [s.name for s in STAGES], "tgc_value": [s.tgc for s in STAGES]}
            ).with_columns(pl.col("tgc_value") * profile.speed),
            how="cross",
            maintain_order="left_right",
        )
        .with_row_index("id", offset=1),
        "scenario_fcrmodel": pl.DataFrame({"model_id": [FCR_MODEL_ID], "name": ["Standard FCR"]}),
        "scenario_fcrmodelstage": pl.DataFrame(
            {
                "id": [s.order for s in STAGES],
                "model_id": [FCR_MODEL_ID] * len(STAGES),
                "stage_id": [s.order for s in STAGES],
                "fcr_value": [s.fcr for s in STAGES],
                "duration_days": [profile.stage_days(s.days) for s in STAGES],
            }
        ),
        "scenario_mortalitymodel": pl.DataFrame(
            {
                "model_id": [MORTALITY_MODEL_ID],
                "name": ["Standard Mortality"],
                "frequency": ["daily"],
                "rate": [BASE_DAILY_MORTALITY_PERCENT * profile.speed],
            }
        ),
        "scenario_mortality_model_stage": pl.DataFrame(
            {
                "id": [s.order for s in STAGES],
                "mortality_model_id": [MORTALITY_MODEL_ID] * len(STAGES),
                "lifecycle_stage": [s.name for s in STAGES],
                "daily_rate_percent": [s.daily_mortality * 100 * profile.speed for s in STAGES],
            }
        ),
    }


def _models() -> pl.DataFrame:
    months = pl.DataFrame({"month": range(1, 13), "month_name": MONTHS})
    return (
        GEOGRAPHY.select("geography_id", "geography")
        .join(months, how="cross", maintain_order="left_right")
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )


def _temperature_profiles(profile: Profile, models: pl.DataFrame) -> pl.DataFrame:
    """The season that a batch released in mid-month meets: hatchery water first, then the sea. Day numbers from 1."""
    on_land = sum(profile.stage_days(s.days) for s in FRESHWATER)
    total = on_land + profile.stage_days(ADULT.days)
    parts = []
    for profile_id, geography_id, month in models.select("id", "geography_id", "month").iter_rows():
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


def _parameters() -> pl.DataFrame:
    """Units and limits: AquaMind's documented safety limits (reference b.2); oxygen in mg/L as Salmo salar needs it
    (above about 7 mg/L for full appetite, 4 as the critical limit)."""
    rows = [
        (1, "temperature", "°C", -1.0, 20.0, 6.0, 14.0),
        (2, "Dissolved Oxygen", "mg/L", 4.0, 15.0, 7.0, 13.0),
        (3, "pH", "", 6.0, 9.0, 6.5, 8.5),
        (4, "CO2", "mg/L", 0.0, 25.0, 0.0, 15.0),
        (5, "NO2", "mg/L", 0.0, 0.5, 0.0, 0.1),
        (6, "NO3", "mg/L", 0.0, 100.0, 0.0, 50.0),
        (7, "NH4", "mg/L", 0.0, 0.1, 0.0, 0.02),
        (8, "Salinity", "ppt", 30.0, 37.0, 33.0, 36.0),
    ]
    columns = ["id", "name", "unit", "min_value", "max_value", "optimal_min", "optimal_max"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _feeds() -> pl.DataFrame:
    rows = [
        (1, "Starter Feed 0.5mm", "MICRO", 0.5, 50, 18, 20),
        (2, "Starter Feed 1.0mm", "SMALL", 1.0, 48, 18, 22),
        (3, "Grower Feed 2.0mm", "MEDIUM", 2.0, 45, 20, 23),
        (4, "Grower Feed 3.0mm", "MEDIUM", 3.0, 43, 22, 23),
        (5, "Finisher Feed 4.5mm", "LARGE", 4.5, 40, 24, 24),
        (6, "Finisher Feed 6.0mm", "LARGE", 6.0, 38, 26, 24),
    ]
    columns = [
        "id",
        "name",
        "size_category",
        "pellet_size_mm",
        "protein_percentage",
        "fat_percentage",
        "carbohydrate_percentage",
    ]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(brand=pl.lit("BioMar"))


__all__ = ["OWNER_USER_ID", "model_id", "reference"]
