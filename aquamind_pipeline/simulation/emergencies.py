"""Emergencies: bad water or a storm damages one container, and some of its fish are moved to others in a hurry.

An emergency is what people make of an episode: the container that feels a strong one most is thinned out, into those
containers of the batch that feel it least and have room. It follows from plan and episodes alone, so it is known
without the lives of the fish.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import deaths, draws
from aquamind_pipeline.simulation.biology import (
    ADULT,
    RING_DENSITY_KG_M3,
    RING_FISH_LIMIT,
    STAGES,
    TANK_DENSITY_KG_M3,
    Stage,
)
from aquamind_pipeline.simulation.episodes import CAUSES, Cause, at_age, episodes
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.sites import HALLS, RING_VOLUME_M3
from aquamind_pipeline.simulation.stage_inputs import as_dates, as_ordinals

MOST_RECEIVERS = 4
"""Containers into which the fish of one container are moved, at most."""
_LEAST_LOSS = {"gas or water quality": 0.0074, "storm": 0.007}
"""Loss of a container's fish by an episode from which on people move some of them, by cause."""
_STAGES = {"gas or water quality": (2, 3, 5), "storm": (ADULT.order,)}
"""Stages with emergencies. Smolts are left out, because their tanks are vaccinated one by one."""
_SETTLED_DAYS = {False: 6, True: 120}
"""Days of real fish after they came in, in halls and at sea: rings are full before."""
_PART = {False: 0.5, True: 0.85}
"""Part of the planned stage after which the containers are too full, in halls and at sea."""
_MOVED = 0.4
"""Share of the fish that people want to move."""
_LOSS = (0.005, 0.02)
"""Least and largest share of the moved fish that die of it: ten times as many as in a planned transfer, and more."""
_MONTH_DAYS = 30.4
_MARGIN = 0.95
"""Share of a container's limit of biomass up to which it takes fish."""


@lru_cache(maxsize=4)
def emergencies(profile: Profile, plan: Plan) -> pl.DataFrame:
    """The emergencies up to `as_of`, at most one for each batch. Mixed batches have none: they have one ring.

    Returns:
        batch_id, stage, source_assignment_id, date, reason (index into `deaths.REASONS`), dest_assignment_id (a list),
        sorted by batch.
    """
    first_day, horizon = profile.epoch.toordinal(), profile.as_of.toordinal() + 1
    found = []
    for cause in CAUSES:
        if cause.reason not in _LEAST_LOSS:
            continue
        for stage in (STAGES[order - 1] for order in _STAGES[cause.reason]):
            living = plan.assignments.filter(
                pl.col("stage") == stage.order,
                pl.col("assignment_date") <= profile.as_of,
                ~is_mixed(pl.col("batch_id")),
            )
            if living.height:
                sites = living["site"].unique().sort().to_numpy()
                struck = episodes(profile.seed, first_day, horizon - first_day, sites, profile.speed, (cause,))
                found.append(_of_cause(profile, stage, cause, living, struck))
    every = pl.concat([pl.DataFrame(schema=_SCHEMA), *found])
    return every.sort("batch_id", "date").unique("batch_id", keep="first", maintain_order=True)


_SCHEMA = pl.Schema(
    {
        "batch_id": pl.Int64(),
        "stage": pl.Int64(),
        "source_assignment_id": pl.Int64(),
        "date": pl.Date(),
        "reason": pl.Int64(),
        "dest_assignment_id": pl.List(pl.Int64()),
    }
)


