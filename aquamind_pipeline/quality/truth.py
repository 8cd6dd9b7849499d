"""Daily states compared with the simulated life: how large the errors of the growth assimilation are."""

from __future__ import annotations

import math

import polars as pl

from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.simulation.biology import STAGES, WEIGHT_VARIATION
from aquamind_pipeline.simulation.feeding_plan import FULL


def weighing_error(fewest_weighed: int) -> float:
    """Largest plausible error of an assimilated weight, as a share: six standard errors of a sample's mean.

    In a million samples the largest error is about five standard errors.
    """
    return 6.0 * max(WEIGHT_VARIATION) / math.sqrt(fewest_weighed)


STORED_G = 0.01
"""Rounding error of a stored weight in g: at most 0.005 in the sample and 0.005 in the state."""

ERROR_COLUMNS = ("weight_error", "biomass_error")


_VIGOUR = 0.035
"""Largest difference of a container's growth from the mean, beside appetite."""


def _drift(states: pl.LazyFrame, life: pl.LazyFrame, speed: int) -> pl.LazyFrame:
    """How far growth may have left the model's since a container was last weighed, as a cube root of g.

    The model grows fish by their stage's coefficient every day. Real fish eat more or less than on average.

    Returns:
        assignment_id, date, drift.
    """
    tgc = {stage.order: stage.tgc for stage in STAGES}
    full = {stage.order: FULL[stage.order - 1] for stage in STAGES}
    modelled = pl.col("stage").replace_strict(tgc, return_dtype=pl.Float64) / 1000 * speed * pl.col("temp_c")
    eaten = pl.col("appetite") * pl.col("stage").replace_strict(full, return_dtype=pl.Float64)
    weighed = states.filter(pl.col("anchor_type").is_not_null()).select("assignment_id", "date", weighed=True).unique()
    summed = (
        life.group_by("batch_id", "date")
        .agg(left=(modelled * ((eaten - 1.0).abs() + _VIGOUR)).max())
        .select("batch_id", "date", summed=pl.col("left").cum_sum().over("batch_id", order_by="date"))
    )
    days = (
        life.select("assignment_id", "batch_id", "date")
        .join(summed, on=["batch_id", "date"])
        .join(weighed, on=["assignment_id", "date"], how="left")
        .with_columns(pl.col("weighed").fill_null(value=False))
    )
    # Fish that came from containers which were weighed on different days count from a day on which all were.
    every = (
        days.group_by("batch_id", "date")
        .agg(pl.col("summed").first(), pl.col("weighed").all())
        .select("batch_id", "date", every=_last("batch_id"))
    )
    return (
        days.with_columns(own=_last("assignment_id"))
        .join(every, on=["batch_id", "date"])
        .select(
            "assignment_id",
            "date",
            drift=pl.col("summed") - pl.max_horizontal("own", "every").fill_null(0.0),
        )
    )


def _last(owner: str) -> pl.Expr:
    """The value of `summed` when the owner was weighed last."""
    return pl.when("weighed").then("summed").forward_fill().over(owner, order_by="date")


def errors(states: pl.LazyFrame, life: pl.LazyFrame, speed: int = 1) -> pl.DataFrame:
    """Compare states with life, for every assignment and day that one of the two has.

    Args:
        states: batch_actualdailyassignmentstate.
        life: assignment_id, batch_id, date, stage, population, weight_g, temp_c, appetite.
        speed: How many days of real fish a day has.

    Returns:
        assignment_id, date, stage, weight_g (true), fish_error (fish), weight_error and biomass_error (shares of the
        true value), confidence (in the weight, as the state gives it), days_since (days since a weight was measured;
        null before the first), drift (share of the weight by which growth may have left the model's since the
        container was last weighed).
    """
    key = ["assignment_id", "date"]
    measured = pl.when(pl.col("anchor_type").is_not_null()).then("date")
    assimilated = states.select(
        *key,
        "population",
        pl.col("avg_weight_g", "biomass_kg").cast(pl.Float64),
        confidence=pl.col("confidence_scores").str.extract(r'"weight": ([0-9.]+)').cast(pl.Float64),
        last_measured=measured.forward_fill().over("assignment_id", order_by="date"),
    )
    drift = (1.0 + pl.col("drift") / pl.col("weight_g").cbrt()) ** 3 - 1.0
    lived = (
        life.select(*key, "stage", "weight_g", lived="population")
        .join(_drift(states, life, speed), on=key, how="left")
        .with_columns(drift=drift)
    )
    biomass_kg = pl.col("lived") * pl.col("weight_g") / 1000
    return (
        lived.join(assimilated, on=key, how="full", coalesce=True)
        .select(
            *key,
            "stage",
            "weight_g",
            "confidence",
            "drift",
            days_since=(pl.col("date") - pl.col("last_measured")).dt.total_days(),
            fish_error=pl.col("population").cast(pl.Int64) - pl.col("lived"),
            weight_error=pl.col("avg_weight_g") / pl.col("weight_g") - 1,
            biomass_error=pl.when(biomass_kg > 0).then(pl.col("biomass_kg") / biomass_kg - 1).otherwise(0.0),
        )
        .collect()
    )


def distribution(errors: pl.DataFrame, by: str) -> pl.DataFrame:
    """Summarise errors by the values of a column.

    Args:
        errors: From `errors`.
        by: Name of the column.

    Returns:
        The column `by`; states; fish_off (states with a wrong number of fish); and for weight and biomass the mean, the
        95th percentile and the largest absolute error in percent.
    """
    statistics: list[pl.Expr] = []
    for column in ERROR_COLUMNS:
        size = pl.col(column).abs() * 100
        name = column.removesuffix("_error")
        statistics += [
            size.mean().round(2).alias(f"{name}_mean_%"),
            size.quantile(0.95).round(2).alias(f"{name}_p95_%"),
            size.max().round(2).alias(f"{name}_max_%"),
        ]
    fish_off = (pl.col("fish_error") != 0).sum().alias("fish_off")
    return errors.group_by(by).agg(pl.len().alias("states"), fish_off, *statistics).sort(by, nulls_last=True)


def recovers_life(errors: pl.DataFrame, fewest_weighed: int) -> CheckResult:
    """Every day of life has a state with exactly its fish, and a weight error that weighing and appetite explain."""
    allowed = weighing_error(fewest_weighed)
    most = (1 + allowed) * (1 + pl.col("drift")) - 1 + STORED_G / pl.col("weight_g")
    wrong = errors.filter(
        (pl.col("fish_error") != 0).fill_null(value=True) | (pl.col("weight_error").abs() > most).fill_null(value=True)
    )
    typical = float(errors.select(pl.col("weight_error").abs().mean().fill_null(0.0)).item())
    return check_result(
        "recovers_life",
        wrong,
        f"{errors.height:,} states have exactly the living fish; the mean error of weight is {typical:.1%}",
        f"states with a wrong number of fish, or an error of weight above {allowed:.0%} and what appetite explains",
    )


__all__ = ["distribution", "errors", "recovers_life", "weighing_error"]
