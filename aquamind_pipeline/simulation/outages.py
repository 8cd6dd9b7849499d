"""When sensors send nothing: failed probes, and sites without power or network.

Time is cut into blocks of `BLOCK_DAYS` days. In each block a site loses all its sensors, or a sensor fails on its own,
or nothing happens. An outage lies within its block. So whether a reading is missing follows from the seed, the sensor
and the time alone, and missing readings are counted without making any reading.

One temperature a day always arrives before the last one: a logger stores the first one of each day and sends it when
it is back. So growth, which does not read the last one (`SHOWN_TEMPERATURE_ID`), has a measured temperature for every
day, and a later day never changes the states of earlier ones.

Times are reading slots: `SLOTS` a day, one for each reading hour.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import READING_HOURS, Plan
from aquamind_pipeline.simulation.sites import FRESHWATER_SENSORS, SEA_SENSORS

SLOTS = len(READING_HOURS)
BLOCK_DAYS = 8
LENGTHS = np.array((1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 6, 9, 12, 18, 30), np.int64)
"""Slots that an outage lasts, each equally likely: a third loses one reading, most end within a day, the longest last
five days (docs/reference/water.md#w.6)."""
LONGEST_DAYS = int(LENGTHS.max()) // SLOTS
SITE_SHARE = 0.2
"""Share of the missing readings that are missing because a whole site is out."""
TEMPERATURE = 0
"""Position of the temperature sensor among those of a container."""

_BLOCK_SLOTS = BLOCK_DAYS * SLOTS
_EPOCH = date(1970, 1, 1).toordinal()


class Outages:
    """The outages of a farm.

    Args:
        seed: The farm's seed.
        share: Expected share of missing readings (`Profile.sensor_gap_share`).
    """

    def __init__(self, seed: int, share: float) -> None:
        mean = float(LENGTHS.mean())
        of_site = SITE_SHARE * share * _BLOCK_SLOTS / mean
        own = (1.0 - SITE_SHARE) * share * _BLOCK_SLOTS / mean / (1.0 - of_site)
        self._of_site, self._own = (np.uint64(int(chance * 2.0**24)) for chance in (of_site, own))
        self._site_key, self._sensor_key, self._phase_key = (
            draws.stream(seed, "outages", name) for name in ("site", "sensor", "phase")
        )

    def phase(self, site: Ints) -> Ints:
        """Days by which a site's blocks are shifted."""
        return (draws.bits(self._phase_key, site) % np.uint64(BLOCK_DAYS)).astype(np.int64)

    def of_block(self, site: Ints, container: Ints, sensor: Ints, block: Ints) -> tuple[Ints, Ints]:
        """First slot of an outage in its block, and the slot after its last one; equal where there is none.

        Args:
            site: Sites as in `climate`. All arguments broadcast.
            container: container_id.
            sensor: Position of the sensor among those of its container.
            block: Number of the block.
        """
        site_start, site_stop = _drawn(draws.bits(self._site_key, site, block), self._of_site)
        start, stop = _drawn(draws.bits(self._sensor_key, container, sensor, block), self._own)
        is_out = site_stop > 0
        return np.where(is_out, site_start, start), np.where(is_out, site_stop, stop)

    def of_days(self, site: Ints, container: Ints, ordinals: Ints, sensors: int) -> tuple[Ints, Ints]:
        """First missing slot of each day and sensor, and the slot after the last one; equal where none is missing.

        Args:
            site: Site of each row.
            container: container_id of each row.
            ordinals: Day of each row, as `date.toordinal()`.
            sensors: Number of sensors of a container.

        Returns:
            Two arrays [row, sensor].
        """
        if not ordinals.size:
            return np.zeros((0, sensors), np.int64), np.zeros((0, sensors), np.int64)
        ids, position = np.unique(container, return_inverse=True)
        its_site = np.empty(ids.size, np.int64)
        its_site[position] = site
        day = ordinals + self.phase(its_site)[position]
        block, day = day // BLOCK_DAYS, day % BLOCK_DAYS
        blocks = np.arange(block.min(), block.max() + 1)
        start, stop = self.of_block(
            its_site[:, None, None], ids[:, None, None], np.arange(sensors)[None, None, :], blocks[None, :, None]
        )
        where, midnight = (position, block - blocks[0]), (day * SLOTS)[:, None]
        begins, ends = (np.clip(edge[where] - midnight, 0, SLOTS) for edge in (start, stop))
        begins[:, TEMPERATURE] += (begins[:, TEMPERATURE] == 0) & (ends[:, TEMPERATURE] >= SLOTS - 1)
        return begins, ends


def _drawn(random_bits: draws.Bits, chance: np.uint64) -> tuple[Ints, Ints]:
    """Start and stop of an outage within its block, from 64 random bits; both 0 without one."""
    happens = (random_bits >> np.uint64(40)) < chance
    length = LENGTHS[(random_bits & np.uint64(15)).astype(np.int64)]
    unit: Floats = ((random_bits >> np.uint64(8)) & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
    start = (unit * (_BLOCK_SLOTS + 1 - length)).astype(np.int64)
    return np.where(happens, start, 0), np.where(happens, start + length, 0)


def missing_by_day(profile: Profile, plan: Plan) -> pl.DataFrame:
    """How many readings the sensors of all assignments miss.

    Returns:
        date and missing, by date, without days on which nothing is missing.
    """
    outages = Outages(profile.seed, profile.sensor_gap_share)
    lived = plan.assignments.filter(pl.col("assignment_date") <= profile.as_of)
    first = profile.epoch.toordinal()
    missing = np.zeros(profile.as_of.toordinal() - first + 1, np.int64)
    for at_sea, sensors in ((False, FRESHWATER_SENSORS), (True, SEA_SENSORS)):
        here = lived.filter((pl.col("stage") == ADULT.order) == at_sea)
        if here.is_empty():
            continue
        begins, ends = (_ordinals(here[name]) for name in ("assignment_date", "departure_date"))
        ends = np.minimum(ends, profile.as_of.toordinal() + 1)
        site, container = here["site"].to_numpy(), here["container_id"].to_numpy()
        phase = outages.phase(site)
        first_block = (begins + phase) // BLOCK_DAYS
        blocks = (ends - 1 + phase) // BLOCK_DAYS - first_block + 1
        row = np.repeat(np.arange(here.height), blocks)
        block = np.arange(row.size) - np.repeat(np.cumsum(blocks) - blocks, blocks) + first_block[row]
        kinds = np.arange(len(sensors))[None, :]
        start, stop = outages.of_block(site[row, None], container[row, None], kinds, block[:, None])
        which, kind = np.nonzero(stop)
        row, midnight = row[which], (block[which] * BLOCK_DAYS - phase[row[which]]) * SLOTS
        since = np.maximum(midnight + start[which, kind], begins[row] * SLOTS)
        until = np.minimum(midnight + stop[which, kind], ends[row] * SLOTS)
        for later in range(LONGEST_DAYS + 1):
            day = since // SLOTS + later
            missed = np.minimum(until, (day + 1) * SLOTS) - np.maximum(since, day * SLOTS)
            missed -= (since <= day * SLOTS) & (missed >= SLOTS - 1) & (kind == TEMPERATURE)
            some = np.flatnonzero(missed > 0)
            np.add.at(missing, day[some] - first, missed[some])
    days = np.arange(missing.size, dtype=np.int32) + np.int32(first - _EPOCH)
    return pl.DataFrame({"date": pl.Series(days).cast(pl.Date), "missing": missing}).filter(pl.col("missing") > 0)


def _ordinals(days: pl.Series) -> Ints:
    ordinals: Ints = days.to_physical().to_numpy().astype(np.int64) + _EPOCH
    return ordinals


__all__ = ["BLOCK_DAYS", "LENGTHS", "LONGEST_DAYS", "SITE_SHARE", "SLOTS", "TEMPERATURE", "Outages", "missing_by_day"]