def _of_cause(profile: Profile, stage: Stage, cause: Cause, living: pl.DataFrame, struck: pl.DataFrame) -> pl.DataFrame:
    """Emergencies in one stage by one cause.

    Args:
        profile: The farm's profile.
        stage: The stage.
        cause: The cause.
        living: Assignments of the stage.
        struck: Its episodes (`episodes`).
    """
    speed = profile.speed
    batch, ids = living["batch_id"].to_numpy(), living["assignment_id"].to_numpy()
    of_stage = [one for one in CAUSES if one.at_sea == stage.at_sea]
    feels = deaths.feels(profile.seed, stage, batch, ids)[:, of_stage.index(cause)]
    # In a storm nobody works at the rings, so its last day counts; bad water is worst after a third of its time.
    after = pl.col("fish_days") - 1 if stage.at_sea else pl.col("fish_days") * 3 // 10
    begins, ends = as_ordinals(living["assignment_date"]), as_ordinals(living["departure_date"])
    felt = (
        living.select("batch_id", "assignment_id", "site")
        .with_columns(feels=pl.Series(feels), begins_on=pl.Series(begins), ends_on=pl.Series(ends))
        .join(
            struck.select("site", "loss", day=(pl.col("begins") + after) // speed),
            on="site",
        )
        .with_columns(age=pl.col("day") - pl.col("begins_on"), length=pl.col("ends_on") - pl.col("begins_on"))
        .filter(
            pl.col("age") * speed >= _SETTLED_DAYS[stage.at_sea],
            pl.col("age") >= 1,
            pl.col("age") < pl.col("length") * _PART[stage.at_sea],
            pl.col("day") <= profile.as_of.toordinal(),
        )
    )
    points = felt["age"].to_numpy() * speed / _MONTH_DAYS if stage.at_sea else np.full(felt.height, float(stage.order))
    felt = felt.with_columns(loss=pl.col("loss") * pl.col("feels") * pl.Series(at_age(cause.age, points)))
    least_first = felt.sort("batch_id", "day", "loss", "assignment_id")
    scenes = least_first.group_by("batch_id", "day", maintain_order=True).agg(
        source_assignment_id=pl.col("assignment_id").last(),
        loss=pl.col("loss").last(),
        dest_assignment_id=pl.col("assignment_id").head(pl.min_horizontal(pl.len() - 1, MOST_RECEIVERS)),
    )
    some = scenes.filter((pl.col("loss") >= _LEAST_LOSS[cause.reason]) & (pl.col("dest_assignment_id").list.len() > 0))
    return some.select(
        "batch_id",
        "source_assignment_id",
        "dest_assignment_id",
        stage=pl.lit(stage.order, pl.Int64),
        date=as_dates(some["day"].to_numpy()),
        reason=pl.lit(deaths.REASON[cause.reason], pl.Int64),
    ).select(_SCHEMA.names())


@dataclass(frozen=True)
class Relief:
    """Fish that left one container in an emergency, by the container that took them.

    Attributes:
        arrived: Fish that came in alive [receiver].
        lost: Fish that died on the way [receiver].
    """

    arrived: Ints
    lost: Ints

    @property
    def taken(self) -> Ints:
        """Fish that left [receiver]."""
        return self.arrived + self.lost


def relieve(seed: int, stage: Stage, source: int, fish: int, weight_g: float, others: Ints, others_g: Floats) -> Relief:
    """Move some fish of one container into others, as far as these have room.

    Args:
        seed: The farm's seed.
        stage: The stage.
        source: Assignment of the container.
        fish: Fish in it.
        weight_g: Their mean weight.
        others: Fish in each of the other containers [receiver].
        others_g: Their mean weight [receiver].
    """
    room_kg = _MARGIN * _limit_kg(stage) - others * others_g / 1000
    room = np.floor(np.maximum(room_kg, 0.0) * 1000 / weight_g).astype(np.int64)
    if stage.at_sea:
        room = np.minimum(room, np.maximum(RING_FISH_LIMIT - others, 0))
    taken = np.minimum(int(fish * _MOVED) // others.size, room)
    key, number = draws.stream(seed, "emergency", "loss"), np.arange(others.size)
    least, most = _LOSS
    share = least + (most - least) * draws.uniform(key, np.full(others.size, source), 0)
    lost = np.minimum(draws.stochastic_round(taken * share, draws.uniform(key, number, source, 1)), taken)
    return Relief(taken - lost, lost)


def _limit_kg(stage: Stage) -> float:
    """Most fish that a container of the stage holds."""
    if stage.hall is None:
        return RING_VOLUME_M3 * RING_DENSITY_KG_M3
    return float(HALLS.filter(letter=stage.hall)["volume_m3"].item()) * TANK_DENSITY_KG_M3[stage.hall]


__all__ = ["MOST_RECEIVERS", "Relief", "emergencies", "relieve"]
