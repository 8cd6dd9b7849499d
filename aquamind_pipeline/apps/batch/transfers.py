"""Transfers: a workflow for each move of a batch, an action for each pair of containers between which fish move.

What happened is in life; what is planned or called off moves no fish.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.assignments import LIVED, lived_assignments, placed_eggs
from aquamind_pipeline.apps.batch.carried import CARRIERS, carried, carried_assignments, most_actions, overlaps
from aquamind_pipeline.apps.batch.workflows import (
    CALLED_OFF,
    CALLED_OFF_BECAUSE,
    EMERGENCY,
    GRADING,
    MIXING,
    PUMP_FAILED,
    SLOTS,
    TRANSITION,
    drafted_workflows,
)
from aquamind_pipeline.arithmetic import decimal, rounded
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    EMPTY,
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
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, EGG_WEIGHT_G, FRESHWATER, fork_length, oxygen_saturation_mg_l
from aquamind_pipeline.simulation.body import condition_factor, weight_variation
from aquamind_pipeline.simulation.emergencies import emergencies
from aquamind_pipeline.simulation.grading import AVERAGE, IN_EMERGENCY, SELECTIONS
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

MEASURED_TRANSFERS, WEIGHED_FISH = 0.5, 50
"""Share of transitions in which fish are weighed, and how many. In gradings they always are."""
_PLANNED_SHARE = 0.07
"""Share of a tank's fish that a planned grading is to move."""
_FISH_A_MINUTE = 600
"""Fish that a pump moves in a minute."""
_MOVED = (*LIVED, "life_move")
_LIFECYCLE, EMERGENCY_CASCADE = "LIFECYCLE_TRANSITION", "EMERGENCY_CASCADE"
_PREFIX = {CALLED_OFF: "RED", GRADING: "GRD", EMERGENCY: "EMG", MIXING: "RED"}
"""First part of the numbers of workflows within a stage, by kind."""
_NO_ROOM = "No other container had room for more fish."
_NO_FISH = pl.lit(0, pl.Int64)


def _workflows(inputs: Inputs) -> pl.DataFrame:
    return inputs.shared("workflows", lambda: drafted_workflows(inputs.farm, inputs.plan))


def _arrived(inputs: Inputs) -> pl.DataFrame:
    """assignment_id, fish_at_first and weight_at_first_g of every assignment: what plans for its fish are made of."""
    eggs = placed_eggs(inputs.plan).select(
        "assignment_id", fish_at_first="eggs", weight_at_first_g=pl.lit(EGG_WEIGHT_G)
    )
    came = inputs.whole("life_move").filter(picked=0).group_by(assignment_id="dest_assignment_id")
    mass = (pl.col("count") * pl.col("weight_g")).sum()
    return pl.concat(
        [eggs, came.agg(fish_at_first=pl.col("count").sum(), weight_at_first_g=mass / pl.col("count").sum())],
        how="vertical_relaxed",
    )


def _pairs(inputs: Inputs) -> pl.DataFrame:
    """Containers between which actions are planned: tank i to tank i of the next stage, or neighbours in a hall.

    For transitions to the sea nothing is planned: the crew sees what fits into which ring. In an emergency, fish of one
    container go to some others.
    """
    tanks = inputs.plan.assignments.select("batch_id", "stage", "position", "assignment_id", "container_id")
    every = _workflows(inputs)
    wanted = every.filter("has_actions", ~pl.col("kind").is_in([EMERGENCY, MIXING]))
    transition = pl.col("kind") == TRANSITION
    on_land = wanted.filter(~transition | (pl.col("stage") + 1 < ADULT.order)).join(
        tanks.rename({"assignment_id": "source_assignment_id"}).drop("container_id"),
        on=["batch_id", "stage"],
        maintain_order="left",
    )
    partner = pl.when(transition).then("position").otherwise(pl.col("position") + 1 - 2 * (pl.col("position") % 2))
    dests = tanks.rename({"assignment_id": "dest_assignment_id", "container_id": "dest_container_id"})
    planned = (
        on_land.with_columns(dest_stage=pl.col("stage") + transition.cast(pl.Int64), dest_position=partner)
        .join(
            dests,
            left_on=["batch_id", "dest_stage", "dest_position"],
            right_on=["batch_id", "stage", "position"],
            maintain_order="left",
        )
        .drop("dest_stage", "dest_position")
    )
    pairs = emergencies(inputs.farm, inputs.plan).select("batch_id", "source_assignment_id", "dest_assignment_id")
    struck = (
        every.filter(kind=EMERGENCY)
        .join(pairs.explode("dest_assignment_id"), on="batch_id", maintain_order="left")
        .join(dests.select("dest_assignment_id", "dest_container_id"), on="dest_assignment_id", maintain_order="left")
    )
    return pl.concat([planned, struck], how="diagonal")


