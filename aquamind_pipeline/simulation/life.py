"""The simulated truth: one row per container assignment and day, and the moves between assignments.

Order within a day: the fish that arrive are counted, then the day's dead leave, then the living grow. `population` and
`weight_g` hold at the end of the day. Fish that move leave after the last day of their source and are in the
destination from the start of its first day.

Weight is additive in cube-root space (thermal growth coefficient, Iwama & Tautz 1981): root(W) grows by TGC/1000 x
temperature a day, so a stay is one cumulative sum. Deaths depend on the fish left, so they step over days, for all
assignments of a stage at once.
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
"""AquaMind's causes of death that we use; `cause` is an index into them."""

_HANDLING_DAYS, _HANDLING_FACTOR = 3, 2.0  # the first days after a move cost more fish
_BROOD_SPREAD, _DAY_SPREAD = 0.015, 0.2  # standard deviations of the hazard's factor by batch, and by stay and day
_SURE = 5.0
_OUTBREAK_WINDOW_DAYS, _OUTBREAK_CHANCE, _OUTBREAK_DAYS, _OUTBREAK_FACTOR = 60, 0.08, 14, 4.0  # disease at sea


@dataclass(frozen=True)
class Life:
    """What really happened up to `as_of`.

    days: state_id, assignment_id, batch_id, container_id, site, stage, date, batch_day (from 0), temp_c, population,
        weight_g, deaths, cause (index into CAUSES), feed_dg (decigrams, 0.0001 kg), sorted by assignment and date.
    moves: batch_id, stage (of the source), source_assignment_id, dest_assignment_id, date, count, deaths,
        source_population_before, weight_g (of the source's fish), sorted by source and destination.
    """

    days: pl.DataFrame
    moves: pl.DataFrame


def live(profile: Profile, plan: Plan) -> Life:
    """Live the planned lives of all batches in `plan` up to `profile.as_of`. Any subset of whole batches gives the
    same rows for them, so a large farm can be lived in slices.
    """
    horizon = profile.as_of.toordinal() + 1
    first_day = profile.epoch.toordinal()
    temp_c = climate.site_temperature_c(profile.seed, first_day, horizon - first_day, profile.sites)
    eggs = plan.batches.sort("batch_id")["eggs"].to_numpy()
    stays = plan.assignments.sort("batch_id", "stage", "position")
    days: list[pl.DataFrame] = []
    moves: list[pl.DataFrame] = []
    fish: Ints = np.empty((0, 0), np.int64)
    root: Floats = np.empty((0, 0))
    for stage in STAGES:
        group = stays.filter(stage=stage.order)
        shape = (eggs.size, group.height // eggs.size)
        if stage.order == 1:
            fish = eggs[:, None] // shape[1] + (np.arange(shape[1])[None, :] < eggs[:, None] % shape[1])
            root = np.full(shape, float(cube_root(EGG_WEIGHT_G)))
        lived, fish, root = _live_stage(profile, stage, group, fish.ravel(), root.ravel(), temp_c, first_day, horizon)
        days.append(lived)
        if stage is not STAGES[-1]:
            after = stays.filter(stage=stage.order + 1)
            moved, fish, root = _move(profile, stage, group, after, fish.reshape(shape), root.reshape(shape), horizon)
            moves.append(moved)
    return Life(
        pl.concat(days).sort("assignment_id", "date"),
        pl.concat(moves).sort("source_assignment_id", "dest_assignment_id"),
    )


def _live_stage(
    profile: Profile,
    stage: Stage,
    group: pl.DataFrame,
    fish: Ints,
    root: Floats,
    temp_c: Floats,
    first_day: int,
    horizon: int,
) -> tuple[pl.DataFrame, Ints, Floats]:
    """All assignments of one stage: their days, and fish and cube root of weight at the end."""
    ids = group["assignment_id"].to_numpy()
    begins = np.array([d.toordinal() for d in group["assignment_date"]])
    length = group["days"].to_numpy()
    lived = np.clip(horizon - begins, 0, length)
    width = int(lived.max(initial=0))
    day = np.arange(width, dtype=np.int64)
    inside = day[None, :] < lived[:, None]
    column = np.minimum(begins[:, None] + day[None, :] - first_day, temp_c.shape[1] - 1)
    depth = 0.1 * draws.normal(draws.stream(profile.seed, "life", "container"), group["container_id"].to_numpy())
    warmth = temp_c[group["site"].to_numpy()[:, None], column] + depth[:, None]

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
    """Daily chance of death and its likely cause, [assignments, days]: base rate, brood, handling, outbreaks."""
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
    """Least and most that a batch's hazard over a stage comes to, as a multiple of the stage's daily rate.

    Means plus and minus `_SURE` standard deviations of what `_hazard` draws: brood, days, handling and, at sea,
    outbreaks, which average out over many rings and days but not over few.

    Args:
        stage: Its order.
        days: Days spent in the stage.
        containers: Containers that the batch was spread over.
    """
    lived = np.maximum(np.asarray(days, np.float64), 1.0)
    apart = np.asarray(containers, np.float64)
    handled = (_HANDLING_FACTOR - 1) * np.minimum(_HANDLING_DAYS, lived) / lived if stage > 1 else np.zeros_like(lived)
    least = most = 1.0 + handled
    spread = _SURE * _DAY_SPREAD * (1.0 + handled) / np.sqrt(lived * apart)
    if stage == ADULT.order:
        windows = np.arange(0, int(lived.max(initial=0)) + 1, _OUTBREAK_WINDOW_DAYS)
        share = np.clip(lived[:, None] - windows, 0, _OUTBREAK_DAYS) / lived[:, None]
        more = (_OUTBREAK_FACTOR - 1) * (1.0 + handled)
        chance = _OUTBREAK_CHANCE * (1 - _OUTBREAK_CHANCE)
        outbreaks = more * np.sqrt(chance * (share * share).sum(axis=1) / apart)
        mean = more * _OUTBREAK_CHANCE * share.sum(axis=1)
        most = most + mean + _SURE * outbreaks
        least = least + np.maximum(mean - _SURE * outbreaks, 0.0)
    brood = _SURE * _BROOD_SPREAD
    return least * (1 - brood) - spread, most * (1 + brood) + spread


def _move(
    profile: Profile, stage: Stage, sources: pl.DataFrame, dests: pl.DataFrame, fish: Ints, root: Floats, horizon: int
) -> tuple[pl.DataFrame, Ints, Floats]:
    """Move each batch's fish [batch, source] on to the next stage's containers [batch, destination].

    Sources and destinations are laid side by side as intervals of one line of fish; where two overlap, that many move.
    So counts add up to the fish whatever the numbers of containers; equal numbers pair off one to one.
    """
    ids = sources["assignment_id"].to_numpy().reshape(fish.shape)
    u = draws.uniform(draws.stream(profile.seed, "life", "transfer"), ids)
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

    happened = np.array([d.toordinal() for d in dests["assignment_date"]]).reshape(shares.shape)[:, 0] < horizon
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
    """What the books ask of each stay: assignment_id, population and weight_g at its end, first_temp_c, and
    last_weighing_date.

    Args:
        days: `Life.days`.
        samples_per_week: Growth samples of a batch.
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


__all__ = ["CAUSES", "Life", "live", "summary"]
