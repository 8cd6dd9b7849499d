"""Feed, growth and feed conversion of each calendar month: by container and by batch.

AquaMind adds up all summaries in a range, whatever their periods, so there is one kind of period only. Feed is that of
the meals. Growth follows from the daily states, in whole hundredths of a gram, so that sums do not depend on order.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.growth_samples import GROWTH_SAMPLES
from aquamind_pipeline.apps.batch.transfers import TRANSFER_ACTIONS
from aquamind_pipeline.apps.inventory.feeding import FEEDINGS
from aquamind_pipeline.arithmetic import Ints, decimal, half_up
from aquamind_pipeline.growth.rules import LARGEST_FCR
from aquamind_pipeline.months import day_after, first_day, month_key
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    count,
    date,
    day,
    identity,
    index,
    numeric,
    refers,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import CountedIn, TableDefinition
from aquamind_pipeline.schema.frames import complete
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, lived_months

LEVELS = ("VERY_HIGH", "HIGH", "MEDIUM", "LOW")
"""Levels of confidence, the best first."""
MEASURED, INTERPOLATED = "MEASURED", "INTERPOLATED"
_MOST_MONTHS = 1_000
"""More months than a batch lives."""
_FED = pl.col("meals") > 0
Bools = np.typing.NDArray[np.bool_]


def container_summaries(inputs: Inputs) -> pl.DataFrame:
    """Rows of inventory_containerfeedingsummary: one for each assignment that was fed in the month."""
    month = inputs.month
    meals = inputs.frame(FEEDINGS.name)
    fed = meals.group_by(assignment_id="batch_assignment_id").agg(feed_dg=_units("amount_kg").sum())
    starts = inputs.plan.assignments.select("assignment_id", "assignment_date", "first_state_id")
    first = pl.max_horizontal("assignment_date", pl.lit(first_day(month)))
    stale = (pl.col("until") - pl.col("weighed")).dt.total_days()
    rows = (
        _growth(inputs)
        .join(fed, on="assignment_id")
        .join(_samples(inputs), on="batch_id", how="left")
        .join(_last_weighings(inputs), on="assignment_id", how="left")
        .join(starts, on="assignment_id", how="left")
        .sort("assignment_id")
        .with_columns(pl.col("data_points").fill_null(0))
    )
    feed_dg, growth_cg = rows["feed_dg"].to_numpy(), rows["growth_cg"].to_numpy()
    grew = growth_cg > 0
    conversion = half_up(feed_dg * 10_000, np.where(grew, growth_cg, 1))
    sane = grew & (conversion <= LARGEST_FCR * 1000)
    return rows.select(
        "data_points",
        "batch_id",
        id=pl.col("first_state_id") + (first - pl.col("assignment_date")).dt.total_days(),
        period_end=pl.lit(day_after(month) - timedelta(days=1)),
        total_feed_kg=decimal(half_up(feed_dg, np.full(feed_dg.size, 100)), 10, 2),
        starting_biomass_kg=decimal(rows["start_dag"], 10, 2),
        ending_biomass_kg=decimal(rows["end_dag"], 10, 2),
        growth_kg=_only(grew, half_up(np.maximum(growth_cg, 0), np.full(growth_cg.size, 1000)), 10, 2),
        fcr=_only(sane, conversion, 5, 3),
        confidence_level=pl.when(stale < 10)
        .then(pl.lit("VERY_HIGH"))
        .when(stale < 20)
        .then(pl.lit("HIGH"))
        .when(stale < 40)
        .then(pl.lit("MEDIUM"))
        .otherwise(pl.lit("LOW")),
        estimation_method=pl.when(pl.col("data_points") >= 2).then(pl.lit(MEASURED)).otherwise(pl.lit(INTERPOLATED)),
        container_assignment_id="assignment_id",
    )


def _units(column: str) -> pl.Expr:
    """A decimal as a whole number of its last place."""
    return pl.col(column).to_physical().cast(pl.Int64)


def _only(where: Bools, values: Ints, precision: int, scale: int) -> pl.Expr:
    """Decimals, null elsewhere. AquaMind has no negative growth, and a conversion in its column must mean something."""
    return pl.when(pl.Series(where)).then(decimal(np.where(where, values, 0), precision, scale))


def _growth(inputs: Inputs) -> pl.DataFrame:
    """Growth of each assignment in the month, from its states and from the fish that came in.

    The biomass before a day's growth is that of yesterday's fish without the dead, with those that came and without
    those that went. The difference to the biomass at the end of the day is growth. So no fish that die or leave count
    against it, also where people move the largest ones.

    Returns:
        assignment_id, batch_id, until (last day with a state), start_dag and end_dag (biomass, 10 g), growth_cg
        (0.01 g).
    """
    begins = first_day(inputs.month)
    eve = begins - timedelta(days=1)
    before = inputs.scan_built(STATES.name, [month_key(eve)])
    columns = ("assignment_id", "batch_id", "date", "avg_weight_g", "population", "biomass_kg")
    states = pl.concat(
        [
            before.filter(pl.col("date") == eve).select(columns).collect(),
            inputs.scan_built(STATES.name, [inputs.month]).select(columns).collect(),
        ]
    )
    moved = (
        complete(inputs.scan(TRANSFER_ACTIONS.name), TRANSFER_ACTIONS.table)
        .filter(pl.col("status") == "COMPLETED", pl.col("actual_execution_date") >= begins)
        .collect()
    )
    came, went = (
        moved.group_by(assignment_id=f"{end}_assignment_id", date="actual_execution_date").agg(
            pl.col("transferred_count").cast(pl.Int64).sum().alias(fish),
            _units("transferred_biomass_kg").sum().alias(f"{fish}_dag"),
        )
        for end, fish in (("dest", "came"), ("source", "went"))
    )
    weight, arrived, left = _units("avg_weight_g"), pl.col("came_dag") * 1000, pl.col("went_dag") * 1000
    days = (
        states.join(came, on=["assignment_id", "date"], how="left")
        .join(went, on=["assignment_id", "date"], how="left")
        .sort("assignment_id", "date")
        .with_columns(
            pl.col("came", "came_dag", "went", "went_dag").fill_null(0),
            fish=pl.col("population").cast(pl.Int64),
            dag=_units("biomass_kg"),
            last_cg=weight.shift(1).over("assignment_id"),
            is_mine=pl.col("date") >= begins,
        )
        # The first fish weighed as much as the records say. Without a record the first day has no growth.
        .with_columns(
            before_cg=pl.coalesce("last_cg", pl.when(pl.col("came") > 0).then(arrived // pl.col("came")), weight)
        )
        .with_columns(stayed=pl.col("fish") - pl.col("came"))
        .with_columns(
            growth_cg=pl.col("fish") * weight
            - (pl.col("stayed") + pl.col("went")) * pl.col("before_cg")
            + left
            - arrived
        )
    )
    placed = pl.col("is_mine") & (pl.col("came") > 0)
    return (
        days.group_by("assignment_id", maintain_order=True)
        .agg(
            pl.col("batch_id").first(),
            until=pl.col("date").last(),
            start_dag=pl.when(placed.first()).then(pl.col("came_dag").first()).otherwise(pl.col("dag").first()),
            end_dag=pl.col("dag").last(),
            growth_cg=pl.col("growth_cg").filter("is_mine").sum(),
        )
        .filter(pl.col("until") >= begins)
    )


def _samples(inputs: Inputs) -> pl.DataFrame:
    """batch_id and data_points: growth samples of each batch in the month."""
    owners = inputs.whole(ASSIGNMENTS.name).select("batch_id", assignment_id="id")
    samples = inputs.frame(GROWTH_SAMPLES.name).join(owners, on="assignment_id")
    return samples.group_by("batch_id").agg(data_points=pl.len().cast(pl.Int64))


def _last_weighings(inputs: Inputs) -> pl.DataFrame:
    """assignment_id and weighed: the last weighing. Older ones than of the month before do not matter."""
    month = inputs.month
    near = (month_key(first_day(month) - timedelta(days=1)), month)
    samples = inputs.scan_built(GROWTH_SAMPLES.name, near)
    return samples.group_by("assignment_id").agg(weighed=pl.col("sample_date").max()).collect()


def batch_summaries(inputs: Inputs) -> pl.DataFrame:
    """Rows of inventory_batchfeedingsummary: the sums of the containers' summaries of the month."""
    month = inputs.month
    rank = pl.col("confidence_level").replace_strict(LEVELS, range(len(LEVELS)), return_dtype=pl.Int64)
    feed, fcr = _units("total_feed_kg"), _units("fcr")
    sums = (
        inputs.frame(CONTAINERS.name)
        .group_by("batch_id")
        .agg(
            feed=feed.sum(),
            start=_units("starting_biomass_kg").sum(),
            end=_units("ending_biomass_kg").sum(),
            growth=_units("growth_kg").sum(),
            grew=pl.col("growth_kg").count() > 0,
            converted=feed.filter(pl.col("fcr").is_not_null()).sum(),
            weighted=(feed * fcr).sum(),
            container_count=pl.len().cast(pl.Int64),
            level=rank.max(),
            methods=pl.col("estimation_method").n_unique(),
            method=pl.col("estimation_method").first(),
        )
        .join(_mean_biomass(inputs), on="batch_id", how="left")
        .join(_mean_meal(inputs), on="batch_id", how="left")
        .join(inputs.plan.batches.select("batch_id", "start_date"), on="batch_id", how="left")
        .sort("batch_id")
    )
    begins = first_day(month)
    age = (begins.year - pl.col("start_date").dt.year()) * 12 + begins.month - pl.col("start_date").dt.month()
    has_fcr = (sums["converted"] > 0).to_numpy()
    mean = half_up(sums["weighted"].to_numpy(), np.where(has_fcr, sums["converted"].to_numpy(), 1))
    feed_kg, growth_kg = decimal(sums["feed"], 10, 2), _only(sums["grew"].to_numpy(), sums["growth"].to_numpy(), 10, 2)
    return sums.select(
        "batch_id",
        "container_count",
        id=(pl.col("batch_id") - 1) * _MOST_MONTHS + age + 1,
        period_end=pl.lit(day_after(month) - timedelta(days=1)),
        total_feed_kg=feed_kg,
        average_feeding_percentage=decimal(sums["percent"], 5, 2),
        total_biomass_gain_kg=growth_kg,
        fcr=_only(has_fcr, mean, 5, 3),
        estimation_method=pl.when(pl.col("methods") > 1).then(pl.lit("MIXED")).otherwise("method"),
        overall_confidence_level=pl.col("level").replace_strict(range(len(LEVELS)), LEVELS, return_dtype=pl.String),
        total_ending_biomass_kg=decimal(sums["end"], 10, 2),
        total_starting_biomass_kg=decimal(sums["start"], 10, 2),
        average_biomass_kg=decimal(sums["biomass"], 10, 2),
    )


