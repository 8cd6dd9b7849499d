"""Live forward projections of living assignments and their summaries, as AquaMind's nightly job computes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS, BATCHES
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.stages import SPECIES
from aquamind_pipeline.apps.planning.activities import PLANNED_ACTIVITIES
from aquamind_pipeline.apps.scenario.baselines import SCENARIOS, duration_days
from aquamind_pipeline.apps.scenario.constraints import STAGE_CONSTRAINTS
from aquamind_pipeline.apps.scenario.models import TEMPERATURE_PROFILES, TEMPERATURE_READINGS, TGC_STAGES
from aquamind_pipeline.apps.scenario.projections import PROJECTION_RUNS, PROJECTIONS, scenario_models
from aquamind_pipeline.apps.scenario.projections import READS as MODELS
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.months import month_key, month_of, months_between
from aquamind_pipeline.projection.live import (
    BIAS_DAYS,
    MOST_BIAS_C,
    MOST_DAYS,
    LiveInputs,
    LiveProjection,
    project_live,
)
from aquamind_pipeline.projection.models import ScenarioModels
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    boolean,
    count,
    date,
    day,
    identity,
    index,
    integer,
    numeric,
    refers,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.frames import lake_schema
from aquamind_pipeline.schema.inputs import PLAN, DeclaredReads, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

STEP = "forecasts"
READS = (
    *PLAN,
    *MODELS,
    TEMPERATURE_PROFILES.name,
    SPECIES.name,
    BATCHES.name,
    ASSIGNMENTS.name,
    STATES.name,
    PROJECTION_RUNS.name,
    PROJECTIONS.name,
    PLANNED_ACTIVITIES.name,
    STAGE_CONSTRAINTS.name,
)
"""What `forecasts` reads."""
CHECKED_ASSIGNMENTS = 12
"""Assignments of each computed date whose stored projection is compared with a new one."""


def computed_dates(farm: Profile) -> list[dt.date]:
    """Days whose forecast is kept, in order: as_of, and the Mondays before it that the profile asks for."""
    earlier = (farm.as_of - dt.timedelta(days=days) for days in range(farm.forecast_history_days, 0, -1))
    return [*(one for one in earlier if one.weekday() == 0 and one >= farm.epoch), farm.as_of]


def forecasts(inputs: Inputs) -> LiveProjection:
    """The forecasts of the living assignments of these batches, computed once for rows and summaries."""

    def make() -> LiveProjection:
        living = inputs.frame(ASSIGNMENTS.name).filter("is_active")
        return _forecasts(inputs, living, computed_dates(inputs.farm))

    return inputs.once("forecasts", make)


def _forecasts(inputs: DeclaredReads, living: pl.DataFrame, dates: Sequence[dt.date]) -> LiveProjection:
    """Project assignments. AquaMind's job looks at batches that are ACTIVE, so not before all their eggs have come.

    Args:
        inputs: The tables.
        living: Rows of assignments that have fish.
        dates: Days to compute forecasts for, in order. Each sees only the states up to its own day.

    Returns:
        The rows of all dates, with the name of the profile. The summaries are those of the last date.
    """
    data = _live_inputs(inputs, living, dates[0])
    since = living.select("batch_id", "assignment_date", assignment_id="id").pipe(_active_since, inputs.plan)
    made = []
    for computed in dates:  # AquaMind's job runs once a day
        there = since.filter(pl.col("active_since") <= computed)
        calls = there.select(
            "assignment_id",
            call="assignment_id",
            computed_date=pl.lit(computed, pl.Date),
            today=pl.lit(computed, pl.Date),
        )
        one = project_live(data.known_by(computed), calls)
        failed = one.calls.filter(pl.col("outcome") != "ok")
        if failed.height:
            raise InputError(
                f"assignment {failed['assignment_id'][0]} cannot be projected on {computed}: {failed['reason'][0]}"
            )
        made.append(one)
    rows = pl.concat(one.rows for one in made).join(
        inputs.whole(TEMPERATURE_PROFILES.name).select(temp_profile_id="profile_id", temp_profile_name="name"),
        on="temp_profile_id",
        how="left",
        maintain_order="left",
    )
    return LiveProjection(rows, made[-1].summaries, pl.concat(one.calls for one in made))


def _active_since(living: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Add active_since: the first day on which an assignment has fish and all eggs of its batch have come.

    Args:
        living: batch_id, assignment_date, and columns to keep.
        plan: The plan of these batches.
    """
    last = plan.trays.group_by("batch_id").agg(last=pl.col("assignment_date").max())
    return living.join(last, on="batch_id", how="left", maintain_order="left").with_columns(
        active_since=pl.max_horizontal("assignment_date", "last")
    )


