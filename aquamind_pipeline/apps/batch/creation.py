"""Deliveries of eggs: a workflow for each batch, an action for each tray."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.assignments import LIVED, lived_assignments, placed_eggs
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.columns import (
    COMPLETED,
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
from aquamind_pipeline.simulation import draws


def creation_workflows(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_creationworkflow."""
    plan = inputs.plan
    trays = placed_eggs(plan).group_by("batch_id").agg(total_actions=pl.len().cast(pl.Int64))
    return plan.hatched.join(trays, on="batch_id", maintain_order="left").select(
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


CREATION_WORKFLOWS = TableDefinition(
    name="batch_creationworkflow",
    kind=Kind.LEDGER,
    meaning="Delivery of a batch's eggs.",
    how="One delivery for each batch, on its first day.",
    columns=(
        identity("id"),
        varchar("workflow_number", 50),
        refers("batch_id", "batch_batch.id"),
        varchar("status", 20, fill=COMPLETED),
        varchar("egg_source_type", 20, fill=pl.lit("EXTERNAL")),
        bigint("egg_production_id", nullable=True, fill=NULL),
        refers("external_supplier_id", "broodstock_eggsupplier.id", nullable=True),
        varchar("external_supplier_batch_number", 100),
        numeric("external_cost_per_thousand", 10, 2, nullable=True),
        count("total_eggs_planned"),
        count("total_eggs_received"),
        integer("total_mortality_on_arrival", fill=ZERO),
        date("planned_start_date"),
        date("planned_completion_date", fill=pl.col("planned_start_date")),
        date("actual_start_date", nullable=True, fill=pl.col("planned_start_date")),
        date("actual_completion_date", nullable=True, fill=pl.col("planned_start_date")),
        count("total_actions"),
        count("actions_completed"),
        numeric("progress_percentage", 5, 2, fill=pl.lit(100)),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        text("cancellation_reason", fill=EMPTY),
        timestamp("cancelled_at", nullable=True, fill=NULL),
        refers("cancelled_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=NULL),
        text("notes", fill=EMPTY),
        timestamp("created_at", fill=day("planned_start_date")),
        timestamp("updated_at", fill=day("planned_start_date")),
        unique("workflow_number"),
    ),
    reads=PLAN,
    generate=creation_workflows,
    expected=ByFormula(lambda farm, plan: plan.hatched.height),
    lineage={"total_eggs_received": "plan_batch.eggs", "planned_start_date": "plan_batch.start_date"},
    rules=(),
    history_model="batchcreationworkflow",
)


def creation_actions(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_creationaction."""
    farm = inputs.farm
    first = lived_assignments(inputs).select("assignment_id", "assignment_date", "first_temp_c")
    trays = placed_eggs(inputs.plan).join(first, on="assignment_id", maintain_order="left")
    score = draws.uniform(draws.stream(farm.seed, "records", "egg quality"), trays["batch_id"].to_numpy())
    return trays.select(
        id=(pl.col("batch_id") - 1) * farm.tanks_per_stage + pl.col("position") + 1,
        workflow_id="batch_id",
        action_number=pl.col("position") + 1,
        dest_assignment_id="assignment_id",
        egg_count_planned="eggs",
        egg_count_actual="eggs",
        expected_delivery_date="assignment_date",
        water_temp_on_arrival=rounded(trays["first_temp_c"], 5, 2),
        egg_quality_score=pl.when(pl.Series(score < 0.7)).then(5).otherwise(4).cast(pl.Int16),
    )


CREATION_ACTIONS = TableDefinition(
    name="batch_creationaction",
    kind=Kind.LEDGER,
    meaning="Eggs laid into one tray.",
    how="Even shares of the batch's eggs for its trays.",
    columns=(
        identity("id"),
        refers("workflow_id", "batch_creationworkflow.id"),
        count("action_number"),
        varchar("status", 20, fill=COMPLETED),
        refers("dest_assignment_id", "batch_batchcontainerassignment.id"),
        count("egg_count_planned"),
        count("egg_count_actual", nullable=True),
        integer("mortality_on_arrival", fill=ZERO),
        date("expected_delivery_date"),
        date("actual_delivery_date", nullable=True, fill=pl.col("expected_delivery_date")),
        varchar("delivery_method", 20, nullable=True, fill=pl.lit("TRANSPORT")),
        numeric("water_temp_on_arrival", 5, 2, nullable=True, range_=(-2, 30)),
        small_count("egg_quality_score", nullable=True, range_=(1, 5)),
        integer("execution_duration_minutes", nullable=True, fill=20 + pl.col("egg_count_actual") // 20_000),
        refers("executed_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        text("notes", fill=EMPTY),
        timestamp("created_at", fill=day("expected_delivery_date")),
        timestamp("updated_at", fill=day("expected_delivery_date")),
        unique("workflow_id", "action_number"),
    ),
    reads=LIVED,
    generate=creation_actions,
    expected=ByFormula(lambda farm, plan: plan.hatched.height * farm.tanks_per_stage),
    lineage={"egg_count_actual": "plan_batch.eggs", "water_temp_on_arrival": "life_day.temp_c"},
    rules=(),
)

__all__ = ["CREATION_ACTIONS", "CREATION_WORKFLOWS"]