def _mean_biomass(inputs: Inputs) -> pl.DataFrame:
    """batch_id and biomass (10 g): mean over the days of the month, all containers of the batch together."""
    states = (
        inputs.frame(STATES.name)
        .group_by("batch_id")
        .agg(dag=_units("biomass_kg").sum(), days=pl.col("date").n_unique())
    )
    mean = half_up(states["dag"].to_numpy(), states["days"].cast(pl.Int64).to_numpy())
    return states.select("batch_id", biomass=pl.Series(mean))


def _mean_meal(inputs: Inputs) -> pl.DataFrame:
    """batch_id and percent (0.01 %): mean share of the biomass that a meal was, as AquaMind computes it."""
    meals = inputs.frame(FEEDINGS.name).drop_nulls("feeding_percentage").group_by("batch_id")
    sums = meals.agg(share=_units("feeding_percentage").sum(), meals=pl.len().cast(pl.Int64))
    mean = half_up(sums["share"].to_numpy(), sums["meals"].to_numpy() * 10_000)
    return sums.select("batch_id", percent=pl.Series(mean))


def _sums_of_meals(inputs: RuleInputs) -> CheckResult:
    """The feed of each summary is what the meals of its assignment and month add up to."""
    fed = (
        inputs.scan(FEEDINGS.name, [inputs.month])
        .group_by(container_assignment_id="batch_assignment_id")
        .agg(meals_dg=_units("amount_kg").sum())
        .collect()
    )
    rows = inputs.rows.select("id", "container_assignment_id", "total_feed_kg")
    both = rows.join(fed, on="container_assignment_id", how="full", coalesce=True)
    off = (_units("total_feed_kg").fill_null(0) * 100 - pl.col("meals_dg").fill_null(0)).abs()
    wrong = both.filter((off > 50) | pl.col("id").is_null()).sort("container_assignment_id")
    return check_result(
        SUMS_OF_MEALS.name, wrong, f"{rows.height:,} summaries add up the meals", "summaries do not add up the meals"
    )


