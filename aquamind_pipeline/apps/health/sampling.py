"""Fish that are weighed, measured and scored: an event for each container and day, and its fish.

The fish come first: an event's aggregates are exactly those that AquaMind computes from its fish.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.apps.health.moments import lived
from aquamind_pipeline.arithmetic import Floats, Ints, decimal, deviation, half_up, units
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    NULL,
    OWNER,
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
from aquamind_pipeline.schema.definition import CountedIn, Parent, TableDefinition
from aquamind_pipeline.schema.grouping import by_container_and_date
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import fork_length
from aquamind_pipeline.simulation.body import CONDITION_VARIATION, mean_condition, weight_variation
from aquamind_pipeline.simulation.examinations import EVERY_DAYS
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

_LEAST_G = 0.01
_READS = (*PLAN, "life_day")
_EXAMINED = pl.col("fish_examined")
_PER_K = 10**10
"""Condition factors are added up in whole numbers of this part of 1."""
PLAUSIBLE_CONDITION = (0.5, 2.2)
"""Least and largest condition factor of a living salmon; fish in good condition have 0.9 to 1.5."""
_HALF_WIDTHS = 8.0
"""An event's mean may differ from the state by so many standard errors, besides the error of the state itself."""


def examined(inputs: Inputs) -> pl.DataFrame:
    """Days of life on which fish are examined, with assignment_date and days of the assignment, by container, date."""
    columns = ("assignment_id", "container_id", "state_id", "stage", "date", "weight_g", "fish_examined")
    days = by_container_and_date(lived(inputs, LIFE_DAYS).filter(_EXAMINED > 0).select(columns).collect())
    plan = inputs.plan
    return days.hstack(plan.assignments[["assignment_date", "days"]][plan.rows_of(days["assignment_id"])])


def shapes(seed: int, event: Ints, number: Ints) -> Floats:
    """How much plumper than the mean each fish is, in standard deviations of the condition factor.

    Args:
        seed: The farm's seed.
        event: Sampling event of each fish.
        number: Number of the fish in its event, from 1.
    """
    return draws.normal(draws.stream(seed, "health", "condition"), event, number)


@dataclass(frozen=True)
class ExaminedFish:
    """The fish of some sampling events.

    Attributes:
        events: Rows of `examined`.
        owner: Row of the event of each fish.
        number: Number of each fish in its event, from 1.
        weights: In 0.01 g.
        lengths: In 0.01 cm.
    """

    events: pl.DataFrame
    owner: Ints
    number: Ints
    weights: Ints
    lengths: Ints


def examined_fish(inputs: Inputs) -> ExaminedFish:
    """Weigh and measure the fish of each event."""
    events = examined(inputs)
    fish = events["fish_examined"].to_numpy()
    owner = np.repeat(np.arange(fish.size), fish)
    number = np.arange(owner.size) - (np.cumsum(fish) - fish)[owner] + 1
    event = events["state_id"].to_numpy()[owner]
    seed = inputs.farm.seed
    spread = (events["weight_g"].to_numpy() * weight_variation(events["stage"].to_numpy()))[owner]
    size = draws.normal(draws.stream(seed, "health", "weight"), event, number)
    weights = units(np.maximum(events["weight_g"].to_numpy()[owner] + spread * size, _LEAST_G), 2)
    condition = mean_condition(events)[owner] * (1.0 + CONDITION_VARIATION * shapes(seed, event, number))
    return ExaminedFish(events, owner, number, weights, fork_length(weights / 100.0, condition))


