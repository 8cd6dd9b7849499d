"""Samples that went to a laboratory: smolt screenings, monthly PCR at sea, and diagnoses when many fish die.

What the laboratory finds follows from the episodes of illness at the site. Some pathogens are also found without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.farm.plan import PLAN_ASSIGNMENTS
from aquamind_pipeline.apps.health.catalogue import SAMPLE_TYPE, SAMPLE_TYPES
from aquamind_pipeline.apps.health.estimates import a_container_day
from aquamind_pipeline.arithmetic import Floats
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import NULL, OWNER, date, day, identity, jsonb, refers, text, timestamp, varchar
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.deaths import REASON
from aquamind_pipeline.simulation.episodes import CAUSES, at_age
from aquamind_pipeline.simulation.workdays import next_working_day


@dataclass(frozen=True)
class Pathogen:
    """What a PCR looks for.

    Attributes:
        name: Its name.
        sample: Kind of sample in which it is found.
        reason: The illness that it causes.
        carriers: Share of samples that have it without illness, from January to June and from July to December.
    """

    name: str
    sample: str
    reason: str
    carriers: tuple[float, float]


PATHOGENS = (
    Pathogen("PRV", "Heart", "heart and skeletal muscle inflammation", (0.45, 0.45)),
    Pathogen("SAV", "Heart", "pancreas disease", (0.01, 0.02)),
    Pathogen("PMCV", "Heart", "cardiomyopathy syndrome", (0.20, 0.20)),
    Pathogen("Desmozoon lepeophtherii", "Gill swab", "gill disease", (0.15, 0.45)),
    Pathogen("Paramoeba perurans", "Gill swab", "gill disease", (0.04, 0.18)),
)
"""What the monthly PCR at sea looks for."""
_CARRIER_MONTHS = 8.0
"""Months at sea after which as many fish are carriers as `carriers` says; before, it is a share of that."""
ILL_CT, CARRIER_CT = (17.0, 27.0), (28.0, 35.5)
"""Least and largest Ct value of a positive sample, in illness and of carriers. A higher value means fewer pathogens."""
ATPASE, GAS_PERCENT = (9.0, 16.0), (103.0, 112.0)
"""Gill Na+/K+-ATPase of smolts, µmol ADP per mg protein and hour; total gas pressure that harms fish, % saturation."""
_AFTER_DAYS = 28
"""Days of real fish after an episode in which the pathogen is still found in numbers."""
_SHARE_OF_PEAK = 0.0005
"""Share of a container's fish that die on a day of real fish, from which on a sample is sent for a diagnosis."""
_DIAGNOSES: dict[str, tuple[str, str, str]] = {
    "gill disease": ("Gill swab", "Paramoeba perurans", "Gill disease: amoebae on the gills."),
    "cardiomyopathy syndrome": ("Heart", "PMCV", "Cardiomyopathy syndrome: inflamed heart."),
    "heart and skeletal muscle inflammation": ("Heart", "PRV", "Heart and skeletal muscle inflammation."),
    "pancreas disease": ("Heart", "SAV", "Pancreas disease: loss of pancreas, inflamed heart and muscle."),
    "winter ulcer": ("Kidney", "Moritella viscosa", "Winter ulcer: Moritella viscosa from ulcers."),
    "algae or jellyfish": ("Water", "", "Harmful algae in the water; gills damaged."),
    "fungus": ("Tissue", "Saprolegnia", "Fungus on skin and gills."),
    "gas or water quality": ("Water", "", "Water supersaturated with gas; bubbles in fins and eyes."),
    "unspecified illness": ("Kidney", "", "No pathogen found. Signs of an infection."),
}
"""By reason of death: kind of sample, what is found, and the diagnosis."""
_PANEL, _IPNV, _ATPASE, _DIAGNOSIS, _GILL_PANEL, _KINDS = 0, 1, 2, 3, 31, 32
"""Kinds of samples by number. A diagnosis has the number 3 plus the reason of death. An id has room for 32 kinds."""
_PANELS = {_PANEL: "Heart", _GILL_PANEL: "Gill swab"}
"""The monthly PCRs at sea, with the kind of sample of each."""
_SMOLT = 4
_SCREENED = ((_IPNV, 1 / 3, "Kidney"), (_ATPASE, 0.85, "Gill swab"))
"""Smolt screenings: kind, when (as a share of the stage), and kind of sample."""
_EPISODES = "life_episode"
_ORDINAL_1970 = 719_163