def _live_inputs(inputs: DeclaredReads, living: pl.DataFrame, first: dt.date) -> LiveInputs:
    """What the projections of these assignments read. States begin with the temperatures before the first date."""
    models = scenario_models(inputs)
    mine = living.select("batch_id").unique()
    scenarios = models.scenarios.join(mine, on="batch_id", how="semi").with_columns(created_at="start_date")
    species = inputs.whole(SPECIES.name).select(species_id="id", species_name="name")
    since = first - dt.timedelta(days=BIAS_DAYS)
    states = (
        inputs.scan_built(STATES.name, months_between(since, inputs.farm.as_of))
        .filter(pl.col("date") >= since, pl.col("assignment_id").is_in(living["id"].implode()))
        .select(
            "assignment_id",
            "date",
            "day_number",
            "avg_weight_g",
            "population",
            "biomass_kg",
            "temp_c",
            "sources",
            "confidence_scores",
        )
        .collect()
    )
    runs = inputs.whole(PROJECTION_RUNS.name).select("run_id", "scenario_id")
    runs = runs.join(scenarios, on="scenario_id", how="semi")
    weights = inputs.whole(PROJECTIONS.name).select(
        "day_number", "projection_date", "average_weight", run_id="projection_run_id"
    )
    return LiveInputs(
        models=_with(
            models, scenarios, models.stages.join(species, on="species_id", how="left", maintain_order="left")
        ),
        profiles=inputs.whole(TEMPERATURE_PROFILES.name).select("profile_id", "name"),
        batches=inputs.whole(BATCHES.name).select("pinned_projection_run_id", batch_id="id"),
        assignments=living.select("batch_id", "container_id", assignment_id="id"),
        states=states,
        constraints=inputs.whole(STAGE_CONSTRAINTS.name).select("constraint_set_id", "lifecycle_stage", "max_weight_g"),
        runs=runs,
        run_weights=weights.join(runs, on="run_id", how="semi"),
        planned_activities=inputs.whole(PLANNED_ACTIVITIES.name).select(
            "batch_id", "activity_type", "status", container_id=pl.lit(None, pl.Int64)
        ),
    )


def _with(models: ScenarioModels, scenarios: pl.DataFrame, stages: pl.DataFrame) -> ScenarioModels:
    return replace(models, scenarios=scenarios, stages=stages)


