"""What the farm's books say on `as_of`: batches, assignments, workflows, harvests and scenarios.

Every fish moves once, by one record (placement, transfer, death, harvest); `population_count` is read off that ledger.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import decimal, rounded, units
from aquamind_pipeline.farm.reference import FCR_MODEL_ID, MORTALITY_MODEL_ID, SPECIES_ID, model_id
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import (
    ADULT,
    FILLET_YIELD,
    FRESHWATER,
    GUTTED_YIELD,
    HARVEST_GRADES,
    length_cm,
    oxygen_saturation_mg_l,
)
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

MEASURED_TRANSFERS, WEIGHED_FISH = 0.5, 50
"""Share of transfer workflows in which fish are weighed, and how many."""
_POST_SMOLT, _ADULT = 5, 6


def records(profile: Profile, plan: Plan, lived: pl.DataFrame, moves: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Tables of the batch, scenario and harvest apps that follow from the plan and life, in AquaMind's columns.

    Args:
        profile: The farm.
        plan: Its plan.
        lived: `life.summary` of all days.
        moves: `Life.moves`.
    """
    stays = _stays(profile, plan, lived)
    placed = _placed(plan)
    workflows, actions = _transfers(profile, plan, moves, stays)
    events, lots = _harvests(plan, stays)
    return {
        "batch_batch": _batches(profile, plan, stays),
        "batch_batchcontainerassignment": _assignments(stays, placed),
        "batch_creationworkflow": _creations(plan, placed),
        "batch_creationaction": _creation_actions(profile, stays, placed),
        "batch_batchtransferworkflow": workflows,
        "batch_transferaction": actions,
        "harvest_harvestevent": events,
        "harvest_harvestlot": lots,
        "scenario": plan.batches.select(
            "start_date",
            "batch_id",
            scenario_id="batch_id",
            name=pl.format("Baseline Projection - {}", "batch_number"),
            initial_count="eggs",
            tgc_model_id=model_id(pl.col("geography_id"), pl.col("start_date")),
            fcr_model_id=pl.lit(FCR_MODEL_ID, pl.Int64),
            mortality_model_id=pl.lit(MORTALITY_MODEL_ID, pl.Int64),
        ),
        "scenario_projection_run": plan.batches.select(
            run_id="batch_id",
            scenario_id="batch_id",
            run_date=pl.col("start_date").cast(pl.Datetime("us", "UTC")),
        ),
    }


def _stays(profile: Profile, plan: Plan, lived: pl.DataFrame) -> pl.DataFrame:
    """Assignments that have begun, with their first and last day lived, and whether they have ended."""
    return (
        plan.assignments.join(lived, on="assignment_id", maintain_order="left")
        .join(plan.batches.select("batch_id", "batch_number"), on="batch_id", maintain_order="left")
        .with_columns(ended=pl.col("departure_date") <= profile.as_of)
    )


def _placed(plan: Plan) -> pl.DataFrame:
    """Eggs laid into each tray: even shares, the remainder one by one to the first."""
    trays = pl.len().over("batch_id")
    return (
        plan.assignments.filter(stage=1)
        .join(plan.batches.select("batch_id", "eggs"), on="batch_id")
        .select(
            "assignment_id",
            "batch_id",
            "position",
            eggs=pl.col("eggs") // trays + (pl.col("position") < pl.col("eggs") % trays).cast(pl.Int64),
        )
        .sort("assignment_id")
    )


def _batches(profile: Profile, plan: Plan, stays: pl.DataFrame) -> pl.DataFrame:
    stage = stays.group_by("batch_id").agg(lifecycle_stage_id=pl.col("stage").max())
    done = pl.col("harvest_date") <= profile.as_of
    return plan.batches.join(stage, on="batch_id", maintain_order="left").select(
        "batch_number",
        "lifecycle_stage_id",
        "start_date",
        id="batch_id",
        species_id=pl.lit(SPECIES_ID, pl.Int64),
        status=pl.when(done).then(pl.lit("COMPLETED")).otherwise(pl.lit("ACTIVE")),
        expected_end_date="harvest_date",
        actual_end_date=pl.when(done).then("harvest_date"),
        pinned_projection_run_id="batch_id",
    )


