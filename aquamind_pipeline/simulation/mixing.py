"""Mixed batches: what two batches have left in a ring each after a partial harvest becomes a new batch in one ring.

On the day on which a batch is harvested, its last ring and the last ring of a later batch are harvested in part. What
is left of the earlier batch goes into the ring of the later one. Both assignments end that day, and a new batch begins
in the ring with all fish. It is harvested with the later batch.

So a mix follows from the plan of two batches. It takes nothing from other batches: both rings were planned for longer,
and the new assignment uses the ids that were reserved for the rest of the ring's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT, FRESHWATER
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sampling_days import samples_before

FIRST_BATCH_ID, FIRST_ASSIGNMENT_ID = 1_000_000, 500_000_000
"""Added to the ids of the later batch and of its ring. Ids of other batches lie far below."""
MIXED_PREFIX = "MIX-"
"""First part of a mixed batch's number."""
_LEAST_DAYS, _MOST_DAYS = 30, 240
"""Days of real fish from the mix to the harvest of the later batch."""
_AT_SEA_DAYS = 60
"""Days of real fish that the later batch is at sea at least, before fish are mixed."""
_EARLIEST_HARVEST_DAYS = 300
"""Days of real fish at sea before which no batch is harvested."""
_LATE_DAYS = 7
"""Days by which a harvest may be later than the longest time at sea, to be on a working day."""
_MOVED, _STAYED = (0.10, 0.25), (0.30, 0.50)
"""Share of a ring's fish that the partial harvest leaves, in the ring of the earlier and in that of the later batch.
Together they weigh less at the harvest than the fish of the later batch would have weighed alone."""

MIXES = pl.Schema(
    {
        "batch_id": pl.Int64(),
        "assignment_id": pl.Int64(),
        "date": pl.Date(),
        "source_batch_id": pl.Int64(),
        "source_assignment_id": pl.Int64(),
        "resident_batch_id": pl.Int64(),
        "resident_assignment_id": pl.Int64(),
    }
)
"""A mix: the new batch and its assignment; those whose fish moved in (source); those whose fish stayed (resident)."""


def is_mixed(batch_id: pl.Expr) -> pl.Expr:
    """Whether a batch came of a mix."""
    return batch_id > FIRST_BATCH_ID


def goes_into_mix(dest_assignment_id: pl.Expr) -> pl.Expr:
    """Whether fish move into the ring of a mixed batch. Rings also give fish to others in emergencies."""
    return dest_assignment_id > FIRST_ASSIGNMENT_ID


@dataclass(frozen=True)
class _Pair:
    """Two batches whose fish are mixed, as indexes into a list of batches, and the day of the mix."""

    source: int
    resident: int
    date: date


