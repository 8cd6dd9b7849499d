"""Growth samples, and the fish that were weighed and measured for each.

The fish come first: a sample's aggregates are exactly those that AquaMind computes from its fish.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from aquamind_pipeline.apps.batch.weight_rules import PLAUSIBLE_SAMPLES
from aquamind_pipeline.arithmetic import Ints, decimal, deviation, half_up, units
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    NULL,
    PARTITIONED,
    count,
    date,
    day,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import CountedIn, Freshness, Parent, TableDefinition
from aquamind_pipeline.schema.grouping import by_container_and_date
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import fork_length
from aquamind_pipeline.simulation.body import CONDITION_VARIATION, mean_condition, weight_variation
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sampling_days import samples_before
from aquamind_pipeline.simulation.schedule import Plan, rows_by_month

_LEAST_G = 0.01
_READS = (*PLAN, "life_day")


@dataclass(frozen=True)
class SampledFish:
    """The fish of some samples.

    Attributes:
        samples: id, assignment_id and date of each sample, sorted by container and date.
        weights: Of each sample's fish, in 0.01 g, [samples, fish].
        lengths: Of each sample's fish, in 0.01 cm, [samples, fish].
    """

    samples: pl.DataFrame
    weights: Ints
    lengths: Ints


def sampled_fish(inputs: Inputs) -> SampledFish:
    """Weigh and measure some fish of each assignment on the days that life chose."""
    farm = inputs.farm
    columns = ("assignment_id", "container_id", "date", "batch_day", "stage", "weight_g")
    days = inputs.lazy("life_day").filter(pl.col("fish_weighed") > 0).select(columns).collect()
    samples = _with_id(inputs, by_container_and_date(days))
    # One row for the first fish of every sample, one for the second, and so on: numpy adds such rows up much faster.
    ids, fish = samples["id"].to_numpy()[None, :], np.arange(farm.fish_per_sample)[:, None]
    # Products and sums are in place, because new memory for so many fish takes as long as they do.
    weight_g = draws.normal(draws.stream(farm.seed, "samples", "weight"), ids, fish)
    weight_g *= weight_variation(samples["stage"].to_numpy())
    weight_g += 1.0
    weight_g *= samples["weight_g"].to_numpy()
    weights = units(np.maximum(weight_g, _LEAST_G, out=weight_g), 2)
    condition = draws.normal(draws.stream(farm.seed, "samples", "condition"), ids, fish)
    condition *= CONDITION_VARIATION
    condition += 1.0
    condition *= mean_condition(samples)
    lengths = fork_length(weights / 100.0, condition)
    return SampledFish(samples[["id", "assignment_id", "date"]], weights.T, lengths.T)


def _with_id(inputs: Inputs, days: pl.DataFrame) -> pl.DataFrame:
    """Days on which fish are weighed, with id, and assignment_date and days of the assignment."""
    plan, per_week = inputs.plan, inputs.farm.samples_per_week
    assignments = plan.assignments[["assignment_date", "days", "first_sample_id", "batch_day"]]
    begun = assignments[plan.rows_of(days["assignment_id"])]
    samples = days.hstack(begun[["assignment_date", "days"]])
    due = samples_before(days["batch_day"].to_numpy() + 1, per_week)
    before = samples_before(begun["batch_day"].to_numpy(), per_week)
    return samples.with_columns(id=begun["first_sample_id"] + pl.Series(due - before - 1))


def aggregates(weights: Ints, lengths: Ints) -> dict[str, pl.Series]:
    """The columns of batch_growthsample that AquaMind computes from a sample's fish, as it stores them.

    Means and population standard deviations are exact before they are rounded, half up as PostgreSQL rounds. The
    condition factor is that of the mean fish, 100 × mean weight / mean length³, rounded half up.
    """
    n = weights.shape[1]
    weight, length = weights.sum(axis=1), lengths.sum(axis=1)
    condition = np.floor(1e8 * n * n * weight / (length.astype(np.float64) ** 3) + 0.5).astype(np.int64)
    return {
        "sample_size": pl.Series(np.full(weight.size, n, np.int32)),
        "avg_weight_g": decimal(half_up(weight, n), 10, 2),
        "avg_length_cm": decimal(half_up(length, n), 10, 2),
        "std_deviation_weight": decimal(deviation(weight, (weights * weights).sum(axis=1), n), 10, 2),
        "std_deviation_length": decimal(deviation(length, (lengths * lengths).sum(axis=1), n), 10, 2),
        "min_weight_g": decimal(weights.min(axis=1), 10, 2),
        "max_weight_g": decimal(weights.max(axis=1), 10, 2),
        "condition_factor": decimal(condition, 10, 2),
    }


def growth_samples(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_growthsample."""
    fish = sampled_fish(inputs)
    samples = fish.samples
    keys = {"id": samples["id"], "assignment_id": samples["assignment_id"], "sample_date": samples["date"]}
    return pl.DataFrame({**keys, **aggregates(fish.weights, fish.lengths)})


