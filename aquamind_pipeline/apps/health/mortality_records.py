"""Mortality records: on Sundays a veterinarian classifies the deaths of the week where many fish died.

A record says again why fish died that are in the week's mortality events. It takes no fish out of the batch.
"""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.batch.mortality import MORTALITY
from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.apps.health.catalogue import REASON_ID
from aquamind_pipeline.apps.health.estimates import a_container_day
from aquamind_pipeline.apps.health.moments import at_local_time, existing, lived, sunday, with_month_before
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.months import day_after, first_day
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import count, identity, index, refers, text, timestamp
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.deaths import REASONS

MANY = 3.0
"""A week with so many times the usual deaths has a record."""
_USUAL_AT_SEA = 0.0002
"""Share of the fish that usually die in a day at sea. In fresh water it is the stage's rate."""
_LEAST_DEATHS = 20
_MINUTE = 15 * 60
"""Records are written on Sundays at three in the afternoon, by the local clock."""


def weeks(days: pl.LazyFrame, speed: int) -> pl.DataFrame:
    """The weeks in which many fish died.

    Args:
        days: Rows of `life_day`, with all days of the weeks.
        speed: How many days of real fish a day has.

    Returns:
        assignment_id, batch_id, container_id, date (Sunday), state_id (of that day), reason (that of most of the dead),
        dead (fish that died of it), deaths (in all), excess (deaths as a multiple of the usual ones). Only weeks on
        whose Sunday the fish are in the container.
    """
    rates = {one.order: (_USUAL_AT_SEA if one.at_sea else one.daily_mortality) * speed for one in STAGES}
    usual = pl.col("stage").replace_strict(rates, return_dtype=pl.Float64)
    week = (
        days.with_columns(sunday=sunday("date"))
        .group_by("assignment_id", "sunday")
        .agg(
            pl.col("batch_id", "container_id").first(),
            pl.col("deaths").sum(),
            usual=(usual * (pl.col("population") + pl.col("deaths"))).sum(),
            state_id=pl.col("state_id").max(),
            last=pl.col("date").max(),
        )
        .filter((pl.col("last") == pl.col("sunday")) & (pl.col("deaths") >= _LEAST_DEATHS))
        .with_columns(excess=pl.col("deaths") / pl.col("usual"))
        .filter(pl.col("excess") > MANY)
    )
    keys = pl.col("assignment_id"), sunday("date").alias("sunday")
    second = pl.col("second_deaths")
    by_reason = (
        pl.concat(
            [
                days.select(*keys, "reason", dead=pl.col("deaths") - second),
                days.select(*keys, reason="second_reason", dead=second),
            ]
        )
        .filter(pl.col("dead") > 0)
        .group_by("assignment_id", "sunday", "reason")
        .agg(pl.col("dead").sum())
        .sort("assignment_id", "sunday", "dead", "reason", descending=[False, False, True, False])
        .group_by("assignment_id", "sunday", maintain_order=True)
        .agg(pl.col("reason", "dead").first())
    )
    return (
        week.join(by_reason, on=["assignment_id", "sunday"])
        .select(
            "assignment_id",
            "batch_id",
            "container_id",
            "state_id",
            "reason",
            "dead",
            "deaths",
            "excess",
            date="sunday",
        )
        .sort("container_id", "date")
        .collect()
    )


def mortality_records(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_mortalityrecord: the weeks that end in the months."""
    months = inputs.months_to_make
    days = lived(inputs, LIFE_DAYS, with_month_before(*months)).filter(
        sunday("date").is_between(first_day(months[0]), day_after(months[-1]), closed="left")
    )
    found = weeks(days, inputs.farm.speed)
    return found.select(
        "batch_id",
        "container_id",
        "assignment_id",
        id="state_id",
        event_date=at_local_time(pl.col("date"), pl.lit(_MINUTE)),
        count="dead",
        notes=pl.format(
            "{} of {} dead fish of the week; {} times the usual number.",
            "dead",
            "deaths",
            rounded(found["excess"], 10, 1).cast(pl.String),
        ),
        reason_id=pl.col("reason").replace_strict(range(len(REASON_ID)), REASON_ID, return_dtype=pl.Int64),
    )


def _within_events(inputs: RuleInputs) -> CheckResult:
    """No record has more fish than the week's mortality events of its container and cause.

    A week that begins in the month before is left out while that month's events are not there.
    """
    week = pl.col("event_date").dt.date().alias("sunday")
    causes = pl.col("reason_id").replace_strict(_CAUSE, default=None, return_dtype=pl.String)
    records = inputs.rows.group_by("assignment_id", week, cause=causes).agg(
        recorded=pl.col("count").cast(pl.Int64).sum()
    )
    events = (
        existing(inputs, MORTALITY, with_month_before(inputs.month))
        .join(records.lazy().select("assignment_id").unique(), on="assignment_id", how="semi")
        .group_by("assignment_id", "cause", sunday=sunday("event_date"))
        .agg(died=pl.col("count").cast(pl.Int64).sum())
        .collect()
    )
    if with_month_before(inputs.month)[0] not in inputs.months(_EVENTS):
        records = records.filter(pl.col("sunday") - pl.duration(days=6) >= first_day(inputs.month))
    both = records.join(events, on=["assignment_id", "sunday", "cause"], how="left")
    wrong = both.filter((pl.col("recorded") > pl.col("died").fill_null(0)) | pl.col("cause").is_null())
    return check_result(
        WITHIN_EVENTS.name,
        wrong.sort("assignment_id", "sunday"),
        f"{records.height} weeks whose records have no more fish than the events",
        "weeks whose records have more fish than the events of that cause",
    )


_EVENTS = MORTALITY.name
_CAUSE = {REASON_ID[number]: cause for number, (_, cause) in enumerate(REASONS)}
WITHIN_EVENTS = Rule(
    "within_events",
    "Mortality records have no more fish than the events of their container, week and cause.",
    MISLEADING,
    _within_events,
    reads=(_EVENTS,),
)

RECORDS = TableDefinition(
    name="health_mortalityrecord",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Main reason of the deaths in one container in a week with many deaths.",
    how="On Sundays, for each assignment in which three times as many fish died in the week as usual.",
    columns=(
        identity("id"),
        timestamp("event_date", primary_key=True, comment="Sunday afternoon of the week (UTC)"),
        count("count", comment="Fish that died of the reason in the week"),
        text("notes", comment="Share of the week's dead, and deaths as a multiple of the usual ones"),
        refers("batch_id", "batch_batch.id"),
        refers("container_id", "infrastructure_container.id", nullable=True),
        refers("reason_id", "health_mortalityreason.id"),
        refers("assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        index("batch_id", "event_date"),
    ),
    time="event_date",
    reads=("life_day",),
    generate=mortality_records,
    expected=Unpredictable(
        "Deaths follow from chance; the rule within_events compares the rows with the events.",
        about=a_container_day(0.0092, most=0.02),
    ),
    lineage={
        "id": "life_day.state_id",
        "event_date": "life_day.date",
        "count": "life_day.deaths life_day.second_deaths",
        "reason_id": "life_day.reason life_day.second_reason",
    },
    rules=(WITHIN_EVENTS,),
    bytes_per_row=(98, 1336),
)

__all__ = ["MANY", "RECORDS", "weeks"]
