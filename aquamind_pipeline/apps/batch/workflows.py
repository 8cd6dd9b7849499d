"""Which transfers are planned, when each is drafted, planned and done, and which are called off.

All of it follows from the plan of the farm and from episodes, so it is known before the fish move. A later as_of
changes how far a workflow has come, and nothing else.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, FRESHWATER
from aquamind_pipeline.simulation.emergencies import emergencies
from aquamind_pipeline.simulation.grading import GRADED_STAGE, grading_day
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.stage_inputs import as_ordinals

TRANSITION, GRADING, CALLED_OFF, EMERGENCY, MIXING = range(5)
"""Kinds of workflow: to the next stage, between tanks of a stage, between tanks of a stage but never done, between
containers in an emergency, and into a ring with fish of another batch."""
SLOTS = len(FRESHWATER) + 3
"""Workflows of a batch at most: one for each transition, a grading, one that is called off, and an emergency."""
PLANNED_DAYS, DYNAMIC_DAYS = 30, 60
"""Days of real fish before a transfer from which on its actions are planned, and days before the profile's own as_of
from which on transfers to the sea are recorded as they happen, with trucks and well-boats. Before that, the company
noted from which tank to which ring the fish went."""
CALLED_OFF_STAGE = 3
_EVERY_CALLED_OFF = 5
"""One of so many successive batches has a workflow that is called off, so a small farm has one, too."""
CALLED_OFF_BECAUSE = (
    "Oxygen in the receiving tank was too low.",
    "The fish were ill.",
    "Too few people on duty.",
    "The pump failed on the first tank. The fish stayed where they were.",
)
PUMP_FAILED = len(CALLED_OFF_BECAUSE) - 1
"""Index of the reason by which the first action failed. For the others nothing was begun."""
_ON_TIME, _EARLY = 0.4, 0.65
"""Share of transfers on the planned day, and of those that are not late. The others are one to five days late."""


@lru_cache(maxsize=2)
def planned_workflows(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Every workflow that the plan of the farm will have, and the emergencies up to as_of, in the order of ids.

    Returns:
        workflow_id, batch_id, batch_number, kind, stage (that the fish leave), drafted (day), planned_start_date, date
        (on which it is done or called off), begins and ends (of the stage), reason (index into CALLED_OFF_BECAUSE, of
        those that are called off), is_dynamic, by_truck.
    """
    stages = (
        plan.assignments.group_by("batch_id", "stage", maintain_order=True)
        .agg(
            begins=pl.col("assignment_date").first(),
            ends=pl.col("departure_date").first(),
            containers=pl.len(),
            site=pl.col("site").first(),
        )
        .join(plan.batches.select("batch_id", "batch_number"), on="batch_id", maintain_order="left")
        .sort("batch_id", "stage")
    )
    before = stages.select("batch_id", pl.col("stage") + 1, drafted="begins")
    transitions = stages.filter(pl.col("stage") < ADULT.order).with_columns(
        kind=pl.lit(TRANSITION, pl.Int64), slot="stage", drafted="begins", date="ends"
    )
    smolts = stages.filter(pl.col("stage") == GRADED_STAGE).join(
        before, on=["batch_id", "stage"], maintain_order="left"
    )
    gradings = _on_day(smolts, _grading_day(farm, smolts), GRADING)
    parr = stages.filter(pl.col("stage") == CALLED_OFF_STAGE).with_columns(drafted="begins")
    called_off = _on_day(parr, _called_off_day(farm, parr), CALLED_OFF)
    struck = (
        emergencies(farm, plan)
        .drop("reason", "dest_assignment_id", "source_assignment_id")
        .join(stages, on=["batch_id", "stage"], maintain_order="left")
        .with_columns(
            drafted="date", kind=pl.lit(EMERGENCY, pl.Int64), slot=pl.lit(len(FRESHWATER) + EMERGENCY, pl.Int64)
        )
    )
    every = pl.concat([transitions, gradings, called_off, struck], how="diagonal").with_columns(
        workflow_id=(pl.col("batch_id") - 1) * SLOTS + pl.col("slot")
    )
    if plan.mixes.height:
        every = pl.concat([every, _mixings(plan, stages)], how="diagonal")
    ids = every["workflow_id"].to_numpy()
    u = draws.uniform(draws.stream(farm.seed, "workflows", "reason"), ids)
    reason = np.floor(u * len(CALLED_OFF_BECAUSE)).astype(np.int64)
    dynamic_from = pl.lit(farm.default_as_of).dt.offset_by(f"-{DYNAMIC_DAYS}d")
    due = pl.col("date") - pl.duration(days=pl.lit(pl.Series(_late(farm, ids))))
    return (
        every.with_columns(
            planned_start_date=pl.when(pl.col("kind").is_in([CALLED_OFF, EMERGENCY, MIXING]))
            .then("date")
            .otherwise(pl.max_horizontal(due, pl.col("begins") + pl.duration(days=1))),
            reason=pl.when(kind=CALLED_OFF).then(pl.Series(reason)),
            is_dynamic=(pl.col("kind") == TRANSITION)
            & (pl.col("stage") + 1 == ADULT.order)
            & (pl.col("date") >= dynamic_from),
            by_truck=pl.col("site") % 2 == 1,
        )
        .drop("slot", "site", "containers")
        .sort("workflow_id")
    )


