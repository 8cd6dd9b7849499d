"""Projects living assignments from their newest state on, as AquaMind's live forward projection does.

Rules L1 to L15 are explained in docs/projections.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cubed, decimal, rounded_units, third_power
from aquamind_pipeline.projection.models import ScenarioModels
from aquamind_pipeline.projection.profiles import profile_table
from aquamind_pipeline.projection.rules import AQUAMIND
from aquamind_pipeline.projection.spans import spans

BIAS_DAYS = 14
"""Days before the newest state whose temperatures are compared with the profile (L3)."""
MOST_BIAS_C = 2.0
"""The difference is cut off at this (L3)."""
MEASURED = ("measured", "interpolated", "nearest_before", "nearest_after")
"""Sources of temperature that are compared (L3)."""
MOST_DAYS = 1000
"""Days that are projected at most (L4)."""
ATTENTION_DAYS = 30
"""A harvest or transfer within so many days needs a plan (L11)."""
HARVEST_G, TRANSFER_G = 5000.0, 100.0
"""Thresholds without a row of constraints (L8)."""
NO_DURATION, DEFAULT_DURATIONS = 90, (90, 90, 90, 90, 90, 450)
"""Days of a stage whose duration is 0, and of the stages of an FCR model without any (L5)."""
_OPEN = ("PENDING", "IN_PROGRESS")

Bools = np.typing.NDArray[np.bool_]


@dataclass(frozen=True)
class LiveInputs:
    """What a live projection reads.

    Attributes:
        models: Models of the scenarios. `scenarios` also has batch_id, name, created_at and biological_constraints_id;
            `stages` also has species_name. Model changes are not looked at.
        profiles: profile_id, name.
        batches: batch_id, pinned_projection_run_id (may be null).
        assignments: assignment_id, batch_id, container_id.
        states: assignment_id, date, day_number, avg_weight_g, population, biomass_kg, temp_c, sources and
            confidence_scores (JSON).
        constraints: constraint_set_id, lifecycle_stage, max_weight_g.
        runs: run_id, scenario_id.
        run_weights: run_id, day_number, projection_date, average_weight (g).
        planned_activities: batch_id, container_id (null for the whole batch), activity_type, status.
    """

    models: ScenarioModels
    profiles: pl.DataFrame
    batches: pl.DataFrame
    assignments: pl.DataFrame
    states: pl.DataFrame
    constraints: pl.DataFrame
    runs: pl.DataFrame
    run_weights: pl.DataFrame
    planned_activities: pl.DataFrame

    def known_by(self, day: date) -> LiveInputs:
        """What was known at the end of a day: without later states."""
        return replace(self, states=self.states.filter(pl.col("date") <= day))


@dataclass(frozen=True)
class LiveProjection:
    """The result.

    Attributes:
        rows: Columns of batch_liveforwardprojection without its id, sorted by call and date, with `call`.
        summaries: Columns of batch_containerforecastsummary without last_computed, with `call` and `tier`.
        calls: call, outcome ("ok", "error", "crash") and reason.
    """

    rows: pl.DataFrame
    summaries: pl.DataFrame
    calls: pl.DataFrame


def project_live(inputs: LiveInputs, calls: pl.DataFrame) -> LiveProjection:
    """Project some assignments.

    Args:
        inputs: States, scenarios and models.
        calls: call (a number), assignment_id, computed_date, today (UTC date of the clock). Days up to `today` are
            computed and not stored (L6).
    """
    calls = _with_scenario(calls, inputs).join(_newest_states(inputs.states), on="assignment_id", how="left")
    outcome = (
        pl.when(pl.col("scenario_id").is_null())
        .then(pl.lit("no_scenario"))
        .when(pl.col("state_date").is_null())
        .then(pl.lit("no_state"))
        .when(pl.col("horizon_days") <= 0)
        .then(pl.lit("past_scenario_end"))
    )
    horizon = pl.min_horizontal(pl.col("duration_days") - pl.col("day_number"), pl.lit(MOST_DAYS))
    calls = calls.with_columns(horizon_days=horizon.cast(pl.Int64)).with_columns(reason=outcome).sort("call")
    going = calls.filter(pl.col("reason").is_null())
    days = _LiveDays(inputs, going)
    days.run()
    rows = days.rows(going)
    summaries = _summaries(inputs, going, days, rows)
    broken = days.broken(going)
    negative = summaries.filter(
        (pl.col("days_to_harvest").fill_null(0) < 0) | (pl.col("days_to_transfer").fill_null(0) < 0)
    )
    broken = pl.concat([broken, negative.select("call", broken=pl.lit("negative_days_to"))]).unique(
        "call", keep="first"
    )
    ends = calls.join(broken, on="call", how="left").select(
        "call",
        "assignment_id",
        outcome=pl.when(pl.col("broken").is_not_null() | (pl.col("reason") == "no_scenario"))
        .then(pl.lit("crash"))
        .when(pl.col("reason") == "no_state")
        .then(pl.lit("error"))
        .otherwise(pl.lit("ok")),
        reason=pl.coalesce("broken", "reason", pl.lit("")),
    )
    return LiveProjection(
        rows.join(broken, on="call", how="anti", maintain_order="left"),
        summaries.join(broken, on="call", how="anti", maintain_order="left"),
        ends.sort("call"),
    )


def _with_scenario(calls: pl.DataFrame, inputs: LiveInputs) -> pl.DataFrame:
    """Add assignment, batch and scenario: that of the pinned run, else the newest (L1)."""
    scenarios = inputs.models.scenarios
    newest = scenarios.sort("created_at", "name", descending=[True, False]).unique(
        "batch_id", keep="first", maintain_order=True
    )
    chosen = (
        inputs.batches.join(inputs.runs, left_on="pinned_projection_run_id", right_on="run_id", how="left")
        .join(newest.select("batch_id", newest="scenario_id"), on="batch_id", how="left")
        .select("batch_id", "pinned_projection_run_id", scenario_id=pl.coalesce("scenario_id", "newest"))
    )
    own = scenarios.select("scenario_id", "duration_days", "tgc_model_id", "biological_constraints_id")
    return (
        calls.join(
            inputs.assignments.select("assignment_id", "batch_id", "container_id"), on="assignment_id", how="left"
        )
        .join(chosen, on="batch_id", how="left")
        .join(own, on="scenario_id", how="left")
    )


def _newest_states(states: pl.DataFrame) -> pl.DataFrame:
    """The newest state of each assignment (L2), with the smallest of its confidences (L13)."""
    confidence = (
        pl.col("confidence_scores")
        .str.extract_all(r":\s*-?[0-9.eE+-]+")
        .list.eval(pl.element().str.strip_chars(": ").cast(pl.Float64))
    ).list.min()
    return (
        states.sort("date")
        .unique("assignment_id", keep="last", maintain_order=True)
        .select(
            "assignment_id",
            "day_number",
            state_date="date",
            current_weight_g="avg_weight_g",
            current_population="population",
            current_biomass_kg="biomass_kg",
            confidence=confidence.fill_null(0.0),
        )
    )


class _LiveDays:
    """All calls side by side: arrays [day after the state, call]."""

    def __init__(self, inputs: LiveInputs, calls: pl.DataFrame) -> None:
        models = _live_models(inputs.models)
        used = models.scenarios.join(calls, on="scenario_id", how="semi").sort("scenario_id")
        cut = spans(models, used, replace(AQUAMIND, deaths_are_percent=True), ("species_name", "order"))
        self._horizon = calls["horizon_days"].to_numpy()
        self._start = calls["day_number"].cast(pl.Int64).to_numpy()
        self._weight_g = calls["current_weight_g"].cast(pl.Float64).to_numpy()
        self._population = calls["current_population"].cast(pl.Int64).to_numpy()
        n, width = calls.height, int(self._horizon.max(initial=0))
        # The span of each day of each scenario, and where the days of a call's scenario begin.
        span = np.repeat(np.arange(cut.height), cut["days"].to_numpy())
        length = used["duration_days"].cast(pl.Int64).to_numpy()
        first = (np.cumsum(length) - length)[used["scenario_id"].search_sorted(calls["scenario_id"]).to_numpy()]
        day = np.arange(1, width + 1)[:, None] + self._start[None, :]
        inside = np.arange(width)[:, None] < self._horizon[None, :]
        span_at = (
            span.take(np.where(inside, first[None, :] + day - 1, 0)) if span.size else np.zeros((width, n), np.int64)
        )
        profile = calls.join(models.tgc_models, on="tgc_model_id", how="left", maintain_order="left")
        self.profile_id = profile["profile_id"]
        profiles = sorted(self.profile_id.unique().drop_nulls())
        last_day = int((self._start + self._horizon).max(initial=1))
        table = profile_table(models.temperatures, profiles, max(last_day, int(calls["day_number"].max() or 1)))  # type: ignore[arg-type]
        row = np.searchsorted(profiles, self.profile_id.to_numpy())
        self.bias_c, self.bias_days = _bias(inputs.states, calls, table, row)
        self.temp_c = table[row[None, :], np.minimum(day - 1, table.shape[1] - 1)] + self.bias_c[None, :]
        self.base_tgc = profile["tgc_value"].cast(pl.Float64).to_numpy()
        self._gain = cut["coefficient"].to_numpy().take(span_at) * self.temp_c
        self._cap_g = cut["cap_g"].to_numpy().take(span_at)
        self._death_share = cut["death_share"].to_numpy().take(span_at)
        self._inside = inside
        self.weight_g, self.fish = np.zeros((width, n)), np.zeros((width, n), np.int64)
        self._weekly, self._negative = np.zeros(n, bool), np.zeros(n, bool)

    def run(self) -> None:
        """Project day by day (L5)."""
        weight, fish = self._weight_g, self._population
        self._weekly = (np.isnan(self._death_share) & self._inside).any(axis=0)
        share = np.nan_to_num(self._death_share)
        for d in range(self.weight_g.shape[0]):
            self._negative |= self._inside[d] & (weight < 0)
            weight = np.minimum(cubed(third_power(weight) + self._gain[d]), self._cap_g[d])
            fish = np.maximum(fish - np.rint(fish * share[d]).astype(np.int64), 0)
            self.weight_g[d], self.fish[d] = weight, fish

    def broken(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Calls on which AquaMind's engine fails, with the reason."""
        reason = (
            pl.when(pl.Series(self._weekly))
            .then(pl.lit("weekly_rate_without_stage_row"))
            .when(pl.Series(self._negative))
            .then(pl.lit("negative_weight"))
        )
        return calls.select("call", broken=reason).drop_nulls("broken")

    def rows(self, calls: pl.DataFrame) -> pl.DataFrame:
        """`LiveProjection.rows`, of broken calls, too."""
        ahead = (calls["today"] - calls["state_date"]).dt.total_days().to_numpy()
        stored = self._inside & (np.arange(1, self.weight_g.shape[0] + 1)[:, None] > ahead[None, :])
        call, day = np.nonzero(stored.T)
        cell = (day, call)
        weight = self.weight_g[cell]
        of_call = calls.select(
            "call", "assignment_id", "batch_id", "container_id", "computed_date", "state_date", "day_number"
        )[call]
        return of_call.with_columns(
            projection_date=pl.col("state_date") + pl.duration(days=pl.lit(pl.Series(day + 1))),
            day_number=pl.col("day_number").cast(pl.Int64) + pl.Series(day + 1),
            projected_weight_g=decimal(rounded_units(weight, 2), 10, 2),
            projected_population=pl.Series(self.fish[cell]),
            projected_biomass_kg=decimal(rounded_units(weight * self.fish[cell] / 1000.0, 2), 12, 2),
            temperature_used_c=decimal(rounded_units(self.temp_c[cell], 2), 5, 2),
            tgc_value_used=decimal(rounded_units(self.base_tgc[call], 4), 8, 4),
            temp_profile_id=self.profile_id.gather(call),
            temp_bias_c=decimal(rounded_units(self.bias_c[call], 2), 4, 2),
            temp_bias_window_days=pl.Series(self.bias_days[call]),
        ).drop("state_date")


