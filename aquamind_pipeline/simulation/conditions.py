"""What the site and the date decide for all fish there: temperature, episodes, pressure of lice, working days."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import climate, lice
from aquamind_pipeline.simulation.deaths import REASON
from aquamind_pipeline.simulation.episodes import CAUSES, FRESHWATER_CAUSES, SEA_CAUSES, episodes, intensity
from aquamind_pipeline.simulation.feeding_plan import weekday_factor
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sites import geography
from aquamind_pipeline.simulation.treatments import Calendar
from aquamind_pipeline.simulation.workdays import moved_to_working_days

_BOOKED_AHEAD = 120
"""Days beyond the horizon on which treatments may be booked."""


@dataclass(frozen=True)
class Conditions:
    """What all stages of a simulation share. Sites have a place: their row in the arrays.

    Attributes:
        profile: The farm's profile.
        sites: Numbers of the sites, ascending.
        first_day: The first day, as `date.toordinal()`.
        horizon: The day after the last day to simulate.
    """

    profile: Profile
    sites: Ints
    first_day: int
    horizon: int

    @classmethod
    def of(cls, profile: Profile, sites: Ints) -> Conditions:
        """The conditions at some sites, from the farm's first day to its `as_of`."""
        return cls(profile, np.unique(sites), profile.epoch.toordinal(), profile.as_of.toordinal() + 1)

    @property
    def days(self) -> int:
        """Number of days."""
        return self.horizon - self.first_day

    def place(self, site: Ints) -> Ints:
        """Row of each site in the arrays."""
        return np.searchsorted(self.sites, site)

    @cached_property
    def geography(self) -> Ints:
        """geography_id of each place."""
        return geography_of_sites(self.profile.sites)[self.sites]

    @cached_property
    def temp_c(self) -> Floats:
        """Water temperature [place, day]."""
        profile = self.profile
        return climate.site_temperature_c(profile.seed, self.first_day, self.days, profile.sites)[self.sites]

    @cached_property
    def freshwater(self) -> Floats:
        """Chance of death by each freshwater cause [place and day, cause]."""
        return self._intensity(at_sea=False)

    @cached_property
    def sea(self) -> Floats:
        """Chance of death by each cause at sea [place and day, cause]."""
        return self._intensity(at_sea=True)

    def _intensity(self, *, at_sea: bool) -> Floats:
        profile = self.profile
        causes = SEA_CAUSES if at_sea else FRESHWATER_CAUSES
        found = episodes(profile.seed, self.first_day, self.days, self.sites, profile.speed, causes)
        dense = intensity(found, self.first_day, self.days, self.sites, profile.speed, at_sea)
        return dense.reshape(-1, len(causes))

    @cached_property
    def pressure(self) -> tuple[Floats, Floats]:
        """Larvae of salmon lice and of Caligus that attach to a fish in a day of real fish [place, day]."""
        profile = self.profile
        return lice.pressure(profile.seed, self.first_day, self.days, self.sites, self.geography, profile.speed)

    @cached_property
    def calendar(self) -> Calendar:
        """The working days."""
        return Calendar(self.first_day, self.days + _BOOKED_AHEAD)

    @cached_property
    def week(self) -> Floats:
        """Factor of the weekday on feed [day]."""
        return weekday_factor(np.arange(self.first_day, self.horizon))

    @cached_property
    def counting(self) -> np.typing.NDArray[np.bool_]:
        """Whether lice are counted [place, day]: on the days for it, or on the next working day."""
        ordinals = np.arange(self.first_day, self.horizon)
        due = lice.is_counting_day(ordinals[None, :], self.sites[:, None], self.geography[:, None], self.profile.speed)
        return moved_to_working_days(due, self.first_day)


def geography_of_sites(sites: int) -> Ints:
    """geography_id of each site, in the order of `climate.site_temperature_c`."""
    places = geography(sites)
    return np.concatenate(
        [np.repeat(places["geography_id"].to_numpy(), places[kind].to_numpy()) for kind in ("stations", "areas")]
    )


def farm_episodes(profile: Profile) -> pl.DataFrame:
    """Every episode at every site of the farm that begins up to `as_of`.

    Returns:
        site, reason (index into `deaths.REASONS`), date, days, loss.
    """
    first_day, horizon = profile.epoch.toordinal(), profile.as_of.toordinal() + 1
    stations = int(geography(profile.sites)["stations"].sum())
    sites = np.arange(geography_of_sites(profile.sites).size)
    parts = [
        episodes(profile.seed, first_day, horizon - first_day, some, profile.speed, causes)
        for some, causes in ((sites[:stations], FRESHWATER_CAUSES), (sites[stations:], SEA_CAUSES))
    ]
    reasons = [REASON[cause.reason] for cause in CAUSES]
    begins = pl.col("begins") // profile.speed
    return (
        pl.concat(parts)
        .filter(begins < horizon)
        .select(
            "site",
            reason=pl.col("cause").replace_strict(range(len(CAUSES)), reasons, return_dtype=pl.Int64),
            date=(begins - 719_163).cast(pl.Int32).cast(pl.Date),
            days=((pl.col("begins") + pl.col("fish_days") - 1) // profile.speed - begins + 1),
            loss="loss",
        )
        .sort("site", "date", "reason")
    )


__all__ = ["Conditions", "farm_episodes", "geography_of_sites"]
