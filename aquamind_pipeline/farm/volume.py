"""How many rows each table will have, by formula from the schedule, before anything is generated (invariant I7)."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.simulation.biology import ADULT, HARVEST_GRADES, STAGES
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, samples_before
from aquamind_pipeline.simulation.sites import (
    AREA_GROUPS,
    BARGES_PER_AREA,
    CONTAINER_TYPES,
    FRESHWATER_SENSORS,
    GEOGRAPHY,
    HALLS,
    RINGS_PER_AREA,
    SEA_SENSORS,
    TANKS_PER_HALL,
    geography,
)

RANDOM_TABLES = (
    "batch_mortalityevent",
    "batch_transferaction",
    "inventory_feedpurchase",
    "inventory_feedcontainerstock",
)
"""Tables whose rows depend on what happened (a death, an overlap, an empty store). Deaths and transfers are compared
with life; deliveries have no other source to be counted in, but no store may give out more than they brought."""


def monthly_volume(profile: Profile, plan: Plan) -> pl.DataFrame:
    """Rows of each event table by month, where a formula gives them: table, month ("YYYY-MM"), rows."""
    end = pl.min_horizontal("departure_date", pl.lit(profile.as_of).dt.offset_by("1d"))
    in_month = (
        plan.assignments.filter(pl.col("assignment_date") <= profile.as_of)
        .with_columns(end=end, first_month=pl.col("assignment_date").dt.truncate("1mo"))
        .with_columns(month=pl.date_ranges("first_month", pl.col("end").dt.offset_by("-1d"), interval="1mo"))
        .explode("month")
        .with_columns(
            since=(pl.max_horizontal("assignment_date", "month") - pl.col("assignment_date")).dt.total_days(),
            until=(
                pl.min_horizontal("end", pl.col("month").dt.offset_by("1mo")) - pl.col("assignment_date")
            ).dt.total_days(),
        )
    )
    days = pl.col("until") - pl.col("since")
    sampled = (
        pl.when(pl.col("stage") > 1)
        .then(
            samples_before(pl.col("batch_day") + pl.col("until"), profile.samples_per_week)
            - samples_before(pl.col("batch_day") + pl.col("since"), profile.samples_per_week)
        )
        .otherwise(0)
    )
    return (
        in_month.group_by("month")
        .agg(
            environmental_environmentalreading=(days * pl.col("readings_per_day")).sum(),
            inventory_feedingevent=(days * pl.col("meals_per_day")).sum(),
            batch_growthsample=sampled.sum(),
            batch_actualdailyassignmentstate=days.sum(),
        )
        .unpivot(index="month", variable_name="table", value_name="rows")
        .select("table", pl.col("month").dt.strftime("%Y-%m"), "rows")
        .sort("table", "month")
    )


def total_volume(profile: Profile, plan: Plan) -> dict[str, int]:
    """Rows of every table that a formula gives, by table name."""
    places = geography(profile.sites)
    stations, areas = (int(places[column].sum()) for column in ("stations", "areas"))
    halls = stations * HALLS.height
    tanks, rings = halls * TANKS_PER_HALL, areas * RINGS_PER_AREA
    begun = plan.assignments.filter(pl.col("assignment_date") <= profile.as_of)
    batches = plan.batches.height
    harvested = begun.filter((pl.col("stage") == ADULT.order) & (pl.col("departure_date") <= profile.as_of)).height
    monthly = monthly_volume(profile, plan).group_by("table").agg(pl.col("rows").sum())
    racks = 10
    return {
        "infrastructure_geography": places.height,
        "infrastructure_freshwaterstation": stations,
        "infrastructure_hall": halls,
        "infrastructure_area": areas,
        "infrastructure_container": tanks + rings + racks,
        "infrastructure_sensor": tanks * len(FRESHWATER_SENSORS) + rings * len(SEA_SENSORS),
        "infrastructure_feedcontainer": halls + areas * BARGES_PER_AREA,
        "batch_batch": batches,
        "batch_batchcontainerassignment": begun.height,
        "batch_creationworkflow": batches,
        "batch_creationaction": batches * profile.tanks_per_stage,
        "batch_batchtransferworkflow": begun.filter(pl.col("stage") > 1).select("batch_id", "stage").n_unique(),
        "harvest_harvestevent": harvested,
        "harvest_harvestlot": harvested * len(HARVEST_GRADES),
        "scenario": batches,
        "scenario_projection_run": batches,
        **dict(monthly.iter_rows()),
    }


def constant_volume(profile: Profile) -> dict[str, int]:
    """Rows of every table that batches and sites do not add to: kinds, and models of growth and water."""
    stages, seasons = len(STAGES), 12 * GEOGRAPHY.height  # a model for each month of release and geography
    return {
        "auth_user": 1,
        "users_userprofile": 1,
        "batch_species": 1,
        "batch_lifecyclestage": stages,
        "broodstock_eggsupplier": GEOGRAPHY.height,
        "environmental_environmentalparameter": len({*FRESHWATER_SENSORS, *SEA_SENSORS}),
        "harvest_productgrade": len(HARVEST_GRADES),
        "infrastructure_areagroup": AREA_GROUPS.height,
        "infrastructure_containertype": CONTAINER_TYPES.height,
        "inventory_feed": 6,
        "scenario_fcrmodel": 1,
        "scenario_fcrmodelstage": stages,
        "scenario_mortalitymodel": 1,
        "scenario_mortality_model_stage": stages,
        "scenario_temperatureprofile": seasons,
        "scenario_temperaturereading": seasons * sum(profile.stage_days(stage.days) for stage in STAGES),
        "scenario_tgcmodel": seasons,
        "scenario_tgc_model_stage": seasons * stages,
    }


__all__ = ["RANDOM_TABLES", "constant_volume", "monthly_volume", "total_volume"]
