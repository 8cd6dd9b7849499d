"""The health journal: what people wrote about a batch, and whether it is dealt with.

There is an entry for each sampling, for each month after one without a sampling, for each week in which a batch is
treated in one way, and when many fish begin to die of something. What has to be dealt with is open for 5 to 20 days.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.farm.life import LIFE_DAYS, LIFE_TREATMENTS
from aquamind_pipeline.apps.health.estimates import a_container_day
from aquamind_pipeline.apps.health.moments import at_local_time, existing
from aquamind_pipeline.apps.health.mortality_records import weeks
from aquamind_pipeline.apps.health.sampling import SAMPLINGS
from aquamind_pipeline.apps.health.treatments import IS_EGGS, TITLES, campaigns, entry_id, seen
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import OWNER, boolean, identity, index, refers, text, timestamp, varchar
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.deaths import REASONS
from aquamind_pipeline.simulation.treatments import VACCINE

OBSERVED, TREATED, SAMPLED, DYING = range(4)
"""What an entry is about. An id is that of a container's day times 4, plus this number."""
_OPEN_DAYS = (5, 20)
_QUIET_DAYS = 28
"""Weeks with many deaths by one reason belong together if they are no further apart."""
_MEDIUM, _HIGH = 5.0, 15.0
"""Severity of deaths, as a multiple of the usual ones."""
_FIRST_MINUTE, _MINUTES = 8 * 60, 8 * 60
_COLUMNS = ("id", "batch_id", "container_id", "date", "category", "severity", "description", "notes", "open_days")


