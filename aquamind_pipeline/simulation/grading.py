"""Grading: large and small smolts of a batch change places between two tanks, so that each tank has fish of one size.

Tanks are graded in pairs. As many small fish come back as large fish go over, so the number of fish in a tank stays.
A grader is not perfect: picked fish differ from the mean by what AquaMind assumes of them (rule R11).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.workdays import next_working_day

GRADED_STAGE = 4
"""Smolts are graded; their tanks have room for it."""
SELECTIONS = ("AVERAGE", "LARGEST", "SMALLEST", "AVERAGE")
"""Which fish are picked. The column `picked` of `life_move` is an index into this tuple; the last is of emergencies."""
AVERAGE, LARGEST, SMALLEST, IN_EMERGENCY = range(len(SELECTIONS))
PICKED_WEIGHT = (1.0, 1 / 0.88, 1 / 1.12)
"""Weight of picked fish relative to all fish of the tank, by selection (rule R11)."""
_SHARE_GRADED = 0.8
"""Share of batches that are graded."""
_FIRST_DAY, _LAST_DAY = 6, 14
"""Days of real fish after the smolts came in, between which they are graded: before the first is vaccinated."""
_LEAST, _MOST = 0.05, 0.10
"""Least and largest share of a tank's fish that change places."""


def is_graded(seed: int, batch: Ints) -> np.typing.NDArray[np.bool_]:
    """Whether a batch is graded."""
    graded: np.typing.NDArray[np.bool_] = draws.uniform(draws.stream(seed, "grading", "batch"), batch) < _SHARE_GRADED
    return graded


def grading_day(seed: int, speed: int, batch: Ints, begins: Ints, days: Ints) -> Ints:
    """Day of the stage on which a batch is graded, from 1; -1 if it never is. It is a working day.

    Args:
        seed: The farm's seed.
        speed: How many days of real fish a day has.
        batch: Batches.
        begins: First day of the stage of each, as `date.toordinal()`.
        days: Planned length of the stage of each.
    """
    u = draws.uniform(draws.stream(seed, "grading", "day"), batch)
    day = np.maximum(1, np.floor((_FIRST_DAY + u * (_LAST_DAY - _FIRST_DAY)) / speed).astype(np.int64))
    day = next_working_day(begins + day) - begins
    return np.where(is_graded(seed, batch) & (day < days - 1), day, -1)


@dataclass(frozen=True)
class Exchange:
    """Fish that changed places between two tanks.

    Attributes:
        first: Tanks that gave large fish [pair].
        count: Fish that each of the two tanks gave [pair].
        fish: Fish in both tanks before [tank of the pair, pair].
        weight_g: Mean weight in both tanks before [tank of the pair, pair].
    """

    first: Ints
    count: Ints
    fish: Ints
    weight_g: Floats

    @property
    def picked_g(self) -> Floats:
        """Mean weight of the picked fish [tank of the pair, pair]."""
        factors = np.array([[PICKED_WEIGHT[LARGEST]], [PICKED_WEIGHT[SMALLEST]]])
        picked: Floats = self.weight_g * factors
        return picked

    @property
    def left_g(self) -> Floats:
        """Mean weight in both tanks afterwards [tank of the pair, pair]."""
        picked = self.picked_g
        return self.weight_g + self.count * (picked[::-1] - picked) / self.fish

    def moves(self, assignments: pl.DataFrame, dates: pl.Series) -> pl.DataFrame:
        """Rows of `Life.moves`.

        Args:
            assignments: The stage's assignments.
            dates: Day of each pair.
        """
        first, second = (assignments[self.first + side] for side in (0, 1))
        batch, stage = first.select("batch_id", "stage").get_columns()
        parts = []
        for side, (source, dest) in enumerate(((first, second), (second, first))):
            parts.append(
                pl.DataFrame(
                    {
                        "batch_id": batch,
                        "stage": stage,
                        "source_assignment_id": source["assignment_id"],
                        "dest_assignment_id": dest["assignment_id"],
                        "count": self.count,
                        "deaths": np.zeros(self.count.size, np.int64),
                        "source_population_before": self.fish[side] + side * self.count,
                        "weight_g": self.picked_g[side],
                        "picked": np.full(self.count.size, (LARGEST, SMALLEST)[side]),
                        "date": dates,
                    }
                )
            )
        return pl.concat(parts)


def exchange(seed: int, ids: Ints, first: Ints, fish: Ints, weight_g: Floats) -> Exchange:
    """Let fish change places between tanks and the tanks after them.

    Args:
        seed: The farm's seed.
        ids: Assignments of all tanks.
        first: Tanks that give large fish.
        fish: Fish of all tanks.
        weight_g: Their mean weight.
    """
    both = np.stack([first, first + 1])
    u = draws.uniform(draws.stream(seed, "grading", "share"), ids[first])
    count = np.floor(fish[both].min(axis=0) * (_LEAST + u * (_MOST - _LEAST))).astype(np.int64)
    some = np.flatnonzero(count)
    return Exchange(first[some], count[some], fish[both][:, some], weight_g[both][:, some])


__all__ = [
    "AVERAGE",
    "GRADED_STAGE",
    "IN_EMERGENCY",
    "LARGEST",
    "PICKED_WEIGHT",
    "SELECTIONS",
    "SMALLEST",
    "Exchange",
    "exchange",
    "grading_day",
    "is_graded",
]
