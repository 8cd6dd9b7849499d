"""The simulated truth: one row per container assignment and day, and the moves between assignments.

Order within a day: arriving fish are counted, then the day's dead leave, then the living grow. `population` and
`weight_g` are those at the end of the day. Fish that move leave after the last day of their source assignment. They
are in the destination from the start of its first day.

The cube root of the weight grows by TGC/1000 x temperature a day (thermal growth coefficient, Iwama & Tautz 1981). So
the weights of an assignment are one cumulative sum. Deaths depend on the fish left, so a loop steps over the days, for
all assignments of a stage at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root
from aquamind_pipeline.simulation import climate, draws
from aquamind_pipeline.simulation.biology import ADULT, EGG_WEIGHT_G, STAGES, TRANSFER_MORTALITY, Stage
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, is_sampling_day

CAUSES = ("UNKNOWN", "DISEASE", "HANDLING", "ENVIRONMENTAL", "PREDATION")
"""The causes of death used here, as AquaMind names them. The column `cause` is an index into this tuple."""

_HANDLING_DAYS, _HANDLING_FACTOR = 3, 2.0
"""For so many days after a move the daily chance of death is multiplied by this factor."""
_BROOD_SPREAD, _DAY_SPREAD = 0.015, 0.2
"""Standard deviations of two factors of the chance of death: one per batch, one per assignment and day."""
_BOUND_DEVIATIONS = 5.0
_OUTBREAK_WINDOW_DAYS, _OUTBREAK_CHANCE, _OUTBREAK_DAYS, _OUTBREAK_FACTOR = 60, 0.08, 14, 4.0
"""Disease at sea: in each window an outbreak with this chance, for so many days, multiplies the chance of death."""


@dataclass(frozen=True)
class Life:
    """What really happened up to `as_of`.

    Attributes:
        days: state_id, assignment_id, batch_id, container_id, site, stage, date, batch_day (from 0), temp_c,
            population, weight_g, deaths, cause (index into CAUSES), feed_dg (decigrams, 0.0001 kg), sorted by
            assignment and date.
        moves: batch_id, stage (of the source), source_assignment_id, dest_assignment_id, date, count, deaths,
            source_population_before, weight_g (of the source's fish), sorted by source and destination.
    """

    days: pl.DataFrame
    moves: pl.DataFrame


@dataclass(frozen=True)
class _Simulation:
    """What all stages of a simulation share.

    Attributes:
        profile: The farm's profile.
        temp_c: Water temperature [site, day].
        first_day: The day of the first temperature, as `date.toordinal()`.
        horizon: The day after the last day to simulate, as `date.toordinal()`.
    """

    profile: Profile
    temp_c: Floats
    first_day: int
    horizon: int

    @classmethod
    def of(cls, profile: Profile) -> _Simulation:
        """The simulation of this farm, from its first day to its `as_of`."""
        first_day, horizon = profile.epoch.toordinal(), profile.as_of.toordinal() + 1
        temp_c = climate.site_temperature_c(profile.seed, first_day, horizon - first_day, profile.sites)
        return cls(profile, temp_c, first_day, horizon)


def live(profile: Profile, plan: Plan) -> Life:
    """Simulate the planned lives of all batches in `plan` up to `profile.as_of`.

    A plan with some of the batches gives the same rows for them, so a large farm can be simulated in slices.
    """
    simulation = _Simulation.of(profile)
    eggs = plan.batches.sort("batch_id")["eggs"].to_numpy()
    assignments = plan.assignments.sort("batch_id", "stage", "position")
    days: list[pl.DataFrame] = []
    moves: list[pl.DataFrame] = []
    fish: Ints = np.empty((0, 0), np.int64)
    root: Floats = np.empty((0, 0))
    for stage in STAGES:
        group = assignments.filter(stage=stage.order)
        shape = (eggs.size, group.height // eggs.size)
        if stage.order == 1:
            fish = eggs[:, None] // shape[1] + (np.arange(shape[1])[None, :] < eggs[:, None] % shape[1])
            root = np.full(shape, float(cube_root(EGG_WEIGHT_G)))
        lived, fish, root = _live_stage(simulation, stage, group, fish.ravel(), root.ravel())
        days.append(lived)
        if stage is not STAGES[-1]:
            after = assignments.filter(stage=stage.order + 1)
            moved, fish, root = _move(simulation, stage, group, after, fish.reshape(shape), root.reshape(shape))
            moves.append(moved)
    return Life(
        pl.concat(days).sort("assignment_id", "date"),
        pl.concat(moves).sort("source_assignment_id", "dest_assignment_id"),
    )


def _live_stage(
    simulation: _Simulation, stage: Stage, group: pl.DataFrame, fish: Ints, root: Floats
) -> tuple[pl.DataFrame, Ints, Floats]:
    """Simulate one stage.

    Args:
        simulation: What all stages share.
        stage: The stage.
        group: Its planned assignments.
        fish: Fish of each assignment at its start.
        root: Cube root of their weight in g.

    Returns:
        The rows of `Life.days`, and fish and cube root of weight of each assignment at its end.
    """
    profile = simulation.profile
    ids = group["assignment_id"].to_numpy()
    begins = np.array([d.toordinal() for d in group["assignment_date"]])
    lived = np.clip(simulation.horizon - begins, 0, group["days"].to_numpy())
    width = int(lived.max(initial=0))
    day = np.arange(width, dtype=np.int64)
    inside = day[None, :] < lived[:, None]
    column = np.minimum(begins[:, None] + day[None, :] - simulation.first_day, simulation.temp_c.shape[1] - 1)
    depth = 0.1 * draws.normal(draws.stream(profile.seed, "life", "container"), group["container_id"].to_numpy())
    warmth = simulation.temp_c[group["site"].to_numpy()[:, None], column] + depth[:, None]

    vigour = 1.0 + 0.01 * draws.normal(draws.stream(profile.seed, "life", "vigour"), ids)
    gain = stage.tgc / 1000 * profile.speed * vigour
    roots = root[:, None] + np.cumsum(warmth * gain[:, None], axis=1)

    hazard, cause = _hazard(profile, stage, group, day)
    luck = draws.uniform(draws.stream(profile.seed, "life", "deaths"), ids[:, None], day[None, :])
    population = np.empty((ids.size, width), np.int64)
    deaths = np.empty_like(population)
    left = fish.copy()
    for d in range(width):
        dead = np.where(inside[:, d], np.minimum(draws.stochastic_round(left * hazard[:, d], luck[:, d]), left), 0)
        left -= dead
        population[:, d], deaths[:, d] = left, dead

    weight = roots * roots * roots
    before = np.hstack([(root * root * root)[:, None], weight[:, :-1]]) if width else weight
    appetite = 1.0 + 0.05 * draws.normal(draws.stream(profile.seed, "life", "feed"), ids[:, None], day[None, :])
    feed_dg = np.rint(stage.fcr * (weight - before) * population * appetite * 10.0).astype(np.int64)

    last = np.maximum(lived - 1, 0)
    rows = np.arange(ids.size)
    end = roots[rows, last] if width else root
    owner = np.repeat(rows, lived)
    offset = np.broadcast_to(day, inside.shape)[inside]
    frame = group[["assignment_id", "batch_id", "container_id", "site", "stage"]][owner].with_columns(
        state_id=pl.Series(group["first_state_id"].to_numpy()[owner] + offset),
        date=pl.Series(begins[owner] + offset - date(1970, 1, 1).toordinal()).cast(pl.Int32).cast(pl.Date),
        batch_day=pl.Series(group["batch_day"].to_numpy()[owner] + offset),
        temp_c=pl.Series(warmth[inside]),
        population=pl.Series(population[inside]),
        weight_g=pl.Series(weight[inside]),
        deaths=pl.Series(deaths[inside]),
        cause=pl.Series(cause[inside]),
        feed_dg=pl.Series(feed_dg[inside]),
    )
    return frame, left, end


def _hazard(profile: Profile, stage: Stage, group: pl.DataFrame, day: Ints) -> tuple[Floats, Ints]:
    """Chance of death and its likely cause, [assignment, day].

    The chance is the stage's daily rate, changed by brood, day, handling after a move, and outbreaks at sea.
    """
    ids, batch = group["assignment_id"].to_numpy(), group["batch_id"].to_numpy()
    brood = 1.0 + _BROOD_SPREAD * draws.normal(draws.stream(profile.seed, "life", "brood"), batch)
    spread = 1.0 + _DAY_SPREAD * draws.normal(draws.stream(profile.seed, "life", "day"), ids[:, None], day[None, :])
    hazard = stage.daily_mortality * profile.speed * brood[:, None] * spread
    kind = draws.uniform(draws.stream(profile.seed, "life", "cause"), ids[:, None], day[None, :])
    cause = np.where(kind < 0.15, CAUSES.index("ENVIRONMENTAL"), CAUSES.index("UNKNOWN"))
    if stage.order > 1:
        handled = np.broadcast_to(day < _HANDLING_DAYS, hazard.shape)
        hazard = np.where(handled, hazard * _HANDLING_FACTOR, hazard)
        cause = np.where(handled, CAUSES.index("HANDLING"), cause)
    if stage.at_sea:
        cause = np.where(kind > 0.9, CAUSES.index("PREDATION"), cause)
        window, within = day // _OUTBREAK_WINDOW_DAYS, day % _OUTBREAK_WINDOW_DAYS
        chance = draws.uniform(draws.stream(profile.seed, "life", "outbreak"), ids[:, None], window[None, :])
        sick = (chance < _OUTBREAK_CHANCE) & (within < _OUTBREAK_DAYS)[None, :]
        hazard = np.where(sick, hazard * _OUTBREAK_FACTOR, hazard)
        cause = np.where(sick, CAUSES.index("DISEASE"), cause)
    return hazard, cause.astype(np.int64)


def hazard_bounds(stage: int, days: Ints, containers: Ints) -> tuple[Floats, Floats]:
    """Bounds of a batch's mean chance of death in a stage, as multiples of the stage's daily rate.

    The bounds are the mean of what `_hazard` draws, plus and minus `_BOUND_DEVIATIONS` standard deviations. More days
    and containers narrow them, because the draws of days and outbreaks average out.

    Args:
        stage: The stage's order.
        days: Days spent in the stage.
        containers: Number of containers that shared the batch.

    Returns:
        The lower and the upper bound.
    """
    lived = np.maximum(np.asarray(days, np.float64), 1.0)
    shared = np.asarray(containers, np.float64)
    handled = (_HANDLING_FACTOR - 1) * np.minimum(_HANDLING_DAYS, lived) / lived if stage > 1 else np.zeros_like(lived)
    least = most = 1.0 + handled
    spread = _BOUND_DEVIATIONS * _DAY_SPREAD * (1.0 + handled) / np.sqrt(lived * shared)
    if stage == ADULT.order:
        windows = np.arange(0, int(lived.max(initial=0)) + 1, _OUTBREAK_WINDOW_DAYS)
        share = np.clip(lived[:, None] - windows, 0, _OUTBREAK_DAYS) / lived[:, None]
        more = (_OUTBREAK_FACTOR - 1) * (1.0 + handled)
        variance = _OUTBREAK_CHANCE * (1 - _OUTBREAK_CHANCE)
        outbreaks = more * np.sqrt(variance * (share * share).sum(axis=1) / shared)
        mean = more * _OUTBREAK_CHANCE * share.sum(axis=1)
        most = most + mean + _BOUND_DEVIATIONS * outbreaks
        least = least + np.maximum(mean - _BOUND_DEVIATIONS * outbreaks, 0.0)
    brood = _BOUND_DEVIATIONS * _BROOD_SPREAD
    return least * (1 - brood) - spread, most * (1 + brood) + spread


def _move(
    simulation: _Simulation, stage: Stage, sources: pl.DataFrame, dests: pl.DataFrame, fish: Ints, root: Floats
) -> tuple[pl.DataFrame, Ints, Floats]:
    """Move each batch's fish into the containers of the next stage.

    Imagine a batch's fish in one line. Each source and each destination is an interval of the line. The overlap of two
    intervals is the number of fish that move between the two. So the counts always add up to the batch's fish. With
    equal numbers of containers, each source has one destination.

    Args:
        simulation: What all stages share.
        stage: The stage that the fish leave.
        sources: Assignments of that stage.
        dests: Assignments of the next stage.
        fish: Fish at the end of the stage [batch, source].
        root: Cube root of their weight in g [batch, source].

    Returns:
        The rows of `Life.moves`, and fish and cube root of weight at the start of the next stage [batch, destination].
    """
    ids = sources["assignment_id"].to_numpy().reshape(fish.shape)
    u = draws.uniform(draws.stream(simulation.profile.seed, "life", "transfer"), ids)
    dead = np.minimum(draws.stochastic_round(fish * TRANSFER_MORTALITY, u), fish)
    moved = fish - dead
    width = dests.height // fish.shape[0]
    total = moved.sum(axis=1, keepdims=True)
    shares = moved if width == fish.shape[1] else total // width + (np.arange(width) < total % width)
    source_end, dest_end = np.cumsum(moved, axis=1), np.cumsum(shares, axis=1)
    overlap = np.minimum(source_end[:, :, None], dest_end[:, None, :]) - np.maximum(
        (source_end - moved)[:, :, None], (dest_end - shares)[:, None, :]
    )
    count = np.maximum(overlap, 0)
    weight = root * root * root
    new_weight = (count * weight[:, :, None]).sum(axis=1) / np.maximum(shares, 1)

    arrival = np.array([d.toordinal() for d in dests["assignment_date"]]).reshape(shares.shape)[:, 0]
    happened = arrival < simulation.horizon
    b, i, j = np.nonzero((count > 0) & happened[:, None, None])
    gone = np.cumsum(count, axis=2) - count
    first = gone[b, i, j] == 0
    frame = pl.DataFrame(
        {
            "batch_id": sources["batch_id"].to_numpy().reshape(fish.shape)[b, i],
            "stage": np.full(b.size, stage.order),
            "source_assignment_id": ids[b, i],
            "dest_assignment_id": dests["assignment_id"].to_numpy().reshape(shares.shape)[b, j],
            "count": count[b, i, j],
            "deaths": np.where(first, dead[b, i], 0),
            "source_population_before": fish[b, i] - gone[b, i, j] - np.where(first, 0, dead[b, i]),
            "weight_g": weight[b, i],
        }
    ).with_columns(date=dests["assignment_date"].gather(j + b * width))
    return frame, shares, cube_root(np.maximum(new_weight, EGG_WEIGHT_G / 2))


def summary(days: pl.LazyFrame, samples_per_week: int) -> pl.DataFrame:
    """Summarise each assignment's life for the tables of records.

    Args:
        days: `Life.days`.
        samples_per_week: Days of each week on which a batch is sampled.

    Returns:
        assignment_id, population and weight_g on its last day, first_temp_c, and last_weighing_date.
    """
    sampled = (pl.col("stage") > 1) & is_sampling_day(pl.col("batch_day"), samples_per_week)
    return (
        days.group_by("assignment_id")
        .agg(
            population=pl.col("population").max_by("date"),
            weight_g=pl.col("weight_g").max_by("date"),
            first_temp_c=pl.col("temp_c").min_by("date"),
            last_weighing_date=pl.col("date").filter(sampled).max(),
        )
        .collect(engine="streaming")
    )


__all__ = ["CAUSES", "Life", "hazard_bounds", "live", "summary"]
