"""Treatments as they were entered: delousing, baths, medicated feed, and the vaccination of smolts.

The outcome is what the treatment came to. A count after a bath tells it on the same day; of medicated feed it is
entered later. A vaccination hangs on the sampling event of its weighing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.farm.life import LIFE_TREATMENTS
from aquamind_pipeline.apps.health.moments import (
    at_local_time,
    lived,
    ordinals,
    sunday,
    with_month_before,
    with_state_id,
)
from aquamind_pipeline.apps.health.sampling import SAMPLINGS
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.months import first_day
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    OWNER,
    PARTITIONED,
    boolean,
    count,
    identity,
    index,
    refers,
    text,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import CountedIn, Parent, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.treatments import (
    AGAINST_LICE,
    METHODS,
    REASONS,
    VACCINE,
    left_deaths,
    relief_luck,
)


@dataclass(frozen=True)
class _Entered:
    """How people enter a method.

    Attributes:
        title: First words of the description.
        dosage: Dose.
    """

    title: str
    dosage: str


_ENTERED = {
    "thermal": _Entered("Thermal delousing", "30 s in water of 28 to 34 °C"),
    "mechanical": _Entered("Mechanical delousing", "Flushing and brushing at 0.6 to 0.8 bar"),
    "freshwater bath": _Entered("Freshwater bath", "4 to 8 h in fresh water"),
    "azamethiphos bath": _Entered("Azamethiphos bath", "0.1 mg/l for 30 to 60 min"),
    "hydrogen peroxide bath": _Entered("Hydrogen peroxide bath", "1,500 mg/l for 20 min"),
    "emamectin in feed": _Entered("Emamectin in feed", "0.05 mg a kg of fish and day"),
    "antibiotic in feed": _Entered("Florfenicol in feed", "10 mg a kg of fish and day"),
    "vaccination": _Entered("Vaccination", "One injection a fish"),
    "bronopol bath": _Entered("Bronopol bath", "20 mg/l for 30 min"),
}
TITLES = tuple(_ENTERED[method.name].title for method in METHODS)
"""First words of a treatment's description, by method. A colon follows."""
BATHS = {
    title: method.efficacy[0]
    for title, method in zip(TITLES, METHODS, strict=True)
    if method.efficacy[3] > 0.0 and not method.name.endswith("in feed")
}
"""Methods that act on lice at once, by their first words, with the share of sessile lice that each removes."""
_DOSAGES = tuple(_ENTERED[method.name].dosage for method in METHODS)
_SEEN = (
    ("lice", "{} adult females a fish", 1.0, 2),
    ("gill disease", "{} deaths a day of 10,000 fish", 10_000.0, 1),
    ("wounds", "{} deaths a day of 10,000 fish", 10_000.0, 1),
    ("vaccination", "smolts large enough for the vaccine", 1.0, 1),
    ("fungus", "score {} of skin and fins", 1.0, 1),
    ("pre-adult lice", "{} pre-adult lice a fish", 1.0, 2),
)
"""By reason: what people saw, as they write it, the factor on `seen`, and its decimals."""
_SEEN_ON_EGGS = "fungus on dead eggs"
"""What people see of fungus on eggs and alevins, which have no score of skin and fins."""
IS_EGGS = pl.col("stage") == 1
"""Whether eggs and alevins were treated, by the columns of `campaigns`."""

VACCINE_SHARES = (0.35, 0.40, 0.25)
"""Shares of batches that get each of the first vaccines of the catalogue. One injection has to do for a life."""
_SUCCESS, _PARTIAL = 0.75, 0.5
"""Least share of adult females that a successful and a partly successful treatment removes."""
_RELIEVED, _PARTLY_RELIEVED = 0.6, 0.4
"""Least share of deaths of the illness that a successful and a partly successful treatment prevents."""
_MANY_LOST = 0.005
"""A vaccination is a part success if more fish die of it."""
_FIRST_MINUTE, _MINUTES = 4 * 60, 4 * 60
"""Crews begin between four and eight by the local clock. Lice that are counted on the same day are those left."""