def aggregates(fish: Ints, weights: Ints, lengths: Ints) -> dict[str, pl.Series]:
    """The columns of health_healthsamplingevent that AquaMind computes from an event's fish, as it stores them.

    Means, population standard deviations and the mean condition factor are rounded half up as PostgreSQL rounds. One
    fish has no standard deviation.

    Args:
        fish: Fish of each event, at least one.
        weights: Of all fish, in the order of the events, in 0.01 g.
        lengths: Likewise, in 0.01 cm.
    """
    starts = np.cumsum(fish) - fish
    columns = {"calculated_sample_size": pl.Series(fish.astype(np.int32))}
    for name, values in (("weight_g", weights), ("length_cm", lengths)):
        if not fish.size:
            total = squares = least = most = fish
        else:
            total, squares = np.add.reduceat(values, starts), np.add.reduceat(values * values, starts)
            least, most = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        spread = decimal(deviation(total, squares, fish), 10, 2)
        columns |= {
            f"avg_{name}": decimal(half_up(total, fish), 10, 2),
            f"min_{name}": decimal(least, 10, 2),
            f"max_{name}": decimal(most, 10, 2),
            f"std_dev_{name}": spread.zip_with(pl.Series(fish > 1), pl.Series([None], dtype=spread.dtype)),
        }
    cubes = lengths.astype(np.float64) * lengths * lengths
    factor = np.rint(1e6 * _PER_K * weights / np.maximum(cubes, 1.0)).astype(np.int64)
    total = np.add.reduceat(factor, starts) if fish.size else fish
    return columns | {"avg_k_factor": decimal(half_up(total, fish * (_PER_K // 10**4)), 10, 4)}


def sampling_events(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_healthsamplingevent; an event has the id of its assignment's day."""
    fish = examined_fish(inputs)
    events = fish.events
    number = events["fish_examined"].to_numpy()
    return events.select(
        "assignment_id", id="state_id", sampling_date="date", number_of_fish_sampled="fish_examined"
    ).with_columns(**aggregates(number, fish.weights, fish.lengths))


def events_about(farm: Profile, plan: Plan) -> int:
    """Roughly how many events there will be: those of each batch and stage, and the vaccinations."""
    stages = plan.assignments.filter(pl.col("assignment_date") <= farm.as_of).unique(["batch_id", "stage"])
    every = pl.col("stage").replace_strict(EVERY_DAYS, default=None, return_dtype=pl.Int64)
    routine = stages.select((pl.col("days") * farm.speed / every).sum()).item() or 0
    smolts = plan.assignments.filter((pl.col("stage") == 4) & (pl.col("assignment_date") <= farm.as_of))
    return int(routine) + smolts.height


SAMPLINGS = TableDefinition(
    name="health_healthsamplingevent",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Fish of one assignment that were weighed, measured and scored on one day, by their aggregates.",
    how="One container of a batch a month, and each container of smolts when it is vaccinated.",
    columns=(
        identity("id"),
        date("sampling_date", primary_key=True, comment="Day on which the fish were examined"),
        count("number_of_fish_sampled", comment="Fish that were examined"),
        text("notes", nullable=True, fill=NULL),
        timestamp("created_at", fill=day("sampling_date")),
        timestamp("updated_at", fill=day("sampling_date")),
        refers("assignment_id", "batch_batchcontainerassignment.id"),
        refers("sampled_by_id", "auth_user.id", type_=sa.Integer, nullable=True, fill=OWNER),
        numeric(
            "avg_k_factor",
            10,
            4,
            nullable=True,
            range_=PLAUSIBLE_CONDITION,
            comment="Mean of the fishes' condition factors, 100 × weight / length³ [g/cm³]",
        ),
        numeric("avg_length_cm", 10, 2, nullable=True, comment="Mean length of the examined fish [cm]"),
        numeric("avg_weight_g", 10, 2, nullable=True, comment="Mean weight of the examined fish [g]"),
        count("calculated_sample_size", nullable=True, comment="Fish with both weight and length"),
        numeric("max_length_cm", 10, 2, nullable=True, comment="Length of the longest fish [cm]"),
        numeric("max_weight_g", 10, 2, nullable=True, comment="Weight of the heaviest fish [g]"),
        numeric("min_length_cm", 10, 2, nullable=True, comment="Length of the shortest fish [cm]"),
        numeric("min_weight_g", 10, 2, nullable=True, comment="Weight of the lightest fish [g]"),
        numeric("std_dev_length_cm", 10, 2, nullable=True, comment="Standard deviation of the lengths [cm]"),
        numeric("std_dev_weight_g", 10, 2, nullable=True, comment="Standard deviation of the weights [g]"),
        index("assignment_id", "sampling_date"),
    ),
    time="sampling_date",
    reads=_READS,
    generate=sampling_events,
    expected=CountedIn("life_day", (_EXAMINED > 0).sum(), about=events_about),
    lineage={
        "id": "life_day.state_id",
        "sampling_date": "life_day.date",
        "number_of_fish_sampled": "life_day.fish_examined",
        "avg_weight_g": "life_day.weight_g",
        "avg_length_cm": "life_day.weight_g",
    },
    rules=(),
    bytes_per_row=(450, 4400),
)


def fish_observations(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_individualfishobservation, in the order of their events."""
    fish = examined_fish(inputs)
    event = fish.events["state_id"].to_numpy()[fish.owner]
    most = inputs.farm.fish_per_health_sample
    names = pl.Series([f"F{k:03d}" for k in range(most + 1)])
    return pl.DataFrame(
        {
            "id": (event - 1) * most + fish.number,
            "fish_identifier": names.gather(fish.number),
            "length_cm": decimal(fish.lengths, 10, 2),
            "weight_g": decimal(fish.weights, 10, 2),
            "created_at": fish.events["date"].cast(pl.Datetime("us", "UTC")).gather(fish.owner),
            "sampling_event_id": event,
        }
    )


def _add_up(inputs: RuleInputs) -> CheckResult:
    """Compare each event with what its fish come to."""
    events = inputs.scan(SAMPLINGS.name, [inputs.month]).collect().sort("id")
    rows = inputs.rows.sort("sampling_event_id", "fish_identifier")
    counted = rows.group_by("sampling_event_id", maintain_order=True).agg(fish=pl.len().cast(pl.Int64))
    weights, lengths = ((rows[c] * 100).cast(pl.Int64).fill_null(0).to_numpy() for c in ("weight_g", "length_cm"))
    computed = counted.select(id="sampling_event_id", number_of_fish_sampled=pl.col("fish").cast(pl.Int64))
    computed = computed.with_columns(**aggregates(counted["fish"].to_numpy(), weights, lengths))
    both = events.join(computed, on="id", how="full", suffix="_of_fish", maintain_order="left")
    columns = [name for name in computed.columns if name != "id"]
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_of_fish")) for name in columns)
    return check_result(
        SAMPLINGS_ADD_UP.name,
        both.filter(differs),
        f"{counted.height:,} samplings are what their fish come to",
        "samplings that are not what their fish come to",
    )


SAMPLINGS_ADD_UP = Rule(
    "samplings_add_up",
    "Number, means, deviations, extremes and condition factor of a health sampling are those of its fish.",
    "AquaMind would change the sampling when somebody recalculates it.",
    _add_up,
    reads=(SAMPLINGS.name,),
)


def _shape(inputs: RuleInputs) -> CheckResult:
    """Compare weight and length of each fish."""
    factor = 100 * pl.col("weight_g").cast(pl.Float64) / pl.col("length_cm").cast(pl.Float64) ** 3
    wrong = inputs.rows.with_columns(condition=factor).filter(
        ~pl.col("condition").is_between(*PLAUSIBLE_CONDITION).fill_null(value=False)
    )
    return check_result(
        FISH_HAVE_SHAPE.name,
        wrong,
        f"{inputs.rows.height:,} fish as long as their weight lets expect",
        "fish too long or too short for their weight",
    )


FISH_HAVE_SHAPE = Rule(
    "fish_shape",
    f"Each examined fish has a condition factor from {PLAUSIBLE_CONDITION[0]} to {PLAUSIBLE_CONDITION[1]}.",
    MISLEADING,
    _shape,
)

OBSERVATIONS = TableDefinition(
    name="health_individualfishobservation",
    kind=Kind.CHILD,
    parent=Parent(SAMPLINGS.name, "sampling_event_id"),
    meaning="One fish of a health sampling.",
    how="Weights vary by 15 to 18 % around the container's mean, condition factors by 8 %; lengths follow from both.",
    columns=(
        identity("id"),
        varchar("fish_identifier", 50, comment="Name of the fish within its sampling"),
        numeric("length_cm", 10, 2, nullable=True, range_=(0.01, 200), comment="Length of the fish [cm]"),
        numeric("weight_g", 10, 2, nullable=True, range_=(0.01, 30000), comment="Weight of the fish [g]"),
        timestamp("created_at", primary_key=True, comment="Midnight (UTC) of the sampling's day"),
        timestamp("updated_at", fill=pl.col("created_at")),
        refers("sampling_event_id", f"{SAMPLINGS.name}.id", unenforced=PARTITIONED),
        unique("sampling_event_id", "fish_identifier", "created_at"),
    ),
    time="created_at",
    reads=(*_READS, SAMPLINGS.name),
    generate=fish_observations,
    expected=CountedIn(
        SAMPLINGS.name,
        pl.col("number_of_fish_sampled").sum(),
        about=lambda farm, plan: events_about(farm, plan) * farm.fish_per_health_sample,
    ),
    lineage={
        "id": f"{SAMPLINGS.name}.id",
        "weight_g": "life_day.weight_g",
        "length_cm": "life_day.weight_g",
        "created_at": f"{SAMPLINGS.name}.sampling_date",
    },
    rules=(SAMPLINGS_ADD_UP, FISH_HAVE_SHAPE),
    bytes_per_row=(16, 320),
)

__all__ = ["OBSERVATIONS", "SAMPLINGS", "aggregates", "events_about", "examined", "examined_fish", "shapes"]
