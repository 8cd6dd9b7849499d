"""The plan: which batch lives in which containers on which days, and how many rows of each kind follow.

Batches are placed one after another, in the order of their ids. Each gets free containers for its whole life. So a
batch's plan depends on its id, the seed and the batches before it, but not on `as_of`: a later `as_of` only appends
batches. Ids are counted over whole planned lives, so a later `as_of` does not change ids either.

So the batches that start next are known, too. The plan lists some of them among the creations, with the trays for
their eggs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.months import month_of
from aquamind_pipeline.simulation import climate, draws
from aquamind_pipeline.simulation.biology import (
    ADULT,
    EGG_WEIGHT_G,
    FRESHWATER,
    RING_DENSITY_KG_M3,
    STAGES,
)
from aquamind_pipeline.simulation.mixing import MIXES, is_mixed, with_mixes
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sampling_days import samples_before
from aquamind_pipeline.simulation.sites import (
    FRESHWATER_SENSORS,
    GEOGRAPHY,
    RING_VOLUME_M3,
    SEA_SENSORS,
    TANKS_PER_HALL,
    build_sites,
)
from aquamind_pipeline.simulation.workdays import is_working_day

READING_HOURS = (6, 8, 10, 14, 16, 18)
"""Hours (UTC) at which every sensor is read (farm-figures b.2)."""
TANK_FALLOW_DAYS, SEA_FALLOW_DAYS = 3, 60
"""Days that a container is empty between two batches: tanks are cleaned, and sea areas lie fallow for two months
(akvakulturdriftsforskriften § 40)."""
BATCH_PREFIX = {1: "FI", 2: "SCO"}
"""First part of a batch's number, by geography_id."""
DELIVERY_DAYS = 3
"""The eggs of a batch come on so many successive days: each day a part of its trays is filled."""
FIRST_CANCELLED_ID, FIRST_CANCELLED_TRAY_ID = 900_000, 400_000_000
"""Ids of batches that are called off before they begin, and of their assignments, lie above these and below the ids of
mixed batches."""
_FIRST_CANCELLED_NUMBER = 901
"""Last part of the number of the first batch that is called off."""
_CANCELLED_PLANNED_DAYS, _CANCELLED_DAYS = 60, 14
"""Days of real fish before its first delivery on which such a batch is planned, and on which it is called off."""
CREATIONS = pl.Schema(
    {
        "batch_id": pl.Int64(),
        "batch_number": pl.String(),
        "geography_id": pl.Int64(),
        "start_date": pl.Date(),
        "eggs": pl.Int64(),
        "harvest_date": pl.Date(),
        "planned_on": pl.Date(),
        "ready_on": pl.Date(),
        "cancelled_on": pl.Date(),
    }
)
"""Columns of `Plan.creations`."""
TRAYS = pl.Schema(
    {
        "assignment_id": pl.Int64(),
        "batch_id": pl.Int64(),
        "container_id": pl.Int64(),
        "position": pl.Int64(),
        "assignment_date": pl.Date(),
    }
)
"""Columns of `Plan.trays`."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The schedule of a farm.

    Attributes:
        batches: Batches that have begun: batch_id, batch_number, geography_id, start_date, eggs, harvest_weight_g,
            harvest_date, area_id.
        assignments: Of these batches: assignment_id, batch_id, stage (lifecycle order), position (from 0 within batch
            and stage), container_id, hall_id, area_id, site (see `climate`), assignment_date, departure_date
            (exclusive), days, batch_day (age of the batch at the assignment's start), readings_per_day, meals_per_day,
            samples, and the first id of its states, readings, feedings and samples; sorted by assignment_id.
        mixes: Mixes that have happened (`mixing.MIXES`).
        creations: Batches that have been planned, also those that have not begun or never will: batch_id,
            batch_number, geography_id, start_date, eggs, harvest_date, planned_on, ready_on (day from which on the
            deliveries are agreed), cancelled_on (null unless the batch is called off, which may be after as_of).
        trays: Containers for the eggs of these: assignment_id, batch_id, container_id, position, assignment_date.
    """

    batches: pl.DataFrame
    assignments: pl.DataFrame
    mixes: pl.DataFrame = field(default_factory=MIXES.to_frame)
    creations: pl.DataFrame = field(default_factory=CREATIONS.to_frame)
    trays: pl.DataFrame = field(default_factory=TRAYS.to_frame)

    @property
    def hatched(self) -> pl.DataFrame:
        """The batches that began as eggs: all but the mixed ones."""
        return self.batches.filter(~is_mixed(pl.col("batch_id")))

    def of_batches(self, batch_ids: Sequence[int]) -> Plan:
        """The part of the plan about these batches."""
        wanted = pl.col("batch_id").is_in(list(batch_ids))
        return Plan(*(getattr(self, one.name).filter(wanted) for one in fields(self)))

    def rows_of(self, assignment_ids: pl.Series) -> Ints:
        """Row of each of these assignments in `assignments`."""
        return np.searchsorted(self.assignments["assignment_id"].to_numpy(), assignment_ids.to_numpy())

    def with_sources(self, batch_ids: Sequence[int]) -> list[int]:
        """These batches, and those that the mixed ones among them are made of."""
        mixes = self.mixes.filter(pl.col("batch_id").is_in(list(batch_ids)))
        return sorted({*batch_ids, *mixes["source_batch_id"], *mixes["resident_batch_id"]})


