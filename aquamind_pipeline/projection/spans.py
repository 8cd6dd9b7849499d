"""What holds from which day of a scenario on: stage, models in force, and their rates (P2 to P4, P6 to P9, P12)."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.projection.models import ScenarioModels
from aquamind_pipeline.projection.rules import (
    CAPS_G,
    HALL_STAGES,
    NO_CAP_G,
    NO_STAGE_FCR,
    NOT_FED,
    ProjectionRules,
)

_KINDS = ("tgc", "fcr", "mortality")


def spans(
    models: ScenarioModels, scenarios: pl.DataFrame, rules: ProjectionRules, stage_order: tuple[str, ...] = ("order",)
) -> pl.DataFrame:
    """Cut each scenario where its stage or one of its models changes.

    Args:
        models: All models.
        scenarios: The scenarios to project.
        rules: Behaviour of the projection.
        stage_order: Columns of `models.stages` by which the stages of an FCR model follow each other.

    Returns:
        scenario_id, first_day (from 1), days, lifecycle_stage_id, profile_id, in_hall (fresh water), coefficient
        (growth of the cube root of the weight per °C), is_fed, cap_g (infinite where there is none), death_share (share
        of the fish that die in a day; NaN where AquaMind's run ends), fcr, fcr_stage_id (null for none), sorted by
        scenario and first day.
    """
    stages, changes = _stage_spans(models, stage_order), _changes(models)
    own = ("scenario_id", "duration_days", *(f"{kind}_model_id" for kind in _KINDS))
    cuts = pl.concat(
        [
            scenarios.select("scenario_id", first_day=pl.lit(1, pl.Int64)),
            scenarios.join(stages, on="fcr_model_id").select("scenario_id", "first_day"),
            scenarios.join(stages, on="fcr_model_id").select("scenario_id", first_day=pl.col("end") + 1),
            changes.select("scenario_id", "first_day"),
        ]
    ).unique()
    cut = cuts.join(scenarios.select(own), on="scenario_id").filter(pl.col("first_day") <= pl.col("duration_days"))
    cut = cut.sort("first_day")
    cut = _with_stage(cut, stages, models)
    cut = _with_models_in_force(cut, changes)
    after = pl.col("first_day").shift(-1).over("scenario_id").fill_null(pl.col("duration_days") + 1)
    cut = cut.sort("scenario_id", "first_day").with_columns(days=after - pl.col("first_day"))
    return _with_rates(cut, models, rules).sort("scenario_id", "first_day")


def _stage_spans(models: ScenarioModels, stage_order: tuple[str, ...]) -> pl.DataFrame:
    """First and last day of each stage of each FCR model."""
    upto = pl.col("duration_days").cast(pl.Int64).cum_sum().over("fcr_model_id")
    return (
        models.fcr_stages.filter(pl.col("duration_days") > 0)
        .join(models.stages.select("lifecycle_stage_id", *stage_order), on="lifecycle_stage_id")
        .sort("fcr_model_id", *stage_order, "fcr_stage_id")
        .select(
            "fcr_model_id",
            "lifecycle_stage_id",
            first_day=upto - pl.col("duration_days").cast(pl.Int64) + 1,
            end=upto,
        )
        .sort("first_day")
    )


def _changes(models: ScenarioModels) -> pl.DataFrame:
    """Model changes. Of several of one day the last one read counts, and those before day 1 never do (P3)."""
    return (
        models.model_changes.filter(pl.col("change_day") >= 1)
        .unique(["scenario_id", "change_day"], keep="last", maintain_order=True)
        .select("scenario_id", pl.selectors.starts_with("new_"), first_day=pl.col("change_day").cast(pl.Int64))
        .sort("first_day")
    )


def _with_stage(cut: pl.DataFrame, stages: pl.DataFrame, models: ScenarioModels) -> pl.DataFrame:
    """Add the stage by the scenario's own FCR model, and beyond its last stage the highest of all species (P4)."""
    last = models.stages.sort("order", "lifecycle_stage_id")["lifecycle_stage_id"][-1]
    found = cut.join_asof(stages, on="first_day", by="fcr_model_id", check_sortedness=False)
    inside = pl.col("first_day") <= pl.col("end")
    return found.with_columns(lifecycle_stage_id=pl.when(inside).then("lifecycle_stage_id").otherwise(last))


def _with_models_in_force(cut: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Replace the models by those that changes bring (P3)."""
    for kind in _KINDS:
        new = changes.select("scenario_id", "first_day", new=f"new_{kind}_model_id").drop_nulls("new")
        cut = cut.join_asof(new, on="first_day", by="scenario_id", check_sortedness=False)
        cut = cut.with_columns(pl.coalesce("new", f"{kind}_model_id").alias(f"{kind}_model_id")).drop("new")
    return cut


def _with_rates(cut: pl.DataFrame, models: ScenarioModels, rules: ProjectionRules) -> pl.DataFrame:
    """Add growth, cap, deaths and feed per growth by model and stage (P6 to P9, P12)."""
    tgc = models.tgc_models.select("tgc_model_id", "profile_id", base=pl.col("tgc_value").cast(pl.Float64))
    tgc_stage = models.tgc_stages.select("tgc_model_id", "tgc_value", name="lifecycle_stage")
    mortality = models.mortality_models.select("mortality_model_id", "frequency", pl.col("rate").cast(pl.Float64))
    mortality_stage = models.mortality_stages.select("mortality_model_id", "daily_rate_percent", name="lifecycle_stage")
    fcr = models.fcr_stages.select(
        "fcr_model_id", "lifecycle_stage_id", "fcr_stage_id", fcr=pl.col("fcr_value").cast(pl.Float64)
    )
    value = pl.coalesce(pl.col("tgc_value").cast(pl.Float64), "base")
    daily = _divided(pl.col("rate"), 100.0)
    weekly = 1.0 - (1.0 - daily).pow(1.0 / 7.0) if rules.weekly_mortality else pl.lit(None, pl.Float64)
    by_model = pl.when(pl.col("frequency") == "daily").then(daily).otherwise(weekly)
    share = pl.coalesce(_divided(pl.col("daily_rate_percent").cast(pl.Float64), 100.0), by_model)
    name = pl.col("name").str.to_lowercase()
    return (
        cut.join(models.stages.select("lifecycle_stage_id", "name"), on="lifecycle_stage_id", how="left")
        .join(tgc, on="tgc_model_id", how="left")
        .join(tgc_stage, on=["tgc_model_id", "name"], how="left")
        .join(mortality, on="mortality_model_id", how="left")
        .join(mortality_stage, on=["mortality_model_id", "name"], how="left")
        .join(fcr, on=["fcr_model_id", "lifecycle_stage_id"], how="left")
        .select(
            "scenario_id",
            "first_day",
            "days",
            "lifecycle_stage_id",
            "profile_id",
            "fcr_stage_id",
            in_hall=name.str.strip_chars().is_in(HALL_STAGES),
            coefficient=pl.when(value <= 0).then(0.0).when(value < 0.01).then(value).otherwise(_divided(value, 1000.0)),
            is_fed=~name.str.strip_chars().is_in(NOT_FED),
            cap_g=pl.lit(float("inf")) if rules.no_caps else _cap_g(name),
            death_share=(share if rules.deaths_are_percent else _divided(share, 100.0)).fill_null(float("nan")),
            fcr=pl.col("fcr").fill_null(NO_STAGE_FCR),
        )
    )


def _divided(value: pl.Expr, by: float) -> pl.Expr:
    """An exact quotient. Polars multiplies by the reciprocal of a constant, which is rounded."""
    return value / (pl.lit(by) + 0.0 * value)


def _cap_g(name: pl.Expr) -> pl.Expr:
    """Cap of a stage by its name in lower case (P8)."""
    plain = name.str.replace_all("[-_]", " ")
    whole = [pl.when(plain == part).then(grams) for part, grams in CAPS_G]
    inside = [pl.when(plain.str.contains(part, literal=True)).then(grams) for part, grams in CAPS_G]
    return pl.coalesce(*whole, *inside, pl.lit(NO_CAP_G))


__all__ = ["spans"]
