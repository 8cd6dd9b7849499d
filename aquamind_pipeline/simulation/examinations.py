"""Which fish are weighed, measured and scored for their health, and when.

Fish are examined on working days: once in the stages of parr and smolts, every 30 days from post-smolts on, in one
container of the batch that chance chooses. Each container of smolts is examined on the day of its vaccination.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.stage_inputs import StageInputs
from aquamind_pipeline.simulation.treatments import VACCINE, Treatments

EVERY_DAYS = {3: 90, 4: 90, 5: 30, 6: 30}
"""By stage: days of real fish between two examinations of a batch. Other stages have none."""


def fish_examined(given: StageInputs, population: Ints, tending: Treatments) -> Ints:
    """Fish that are examined [day, container].

    Args:
        given: What is known of the stage.
        population: Fish [day, container].
        tending: The treatments that were done.
    """
    examined = np.zeros(population.shape, bool)
    if every := EVERY_DAYS.get(given.stage.order):
        day, row = _routine(given, every)
        examined[day, row] = True
    if done := tending.records():
        vaccinated = done["method"] == VACCINE
        row = done["row"][vaccinated].astype(np.int64)
        examined[done["day"][vaccinated].astype(np.int64) - given.begins[row], row] = True
    return np.where(examined, np.minimum(population, given.conditions.profile.fish_per_health_sample), 0)


def _routine(given: StageInputs, every: int) -> tuple[Ints, Ints]:
    """Day of the stage and container of each routine examination: the first working day from the middle of a period."""
    profile, begins, lived = given.conditions.profile, given.begins, given.lived
    length = max(1, every // profile.speed)
    batches, first, containers = np.unique(given.batch, return_index=True, return_counts=True)
    due = np.arange(int(lived.max(initial=0)) // length + 1)[:, None] * length + length // 2
    period, place = np.nonzero(due < lived[first][None, :])
    due = due[period, 0]
    start = begins[first[place]]
    day = given.conditions.calendar.slots(start + due, np.zeros_like(due)) - start
    luck = draws.uniform(
        draws.stream(profile.seed, "examinations", "container"), batches[place], given.stage.order, period
    )
    row = first[place] + (luck * containers[place]).astype(np.int64)
    inside = day < lived[row]
    return day[inside], row[inside]


__all__ = ["EVERY_DAYS", "fish_examined"]
