"""Planned activities of each batch: due by its plan, completed on the day of what really happened.

A transfer is completed when its workflow is, a harvest with the harvest, a vaccination with the last tank, a feed
change with the first meal of the new feed, a sampling or delousing with the first one near the day. What did not happen
near its day is called off. So AquaMind's report of variances shows what is late.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.transfers import ACTIVITIES_OF_A_BATCH, TRANSFER_WORKFLOWS
from aquamind_pipeline.apps.batch.workflows import TRANSITION, drafted_workflows, planned_workflows
from aquamind_pipeline.apps.farm.life import LIFE_DAYS, LIFE_MOVES, LIFE_TREATMENTS
from aquamind_pipeline.apps.health.sampling import SAMPLINGS
from aquamind_pipeline.apps.planning.templates import HARVEST, TEMPLATES
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import OWNER, date, identity, index, refers, text, timestamp, varchar
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.treatments import AGAINST_LICE, VACCINE

_EARLY_DAYS, _LATE_DAYS = 21, 14
"""Days of real fish before and after its day in which a sampling or delousing counts as the planned one."""
_HARVEST_EARLY_DAYS, _HARVEST_LATE_DAYS = 20, 25
"""Days of real fish by which a harvest is earlier or later than planned, at most."""
_NETS_EARLY, _NETS_LATE = 3, 9
"""Days by which nets are changed earlier or later than planned, at most."""
_NETS_CALLED_OFF = 0.05
_VACCINATION = next(n for n, one in enumerate(TEMPLATES, 1) if one.type == "VACCINATION")
_CALLED_OFF = {
    "SAMPLING": "Called off: the fish were not sampled around this day.",
    "TREATMENT": "Called off: up to this day no ring had needed a delousing.",
    "MAINTENANCE": "Called off: the nets were clean.",
    "VACCINATION": "Called off: the fish were too small.",
    "FEED_CHANGE": "Called off: no feed was given.",
}
_HARVESTED = "Called off: the batch was harvested on {}."
_DELOUSED = "Called off: the batch was last deloused on {}, and not again around this day."


def planned_activities(farm: Profile, plan: Plan) -> pl.DataFrame:
    """The activities of every batch, in the order of ids. All of them are planned on its first day.

    Returns:
        id, batch_id, number (of the template, from 1), activity_type, task, stage, due_date, start_date, harvest_date,
        luck (a draw).
    """
    numbered = pl.DataFrame(
        {
            "number": range(1, len(TEMPLATES) + 1),
            "activity_type": [one.type for one in TEMPLATES],
            "task": [one.task for one in TEMPLATES],
            "stage": [one.stage for one in TEMPLATES],
            "day": [one.day // farm.speed for one in TEMPLATES],
        }
    )
    transfers = planned_workflows(farm, plan).filter(kind=TRANSITION)
    moved = transfers.select("batch_id", "planned_start_date", number="stage")
    rows = (
        plan.batches.select("batch_id", "start_date", "harvest_date")
        .join(numbered, how="cross", maintain_order="left_right")
        # Templates count days from the egg. Of a mixed batch only the harvest is planned.
        .filter(~is_mixed(pl.col("batch_id")) | (pl.col("number") == HARVEST))
        .join(moved, on=["batch_id", "number"], how="left", maintain_order="left")
        .with_columns(id=(pl.col("batch_id") - 1) * ACTIVITIES_OF_A_BATCH + pl.col("number"))
    )
    ids = rows["id"].to_numpy()
    luck, later = (draws.uniform(draws.stream(farm.seed, "planning", name), ids) for name in ("luck", "late"))
    moves_by = np.floor(_HARVEST_LATE_DAYS - later * (_HARVEST_EARLY_DAYS + _HARVEST_LATE_DAYS)).astype(np.int64)
    harvest = pl.col("number") == HARVEST
    due = pl.col("harvest_date") - pl.duration(days=pl.lit(pl.Series(moves_by // farm.speed)))
    return rows.with_columns(
        due_date=pl.when(harvest)
        .then(due)
        .otherwise(pl.coalesce("planned_start_date", pl.col("start_date") + pl.duration(days="day"))),
        luck=pl.Series(luck),
    ).select(
        "id",
        "batch_id",
        "number",
        "activity_type",
        "task",
        "stage",
        "due_date",
        "start_date",
        "harvest_date",
        "luck",
    )


def _events(inputs: Inputs) -> pl.DataFrame:
    """activity_type, batch_id and date of what samplings and delousings were done."""
    batch_of = inputs.plan.assignments.lazy().select("assignment_id", "batch_id")
    samplings = inputs.scan(SAMPLINGS.name).select("assignment_id", date="sampling_date")
    sampled = samplings.join(batch_of, on="assignment_id").select("batch_id", "date", activity_type=pl.lit("SAMPLING"))
    treated = inputs.scan(LIFE_TREATMENTS.name).filter(pl.col("reason").is_in(AGAINST_LICE))
    deloused = treated.select("batch_id", "date", activity_type=pl.lit("TREATMENT"))
    return pl.concat([sampled.collect(), deloused.collect()]).unique()


def _vaccinated(inputs: Inputs) -> pl.DataFrame:
    """batch_id, begun and done: days of the first and of the last vaccination of each batch; done is null before."""
    smolts = inputs.plan.assignments.filter(stage=TEMPLATES[_VACCINATION - 1].stage)
    holding = inputs.whole(LIFE_MOVES.name).filter(picked=0).select(assignment_id="dest_assignment_id").unique()
    tanks = smolts.join(holding, on="assignment_id", how="semi")
    wanted = tanks.group_by("batch_id").agg(tanks=pl.len(), ends=pl.col("departure_date").max())
    given = inputs.scan(LIFE_TREATMENTS.name).filter(method=VACCINE).collect()
    return (
        given.group_by("batch_id")
        .agg(begun=pl.col("date").min(), last=pl.col("date").max(), vaccinated=pl.col("assignment_id").n_unique())
        .join(wanted, on="batch_id")
        .select(
            "batch_id",
            "begun",
            done=pl.when((pl.col("vaccinated") >= pl.col("tanks")) | (pl.col("ends") <= inputs.farm.as_of)).then(
                "last"
            ),
        )
    )


def _happened(inputs: Inputs, planned: pl.DataFrame) -> pl.DataFrame:
    """The planned activities with begun and done, the days of what happened; over, the day after which nothing of the
    kind counts any more; and deloused, the day of the last delousing that was too early to be the planned one.
    """
    farm = inputs.farm
    early, late = (max(1, days // farm.speed) for days in (_EARLY_DAYS, _LATE_DAYS))
    due, kind = pl.col("due_date"), pl.col("activity_type")
    after_due = (pl.col("date") - due).dt.total_days()
    near = (
        planned.filter(kind.is_in(["SAMPLING", "TREATMENT"]))
        .select("id", "batch_id", "activity_type", "due_date")
        .join(_events(inputs), on=["batch_id", "activity_type"])
        .group_by("id")
        .agg(
            near=pl.col("date").filter(after_due.is_between(-early, late)).min(),
            deloused=pl.col("date").filter((after_due < -early) & (kind == "TREATMENT")).max(),
        )
    )
    fed = (
        inputs.scan(LIFE_DAYS.name)
        .filter(pl.col("meals") > 0)
        .group_by("batch_id", "stage")
        .agg(fed=pl.col("date").min())
        .collect(engine="streaming")
    )
    moved = (
        planned_workflows(farm, inputs.plan).filter(kind=TRANSITION).select("batch_id", number="stage", moved="date")
    )
    feed = pl.col("activity_type") == "FEED_CHANGE"
    stage_ends = inputs.plan.assignments.group_by("batch_id", "stage").agg(stage_ends=pl.col("departure_date").max())
    nets = pl.col("luck") / (1 - _NETS_CALLED_OFF) * (_NETS_EARLY + _NETS_LATE) - _NETS_EARLY
    changed = pl.when(pl.col("luck") < 1 - _NETS_CALLED_OFF).then(due + pl.duration(days=nets.floor().cast(pl.Int64)))
    return (
        planned.join(near, on="id", how="left", maintain_order="left")
        .join(fed, on=["batch_id", "stage"], how="left", maintain_order="left")
        .join(moved, on=["batch_id", "number"], how="left", maintain_order="left")
        .join(_vaccinated(inputs), on="batch_id", how="left", maintain_order="left")
        .join(stage_ends, on=["batch_id", "stage"], how="left", maintain_order="left")
        .with_columns(
            begun=pl.when(number=_VACCINATION).then("begun"),
            done=pl.when(number=_VACCINATION)
            .then("done")
            .when(kind == "TRANSFER")
            .then("moved")
            .when(number=HARVEST)
            .then("harvest_date")
            .when(kind == "MAINTENANCE")
            .then(changed)
            .when(feed)
            .then("fed")
            .otherwise("near"),
            over=pl.when((kind == "TRANSFER") | (pl.col("number") == HARVEST))
            .then(pl.lit(None, pl.Date))
            .when(feed | (pl.col("number") == _VACCINATION))
            .then("stage_ends")
            .otherwise(pl.min_horizontal(due + pl.duration(days=late), "harvest_date")),
        )
    )


def activities(inputs: Inputs) -> pl.DataFrame:
    """Rows of planning_plannedactivity."""
    farm = inputs.farm
    rows = _happened(inputs, planned_activities(farm, inputs.plan))
    workflows = drafted_workflows(farm, inputs.plan).filter(kind=TRANSITION)
    links = workflows.select("batch_id", "workflow_id", "status", number="stage")
    as_of = pl.lit(farm.as_of)
    # What is done after the batch's harvest is not done.
    done = pl.col("done").is_not_null() & (pl.col("done") <= as_of)
    done &= pl.col("over").is_null() | (pl.col("done") <= pl.col("over"))
    begun = (pl.col("status") == "IN_PROGRESS").fill_null(value=False) | pl.col("begun").is_not_null()
    why = (
        pl.when(pl.col("harvest_date") <= pl.col("due_date"))
        .then(pl.format(_HARVESTED, pl.col("harvest_date").cast(pl.String)))
        .when(pl.col("deloused").is_not_null())
        .then(pl.format(_DELOUSED, pl.col("deloused").cast(pl.String)))
        .otherwise(pl.col("activity_type").replace_strict(_CALLED_OFF, default="", return_dtype=pl.String))
    )
    minutes = (7 * 60 + 9 * 60 * pl.col("luck")).cast(pl.Int64)
    return (
        rows.join(links, on=["batch_id", "number"], how="left", maintain_order="left")
        .with_columns(
            now=pl.when(done)
            .then(pl.lit("COMPLETED"))
            .when(pl.col("over") < as_of)
            .then(pl.lit("CANCELLED"))
            .when(begun)
            .then(pl.lit("IN_PROGRESS"))
            .otherwise(pl.lit("PENDING"))
        )
        .select(
            "id",
            "activity_type",
            "due_date",
            "batch_id",
            status="now",
            notes=pl.when(now="CANCELLED").then(why).otherwise("task"),
            created_at=pl.col("start_date").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=8),
            completed_at=pl.when(now="COMPLETED").then(
                pl.col("done").cast(pl.Datetime("us", "UTC")) + pl.duration(minutes=minutes)
            ),
            scenario_id="batch_id",
            transfer_workflow_id="workflow_id",
        )
    )


def _true_to_events(inputs: RuleInputs) -> CheckResult:
    """Completed activities have a day, others have none; a transfer is completed with its workflow, to the day."""
    workflows = inputs.whole(TRANSFER_WORKFLOWS.name).select(
        "actual_completion_date", transfer_workflow_id="id", linked="planned_activity_id"
    )
    completed = pl.col("status") == "COMPLETED"
    day = pl.col("completed_at").dt.date()
    transfer, linked = pl.col("activity_type") == "TRANSFER", pl.col("transfer_workflow_id").is_not_null()
    rows = inputs.rows.join(workflows, on="transfer_workflow_id", how="left")
    wrong = rows.filter(
        (completed != pl.col("completed_at").is_not_null())
        | (day > inputs.farm.as_of)
        | (linked & pl.col("linked").ne_missing(pl.col("id")))
        | (transfer & completed & day.ne_missing(pl.col("actual_completion_date")))
        | (transfer & ~completed & pl.col("actual_completion_date").is_not_null())
    )
    return check_result(
        TRUE_TO_EVENTS.name, wrong, f"{rows.height} activities fit what happened", "activities do not fit what happened"
    )


TRUE_TO_EVENTS = Rule(
    "activities_true",
    "A planned activity is completed on the day of what it planned, and a transfer and its workflow name each other.",
    MISLEADING,
    _true_to_events,
    reads=(TRANSFER_WORKFLOWS.name,),
)

PLANNED_ACTIVITIES = TableDefinition(
    name="planning_plannedactivity",
    kind=Kind.LEDGER,
    meaning="Something planned for a batch: due on one day, open, completed or called off.",
    how="What the templates ask for, from the first day of a batch on; completed on the day of what happened.",
    columns=(
        identity("id"),
        varchar("activity_type", 50, comment="Kind of activity, such as TRANSFER or HARVEST"),
        date("due_date", comment="Day for which it is planned"),
        varchar("status", 20),
        text("notes", nullable=True, comment="What is to be done, or why it was called off"),
        timestamp("created_at", comment="Time at which it was planned (UTC)"),
        timestamp("updated_at", fill=pl.coalesce("completed_at", "created_at")),
        timestamp("completed_at", nullable=True, comment="Time at which it was done (UTC); null if it was not"),
        refers("batch_id", "batch_batch.id"),
        refers(
            "completed_by_id",
            "auth_user.id",
            type_=sa.Integer,
            nullable=True,
            fill=pl.when(pl.col("completed_at").is_not_null()).then(OWNER),
        ),
        refers("container_id", "infrastructure_container.id", nullable=True, fill=pl.lit(None)),
        refers("created_by_id", "auth_user.id", type_=sa.Integer, fill=OWNER),
        refers("scenario_id", "scenario.scenario_id"),
        refers("transfer_workflow_id", "batch_batchtransferworkflow.id", nullable=True),
        index("batch_id", "status"),
    ),
    reads=(*PLAN, LIFE_DAYS.name, LIFE_MOVES.name, LIFE_TREATMENTS.name, SAMPLINGS.name),
    generate=activities,
    expected=ByFormula(
        lambda farm, plan: plan.batches.height * len(TEMPLATES) - plan.mixes.height * (len(TEMPLATES) - 1)
    ),
    lineage={
        "due_date": "plan_batch.start_date plan_batch.harvest_date plan_assignment.departure_date",
        "completed_at": f"{LIFE_MOVES.name}.date {LIFE_TREATMENTS.name}.date {SAMPLINGS.name}.sampling_date "
        f"{LIFE_DAYS.name}.meals",
    },
    rules=(TRUE_TO_EVENTS,),
    changes_with_as_of=("status", "notes", "completed_at", "transfer_workflow_id"),
)

__all__ = ["PLANNED_ACTIVITIES", "planned_activities"]
