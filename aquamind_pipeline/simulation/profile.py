"""The profile: everything that decides the rows of a farm. `profiles` reads it from a TOML file.

Where files lie and which database is loaded belongs to `settings`.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from aquamind_pipeline.mistakes import MistakesError, no_such
from aquamind_pipeline.simulation.biology import FRESHWATER, RING_FISH_LIMIT
from aquamind_pipeline.simulation.deaths import most_fish

GENERATOR_VERSION = 7
"""Raise this number whenever the same profile and seed would give other rows. A lake has rows of one version only."""

GEOGRAPHIES = ("Faroe Islands", "Scotland")

_LAST_YEAR = 9900
"""Plans reach some years beyond `as_of`, and no date lies after the year 9999."""

_MOST_MEALS = 12
"""Meals of a feeder on one day at most."""

Range = tuple[int, int]
Positive = Annotated[int, Field(ge=1)]


class Profile(BaseModel):
    """One farm to build. Durations are in days, weights in grams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    seed: int = Field(ge=0, lt=2**63)
    epoch: date
    """Day on which the first batches start. Its month is the first monthly partition."""
    as_of: date
    """Last day that has data."""
    default_as_of: date
    """The profile's own `as_of`, even if the user gave another one. The bands apply to this day."""
    is_anchored: bool = False
    """Whether the profile's `as_of` is `today`. `default_as_of` is then the farm's anchor: the day on which the farm
    was planned, or the day that the user gave. Another anchor is another farm."""
    history_days: Positive | None = None
    """Days from `epoch` to the anchor. An anchored profile has this instead of an `epoch`."""
    geographies: tuple[str, ...] = GEOGRAPHIES
    sites: Positive = 1
    """Size of the infrastructure: the farm has this many times AquaMind's stations and sea areas."""
    batches_per_geography: Positive
    """Batches of each geography that start every `stagger_days` from `epoch` on."""
    stagger_days: Positive
    shift_days: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Days by which the batches of each geography start later than `epoch`. Empty: all geographies start together."""
    ladder_days: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Ages in days that further batches of each geography have on `default_as_of`."""
    continues: bool = True
    """Whether new batches start after `default_as_of`, too."""
    eggs: Range
    """Smallest and largest number of eggs of a batch."""
    tanks_per_stage: Annotated[int, Field(ge=1, le=10)] = 10
    rings_per_batch: Annotated[int, Field(ge=1, le=20)] = 14
    harvest_weight_g: Range = (4500, 6500)
    """Each batch draws its harvest weight from this range."""
    meals_per_day: tuple[int, int, int, int, int, int] = (0, 10, 8, 7, 6, 6)
    """Meals of the automatic feeders by stage, from eggs to adults."""
    samples_per_week: Annotated[int, Field(ge=0, le=7)] = 2
    fish_per_sample: Annotated[int, Field(ge=2, le=999)] = 10
    """Fish that are weighed and measured in a growth sample. Each of them has a row in AquaMind."""
    fish_per_health_sample: Annotated[int, Field(ge=2, le=999)] = 20
    """Fish that are weighed, measured and scored when the health of a container is examined."""
    sensor_gap_share: Annotated[float, Field(ge=0.0, le=0.1)] = 0.02
    """Share of sensor readings that are missing, because a sensor failed or a site lost power or network."""
    forecast_history_days: Annotated[int, Field(ge=0, le=365)] = 0
    """Live projections are kept not only of `as_of` but also of the Mondays of so many days before it."""
    mixed_batches: Annotated[int, Field(ge=0, le=100)] = 0
    """Mixed batches at most: remnants of two rings that are put together after a partial harvest. They are spread over
    the time with harvests, up to `default_as_of`."""
    planned_batches: Annotated[int, Field(ge=0, le=100)] = 0
    """Batches that are planned but have not begun: the next ones that start. Fewer if fewer start, such as in a farm
    that does not continue."""
    receiving_batches: Annotated[int, Field(ge=0, le=100)] = 0
    """Further batches whose eggs are being delivered on `default_as_of`. The geographies take turns."""
    cancelled_batches: Annotated[int, Field(ge=0, le=100)] = 0
    """Batches that were planned but called off before their eggs came, up to `default_as_of`. None if
    the farm begins after that day."""
    speed: Positive = 1
    """How many times as fast as real fish the fish live: shorter stages, more growth and deaths a day. A small farm
    with a high speed shows a whole life in weeks."""
    bands: tuple[tuple[str, Range], ...] = ()
    """Inclusive ranges that the farm's counts must lie in on `default_as_of`: of `batches` that have received all
    their eggs, of `completed` batches, and of rows by table name."""
    faults: tuple[str, ...] = ()
    """Faults to put into finished tables, each NAME or NAME:RATE (docs/checks.md)."""

    @field_validator("bands", mode="before")
    @classmethod
    def _bands_by_name(cls, value: object) -> object:
        return tuple(value.items()) if isinstance(value, dict) else value

    @field_validator("eggs", "harvest_weight_g")
    @classmethod
    def _require_range(cls, value: Range) -> Range:
        smallest, largest = value
        if smallest > largest:
            raise ValueError(f"write [smallest, largest]: {smallest} must not exceed {largest}")
        if smallest < 1:
            raise ValueError(f"must be at least 1, not {smallest}")
        return value

    @field_validator("geographies")
    @classmethod
    def _require_geographies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        mistakes = [
            no_such("geography", name, GEOGRAPHIES, f"there are {', '.join(GEOGRAPHIES)}")
            for name in value
            if name not in GEOGRAPHIES
        ]
        if not value:
            mistakes.append(f"name one at least: {', '.join(GEOGRAPHIES)}")
        if len(set(value)) < len(value):
            mistakes.append("names one twice; leave it out once")
        if mistakes:
            raise MistakesError(mistakes)
        return value

    @field_validator("meals_per_day")
    @classmethod
    def _require_meals(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value[0] != 0 or not all(1 <= meals <= _MOST_MEALS for meals in value[1:]):
            raise ValueError(f"must be 0 for eggs and 1 to {_MOST_MEALS} for every later stage")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        mistakes = []
        if self.as_of < self.epoch:
            mistakes.append(f"as_of {self.as_of} lies before epoch {self.epoch}; give a later as_of")
        if self.shift_days and len(self.shift_days) != len(self.geographies):
            mistakes.append(f"shift_days has {len(self.shift_days)} numbers; give one for each of the geographies")
        if max(self.shift_days, default=0) >= self.stagger_days:
            mistakes.append(f"shift_days {max(self.shift_days)} must be less than stagger_days {self.stagger_days}")
        if self.ladder_days and self.default_as_of - timedelta(days=max(self.ladder_days)) < self.epoch:
            mistakes.append(f"ladder_days {max(self.ladder_days)} reaches back beyond epoch {self.epoch}; make it less")
        if self.as_of.year > _LAST_YEAR:
            mistakes.append(f"as_of {self.as_of} lies after the year {_LAST_YEAR}; give an earlier day")
        fish = most_fish(self.eggs[1]) / self.rings_per_batch
        if fish > RING_FISH_LIMIT:
            mistakes.append(
                f"{self.eggs[1]:,} eggs put up to {fish:,.0f} fish into a ring, more than the "
                f"{RING_FISH_LIMIT:,} allowed; raise rings_per_batch or lower eggs"
            )
        if not mistakes and not self.starts(self.as_of):
            first = self.epoch + timedelta(days=min(self.shift_days, default=0))
            mistakes.append(f"as_of {self.as_of} lies before the first eggs, which come on {first}; give a later as_of")
        if mistakes:
            raise MistakesError(mistakes)
        return self

    def fish_per_ring(self, eggs: int) -> float:
        """Expected fish in one ring of a batch that began with so many eggs."""
        fish = float(eggs)
        for stage in FRESHWATER:
            fish *= (1 - stage.daily_mortality) ** stage.days
        return fish / self.rings_per_batch

    @property
    def fewest_weighed(self) -> int:
        """Fewest fish whose mean weight becomes a measured weight of the daily states."""
        return min(self.fish_per_sample, self.fish_per_health_sample)

    def stage_days(self, days: int) -> int:
        """Length of a stage of `days` at this profile's `speed`."""
        return max(1, days // self.speed)

    def starts(self, until: date) -> list[tuple[date, str]]:
        """Days up to `until` on which batches start, and the geography of each, in the order of the batches' ids.

        On `default_as_of` each geography has `batches_per_geography` batches and those of `ladder_days`, unless it is
        too early for some of them. Of the `receiving_batches` the first eggs come on the day before. No other batch
        starts between the last of these and `default_as_of`. After `default_as_of` a batch starts every
        `stagger_days` again, if `continues`.
        """
        day = max(self.default_as_of - timedelta(days=1), self.epoch)
        names = (self.geographies[k % len(self.geographies)] for k in range(self.receiving_batches))
        starts = [(day, GEOGRAPHIES.index(name), name) for name in names if day <= until]
        for geography, shift in zip(self.geographies, self.shift_days or (0,) * len(self.geographies), strict=True):
            first, order = self.epoch + timedelta(days=shift), GEOGRAPHIES.index(geography)
            for k in range(max((until - first).days // self.stagger_days + 1, 0)):
                day = first + timedelta(days=k * self.stagger_days)
                if k < self.batches_per_geography or (self.continues and day > self.default_as_of):
                    starts.append((day, order, geography))
            ladder = (self.default_as_of - timedelta(days=age) for age in self.ladder_days)
            starts += [(day, order, geography) for day in ladder if day <= until]
        return [(day, geography) for day, _, geography in sorted(starts)]

    @property
    def identity(self) -> str:
        """Hash of everything that decides the rows, except `as_of`."""
        excluded = {"as_of", "description", "bands"} if self.faults else {"as_of", "description", "bands", "faults"}
        content = self.model_dump_json(exclude=excluded)
        return hashlib.sha256(f"{GENERATOR_VERSION}\n{content}".encode()).hexdigest()[:16]


__all__ = ["GENERATOR_VERSION", "GEOGRAPHIES", "Profile"]
