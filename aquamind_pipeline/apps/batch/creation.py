"""Deliveries of eggs: a workflow for each batch, an action for each tray."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.assignments import (
    ASSIGNMENTS,
    BATCHES,
    LIVED,
    has_eggs,
    is_cancelled,
    lived_assignments,
    placed_eggs,
)
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    EMPTY,
    NULL,
    OWNER,
    ZERO,
    bigint,
    count,
    date,
    day,
    identity,
    integer,
    numeric,
    refers,
    small_count,
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
from aquamind_pipeline.simulation import draws

_REASONS = (
    "The supplier found infectious salmon anaemia in its brood fish and delivers no eggs.",
    "The egg hall has to be repaired first.",
    "Too few eggs survived at the supplier.",
)
"""Why batches are called off."""


def creation_workflows(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_creationworkflow."""
    farm, plan = inputs.farm, inputs.plan
    done = has_eggs(farm)
    deliveries = (
        placed_eggs(plan)
        .group_by("batch_id")
        .agg(
            total_actions=pl.len().cast(pl.Int64),
            actions_completed=done.sum().cast(pl.Int64),
            total_eggs_received=pl.col("eggs").filter(done).sum(),
            planned_completion_date=pl.col("assignment_date").max(),
            last=pl.col("assignment_date").filter(done).max(),
        )
    )
    planned = plan.creations.join(deliveries, on="batch_id", maintain_order="left")
    some, all_ = pl.col("actions_completed") > 0, pl.col("actions_completed") == pl.col("total_actions")
    cancelled = is_cancelled(farm)
    ready = pl.col("ready_on") <= farm.as_of
    share = planned["actions_completed"].to_numpy() * 100.0 / planned["total_actions"].to_numpy()
    return planned.select(
        "batch_id",
        "total_actions",
        "actions_completed",
        "total_eggs_received",
        "planned_completion_date",
        id="batch_id",
        workflow_number=pl.format("CRT-{}", "batch_number"),
        status=pl.when(cancelled)
        .then(pl.lit("CANCELLED"))
        .when(all_)
        .then(pl.lit("COMPLETED"))
        .when(some)
        .then(pl.lit("IN_PROGRESS"))
        .when(ready)
        .then(pl.lit("PLANNED"))
        .otherwise(pl.lit("DRAFT")),
        external_supplier_id="geography_id",
        external_supplier_batch_number=pl.format("EGG-{}", "batch_number"),
        external_cost_per_thousand=pl.lit("12.50").cast(pl.Decimal(10, 2)),
        total_eggs_planned="eggs",
        planned_start_date="start_date",
        actual_start_date=pl.when(some).then("start_date"),
        actual_completion_date=pl.when(all_).then("planned_completion_date"),
        progress_percentage=rounded(share, 5, 2),
        cancellation_reason=pl.when(cancelled)
        .then(
            (pl.col("batch_id") % len(_REASONS)).replace_strict(range(len(_REASONS)), _REASONS, return_dtype=pl.String)
        )
        .otherwise(EMPTY),
        cancelled_at=pl.when(cancelled).then(day("cancelled_on")),
        created_at=day("planned_on"),
        updated_at=pl.when(cancelled)
        .then(day("cancelled_on"))
        .when(some)
        .then(day("last"))
        .when(ready)
        .then(day("ready_on"))
        .otherwise(day("planned_on")),
    )


_DELIVERIES = "batch_creationaction"
_FITTING = {
    "PLANNED": ("DRAFT", "PLANNED"),
    "RECEIVING": ("IN_PROGRESS",),
    "ACTIVE": ("COMPLETED",),
    "COMPLETED": ("COMPLETED",),
    "CANCELLED": ("CANCELLED",),
}
"""States of a creation workflow that fit the status of its batch."""


