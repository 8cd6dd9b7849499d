"""The days of all containers of one stage, one after another.

Order within a day: booked treatments are done, the day's dead leave, the living eat and grow, lice develop, people
count lice and decide on treatments. A day depends on earlier days of the same batch, on the plan, and on what is a
function of site and date, never on another batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, exponential
from aquamind_pipeline.simulation import deaths, draws, feeding_plan, treatments
from aquamind_pipeline.simulation.biology import Stage
from aquamind_pipeline.simulation.conditions import Conditions
from aquamind_pipeline.simulation.episodes import FRESHWATER_CAUSES, SEA_CAUSES, at_age, susceptibility
from aquamind_pipeline.simulation.examinations import fish_examined
from aquamind_pipeline.simulation.parasites import Parasites
from aquamind_pipeline.simulation.treatments import Treatments

FED, BEFORE_MOVE, FOR_TREATMENT, IN_STORM = range(4)
"""Values of the column `fasting`: why the fish had no feed."""
_EPOCH = date(1970, 1, 1).toordinal()
_MONTH_DAYS = 30.4
_SMOLT_STAGE = 4
_STORM_SHARE = 1e-9
_SCORE_HALF, _SCORE_MOST, _SCORE_PACE = 0.0015, 3.0, 0.1
"""Daily chance of death at which the mean score is half of the worst, that score, and how fast the score follows."""
_GILL = [cause.reason for cause in SEA_CAUSES].index("gill disease")
_ULCER = [cause.reason for cause in SEA_CAUSES].index("winter ulcer")
_STORM = [cause.reason for cause in SEA_CAUSES].index("storm")
_FUNGUS = [cause.reason for cause in FRESHWATER_CAUSES].index("fungus")
_FIXED = 4
"""Reasons before the episodes in the table of hazards: background, handling, treatment, start of the stage."""


@dataclass(frozen=True)
class StageLife:
    """What happened in a stage.

    Attributes:
        lice: Rows of `Life.lice`.
        treated: Rows of `Life.treatments`.
        fish: Fish of each assignment at its end.
        root: Cube root of their weight.
    """

    lice: pl.DataFrame
    treated: pl.DataFrame
    fish: Ints
    root: Floats


DAY_COLUMNS = {
    "temp_c": np.float64,
    "population": np.int64,
    "weight_g": np.float64,
    "deaths": np.int64,
    "reason": np.int64,
    "second_deaths": np.int64,
    "second_reason": np.int64,
    "appetite": np.float64,
    "gill": np.float64,
    "wound": np.float64,
    "fasting": np.int64,
    "feed_dg": np.int64,
    "meals": np.int64,
    "fish_examined": np.int64,
}
"""Columns of `Life.days` that a stage computes."""


def live_stage(
    conditions: Conditions,
    stage: Stage,
    group: pl.DataFrame,
    fish: Ints,
    root: Floats,
    first_row: Ints,
    table: dict[str, np.typing.NDArray[Any]],
) -> StageLife:
    """Simulate one stage.

    Args:
        conditions: What all stages share.
        stage: The stage.
        group: Its planned assignments, sorted by id.
        fish: Fish of each assignment at its start.
        root: Cube root of their weight in g.
        first_row: Row of `Life.days` that has the first day of each assignment.
        table: The columns of `Life.days` in DAY_COLUMNS; the stage writes its rows.
    """
    begun = (as_ordinals(group["assignment_date"]) < conditions.horizon) & (group["days"].to_numpy() > 0)
    if not begun.all():
        some = live_stage(conditions, stage, group.filter(begun), fish[begun], root[begun], first_row[begun], table)
        fish, root = fish.copy(), root.copy()
        fish[begun], root[begun] = some.fish, some.root
        return StageLife(some.lice, some.treated, fish, root)
    profile, speed, sea = conditions.profile, conditions.profile.speed, stage.at_sea
    seed = profile.seed
    ids, batch, site = (group[name].to_numpy() for name in ("assignment_id", "batch_id", "site"))
    begins = as_ordinals(group["assignment_date"])
    planned = group["days"].to_numpy()
    lived = np.clip(conditions.horizon - begins, 0, planned)
    width, n = int(lived.max(initial=0)), ids.size
    offset = np.arange(width, dtype=np.int64)[:, None]

    # What needs no loop: temperature, draws, and factors of batches and containers.
    place = conditions.place(site)
    column = np.minimum(begins[None, :] + offset - conditions.first_day, conditions.days - 1)
    where = place[None, :] * conditions.days + column
    depth = 0.1 * draws.normal(draws.stream(seed, "life", "container"), group["container_id"].to_numpy())
    warmth = conditions.temp_c.take(where) + depth[None, :]
    vigour = 1.0 + 0.01 * draws.normal(draws.stream(seed, "life", "vigour"), ids)
    gain = stage.tgc / 1000 * speed * feeding_plan.FULL[stage.order - 1] * vigour
    word = draws.bits(draws.stream(seed, "life", "deaths"), ids[None, :], offset)
    luck = (word >> np.uint64(32)) * 2.0**-32
    second_luck = (word & np.uint64(0xFFFF)) * 2.0**-16
    kind = (word >> np.uint64(16)).astype(np.uint16)
    word = draws.bits(draws.stream(seed, "life", "day"), ids[None, :], offset)
    vary = deaths.day_factor(_bell((word >> np.uint64(32)).astype(np.uint32)))
    base = (stage.daily_mortality * speed * deaths.background(seed, stage, batch))[None, :] * vary
    if sea:
        age = np.arange(width) * speed / _MONTH_DAYS
        base *= at_age(deaths.AGE_AT_SEA, age)[:, None]
        feel = susceptibility(SEA_CAUSES, age)
    else:
        feel = np.broadcast_to(
            susceptibility(FRESHWATER_CAUSES, np.array([float(stage.order)])), (width, len(FRESHWATER_CAUSES))
        )
    first = (
        deaths.background_reason(kind, sea)
        if stage.order > 1
        else np.full(kind.shape, deaths.REASON["failed hatching"])
    )
    resist = deaths.feels(seed, stage, batch, ids)
    hunger = conditions.week.take(column)
    hunger *= 1.0 + feeding_plan.APPETITE_SPREAD * _bell(word.astype(np.uint32))
    fed_until = feeding_plan.last_fed(seed, speed, stage, batch, planned)
    smolt = _smolt_losses(seed, speed, batch, width) if sea else np.zeros((width, 1))
    reasons = np.concatenate(
        [
            [0, deaths.REASON["handling"], deaths.REASON["treatment"], deaths.REASON["failed smolt"]],
            deaths.reasons_of(sea),
        ]
    )
    illness = conditions.sea if sea else conditions.freshwater

    tending = Treatments(seed, speed, ids, batch, begins + planned, conditions.calendar)
    moved = deaths.MOVE_LOSS[stage.order - 1]
    if moved:
        tending.pending[0] = moved * exponential(
            0.7 * draws.normal(draws.stream(seed, "deaths", "moved"), batch, stage.order)
        )
        tending.stress[:] = 0.5
    geography = conditions.geography[place]
    parasites = Parasites(conditions, ids, batch, place, geography, width) if sea else None

    population = np.empty((width, n), np.int64)
    dead, second = np.empty((width, n), np.int32), np.empty((width, n), np.int32)
    reason, second_reason = np.empty((width, n), np.int8), np.empty((width, n), np.int8)
    fasting = np.zeros((width, n), np.int8)
    roots = np.empty((width, n))
    appetite, keen = np.zeros((width, n), np.float32), np.ones((width, n), np.float32)
    gill, wound = np.zeros((width, n), np.float32), np.zeros((width, n), np.float32)
    hazard = np.empty((_FIXED + resist.shape[1], n))
    rows = np.arange(n)
    left, start, lost = fish.copy(), root, np.zeros(n)
    most_lost = deaths.MOST_LOST[stage.order - 1]
    gills, skin = np.zeros(n), np.zeros(n)
    pace = min(1.0, _SCORE_PACE * speed)
    for d in range(width):
        inside = d < lived
        today, here, temp_c = begins + d, where[d], warmth[d]
        resting = (today >= tending.fast_from) & (today <= tending.due)
        tending.act(today, parasites.lice if parasites else None, left, root * root * root, inside)

        felt = illness.take(here, axis=0) * resist
        felt *= feel[d]
        if sea:
            stormy = felt[:, _STORM] > _STORM_SHARE
            felt[:, _GILL] *= tending.relief[0]
            felt[:, _ULCER] *= tending.relief[1]
        else:
            felt[:, _FUNGUS] *= tending.relief[1]
        hazard[0] = base[d]
        hazard[1:3] = tending.dying()
        hazard[3] = smolt[d]
        hazard[_FIXED:] = felt.T
        more = hazard[1:].sum(axis=0)
        taken = np.minimum(more * (1.0 - lost / most_lost), most_lost - lost)
        lost += taken
        hazard[1:] *= taken / np.maximum(more, 1e-300)
        total = hazard[0] + taken
        died = np.minimum((left * (total / (1.0 + total)) + luck[d]).astype(np.int64), left)
        died[~inside] = 0
        left = left - died
        main = hazard.argmax(axis=0)
        strongest = hazard.max(axis=0)
        hazard[main, rows] = -1.0
        other = hazard.argmax(axis=0)
        weaker = hazard.max(axis=0)
        theirs = (died * (weaker / (strongest + weaker)) + second_luck[d]).astype(np.int64)
        theirs[theirs * deaths.SECOND_SHARE < died] = 0
        population[d], dead[d], second[d] = left, died, theirs
        reason[d] = np.where(main == 0, first[d], reasons[main])
        second_reason[d] = np.where(other == 0, first[d], reasons[other])

        ill = felt.sum(axis=1)
        if stage.tgc:
            sharp = feeding_plan.illness_appetite(ill / speed)
            why = np.where(d >= fed_until, BEFORE_MOVE, np.where(resting, FOR_TREATMENT, FED))
            if sea:
                why = np.where((why == FED) & stormy, IN_STORM, why)
            eats = hunger[d] * sharp * (1.0 - tending.loss_of_appetite())
            eats[why != FED] = 0.0
            root = root + gain * temp_c * eats
            fasting[d], appetite[d], keen[d] = why, eats, sharp
        roots[d] = root
        bad = felt[:, _ULCER if sea else _FUNGUS] / speed + 0.3 * tending.pending[1]
        skin += pace * (_SCORE_MOST * bad / (bad + _SCORE_HALF) - skin)
        wound[d] = skin
        if parasites is not None:
            bad = felt[:, _GILL] / speed
            gills += pace * (_SCORE_MOST * bad / (bad + _SCORE_HALF) - gills)
            gill[d] = gills
            parasites.day(d, today, here, temp_c, root, tending)
            parasites.decide(d, today, here, temp_c, root, inside, felt, tending)
        elif stage.order == _SMOLT_STAGE:
            _vaccinate(today, root, inside, tending)
        elif (felt[:, _FUNGUS] > treatments.ILLNESS_TRIGGER * speed).any():
            sick = (
                inside & (felt[:, _FUNGUS] > treatments.ILLNESS_TRIGGER * speed) & (tending.illness_free_from <= today)
            )
            chosen = np.flatnonzero(sick)
            tending.book(
                chosen,
                today[chosen],
                np.full(chosen.size, treatments.BRONOPOL),
                treatments.REASON["fungus"],
                skin[chosen],
            )
        tending.recover()

    # Rows in the order of assignments and days.
    owner = np.repeat(rows, lived)
    day = np.arange(owner.size) - np.repeat(np.cumsum(lived) - lived, lived)
    pick, to = day * n + owner, np.repeat(first_row, lived) + day
    weight = roots * roots * roots
    gained = weight.copy()
    gained[1:] -= weight[:-1]
    gained[:1] -= start * start * start
    ratio = feeding_plan.conversion(seed, stage, batch, site, begins // 365)
    eaten = ratio[None, :] * gained * population * 10.0
    feed_dg = np.rint((eaten * feeding_plan.waste(keen.astype(np.float64))).take(pick)).astype(np.int64)
    meals = profile.meals_per_day[stage.order - 1]
    fed = feed_dg >= 2 * meals if meals else np.zeros(feed_dg.shape, bool)
    seconds = second.take(pick)
    main_reason = reason.take(pick)
    table["temp_c"][to] = warmth.take(pick)
    table["population"][to] = population.take(pick)
    table["weight_g"][to] = weight.take(pick)
    table["deaths"][to] = dead.take(pick)
    table["reason"][to] = main_reason
    table["second_deaths"][to] = seconds
    table["second_reason"][to] = np.where(seconds > 0, second_reason.take(pick), main_reason)
    for name, score in (("appetite", appetite), ("gill", gill), ("wound", wound)):
        table[name][to] = np.rint(score.take(pick).astype(np.float64) * 1000.0) / 1000.0
    table["fasting"][to] = fasting.take(pick)
    table["feed_dg"][to] = np.where(fed, feed_dg, 0)
    table["meals"][to] = np.where(fed, meals, 0)
    examined = fish_examined(profile, stage, group, begins, population, lived, conditions.calendar, tending)
    table["fish_examined"][to] = examined.take(pick)
    end = roots[np.maximum(lived - 1, 0), rows] if width else start
    counted = pl.DataFrame()
    if parasites is not None:
        keys = pl.DataFrame(
            {name: np.repeat(group[name].to_numpy(), lived) for name in ("assignment_id", "batch_id", "container_id")}
        ).with_columns(date=as_dates(begins[owner] + day))
        counted = parasites.frame(keys, pick)
    return StageLife(counted, _treated(group, tending), left, end)


def as_ordinals(dates: pl.Series) -> Ints:
    """Dates as numbers as by `date.toordinal()`."""
    return dates.to_physical().to_numpy().astype(np.int64) + _EPOCH


def as_dates(ordinals: Ints) -> pl.Series:
    """Days as dates, from numbers as by `date.toordinal()`."""
    return pl.Series((ordinals - _EPOCH).astype(np.int32)).cast(pl.Date)


def _bell(random_bits: np.typing.NDArray[np.uint32]) -> Floats:
    """Bell-shaped deviates with standard deviation 1: the sum of two uniforms of 16 bits."""
    total = (random_bits & np.uint32(0xFFFF)) + (random_bits >> np.uint32(16))
    bell: Floats = (total - 65_535.0) * (np.sqrt(6.0) / 65_536.0)
    return bell


def _smolt_losses(seed: int, speed: int, batch: Ints, width: int) -> Floats:
    """Chance of death of smolts that do not cope with salt water [day, container]."""
    luck = draws.normal(draws.stream(seed, "deaths", "smolt"), batch)
    loss = np.minimum(deaths.SMOLT_LOSS * exponential(deaths.SMOLT_SPREAD * luck), deaths.SMOLT_MOST)
    last = deaths.SMOLT_DAYS
    edges = np.minimum(np.arange(width + 1) * speed / last, 1.0)
    done = 1.0 - (1.0 - edges) ** 2  # most die early
    return np.diff(done)[:, None] * loss[None, :]


def _vaccinate(today: Ints, root: Floats, inside: np.typing.NDArray[np.bool_], tending: Treatments) -> None:
    """Book the vaccination of smolts that have become large enough."""
    large = inside & (root * root * root >= treatments.VACCINATION_G) & ~tending.vaccinated
    chosen = np.flatnonzero(large & (tending.due == treatments.NEVER))
    if chosen.size:
        methods = np.full(chosen.size, treatments.VACCINE)
        tending.book(chosen, today[chosen], methods, treatments.REASON["vaccination"], root[chosen] ** 3)


_TREATED = pl.Schema(
    {
        "assignment_id": pl.Int64(),
        "batch_id": pl.Int64(),
        "container_id": pl.Int64(),
        "date": pl.Date(),
        "method": pl.Int64(),
        "reason": pl.Int64(),
        "seen": pl.Float64(),
        "sessile_removed": pl.Float64(),
        "preadult_removed": pl.Float64(),
        "adult_male_removed": pl.Float64(),
        "adult_female_removed": pl.Float64(),
        "loss": pl.Float64(),
        "fasting_days": pl.Int64(),
        "withholding_days": pl.Int64(),
        "days": pl.Int64(),
        "population": pl.Int64(),
        "weight_g": pl.Float64(),
    }
)


def _treated(group: pl.DataFrame, tending: Treatments) -> pl.DataFrame:
    records = tending.records()
    if not records:
        return pl.DataFrame(schema=_TREATED)
    rows, day = (records.pop(name).astype(np.int64) for name in ("row", "day"))
    return (
        group[["assignment_id", "batch_id", "container_id"]][rows]
        .with_columns(date=as_dates(day), **{k: pl.Series(v) for k, v in records.items()})
        .select(_TREATED.names())
        .cast(_TREATED)
    )


__all__ = [
    "BEFORE_MOVE",
    "DAY_COLUMNS",
    "FED",
    "FOR_TREATMENT",
    "IN_STORM",
    "StageLife",
    "as_dates",
    "as_ordinals",
    "live_stage",
]
