"""Batches and their assignments to containers, as they stand on as_of.

Every fish moves once, by one record (placement, transfer, death, harvest); counts are read off that ledger.
"""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.carried import carried, carried_assignments
from aquamind_pipeline.apps.batch.stages import SPECIES_ID
from aquamind_pipeline.arithmetic import decimal, rounded, units
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    EMPTY,
    boolean,
    count,
    date,
    day,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation.biology import EGG_WEIGHT_G, STAGES
from aquamind_pipeline.simulation.life import summary
from aquamind_pipeline.simulation.mixing import MIXED_PREFIX
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import FIRST_CANCELLED_ID, Plan

LIVED = (*PLAN, "life_day")
"""What `lived_assignments` reads."""


def lived_assignments(inputs: Inputs) -> pl.DataFrame:
    """Assignments that have begun: the plan's columns, those of `life.summary`, batch_number, and ended (whether the
    fish have left).
    """

    def make() -> pl.DataFrame:
        plan = inputs.plan
        lived = summary(inputs.scan("life_day"))
        return (
            plan.assignments.join(lived, on="assignment_id", maintain_order="left")
            .join(plan.batches.select("batch_id", "batch_number"), on="batch_id", maintain_order="left")
            .with_columns(ended=pl.col("departure_date") <= inputs.farm.as_of)
        )

    return inputs.shared("lived assignments", make)