SUMS_OF_MEALS = Rule(
    "sums_of_meals",
    "The feed of a summary is what the meals of its container and month add up to.",
    "AquaMind shows sums of summaries in place of sums of meals.",
    _sums_of_meals,
    reads=(FEEDINGS.name,),
)

_SUMMED = {
    "total_feed_kg": "total_feed_kg",
    "total_biomass_gain_kg": "growth_kg",
    "total_starting_biomass_kg": "starting_biomass_kg",
    "total_ending_biomass_kg": "ending_biomass_kg",
}
"""Columns of a batch's summary and those of the containers that they add up."""


def _sums_of_containers(inputs: RuleInputs) -> CheckResult:
    """A batch's summary adds up those of its containers."""
    sums = (
        inputs.scan(CONTAINERS.name, [inputs.month])
        .group_by("batch_id")
        .agg(
            pl.len().alias("containers"),
            *(_units(one).sum().alias(f"{name} of containers") for name, one in _SUMMED.items()),
        )
        .collect()
    )
    both = inputs.rows.join(sums, on="batch_id", how="full", coalesce=True)
    differs = [_units(name).fill_null(0).ne_missing(pl.col(f"{name} of containers")) for name in _SUMMED]
    wrong = both.filter(pl.any_horizontal(*differs, pl.col("container_count").ne_missing(pl.col("containers"))))
    return check_result(
        SUMS_OF_CONTAINERS.name,
        wrong.sort("batch_id"),
        f"{inputs.rows.height:,} batches add up their containers",
        "batches do not add up their containers",
    )