def _status_fits(inputs: RuleInputs) -> CheckResult:
    """The deliveries, the creation workflow and the fish of each batch agree with the batch's status."""
    status = pl.col("status")
    deliveries = (
        inputs.whole(_DELIVERIES)
        .group_by("workflow_id")
        .agg(
            actions=pl.len(),
            done=(status == "COMPLETED").sum(),
            skipped=(status == "SKIPPED").sum(),
            eggs=pl.col("egg_count_actual").cast(pl.Int64).sum(),
        )
    )
    fish = (
        inputs.whole(ASSIGNMENTS.name)
        .group_by("batch_id")
        .agg(fish=pl.col("population_count").cast(pl.Int64).sum(), active=pl.col("is_active").sum())
    )
    batches = inputs.whole(BATCHES.name).select("batch_number", "status", "start_date", batch_id="id")
    workflows = inputs.rows.select(
        "batch_id",
        "actions_completed",
        "total_eggs_received",
        "cancellation_reason",
        workflow="status",
        workflow_id="id",
    )
    every = (
        batches.join(workflows, on="batch_id")
        .join(deliveries, on="workflow_id", how="left")
        .join(fish, on="batch_id", how="left")
        .with_columns(pl.col("actions", "done", "skipped", "eggs", "fish", "active").fill_null(0))
    )
    pairs = pl.DataFrame(
        [(batch, workflow) for batch, fitting in _FITTING.items() for workflow in fitting],
        schema=["status", "workflow"],
        orient="row",
    ).with_columns(fits=pl.lit(value=True))
    empty = (pl.col("fish") == 0) & (pl.col("active") == 0)
    as_told = (
        pl.when(status == "PLANNED")
        .then((pl.col("done") == 0) & empty & (pl.col("start_date") > inputs.farm.as_of))
        .when(status == "CANCELLED")
        .then((pl.col("skipped") == pl.col("actions")) & empty & (pl.col("cancellation_reason") != ""))
        .when(status == "RECEIVING")
        .then((pl.col("done") > 0) & (pl.col("done") < pl.col("actions")))
        .otherwise(pl.col("done") == pl.col("actions"))
    )
    wrong = (
        every.join(pairs, on=["status", "workflow"], how="left")
        .filter(
            pl.col("fits").is_null()
            | ~as_told
            | (pl.col("actions") == 0)
            | (pl.col("actions_completed") != pl.col("done"))
            | (pl.col("total_eggs_received") != pl.col("eggs"))
        )
        .select("batch_id", "batch_number", "status", "workflow", "actions", "done", "skipped", "fish", "active")
        .sort("batch_id")
    )
    return check_result(
        STATUS_FITS.name,
        wrong,
        f"{every.height:,} batches have the status that their deliveries give",
        "batches whose status does not fit their deliveries",
    )