def _live_models(models: ScenarioModels) -> ScenarioModels:
    """The models as the live engine reads them: no changes, and durations for stages that have none (L5)."""
    stages = models.fcr_stages.with_columns(
        duration_days=pl.when(pl.col("duration_days") == 0).then(NO_DURATION).otherwise("duration_days")
    )
    bare = models.scenarios.select("fcr_model_id").unique().join(stages, on="fcr_model_id", how="anti")
    usual = models.stages.sort("order", "lifecycle_stage_id").head(len(DEFAULT_DURATIONS))
    usual = usual.select(
        "lifecycle_stage_id",
        fcr_stage_id=-pl.col("lifecycle_stage_id"),
        fcr_value=pl.lit(1.0),
        duration_days=pl.Series(DEFAULT_DURATIONS[: usual.height], dtype=pl.Int64),
    )
    stages = pl.concat([stages, bare.join(usual, how="cross")], how="diagonal_relaxed")
    return replace(models, fcr_stages=stages, model_changes=models.model_changes.clear())


def _bias(states: pl.DataFrame, calls: pl.DataFrame, table: Floats, row: Ints) -> tuple[Floats, Ints]:
    """Mean difference between measured and profile temperature before the newest state, and its days (L3).

    Args:
        states: The states.
        calls: The calls.
        table: Temperature of the profiles [profile, day].
        row: Row of `table` by call.
    """
    source = pl.col("sources").str.json_path_match("$.temp")
    near = (
        calls.select("call", "assignment_id", "state_date", row=pl.Series(row))
        .with_columns(column=pl.int_range(pl.len()))
        .join(states.filter(pl.col("temp_c").is_not_null(), source.is_in(MEASURED)), on="assignment_id")
        .filter(pl.col("date").is_between(pl.col("state_date") - pl.duration(days=BIAS_DAYS), pl.col("state_date")))
        .sort("column", "date")
    )
    day = np.maximum(near["day_number"].cast(pl.Int64).to_numpy(), 1)
    profile_c = table[near["row"].to_numpy(), np.minimum(day, table.shape[1]) - 1]
    known = profile_c > 0
    column = near["column"].to_numpy()[known]
    delta = (near["temp_c"].cast(pl.Float64).to_numpy() - profile_c)[known]
    days = np.bincount(column, minlength=calls.height)
    mean = np.bincount(column, delta, calls.height) / np.maximum(days, 1)
    return rounded_units(np.clip(mean, -MOST_BIAS_C, MOST_BIAS_C), 2) / 100.0, days.astype(np.int64)