@dataclass(frozen=True)
class _Places:
    """Where a geography's fish may live.

    Attributes:
        tanks: For each freshwater stage, container ids [station, tank].
        halls: For each freshwater stage, hall ids [station].
        station_sites: Site numbers [station], as in `climate`.
        rings: Container ids [area, ring].
        areas: Area ids [area].
        area_sites: Site numbers [area], as in `climate`.
    """

    tanks: list[Ints]
    halls: list[Ints]
    station_sites: Ints
    rings: Ints
    areas: Ints
    area_sites: Ints


@dataclass(frozen=True)
class _Occupancy:
    """When each container is free again, and how often it was used. Indexed by container id."""

    free_from: Ints
    uses: Ints

    def take(self, ids: Ints, until: int) -> None:
        """Mark containers as taken up to the day `until` (exclusive, `date.toordinal()`)."""
        self.free_from[ids] = until
        self.uses[ids] += 1


@lru_cache(maxsize=2)
def schedule(profile: Profile) -> Plan:
    """Plan every batch that starts up to `profile.as_of`, and the next ones that the profile asks for.

    Raises:
        ConfigError: when no hall or sea area is free for a batch, because the profile asks for too many batches. A
            coming batch without room, and those after it, are not planned.
    """
    begun = len(profile.starts(profile.as_of))
    starts = profile.starts(_planned_until(profile))
    ids = dict(GEOGRAPHY.select("geography", "geography_id").iter_rows())
    first_day = profile.epoch.toordinal()
    longest = sum(profile.stage_days(stage.days) for stage in STAGES)
    days = (starts[-1][0] - profile.epoch).days + longest + 1
    temp_c = climate.site_temperature_c(profile.seed, first_day, days, profile.sites)
    places = _places(profile)
    containers = 1 + max(int(geography.rings.max()) for geography in places.values())
    occupancy = _Occupancy(np.zeros(containers, np.int64), np.zeros(containers, np.int64))
    batches: list[dict[str, object]] = []
    placements: list[dict[str, object]] = []
    counted = dict.fromkeys(ids.values(), 0)
    for batch_id, (start, geography) in enumerate(starts, 1):
        geography_id = ids[geography]
        counted[geography_id] += 1
        number = f"{BATCH_PREFIX[geography_id]}-{start.year}-{counted[geography_id]:03d}"
        eggs = _eggs(profile, batch_id)
        low, high = profile.harvest_weight_g
        target_g = low + float(draws.uniform(draws.stream(profile.seed, "batch", "harvest"), batch_id)) * (high - low)
        full_g = _ring_full_g(profile, eggs)
        try:
            placed = _place(profile, number, start, min(target_g, full_g), places[geography_id], occupancy, temp_c)
        except ConfigError:
            if batch_id <= begun:
                raise
            break
        batches.append(
            {
                "batch_id": batch_id,
                "batch_number": number,
                "geography_id": geography_id,
                "start_date": start,
                "eggs": eggs,
                "harvest_weight_g": target_g,
                "harvest_date": placed[-1]["departure_date"],
                "area_id": placed[-1]["area_id"],
            }
        )
        placements += [{"batch_id": batch_id} | placement for placement in placed]
    assignments = _delivered_in_turn(
        profile,
        pl.DataFrame(placements, schema=_PLACEMENTS)
        .explode("container_id")
        .with_row_index("assignment_id", offset=1)
        .with_columns(
            pl.col("assignment_id").cast(pl.Int64), position=pl.int_range(pl.len()).over("batch_id", "stage")
        ),
    )
    hatched = pl.DataFrame(batches)
    later = hatched.filter(pl.col("batch_id") > begun)["batch_id"]
    known, homes, mixes = with_mixes(profile, hatched, _with_ids(assignments, profile))
    planned = _planned(profile, starts, hatched.head(begun + profile.planned_batches), homes)
    called_off = _called_off(profile, ids, places, homes)
    creations, trays = (pl.concat(parts) for parts in zip(planned, called_off, strict=True))
    has_begun = ~pl.col("batch_id").is_in(later.implode())
    return Plan(known.filter(has_begun), homes.filter(has_begun), mixes, creations, trays)


