"""The plan: which batch lives where from when to when, and how many rows of each kind that makes.

Batches are placed one after another in the order of their numbers, each with its whole life, into containers that are
free. A batch's plan therefore depends on its number, the seed and the batches before it, never on today: a later
`as_of` only appends batches. Every id below is counted over planned lives, so ids do not move either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.farm import climate, draws
from aquamind_pipeline.farm.biology import (
    ADULT,
    EGG_WEIGHT_G,
    FRESHWATER,
    RING_DENSITY_KG_M3,
    STAGES,
)
from aquamind_pipeline.farm.infrastructure import (
    FRESHWATER_SENSORS,
    GEOGRAPHY,
    RING_VOLUME_M3,
    SEA_SENSORS,
    infrastructure,
)
from aquamind_pipeline.profile import Profile

READING_HOURS = (6, 8, 10, 14, 16, 18)
"""Hours (UTC) at which every sensor is read (reference b.2)."""
TANK_FALLOW_DAYS, SEA_FALLOW_DAYS = 3, 60
"""Empty days between two batches: cleaning of tanks; two months at sea (akvakulturdriftsforskriften § 40)."""
BATCH_PREFIX = {1: "FI", 2: "SCO"}


@dataclass(frozen=True)
class Plan:
    """The schedule of a farm.

    batches: batch_id, batch_number, geography_id, start_date, eggs, harvest_weight_g, harvest_date, area_id.
    assignments: assignment_id, batch_id, stage (lifecycle order), position (from 0 within batch and stage),
        container_id, hall_id, area_id, site (see `climate`), assignment_date, departure_date (exclusive), days,
        readings_per_day, meals_per_day, and the first id of its states, readings, feedings and samples.
    """

    batches: pl.DataFrame
    assignments: pl.DataFrame


@dataclass
class _Occupancy:
    """Until when each container is taken, and how often it was used. Indexed by container id."""

    free_from: Ints
    uses: Ints

    def take(self, ids: Ints, until: int) -> None:
        self.free_from[ids] = until
        self.uses[ids] += 1


def schedule(profile: Profile) -> Plan:
    """Plan every batch that starts up to `profile.as_of`.

    Raises:
        ConfigError: when no hall or sea area is free for a batch: the profile asks for more than the farm holds.
    """
    starts = profile.start_days(profile.as_of)
    geographies = GEOGRAPHY.filter(pl.col("geography").is_in(profile.geographies))["geography_id"].to_list()
    first_day = profile.epoch.toordinal()
    longest = sum(profile.stage_days(stage.days) for stage in STAGES)
    temp_c = climate.site_temperature_c(profile.seed, first_day, (starts[-1] - profile.epoch).days + longest + 1)
    halls, areas = _places(profile)
    occupancy = _Occupancy(np.zeros(4_096, np.int64), np.zeros(4_096, np.int64))
    batches: list[dict[str, object]] = []
    stays: list[pl.DataFrame] = []
    for slot, start in enumerate(starts):
        for geography_id in geographies:
            batch_id = len(batches) + 1
            number = f"{BATCH_PREFIX[geography_id]}-{start.year}-{slot + 1:03d}"
            low, high = profile.eggs
            eggs = low + int(draws.uniform(draws.stream(profile.seed, "batch", "eggs"), batch_id) * (high - low + 1))
            low, high = profile.harvest_weight_g
            target_g = low + draws.uniform(draws.stream(profile.seed, "batch", "harvest"), batch_id) * (high - low)
            placed = _place(
                profile,
                number,
                start,
                min(float(target_g), _ring_full_g(profile, eggs)),
                halls[geography_id],
                areas[geography_id],
                occupancy,
                temp_c,
            )
            batches.append(
                {
                    "batch_id": batch_id,
                    "batch_number": number,
                    "geography_id": geography_id,
                    "start_date": start,
                    "eggs": eggs,
                    "harvest_weight_g": float(target_g),
                    "harvest_date": placed["departure_date"].max(),
                    "area_id": placed["area_id"].max(),
                }
            )
            stays.append(placed.with_columns(batch_id=pl.lit(batch_id, pl.Int64)))
    assignments = pl.concat(stays).with_row_index("assignment_id", offset=1).cast({"assignment_id": pl.Int64})
    return Plan(pl.DataFrame(batches), _with_ids(assignments, profile))


def _places(profile: Profile) -> tuple[dict[int, list[pl.DataFrame]], dict[int, pl.DataFrame]]:
    """Tanks of each stage's halls, and sea rings, by geography."""
    tables = infrastructure()
    containers = tables["infrastructure_container"].filter(pl.col("hierarchy_role") == "HOLDING")
    halls = (
        tables["infrastructure_hall"]
        .join(
            tables["infrastructure_freshwaterstation"].select(freshwater_station_id="id", geography_id="geography_id"),
            on="freshwater_station_id",
        )
        .with_columns(letter=pl.col("name").str.slice(-1))
    )
    tanks = (
        containers.join(halls.select("letter", "geography_id", "freshwater_station_id", hall_id="id"), on="hall_id")
        .filter(pl.int_range(pl.len()).over("hall_id") < profile.tanks_per_stage)
        .sort("id")
    )
    rings = containers.join(tables["infrastructure_area"].select("geography_id", area_id="id"), on="area_id").sort("id")
    by_geography = {
        g: [tanks.filter(geography_id=g, letter=stage.hall) for stage in FRESHWATER] for g in GEOGRAPHY["geography_id"]
    }
    return by_geography, {g: rings.filter(geography_id=g) for g in GEOGRAPHY["geography_id"]}