def placed_eggs(plan: Plan) -> pl.DataFrame:
    """Eggs for each tray of the planned batches: even shares, the remainder one by one to the first.

    Returns:
        The columns of `Plan.trays`, and eggs.
    """
    trays = pl.len().over("batch_id")
    return (
        plan.trays.join(plan.creations.select("batch_id", "eggs"), on="batch_id")
        .with_columns(eggs=pl.col("eggs") // trays + (pl.col("position") < pl.col("eggs") % trays).cast(pl.Int64))
        .sort("assignment_id")
    )


def begun(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Planned assignments that have begun by as_of."""
    return plan.assignments.filter(pl.col("assignment_date") <= farm.as_of)


def is_cancelled(farm: Profile) -> pl.Expr:
    """Whether a batch of `Plan.creations` has been called off by as_of."""
    return (pl.col("cancelled_on") <= farm.as_of).fill_null(value=False)


def has_eggs(farm: Profile) -> pl.Expr:
    """Whether a tray of `Plan.trays` has received its eggs by as_of. Batches that are called off receive none."""
    return (pl.col("assignment_date") <= farm.as_of) & (pl.col("batch_id") <= FIRST_CANCELLED_ID)


def awaiting(farm: Profile, plan: Plan) -> pl.DataFrame:
    """The trays that wait for eggs on as_of, and those of batches that were called off."""
    return plan.trays.filter(~has_eggs(farm))


def coming_batches(farm: Profile, plan: Plan) -> dict[str, int]:
    """Number of batches that are RECEIVING, PLANNED and CANCELLED on as_of, by the plan."""
    called_off = plan.creations.filter(is_cancelled(farm))
    planned = plan.creations.filter(~is_cancelled(farm), ~pl.col("batch_id").is_in(plan.batches["batch_id"].implode()))
    begun = awaiting(farm, plan).join(plan.batches, on="batch_id", how="semi")
    return {
        "RECEIVING": begun["batch_id"].n_unique(),
        "PLANNED": planned.height,
        "CANCELLED": called_off.height,
    }


def batches(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batch."""
    farm, plan = inputs.farm, inputs.plan
    stage = lived_assignments(inputs).group_by("batch_id").agg(lifecycle_stage_id=pl.col("stage").max())
    delivered = plan.trays.group_by("batch_id").agg(delivered=has_eggs(farm).all())
    begun = plan.batches.join(stage, on="batch_id", maintain_order="left")
    coming = plan.creations.filter(~pl.col("batch_id").is_in(begun["batch_id"].implode()))
    as_of = pl.lit(farm.as_of)
    return (
        pl.concat([begun, coming.select(name for name in coming.columns if name in begun.columns)], how="diagonal")
        .join(
            plan.creations.select("batch_id", "planned_on", "cancelled_on"),
            on="batch_id",
            how="left",
            maintain_order="left",
        )
        .join(delivered, on="batch_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("lifecycle_stage_id").fill_null(STAGES[0].order),
            pl.col("planned_on").fill_null(pl.col("start_date")),
            has_begun=(pl.col("start_date") <= as_of) & pl.col("cancelled_on").is_null(),
            done=(pl.col("harvest_date") <= as_of) & pl.col("cancelled_on").is_null(),
        )
        .sort("batch_id")
        .select(
            "batch_number",
            "lifecycle_stage_id",
            "start_date",
            id="batch_id",
            species_id=pl.lit(SPECIES_ID, pl.Int64),
            status=pl.when(is_cancelled(farm))
            .then(pl.lit("CANCELLED"))
            .when(~pl.col("has_begun"))
            .then(pl.lit("PLANNED"))
            .when("done")
            .then(pl.lit("COMPLETED"))
            .when(pl.col("delivered").fill_null(value=True))
            .then(pl.lit("ACTIVE"))
            .otherwise(pl.lit("RECEIVING")),
            expected_end_date="harvest_date",
            actual_end_date=pl.when("done").then("harvest_date"),
            created_at=day("planned_on"),
            updated_at=pl.when("has_begun")
            .then(day("start_date"))
            .when(is_cancelled(farm))
            .then(day("cancelled_on"))
            .otherwise(day("planned_on")),
            pinned_projection_run_id=pl.when("has_begun").then("batch_id"),
        )
    )


_TYPE = (
    pl.when(pl.col("batch_number").str.starts_with(MIXED_PREFIX)).then(pl.lit("MIXED")).otherwise(pl.lit("STANDARD"))
)

BATCHES = TableDefinition(
    name="batch_batch",
    kind=Kind.LEDGER,
    meaning="Group of fish that moves together: from eggs to harvest, or mixed of two others until harvest.",
    how="The planned batches, with the stage that they have reached. The profile says how many have not begun, are "
    "receiving their eggs, and were called off.",
    columns=(
        identity("id"),
        varchar("batch_number", 50),
        refers("species_id", "batch_species.id"),
        refers("lifecycle_stage_id", "batch_lifecyclestage.id"),
        varchar(
            "status",
            20,
            comment="PLANNED, RECEIVING (some eggs have come), ACTIVE, COMPLETED, or CANCELLED (never begun)",
        ),
        varchar("batch_type", 20, fill=_TYPE, comment="MIXED, or STANDARD if the batch began as eggs"),
        date("start_date"),
        date("expected_end_date", nullable=True),
        date("actual_end_date", nullable=True),
        text("notes", fill=EMPTY),
        timestamp("created_at"),
        timestamp("updated_at"),
        refers("pinned_projection_run_id", "scenario_projection_run.run_id", use_alter=True, nullable=True),
        unique("batch_number"),
    ),
    reads=LIVED,
    generate=batches,
    expected=ByFormula(lambda farm, plan: plan.creations.height + plan.batches.height - plan.hatched.height),
    lineage={
        "id": "plan_batch.batch_id plan_creation.batch_id",
        "status": "plan_creation.cancelled_on plan_tray.assignment_date plan_batch.harvest_date",
        "batch_number": "plan_batch.batch_number",
        "start_date": "plan_batch.start_date",
        "expected_end_date": "plan_batch.harvest_date",
    },
    rules=(),
    changes_with_as_of=(
        "lifecycle_stage_id",
        "status",
        "actual_end_date",
        "updated_at",
        "pinned_projection_run_id",
    ),
)


def assignments(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchcontainerassignment.

    Count, weight and biomass are those of the last day. A closed assignment keeps them: they are the fish that left it.
    AquaMind's pages need that. Its engine starts an assignment without a transfer on its first day from this count, and
    subtracts the recorded deaths once more (rule R28, oddity 14).

    A tray that waits for eggs has an assignment, because a delivery refers to it. The assignment is not active, has no
    fish and no end. Its biomass is that of the eggs to come: AquaMind's page of growth crashes at a biomass of 0. If
    the batch is called off, the assignment ends on the day on which the eggs were to come.
    """
    farm, plan = inputs.farm, inputs.plan
    waiting = (
        awaiting(farm, plan)
        .join(plan.creations.select("batch_id", "planned_on", "cancelled_on"), on="batch_id", maintain_order="left")
        .join(placed_eggs(plan).select("assignment_id", "eggs"), on="assignment_id", maintain_order="left")
        .with_columns(
            stage=pl.lit(STAGES[0].order, pl.Int64),
            ended=is_cancelled(farm),
            population=pl.lit(0, pl.Int64),
            weight_g=pl.lit(EGG_WEIGHT_G),
            departure_date="assignment_date",
            changed_on=pl.when(is_cancelled(farm)).then("cancelled_on").otherwise("planned_on"),
            is_active=pl.lit(value=False),
        )
    )
    on_the_way = carried(inputs).with_columns(
        assignment_date="date",
        departure_date="date",
        ended=pl.lit(value=True),
        population="fish",
        last_weighing_date=pl.lit(None, pl.Date),
    )
    planned_on = plan.trays.join(plan.creations.select("batch_id", "planned_on"), on="batch_id")
    lived = (
        pl.concat([lived_assignments(inputs), on_the_way], how="diagonal")
        .join(planned_on.select("assignment_id", "planned_on"), on="assignment_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("planned_on").fill_null(pl.col("assignment_date")),
            changed_on="assignment_date",
            is_active=~pl.col("ended"),
        )
    )
    lived = pl.concat([lived, waiting], how="diagonal_relaxed").sort("assignment_id")
    weight, fish = units(lived["weight_g"], 2), lived["eggs"].fill_null(lived["population"])
    return lived.select(
        "batch_id",
        "container_id",
        "assignment_date",
        "last_weighing_date",
        "is_active",
        id="assignment_id",
        lifecycle_stage_id="stage",
        population_count=pl.col("population").cast(pl.Int64),
        avg_weight_g=decimal(weight, 10, 2),
        biomass_kg=rounded(fish.to_numpy() * weight / 100_000, 10, 2),
        departure_date=pl.when("ended").then("departure_date"),
        created_at=day("planned_on"),
        updated_at=day("changed_on"),
    )


_CONTAINERS = "infrastructure_container"


def _carriers_hold(inputs: RuleInputs) -> CheckResult:
    """No load of a carrier's tank is heavier than the tank may hold."""
    tanks = inputs.whole(_CONTAINERS).filter(pl.col("carrier_id").is_not_null())
    loads = inputs.rows.join(tanks.select("max_biomass_kg", container_id="id"), on="container_id")
    wrong = loads.filter(pl.col("biomass_kg").cast(pl.Float64) > pl.col("max_biomass_kg").cast(pl.Float64))
    return check_result(
        CARRIERS_HOLD.name,
        wrong.select("id", "batch_id", "container_id", "assignment_date", "biomass_kg", "max_biomass_kg").sort("id"),
        f"{loads.height:,} loads of carriers' tanks within their limits",
        "loads of carriers' tanks above their max_biomass_kg",
    )


CARRIERS_HOLD = Rule(
    "carriers_hold",
    "No load of a tank of a truck or well-boat is above the tank's max_biomass_kg.",
    MISLEADING,
    _carriers_hold,
    reads=(_CONTAINERS,),
)

ASSIGNMENTS = TableDefinition(
    name="batch_batchcontainerassignment",
    kind=Kind.LEDGER,
    meaning="Assignment of a batch to one container.",
    how="The planned assignments that have begun, with the fish that live there or left; trays that wait for eggs; and "
    "tanks of carriers.",
    columns=(
        identity("id"),
        refers("batch_id", "batch_batch.id"),
        refers("container_id", "infrastructure_container.id"),
        refers("lifecycle_stage_id", "batch_lifecyclestage.id"),
        count("population_count"),
        numeric("avg_weight_g", 10, 2, nullable=True, range_=(0, 20000)),
        numeric("biomass_kg", 10, 2, range_=(0, None)),
        date("assignment_date"),
        date("departure_date", nullable=True),
        boolean("is_active"),
        date("last_weighing_date", nullable=True),
        text("notes", fill=EMPTY),
        timestamp("created_at"),
        timestamp("updated_at"),
        index("container_id"),
        sa.Index(
            "batch_container_active_uniq",
            "batch_id",
            "container_id",
            unique=True,
            postgresql_where=sa.text("is_active"),
        ),
    ),
    reads=(*LIVED, "life_move"),
    generate=assignments,
    expected=ByFormula(
        lambda farm, plan: begun(farm, plan).height + awaiting(farm, plan).height + carried_assignments(farm, plan)
    ),
    lineage={
        "id": "plan_assignment.assignment_id plan_tray.assignment_id",
        "assignment_date": "plan_assignment.assignment_date plan_tray.assignment_date",
        "departure_date": "plan_assignment.departure_date",
        "population_count": "life_day.population",
        "avg_weight_g": "life_day.weight_g",
        "biomass_kg": "life_day.population life_day.weight_g plan_creation.eggs",
    },
    rules=(CARRIERS_HOLD,),
    changes_with_as_of=(
        "population_count",
        "avg_weight_g",
        "biomass_kg",
        "departure_date",
        "is_active",
        "last_weighing_date",
        "updated_at",
    ),
)

__all__ = [
    "ASSIGNMENTS",
    "BATCHES",
    "LIVED",
    "begun",
    "coming_batches",
    "has_eggs",
    "is_cancelled",
    "lived_assignments",
    "placed_eggs",
]