def live_projections(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_liveforwardprojection, by assignment, computed date and day."""
    return _stored(inputs, forecasts(inputs).rows)


def _stored(inputs: DeclaredReads, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in the columns of the lake. Their ids count on from the state that the projection starts from."""
    states = inputs.plan.assignments.select("assignment_id", "assignment_date", "first_state_id")
    after = (pl.col("projection_date") - pl.col("computed_date")).dt.total_days()
    state_id = pl.col("first_state_id") + (pl.col("computed_date") - pl.col("assignment_date")).dt.total_days()
    return (
        rows.join(states, on="assignment_id", how="left", maintain_order="left")
        .with_columns(id=(state_id - 1) * MOST_DAYS + after)
        .sort("batch_id", "assignment_id", "computed_date", "projection_date")
        .select(name for name in lake_schema(LIVE_PROJECTIONS.table))
    )


def summaries(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_containerforecastsummary: of the forecast of as_of."""
    made = forecasts(inputs).summaries
    return made.sort("assignment_id").select(name for name in lake_schema(SUMMARIES.table))


def _horizons(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Days that the forecasts of living assignments look ahead: computed_date, assignment_id, days (above 0)."""
    dates = pl.DataFrame({"computed_date": computed_dates(farm)}, schema={"computed_date": pl.Date})
    living = plan.assignments.filter(pl.col("assignment_date") <= farm.as_of, pl.col("departure_date") > farm.as_of)
    starts = plan.batches.select("batch_id", "start_date")
    lived = (pl.col("computed_date") - pl.col("start_date")).dt.total_days() + 1
    return (
        living.pipe(_active_since, plan)
        .join(starts, on="batch_id")
        .join(dates, how="cross")
        .filter(pl.col("active_since") <= pl.col("computed_date"))
        .select(
            "computed_date",
            "assignment_id",
            days=pl.min_horizontal(pl.lit(duration_days(farm)) - lived, pl.lit(MOST_DAYS)),
        )
        .filter(pl.col("days") > 0)
    )


def _rows_by_month(farm: Profile, plan: Plan) -> pl.DataFrame:
    days = pl.col("days").sum().cast(pl.Int64)
    return _horizons(farm, plan).group_by(month=month_of("computed_date")).agg(rows=days).sort("month")


def _as_computed(inputs: RuleInputs) -> CheckResult:
    """The stored projections of some assignments are what a new computation from states and scenarios gives."""
    ids = inputs.rows["assignment_id"].unique().sort()
    chosen = ids.gather_every(max(1, ids.len() // CHECKED_ASSIGNMENTS))
    stored = inputs.rows.filter(pl.col("assignment_id").is_in(chosen.implode()))
    dates = [one for one in computed_dates(inputs.farm) if month_key(one) == inputs.month]
    if stored.is_empty() or not dates:
        return check_result(AS_COMPUTED.name, stored, "no forecast was made in this month", "no day of a forecast")
    living = inputs.whole(ASSIGNMENTS.name).filter(pl.col("id").is_in(chosen.implode()), "is_active")
    again = _stored(inputs, _forecasts(inputs, living, dates).rows).cast(dict(stored.schema))  # type: ignore[arg-type]
    both = stored.join(again, on="id", how="full", coalesce=True, suffix="_computed")
    values = [name for name in stored.columns if name != "id"]
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_computed")) for name in values)
    return check_result(
        AS_COMPUTED.name,
        both.filter(differs).sort("id"),
        f"{stored.height:,} rows of {chosen.len()} assignments as computed anew",
        "rows differ from a new computation",
    )


AS_COMPUTED = Rule(
    "as_computed",
    "A stored forecast is what AquaMind's engine would compute from states and scenario.",
    "AquaMind's own recalculation would change the forecast.",
    _as_computed,
    reads=READS,
)


def _first_days(inputs: RuleInputs) -> CheckResult:
    """Harvest and transfer of a summary are on the first projected day with their threshold's weight."""
    farm = inputs.farm
    if inputs.month != month_key(farm.as_of):
        return CheckResult(FIRST_DAYS.name, passed=True, detail="summaries are of the farm's last day")
    days = inputs.rows.filter(pl.col("computed_date") == farm.as_of).sort("assignment_id", "projection_date")
    found = inputs.whole(SUMMARIES.name)
    rows = found.join(days.select("assignment_id").unique(), on="assignment_id", how="full", coalesce=True)
    differs = [pl.col("computed_date").is_null()]
    for kind in ("harvest", "transfer"):
        threshold = found.select("assignment_id", limit=f"{kind}_threshold_g")
        above = days.join(threshold, on="assignment_id", maintain_order="left").filter(
            pl.col("projected_weight_g") >= pl.col("limit")
        )
        first = above.group_by("assignment_id").agg(
            pl.col("projection_date").first().alias(kind), pl.col("projected_weight_g").first().alias(f"{kind}_g")
        )
        rows = rows.join(first, on="assignment_id", how="left")
        differs += [
            pl.col(f"projected_{kind}_date").ne_missing(pl.col(kind)),
            pl.col(f"projected_{kind}_weight_g").ne_missing(pl.col(f"{kind}_g")),
            pl.col(f"days_to_{kind}").ne_missing((pl.col(kind) - farm.as_of).dt.total_days()),
        ]
    unprojected = found.join(days, on="assignment_id", how="anti").select("assignment_id")
    wrong = rows.filter(pl.any_horizontal(differs) | pl.col("assignment_id").is_in(unprojected.to_series().implode()))
    return check_result(
        FIRST_DAYS.name,
        wrong.sort("assignment_id"),
        f"{found.height} summaries name the first days of their projections",
        "summaries that do not follow from their projections",
    )


FIRST_DAYS = Rule(
    "first_days",
    "A forecast's harvest and transfer are on the first projected day with the wanted weight.",
    MISLEADING,
    _first_days,
    reads=("batch_containerforecastsummary",),
)

_LINEAGE_OF_WEIGHT = f"{STATES.name}.avg_weight_g {TGC_STAGES.name}.tgc_value {TEMPERATURE_READINGS.name}.temperature"

LIVE_PROJECTIONS = TableDefinition(
    name="batch_liveforwardprojection",
    part="forecasts",
    kind=Kind.DERIVED,
    step=STEP,
    batch_slices=True,
    snapshot=True,
    meaning="Forecast of one living assignment for one coming day, as it was computed on one day.",
    how="AquaMind's live projection (docs/projections.md) from the newest state to the end of the scenario.",
    columns=(
        identity("id"),
        date("computed_date", primary_key=True, comment="Day on which the forecast was made"),
        date("projection_date", comment="Coming day"),
        count("day_number"),
        numeric("projected_weight_g", 10, 2, range_=(0, 20000), comment="Expected weight of a fish [g]"),
        count("projected_population", comment="Expected number of fish"),
        numeric("projected_biomass_kg", 12, 2, range_=(0, None), comment="Expected biomass [kg]"),
        numeric("temperature_used_c", 5, 2, range_=(-4, 32), comment="Temperature of the profile, with the bias [°C]"),
        numeric("tgc_value_used", 8, 4, range_=(0, None), comment="Base coefficient of the growth model"),
        refers(
            "temp_profile_id",
            f"{TEMPERATURE_PROFILES.name}.profile_id",
            type_=sa.Integer,
            nullable=True,
            unenforced="AquaMind keeps the number of a profile here, also of one that is gone",
        ),
        varchar("temp_profile_name", 255, comment="Name of the temperature profile"),
        numeric("temp_bias_c", 5, 2, range_=(-MOST_BIAS_C, MOST_BIAS_C), comment="Added to the profile [°C]"),
        count("temp_bias_window_days", comment="Days whose measured temperatures the bias is the mean of"),
        numeric("temp_bias_clamp_min_c", 5, 2, fill=pl.lit(-MOST_BIAS_C)),
        numeric("temp_bias_clamp_max_c", 5, 2, fill=pl.lit(MOST_BIAS_C)),
        refers("assignment_id", f"{ASSIGNMENTS.name}.id"),
        refers("batch_id", f"{BATCHES.name}.id"),
        refers("container_id", "infrastructure_container.id"),
        index("assignment_id", "computed_date"),
    ),
    time="computed_date",
    reads=READS,
    generate=live_projections,
    expected=ByFormula(_rows_by_month),
    lineage={
        "id": "plan_assignment.first_state_id",
        "projected_weight_g": _LINEAGE_OF_WEIGHT,
        "projected_population": f"{STATES.name}.population",
        "temperature_used_c": f"{TEMPERATURE_READINGS.name}.temperature {STATES.name}.temp_c",
        "temp_bias_c": f"{TEMPERATURE_READINGS.name}.temperature {STATES.name}.temp_c",
        "projection_date": f"{SCENARIOS.name}.start_date {SCENARIOS.name}.duration_days",
    },
    rules=(AS_COMPUTED, FIRST_DAYS),
    bytes_per_row=(10, 221),
)

SUMMARIES = TableDefinition(
    name="batch_containerforecastsummary",
    part="forecasts",
    kind=Kind.DERIVED,
    step=STEP,
    batch_slices=True,
    snapshot=True,
    meaning="When the fish of a living assignment are expected to be ready for transfer and harvest.",
    how="The first day of the newest live projection with the weight of the scenario's constraints.",
    columns=(
        refers("assignment_id", f"{ASSIGNMENTS.name}.id", primary_key=True),
        numeric("current_weight_g", 10, 2, range_=(0, 20000), comment="Weight of a fish in the newest state [g]"),
        count("current_population", comment="Fish in the newest state"),
        numeric("current_biomass_kg", 12, 2, range_=(0, None), comment="Biomass in the newest state [kg]"),
        date("state_date", comment="Day of the newest state"),
        count("state_day_number", comment="Day of the batch's life in the newest state, from 1"),
        numeric("state_confidence", 3, 2, range_=(0, 1), comment="The least confidence of the newest state, 0 to 1"),
        date("projected_harvest_date", nullable=True, comment="First projected day with the weight of harvest"),
        numeric("projected_harvest_weight_g", 10, 2, nullable=True, comment="Weight of a fish on that day [g]"),
        count("days_to_harvest", nullable=True, comment="Days from the computed date to that day"),
        numeric("harvest_threshold_g", 10, 2, nullable=True, comment="Weight from which fish are harvested [g]"),
        date("projected_transfer_date", nullable=True, comment="First projected day with the weight of transfer"),
        numeric("projected_transfer_weight_g", 10, 2, nullable=True, comment="Weight of a fish on that day [g]"),
        count("days_to_transfer", nullable=True, comment="Days from the computed date to that day"),
        numeric("transfer_threshold_g", 10, 2, nullable=True, comment="Weight from which fish go to sea [g]"),
        date("original_harvest_date", nullable=True, comment="Day of harvest in the pinned run of the scenario"),
        integer("harvest_variance_days", nullable=True, comment="Days by which the harvest is later than in that run"),
        boolean("has_planned_harvest", comment="Whether an open activity plans the harvest"),
        boolean("has_planned_transfer", comment="Whether an open activity plans the transfer"),
        boolean("needs_planning_attention", comment="Whether harvest or transfer is near and not planned"),
        varchar("temp_profile_name", 255, comment="Name of the temperature profile"),
        numeric("temp_bias_c", 5, 2, range_=(-MOST_BIAS_C, MOST_BIAS_C), comment="Added to the profile [°C]"),
        count("temp_bias_window_days", comment="Days whose measured temperatures the bias is the mean of"),
        timestamp("last_computed", fill=day("computed_date")),
        date("computed_date", nullable=True, comment="Day on which the forecast was made"),
        index("projected_harvest_date"),
    ),
    reads=READS,
    generate=summaries,
    expected=ByFormula(lambda farm, plan: _horizons(farm, plan).filter(computed_date=farm.as_of).height),
    lineage={
        "current_weight_g": f"{STATES.name}.avg_weight_g",
        "current_population": f"{STATES.name}.population",
        "state_confidence": f"{STATES.name}.confidence_scores",
        "projected_harvest_date": _LINEAGE_OF_WEIGHT,
        "projected_transfer_date": _LINEAGE_OF_WEIGHT,
        "original_harvest_date": f"{PROJECTIONS.name}.average_weight",
    },
    rules=(),
)

__all__ = ["LIVE_PROJECTIONS", "SUMMARIES", "computed_dates", "forecasts"]