def _place(
    profile: Profile,
    number: str,
    start: date,
    target_g: float,
    halls: list[pl.DataFrame],
    rings: pl.DataFrame,
    occupancy: _Occupancy,
    temp_c: Floats,
) -> pl.DataFrame:
    """Choose tanks and rings for one batch's whole life and mark them as taken."""
    day = start.toordinal()
    root = float(cube_root(EGG_WEIGHT_G))
    begins = day
    parts: list[pl.DataFrame] = []
    stations: list[Ints] = []
    for stage, tanks in zip(FRESHWATER, halls, strict=True):
        free = (occupancy.free_from[tanks["id"].to_numpy()] <= begins).reshape(-1, profile.tanks_per_stage)
        ids = tanks["freshwater_station_id"].to_numpy().reshape(-1, profile.tanks_per_stage)[:, 0]
        stations.append(ids[free.all(axis=1)])
        begins += profile.stage_days(stage.days)
    all_the_way = stations[0][np.all([np.isin(stations[0], free) for free in stations[1:]], axis=0)]
    for stage, tanks, free in zip(FRESHWATER, halls, stations, strict=True):
        # One station from egg to post-smolt where there is one; otherwise stage by stage.
        choice = all_the_way if all_the_way.size else free
        if not choice.size:
            raise ConfigError(
                f"no {stage.name} hall is free for batch {number} on {date.fromordinal(day)}: "
                "raise stagger_days or lower batches_per_geography"
            )
        uses = [int(occupancy.uses[tanks.filter(freshwater_station_id=int(s))["id"].to_numpy()].sum()) for s in choice]
        station = int(choice[int(np.argmin(uses))])
        days = profile.stage_days(stage.days)
        chosen = tanks.filter(freshwater_station_id=station)
        occupancy.take(chosen["id"].to_numpy(), day + days + TANK_FALLOW_DAYS)
        parts.append(_stay(chosen, stage.order, station - 1, day, days))
        offset = day - profile.epoch.toordinal()
        root += stage.tgc / 1000 * profile.speed * float(temp_c[station - 1, offset : offset + days].sum())
        day += days
    chosen = _free_rings(profile, number, day, rings, occupancy)
    site = climate.STATIONS + int(chosen["area_id"][0]) - 1
    days = _days_to_harvest(profile, root, target_g, temp_c[site, day - profile.epoch.toordinal() :])
    occupancy.take(chosen["id"].to_numpy(), day + days + max(1, SEA_FALLOW_DAYS // profile.speed))
    parts.append(_stay(chosen, ADULT.order, site, day, days))
    return pl.concat(parts)


def _free_rings(profile: Profile, number: str, day: int, rings: pl.DataFrame, occupancy: _Occupancy) -> pl.DataFrame:
    ids = rings["id"].to_numpy()
    state = (
        rings.select("id", "hall_id", "area_id")
        .with_columns(uses=pl.Series(occupancy.uses[ids]))
        .filter(pl.Series(occupancy.free_from[ids] <= day))
    )
    areas = (
        state.group_by("area_id")
        .agg(free=pl.len(), uses=pl.col("uses").sum())
        .filter(pl.col("free") >= profile.rings_per_batch)
        .sort("uses", "area_id")
    )
    if areas.is_empty():
        raise ConfigError(
            f"no sea area has {profile.rings_per_batch} rings free for batch {number} on {date.fromordinal(day)}: "
            "raise stagger_days or lower rings_per_batch"
        )
    return state.filter(area_id=areas["area_id"][0]).sort("uses", "id").head(profile.rings_per_batch).sort("id")


def _days_to_harvest(profile: Profile, root: float, target_g: float, temp_c: Floats) -> int:
    """Days at sea until the forecast weight reaches the target, at most the stage's length."""
    longest = profile.stage_days(ADULT.days)
    roots = root + np.cumsum(ADULT.tgc / 1000 * profile.speed * temp_c[:longest])
    return min(int(np.searchsorted(roots, float(cube_root(target_g)))) + 1, longest)


def _ring_full_g(profile: Profile, eggs: int) -> float:
    """Weight at which the fish expected in a ring would fill it; harvest comes before that."""
    return 0.96 * RING_VOLUME_M3 * RING_DENSITY_KG_M3 * 1000 / profile.fish_per_ring(eggs)


def _stay(containers: pl.DataFrame, stage: int, site: int, day: int, days: int) -> pl.DataFrame:
    return containers.select(
        stage=pl.lit(stage, pl.Int64),
        position=pl.int_range(pl.len()),
        container_id="id",
        hall_id="hall_id",
        area_id="area_id",
        site=pl.lit(site, pl.Int64),
        assignment_date=pl.lit(date.fromordinal(day)),
        departure_date=pl.lit(date.fromordinal(day) + timedelta(days=days)),
        days=pl.lit(days, pl.Int64),
    )


def samples_before(days: pl.Expr, per_week: int) -> pl.Expr:
    """Number of sampling days among the first `days` days of a batch: `per_week` of every seven, spread evenly."""
    within = [sum((d * per_week) % 7 < per_week for d in range(n)) for n in range(7)]
    return days // 7 * per_week + (days % 7).replace_strict(range(7), within, return_dtype=pl.Int64)


def _with_ids(assignments: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    meals = {stage.order: profile.meals_per_day[stage.order - 1] for stage in STAGES}
    sensors = {s.order: len(SEA_SENSORS if s.at_sea else FRESHWATER_SENSORS) for s in STAGES}
    starts = pl.col("assignment_date").min().over("batch_id")
    first, last = ((pl.col(c) - starts).dt.total_days() for c in ("assignment_date", "departure_date"))
    samples = samples_before(last, profile.samples_per_week) - samples_before(first, profile.samples_per_week)
    return assignments.with_columns(
        batch_day=first,
        readings_per_day=pl.col("stage").replace_strict(sensors) * len(READING_HOURS),
        meals_per_day=pl.col("stage").replace_strict(meals),
        samples=pl.when(pl.col("stage") > 1).then(samples).otherwise(0),
    ).with_columns(
        first_state_id=_exclusive(pl.col("days")),
        first_reading_id=_exclusive(pl.col("days") * pl.col("readings_per_day")),
        first_feeding_id=_exclusive(pl.col("days") * pl.col("meals_per_day")),
        first_sample_id=_exclusive(pl.col("samples")),
    )


def _exclusive(count: pl.Expr) -> pl.Expr:
    """First id of each row when every row takes `count` ids, from 1."""
    return 1 + count.cum_sum() - count


__all__ = ["READING_HOURS", "Plan", "samples_before", "schedule"]