def _happened(inputs: Inputs) -> pl.DataFrame:
    """The moves of life, with the kind of the workflow that they belong to."""
    kind = pl.when(picked=AVERAGE).then(TRANSITION).when(picked=IN_EMERGENCY).then(EMERGENCY).otherwise(GRADING)
    return inputs.whole("life_move").with_columns(kind=kind.cast(pl.Int64))


def _to_sea(inputs: Inputs) -> pl.DataFrame:
    """Moves into rings: from the tank on land in one action, or leg by leg where carriers were recorded."""
    rings = inputs.plan.assignments.select(dest_assignment_id="assignment_id", dest_container_id="container_id")
    done = _workflows(inputs).filter(
        (pl.col("kind") == TRANSITION) & (pl.col("stage") + 1 == ADULT.order) & pl.col("has_actions")
    )
    moved = (
        done.join(_happened(inputs).drop("date"), on=["batch_id", "stage", "kind"], maintain_order="left")
        .join(rings, on="dest_assignment_id", maintain_order="left")
        .with_columns(leg=pl.when("is_dynamic").then(len(CARRIERS)).otherwise(0))
    )
    stays = carried(inputs)
    return pl.concat(
        [moved.filter(~pl.col("is_dynamic")), *_loading(done, stays), _landing(moved.filter("is_dynamic"), stays)],
        how="diagonal_relaxed",
    )


def _before(column: str, source: str) -> pl.Expr:
    """Fish in a container before a move out of it, if nothing but these moves empties it."""
    gone = pl.col("count").cum_sum().over(source) - pl.col("count")
    return pl.col(column) - gone