def _samples_about(farm: Profile, plan: Plan) -> int:
    """Roughly how many growth samples there will be: those that are due, and a few are left out."""
    upto, before = (
        samples_before(pl.col("batch_day") + pl.col(end), farm.samples_per_week) for end in ("until", "since")
    )
    due = pl.when(pl.col("stage") > 1).then(upto - before).otherwise(0)
    return int(rows_by_month(farm, plan, due)["rows"].sum())


GROWTH_SAMPLES = TableDefinition(
    name="batch_growthsample",
    part="events",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Fish of one assignment weighed and measured on one day, by their aggregates.",
    how="Several times a week, on working days without treatment or fasting, fish of each assignment are measured.",
    columns=(
        identity("id"),
        refers("assignment_id", "batch_batchcontainerassignment.id"),
        date("sample_date", primary_key=True),
        count("sample_size"),
        numeric("avg_weight_g", 10, 2, range_=(0, 20000)),
        numeric("avg_length_cm", 10, 2, nullable=True),
        numeric("std_deviation_weight", 10, 2, nullable=True),
        numeric("std_deviation_length", 10, 2, nullable=True),
        numeric("min_weight_g", 10, 2, nullable=True, range_=(0, 20000)),
        numeric("max_weight_g", 10, 2, nullable=True, range_=(0, 30000)),
        numeric("condition_factor", 10, 2, nullable=True, range_=(0.5, 2.0)),
        text("notes", nullable=True, fill=NULL),
        timestamp("created_at", fill=day("sample_date")),
        timestamp("updated_at", fill=day("sample_date")),
        index("assignment_id", "sample_date"),
    ),
    time="sample_date",
    reads=_READS,
    generate=growth_samples,
    expected=CountedIn("life_day", (pl.col("fish_weighed") > 0).sum(), about=_samples_about),
    lineage={
        "id": "plan_assignment.first_sample_id",
        "sample_date": "life_day.date",
        "sample_size": "life_day.fish_weighed",
        "avg_weight_g": "life_day.weight_g",
    },
    rules=(PLAUSIBLE_SAMPLES,),
    freshness=Freshness(silent_days=21, fed=True, wanted=lambda farm: farm.samples_per_week > 0),
    bytes_per_row=(22, 298),
)


