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
from aquamind_pipeline.simulation.life import summary
from aquamind_pipeline.simulation.mixing import MIXED_PREFIX
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

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


def begun(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Planned assignments that have begun by as_of."""
    return plan.assignments.filter(pl.col("assignment_date") <= farm.as_of)


def batches(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batch."""
    stage = lived_assignments(inputs).group_by("batch_id").agg(lifecycle_stage_id=pl.col("stage").max())
    done = pl.col("harvest_date") <= inputs.farm.as_of
    return inputs.plan.batches.join(stage, on="batch_id", maintain_order="left").select(
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


_TYPE = (
    pl.when(pl.col("batch_number").str.starts_with(MIXED_PREFIX)).then(pl.lit("MIXED")).otherwise(pl.lit("STANDARD"))
)

BATCHES = TableDefinition(
    name="batch_batch",
    kind=Kind.LEDGER,
    meaning="Group of fish that moves together: from eggs to harvest, or mixed of two others until harvest.",
    how="The planned batches that have begun, with the stage that they have reached.",
    columns=(
        identity("id"),
        varchar("batch_number", 50),
        refers("species_id", "batch_species.id"),
        refers("lifecycle_stage_id", "batch_lifecyclestage.id"),
        varchar("status", 20),
        varchar("batch_type", 20, fill=_TYPE, comment="MIXED, or STANDARD if the batch began as eggs"),
        date("start_date"),
        date("expected_end_date", nullable=True),
        date("actual_end_date", nullable=True),
        text("notes", fill=EMPTY),
        timestamp("created_at", fill=day("start_date")),
        timestamp("updated_at", fill=day("start_date")),
        refers("pinned_projection_run_id", "scenario_projection_run.run_id", use_alter=True, nullable=True),
        unique("batch_number"),
    ),
    reads=LIVED,
    generate=batches,
    expected=ByFormula(lambda farm, plan: plan.batches.height),
    lineage={
        "id": "plan_batch.batch_id",
        "batch_number": "plan_batch.batch_number",
        "start_date": "plan_batch.start_date",
        "expected_end_date": "plan_batch.harvest_date",
    },
    rules=(),
    changes_with_as_of=("lifecycle_stage_id", "status", "actual_end_date"),
)


def assignments(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchcontainerassignment.

    Count, weight and biomass are those of the last day. A closed assignment keeps them: they are the fish that left it.
    AquaMind's pages need that. Its engine starts an assignment without a transfer on its first day from this count, and
    subtracts the recorded deaths once more (rule R28, oddity 14).
    """
    on_the_way = carried(inputs).with_columns(
        assignment_date="date",
        departure_date="date",
        ended=pl.lit(value=True),
        population="fish",
        last_weighing_date=pl.lit(None, pl.Date),
    )
    lived = pl.concat([lived_assignments(inputs), on_the_way], how="diagonal")
    weight = units(lived["weight_g"], 2)
    return lived.select(
        "batch_id",
        "container_id",
        "assignment_date",
        "last_weighing_date",
        id="assignment_id",
        lifecycle_stage_id="stage",
        population_count=pl.col("population").cast(pl.Int64),
        avg_weight_g=decimal(weight, 10, 2),
        biomass_kg=rounded(lived["population"].to_numpy() * weight / 100_000, 10, 2),
        departure_date=pl.when("ended").then("departure_date"),
        is_active=~pl.col("ended"),
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
    how="The planned assignments that have begun, with the fish that live there or left, and tanks of carriers.",
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
        timestamp("created_at", fill=day("assignment_date")),
        timestamp("updated_at", fill=day("assignment_date")),
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
    expected=ByFormula(lambda farm, plan: begun(farm, plan).height + carried_assignments(farm, plan)),
    lineage={
        "id": "plan_assignment.assignment_id",
        "assignment_date": "plan_assignment.assignment_date",
        "departure_date": "plan_assignment.departure_date",
        "population_count": "life_day.population",
        "avg_weight_g": "life_day.weight_g",
        "biomass_kg": "life_day.population life_day.weight_g",
    },
    rules=(CARRIERS_HOLD,),
    changes_with_as_of=(
        "population_count",
        "avg_weight_g",
        "biomass_kg",
        "departure_date",
        "is_active",
        "last_weighing_date",
    ),
)

__all__ = ["ASSIGNMENTS", "BATCHES", "LIVED", "begun", "lived_assignments", "placed_eggs"]
