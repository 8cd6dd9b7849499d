"""Lice counts: on counting days people examine some fish of each ring and write down what they find.

A count has one row for each kind of lice that was found. A count without lice has one row with 0 adult females. The
totals by stage are `lice.counts`: the same draws decide whether the ring is treated.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.farm.life import LIFE_LICE
from aquamind_pipeline.apps.health.catalogue import CALIGUS, LICE_TYPE, SALMON_LOUSE
from aquamind_pipeline.apps.health.estimates import a_ring_day
from aquamind_pipeline.apps.health.moments import at_local_time, existing, lived, ordinals, with_state_id
from aquamind_pipeline.arithmetic import Ints, decimal
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    EMPTY,
    OWNER,
    ZERO,
    count,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.grouping import by_container_and_date
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws, lice

FEMALE, MALE = LICE_TYPE[SALMON_LOUSE, "female", "adult"], LICE_TYPE[SALMON_LOUSE, "male", "adult"]
PREADULT = (LICE_TYPE[SALMON_LOUSE, "male", "pre-adult"], LICE_TYPE[SALMON_LOUSE, "female", "pre-adult"])
CHALIMUS = (LICE_TYPE[SALMON_LOUSE, "male", "chalimus"], LICE_TYPE[SALMON_LOUSE, "female", "chalimus"])
COPEPODID = LICE_TYPE[SALMON_LOUSE, "female", "copepodid"]
CALIGUS_ADULT = (LICE_TYPE[CALIGUS, "male", "adult"], LICE_TYPE[CALIGUS, "female", "adult"])
CALIGUS_JUVENILE = LICE_TYPE[CALIGUS, "female", "juvenile"]
MOBILE = (MALE, *PREADULT)
"""Mobile lice but adult females."""
SESSILE = (*CHALIMUS, COPEPODID)

TYPES = 16
"""Ids of a count: that of its day times this, plus the kind of lice."""
_COPEPODIDS, _CALIGUS_JUVENILES = 0.15, 0.25
"""Share of sessile lice that are copepodids yet, and of Caligus that are no adults."""
_METHODS = (("manual", 93), ("visual", 72), ("camera", 88), ("automated", 95))
"""How lice are counted, and how sure people are of it at least [%]."""
_MANUAL, _CAMERAS, _MACHINES = 0.78, 0.05, 0.05
"""Share of counts by hand in rings without a camera, and shares of rings that have a camera or a counting machine."""
_FIRST_MINUTE, _MINUTES = 8 * 60, 4 * 60
"""Lice are counted from eight to twelve by the local clock."""
_FAR_OFF, _SLACK = 10.0, 5.0
"""A count may differ from the true mean by so many standard deviations of the negative binomial, and so many lice."""


def lice_counts(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_licecount."""
    seed = inputs.farm.seed
    examined = by_container_and_date(lived(inputs, LIFE_LICE).filter(pl.col("fish_counted") > 0).collect())
    counts = with_state_id(lice.counts(seed, examined), inputs.plan)
    found = _by_kind(seed, counts)
    written = found > 0
    written[~written.any(axis=1), FEMALE] = True
    row, kind = np.nonzero(written)
    return _described(seed, counts)[row].select(
        "batch_id",
        "container_id",
        "assignment_id",
        "count_date",
        "detection_method",
        "confidence_level",
        id=pl.col("state_id") * TYPES + pl.Series(kind),
        fish_sampled=pl.col("fish_counted"),
        lice_type_id=pl.Series(kind),
        count_value=pl.Series(found[row, kind]),
    )