def fish_observations(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_individualgrowthobservation, in the order of their samples."""
    fish = sampled_fish(inputs)
    n = inputs.farm.fish_per_sample
    sample_id = np.repeat(fish.samples["id"].to_numpy(), n)
    number = np.tile(np.arange(1, n + 1), fish.samples.height)
    names = pl.Series([f"F{k:03d}" for k in range(n + 1)])
    return pl.DataFrame(
        {
            "id": (sample_id - 1) * n + number,
            "growth_sample_id": sample_id,
            "fish_identifier": names.gather(number),
            "weight_g": decimal(fish.weights.ravel(), 10, 2),
            "length_cm": decimal(fish.lengths.ravel(), 10, 2),
            "created_at": fish.samples["date"]
            .cast(pl.Datetime("us", "UTC"))
            .gather(np.repeat(np.arange(fish.samples.height), n)),
        }
    )


def _add_up(inputs: RuleInputs) -> CheckResult:
    """Compare each sample with what its fish come to."""
    samples = inputs.scan("batch_growthsample", [inputs.month]).collect().sort("id")
    rows = inputs.rows.sort("growth_sample_id", "fish_identifier")
    counted = rows.group_by("growth_sample_id", maintain_order=True).agg(fish=pl.len())
    n = int(counted["fish"][0]) if counted.height else 1
    if counted["fish"].n_unique() > 1 or rows.height % n or counted.height != samples.height:
        odd = samples.select("id", "sample_size").join(counted, left_on="id", right_on="growth_sample_id", how="full")
        wrong = odd.filter(pl.col("sample_size").ne_missing(pl.col("fish").cast(pl.Int64)))
        return check_result(SAMPLES_ADD_UP.name, wrong, "", "samples with more or fewer fish than their sample_size")
    weights, lengths = ((rows[c] * 100).cast(pl.Int64).to_numpy().reshape(-1, n) for c in _MEASURED)
    computed = pl.DataFrame({"id": counted["growth_sample_id"], **aggregates(weights, lengths)})
    both = samples.join(computed, on="id", how="full", suffix="_of_fish", maintain_order="left")
    columns = [name for name in computed.columns if name != "id"]
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_of_fish")) for name in columns)
    wrong = both.filter(differs)
    return check_result(
        SAMPLES_ADD_UP.name, wrong, f"{counted.height:,} samples are what their fish come to", "samples that are not"
    )


_MEASURED = ("weight_g", "length_cm")
SAMPLES_ADD_UP = Rule(
    name="samples_add_up",
    text="Size, means, deviations, extremes and condition factor of a sample are those of its fish.",
    why="AquaMind would change the sample when somebody recalculates it.",
    check=_add_up,
    reads=("batch_growthsample",),
)

FISH_OBSERVATIONS = TableDefinition(
    name="batch_individualgrowthobservation",
    part="events",
    kind=Kind.CHILD,
    parent=Parent("batch_growthsample", "growth_sample_id"),
    meaning="One fish of a growth sample.",
    how="Weights vary by 15 to 18 % around the container's mean, condition factors by 8 %; lengths follow from both.",
    columns=(
        identity("id"),
        refers("growth_sample_id", "batch_growthsample.id", unenforced=PARTITIONED),
        varchar("fish_identifier", 50, comment="Name of the fish within its sample"),
        numeric("weight_g", 10, 2, range_=(0.01, 30000), comment="Weight of the fish [g]"),
        numeric("length_cm", 10, 2, range_=(0.01, 200), comment="Length of the fish [cm]"),
        timestamp("created_at", primary_key=True, comment="Midnight (UTC) of the sample's day"),
        timestamp("updated_at", fill=pl.col("created_at")),
        unique("growth_sample_id", "fish_identifier", "created_at"),
    ),
    time="created_at",
    reads=(*_READS, "batch_growthsample"),
    generate=fish_observations,
    expected=CountedIn(
        "batch_growthsample",
        pl.col("sample_size").sum(),
        about=lambda farm, plan: _samples_about(farm, plan) * farm.fish_per_sample,
    ),
    lineage={
        "id": "batch_growthsample.id",
        "weight_g": "life_day.weight_g",
        "length_cm": "life_day.weight_g",
        "created_at": "batch_growthsample.sample_date",
    },
    rules=(SAMPLES_ADD_UP,),
    bytes_per_row=(6, 175),
)

__all__ = ["FISH_OBSERVATIONS", "GROWTH_SAMPLES", "aggregates", "sampled_fish"]