def campaigns(treated: pl.LazyFrame, plan: Plan) -> pl.DataFrame:
    """Treatments with stage, state_id and entry_state_id, that of the first container treated so in batch and week.

    Args:
        treated: Rows of `life_treatment`, with all of each week.
        plan: The plan.
    """
    stages = plan.assignments.select("assignment_id", "stage")
    rows = (
        with_state_id(treated.collect(), plan).join(stages, on="assignment_id", how="left").sort("date", "container_id")
    )
    first = pl.col("state_id").first().over("batch_id", sunday("date"), "method")
    return rows.with_columns(entry_state_id=first)


def treatments(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_treatment; a treatment has the id of its container's day."""
    months = inputs.months_to_make
    treated = lived(inputs, LIFE_TREATMENTS, with_month_before(*months))
    rows = campaigns(treated, inputs.plan).filter(pl.col("date") >= first_day(months[0])).sort("container_id", "date")
    weighed = inputs.frame(SAMPLINGS.name).select(
        state_id="id", sampling_event_id="id", weighed_g=pl.col("avg_weight_g")
    )
    rows = rows.join(weighed, on="state_id", how="left", maintain_order="left")
    seed = inputs.farm.seed
    is_vaccination = pl.col("method") == VACCINE
    luck = draws.uniform(draws.stream(seed, "health", "vaccine"), rows["batch_id"].to_numpy())
    vaccine = np.searchsorted(np.cumsum(VACCINE_SHARES)[:-1], luck, side="right") + 1
    word = draws.bits(draws.stream(seed, "health", "treatment"), rows["state_id"].to_numpy())
    minute = pl.Series((word % np.uint64(_MINUTES)).astype(np.int64) + _FIRST_MINUTE)
    return rows.select(
        "batch_id",
        "container_id",
        id="state_id",
        treatment_date=at_local_time(pl.col("date"), pl.lit(minute)),
        treatment_type=_by_method([method.kind for method in METHODS]),
        description=description(rows),
        dosage=_by_method(_DOSAGES),
        duration_days="days",
        withholding_period_days="withholding_days",
        outcome=pl.Series(_outcomes(seed, rows), dtype=pl.String),
        batch_assignment_id="assignment_id",
        vaccination_type_id=pl.when(is_vaccination).then(pl.lit(pl.Series(vaccine))),
        includes_weighing=is_vaccination & pl.col("sampling_event_id").is_not_null(),
        sampling_event_id=pl.when(is_vaccination).then("sampling_event_id"),
        journal_entry_id=entry_id(pl.col("entry_state_id")),
    )


def entry_id(state_id: pl.Expr) -> pl.Expr:
    """Id of the journal entry about a treatment: a container and day can have four entries."""
    return state_id * 4 + 1


def _by_method(texts: list[str] | tuple[str, ...]) -> pl.Expr:
    return pl.col("method").replace_strict(range(len(METHODS)), list(texts), return_dtype=pl.String)


def description(rows: pl.DataFrame) -> pl.Series:
    """What was treated, why, and how long the fish had no feed, in words.

    Args:
        rows: Columns of `campaigns`, and weighed_g: the mean weight of a vaccination's own sampling.
    """
    of_sample = pl.col("weighed_g").is_not_null() & (pl.col("method") == VACCINE)
    grams = pl.when(of_sample).then(pl.col("weighed_g").cast(pl.Float64)).otherwise("weight_g")
    weight_g = rows.select(grams).to_series().to_numpy()
    tonnes = rounded(rows["population"].to_numpy() * weight_g / 1e6, 12, 1).cast(pl.String)
    fasted = pl.when(pl.col("fasting_days") > 0).then(pl.format(" No feed for {} days.", "fasting_days"))
    return rows.select(
        pl.format(
            "{}: {}. {} {} of {} g{}, {} t.{}",
            _by_method(TITLES),
            seen(rows),
            "population",
            pl.when(IS_EGGS).then(pl.lit("eggs and alevins")).otherwise(pl.lit("fish")),
            pl.when(of_sample)
            .then(pl.col("weighed_g").cast(pl.String))
            .otherwise(rounded(rows["weight_g"], 10, 1).cast(pl.String)),
            pl.when(of_sample).then(pl.lit(" (mean of the weighed fish)")).otherwise(pl.lit("")),
            tonnes,
            fasted.otherwise(pl.lit("")),
        )
    ).to_series()


def seen(rows: pl.DataFrame) -> pl.Series:
    """What people saw that led to the treatment, in words."""
    words = pl.lit("")
    for number, (_, form, factor, digits) in enumerate(_SEEN):
        value = rounded(rows["seen"].to_numpy() * factor, 12, digits).cast(pl.String)
        said = pl.format(form, value) if "{}" in form else pl.lit(form)
        words = pl.when(pl.col("reason") == number).then(said).otherwise(words)
    words = pl.when(IS_EGGS).then(pl.lit(_SEEN_ON_EGGS)).otherwise(words)
    return rows.select(words).to_series()


def _outcomes(seed: int, rows: pl.DataFrame) -> list[str]:
    """What each treatment came to."""
    method, reason = rows["method"].to_numpy(), rows["reason"].to_numpy()
    luck = relief_luck(seed, rows["assignment_id"].to_numpy(), ordinals(rows["date"]))
    left = left_deaths(method, luck)
    relieved = 1.0 - np.where(reason == REASONS.index("gill disease"), left[:, 0], left[:, 1])
    against_lice = np.isin(reason, AGAINST_LICE)
    effect = np.where(against_lice, rows["adult_female_removed"].to_numpy(), relieved)
    success = effect >= np.where(against_lice, _SUCCESS, _RELIEVED)
    partly = effect >= np.where(against_lice, _PARTIAL, _PARTLY_RELIEVED)
    vaccination = method == VACCINE
    success = np.where(vaccination, rows["loss"].to_numpy() <= _MANY_LOST, success)
    texts = np.where(success, "successful", np.where(partly | vaccination, "partial", "unsuccessful"))
    return [str(text) for text in texts]


def _once(inputs: RuleInputs) -> CheckResult:
    """A vaccination names its vaccine, and no fish is vaccinated twice.

    Not in its container, not in another stage, and not because it was graded from a vaccinated tank into another one.
    """
    rows = inputs.scan(inputs.definition.name).collect()
    named = pl.col("vaccination_type_id").is_not_null()
    unclear = rows.filter((pl.col("treatment_type") == "vaccination") != named)
    stages = inputs.whole(ASSIGNMENTS).select("lifecycle_stage_id", batch_assignment_id="id")
    given = rows.filter(pl.col("treatment_type") == "vaccination").join(stages, on="batch_assignment_id", how="left")
    again = given.filter(
        (pl.len().over("batch_assignment_id") > 1) | (pl.col("lifecycle_stage_id").n_unique().over("batch_id") > 1)
    )
    mixed = given.filter(pl.col("batch_assignment_id").is_in(mixed_tanks(inputs, given).implode()))
    wrong = (
        pl.concat([unclear, again.drop("lifecycle_stage_id"), mixed.drop("lifecycle_stage_id")]).unique("id").sort("id")
    )
    return check_result(
        ONCE.name,
        wrong.select("id", "batch_id", "batch_assignment_id", "treatment_date", "vaccination_type_id"),
        f"{given.height} vaccinations, one for each container of smolts",
        "treatments of fish that are vaccinated already, or whose vaccine is not named",
    )


def mixed_tanks(inputs: RuleInputs, given: pl.DataFrame) -> pl.Series:
    """Assignments between which fish moved within a stage while only one of the two was vaccinated."""
    day = given.group_by("batch_assignment_id").agg(vaccinated=pl.col("treatment_date").dt.date().min())
    moved = inputs.whole(_ACTIONS).filter(
        pl.col("actual_execution_date").is_not_null() & (pl.col("selection_method") != "AVERAGE")
    )
    for side in ("source", "dest"):
        of_side = day.select(pl.col("batch_assignment_id").alias(f"{side}_assignment_id"), **{side: "vaccinated"})
        moved = moved.join(of_side, on=f"{side}_assignment_id", how="left")
    before = [(pl.col(side) <= pl.col("actual_execution_date")).fill_null(value=False) for side in ("source", "dest")]
    mixed = moved.filter(before[0] != before[1])
    return pl.concat([mixed["source_assignment_id"], mixed["dest_assignment_id"]]).unique()


def _withheld(inputs: RuleInputs) -> CheckResult:
    """No ring is harvested before the withholding period of its treatments has passed."""
    rows = inputs.scan(inputs.definition.name).filter(pl.col("withholding_period_days") > 0).collect()
    harvests = inputs.whole(_HARVESTS).select(
        batch_assignment_id="assignment_id", harvest=pl.col("event_date").dt.date()
    )
    until = pl.col("treatment_date").dt.date() + pl.duration(days=pl.col("withholding_period_days"))
    treated = rows.join(harvests, on="batch_assignment_id").with_columns(until=until)
    wrong = treated.filter(pl.col("harvest") < pl.col("until")).select(
        "id", "batch_id", "batch_assignment_id", "treatment_date", "until", "harvest"
    )
    return check_result(
        WITHHELD.name,
        wrong.sort("id"),
        f"{treated.height} treatments with withholding, all harvests later",
        "treatments whose withholding ends after the harvest",
    )


_ACTIONS, _HARVESTS = "batch_transferaction", "harvest_harvestevent"
ONCE = Rule(
    "vaccinated_once",
    "A vaccination names its vaccine, and no fish is vaccinated twice.",
    MISLEADING,
    _once,
    reads=(ASSIGNMENTS, _ACTIONS),
    once=True,
)
WITHHELD = Rule(
    "withheld",
    "No ring is harvested before the withholding periods of its treatments have passed.",
    "Fish with residues of medicines would be sold.",
    _withheld,
    reads=(_HARVESTS,),
    once=True,
)


def _about(farm: Profile, plan: Plan) -> int:
    """Roughly how many treatments there will be: two for each ring, one for each tank of smolts."""
    begun = plan.assignments.filter(pl.col("assignment_date") <= farm.as_of)
    return 2 * begun.filter(pl.col("stage") == ADULT.order).height + begun.filter(pl.col("stage") == 4).height


TREATMENTS = TableDefinition(
    name="health_treatment",
    kind=Kind.CHILD,
    parent=Parent(SAMPLINGS.name, "sampling_event_id"),
    meaning="Treatment of the fish in one container.",
    how="The treatments of life as people enter them; the outcome is what the treatment came to.",
    columns=(
        identity("id"),
        timestamp("treatment_date", primary_key=True, comment="Time at which the treatment began (UTC)"),
        varchar("treatment_type", 20, comment="Kind: medication, vaccination or physical"),
        text("description", comment="Method, what led to it, fish and biomass treated, days without feed"),
        varchar("dosage", 100, comment="Dose"),
        count("duration_days", comment="Length of the treatment [days]"),
        count("withholding_period_days", comment="Days after it on which the fish may not be harvested"),
        varchar("outcome", 20, comment="What it came to: successful, partial or unsuccessful"),
        refers("batch_id", "batch_batch.id"),
        refers("batch_assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        refers("container_id", "infrastructure_container.id", nullable=True),
        refers("user_id", "auth_user.id", type_=sa.Integer, fill=OWNER),
        refers("vaccination_type_id", "health_vaccinationtype.id", nullable=True),
        boolean("includes_weighing", comment="Whether fish were weighed"),
        refers("sampling_event_id", f"{SAMPLINGS.name}.id", nullable=True, unenforced=PARTITIONED),
        refers("journal_entry_id", "health_journalentry.id", nullable=True),
        index("batch_id", "treatment_date"),
        index("container_id", "treatment_date"),
    ),
    time="treatment_date",
    reads=(*PLAN, "life_treatment", SAMPLINGS.name),
    generate=treatments,
    expected=CountedIn("life_treatment", pl.len(), about=_about),
    lineage={
        "id": "plan_assignment.first_state_id",
        "treatment_date": "life_treatment.date",
        "treatment_type": "life_treatment.method",
        "description": "life_treatment.method life_treatment.reason life_treatment.seen life_treatment.population "
        "life_treatment.weight_g life_treatment.fasting_days health_healthsamplingevent.avg_weight_g",
        "dosage": "life_treatment.method",
        "duration_days": "life_treatment.days",
        "withholding_period_days": "life_treatment.withholding_days",
        "outcome": "life_treatment.adult_female_removed life_treatment.loss",
    },
    rules=(ONCE, WITHHELD),
    bytes_per_row=(267, 2814),
)

__all__ = ["BATHS", "IS_EGGS", "ONCE", "TITLES", "TREATMENTS", "campaigns", "entry_id", "mixed_tanks", "seen"]