def _by_kind(seed: int, counts: pl.DataFrame) -> Ints:
    """Lice found in each count [count, id of the kind]."""
    ids, days = counts["assignment_id"].to_numpy(), ordinals(counts["date"])
    sessile, preadult, males, females, caligus = (counts[stage].to_numpy() for stage in lice.STAGES)

    def share(of: Ints, mean: float, slot: int) -> Ints:
        """About a share of these lice: nearly a binomial draw."""
        luck = draws.normal(draws.stream(seed, "lice", "kind"), ids, days, slot)
        drawn: Ints = np.rint(of * mean + np.sqrt(of * (mean * (1.0 - mean))) * luck).astype(np.int64)
        return np.minimum(np.maximum(drawn, 0), of)

    found = np.zeros((counts.height, TYPES), np.int64)
    found[:, FEMALE], found[:, MALE] = females, males
    found[:, COPEPODID] = share(sessile, _COPEPODIDS, 0)
    found[:, CALIGUS_JUVENILE] = share(caligus, _CALIGUS_JUVENILES, 1)
    for slot, (kinds, of) in enumerate(
        (
            (PREADULT, preadult),
            (CHALIMUS, sessile - found[:, COPEPODID]),
            (CALIGUS_ADULT, caligus - found[:, CALIGUS_JUVENILE]),
        )
    ):
        found[:, kinds[0]] = share(of, 0.5, 2 + slot)
        found[:, kinds[1]] = of - found[:, kinds[0]]
    return found


def _described(seed: int, counts: pl.DataFrame) -> pl.DataFrame:
    """The counts without lice, with the moment, the method and how sure people are."""
    ids, days = counts["assignment_id"].to_numpy(), ordinals(counts["date"])
    word = draws.bits(draws.stream(seed, "lice", "method"), ids, days)
    place = draws.uniform(draws.stream(seed, "lice", "camera"), counts["container_id"].to_numpy())
    by_hand = ((word & np.uint64(0xFFFF)).astype(np.float64) * 2.0**-16 >= _MANUAL).astype(np.int64)
    method = np.where(place < _CAMERAS, 2, np.where(place < _CAMERAS + _MACHINES, 3, by_hand))
    least = np.array([sure for _, sure in _METHODS])[method]
    sure = least + ((word >> np.uint64(16)) % np.uint64(5)).astype(np.int64)
    minute = (word >> np.uint64(32)) % np.uint64(_MINUTES)
    return counts.select(
        "state_id",
        "assignment_id",
        "batch_id",
        "container_id",
        "fish_counted",
        count_date=at_local_time(pl.col("date"), pl.lit(pl.Series(minute.astype(np.int64) + _FIRST_MINUTE))),
        detection_method=pl.Series([name for name, _ in _METHODS]).gather(method),
        confidence_level=decimal(sure, 3, 2),
    )


def _form(inputs: RuleInputs) -> CheckResult:
    """Each count has one number of fish and each kind once; 0 lice stand alone, as adult females."""
    counts = inputs.rows.group_by("assignment_id", day=pl.col("count_date").dt.date()).agg(
        rows=pl.len(),
        kinds=pl.col("lice_type_id").n_unique(),
        fish=pl.col("fish_sampled").n_unique(),
        examined=pl.col("fish_sampled").min(),
        nothing=(pl.col("count_value") == 0).sum(),
        first_kind=pl.col("lice_type_id").min(),
    )
    alone = (pl.col("rows") == 1) & (pl.col("first_kind") == FEMALE)
    wrong = counts.filter(
        (pl.col("rows") != pl.col("kinds"))
        | (pl.col("fish") != 1)
        | (pl.col("examined") < 1)
        | ((pl.col("nothing") > 0) & ~alone)
    )
    return check_result(
        FORM.name,
        wrong.sort("assignment_id", "day"),
        f"{counts.height} counts in one format",
        "counts with a kind twice, different numbers of fish, or 0 beside other rows",
    )


_STAGE = dict(
    [
        (FEMALE, "adult_female"),
        (MALE, "adult_male"),
        *((kind, "preadult") for kind in PREADULT),
        *((kind, "sessile") for kind in SESSILE),
        *((kind, "caligus") for kind in (*CALIGUS_ADULT, CALIGUS_JUVENILE)),
    ]
)
"""Stage of the simulation of each kind."""


