"""Scenarios that AquaMind's engine refuses to project (P1)."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.projection.models import ScenarioModels

_MAY_BE_ZERO = "(?i)egg|alevin"


def refusals(models: ScenarioModels) -> pl.DataFrame:
    """What is wrong with each scenario.

    Only the scenario's own models are looked at, not those that a model change brings. A missing or impossible first
    weight is reported alone.

    Returns:
        scenario_id, reasons (a list of words in the order in which AquaMind finds them; empty for a good scenario),
        sorted by scenario_id.
    """
    scenarios = models.scenarios.select(
        "scenario_id",
        "tgc_model_id",
        "fcr_model_id",
        "mortality_model_id",
        weight=_named(
            ("weight_missing", pl.col("initial_weight").is_null()),
            ("weight_not_positive", pl.col("initial_weight") <= 0),
        ),
    )
    parts = ("tgc", "fcr", "mortality")
    whole = (
        scenarios.join(_of_tgc(models), on="tgc_model_id", how="left")
        .join(_of_fcr(models), on="fcr_model_id", how="left")
        .join(_of_mortality(models), on="mortality_model_id", how="left")
        .with_columns(pl.col(part).fill_null([]) for part in parts)
    )
    found = pl.when(pl.col("weight").list.len() > 0).then("weight").otherwise(pl.concat_list(*parts))
    return whole.select("scenario_id", reasons=found).sort("scenario_id")


def _of_tgc(models: ScenarioModels) -> pl.DataFrame:
    n, m, tgc = pl.col("exponent_n"), pl.col("exponent_m"), pl.col("tgc_value")
    return models.tgc_models.select(
        "tgc_model_id",
        tgc=_named(
            ("tgc_not_positive", tgc <= 0),
            ("tgc_above_5", tgc > 5),
            ("exponent_n", (n < 0) | (n > 2)),
            ("exponent_m", (m <= 0) | (m > 1)),
            ("profile_missing", pl.col("profile_id").is_null()),
        ),
    )


def _of_fcr(models: ScenarioModels) -> pl.DataFrame:
    value, may_be_zero = pl.col("fcr_value").cast(pl.Float64), pl.col("name").str.contains(_MAY_BE_ZERO)
    stages = (
        models.fcr_stages.join(models.stages, on="lifecycle_stage_id", how="left")
        .sort("fcr_model_id", "order", "fcr_stage_id")
        .select(
            "fcr_model_id",
            reasons=_named(
                ("fcr_negative", value < 0),
                ("fcr_zero", (value == 0) & ~may_be_zero),
                ("fcr_below_0.5", (value > 0) & (value < 0.5)),
                ("fcr_above_3", value > 3),
                ("fcr_duration_negative", pl.col("duration_days") < 0),
            ),
        )
        .group_by("fcr_model_id", maintain_order=True)
        .agg(fcr=pl.col("reasons").list.explode(keep_nulls=False, empty_as_null=False))
    )
    used = models.scenarios.select("fcr_model_id").unique()
    return used.join(stages, on="fcr_model_id", how="left").with_columns(pl.col("fcr").fill_null(["fcr_no_stages"]))


def _of_mortality(models: ScenarioModels) -> pl.DataFrame:
    rate, frequency = pl.col("rate"), pl.col("frequency")
    return models.mortality_models.select(
        "mortality_model_id",
        mortality=_named(
            ("mortality_negative", rate < 0),
            ("mortality_above_10", rate > 10),
            ("mortality_frequency", ~frequency.is_in(["daily", "weekly"])),
            ("mortality_weekly_above_50", (frequency == "weekly") & (rate > 50)),
        ),
    )


def _named(*checks: tuple[str, pl.Expr]) -> pl.Expr:
    """The words whose expression is true, as a list."""
    return pl.concat_list(pl.when(wrong).then(pl.lit(word)) for word, wrong in checks).list.drop_nulls()


__all__ = ["refusals"]
