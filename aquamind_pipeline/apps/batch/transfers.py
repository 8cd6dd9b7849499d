"""Transfers to the next stage: a workflow for each batch and transition, an action for each pair of containers."""

from __future__ import annotations

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.assignments import LIVED, begun, lived_assignments
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.columns import (
    COMPLETED,
    EMPTY,
    FALSE,
    NULL,
    OWNER,
    bigint,
    boolean,
    count,
    date,
    day,
    identity,
    index,
    integer,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, CountedIn, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, FRESHWATER, length_cm, oxygen_saturation_mg_l
from aquamind_pipeline.simulation.body import condition_factor, weight_variation

MEASURED_TRANSFERS, WEIGHED_FISH = 0.5, 50
"""Share of transfer workflows in which fish are weighed, and how many."""
_MOVED = (*LIVED, "life_move")


def _moves(inputs: Inputs) -> pl.DataFrame:
    """Moves of fish with the workflow and action that record them."""

    def make() -> pl.DataFrame:
        arrivals = lived_assignments(inputs).select(
            dest_assignment_id="assignment_id", dest_container_id="container_id", temp_c="first_temp_c"
        )
        batches = inputs.plan.batches.select("batch_id", "batch_number", "start_date")
        return (
            inputs.whole("life_move")
            .sort("batch_id", "stage", "source_assignment_id", "dest_assignment_id")
            .join(arrivals, on="dest_assignment_id", maintain_order="left")
            .join(batches, on="batch_id", maintain_order="left")
            .with_columns(
                workflow_id=(pl.col("batch_id") - 1) * len(FRESHWATER) + pl.col("stage"),
                action_number=pl.int_range(1, pl.len() + 1).over("batch_id", "stage"),
                biomass_kg=pl.col("count") * pl.col("weight_g") / 1000,
            )
        )

    return inputs.shared("moves", make)


def transfer_workflows(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchtransferworkflow."""
    to_sea = pl.col("stage") + 1 == ADULT.order
    workflows = (
        _moves(inputs)
        .group_by("workflow_id", maintain_order=True)
        .agg(
            pl.col("batch_id", "batch_number", "start_date", "stage", "date").first(),
            total_transferred_count=pl.col("count").sum(),
            total_mortality_count=pl.col("deaths").sum(),
            total_biomass_kg=pl.col("biomass_kg").sum(),
            total_actions_planned=pl.len(),
        )
    )
    return workflows.select(
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
        is_dynamic_execution=pl.col("stage") + 1 >= FRESHWATER[-1].order,
        is_intercompany=to_sea,
        source_subsidiary=pl.when(to_sea).then(pl.lit("FRESHWATER")),
        dest_subsidiary=pl.when(to_sea).then(pl.lit("FARMING")),
    )


TRANSFER_WORKFLOWS = TableDefinition(
    name="batch_batchtransferworkflow",
    kind=Kind.LEDGER,
    meaning="Move of a batch to its next stage.",
    how="One workflow for each batch and transition that has happened.",
    columns=(
        identity("id"),
        varchar("workflow_number", 50),
        refers("batch_id", "batch_batch.id"),
        bigint("planned_activity_id", nullable=True, fill=NULL),
        varchar("workflow_type", 30, fill=pl.lit("LIFECYCLE_TRANSITION")),
        refers("source_lifecycle_stage_id", "batch_lifecyclestage.id"),
        refers("dest_lifecycle_stage_id", "batch_lifecyclestage.id", nullable=True),
        varchar("status", 20, fill=COMPLETED),
        date("planned_start_date"),
        date("planned_completion_date", nullable=True, fill=NULL),
        date("actual_start_date", nullable=True, fill=NULL),
        date("actual_completion_date", nullable=True, fill=NULL),
        count("total_source_count"),
        count("total_transferred_count"),
        count("total_mortality_count"),
        numeric("total_biomass_kg", 12, 2, range_=(0, None)),
        count("total_actions_planned"),
        count("actions_completed"),
        numeric("completion_percentage", 5, 2, fill=pl.lit(100)),
        boolean("is_dynamic_execution"),
        varchar("dynamic_route_mode", 32, nullable=True, fill=NULL),
        integer("estimated_total_count", nullable=True, fill=NULL),
        numeric("estimated_total_biomass_kg", 12, 2, nullable=True, fill=NULL),
        boolean("is_intercompany"),
        varchar("source_subsidiary", 20, nullable=True),
        varchar("dest_subsidiary", 20, nullable=True),
        bigint("finance_transaction_id", nullable=True, fill=NULL),
        refers("initiated_by_id", "auth_user.id", type_=sa.Integer, fill=OWNER),
        refers("completed_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        refers("dynamic_completed_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=NULL),
        timestamp("dynamic_completed_at", nullable=True, fill=NULL),
        text("notes", fill=EMPTY),
        text("cancellation_reason", fill=EMPTY),
        timestamp("created_at", fill=day("planned_start_date")),
        timestamp("updated_at", fill=day("planned_start_date")),
        unique("planned_activity_id"),
        unique("workflow_number"),
    ),
    reads=_MOVED,
    generate=transfer_workflows,
    expected=ByFormula(
        lambda farm, plan: begun(farm, plan).filter(pl.col("stage") > 1).select("batch_id", "stage").n_unique()
    ),
    lineage={
        "total_transferred_count": "life_move.count",
        "total_mortality_count": "life_move.deaths",
        "total_biomass_kg": "life_move.count life_move.weight_g",
        "planned_start_date": "life_move.date",
    },
    rules=(),
)


def transfer_actions(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_transferaction."""
    farm, moves = inputs.farm, _moves(inputs)
    most_actions = max(farm.tanks_per_stage, farm.rings_per_batch) * 2
    ids = (moves["workflow_id"] - 1) * most_actions + moves["action_number"]
    weighed = pl.Series(
        draws.uniform(draws.stream(farm.seed, "records", "weighed"), moves["workflow_id"].to_numpy())
        < MEASURED_TRANSFERS
    )
    luck = draws.normal(draws.stream(farm.seed, "records", "weights"), ids.to_numpy())
    stage, weight_g = moves["stage"].to_numpy(), moves["weight_g"].to_numpy()
    variation = weight_variation(stage)
    measured_g = weight_g * (1 + variation / float(np.sqrt(WEIGHED_FISH)) * luck)
    condition = condition_factor(stage, np.ones(stage.size), weight_g, moves["date"].dt.ordinal_day().to_numpy())
    temp_c = moves["temp_c"].to_numpy()

    def if_weighed(series: pl.Series) -> pl.Expr:
        return pl.when(weighed).then(series)

    return moves.select(
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
            0.95 * oxygen_saturation_mg_l(temp_c, np.where(stage == FRESHWATER[-1].order, 35.0, 0.0)), 5, 2
        ),
        measured_avg_weight_g=if_weighed(rounded(measured_g, 10, 2)),
        measured_std_dev_weight_g=if_weighed(rounded(variation * measured_g, 10, 2)),
        measured_sample_size=pl.when(weighed).then(pl.lit(WEIGHED_FISH, pl.Int64)),
        measured_avg_length_cm=if_weighed(rounded(length_cm(measured_g, condition), 10, 2)),
        selection_method=pl.lit("AVERAGE"),
    )


TRANSFER_ACTIONS = TableDefinition(
    name="batch_transferaction",
    kind=Kind.LEDGER,
    meaning="Fish moved from one container to another.",
    how="One action for each pair of containers between which fish moved; in half of the workflows fish are weighed.",
    columns=(
        identity("id"),
        refers("workflow_id", "batch_batchtransferworkflow.id"),
        count("action_number"),
        refers("source_assignment_id", "batch_batchcontainerassignment.id"),
        refers("dest_assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        refers("dest_container_id", "infrastructure_container.id", nullable=True),
        count("source_population_before"),
        count("transferred_count"),
        count("mortality_during_transfer"),
        numeric("transferred_biomass_kg", 10, 2, range_=(0, None)),
        boolean("allow_mixed", fill=FALSE),
        varchar("status", 20, fill=COMPLETED),
        varchar("leg_type", 32, nullable=True, fill=NULL),
        varchar("created_via", 20, fill=pl.lit("PLANNED")),
        date("planned_date", nullable=True),
        date("actual_execution_date", nullable=True, fill=pl.col("planned_date")),
        timestamp("executed_at", nullable=True, fill=day("planned_date").dt.offset_by("10h")),
        varchar("transfer_method", 20, nullable=True, fill=pl.lit("PUMP")),
        numeric("water_temp_c", 5, 2, nullable=True, range_=(-2, 30)),
        numeric("oxygen_level", 5, 2, nullable=True, range_=(0, 20)),
        numeric("measured_avg_weight_g", 10, 2, nullable=True, range_=(0, 20000)),
        numeric("measured_std_dev_weight_g", 10, 2, nullable=True),
        count("measured_sample_size", nullable=True),
        numeric("measured_avg_length_cm", 10, 2, nullable=True),
        text("measured_notes", fill=EMPTY),
        varchar("selection_method", 16),
        refers("executed_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        integer("execution_duration_minutes", nullable=True, fill=NULL),
        text("notes", fill=EMPTY),
        timestamp("created_at", fill=day("planned_date")),
        timestamp("updated_at", fill=day("planned_date")),
        unique("workflow_id", "action_number"),
        index("source_assignment_id"),
        index("dest_assignment_id"),
    ),
    reads=_MOVED,
    generate=transfer_actions,
    expected=CountedIn("life_move", pl.len(), about=lambda farm, plan: plan.assignments.height),
    lineage={
        "transferred_count": "life_move.count",
        "mortality_during_transfer": "life_move.deaths",
        "source_population_before": "life_move.source_population_before",
        "measured_avg_weight_g": "life_move.weight_g",
        "planned_date": "life_move.date",
    },
    rules=(),
)

__all__ = ["MEASURED_TRANSFERS", "TRANSFER_ACTIONS", "TRANSFER_WORKFLOWS"]