def _summaries(inputs: LiveInputs, calls: pl.DataFrame, days: _LiveDays, rows: pl.DataFrame) -> pl.DataFrame:
    """`LiveProjection.summaries`, of broken calls, too (L8 to L15)."""
    limits = inputs.constraints.filter(pl.col("max_weight_g") > 0)
    calls = calls.with_columns(
        temp_profile_id=days.profile_id, temp_bias_c=_decimals(days.bias_c), temp_bias_window_days=days.bias_days
    ).join(
        inputs.profiles.rename({"name": "temp_profile_name"}),
        left_on="temp_profile_id",
        right_on="profile_id",
        how="left",
    )
    for kind, stage, otherwise in (("harvest", "harvest", HARVEST_G), ("transfer", "smolt", TRANSFER_G)):
        limit = limits.filter(lifecycle_stage=stage).select(
            pl.col("constraint_set_id").alias("biological_constraints_id"),
            pl.col("max_weight_g").cast(pl.Decimal(10, 2)).alias(f"{kind}_threshold_g"),
        )
        calls = calls.join(limit, on="biological_constraints_id", how="left").with_columns(
            pl.col(f"{kind}_threshold_g").fill_null(pl.lit(otherwise).cast(pl.Decimal(10, 2)))
        )
        calls = calls.join(_crossings(rows, calls, kind), on="call", how="left")
        calls = calls.with_columns(
            (pl.col(f"projected_{kind}_date") - pl.col("computed_date")).dt.total_days().alias(f"days_to_{kind}"),
            _has_plan(inputs.planned_activities, calls, kind),
        )
    calls = calls.join(_original_harvests(inputs.run_weights, calls), on="call", how="left")
    wants = [
        (pl.col(f"days_to_{kind}") <= ATTENTION_DAYS).fill_null(False) & ~pl.col(f"has_planned_{kind}")
        for kind in ("harvest", "transfer")
    ]
    calls = calls.with_columns(
        state_confidence=_decimals(calls["confidence"].to_numpy()),
        harvest_variance_days=(pl.col("projected_harvest_date") - pl.col("original_harvest_date")).dt.total_days(),
        needs_planning_attention=wants[0] | wants[1],
    )
    planned = pl.col("has_planned_harvest") | pl.col("has_planned_transfer")
    return calls.select(
        "call",
        "assignment_id",
        "current_weight_g",
        "current_population",
        "current_biomass_kg",
        "state_date",
        "state_confidence",
        *(
            name.format(kind)
            for kind in ("harvest", "transfer")
            for name in ("projected_{}_date", "projected_{}_weight_g", "days_to_{}", "{}_threshold_g", "has_planned_{}")
        ),
        "original_harvest_date",
        "harvest_variance_days",
        "needs_planning_attention",
        "temp_profile_name",
        "temp_bias_c",
        "temp_bias_window_days",
        "computed_date",
        state_day_number="day_number",
        tier=pl.when(planned)
        .then(pl.lit("PLANNED"))
        .when("needs_planning_attention")
        .then(pl.lit("NEEDS_PLANNING"))
        .otherwise(pl.lit("PROJECTED")),
    )