def _mixings(plan: Plan, stages: pl.DataFrame) -> pl.DataFrame:
    """A workflow for each mix. It belongs to the batch whose fish move, and has an id of the mixed batch."""
    sources = stages.filter(stage=ADULT.order).rename({"batch_id": "source_batch_id"})
    return (
        plan.mixes.select("date", "source_batch_id", workflow_id=(pl.col("batch_id") - 1) * SLOTS + 1)
        .join(sources, on="source_batch_id", maintain_order="left")
        .with_columns(kind=pl.lit(MIXING, pl.Int64), drafted="date")
        .rename({"source_batch_id": "batch_id"})
    )


def _on_day(stages: pl.DataFrame, day: Ints, kind: int) -> pl.DataFrame:
    """A workflow for each stage of a batch with two containers at least, on a day of the stage; -1 for none."""
    return (
        stages.with_columns(
            day=pl.Series(day), kind=pl.lit(kind, pl.Int64), slot=pl.lit(len(FRESHWATER) + kind, pl.Int64)
        )
        .filter((pl.col("day") >= 0) & (pl.col("containers") > 1))
        .with_columns(date=pl.col("begins") + pl.duration(days="day"))
        .drop("day")
    )


def _days(stages: pl.DataFrame) -> Ints:
    return (stages["ends"] - stages["begins"]).dt.total_days().to_numpy()


def _grading_day(farm: Profile, smolts: pl.DataFrame) -> Ints:
    return grading_day(
        farm.seed, farm.speed, smolts["batch_id"].to_numpy(), as_ordinals(smolts["begins"]), _days(smolts)
    )


def _called_off_day(farm: Profile, parr: pl.DataFrame) -> Ints:
    """Day of the stage on which a workflow is called off; -1 where there is none."""
    batch, days = parr["batch_id"].to_numpy(), _days(parr)
    wanted = (batch + draws.stream(farm.seed, "workflows", "called off") % _EVERY_CALLED_OFF) % _EVERY_CALLED_OFF == 0
    return np.where(wanted & (days > 3), days // 2, -1)


def _late(farm: Profile, ids: Ints) -> Ints:
    """Days by which each workflow is done later than planned; below 0 if earlier."""
    u = draws.uniform(draws.stream(farm.seed, "workflows", "late"), ids)
    days = 1 + np.floor(draws.uniform(draws.stream(farm.seed, "workflows", "late days"), ids) * 5).astype(np.int64)
    return np.where(u < _ON_TIME, 0, np.where(u < _EARLY, -np.minimum(days, 3), days))


def drafted_workflows(farm: Profile, plan: Plan) -> pl.DataFrame:
    """The workflows that exist on as_of, with how far they have come.

    Returns:
        The columns of `planned_workflows`; status; created_at; has_actions (whether actions are planned), and
        actions_at (the day on which they were).
    """
    as_of = pl.lit(farm.as_of)
    lead = f"-{farm.stage_days(PLANNED_DAYS)}d"
    done, near = pl.col("date") <= as_of, pl.col("date").dt.offset_by("-1d") == as_of
    actions_at = pl.max_horizontal(
        "begins", pl.min_horizontal(pl.col("planned_start_date").dt.offset_by(lead), pl.col("date").dt.offset_by("-1d"))
    )
    transition = pl.col("kind") == TRANSITION
    return (
        planned_workflows(farm, plan)
        .filter(pl.col("drafted") <= as_of)
        .with_columns(actions_at=actions_at)
        .with_columns(
            status=pl.when(done & (pl.col("kind") == CALLED_OFF))
            .then(pl.lit("CANCELLED"))
            .when(done)
            .then(pl.lit("COMPLETED"))
            .when(near & transition)
            .then(pl.lit("IN_PROGRESS"))
            .when(pl.col("actions_at") <= as_of)
            .then(pl.lit("PLANNED"))
            .otherwise(pl.lit("DRAFT")),
            # AquaMind heeds the workflow that was drafted last, so transitions come after gradings (rule R27).
            created_at=pl.col("drafted").cast(pl.Datetime("us", "UTC"))
            + pl.when(transition)
            .then(pl.duration(hours=9))
            .when(kind=EMERGENCY)
            .then(pl.duration(hours=5))
            .otherwise(pl.duration(hours=8)),
            has_actions=pl.when((pl.col("stage") + 1 == ADULT.order) & transition)
            .then(done)
            .otherwise(pl.col("actions_at") <= as_of),
        )
    )


__all__ = [
    "CALLED_OFF",
    "CALLED_OFF_BECAUSE",
    "EMERGENCY",
    "GRADING",
    "MIXING",
    "PLANNED_DAYS",
    "PUMP_FAILED",
    "SLOTS",
    "TRANSITION",
    "drafted_workflows",
    "planned_workflows",
]