SUMS_OF_CONTAINERS = Rule(
    "sums_of_containers",
    "A batch's summary of a month adds up the summaries of its containers.",
    MISLEADING,
    _sums_of_containers,
    reads=("inventory_containerfeedingsummary",),
)


def _about(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Assignments and months with feed, roughly: all but those of eggs."""
    return lived_months(farm, plan).filter(pl.col("stage") > 1)


_PERIOD_START = pl.col("period_end").dt.month_start()
_CHANGING = ("ending_biomass_kg", "growth_kg", "fcr")

CONTAINERS = TableDefinition(
    name="inventory_containerfeedingsummary",
    part="summaries",
    kind=Kind.DERIVED,
    meaning="Feed, growth and feed conversion of one assignment in one calendar month.",
    how="The sum of its meals, and the growth that its daily states show.",
    columns=(
        identity("id"),
        timestamp("created_at", fill=day("period_end")),
        timestamp("updated_at", fill=day("period_end")),
        date("period_start", fill=_PERIOD_START),
        date("period_end", primary_key=True, comment="Last day of the month, also of the running one"),
        numeric("total_feed_kg", 10, 2, range_=(0, None), comment="Feed of the month [kg]"),
        numeric("starting_biomass_kg", 10, 2, nullable=True, range_=(0, None), comment="Biomass before the month [kg]"),
        numeric("ending_biomass_kg", 10, 2, nullable=True, range_=(0, None), comment="Biomass on the last day [kg]"),
        numeric("growth_kg", 10, 2, nullable=True, range_=(0, None), comment="Growth [kg]; null if fish did not grow"),
        numeric("fcr", 5, 3, nullable=True, range_=(0, LARGEST_FCR), comment="Feed per growth; null above 10"),
        varchar("confidence_level", 20, comment="By the days since the last weighing"),
        varchar("estimation_method", 20, nullable=True, comment="MEASURED with two growth samples, else INTERPOLATED"),
        count("data_points", comment="Growth samples of the batch in the month"),
        refers("batch_id", "batch_batch.id"),
        refers("container_assignment_id", f"{ASSIGNMENTS.name}.id"),
        unique("container_assignment_id", "period_start", "period_end"),
        index("batch_id", "period_start", "period_end"),
    ),
    time="period_end",
    covers_month=True,
    reads=(*PLAN, ASSIGNMENTS.name, STATES.name, FEEDINGS.name, GROWTH_SAMPLES.name, TRANSFER_ACTIONS.name),
    generate=container_summaries,
    expected=CountedIn(
        "life_day",
        pl.col("assignment_id").filter(_FED).n_unique(),
        about=lambda farm, plan: _about(farm, plan).height,
    ),
    lineage={
        "id": "plan_assignment.first_state_id",
        "total_feed_kg": f"{FEEDINGS.name}.amount_kg",
        "starting_biomass_kg": f"{STATES.name}.biomass_kg {TRANSFER_ACTIONS.name}.transferred_biomass_kg",
        "ending_biomass_kg": f"{STATES.name}.biomass_kg",
        "growth_kg": f"{STATES.name}.avg_weight_g {STATES.name}.population",
        "fcr": f"{FEEDINGS.name}.amount_kg {STATES.name}.avg_weight_g",
        "data_points": f"{GROWTH_SAMPLES.name}.assignment_id",
    },
    rules=(SUMS_OF_MEALS,),
    bytes_per_row=(51, 542),
    changes_with_as_of=("total_feed_kg", *_CHANGING, "confidence_level", "estimation_method", "data_points"),
)

BATCH_SUMMARIES = TableDefinition(
    name="inventory_batchfeedingsummary",
    part="summaries",
    kind=Kind.DERIVED,
    meaning="Feed, growth and feed conversion of one batch in one calendar month.",
    how="The sums of its containers' summaries; the conversion is their mean, weighted by feed.",
    columns=(
        identity("id"),
        date("period_start", fill=_PERIOD_START),
        date("period_end", primary_key=True, comment="Last day of the month, also of the running one"),
        numeric("total_feed_kg", 10, 2, range_=(0, None), comment="Feed of the month [kg]"),
        numeric(
            "average_feeding_percentage", 5, 2, nullable=True, range_=(0, 100), comment="Mean meal per biomass [%]"
        ),
        timestamp("created_at", fill=day("period_end")),
        timestamp("updated_at", fill=day("period_end")),
        refers("batch_id", "batch_batch.id"),
        numeric("total_feed_consumed_kg", 10, 2, nullable=True, fill=pl.col("total_feed_kg")),
        numeric("total_biomass_gain_kg", 10, 2, nullable=True, range_=(0, None), comment="Growth of the month [kg]"),
        numeric("fcr", 5, 3, nullable=True, range_=(0, LARGEST_FCR), comment="Feed per growth"),
        varchar("estimation_method", 20, nullable=True, comment="That of its containers, or MIXED"),
        count("container_count", comment="Containers with a summary"),
        varchar("overall_confidence_level", 20, comment="The lowest confidence of its containers"),
        numeric(
            "total_ending_biomass_kg", 10, 2, nullable=True, range_=(0, None), comment="Sum of ending biomass [kg]"
        ),
        numeric("total_growth_kg", 10, 2, nullable=True, fill=pl.col("total_biomass_gain_kg")),
        numeric(
            "total_starting_biomass_kg", 10, 2, nullable=True, range_=(0, None), comment="Sum of starting biomass [kg]"
        ),
        numeric("weighted_avg_fcr", 5, 3, nullable=True, fill=pl.col("fcr")),
        numeric("average_biomass_kg", 10, 2, nullable=True, range_=(0, None), comment="Mean biomass of the month [kg]"),
        unique("batch_id", "period_start", "period_end"),
    ),
    time="period_end",
    covers_month=True,
    reads=(*PLAN, CONTAINERS.name, STATES.name, FEEDINGS.name),
    generate=batch_summaries,
    expected=CountedIn(
        "life_day",
        pl.col("batch_id").filter(_FED).n_unique(),
        about=lambda farm, plan: _about(farm, plan).select("batch_id", "month").n_unique(),
    ),
    lineage={
        "id": "plan_batch.batch_id",
        "total_feed_kg": f"{CONTAINERS.name}.total_feed_kg",
        "total_biomass_gain_kg": f"{CONTAINERS.name}.growth_kg",
        "fcr": f"{CONTAINERS.name}.fcr {CONTAINERS.name}.total_feed_kg",
        "average_biomass_kg": f"{STATES.name}.biomass_kg",
        "average_feeding_percentage": f"{FEEDINGS.name}.feeding_percentage",
    },
    rules=(SUMS_OF_CONTAINERS,),
    bytes_per_row=(480, 4_280),
    changes_with_as_of=(
        "total_feed_kg",
        "average_feeding_percentage",
        "total_biomass_gain_kg",
        "fcr",
        "estimation_method",
        "container_count",
        "overall_confidence_level",
        "total_ending_biomass_kg",
        "total_starting_biomass_kg",
        "average_biomass_kg",
    ),
)

__all__ = ["BATCH_SUMMARIES", "CONTAINERS"]