def _decimals(values: Floats) -> pl.Series:
    return decimal(rounded_units(values, 2), 4, 2)


def _crossings(rows: pl.DataFrame, calls: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The first stored day of each call with at least the threshold's weight (L9)."""
    above = rows.join(calls.select("call", limit=f"{kind}_threshold_g"), on="call", maintain_order="left").filter(
        pl.col("projected_weight_g") >= pl.col("limit")
    )
    return above.unique("call", keep="first", maintain_order=True).select(
        "call",
        pl.col("projection_date").alias(f"projected_{kind}_date"),
        pl.col("projected_weight_g").alias(f"projected_{kind}_weight_g"),
    )


def _has_plan(activities: pl.DataFrame, calls: pl.DataFrame, kind: str) -> pl.Series:
    """Whether the batch, or this container of it, has an open activity of a kind (L10)."""
    wanted = activities.filter(pl.col("status").is_in(_OPEN), pl.col("activity_type") == kind.upper())
    whole = wanted.filter(pl.col("container_id").is_null()).select("batch_id").unique()
    single = wanted.drop_nulls("container_id").select("batch_id", "container_id").unique()
    found = calls.select("batch_id", "container_id").with_row_index("row")
    rows = pl.concat(
        [found.join(whole, on="batch_id", how="semi"), found.join(single, on=["batch_id", "container_id"], how="semi")]
    )
    return found.select(pl.col("row").is_in(rows["row"].implode())).to_series().alias(f"has_planned_{kind}")


def _original_harvests(run_weights: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """The first day of the pinned run with the weight of the harvest (L12)."""
    pinned = calls.select(
        "call", run_id="pinned_projection_run_id", limit=pl.col("harvest_threshold_g").cast(pl.Float64)
    )
    return (
        pinned.drop_nulls("run_id")
        .join(run_weights, on="run_id")
        .filter(pl.col("average_weight") >= pl.col("limit"))
        .sort("call", "day_number")
        .unique("call", keep="first", maintain_order=True)
        .select("call", original_harvest_date="projection_date")
    )


__all__ = ["LiveInputs", "LiveProjection", "project_live"]
