"""Our farm beside real farms: deaths, lice, survival, feed, growth, condition and harvest.

`realism_reference.toml` has the figures of real farms with their sources, and the range in which a farm of ours counts
as like them. Figures are made of sums by month or by batch, so memory does not grow with history.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import polars as pl

from aquamind_pipeline.apps.batch.assignments import BATCHES
from aquamind_pipeline.apps.batch.growth_samples import GROWTH_SAMPLES
from aquamind_pipeline.apps.harvest.grades import GRADES as PRODUCT_GRADES
from aquamind_pipeline.apps.harvest.harvests import HARVEST_LOTS
from aquamind_pipeline.apps.health.lice_counts import FEMALE, LICE_COUNTS
from aquamind_pipeline.quality import farm_months
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.harvest_quality import GRADES
from aquamind_pipeline.simulation.mixing import is_mixed

LIKE, OUTSIDE, TOO_LITTLE, SHOWN = "like real farms", "outside", "too little data", "shown only"
"""What is said of a figure."""
_LICE, _BATCHES, _SAMPLES = LICE_COUNTS.name, BATCHES.name, GROWTH_SAMPLES.name
_LOTS, _GRADES = HARVEST_LOTS.name, PRODUCT_GRADES.name
READS = (_LICE, _BATCHES, _SAMPLES, ASSIGNMENTS, _LOTS, _GRADES)
"""Tables that `found` reads."""
_MEASURED_MONTHS = 285
"""Farm-months of the farms whose scatter was measured."""
_SCHEMA = pl.Schema(
    {
        "group": pl.String,
        "figure": pl.String,
        "ours": pl.Float64,
        "real": pl.String,
        "least": pl.Float64,
        "most": pl.Float64,
        "made_of": pl.String,
        "verdict": pl.String,
        "source": pl.String,
    }
)


@dataclass(frozen=True)
class Found:
    """What a farm's tables say.

    Attributes:
        figures: Our figures by name, as in `realism_reference.toml`, and the number of farm-months, batches, samples or
            rings that each is made of.
        months: From `farm_months.farm_months`.
    """

    figures: Mapping[str, tuple[float, int]]
    months: pl.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Our figures beside those of real farms.

    Attributes:
        figures: group, figure, ours, real, least, most, made_of, verdict, source.
        ages: month (from 1) since stocking, months (ours), mortality, median_mortality, lice, and of real farms
            mortality_least, mortality_most, lice_least, lice_most.
        months: Our farm-months.
    """

    figures: pl.DataFrame
    ages: pl.DataFrame
    months: pl.DataFrame


@cache
def reference() -> dict[str, Any]:
    """The figures of real farms: `realism_reference.toml`."""
    text = resources.files("aquamind_pipeline.quality").joinpath("realism_reference.toml").read_text("utf-8")
    return tomllib.loads(text)


def found(inputs: RuleInputs, stages: pl.DataFrame, months: pl.DataFrame, unfed: float) -> Found:
    """Compute our figures.

    Args:
        inputs: Tables of `READS`.
        stages: From `farm_rules.by_stage`.
        months: From `farm_months.farm_months`, without lice.
        unfed: Share of the days of rings at sea without feed.
    """
    months = farm_months.with_lice(months, _lice_by_month(inputs))
    completed = inputs.scan(_BATCHES).filter(status="COMPLETED").select("id").collect()["id"]
    counted = {"mortality": months.height, "lice": months.drop_nulls("lice").height}
    of_months = farm_months.statistics(months)
    figures = {name: (value, counted[name.partition("_")[0]]) for name, value in of_months.items() if name != "months"}
    figures |= of_stages(stages, completed, inputs.farm.speed)
    figures |= {"unfed": (unfed, figures["fcr_mean"][1])}
    return Found(figures | _condition(inputs) | _harvests(inputs), months)


def _lice_by_month(inputs: RuleInputs) -> pl.DataFrame:
    """Adult females per fish that people counted, by batch and month; one month at a time."""
    females = pl.col("count_value").filter(pl.col("lice_type_id") == FEMALE).sum()
    parts = [
        farm_months.lice_by_month(
            inputs.scan(_LICE, [month])
            .group_by("batch_id", "assignment_id", "count_date")
            .agg(adult_female=females, fish_counted=pl.col("fish_sampled").first())
            .with_columns(date=pl.col("count_date").dt.date())
        )
        for month in inputs.months(_LICE)
    ]
    return pl.concat(parts) if parts else farm_months.NO_LICE


def _condition(inputs: RuleInputs) -> dict[str, tuple[float, int]]:
    """Mean condition factor of the samples in freshwater and at sea, and the number of samples."""
    assignments = inputs.scan(ASSIGNMENTS).select(assignment_id="id", sea=pl.col("lifecycle_stage_id") == ADULT.order)
    factor = pl.col("condition_factor").cast(pl.Float64)
    sums = (
        inputs.scan(_SAMPLES)
        .group_by("assignment_id")
        .agg(total=factor.sum(), samples=factor.count().cast(pl.Int64))
        .join(assignments, on="assignment_id")
        .group_by("sea")
        .agg(pl.col("total", "samples").sum())
        .collect(engine="streaming")
    )
    names = {False: "condition_fresh", True: "condition_sea"}
    return {names[sea]: (total / samples, samples) for sea, total, samples in sums.iter_rows() if samples}


