"""Which fish are weighed, measured and scored, and when.

For growth some fish of each container that feeds are weighed several times a week. For health fish are examined once in
the stages of parr and smolts, and every 30 days from post-smolts on, in one container of the batch that chance chooses.

Both happen on working days. Nobody handles fish that are treated, or that have no feed before a treatment or a move or
in a storm: they wait for the next day that suits. Only the vaccination itself has a weighing, of each tank of smolts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.stage_inputs import StageInputs
from aquamind_pipeline.simulation.treatments import VACCINE, Bools, Treatments

EVERY_DAYS = {3: 90, 4: 90, 5: 30, 6: 30}
"""By stage: days of real fish between two examinations of a batch. Other stages have none."""
_FIRST_WEIGHED_STAGE = 2


@dataclass(frozen=True)
class Examinations:
    """Fish of each container that are weighed or examined.

    Attributes:
        weighed: Fish of growth samples [day, container].
        examined: Fish of health samplings [day, container].
    """

    weighed: Ints
    examined: Ints

    @classmethod
    def of(cls, given: StageInputs, population: Ints, is_fed: Bools, tending: Treatments) -> Examinations:
        """Find the days.

        Args:
            given: What is known of the stage.
            population: Fish [day, container].
            is_fed: Whether the fish were fed [day, container].
            tending: The treatments that were done.
        """
        day = np.arange(given.width)[:, None]
        calendar = given.conditions.calendar
        today = np.minimum(given.begins - calendar.first_day + day, calendar.works.size - 1)
        suits = calendar.works[today] & is_fed & (day < given.lived)
        examined = np.zeros(population.shape, bool)
        if done := tending.records():
            begun, row, days = (done[name].astype(np.int64) for name in ("day", "row", "days"))
            begun = begun - given.begins[row]
            for later in range(int(days.max(initial=0))):
                on = begun + later
                some = (later < days) & (on < given.width)
                suits[on[some], row[some]] = False
            vaccinated = done["method"] == VACCINE
            examined[begun[vaccinated], row[vaccinated]] = True
        following = _next_day(suits)
        examined[_routine(given, following)] = True
        profile = given.conditions.profile
        return cls(
            np.where(_growth_samples(given, following), profile.fish_per_sample, 0),
            np.where(examined, np.minimum(population, profile.fish_per_health_sample), 0),
        )


def _next_day(suits: Bools) -> Ints:
    """The first day that suits from each day on, or the number of days if none does [day, container]."""
    day = np.where(suits, np.arange(suits.shape[0])[:, None], suits.shape[0])
    following: Ints = np.minimum.accumulate(day[::-1], axis=0)[::-1]
    return following


def _growth_samples(given: StageInputs, following: Ints) -> Bools:
    """Whether a growth sample is taken: on the first day that suits from a due day on and before the next due day."""
    taken = np.zeros(following.shape, bool)
    per_week = given.conditions.profile.samples_per_week
    if given.stage.order < _FIRST_WEIGHED_STAGE or not per_week:
        return taken
    first = given.assignments["batch_day"].to_numpy()
    day, row = np.nonzero(is_due((first + np.arange(given.width)[:, None]), per_week))
    on = following[day, row]
    upto = day + 1
    while (waits := ~is_due(first[row] + upto, per_week)).any():
        upto += waits
    some = on < np.minimum(upto, given.width)
    taken[on[some], row[some]] = True
    return taken


def is_due(batch_day: Ints, per_week: int) -> Bools:
    """Whether growth samples are due on this day of a batch (from 0): `per_week` of seven days, spread evenly."""
    due: Bools = (batch_day * per_week) % 7 < per_week
    return due


def _routine(given: StageInputs, following: Ints) -> tuple[Ints, Ints]:
    """Day and container of each routine examination: the first day that suits from the middle of a period on."""
    profile, lived = given.conditions.profile, given.lived
    if not (every := EVERY_DAYS.get(given.stage.order)):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    length = max(1, every // profile.speed)
    batches, first, containers = np.unique(given.batch, return_index=True, return_counts=True)
    due = np.arange(int(lived.max(initial=0)) // length + 1)[:, None] * length + length // 2
    period, place = np.nonzero(due < lived[first][None, :])
    due = due[period, 0]
    luck = draws.uniform(
        draws.stream(profile.seed, "examinations", "container"), batches[place], given.stage.order, period
    )
    row = first[place] + (luck * containers[place]).astype(np.int64)
    day = following[due, row]
    some = day < np.minimum(due + length, given.width)
    return day[some], row[some]


__all__ = ["EVERY_DAYS", "Examinations", "is_due"]