def with_mixes(
    profile: Profile, batches: pl.DataFrame, assignments: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Let some planned batches mix.

    Args:
        profile: The farm's profile.
        batches: `Plan.batches` without mixed ones.
        assignments: `Plan.assignments` of these.

    Returns:
        Batches and assignments with the mixed ones that have begun by `as_of`, and `Plan.mixes`. The rings of later
        batches end on the day of the mix, also of one that is to come.
    """
    pairs = _pairs(profile, batches)
    if not pairs:
        return batches, assignments, MIXES.to_frame()
    last = assignments.filter(stage=ADULT.order).group_by("batch_id").agg(ring=pl.col("assignment_id").last())
    ring = dict(last.iter_rows())
    ids = batches["batch_id"]
    mixes = pl.DataFrame(
        [
            {
                "batch_id": FIRST_BATCH_ID + ids[pair.resident],
                "assignment_id": FIRST_ASSIGNMENT_ID + ring[ids[pair.resident]],
                "date": pair.date,
                "source_batch_id": ids[pair.source],
                "source_assignment_id": ring[ids[pair.source]],
                "resident_batch_id": ids[pair.resident],
                "resident_assignment_id": ring[ids[pair.resident]],
            }
            for pair in pairs
        ],
        schema=MIXES,
    )
    assignments, after = _split(profile, assignments, mixes)
    mixes = mixes.filter(pl.col("date") <= profile.as_of)
    return (
        pl.concat([batches, _mixed_batches(profile, batches, mixes)]),
        pl.concat([assignments, after.join(mixes, on="batch_id", how="semi")]),
        mixes,
    )


def _pairs(profile: Profile, batches: pl.DataFrame) -> list[_Pair]:
    """The batches that mix: at most one mix in each of `mixed_batches` equal parts of the time with harvests.

    The mixed batch of the last part lives on the profile's own `as_of`, so that people see one that is not finished.
    Batches are tried in the order of their ids. So batches that a later `as_of` adds change nothing.
    """
    wanted = profile.mixed_batches
    begins = profile.epoch + timedelta(days=_on_land(profile) + _EARLIEST_HARVEST_DAYS // profile.speed)
    span = (profile.default_as_of - begins).days + 1
    if not wanted or span < 1:
        return []
    geography, harvest = batches["geography_id"].to_list(), batches["harvest_date"].to_list()
    at_sea = [start + timedelta(days=_on_land(profile)) for start in batches["start_date"]]
    earliest, least, most = (max(1, days // profile.speed) for days in (_AT_SEA_DAYS, _LEAST_DAYS, _MOST_DAYS))
    longest = timedelta(days=profile.stage_days(ADULT.days) + _LATE_DAYS)
    pairs: dict[int, _Pair] = {}
    used: set[int] = set()
    for resident in range(len(harvest)):
        if len(pairs) == wanted:
            break
        first_day = at_sea[resident] + timedelta(days=earliest)
        for source in range(resident - 1, -1, -1):
            if at_sea[source] + longest < first_day:
                break
            day = harvest[source]
            part = (day - begins).days * wanted // span
            if (
                geography[source] == geography[resident]
                and source not in used
                and least <= (harvest[resident] - day).days <= most
                and day >= first_day
                and 0 <= part < wanted
                and part not in pairs
                and (part < wanted - 1 or harvest[resident] > profile.default_as_of)
            ):
                pairs[part] = _Pair(source, resident, day)
                used |= {source, resident}
                break
    return [pairs[part] for part in sorted(pairs)]


def _on_land(profile: Profile) -> int:
    """Days of a batch on land."""
    return sum(profile.stage_days(stage.days) for stage in FRESHWATER)


def _mixed_batches(profile: Profile, batches: pl.DataFrame, mixes: pl.DataFrame) -> pl.DataFrame:
    """Rows of `Plan.batches` of mixed batches, with the number that AquaMind makes of the time of the mix."""
    later = batches.select("geography_id", "harvest_weight_g", "harvest_date", "area_id", resident_batch_id="batch_id")
    letters = draws.bits(draws.stream(profile.seed, "mix", "number"), mixes["batch_id"].to_numpy())
    code = pl.Series([f"{int(one) & 0xFFFF:04X}" for one in letters], dtype=pl.String)
    return (
        mixes.join(later, on="resident_batch_id", maintain_order="left")
        .with_columns(
            batch_number=pl.format(MIXED_PREFIX + "{}100000-{}", pl.col("date").dt.strftime("%y%m%d"), code),
            start_date="date",
            eggs=pl.lit(0, pl.Int64),
        )
        .select(batches.columns)
    )


def _split(profile: Profile, assignments: pl.DataFrame, mixes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """End the rings of later batches on the day of the mix.

    Returns:
        All assignments with these rings shortened, and the assignments of the mixed batches, which have the rest of
        their days and of their ids.
    """
    days = mixes.select("date", assignment_id="resident_assignment_id")
    cut = assignments.join(days, on="assignment_id", how="left", maintain_order="left")
    left = (pl.col("date") - pl.col("assignment_date")).dt.total_days()
    sampled = samples_before(pl.col("batch_day") + left, profile.samples_per_week) - samples_before(
        pl.col("batch_day"), profile.samples_per_week
    )
    is_cut = pl.col("date").is_not_null()
    before = cut.with_columns(
        departure_date=pl.coalesce("date", "departure_date"),
        days=pl.when(is_cut).then(left).otherwise("days"),
        samples=pl.when(is_cut).then(sampled).otherwise("samples"),
    )
    rest = cut.filter(is_cut)
    after = (
        rest.with_columns(
            first_state_id=pl.col("first_state_id") + left,
            first_reading_id=pl.col("first_reading_id") + left * pl.col("readings_per_day"),
            first_feeding_id=pl.col("first_feeding_id") + left * pl.col("meals_per_day"),
            first_sample_id=pl.col("first_sample_id") + sampled,
            samples=pl.col("samples") - sampled,
            batch_day=pl.col("batch_day") + left,
            days=pl.col("days") - left,
            assignment_date="date",
            resident_assignment_id="assignment_id",
        )
        .drop("assignment_id", "batch_id")
        .join(mixes.select("resident_assignment_id", "assignment_id", "batch_id"), on="resident_assignment_id")
        .sort("assignment_id")
    )
    return before.select(assignments.columns), after.select(assignments.columns)


def left_over(seed: int, batch: Ints, fish: Ints, *, moved: bool) -> Ints:
    """Fish that the partial harvest leaves in a ring.

    Args:
        seed: The farm's seed.
        batch: The mixed batches.
        fish: Fish in the rings before.
        moved: Whether these are the fish that move to the other ring, or those that stay.
    """
    low, high = _MOVED if moved else _STAYED
    u = draws.uniform(draws.stream(seed, "mix", "moved" if moved else "stayed"), batch)
    left: Ints = np.floor(fish * (low + u * (high - low))).astype(np.int64)
    return left


__all__ = [
    "FIRST_ASSIGNMENT_ID",
    "FIRST_BATCH_ID",
    "MIXED_PREFIX",
    "MIXES",
    "goes_into_mix",
    "is_mixed",
    "left_over",
    "with_mixes",
]