STATUS_FITS = Rule(
    "status_fits",
    "A batch's status fits its deliveries, its creation workflow and its fish: PLANNED and CANCELLED ones have none.",
    MISLEADING,
    _status_fits,
    reads=(BATCHES.name, _DELIVERIES, ASSIGNMENTS.name),
)
CREATION_WORKFLOWS = TableDefinition(
    name="batch_creationworkflow",
    kind=Kind.LEDGER,
    meaning="Delivery of a batch's eggs.",
    how="One workflow for each planned batch. The eggs come on the batch's first days.",
    columns=(
        identity("id"),
        varchar("workflow_number", 50),
        refers("batch_id", "batch_batch.id"),
        varchar(
            "status",
            20,
            comment="DRAFT, PLANNED (deliveries are agreed), IN_PROGRESS (some have come), COMPLETED, or CANCELLED",
        ),
        varchar("egg_source_type", 20, fill=pl.lit("EXTERNAL")),
        bigint("egg_production_id", nullable=True, fill=NULL),
        refers("external_supplier_id", "broodstock_eggsupplier.id", nullable=True),
        varchar("external_supplier_batch_number", 100),
        numeric("external_cost_per_thousand", 10, 2, nullable=True),
        count("total_eggs_planned"),
        count("total_eggs_received"),
        integer("total_mortality_on_arrival", fill=ZERO),
        date("planned_start_date"),
        date("planned_completion_date", comment="Day on which the last eggs are expected"),
        date("actual_start_date", nullable=True, comment="Day on which the first eggs came"),
        date("actual_completion_date", nullable=True, comment="Day on which the last eggs came"),
        count("total_actions"),
        count("actions_completed"),
        numeric("progress_percentage", 5, 2, range_=(0, 100)),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        text("cancellation_reason", comment="Why the batch was called off; else empty"),
        timestamp("cancelled_at", nullable=True, comment="Time at which the batch was called off (UTC)"),
        refers(
            "cancelled_by_id",
            "auth_user.id",
            type_=sa.Integer,
            nullable=True,
            fill=pl.when(status="CANCELLED").then(OWNER),
        ),
        text("notes", fill=EMPTY),
        timestamp("created_at"),
        timestamp("updated_at"),
        unique("workflow_number"),
    ),
    reads=PLAN,
    generate=creation_workflows,
    expected=ByFormula(lambda farm, plan: plan.creations.height),
    lineage={
        "total_eggs_planned": "plan_creation.eggs",
        "total_eggs_received": "plan_creation.eggs plan_tray.assignment_date",
        "planned_start_date": "plan_creation.start_date",
    },
    rules=(STATUS_FITS,),
    changes_with_as_of=(
        "status",
        "total_eggs_received",
        "actual_start_date",
        "actual_completion_date",
        "actions_completed",
        "progress_percentage",
        "cancellation_reason",
        "cancelled_at",
        "updated_at",
    ),
    history_model="batchcreationworkflow",
)