def journal(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_journalentry."""
    entries = pl.concat([_treatments(inputs), _deaths(inputs), _samplings(inputs), _observations(inputs)]).sort("id")
    ids = entries["id"].to_numpy()
    luck = draws.uniform(draws.stream(inputs.farm.seed, "journal", "open"), ids)
    least, most = _OPEN_DAYS
    drawn = pl.Series(least + (luck * (most - least + 1)).astype(np.int64))
    minute = draws.bits(draws.stream(inputs.farm.seed, "journal", "minute"), ids) % np.uint64(_MINUTES)
    at = pl.lit(pl.Series(minute.astype(np.int64) + _FIRST_MINUTE))
    closed = pl.col("date") + pl.duration(days=pl.when(pl.col("open_days") < 0).then(drawn).otherwise("open_days"))
    is_closed = closed <= inputs.farm.as_of
    return entries.with_columns(entry_date=at_local_time(pl.col("date"), at)).select(
        "id",
        "entry_date",
        "category",
        "severity",
        "description",
        "batch_id",
        "container_id",
        resolution_status=is_closed,
        resolution_notes=pl.when(is_closed).then("notes").otherwise(pl.lit("")),
        updated_at=pl.when(is_closed & (closed > pl.col("date")))
        .then(at_local_time(closed, at))
        .otherwise("entry_date"),
    )


def _entries(rows: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Entries in the columns that `journal` puts together; a negative number of open days is drawn."""
    return rows.select(
        pl.lit(None, pl.String).alias(n) if n not in columns else columns[n].alias(n) for n in _COLUMNS
    ).cast({"open_days": pl.Int64, "container_id": pl.Int64})


def _treatments(inputs: Inputs) -> pl.DataFrame:
    """An entry for each batch, week and method, on the day of the first container."""
    rows = campaigns(existing(inputs, LIFE_TREATMENTS, inputs.months(LIFE_TREATMENTS.name)), inputs.plan)
    first = rows.filter(pl.col("state_id") == pl.col("entry_state_id"))
    vaccinated = pl.col("method") == VACCINE
    title = pl.col("method").replace_strict(range(len(TITLES)), list(TITLES), return_dtype=pl.String)
    return _entries(
        first.with_columns(seen=seen(first)),
        id=entry_id(pl.col("entry_state_id")),
        batch_id=pl.col("batch_id"),
        container_id=pl.col("container_id"),
        date=pl.col("date"),
        category=pl.when(vaccinated).then(pl.lit("vaccination")).otherwise(pl.lit("treatment")),
        severity=pl.when(vaccinated).then(pl.lit("low")).otherwise(pl.lit("medium")),
        description=pl.format("{} begins: {}.", title, "seen"),
        notes=pl.when(IS_EGGS)
        .then(pl.lit("Done in all containers that needed it; eggs looked at and dead ones picked out afterwards."))
        .otherwise(pl.lit("Done in all containers that needed it; fish looked at afterwards.")),
        open_days=pl.lit(-1),
    )


def _deaths(inputs: Inputs) -> pl.DataFrame:
    """An entry when many fish of a batch begin to die of a reason, about the container with most of these deaths."""
    days = existing(inputs, LIFE_DAYS, inputs.months(LIFE_DAYS.name))
    worst = (
        weeks(days, inputs.farm.speed)
        .sort("batch_id", "reason", "date", "dead", "state_id", descending=[False, False, False, True, False])
        .unique(["batch_id", "reason", "date"], keep="first", maintain_order=True)
    )
    before = pl.col("date").shift(1).over("batch_id", "reason")
    begins = ((pl.col("date") - before).dt.total_days() > _QUIET_DAYS).fill_null(value=True)
    first = worst.filter(begins)
    names = [name for name, _ in REASONS]
    excess = pl.col("excess")
    return _entries(
        first.with_columns(times=rounded(first["excess"], 10, 1).cast(pl.String)),
        id=pl.col("state_id") * 4 + DYING,
        batch_id=pl.col("batch_id"),
        container_id=pl.col("container_id"),
        date=pl.col("date"),
        category=pl.when(pl.col("reason").is_in(_DISEASES)).then(pl.lit("diagnosis")).otherwise(pl.lit("issue")),
        severity=pl.when(excess >= _HIGH)
        .then(pl.lit("high"))
        .when(excess >= _MEDIUM)
        .then(pl.lit("medium"))
        .otherwise(pl.lit("low")),
        description=pl.format(
            "{} dead fish in a week, {} times the usual number. Main reason: {}.",
            "deaths",
            "times",
            pl.col("reason").replace_strict(range(len(names)), names, return_dtype=pl.String),
        ),
        notes=pl.lit("Dead fish taken out daily, samples taken, feeding adapted."),
        open_days=pl.lit(-1),
    )


_DISEASES = [number for number, (_, cause) in enumerate(REASONS) if cause == "DISEASE"]


def _samplings(inputs: Inputs) -> pl.DataFrame:
    """An entry for each sampling but those of vaccinations, which have their own entry."""
    events = existing(inputs, SAMPLINGS, inputs.months(SAMPLINGS.name)).collect()
    treated = campaigns(existing(inputs, LIFE_TREATMENTS, inputs.months(LIFE_TREATMENTS.name)), inputs.plan)
    vaccinated = treated.filter(pl.col("method") == VACCINE)["state_id"]
    of = inputs.plan.assignments.select("assignment_id", "batch_id", "container_id")
    rows = events.filter(~pl.col("id").is_in(vaccinated.implode())).join(of, on="assignment_id")
    return _entries(
        rows,
        id=pl.col("id") * 4 + SAMPLED,
        batch_id=pl.col("batch_id"),
        container_id=pl.col("container_id"),
        date=pl.col("sampling_date"),
        category=pl.lit("sample"),
        severity=pl.lit("low"),
        description=pl.format("{} fish weighed, measured and scored.", "number_of_fish_sampled"),
        notes=pl.lit("Scores entered."),
        open_days=pl.lit(0),
    )


def _observations(inputs: Inputs) -> pl.DataFrame:
    """An entry for each batch on the first of a month, if none of its containers was sampled in the month before."""
    days = existing(inputs, LIFE_DAYS, inputs.months(LIFE_DAYS.name)).filter(pl.col("date").dt.day() == 1)
    rows = (
        days.group_by("batch_id", "date")
        .agg(
            pl.col("state_id").min(),
            pl.len().alias("containers"),
            dead=pl.col("deaths").sum(),
            fish=pl.col("population").sum(),
            fasting=(pl.col("fasting") > 0).sum(),
        )
        .sort("batch_id", "date")
        .collect()
    )
    batches = inputs.plan.assignments.select("assignment_id", "batch_id")
    sampled = (
        existing(inputs, SAMPLINGS, inputs.months(SAMPLINGS.name)).select("assignment_id", "sampling_date").collect()
    )
    month_after = pl.col("sampling_date").dt.truncate("1mo").dt.offset_by("1mo")
    sampled = sampled.join(batches, on="assignment_id").select("batch_id", date=month_after)
    rows = rows.join(sampled, on=["batch_id", "date"], how="anti", maintain_order="left")
    promille = rounded(rows["dead"].to_numpy() / np.maximum(rows["fish"].to_numpy(), 1) * 1000.0, 12, 2).cast(pl.String)
    return _entries(
        rows.with_columns(promille=promille),
        id=pl.col("state_id") * 4 + OBSERVED,
        batch_id=pl.col("batch_id"),
        date=pl.col("date"),
        category=pl.lit("observation"),
        severity=pl.lit("low"),
        description=pl.format(
            "Round of {} containers: {} dead fish today ({} of 1,000), {} containers without feed.",
            "containers",
            "dead",
            "promille",
            "fasting",
        ),
        notes=pl.lit("Nothing to follow up."),
        open_days=pl.lit(0),
    )


def _resolved(inputs: RuleInputs) -> CheckResult:
    """An entry has notes of how it was dealt with exactly if it is dealt with, and no entry is open for ever."""
    rows = inputs.rows
    noted = pl.col("resolution_notes") != ""
    age = pl.lit(inputs.farm.as_of) - pl.col("entry_date").dt.date()
    forgotten = ~pl.col("resolution_status") & (age.dt.total_days() > _OPEN_DAYS[1])
    wrong = rows.filter((pl.col("resolution_status") != noted) | forgotten)
    return check_result(
        RESOLVED.name,
        wrong,
        f"{rows.height} entries, {rows.filter(~pl.col('resolution_status')).height} still open",
        "entries that are dealt with without notes, or open for too long",
    )


RESOLVED = Rule(
    "resolved",
    "A journal entry has notes if it is dealt with, and none is open for more than 20 days.",
    MISLEADING,
    _resolved,
)

JOURNAL = TableDefinition(
    name="health_journalentry",
    kind=Kind.LEDGER,
    meaning="What people wrote about the health of a batch.",
    how="Monthly rounds, samplings, treatments by batch, week and method, and the beginning of high mortality.",
    columns=(
        identity("id"),
        timestamp("entry_date", comment="Time of the entry (UTC)"),
        varchar("category", 20, comment="Kind: observation, issue, diagnosis, treatment, vaccination or sample"),
        varchar("severity", 10, nullable=True, comment="How bad it is: low, medium or high"),
        text("description", comment="What was seen or done"),
        boolean("resolution_status", comment="Whether it is dealt with"),
        text("resolution_notes", comment="How it was dealt with; empty while it is open"),
        refers("batch_id", "batch_batch.id"),
        refers("container_id", "infrastructure_container.id", nullable=True),
        refers("user_id", "auth_user.id", type_=sa.Integer, fill=OWNER),
        timestamp("created_at", fill=pl.col("entry_date")),
        timestamp("updated_at", comment="Time at which it was dealt with, or of the entry (UTC)"),
        index("batch_id", "entry_date"),
    ),
    reads=(*PLAN, "life_day", "life_treatment", SAMPLINGS.name),
    generate=journal,
    expected=Unpredictable(
        "Entries follow from treatments and deaths; references and the rule resolved check them.",
        about=a_container_day(0.0065),
    ),
    lineage={
        "id": "life_day.state_id plan_assignment.first_state_id",
        "entry_date": f"life_day.date life_treatment.date {SAMPLINGS.name}.sampling_date",
        "severity": "life_day.deaths",
        "description": "life_day.deaths life_day.population life_treatment.method life_treatment.seen",
    },
    rules=(RESOLVED,),
    changes_with_as_of=("resolution_status", "resolution_notes", "updated_at"),
)

__all__ = ["JOURNAL"]
