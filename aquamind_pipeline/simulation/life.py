"""The simulated truth: one row per container assignment and day, and the moves between assignments.

Order within a day: arriving fish are counted, then the day's dead leave, then the living eat and grow. `population`
and `weight_g` are those at the end of the day. Fish that move leave after the last day of their source assignment.
They are in the destination from the start of its first day.

The cube root of the weight grows by TGC/1000 x temperature a day (thermal growth coefficient, Iwama & Tautz 1981),
times the day's appetite. `stage_days` steps over the days of a stage, for all its assignments at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, EGG_WEIGHT_G, STAGES, TRANSFER_MORTALITY, Stage
from aquamind_pipeline.simulation.conditions import Conditions
from aquamind_pipeline.simulation.emergencies import emergencies
from aquamind_pipeline.simulation.grading import AVERAGE
from aquamind_pipeline.simulation.mixing import is_mixed, left_over
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.stage_days import StageLife, live_stage
from aquamind_pipeline.simulation.stage_inputs import Arrivals, as_dates, as_ordinals
from aquamind_pipeline.simulation.stage_record import DAY_COLUMNS


@dataclass(frozen=True)
class Life:
    """What really happened up to `as_of`.

    Attributes:
        days: state_id, assignment_id, batch_id, container_id, site, stage, date, batch_day (from 0), temp_c,
            population, weight_g, deaths, reason (index into `deaths.REASONS`), second_deaths (those of `deaths` that
            have another reason), second_reason, appetite (0 without feed, about 1 on a good day), gill and wound (mean
            scores, 0 to 3), fasting (why there is no feed: `stage_days`), feed_dg (decigrams, 0.0001 kg), meals,
            fish_weighed (fish of that day's growth sample, or 0), fish_examined (fish weighed, measured and scored that
            day, or 0), sorted by assignment and date.
        moves: batch_id (that of the source; the mixed batch, if fish are mixed), stage (of the source),
            source_assignment_id, dest_assignment_id, date, count, deaths (those
            of emergencies are among the source's deaths of the day), source_population_before, weight_g (of the moved
            fish), picked (index into `grading.SELECTIONS`), sorted by source and destination.
        lice: Of rings: assignment_id, batch_id, container_id, date, lice per fish (sessile, preadult, adult_male,
            adult_female, caligus), fish_counted (fish on which lice are counted that day, or 0), sorted like `days`.
        treatments: assignment_id, batch_id, container_id, date, method (index into `treatments.METHODS`), reason
            (index into `treatments.REASONS`), seen (lice, chance of death, score or weight that led to it), share of
            each stage of lice that it removes, loss (share of the fish that dies of it in the days after),
            fasting_days (with the day itself), withholding_days, days (its length), population and weight_g (before
            it), sorted by assignment and date.
    """

    days: pl.DataFrame
    moves: pl.DataFrame
    lice: pl.DataFrame
    treatments: pl.DataFrame

    def of_batches(self, batch_ids: Sequence[int]) -> Life:
        """The lives of some of the batches."""
        return Life(*(frame.filter(pl.col("batch_id").is_in(list(batch_ids))) for frame in vars(self).values()))


def live(profile: Profile, plan: Plan) -> Life:
    """Simulate the planned lives of all batches in `plan` up to `profile.as_of`.

    A plan with some of the batches gives the same rows for them, so a large farm can be simulated in slices. A plan
    with mixed batches has the batches that they are made of (`Plan.with_sources`).
    """
    conditions = Conditions.of(profile, plan.assignments["site"].to_numpy())
    eggs = plan.hatched.sort("batch_id")["eggs"].to_numpy()
    assignments = plan.assignments.sort("assignment_id")  # by batch, stage and position, too
    begins = as_ordinals(assignments["assignment_date"])
    lived = np.clip(conditions.horizon - begins, 0, assignments["days"].to_numpy())
    ends = np.cumsum(lived)
    table = {name: np.empty(int(lived.sum()), type_) for name, type_ in DAY_COLUMNS.items()}
    assignments = assignments.with_columns(first_row=pl.Series(ends - lived))
    hatched = assignments.filter(~is_mixed(pl.col("batch_id")))
    moves: list[pl.DataFrame] = []
    treated: list[pl.DataFrame] = []
    lice: list[pl.DataFrame] = []
    struck = emergencies(profile, plan)
    fish: Ints = np.empty((0, 0), np.int64)
    root: Floats = np.empty((0, 0))
    for stage in STAGES:
        group = hatched.filter(stage=stage.order)
        shape = (eggs.size, group.height // eggs.size)
        if stage.order == 1:
            fish = eggs[:, None] // shape[1] + (np.arange(shape[1])[None, :] < eggs[:, None] % shape[1])
            root = np.full(shape, float(cube_root(EGG_WEIGHT_G)))
        first_row = group["first_row"].to_numpy()
        arrivals = Arrivals(fish.ravel(), root.ravel())
        stage_life = live_stage(conditions, stage, group, struck.filter(stage=stage.order), arrivals, first_row, table)
        treated.append(stage_life.treated)
        moves += stage_life.moved
        lice.append(stage_life.lice)
        fish, root = stage_life.fish, stage_life.root
        if stage is not STAGES[-1]:
            after = hatched.filter(stage=stage.order + 1)
            moved, fish, root = _move(conditions, stage, group, after, fish.reshape(shape), root.reshape(shape))
            moves.append(moved)
        elif plan.mixes.height:
            moved, arrivals = _mix(profile.seed, plan, group, stage_life)
            after = assignments.filter(is_mixed(pl.col("batch_id")))
            mixed = live_stage(conditions, stage, after, struck.clear(), arrivals, after["first_row"].to_numpy(), table)
            treated.append(mixed.treated)
            lice.append(mixed.lice)
            moves.append(moved)
    owner = np.repeat(np.arange(lived.size), lived)
    day = np.arange(owner.size) - (ends - lived)[owner]
    keys = ("assignment_id", "batch_id", "container_id", "site", "stage")
    days = pl.DataFrame({name: np.repeat(assignments[name].to_numpy(), lived) for name in keys}).with_columns(
        state_id=pl.Series(assignments["first_state_id"].to_numpy()[owner] + day),
        date=as_dates(begins[owner] + day),
        batch_day=pl.Series(assignments["batch_day"].to_numpy()[owner] + day),
        **{name: pl.Series(values) for name, values in table.items()},
    )
    return Life(
        days,
        pl.concat(moves).sort("source_assignment_id", "dest_assignment_id"),
        pl.concat(one for one in lice if one.width),
        pl.concat(treated).sort("assignment_id", "date"),
    )


def _move(
    conditions: Conditions, stage: Stage, sources: pl.DataFrame, dests: pl.DataFrame, fish: Ints, root: Floats
) -> tuple[pl.DataFrame, Ints, Floats]:
    """Move each batch's fish into the containers of the next stage.

    Imagine a batch's fish in one line. Each source and each destination is an interval of the line. The overlap of two
    intervals is the number of fish that move between the two. So the counts always add up to the batch's fish. With
    equal numbers of containers, each source has one destination.

    Args:
        conditions: What all stages share.
        stage: The stage that the fish leave.
        sources: Assignments of that stage.
        dests: Assignments of the next stage.
        fish: Fish at the end of the stage [batch, source].
        root: Cube root of their weight in g [batch, source].

    Returns:
        The rows of `Life.moves`, and fish and cube root of weight at the start of the next stage [batch, destination].
    """
    ids = sources["assignment_id"].to_numpy().reshape(fish.shape)
    u = draws.uniform(draws.stream(conditions.profile.seed, "life", "transfer"), ids)
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

    arrival = as_ordinals(dests["assignment_date"]).reshape(shares.shape)[:, 0]
    happened = arrival < conditions.horizon
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
            "picked": np.full(b.size, AVERAGE),
        }
    ).with_columns(date=dests["assignment_date"].gather(j + b * width))
    return frame, shares, cube_root(np.maximum(new_weight, EGG_WEIGHT_G / 2))


def _mix(seed: int, plan: Plan, rings: pl.DataFrame, life: StageLife) -> tuple[pl.DataFrame, Arrivals]:
    """Put together what the partial harvests leave in the two rings of each mix.

    Args:
        seed: The farm's seed.
        plan: The plan with the mixes.
        rings: Assignments of the sea stage.
        life: What happened in them.

    Returns:
        The rows of `Life.moves`, and the fish of the new assignments in the order of ids.
    """
    mixes = plan.mixes.sort("assignment_id")
    ids, begins = rings["assignment_id"].to_numpy(), as_ordinals(rings["assignment_date"])
    row = np.stack([np.searchsorted(ids, mixes[f"{side}_assignment_id"].to_numpy()) for side in ("source", "resident")])
    batch = mixes["batch_id"].to_numpy()
    before = life.fish[row]
    count = np.stack([left_over(seed, batch, before[side], moved=side == 0) for side in (0, 1)])
    total = np.maximum(count.sum(axis=0), 1)
    weight_g = life.root[row] ** 3

    def mean(values: Floats) -> Floats:
        mixed: Floats = (count * values[..., row]).sum(axis=-2) / total
        return mixed

    moves = [
        pl.DataFrame(
            {
                "batch_id": mixes["batch_id"],
                "stage": np.full(batch.size, ADULT.order),
                "source_assignment_id": mixes[f"{side}_assignment_id"],
                "dest_assignment_id": mixes["assignment_id"],
                "count": count[number],
                "deaths": np.zeros(batch.size, np.int64),
                "source_population_before": before[number],
                "weight_g": weight_g[number],
                "picked": np.full(batch.size, AVERAGE),
                "date": mixes["date"],
            }
        )
        for number, side in enumerate(("source", "resident"))
    ]
    arrivals = Arrivals(
        fish=count.sum(axis=0),
        root=cube_root(np.maximum((count * weight_g).sum(axis=0) / total, EGG_WEIGHT_G)),
        days=as_ordinals(mixes["date"]) - begins[row[1]],
        lice=mean(life.lice_left),
        gill=mean(life.gill_left),
        wound=mean(life.wound_left),
    )
    return pl.concat(moves).filter(pl.col("count") > 0), arrivals


def summary(days: pl.LazyFrame) -> pl.DataFrame:
    """Summarise each assignment's life for the tables of records.

    Args:
        days: `Life.days`.

    Returns:
        assignment_id, population and weight_g on its last day, first_temp_c, and last_weighing_date.
    """
    return (
        days.group_by("assignment_id")
        .agg(
            population=pl.col("population").max_by("date"),
            weight_g=pl.col("weight_g").max_by("date"),
            first_temp_c=pl.col("temp_c").min_by("date"),
            last_weighing_date=pl.col("date").filter(pl.col("fish_weighed") > 0).max(),
        )
        .collect(engine="streaming")
    )


__all__ = ["Life", "live", "summary"]