def _harvests(inputs: RuleInputs) -> dict[str, tuple[float, int]]:
    """Share of superior fish and gutted yield, and the number of rings harvested."""
    best = inputs.scan(_GRADES).filter(code=GRADES[0]).select("id").collect()["id"]
    superior = pl.col("unit_count").filter(pl.col("product_grade_id").is_in(best.implode())).sum()
    live, gutted = (pl.col(f"{name}_weight_kg").cast(pl.Float64).sum() for name in ("live", "gutted"))
    lots = inputs.scan(_LOTS).select(
        rings=pl.col("event_id").n_unique(), superior=superior / pl.col("unit_count").sum(), gutted=gutted / live
    )
    sums = lots.collect().row(0, named=True)
    rings = int(sums.pop("rings"))
    return {name: (_number(value), rings) for name, value in sums.items()}


def of_stages(lived: pl.DataFrame, completed: pl.Series, speed: int) -> dict[str, tuple[float, int]]:
    """Survival by stage, feed conversion and growth at sea, and the number of batches that each is made of.

    Feed and growth are those of batches that have lived at least 60 days of real time at sea.

    Args:
        lived: From `farm_rules.by_stage`.
        completed: Ids of the batches that were harvested.
        speed: How many days of real fish a day has.
    """
    over = pl.col("stage") < pl.col("stage").max().over("batch_id")
    over |= (pl.col("stage") == ADULT.order) & pl.col("batch_id").is_in(completed.implode())
    survival = (
        lived.filter(over & ~is_mixed(pl.col("batch_id")))  # mixed batches live the end of a stage only
        .group_by("stage")
        .agg(survival=pl.col("alive").mean(), batches=pl.len())
    )
    found = {f"survival_{stage}": (_number(share), int(batches)) for stage, share, batches in survival.iter_rows()}
    sea = lived.filter(pl.col("stage") == ADULT.order, pl.col("days") * speed >= 60, pl.col("gain_kg") > 0)
    fcr = sea["feed_kg"] / sea["gain_kg"]
    grown = 1000 * (sea["last_g"].cbrt() - sea["first_g"].cbrt()) / sea["degree_days"] / speed
    means = {"fcr_mean": fcr.mean(), "tgc_mean": grown.mean()}
    means |= {f"fcr_p{share}": fcr.quantile(share / 100, "linear") for share in (10, 90)}
    return found | {name: (_number(value), sea.height) for name, value in means.items()}


def compare(ours: Found) -> Comparison:
    """Put our figures beside those of real farms."""
    sources = reference()["sources"]
    rows = []
    for group in reference()["group"]:
        for name, figure in group["figures"].items():
            value, n = ours.figures.get(name, (math.nan, 0))
            rows.append(
                {
                    "group": group["title"],
                    "figure": figure["label"],
                    "ours": None if math.isnan(value) else value,
                    "real": figure["real"],
                    "least": figure.get("least"),
                    "most": figure.get("most"),
                    "made_of": f"{n:,} {group['unit']}",
                    "verdict": _verdict(figure, value, n) if n >= figure.get("needs", group["needs"]) else TOO_LITTLE,
                    "source": sources[figure.get("source", group["source"])],
                }
            )
    return Comparison(pl.DataFrame(rows, schema=_SCHEMA), _ages(ours.months), ours.months)


def _verdict(figure: Mapping[str, Any], value: float, n: int) -> str:
    """Whether a figure lies in its range, or not farther outside than farms of this size scatter."""
    if math.isnan(value):
        return TOO_LITTLE
    least, most = figure.get("least", -math.inf), figure.get("most", math.inf)
    if math.isinf(least) and math.isinf(most):
        return SHOWN
    scatter = figure.get("scatter", 0.0) * math.sqrt(_MEASURED_MONTHS / n)
    return LIKE if least - scatter <= value <= most + scatter else OUTSIDE


def _ages(months: pl.DataFrame) -> pl.DataFrame:
    real = reference()["ages"]
    bounds = {f"{name}_{end}": [pair[i] for pair in real[name]] for name in ("mortality", "lice") for i, end in _ENDS}
    theirs = pl.DataFrame({"month": range(1, len(real["lice"]) + 1), **bounds})
    ours = farm_months.by_age(months).with_columns(month=pl.col("months_at_sea") + 1).drop("months_at_sea")
    both = ours.join(theirs, on="month", how="full", coalesce=True).sort("month")
    return both.select("month", pl.exclude("month"))


_ENDS = ((0, "least"), (1, "most"))


def realistic(comparison: Comparison) -> CheckResult:
    """Every figure with enough data lies in the range of real farms."""
    figures = comparison.figures
    counts = dict(figures.group_by("verdict").len().iter_rows())
    wrong = figures.filter(verdict=OUTSIDE)
    lacking = figures.filter(verdict=TOO_LITTLE)
    text = f"{counts.get(LIKE, 0)} figures are like those of real farms"
    if lacking.height:
        groups = lacking.unique("group", maintain_order=True).select("group", "made_of").rows()
        text += "; too little data: " + ", ".join(f"{group.partition(',')[0]} ({of})" for group, of in groups)
    if wrong.is_empty():
        return CheckResult("realistic", passed=True, detail=text)
    named = [f"{row['group'].partition(',')[0]}: {row['figure']} {row['ours']:.3g}" for row in wrong.rows(named=True)]
    sample = wrong.select("group", "figure", "ours", "real", "least", "most", "source")
    return CheckResult("realistic", False, wrong.height, f"unlike real farms: {'; '.join(named)}", sample.head(10))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


__all__ = [
    "LIKE",
    "OUTSIDE",
    "READS",
    "SHOWN",
    "TOO_LITTLE",
    "Comparison",
    "Found",
    "compare",
    "found",
    "of_stages",
    "realistic",
    "reference",
]