def _assignments(stays: pl.DataFrame, placed: pl.DataFrame) -> pl.DataFrame:
    """population_count: the fish there now; of a closed tray the eggs laid, as AquaMind's engine starts from them and
    subtracts the recorded deaths (rule R28, oddity 14 of the reference)."""
    joined = stays.join(placed.select("assignment_id", "eggs"), on="assignment_id", how="left", maintain_order="left")
    population = joined.select(
        pl.when(~pl.col("ended")).then("population").otherwise(pl.col("eggs").fill_null(0))
    ).to_series()
    weight = units(joined["weight_g"], 2)
    return joined.select(
        "batch_id",
        "container_id",
        "assignment_date",
        "last_weighing_date",
        id="assignment_id",
        lifecycle_stage_id="stage",
        population_count=population.cast(pl.Int32),
        avg_weight_g=decimal(weight, 10, 2),
        biomass_kg=rounded(population.to_numpy() * weight / 100_000, 10, 2),
        departure_date=pl.when("ended").then("departure_date"),
        is_active=~pl.col("ended"),
    )


def _creations(plan: Plan, placed: pl.DataFrame) -> pl.DataFrame:
    trays = placed.group_by("batch_id").agg(total_actions=pl.len().cast(pl.Int32))
    return plan.batches.join(trays, on="batch_id", maintain_order="left").select(
        "batch_id",
        "total_actions",
        id="batch_id",
        workflow_number=pl.format("CRT-{}", "batch_number"),
        external_supplier_id="geography_id",
        external_supplier_batch_number=pl.format("EGG-{}", "batch_number"),
        external_cost_per_thousand=pl.lit("12.50").cast(pl.Decimal(10, 2)),
        total_eggs_planned="eggs",
        total_eggs_received="eggs",
        planned_start_date="start_date",
        actions_completed="total_actions",
    )


def _creation_actions(profile: Profile, stays: pl.DataFrame, placed: pl.DataFrame) -> pl.DataFrame:
    trays = placed.join(
        stays.select("assignment_id", "assignment_date", "first_temp_c"), on="assignment_id", maintain_order="left"
    )
    score = draws.uniform(draws.stream(profile.seed, "records", "egg quality"), trays["batch_id"].to_numpy())
    return trays.select(
        id=(pl.col("batch_id") - 1) * profile.tanks_per_stage + pl.col("position") + 1,
        workflow_id="batch_id",
        action_number=pl.col("position") + 1,
        dest_assignment_id="assignment_id",
        egg_count_planned="eggs",
        egg_count_actual="eggs",
        expected_delivery_date="assignment_date",
        water_temp_on_arrival=rounded(trays["first_temp_c"], 5, 2),
        egg_quality_score=pl.when(pl.Series(score < 0.7)).then(5).otherwise(4).cast(pl.Int16),
    )