def _planned_until(profile: Profile) -> date:
    """The day up to which starts are looked at, to know what comes next. At least two rounds of starts follow as_of.

    Batches that are called off need tanks that nobody else has planned, so the time of their eggs is looked at, too.
    """
    rounds = profile.planned_batches // len(profile.geographies) + 2 if profile.planned_batches else 0
    if not rounds and not profile.cancelled_batches:
        return profile.as_of
    days = max(rounds * profile.stagger_days, profile.stage_days(STAGES[0].days))
    return max(profile.as_of, profile.default_as_of) + timedelta(days=days)


def _eggs(profile: Profile, batch_id: int) -> int:
    low, high = profile.eggs
    return low + int(draws.uniform(draws.stream(profile.seed, "batch", "eggs"), batch_id) * (high - low + 1))


def _delivered_in_turn(profile: Profile, assignments: pl.DataFrame) -> pl.DataFrame:
    """Let the trays of a batch be filled on successive days, the first of them on the batch's first day."""
    days = max(1, min(DELIVERY_DAYS, profile.stage_days(STAGES[0].days) // 3))
    late = pl.when(stage=1).then(pl.col("position") * days // pl.len().over("batch_id", "stage")).otherwise(0)
    return assignments.with_columns(
        assignment_date=pl.col("assignment_date") + pl.duration(days=late), days=pl.col("days") - late
    )


def _planned(
    profile: Profile, starts: Sequence[tuple[date, str]], batches: pl.DataFrame, assignments: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The batches that have begun and those that start next, as `Plan.creations` and `Plan.trays`.

    When a batch starts, the company plans another one, so the same number is planned on every day. It agrees on the
    deliveries of the nearer half. So both days of a batch are those on which earlier batches start.

    Args:
        profile: The farm's profile.
        starts: Days on which batches start, and geographies, in the order of ids.
        batches: The batches.
        assignments: Assignments of all batches.
    """
    ahead = profile.planned_batches

    def starts_before(number: int) -> pl.Series:
        """Start of the batch that starts so many batches earlier."""
        days = [starts[max(batch_id - 1 - number, 0)][0] for batch_id in batches["batch_id"]]
        return pl.Series(days, dtype=pl.Date)

    creations = batches.with_columns(
        planned_on=starts_before(ahead),
        ready_on=starts_before((ahead + 1) // 2),
        cancelled_on=pl.lit(None, pl.Date),
    ).select(CREATIONS.names())
    trays = assignments.filter(stage=1).join(creations, on="batch_id", how="semi", maintain_order="left")
    return creations, trays.select(TRAYS.names())


def _called_off(
    profile: Profile, ids: dict[str, int], places: dict[int, _Places], assignments: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The batches that are called off before they begin, and are planned by as_of, as `Plan.creations` and
    `Plan.trays`.

    Their first deliveries are spread over the time up to `default_as_of`. Nobody else uses their tanks at that time. If
    no hall is free, the batch is never planned. A farm that begins after that day has none.
    """
    span = (profile.default_as_of - profile.epoch).days
    wanted = profile.cancelled_batches if span > 0 else 0
    eggs_days = profile.stage_days(STAGES[0].days)
    batches, trays = [], []
    for k in range(wanted):
        batch_id = FIRST_CANCELLED_ID + k + 1
        geography_id = ids[profile.geographies[k % len(profile.geographies)]]
        start = profile.epoch + timedelta(days=span * (k + 1) // wanted)
        planned_on, cancelled_on = (
            max(start - timedelta(days=profile.stage_days(days)), profile.epoch)
            for days in (_CANCELLED_PLANNED_DAYS, _CANCELLED_DAYS)
        )
        taken = assignments.filter(
            pl.col("stage") == 1,
            pl.col("assignment_date") < start + timedelta(days=eggs_days),
            pl.col("departure_date") > start,
        )["container_id"]
        tanks = places[geography_id].tanks[0]
        free = np.flatnonzero(~np.isin(tanks, taken.to_numpy()).any(axis=1))
        if planned_on > profile.as_of or not free.size:
            continue
        batches.append(
            {
                "batch_id": batch_id,
                "batch_number": f"{BATCH_PREFIX[geography_id]}-{start.year}-{_FIRST_CANCELLED_NUMBER + k}",
                "geography_id": geography_id,
                "start_date": start,
                "eggs": _eggs(profile, batch_id),
                "harvest_date": start + timedelta(days=sum(profile.stage_days(stage.days) for stage in STAGES)),
                "planned_on": planned_on,
                "ready_on": planned_on,
                "cancelled_on": cancelled_on,
            }
        )
        first = FIRST_CANCELLED_TRAY_ID + k * profile.tanks_per_stage
        trays += [
            {
                "assignment_id": first + position + 1,
                "batch_id": batch_id,
                "stage": 1,
                "container_id": container_id,
                "position": position,
                "assignment_date": start,
                "days": 0,
            }
            for position, container_id in enumerate(tanks[free[0]].tolist())
        ]
    every = pl.DataFrame(trays, schema=TRAYS | pl.Schema({"stage": pl.Int64(), "days": pl.Int64()}))
    return pl.DataFrame(batches, schema=CREATIONS), _delivered_in_turn(profile, every).select(TRAYS.names())


_PLACEMENTS = pl.Schema(
    {
        "batch_id": pl.Int64(),
        "stage": pl.Int64(),
        "container_id": pl.List(pl.Int64()),
        "hall_id": pl.Int64(),
        "area_id": pl.Int64(),
        "site": pl.Int64(),
        "assignment_date": pl.Date(),
        "departure_date": pl.Date(),
        "days": pl.Int64(),
    }
)
"""A batch's containers for one stage; each of them becomes an assignment."""


def _places(profile: Profile) -> dict[int, _Places]:
    """Tanks of each stage's halls, and sea rings, by geography."""
    sites = build_sites(profile.sites)
    stations = sites.stations.select("geography_id", freshwater_station_id="id")
    areas = sites.areas.select("geography_id", area_id="id")
    halls = sites.halls.join(stations, on="freshwater_station_id", maintain_order="left")
    holding = sites.holding.sort("id")
    tanks = holding.join(halls.select("geography_id", hall="name", hall_id="id"), on="hall_id", maintain_order="left")
    rings = holding.join(areas, on="area_id", maintain_order="left")
    places = {}
    for geography_id in GEOGRAPHY["geography_id"]:
        local = tanks.filter(geography_id=geography_id)
        by_stage = [local.filter(pl.col("hall").str.slice(-1) == stage.hall) for stage in FRESHWATER]
        area_ids = areas.filter(geography_id=geography_id)["area_id"].to_numpy()
        places[geography_id] = _Places(
            tanks=[f["id"].to_numpy().reshape(-1, TANKS_PER_HALL)[:, : profile.tanks_per_stage] for f in by_stage],
            halls=[f["hall_id"].to_numpy()[::TANKS_PER_HALL] for f in by_stage],
            station_sites=stations.filter(geography_id=geography_id)["freshwater_station_id"].to_numpy() - 1,
            rings=rings.filter(geography_id=geography_id)["id"].to_numpy().reshape(area_ids.size, -1),
            areas=area_ids,
            area_sites=stations.height + area_ids - 1,
        )
    return places


def _place(
    profile: Profile,
    number: str,
    start: date,
    target_g: float,
    places: _Places,
    occupancy: _Occupancy,
    temp_c: Floats,
) -> list[dict[str, object]]:
    """Choose tanks and rings for one batch's whole life, and mark them as taken.

    Args:
        profile: The farm's profile.
        number: The batch's number, for messages.
        start: The batch's first day.
        target_g: Weight at harvest.
        places: Tanks and rings of the batch's geography.
        occupancy: Which containers are free; updated.
        temp_c: Water temperature [site, day], from the profile's epoch.

    Returns:
        One row of `_PLACEMENTS` per stage, without batch_id.
    """
    day = start.toordinal()
    begins = day
    free = []
    for stage, tanks in zip(FRESHWATER, places.tanks, strict=True):
        free.append((occupancy.free_from[tanks] <= begins).all(axis=1))
        begins += profile.stage_days(stage.days)
    free_in_all_stages = np.logical_and.reduce(free)
    root = float(cube_root(EGG_WEIGHT_G))
    placements: list[dict[str, object]] = []
    for stage, tanks, halls, free_now in zip(FRESHWATER, places.tanks, places.halls, free, strict=True):
        # Prefer one station for all freshwater stages. If no station is free for so long, choose one for each stage.
        choice = np.flatnonzero(free_in_all_stages if free_in_all_stages.any() else free_now)
        if not choice.size:
            raise ConfigError(
                f"no {stage.name} hall is free for batch {number} on {date.fromordinal(day)}: "
                f"raise stagger_days or lower {_keys(profile, 'batches_per_geography')}"
            )
        chosen = choice[np.argmin(occupancy.uses[tanks[choice]].sum(axis=1))]
        days, site = profile.stage_days(stage.days), places.station_sites[chosen]
        occupancy.take(tanks[chosen], day + days + TANK_FALLOW_DAYS)
        placements.append(_placement(tanks[chosen], stage.order, site, day, days, hall_id=int(halls[chosen])))
        offset = day - profile.epoch.toordinal()
        root += stage.tgc / 1000 * profile.speed * float(temp_c[site, offset : offset + days].sum())
        day += days
    area, rings = _free_rings(profile, number, day, places, occupancy)
    site = places.area_sites[area]
    days = _on_a_working_day(
        day, _days_to_harvest(profile, root, target_g, temp_c[site, day - profile.epoch.toordinal() :])
    )
    occupancy.take(rings, day + days + max(1, SEA_FALLOW_DAYS // profile.speed))
    return [*placements, _placement(rings, ADULT.order, site, day, days, area_id=int(places.areas[area]))]


def _keys(profile: Profile, key: str) -> str:
    """The keys of the profile that decide how many fish are there at once."""
    return f"{key} or receiving_batches" if profile.receiving_batches else key


def _free_rings(profile: Profile, number: str, day: int, places: _Places, occupancy: _Occupancy) -> tuple[int, Ints]:
    """Choose sea rings for a batch.

    Returns:
        The index in `places.areas` of the least used area with enough free rings, and the least used of its free rings.
    """
    free, uses = occupancy.free_from[places.rings] <= day, occupancy.uses[places.rings]
    enough = np.flatnonzero(free.sum(axis=1) >= profile.rings_per_batch)
    if not enough.size:
        raise ConfigError(
            f"no sea area has {profile.rings_per_batch} rings free for batch {number} on {date.fromordinal(day)}: "
            f"raise stagger_days or lower {_keys(profile, 'rings_per_batch')}"
        )
    area = int(enough[np.argmin((uses * free)[enough].sum(axis=1))])
    rings = places.rings[area, free[area]]
    return area, np.sort(rings[np.argsort(uses[area, free[area]], kind="stable")][: profile.rings_per_batch])


def _days_to_harvest(profile: Profile, root: float, target_g: float, temp_c: Floats) -> int:
    """Days at sea until the expected weight reaches the target, at most the stage's length.

    Args:
        profile: The farm's profile.
        root: Cube root of the weight in g at the start.
        target_g: Weight at harvest.
        temp_c: Daily water temperature from the first day at sea.
    """
    longest = profile.stage_days(ADULT.days)
    roots = root + np.cumsum(ADULT.tgc / 1000 * profile.speed * temp_c[:longest])
    return min(int(np.searchsorted(roots, float(cube_root(target_g)))) + 1, longest)


def _on_a_working_day(day: int, days: int) -> int:
    """Days at sea with the harvest on a working day: the last one up to the planned day, or else the first after it.

    Args:
        day: First day at sea, as `date.toordinal()`.
        days: Days until the harvest.
    """
    for shift in (0, -1, -2, -3, -4, 1, 2, 3, 4):
        if days + shift >= 1 and bool(is_working_day(np.array([day + days + shift]))[0]):
            return days + shift
    return days


def _ring_full_g(profile: Profile, eggs: int) -> float:
    """Weight at which the expected fish of a ring have 96 % of its highest biomass. Harvest must come before that."""
    return 0.96 * RING_VOLUME_M3 * RING_DENSITY_KG_M3 * 1000 / profile.fish_per_ring(eggs)


def _placement(
    containers: Ints,
    stage: int,
    site: int,
    day: int,
    days: int,
    *,
    hall_id: int | None = None,
    area_id: int | None = None,
) -> dict[str, object]:
    return {
        "stage": stage,
        "container_id": containers.tolist(),
        "hall_id": hall_id,
        "area_id": area_id,
        "site": int(site),
        "assignment_date": date.fromordinal(day),
        "departure_date": date.fromordinal(day + days),
        "days": days,
    }


@lru_cache(maxsize=2)
def lived_months(profile: Profile, plan: Plan) -> pl.DataFrame:
    """One row for each assignment and month in which it has fish, up to as_of.

    Returns:
        The plan's columns; month (its key); since and until, which count days from the start of the assignment: to the
        month's first day with fish, and to the end of the month's last day with fish.
    """
    end = pl.min_horizontal("departure_date", pl.lit(profile.as_of).dt.offset_by("1d"))
    return (
        plan.assignments.filter(pl.col("assignment_date") <= profile.as_of)
        .with_columns(end=end, first_month=pl.col("assignment_date").dt.truncate("1mo"))
        .with_columns(month=pl.date_ranges("first_month", pl.col("end").dt.offset_by("-1d"), interval="1mo"))
        .explode("month")
        .with_columns(
            since=(pl.max_horizontal("assignment_date", "month") - pl.col("assignment_date")).dt.total_days(),
            until=(
                pl.min_horizontal("end", pl.col("month").dt.offset_by("1mo")) - pl.col("assignment_date")
            ).dt.total_days(),
            month=month_of("month"),
        )
        .drop("end", "first_month")
    )


def rows_by_month(profile: Profile, plan: Plan, rows: pl.Expr) -> pl.DataFrame:
    """Rows of each month.

    Args:
        profile: The farm's profile.
        plan: Its plan.
        rows: Rows of one assignment and month, as an expression of the columns of `lived_months`.

    Returns:
        month and rows, sorted by month.
    """
    months = lived_months(profile, plan).group_by("month").agg(rows=rows.sum().cast(pl.Int64))
    return months.sort("month")


def _with_ids(assignments: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Add how many rows of each kind an assignment has, and the first id of these rows."""
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
        first_state_id=_first_id(pl.col("days")),
        first_reading_id=_first_id(pl.col("days") * pl.col("readings_per_day")),
        first_feeding_id=_first_id(pl.col("days") * pl.col("meals_per_day")),
        first_sample_id=_first_id(pl.col("samples")),
    )


def _first_id(count: pl.Expr) -> pl.Expr:
    """First id of each assignment if ids start at 1 and each assignment takes `count` ids."""
    return 1 + count.cum_sum() - count


__all__ = [
    "CREATIONS",
    "FIRST_CANCELLED_ID",
    "READING_HOURS",
    "TRAYS",
    "Plan",
    "lived_months",
    "rows_by_month",
    "schedule",
]