def _working_days(days: pl.Series) -> pl.Series:
    """The first working days on or after these days."""
    ordinals = next_working_day(days.to_physical().to_numpy().astype(np.int64) + _ORDINAL_1970)
    return pl.Series((ordinals - _ORDINAL_1970).astype(np.int32)).cast(pl.Date)


def _later(dates: pl.Series, days: Floats) -> pl.Series:
    """Dates that are whole days later."""
    return (dates.to_physical() + pl.Series(days.astype(np.int32))).cast(pl.Date)


_COLUMNS = ("assignment_id", "batch_id", "site", "stage", "sample_date", "kind", "sample_type_id")


def _screenings(inputs: Inputs) -> pl.DataFrame:
    """Two screenings of each batch's smolts, each of one container that chance chooses."""
    smolts = inputs.plan.assignments.filter((pl.col("stage") == _SMOLT) & (pl.col("days") > 0))
    first = smolts.group_by("batch_id", maintain_order=True).agg(pl.len(), pl.col("days").first())
    parts = []
    for kind, when, sample in _SCREENED:
        key = draws.stream(inputs.farm.seed, "laboratory", "screened")
        luck = draws.uniform(key, first["batch_id"].to_numpy(), kind)
        chosen = first.select("batch_id", position=pl.Series((luck * first["len"].to_numpy()).astype(np.int64)))
        screened = chosen.join(smolts, on=["batch_id", "position"], maintain_order="left")
        due = pl.col("assignment_date") + pl.duration(days=(pl.col("days") * when).cast(pl.Int64))
        parts.append(
            screened.with_columns(
                sample_date=due, kind=pl.lit(kind, pl.Int64), sample_type_id=pl.lit(SAMPLE_TYPE[sample], pl.Int64)
            ).select(_COLUMNS)
        )
    return pl.concat(parts)


def _panels(inputs: Inputs) -> pl.DataFrame:
    """Monthly PCR of the ring whose fish are examined: hearts and gills, each for its own pathogens."""
    kinds = pl.DataFrame(
        {"kind": list(_PANELS), "sample_type_id": [SAMPLE_TYPE[sample] for sample in _PANELS.values()]}
    )
    examined = (pl.col("stage") == ADULT.order) & (pl.col("fish_examined") > 0)
    return (
        inputs.scan("life_day")
        .filter(examined)
        .join(kinds.lazy(), how="cross")
        .with_columns(sample_date="date")
        .select(_COLUMNS)
        .collect()
    )


def _diagnoses(inputs: Inputs) -> pl.DataFrame:
    """A sample for each batch, month and reason of death: on the first day on which many fish died of it."""
    reasons = [REASON[name] for name in _DIAGNOSES]
    samples = [SAMPLE_TYPE[sample] for sample, _, _ in _DIAGNOSES.values()]
    alive = pl.col("population") + pl.col("deaths")
    peak = pl.col("deaths") > _SHARE_OF_PEAK * inputs.farm.speed * alive
    return (
        inputs.scan("life_day")
        .filter((pl.col("stage") > 1) & pl.col("reason").is_in(reasons) & peak)
        .select("assignment_id", "batch_id", "site", "stage", "date", "reason", share=pl.col("deaths") / alive)
        .collect()
        .sort("batch_id", "date", "share", "assignment_id", descending=[False, False, True, False])
        .with_columns(month=pl.col("date").dt.truncate("1mo"))
        .unique(["batch_id", "reason", "month"], keep="first", maintain_order=True)
        .with_columns(
            sample_date="date",
            kind=_DIAGNOSIS + pl.col("reason"),
            sample_type_id=pl.col("reason").replace_strict(reasons, samples, return_dtype=pl.Int64),
        )
        .select(_COLUMNS)
    )