def _agree(inputs: RuleInputs) -> CheckResult:
    """Every examined ring has its count, and what was found is plausible for the lice that were there."""
    found = (
        inputs.rows.with_columns(
            stage=pl.col("lice_type_id").replace_strict(_STAGE, default=None, return_dtype=pl.String),
            date=pl.col("count_date").dt.date(),
        )
        .group_by("assignment_id", "date", "stage")
        .agg(lice=pl.col("count_value").cast(pl.Int64).sum(), fish=pl.col("fish_sampled").first())
    )
    truth = (
        existing(inputs, LIFE_LICE, [inputs.month])
        .filter(pl.col("fish_counted") > 0)
        .select("assignment_id", "date", "fish_counted", *lice.STAGES)
        .unpivot(lice.STAGES, index=["assignment_id", "date", "fish_counted"], variable_name="stage", value_name="mean")
        .collect()
    )
    both = truth.join(found, on=["assignment_id", "date", "stage"], how="full", coalesce=True).with_columns(
        examined=pl.col("fish").max().over("assignment_id", "date"), lice=pl.col("lice").fill_null(0)
    )
    expected = pl.col("mean") * pl.col("fish_counted")
    spread = (expected * (1.0 + pl.col("mean") / lice.DISPERSION)).sqrt()
    off = (pl.col("lice") - expected).abs() > _FAR_OFF * spread + _SLACK
    wrong = both.filter(off.fill_null(value=True) | pl.col("examined").ne_missing(pl.col("fish_counted")))
    return check_result(
        AGREE.name,
        wrong.sort("assignment_id", "date", "stage"),
        f"{truth.height} numbers of lice, each plausible for the lice in the ring",
        "numbers of lice that are missing or far from the lice in the ring",
    )


FORM = Rule(
    "lice_form",
    "A lice count has each kind of lice once, one number of fish, and 0 only alone, as adult females.",
    "AquaMind would show wrong averages, or hide the count.",
    _form,
)
AGREE = Rule(
    "lice_agree",
    "Every examined ring has a lice count, and the numbers are plausible for the lice in the ring.",
    MISLEADING,
    _agree,
    reads=("life_lice",),
)

LICE_COUNTS = TableDefinition(
    name="health_licecount",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Lice of one kind that people found on some fish of one ring.",
    how="Fortnightly on 20 fish in the Faroes, weekly on 10 in Scotland; one row for each kind found, or one with 0.",
    columns=(
        identity("id"),
        timestamp("count_date", primary_key=True, comment="Time of the count (UTC), in the local morning"),
        count("adult_female_count", fill=ZERO),
        count("adult_male_count", fill=ZERO),
        count("juvenile_count", fill=ZERO),
        count("fish_sampled", range_=(1, None), comment="Fish examined"),
        text("notes", fill=EMPTY),
        refers("batch_id", "batch_batch.id"),
        refers("container_id", "infrastructure_container.id", nullable=True),
        refers("user_id", "auth_user.id", type_=sa.Integer, fill=OWNER),
        numeric("confidence_level", 3, 2, nullable=True, range_=(0, 1), comment="How sure people are, from 0 to 1"),
        count("count_value", nullable=True, comment="Lice of the kind on all examined fish together"),
        varchar("detection_method", 50, nullable=True, comment="How lice were counted"),
        refers("lice_type_id", "health_licetype.id", nullable=True),
        refers("assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        index("container_id", "count_date"),
        index("batch_id", "count_date"),
    ),
    time="count_date",
    reads=(*PLAN, "life_lice"),
    generate=lice_counts,
    expected=Unpredictable(
        "The kinds that are found follow from chance; the rule lice_agree looks for missing counts.",
        about=a_ring_day(0.48, most=3.0),
    ),
    lineage={
        "id": "plan_assignment.first_state_id",
        "count_date": "life_lice.date",
        "fish_sampled": "life_lice.fish_counted",
        "count_value": "life_lice.adult_female life_lice.adult_male life_lice.preadult life_lice.sessile "
        "life_lice.caligus",
    },
    rules=(FORM, AGREE),
    bytes_per_row=(9, 312),
    figure="ring_year",
)

__all__ = ["FEMALE", "LICE_COUNTS", "MALE", "MOBILE", "SESSILE", "TYPES"]