def creation_actions(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_creationaction."""
    farm, plan = inputs.farm, inputs.plan
    first = lived_assignments(inputs).select("assignment_id", "first_temp_c")
    trays = (
        placed_eggs(plan)
        .join(first, on="assignment_id", how="left", maintain_order="left")
        .join(plan.creations.select("batch_id", "planned_on", "cancelled_on"), on="batch_id", maintain_order="left")
    )
    score = draws.uniform(draws.stream(farm.seed, "records", "egg quality"), trays["batch_id"].to_numpy())
    done, cancelled = has_eggs(farm), is_cancelled(farm)
    return trays.with_columns(water=rounded(trays["first_temp_c"].fill_null(0.0), 5, 2)).select(
        id=(pl.col("batch_id") - 1) * farm.tanks_per_stage + pl.col("position") + 1,
        workflow_id="batch_id",
        action_number=pl.col("position") + 1,
        status=pl.when(done)
        .then(pl.lit("COMPLETED"))
        .when(cancelled)
        .then(pl.lit("SKIPPED"))
        .otherwise(pl.lit("PENDING")),
        dest_assignment_id="assignment_id",
        egg_count_planned="eggs",
        egg_count_actual=pl.when(done).then("eggs"),
        expected_delivery_date="assignment_date",
        actual_delivery_date=pl.when(done).then("assignment_date"),
        water_temp_on_arrival=pl.when(done).then("water"),
        egg_quality_score=pl.when(done).then(pl.when(pl.Series(score < 0.7)).then(5).otherwise(4)).cast(pl.Int16),
        created_at=day("planned_on"),
        updated_at=pl.when(done)
        .then(day("assignment_date"))
        .when(cancelled)
        .then(day("cancelled_on"))
        .otherwise(day("planned_on")),
    )


_PLANNED = "plan_assignment"


def _trays_wait(inputs: RuleInputs) -> CheckResult:
    """Trays that wait for eggs are empty, and no other fish are in them when the eggs come. None have come early."""
    came = pl.col("actual_delivery_date") <= inputs.farm.as_of
    early = inputs.rows.filter((pl.col("status") == "COMPLETED") & ~came.fill_null(value=False))
    waiting = inputs.rows.filter(status="PENDING").select("id", "dest_assignment_id", "expected_delivery_date")
    assigned = inputs.whole(ASSIGNMENTS.name).select(
        "batch_id",
        "container_id",
        "population_count",
        "is_active",
        "assignment_date",
        "departure_date",
        dest_assignment_id="id",
    )
    trays = waiting.join(assigned, on="dest_assignment_id", how="left")
    begins, ends = pl.col("begins"), pl.col("ends")
    taken = (
        trays.select("id", "container_id", "expected_delivery_date", "dest_assignment_id")
        .join(
            inputs.whole(_PLANNED).select(
                "assignment_id", "container_id", begins="assignment_date", ends="departure_date"
            ),
            on="container_id",
        )
        .filter(
            pl.col("assignment_id") != pl.col("dest_assignment_id"),
            pl.col("expected_delivery_date").is_between(begins, ends, closed="left"),
        )
    )
    wrong = trays.filter(
        pl.col("is_active").fill_null(value=True)
        | (pl.col("population_count") != 0)
        | pl.col("departure_date").is_not_null()
        | (pl.col("expected_delivery_date") <= inputs.farm.as_of)
        | (pl.col("assignment_date") != pl.col("expected_delivery_date"))
        | pl.col("id").is_in(taken["id"].implode())
    ).sort("id")
    wrong = pl.concat([wrong, early.select("id", "dest_assignment_id", "expected_delivery_date")], how="diagonal")
    return check_result(
        TRAYS_WAIT.name,
        wrong,
        f"{trays.height:,} trays wait for eggs, empty and free",
        "deliveries to come into trays that are in use, or that are entered as done",
    )


TRAYS_WAIT = Rule(
    "trays_wait",
    "No eggs come after `as_of`. Those to come are for empty trays that no other fish will be in on that day.",
    MISLEADING,
    _trays_wait,
    reads=(ASSIGNMENTS.name, _PLANNED),
)

CREATION_ACTIONS = TableDefinition(
    name="batch_creationaction",
    kind=Kind.LEDGER,
    meaning="Delivery of eggs into one tray.",
    how="Even shares of the batch's eggs for its trays. Each of the first days fills a part of them.",
    columns=(
        identity("id"),
        refers("workflow_id", "batch_creationworkflow.id"),
        count("action_number"),
        varchar("status", 20, comment="PENDING, COMPLETED, or SKIPPED (the batch was called off)"),
        refers("dest_assignment_id", "batch_batchcontainerassignment.id"),
        count("egg_count_planned"),
        count("egg_count_actual", nullable=True),
        integer("mortality_on_arrival", fill=ZERO),
        date("expected_delivery_date"),
        date("actual_delivery_date", nullable=True, comment="Day on which the eggs came"),
        varchar("delivery_method", 20, nullable=True, fill=pl.lit("TRANSPORT")),
        numeric("water_temp_on_arrival", 5, 2, nullable=True, range_=(-2, 30)),
        small_count("egg_quality_score", nullable=True, range_=(1, 5)),
        integer("execution_duration_minutes", nullable=True, fill=20 + pl.col("egg_count_actual") // 20_000),
        refers(
            "executed_by_id",
            "auth_user.id",
            type_=sa.Integer,
            nullable=True,
            fill=pl.when(status="COMPLETED").then(OWNER),
        ),
        text("notes", fill=EMPTY),
        timestamp("created_at"),
        timestamp("updated_at"),
        unique("workflow_id", "action_number"),
    ),
    reads=LIVED,
    generate=creation_actions,
    expected=ByFormula(lambda farm, plan: plan.trays.height),
    lineage={"egg_count_actual": "plan_creation.eggs", "water_temp_on_arrival": "life_day.temp_c"},
    rules=(TRAYS_WAIT,),
    changes_with_as_of=(
        "status",
        "egg_count_actual",
        "actual_delivery_date",
        "water_temp_on_arrival",
        "egg_quality_score",
        "updated_at",
    ),
)

__all__ = ["CREATION_ACTIONS", "CREATION_WORKFLOWS"]