def _taken(inputs: Inputs) -> pl.DataFrame:
    """All samples up to as_of, on working days on which the fish are still there, with the plan's columns."""
    samples = pl.concat([_panels(inputs), _screenings(inputs), _diagnoses(inputs)])
    planned = inputs.plan.assignments.select(
        "assignment_id", "assignment_date", "departure_date", "days", "first_state_id"
    )
    stay = (pl.col("date") < pl.col("departure_date")) & (pl.col("date") <= inputs.farm.as_of)
    passed = (pl.col("date") - pl.col("assignment_date")).dt.total_days()
    return (
        samples.with_columns(date=_working_days(samples["sample_date"]))
        .join(planned, on="assignment_id", maintain_order="left")
        .filter(stay)
        .with_columns(
            id=(pl.col("first_state_id") + passed) * _KINDS + pl.col("kind"),
            months=passed * inputs.farm.speed / 30.4,
        )
        .sort("date", "id")
        .unique("id", keep="first", maintain_order=True)  # two weekend days may fall on one working day
    )


def _ill(inputs: Inputs, samples: pl.DataFrame, reason: str) -> pl.Series:
    """Whether an episode of this illness is on, or was lately, at the site of each sample."""
    cause = next(cause for cause in CAUSES if cause.reason == reason)
    after = max(1, _AFTER_DAYS // inputs.farm.speed)
    episodes = inputs.whole(_EPISODES).filter(pl.col("reason") == REASON[reason])
    until = pl.col("date_right") + pl.duration(days=pl.col("days_right") + after)
    during = (
        samples.select("id", "site", "date")
        .join(episodes.select("site", date_right="date", days_right="days"), on="site")
        .filter((pl.col("date") >= pl.col("date_right")) & (pl.col("date") < until))
    )
    susceptible = pl.Series(at_age(cause.age, samples["months"].to_numpy()) > 0.0)
    return samples["id"].is_in(during["id"].implode()) & susceptible


def _ct(luck: Floats, span: tuple[float, float]) -> pl.Series:
    """Values within a span with one decimal, as text."""
    low, high = span
    tenths = np.rint(10.0 * (low + (high - low) * luck)).astype(np.int64)
    return pl.DataFrame({"t": tenths}).select(pl.format("{}.{}", pl.col("t") // 10, pl.col("t") % 10)).to_series()


_NEGATIVE = '{"ct": null, "positive": false}'


def _text(*parts: str | pl.Expr) -> pl.Expr:
    """Texts and columns, one after the other."""
    return pl.concat_str([pl.lit(part) if isinstance(part, str) else part for part in parts])


def _positive(ct: pl.Expr) -> pl.Expr:
    return _text('{"ct": ', ct, ', "positive": true}')


def _panel_results(inputs: Inputs, samples: pl.DataFrame, kind: int) -> pl.DataFrame:
    """Results of a monthly PCR: id, findings, results."""
    samples = samples.filter(kind=kind)
    ids, months = samples["id"].to_numpy(), samples["months"].to_numpy()
    autumn = (samples["date"].dt.month() > 6).to_numpy()
    names: list[pl.Expr] = []
    parts: list[str | pl.Expr] = ["{"]
    columns: dict[str, pl.Series] = {}
    for number, pathogen in enumerate(PATHOGENS):
        if pathogen.sample != _PANELS[kind]:
            continue
        ill = _ill(inputs, samples, pathogen.reason)
        luck = draws.uniform(draws.stream(inputs.farm.seed, "laboratory", "pcr"), ids[:, None], number, np.arange(2))
        common = np.where(autumn, pathogen.carriers[1], pathogen.carriers[0])
        carrier = pl.Series(luck[:, 0] < common * np.minimum(months / _CARRIER_MONTHS, 1.0))
        columns[f"ct{number}"] = _ct(luck[:, 1], ILL_CT).zip_with(ill, _ct(luck[:, 1], CARRIER_CT))
        columns[f"found{number}"] = ill | carrier
        found = pl.col(f"found{number}")
        result = pl.when(found).then(_positive(pl.col(f"ct{number}"))).otherwise(pl.lit(_NEGATIVE))
        names.append(pl.when(found).then(pl.lit(pathogen.name)))
        parts += [", " if len(parts) > 1 else "", f'"{pathogen.name}": ', result]
    positive = pl.concat_str(names, separator=", ", ignore_nulls=True)
    return pl.DataFrame({"id": samples["id"], **columns}).select(
        "id",
        findings_summary=pl.when(positive == "")
        .then(pl.lit("PCR negative."))
        .otherwise(_text("PCR positive: ", positive, ".")),
        quantitative_results=_text(*parts, "}"),
    )


def _other_results(inputs: Inputs, samples: pl.DataFrame) -> pl.DataFrame:
    """Results of screenings and diagnoses: id, findings, results."""
    ids = samples["id"].to_numpy()
    luck = draws.uniform(draws.stream(inputs.farm.seed, "laboratory", "results"), ids)
    frame = samples.select("id", "kind").with_columns(
        ct=_ct(luck, ILL_CT),
        activity=_ct(luck, ATPASE),
        saturation=_ct(luck, GAS_PERCENT),
        cells=pl.Series(10 + (luck * 900).astype(np.int64)),
    )
    activity = pl.col("activity")
    by_kind: dict[int, tuple[pl.Expr, pl.Expr]] = {
        _IPNV: (pl.lit("PCR negative for IPNV."), pl.lit(f'{{"IPNV": {_NEGATIVE}}}')),
        _ATPASE: (
            _text("Gill Na+/K+-ATPase ", activity, " micromol ADP per mg protein and hour: ready for sea water."),
            _text('{"Na+/K+-ATPase": {"value": ', activity, "}}"),
        ),
    }
    in_hearts = [one.name for one in PATHOGENS if one.sample == "Heart"]
    negative = "{" + ", ".join(f'"{name}": {_NEGATIVE}' for name in in_hearts) + "}"
    for reason, (_, pathogen, diagnosis) in _DIAGNOSES.items():
        results = _text(f'{{"{pathogen}": ', _positive(pl.col("ct")), "}") if pathogen else pl.lit(negative)
        by_kind[_DIAGNOSIS + REASON[reason]] = (pl.lit(diagnosis), results)
    for reason, before, value in (
        ("algae or jellyfish", '{"algae": {"cells_per_ml": ', "cells"),
        ("gas or water quality", '{"total gas pressure": {"percent": ', "saturation"),
    ):
        number = _DIAGNOSIS + REASON[reason]
        by_kind[number] = (by_kind[number][0], _text(before, pl.col(value), "}}"))
    findings, results = (
        pl.coalesce(*(pl.when(pl.col("kind") == kind).then(both[which]) for kind, both in by_kind.items()))
        for which in (0, 1)
    )
    return frame.select("id", findings_summary=findings, quantitative_results=results)


def lab_samples(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_healthlabsample: samples that were sent up to as_of, with the results that are known by then."""
    samples = _taken(inputs)
    ids = samples["id"].to_numpy()
    luck = draws.uniform(draws.stream(inputs.farm.seed, "laboratory", "days"), ids[:, None], np.arange(2))
    is_panel = samples["kind"].is_in(list(_PANELS))
    urgent = ((samples["kind"] >= _DIAGNOSIS) & ~is_panel).to_numpy()
    sent = _working_days(_later(samples["date"], np.where(urgent, 1, 1 + np.floor(3 * luck[:, 0]))))
    waiting = np.where(urgent, 2 + np.floor(4 * luck[:, 1]), 4 + np.floor(7 * luck[:, 1]))
    received = _working_days(_later(sent, waiting))
    found = pl.concat(
        [
            *(_panel_results(inputs, samples, kind) for kind in _PANELS),
            _other_results(inputs, samples.filter(~is_panel)),
        ]
    )
    as_of = inputs.farm.as_of
    known = pl.col("received") <= as_of
    return (
        samples.with_columns(sent=sent, received=received)
        .filter(pl.col("sent") <= as_of)
        .join(found, on="id", how="left", maintain_order="left")
        .select(
            "id",
            sample_date="date",
            date_sent_to_lab="sent",
            date_results_received=pl.when(known).then("received"),
            lab_reference_id=pl.format("LAB-{}-{}", pl.col("date").dt.year(), "id"),
            findings_summary=pl.when(known).then("findings_summary"),
            quantitative_results=pl.when(known).then("quantitative_results"),
            batch_container_assignment_id="assignment_id",
            sample_type_id="sample_type_id",
        )
    )


def _dates_in_order(inputs: RuleInputs) -> CheckResult:
    """Compare the dates of each sample with each other, with its assignment and with the farm's last day."""
    sent, received = pl.col("date_sent_to_lab"), pl.col("date_results_received")
    assigned = inputs.whole(ASSIGNMENTS).select("assignment_date", "departure_date", batch_container_assignment_id="id")
    wrong = inputs.rows.join(assigned, on="batch_container_assignment_id", how="left").filter(
        (pl.col("sample_date") < pl.col("assignment_date"))
        | (pl.col("sample_date") > pl.col("departure_date").fill_null(inputs.farm.as_of))
        | (sent < pl.col("sample_date")).fill_null(value=False)
        | (received < sent).fill_null(value=False)
        | (pl.max_horizontal("sample_date", sent, received) > inputs.farm.as_of)
        | (received.is_not_null() & sent.is_null())
        | (received.is_null() != pl.col("quantitative_results").is_null())
    )
    return check_result(
        LAB_DATES.name,
        wrong,
        f"{inputs.rows.height:,} samples taken, sent and answered in this order",
        "samples whose dates contradict each other",
    )


LAB_DATES = Rule(
    "lab_dates",
    "A sample is taken while the fish are there, then sent, then answered; results come with the answer.",
    MISLEADING,
    _dates_in_order,
    reads=(ASSIGNMENTS,),
)

LAB_SAMPLES = TableDefinition(
    name="health_healthlabsample",
    kind=Kind.LEDGER,
    meaning="Sample that was sent to a laboratory, with its results.",
    how="Two screenings of each batch's smolts, two PCRs a month at sea, and diagnoses when many fish die.",
    columns=(
        identity("id"),
        date("sample_date", comment="Day on which the sample was taken"),
        date("date_sent_to_lab", nullable=True, comment="Day on which it was sent"),
        date("date_results_received", nullable=True, comment="Day of the results; null while they are awaited"),
        varchar("lab_reference_id", 100, nullable=True, comment="The laboratory's number of the sample"),
        text("findings_summary", nullable=True, comment="What the laboratory found, in words"),
        jsonb("quantitative_results", nullable=True, comment="Results: Ct values, activities and counts"),
        varchar("attachment", 100, nullable=True, fill=NULL),
        text("notes", nullable=True, fill=NULL),
        timestamp("created_at", fill=day("sample_date")),
        timestamp("updated_at", fill=day("sample_date")),
        refers("batch_container_assignment_id", "batch_batchcontainerassignment.id"),
        refers("recorded_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        refers("sample_type_id", f"{SAMPLE_TYPES.name}.id"),
    ),
    reads=(*PLAN, "life_day", _EPISODES, SAMPLE_TYPES.name),
    generate=lab_samples,
    expected=Unpredictable(
        "Diagnoses follow from deaths; the rule lab_dates compares samples with assignments.",
        about=a_container_day(0.0030),
    ),
    lineage={
        "id": f"{PLAN_ASSIGNMENTS.name}.first_state_id",
        "sample_date": f"{PLAN_ASSIGNMENTS.name}.assignment_date life_day.date",
        "findings_summary": "life_day.reason",
        "quantitative_results": f"{_EPISODES}.reason {_EPISODES}.date {_EPISODES}.days",
    },
    rules=(LAB_DATES,),
    bytes_per_row=(37, 480),
    changes_with_as_of=(
        "date_results_received",
        "findings_summary",
        "quantitative_results",
    ),
)

__all__ = ["LAB_SAMPLES", "PATHOGENS", "lab_samples"]
