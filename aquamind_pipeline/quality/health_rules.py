"""Rules on the health of the farm as a whole: treatments against lice counts, and days without feed against meals."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.transfers import EMERGENCY_CASCADE, TRANSFER_ACTIONS, TRANSFER_WORKFLOWS
from aquamind_pipeline.apps.health.lice_counts import FEMALE, LICE_COUNTS, SESSILE
from aquamind_pipeline.apps.health.treatments import BATHS, TREATMENTS
from aquamind_pipeline.apps.inventory.feeding import FEEDINGS
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.rules import Rule
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING
from aquamind_pipeline.simulation.feeding_plan import FASTING_DAYS
from aquamind_pipeline.simulation.grading import AVERAGE, GRADED_STAGE, SELECTIONS
from aquamind_pipeline.simulation.lice import DISPERSION

_COMPARED_DAYS = 16
"""Days of real fish before and after a treatment in which a count is looked for."""
_FEWER, _LUCK = 0.7, 1.5
"""Least share of treatments after which fewer adult females are counted, and how many times the root of the number of
treatments may be missing by chance."""
_MANY = 5
"""Adult females before a treatment, from which on a count can show that there are fewer."""
_STAY, _ERRORS = 0.2, 3.0
"""Least share of the sessile lice that is left by methods that spare them, and standard errors by which counts may
miss it."""
_NO_EFFECT = 0.05
"""A method that removes less of the sessile lice than this leaves them alone."""


def treatments_work(treatments: pl.LazyFrame, counts: pl.LazyFrame, speed: int = 1) -> CheckResult:
    """After baths against lice fewer adult females are counted than before; methods that spare sessile lice leave them.

    The last count before each treatment is compared with the first one from its day on: for all treatments together,
    and for sessile lice by method. A single count on 10 to 20 fish says little.

    Args:
        treatments: health_treatment.
        counts: health_licecount.
        speed: How many days of real fish a day has.
    """
    deloused = (
        treatments.select(
            "id",
            assignment_id="batch_assignment_id",
            treated=pl.col("treatment_date").dt.date(),
            title=pl.col("description").str.split(":").list.first(),
        )
        .filter(pl.col("title").is_in(list(BATHS)))
        .collect()
    )
    kind, lice = pl.col("lice_type_id"), pl.col("count_value").cast(pl.Float64)
    counted = (
        counts.join(deloused.lazy().select("assignment_id").unique(), on="assignment_id", how="semi")
        .group_by("assignment_id", date=pl.col("count_date").dt.date())
        .agg(
            fish=pl.col("fish_sampled").first(),
            females=lice.filter(kind == FEMALE).sum(),
            sessile=lice.filter(kind.is_in(SESSILE)).sum(),
        )
        .collect()
    )
    since = (pl.col("date") - pl.col("treated")).dt.total_days()
    near = deloused.join(counted, on="assignment_id").filter(since.abs() <= max(1, _COMPARED_DAYS // speed))
    columns = ("fish", "females", "sessile")
    before = near.filter(since < 0).sort("date").group_by("id", "title").agg(pl.col(columns).last())
    after = near.filter(since >= 0).sort("date").group_by("id").agg(pl.col(columns).first())
    both = before.join(after, on="id", suffix="_after")
    telling = both.filter(pl.col("females") >= _MANY)
    fewer = telling.filter(pl.col("females_after") < pl.col("females"))
    lacking = _FEWER * telling.height - fewer.height > _LUCK * telling.height**0.5
    spared = both.filter(pl.col("title").replace_strict(BATHS, return_dtype=pl.Float64) < _NO_EFFECT)
    sessile, left = pl.col("sessile"), pl.col("sessile_after")
    variance = _STAY**2 * _variance(sessile, pl.col("fish")) + _variance(left, pl.col("fish_after"))
    gone = spared.group_by("title").agg(
        pl.len().alias("treatments"),
        pl.sum("sessile", "sessile_after"),
        lost=(_STAY * sessile - left).sum() > _ERRORS * variance.sum().sqrt(),
    )
    wrong = pl.concat(
        [
            telling.filter(pl.lit(lacking) & (pl.col("females_after") >= pl.col("females"))),
            spared.join(gone.filter("lost").select("title"), on="title", how="semi"),
        ]
    )
    return check_result(
        "treatments_work",
        wrong.sort("id"),
        f"{telling.height} treatments between two counts, {fewer.height} of them with fewer adult females afterwards",
        "treatments after which adult females stay, or sessile lice go that the method spares",
    )


def _variance(lice: pl.Expr, fish: pl.Expr) -> pl.Expr:
    """Variance of lice counted on so many fish, as of the negative binomial."""
    return lice * (1.0 + lice / (fish * DISPERSION))


def fasted(
    treatments: pl.LazyFrame,
    assignments: pl.LazyFrame,
    actions: pl.LazyFrame,
    workflows: pl.LazyFrame,
    meals: pl.LazyFrame,
    speed: int = 1,
) -> CheckResult:
    """No fish are fed on the days without feed before treatments, gradings, moves and harvests.

    The day of a treatment, a grading or an emergency itself has no feed at any speed.

    Args:
        treatments: health_treatment; the description says how many days the fish had no feed.
        assignments: batch_batchcontainerassignment.
        actions: batch_transferaction; those that pick fish by their size are gradings.
        workflows: batch_batchtransferworkflow, which says what an emergency is.
        meals: inventory_feedingevent.
        speed: How many days of real fish a day has.
    """
    treated = treatments.select(
        assignment_id="batch_assignment_id",
        last=pl.col("treatment_date").dt.date(),
        days=pl.col("description").str.extract(r"No feed for (\d+) day", 1).cast(pl.Int64),
    )
    least = {stage: shortest // speed for stage, (shortest, _) in enumerate(FASTING_DAYS, start=1)}
    moved = assignments.filter(pl.col("departure_date").is_not_null()).select(
        assignment_id="id",
        last=pl.col("departure_date").dt.offset_by("-1d"),
        days=pl.col("lifecycle_stage_id").replace_strict(least, default=0, return_dtype=pl.Int64),
    )
    of_grading = max(1, (FASTING_DAYS[GRADED_STAGE - 1][0] + 1) // speed)
    emergencies = workflows.filter(workflow_type=EMERGENCY_CASCADE).select(workflow_id="id", is_emergency=pl.lit(True))
    is_graded = pl.col("selection_method") != SELECTIONS[AVERAGE]
    within = (
        actions.filter(pl.col("actual_execution_date").is_not_null())
        .join(emergencies, on="workflow_id", how="left")
        .with_columns(days=pl.when("is_emergency").then(1).when(is_graded).then(of_grading).cast(pl.Int64))
        .drop_nulls("days")
    )
    on_the_day = [
        within.select("days", assignment_id=side, last="actual_execution_date").select("assignment_id", "last", "days")
        for side in ("source_assignment_id", "dest_assignment_id")
    ]
    due = (
        pl.concat([treated, moved, *on_the_day])
        .filter(pl.col("days") > 0)
        .select(
            batch_assignment_id="assignment_id",
            feeding_date=pl.date_ranges(pl.col("last") - pl.duration(days=pl.col("days") - 1), "last"),
        )
        .explode("feeding_date")
        .unique()
        .collect()
    )
    wrong = (
        meals.select("id", "batch_id", "batch_assignment_id", "container_id", "feeding_date")
        .join(due.lazy(), on=["batch_assignment_id", "feeding_date"], how="semi")
        .collect(engine="streaming")
    )
    return check_result(
        "fasted",
        wrong.sort("feeding_date", "id"),
        f"no meal on {due.height:,} days without feed",
        "meals on days without feed before a treatment, a grading, a move or a harvest, or of an emergency",
    )


# Both are shown with the states, which are made after all that these rules read.
TREATMENTS_WORK = Rule(
    "treatments_work",
    "After baths against lice fewer adult females are counted, and sessile lice stay where the method spares them.",
    MISLEADING,
    lambda inputs: treatments_work(inputs.scan(TREATMENTS.name), inputs.scan(LICE_COUNTS.name), inputs.farm.speed),
    reads=(TREATMENTS.name, LICE_COUNTS.name),
    about=STATES.name,
)
FASTED = Rule(
    "fasted",
    "No fish are fed on the days without feed before treatments, gradings, moves and harvests, and of emergencies.",
    "Fish with full guts die in treatments and spoil at harvest.",
    lambda inputs: fasted(
        inputs.scan(TREATMENTS.name),
        inputs.scan(ASSIGNMENTS),
        inputs.scan(TRANSFER_ACTIONS.name),
        inputs.scan(TRANSFER_WORKFLOWS.name),
        inputs.scan(FEEDINGS.name),
        inputs.farm.speed,
    ),
    reads=(TREATMENTS.name, ASSIGNMENTS, TRANSFER_ACTIONS.name, TRANSFER_WORKFLOWS.name, FEEDINGS.name),
    about=STATES.name,
)

__all__ = ["FASTED", "TREATMENTS_WORK", "fasted", "treatments_work"]