def _transfers(
    profile: Profile, plan: Plan, moved: pl.DataFrame, stays: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Transfer workflows, one for each batch and transition, and their actions, one for each pair of containers."""
    most_actions = max(profile.tanks_per_stage, profile.rings_per_batch) * 2
    arrivals = stays.select(dest_assignment_id="assignment_id", dest_container_id="container_id", temp_c="first_temp_c")
    moves = (
        moved.sort("batch_id", "stage", "source_assignment_id", "dest_assignment_id")
        .join(arrivals, on="dest_assignment_id", maintain_order="left")
        .join(plan.batches.select("batch_id", "batch_number", "start_date"), on="batch_id", maintain_order="left")
        .with_columns(
            workflow_id=(pl.col("batch_id") - 1) * len(FRESHWATER) + pl.col("stage"),
            action_number=pl.int_range(1, pl.len() + 1).over("batch_id", "stage"),
            biomass_kg=pl.col("count") * pl.col("weight_g") / 1000,
        )
    )
    to_sea = pl.col("stage") + 1 == _ADULT
    workflows = moves.group_by("workflow_id", maintain_order=True).agg(
        pl.col("batch_id", "batch_number", "start_date", "stage", "date").first(),
        total_transferred_count=pl.col("count").sum(),
        total_mortality_count=pl.col("deaths").sum(),
        total_biomass_kg=pl.col("biomass_kg").sum(),
        total_actions_planned=pl.len(),
    )
    workflow_rows = workflows.select(
        "batch_id",
        "total_transferred_count",
        "total_mortality_count",
        "total_actions_planned",
        id="workflow_id",
        workflow_number=pl.format(
            "TRF-{}-D{}",
            "batch_number",
            (pl.col("date") - pl.col("start_date")).dt.total_days().cast(pl.String).str.zfill(3),
        ),
        source_lifecycle_stage_id="stage",
        dest_lifecycle_stage_id=pl.col("stage") + 1,
        planned_start_date="date",
        total_source_count=pl.col("total_transferred_count") + pl.col("total_mortality_count"),
        total_biomass_kg=rounded(workflows["total_biomass_kg"], 12, 2),
        actions_completed="total_actions_planned",
        is_dynamic_execution=pl.col("stage") + 1 >= _POST_SMOLT,
        is_intercompany=to_sea,
        source_subsidiary=pl.when(to_sea).then(pl.lit("FRESHWATER")),
        dest_subsidiary=pl.when(to_sea).then(pl.lit("FARMING")),
    )
    ids = (moves["workflow_id"] - 1) * most_actions + moves["action_number"]
    weighed = pl.Series(
        draws.uniform(draws.stream(profile.seed, "records", "weighed"), moves["workflow_id"].to_numpy())
        < MEASURED_TRANSFERS
    )
    luck = draws.normal(draws.stream(profile.seed, "records", "weights"), ids.to_numpy())
    measured_g = moves["weight_g"].to_numpy() * (1 + 0.15 / float(np.sqrt(WEIGHED_FISH)) * luck)
    temp_c = moves["temp_c"].to_numpy()

    def if_weighed(series: pl.Series) -> pl.Expr:
        return pl.when(weighed).then(series)

    action_rows = moves.select(
        "workflow_id",
        "action_number",
        "source_assignment_id",
        "dest_assignment_id",
        "dest_container_id",
        "source_population_before",
        id=ids,
        transferred_count="count",
        mortality_during_transfer="deaths",
        transferred_biomass_kg=rounded(moves["biomass_kg"], 10, 2),
        planned_date="date",
        water_temp_c=rounded(temp_c, 5, 2),
        oxygen_level=rounded(
            0.95 * oxygen_saturation_mg_l(temp_c, np.where(moves["stage"] == FRESHWATER[-1].order, 35.0, 0.0)), 5, 2
        ),
        measured_avg_weight_g=if_weighed(rounded(measured_g, 10, 2)),
        measured_std_dev_weight_g=if_weighed(rounded(0.15 * measured_g, 10, 2)),
        measured_sample_size=pl.when(weighed).then(pl.lit(WEIGHED_FISH, pl.Int32)),
        measured_avg_length_cm=if_weighed(rounded(length_cm(measured_g), 10, 2)),
        selection_method=pl.lit("AVERAGE"),
    )
    return workflow_rows, action_rows


def _harvests(plan: Plan, stays: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One event for each ring on the harvest day, its fish graded into lots; the lots add up to the fish."""
    rings = stays.filter((pl.col("stage") == ADULT.order) & pl.col("ended")).join(
        plan.batches.select("batch_id", "geography_id"), on="batch_id", maintain_order="left"
    )
    events = rings.select(
        "batch_id",
        "assignment_id",
        id="assignment_id",
        event_date=pl.col("departure_date").cast(pl.Datetime("us", "UTC")).dt.offset_by("10h"),
        dest_geography_id="geography_id",
        document_ref=pl.format("HRV-{}-{}", "batch_number", pl.col("position") + 1),
    )
    shares = np.array([share for _, share, _ in HARVEST_GRADES])
    weights = np.array([weight for _, _, weight in HARVEST_GRADES]) / sum(s * w for _, s, w in HARVEST_GRADES)
    fish = rings["population"].to_numpy()[:, None]
    upto = np.rint(fish * np.cumsum(shares)).astype(np.int64)
    count = np.diff(upto, axis=1, prepend=0)
    live_kg = count * weights * rings["weight_g"].to_numpy()[:, None] / 1000
    grades = np.arange(1, len(HARVEST_GRADES) + 1)
    event_id = np.repeat(rings["assignment_id"].to_numpy(), grades.size)
    lots = pl.DataFrame(
        {
            "id": (event_id - 1) * grades.size + np.tile(grades, rings.height),
            "event_id": event_id,
            "product_grade_id": np.tile(grades, rings.height),
            "live_weight_kg": rounded(live_kg.ravel(), 12, 3),
            "gutted_weight_kg": rounded(GUTTED_YIELD * live_kg.ravel(), 12, 3),
            "fillet_weight_kg": rounded(FILLET_YIELD * live_kg.ravel(), 12, 3),
            "unit_count": count.ravel(),
        }
    )
    return events, lots


__all__ = ["MEASURED_TRANSFERS", "records"]