def _landing(moved: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """Moves from the loads of well-boats into rings."""
    upto = pl.col("count").cum_sum().over("source_assignment_id")
    rings = moved.with_columns(upto=upto).drop("count", "source_population_before", "deaths")
    boats = stays.filter(carrier=0).select("source_assignment_id", "upto", "fish", on_board="assignment_id")
    return (
        overlaps(boats.filter(pl.col("fish") > 0), rings)
        .with_columns(source_population_before=_before("fish", "on_board"), deaths=_NO_FISH)
        .drop("source_assignment_id", "fish")
        .rename({"on_board": "source_assignment_id"})
    )


def _mixed(inputs: Inputs) -> pl.DataFrame:
    """Moves into the rings of mixed batches. The fish that stay in a ring have an action, too: AquaMind's engine counts
    only fish that an action brings (rule R29).
    """
    rings = inputs.plan.assignments.select(dest_assignment_id="assignment_id", dest_container_id="container_id")
    moved = inputs.whole("life_move").filter(stage=ADULT.order).drop("stage", "date", "batch_id")
    return (
        _workflows(inputs)
        .filter(kind=MIXING)
        .join(mix_of_workflow(inputs.plan), on="workflow_id", maintain_order="left")
        .join(moved, on="dest_assignment_id", maintain_order="left_right")
        .join(rings, on="dest_assignment_id", maintain_order="left")
        .with_columns(leg=pl.lit(0), stays=pl.col("source_assignment_id") == pl.col("resident_assignment_id"))
        .drop("resident_assignment_id")
    )


def mix_of_workflow(plan: Plan) -> pl.DataFrame:
    """workflow_id, dest_assignment_id and resident_assignment_id of each mix."""
    return plan.mixes.select(
        "resident_assignment_id",
        workflow_id=(pl.col("batch_id") - 1) * SLOTS + 1,
        dest_assignment_id="assignment_id",
    )


def _loading(done: pl.DataFrame, stays: pl.DataFrame) -> list[pl.DataFrame]:
    """Moves into the tanks of carriers: from land, and from a truck into a well-boat."""
    full = stays.filter(pl.col("fish") > 0)
    first = full.filter(pl.col("carrier") == pl.col("by_truck").cast(pl.Int64)).select(
        "workflow_id",
        "weight_g",
        "deaths",
        "source_assignment_id",
        count="fish",
        source_population_before="before",
        dest_assignment_id="assignment_id",
        dest_container_id="container_id",
        leg=pl.lit(0),
    )
    trucks = full.filter(carrier=1).select(
        "source_assignment_id", "upto", "workflow_id", "weight_g", "fish", truck="assignment_id"
    )
    boats = full.filter(pl.col("by_truck"), carrier=0).select(
        "source_assignment_id", "upto", dest_assignment_id="assignment_id", dest_container_id="container_id"
    )
    reloaded = (
        overlaps(trucks, boats)
        .with_columns(source_population_before=_before("fish", "truck"), deaths=_NO_FISH, leg=pl.lit(1))
        .drop("source_assignment_id", "fish")
        .rename({"truck": "source_assignment_id"})
    )
    return [
        done.join(leg.with_columns(picked=pl.lit(AVERAGE, pl.Int64)), on="workflow_id", maintain_order="left_right")
        for leg in (first, reloaded)
    ]


def _actions(inputs: Inputs) -> pl.DataFrame:
    """Every action with the workflow that it belongs to, and what happened, where something did."""

    def make() -> pl.DataFrame:
        happened = _happened(inputs).drop("stage", "date", "batch_id")
        key = ["source_assignment_id", "dest_assignment_id", "kind"]
        planned = _pairs(inputs).join(happened, on=key, how="left", maintain_order="left")
        to_sea = _to_sea(inputs)
        water = lived_assignments(inputs).select(dest_assignment_id="assignment_id", temp_c="first_temp_c")
        within = inputs.whole("life_move").filter(pl.col("picked") != AVERAGE).select("dest_assignment_id", "date")
        on_day = (
            inputs.scan("life_day")
            .filter(pl.col("assignment_id").is_in(within["dest_assignment_id"].unique().implode()))
            .select("date", dest_assignment_id="assignment_id", temp_on_day_c="temp_c")
            .join(within.unique().lazy(), on=["dest_assignment_id", "date"], how="semi")
            .collect(engine="streaming")
        )
        moved, called_off = pl.col("count").fill_null(0) > 0, pl.col("kind") == CALLED_OFF
        done = pl.col("date") <= inputs.farm.as_of
        return (
            pl.concat([planned, to_sea, _mixed(inputs)], how="diagonal")
            .with_columns(pl.col("leg").fill_null(0))
            .sort("workflow_id", "leg", "source_assignment_id", "dest_assignment_id")
            .join(
                _arrived(inputs),
                left_on="source_assignment_id",
                right_on="assignment_id",
                how="left",
                maintain_order="left",
            )
            .join(water, on="dest_assignment_id", how="left", maintain_order="left")
            .join(on_day, on=["dest_assignment_id", "date"], how="left", maintain_order="left")
            .with_columns(temp_c=pl.coalesce("temp_on_day_c", "temp_c"))
            .with_columns(action_number=pl.int_range(1, pl.len() + 1).over("workflow_id"))
            .with_columns(
                outcome=pl.when(~done)
                .then(pl.lit("PENDING"))
                .when(called_off & (pl.col("reason") == PUMP_FAILED) & (pl.col("action_number") == 1))
                .then(pl.lit("FAILED"))
                .when(moved)
                .then(pl.lit("COMPLETED"))
                .otherwise(pl.lit("SKIPPED"))
            )
            .with_columns(_counted())
        )

    return inputs.shared("actions", make)


def _counted() -> list[pl.Expr]:
    """Fish, weight and biomass of each action: what moved, what is planned, or none."""
    pending, moved = pl.col("outcome") == "PENDING", pl.col("outcome") == "COMPLETED"
    at_first = pl.col("fish_at_first").fill_null(0)
    wanted = pl.when(kind=TRANSITION).then(at_first).otherwise((at_first * _PLANNED_SHARE).cast(pl.Int64))
    fish = pl.when(moved).then("count").when(pending).then(wanted).otherwise(_NO_FISH)
    grams = pl.when(moved).then("weight_g").otherwise("weight_at_first_g").fill_null(0.0)
    return [
        fish.alias("fish"),
        (fish * grams / 1000).alias("biomass_kg"),
        pl.when(moved).then("source_population_before").otherwise(at_first).alias("before"),
        pl.when(moved).then("deaths").otherwise(_NO_FISH).alias("lost"),
    ]


def transfer_workflows(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchtransferworkflow. Totals are those that AquaMind computes of the actions."""
    completed = pl.col("outcome") == "COMPLETED"
    totals = (
        _actions(inputs)
        .group_by("workflow_id")
        .agg(
            total_source_count=pl.col("before").sum(),
            total_transferred_count=pl.col("fish").filter(completed).sum(),
            total_mortality_count=pl.col("lost").filter(completed).sum(),
            total_biomass_kg=pl.col("biomass_kg").filter(completed).sum(),
            total_actions_planned=pl.len().cast(pl.Int64),
            actions_completed=completed.sum().cast(pl.Int64),
        )
    )
    counted = [name for name in totals.columns if name != "workflow_id"]
    rows = (
        _workflows(inputs)
        .join(totals, on="workflow_id", how="left", maintain_order="left")
        .with_columns(pl.col(counted).fill_null(0))
    )
    emergency, nobody_moved = pl.col("kind") == EMERGENCY, pl.col("actions_completed") == 0
    rows = rows.with_columns(
        status=pl.when(emergency & nobody_moved).then(pl.lit("CANCELLED")).otherwise(pl.col("status"))
    )
    transition, to_sea = (
        pl.col("kind") == TRANSITION,
        (pl.col("stage") + 1 == ADULT.order) & (pl.col("kind") == TRANSITION),
    )
    done = pl.col("status") == "COMPLETED"
    begun = done | (pl.col("status") == "IN_PROGRESS")
    # Before a transition the fish are fasted and the tanks prepared; a grading is done in a day.
    first_day = pl.when(transition).then(pl.col("date").dt.offset_by("-1d")).otherwise("date")
    day_number = (pl.col("date") - pl.col("batch_start")).dt.total_days().cast(pl.String).str.zfill(3)
    starts = inputs.plan.batches.select("batch_id", batch_start="start_date")
    legs = pl.when("by_truck").then(3).otherwise(2)
    tanks = inputs.plan.assignments.filter(stage=FRESHWATER[-1].order).join(_arrived(inputs), on="assignment_id")
    expected = tanks.group_by("batch_id").agg(expected=pl.col("fish_at_first").sum())
    of_fish = pl.min_horizontal(pl.col("total_transferred_count") / pl.max_horizontal("estimated", 1), 1) * 100
    of_actions = pl.col("actions_completed") / pl.max_horizontal("total_actions_planned", 1) * 100
    rows = (
        rows.join(starts, on="batch_id", maintain_order="left")
        .join(expected, on="batch_id", how="left", maintain_order="left")
        .with_columns(estimated=pl.when("is_dynamic").then(pl.col("expected") * legs))
        .with_columns(share=pl.when("is_dynamic").then(of_fish).otherwise(of_actions))
    )
    reasons = pl.col("reason").replace_strict(
        range(len(CALLED_OFF_BECAUSE)), CALLED_OFF_BECAUSE, return_dtype=pl.String, default=""
    )
    return rows.select(
        "batch_id",
        "status",
        "planned_start_date",
        "total_source_count",
        "total_transferred_count",
        "total_mortality_count",
        "total_actions_planned",
        "actions_completed",
        "created_at",
        id="workflow_id",
        workflow_number=pl.format(
            "{}-{}-D{}",
            pl.when(transition)
            .then(pl.lit("TRF"))
            .otherwise(
                pl.col("kind").replace_strict(list(_PREFIX), list(_PREFIX.values()), default="", return_dtype=pl.String)
            ),
            "batch_number",
            day_number,
        ),
        planned_activity_id=pl.when(transition).then(planned_activity_id(pl.col("batch_id"), pl.col("stage"))),
        workflow_type=pl.when(transition)
        .then(pl.lit(_LIFECYCLE))
        .when(emergency)
        .then(pl.lit(EMERGENCY_CASCADE))
        .otherwise(pl.lit("CONTAINER_REDISTRIBUTION")),
        source_lifecycle_stage_id="stage",
        dest_lifecycle_stage_id=pl.col("stage") + transition.cast(pl.Int64),
        planned_completion_date="planned_start_date",
        actual_start_date=pl.when(begun).then(first_day),
        actual_completion_date=pl.when(done).then("date"),
        total_biomass_kg=rounded(rows["total_biomass_kg"], 12, 2),
        dynamic_route_mode=pl.when("is_dynamic").then(
            pl.when("by_truck").then(pl.lit("VIA_TRUCK_TO_VESSEL")).otherwise(pl.lit("DIRECT_STATION_TO_VESSEL"))
        ),
        estimated_total_count="estimated",
        completion_percentage=rounded(rows["share"], 5, 2),
        is_dynamic_execution="is_dynamic",
        is_intercompany=to_sea,
        source_subsidiary=pl.when(to_sea).then(pl.lit("FRESHWATER")),
        dest_subsidiary=pl.when(to_sea).then(pl.lit("FARMING")),
        cancellation_reason=pl.when(emergency & nobody_moved)
        .then(pl.lit(_NO_ROOM))
        .when(status="CANCELLED")
        .then(reasons)
        .otherwise(pl.lit("")),
    )


def planned_activity_id(batch_id: pl.Expr, stage: pl.Expr) -> pl.Expr:
    """The planned activity of a batch's transfer out of a stage."""
    return (batch_id - 1) * ACTIVITIES_OF_A_BATCH + stage


ACTIVITIES_OF_A_BATCH = 32
"""Ids of planned activities that a batch has; the first ones are its transfers."""

_EVENTS = "batch_mortalityevent"


def _deaths_of_moves(inputs: RuleInputs) -> CheckResult:
    """Fish that died while they were moved within a stage are among the source's events of handling on that day.

    In an emergency they are all of them, and the source has deaths by the environment, too: those that led to it.
    """
    kinds = inputs.whole(TRANSFER_WORKFLOWS.name).select("workflow_type", workflow_id="id")
    within = kinds.filter(pl.col("workflow_type") != _LIFECYCLE)
    sources = (
        inputs.rows.filter(status="COMPLETED")
        .join(within, on="workflow_id")
        .group_by(
            "workflow_id", "workflow_type", assignment_id="source_assignment_id", event_date="actual_execution_date"
        )
        .agg(lost=pl.col("mortality_during_transfer").cast(pl.Int64).sum())
    )
    key, died = ["assignment_id", "event_date"], pl.col("count").cast(pl.Int64)
    events = (
        inputs.scan(_EVENTS)
        .filter(pl.col("assignment_id").is_in(sources["assignment_id"].implode()))
        .group_by(key)
        .agg(handled=died.filter(cause="HANDLING").sum(), before=died.filter(cause="ENVIRONMENTAL").sum())
        .collect()
    )
    both = sources.join(events, on=key, how="left").with_columns(pl.col("handled", "before").fill_null(0))
    others = (pl.col("handled") > pl.col("lost")) | (pl.col("before") == 0)
    emergency = pl.col("workflow_type") == EMERGENCY_CASCADE
    wrong = both.filter((pl.col("lost") > pl.col("handled")) | (emergency & others))
    return check_result(
        DEATHS_OF_MOVES.name,
        wrong.sort("workflow_id", "assignment_id"),
        f"{sources.height} containers with moves within a stage, whose dead are events",
        "moves within a stage whose dead are not events of the source",
    )


DEATHS_OF_MOVES = Rule(
    "deaths_of_moves",
    "Fish that die while they are moved within a stage are among the source's deaths by handling on that day.",
    "They would be counted twice or never.",
    _deaths_of_moves,
    reads=("batch_batchtransferworkflow", _EVENTS),
)


def _totals_add_up(inputs: RuleInputs) -> CheckResult:
    """Each workflow's totals are what AquaMind computes of its actions, and a finished one says when it was done."""
    actions = inputs.rows
    completed = pl.col("status") == "COMPLETED"
    sums = actions.group_by(id="workflow_id").agg(
        planned=pl.len().cast(pl.Int64),
        completed=completed.sum().cast(pl.Int64),
        before=pl.col("source_population_before").cast(pl.Int64).sum(),
        moved=pl.col("transferred_count").filter(completed).cast(pl.Int64).sum(),
        lost=pl.col("mortality_during_transfer").filter(completed).cast(pl.Int64).sum(),
        kg=pl.col("transferred_biomass_kg").filter(completed).cast(pl.Float64).sum(),
    )
    done = pl.col("status") == "COMPLETED"
    rows = (
        inputs.whole(TRANSFER_WORKFLOWS.name)
        .join(sums, on="id", how="full", coalesce=True)
        .with_columns(pl.col("planned", "completed", "before", "moved", "lost", "kg").fill_null(0))
    )
    wrong = rows.filter(
        pl.col("total_actions_planned").ne_missing(pl.col("planned"))
        | (pl.col("actions_completed") != pl.col("completed"))
        | (pl.col("total_source_count") != pl.col("before"))
        | (pl.col("total_transferred_count") != pl.col("moved"))
        | (pl.col("total_mortality_count") != pl.col("lost"))
        | ((pl.col("total_biomass_kg").cast(pl.Float64) - pl.col("kg")).abs() > 0.01 * (1 + pl.col("planned")))
        | (done != pl.col("actual_completion_date").is_not_null())
        | (pl.col("actual_completion_date") < pl.col("actual_start_date"))
    )
    return check_result(
        TOTALS_ADD_UP.name, wrong, f"{rows.height} workflows add up", "workflows that differ from their actions"
    )


TOTALS_ADD_UP = Rule(
    "workflow_totals",
    "A transfer workflow has the totals of its actions, and the dates of its status.",
    MISLEADING,
    _totals_add_up,
    reads=("batch_batchtransferworkflow",),
)

_DONE = pl.col("status") == "COMPLETED"
_LANDED = _DONE & pl.col("is_dynamic_execution")
_LANDED_NOTE = "[dynamic_completion_note] All rings are stocked."
"""The line that AquaMind appends when somebody completes a transfer by carriers."""
_WATER_NOTE = "The tank's oxygen failed. Part of the fish were moved to tanks with room."
_STORM_NOTE = "A storm damaged the ring. Part of the fish were moved to rings with room."

TRANSFER_WORKFLOWS = TableDefinition(
    name="batch_batchtransferworkflow",
    part="transfers",
    kind=Kind.LEDGER,
    meaning="Move of a batch to its next stage or between containers of a stage, planned, done or called off.",
    how="Drafted when a stage begins, planned in the last month, done on the day; some are called off.",
    columns=(
        identity("id"),
        varchar("workflow_number", 50),
        refers("batch_id", "batch_batch.id"),
        refers("planned_activity_id", "planning_plannedactivity.id", nullable=True, use_alter=True),
        varchar("workflow_type", 30, comment="Kind: to the next stage, or between containers of a stage"),
        refers("source_lifecycle_stage_id", "batch_lifecyclestage.id"),
        refers("dest_lifecycle_stage_id", "batch_lifecyclestage.id", nullable=True),
        varchar("status", 20),
        date("planned_start_date"),
        date("planned_completion_date", nullable=True, comment="Planned last day of the work"),
        date("actual_start_date", nullable=True, comment="Day on which the work began"),
        date("actual_completion_date", nullable=True, comment="Day on which the last fish moved"),
        count("total_source_count"),
        count("total_transferred_count"),
        count("total_mortality_count"),
        numeric("total_biomass_kg", 12, 2, range_=(0, None)),
        count("total_actions_planned"),
        count("actions_completed"),
        numeric("completion_percentage", 5, 2, range_=(0, 100), comment="Completed share of the actions [%]"),
        boolean("is_dynamic_execution"),
        varchar("dynamic_route_mode", 32, nullable=True, comment="Carriers on the way to the sea; null without them"),
        integer("estimated_total_count", nullable=True, comment="Fish expected on all legs; null without carriers"),
        numeric("estimated_total_biomass_kg", 12, 2, nullable=True, fill=NULL),
        boolean("is_intercompany"),
        varchar("source_subsidiary", 20, nullable=True),
        varchar("dest_subsidiary", 20, nullable=True),
        bigint("finance_transaction_id", nullable=True, fill=NULL),
        refers("initiated_by_id", "auth_user.id", type_=sa.Integer, fill=OWNER),
        refers("completed_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=pl.when(_DONE).then(OWNER)),
        refers(
            "dynamic_completed_by_id",
            "auth_user.id",
            type_=sa.Integer,
            nullable=True,
            fill=pl.when(_LANDED).then(OWNER),
        ),
        timestamp(
            "dynamic_completed_at",
            nullable=True,
            fill=pl.when(_LANDED).then(day("actual_completion_date").dt.offset_by("18h")),
        ),
        text(
            "notes",
            fill=pl.when(_LANDED)
            .then(pl.lit(_LANDED_NOTE))
            .when(pl.col("workflow_type") != EMERGENCY_CASCADE)
            .then(EMPTY)
            .when(source_lifecycle_stage_id=ADULT.order)
            .then(pl.lit(_STORM_NOTE))
            .otherwise(pl.lit(_WATER_NOTE)),
        ),
        text("cancellation_reason", comment="Why it was called off; empty otherwise"),
        timestamp("created_at", comment="Time at which it was drafted (UTC)"),
        timestamp("updated_at", fill=pl.coalesce(day("actual_completion_date"), "created_at")),
        unique("planned_activity_id"),
        unique("workflow_number"),
    ),
    reads=_MOVED,
    generate=transfer_workflows,
    expected=ByFormula(lambda farm, plan: drafted_workflows(farm, plan).height),
    lineage={
        "total_transferred_count": "life_move.count",
        "total_mortality_count": "life_move.deaths",
        "total_biomass_kg": "life_move.count life_move.weight_g",
        "planned_start_date": "plan_assignment.departure_date",
        "actual_completion_date": "life_move.date",
    },
    rules=(),
    changes_with_as_of=(
        "status",
        "actual_start_date",
        "actual_completion_date",
        "total_source_count",
        "total_transferred_count",
        "total_mortality_count",
        "total_biomass_kg",
        "total_actions_planned",
        "actions_completed",
        "completion_percentage",
        "cancellation_reason",
    ),
)


def transfer_actions(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_transferaction."""
    farm, actions = inputs.farm, _actions(inputs)
    ids = (actions["workflow_id"] - 1) * actions_of_a_workflow(farm) + actions["action_number"]
    moved = pl.col("outcome") == "COMPLETED"
    weighed = pl.Series(
        draws.uniform(
            draws.stream(farm.seed, "records", "weighed"), actions["batch_id"].to_numpy(), actions["stage"].to_numpy()
        )
        < MEASURED_TRANSFERS
    ) | actions["kind"].is_in([GRADING, CALLED_OFF])
    luck = draws.normal(draws.stream(farm.seed, "records", "weights"), ids.to_numpy())
    stage, weight_g = actions["stage"].to_numpy(), actions["weight_g"].fill_null(1.0).to_numpy()
    variation = weight_variation(stage)
    measured_g = weight_g * (1 + variation / float(np.sqrt(WEIGHED_FISH)) * luck)
    condition = condition_factor(stage, np.ones(stage.size), weight_g, actions["date"].dt.ordinal_day().to_numpy())
    temp_c = actions["temp_c"].fill_null(0.0).to_numpy()
    at_sea = (stage == FRESHWATER[-1].order) & (actions["kind"] == TRANSITION).to_numpy() | (stage == ADULT.order)

    def if_moved(series: pl.Series) -> pl.Expr:
        return pl.when(moved).then(series)

    def if_weighed(series: pl.Series) -> pl.Expr:
        return pl.when(moved & weighed).then(series)

    within = pl.col("kind") != TRANSITION
    graded = pl.col("kind").is_in([GRADING, CALLED_OFF])
    picked = pl.when(moved).then("picked").when(graded).then(2 - pl.col("action_number") % 2).otherwise(AVERAGE)
    return actions.select(
        "workflow_id",
        "action_number",
        "source_assignment_id",
        "dest_container_id",
        id=ids,
        dest_assignment_id=pl.when(moved | within).then("dest_assignment_id"),
        source_population_before="before",
        transferred_count="fish",
        mortality_during_transfer="lost",
        transferred_biomass_kg=rounded(actions["biomass_kg"], 10, 2),
        allow_mixed=(pl.col("kind") == MIXING) & ~pl.col("stays").fill_null(value=False),
        status="outcome",
        planned_date="planned_start_date",
        actual_execution_date=pl.when(moved).then("date"),
        water_temp_c=if_moved(rounded(temp_c, 5, 2)),
        oxygen_level=if_moved(rounded(0.95 * oxygen_saturation_mg_l(temp_c, np.where(at_sea, 35.0, 0.0)), 5, 2)),
        measured_avg_weight_g=if_weighed(rounded(measured_g, 10, 2)),
        measured_std_dev_weight_g=if_weighed(rounded(variation * measured_g, 10, 2)),
        measured_sample_size=pl.when(moved & weighed).then(pl.lit(WEIGHED_FISH, pl.Int64)),
        measured_avg_length_cm=if_weighed(decimal(fork_length(measured_g, condition), 10, 2)),
        leg_type=pl.when(pl.col("is_dynamic")).then(
            pl.when(leg=len(CARRIERS))
            .then(pl.lit("VESSEL_TO_RING"))
            .when(leg=1)
            .then(pl.lit("TRUCK_TO_VESSEL"))
            .when("by_truck")
            .then(pl.lit("STATION_TO_TRUCK"))
            .otherwise(pl.lit("STATION_TO_VESSEL"))
        ),
        selection_method=picked.replace_strict(range(len(SELECTIONS)), SELECTIONS, return_dtype=pl.String),
        created_at=pl.when((pl.col("stage") + 1 < ADULT.order) & (pl.col("kind") != EMERGENCY))
        .then("actions_at")
        .otherwise("date")
        .cast(pl.Datetime("us", "UTC")),
    )


def actions_of_a_workflow(farm: Profile) -> int:
    """Ids of actions that a workflow has."""
    return max(farm.tanks_per_stage + farm.rings_per_batch, most_actions(farm))


def _about(farm: Profile, plan: Plan) -> int:
    """Roughly how many actions there are."""
    within = drafted_workflows(farm, plan).filter("has_actions").height
    return within * max(farm.tanks_per_stage, farm.rings_per_batch) + 2 * carried_assignments(farm, plan)


TRANSFER_ACTIONS = TableDefinition(
    name="batch_transferaction",
    part="transfers",
    kind=Kind.LEDGER,
    meaning="Fish moved from one container to another, or planned to be.",
    how="One action for each pair of containers between which fish move; in half of the transitions fish are weighed.",
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
        boolean("allow_mixed", comment="Whether the container held fish of another batch"),
        varchar("status", 20),
        varchar("leg_type", 32, nullable=True, comment="Part of the way to the sea; null without carriers"),
        varchar(
            "created_via",
            20,
            fill=pl.when(pl.col("leg_type").is_null()).then(pl.lit("PLANNED")).otherwise(pl.lit("DYNAMIC_LIVE")),
        ),
        date("planned_date", nullable=True),
        date("actual_execution_date", nullable=True, comment="Day on which the fish moved; null if they did not"),
        timestamp("executed_at", nullable=True, fill=day("actual_execution_date").dt.offset_by("10h")),
        varchar("transfer_method", 20, nullable=True, fill=pl.lit("PUMP")),
        numeric("water_temp_c", 5, 2, nullable=True, range_=(-2, 30)),
        numeric("oxygen_level", 5, 2, nullable=True, range_=(0, 20)),
        numeric("measured_avg_weight_g", 10, 2, nullable=True, range_=(0, 20000)),
        numeric("measured_std_dev_weight_g", 10, 2, nullable=True),
        count("measured_sample_size", nullable=True),
        numeric("measured_avg_length_cm", 10, 2, nullable=True),
        text("measured_notes", fill=EMPTY),
        varchar("selection_method", 16),
        refers(
            "executed_by_id",
            "auth_user.id",
            type_=sa.Integer,
            nullable=True,
            fill=pl.when(pl.col("status").is_in(["COMPLETED", "FAILED"])).then(OWNER),
        ),
        integer(
            "execution_duration_minutes",
            nullable=True,
            fill=pl.when(_DONE).then(10 + pl.col("transferred_count") // _FISH_A_MINUTE),
        ),
        text("notes", fill=pl.when(status="FAILED").then(pl.lit(CALLED_OFF_BECAUSE[PUMP_FAILED])).otherwise(EMPTY)),
        timestamp("created_at", comment="Time at which the action was planned (UTC)"),
        timestamp("updated_at", fill=pl.coalesce(day("actual_execution_date"), "created_at")),
        unique("workflow_id", "action_number"),
        index("source_assignment_id"),
        index("dest_assignment_id"),
    ),
    reads=_MOVED,
    generate=transfer_actions,
    expected=Unpredictable("Containers overlap as their fish do; `workflow_totals` counts them.", about=_about),
    lineage={
        "transferred_count": "life_move.count",
        "mortality_during_transfer": "life_move.deaths",
        "source_population_before": "life_move.source_population_before",
        "measured_avg_weight_g": "life_move.weight_g",
        "actual_execution_date": "life_move.date",
    },
    rules=(TOTALS_ADD_UP, DEATHS_OF_MOVES),
    changes_with_as_of=(
        "dest_assignment_id",
        "source_population_before",
        "transferred_count",
        "mortality_during_transfer",
        "transferred_biomass_kg",
        "status",
        "actual_execution_date",
        "water_temp_c",
        "oxygen_level",
        "measured_avg_weight_g",
        "measured_std_dev_weight_g",
        "measured_sample_size",
        "measured_avg_length_cm",
    ),
)

__all__ = [
    "ACTIVITIES_OF_A_BATCH",
    "DEATHS_OF_MOVES",
    "EMERGENCY_CASCADE",
    "MEASURED_TRANSFERS",
    "TRANSFER_ACTIONS",
    "TRANSFER_WORKFLOWS",
    "actions_of_a_workflow",
    "planned_activity_id",
]
