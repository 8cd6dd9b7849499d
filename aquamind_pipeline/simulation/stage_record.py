"""What happened in a stage, kept by day and container, and written as rows of `Life.days`."""

from __future__ import annotations

from typing import Any

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import feeding_plan
from aquamind_pipeline.simulation.stage_inputs import StageInputs

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
    "fish_weighed": np.int64,
    "fish_examined": np.int64,
}
"""Columns of `Life.days` that a stage computes."""

_LEAST_MEAL_DG = 2
"""Smallest meal [decigrams of feed, 0.0001 kg]; a day with less feed than that for each meal has none."""


class StageRecord:
    """Arrays [day, container] that a stage fills from day to day.

    Attributes:
        population: Fish at the end of the day.
        root: Cube root of their weight in g.
        dead: Dead fish of the day.
        second_dead: Those of them that have the second reason.
        reason: Reason of most of the dead.
        second_reason: Second reason.
        fasting: Why there was no feed: see `stage_days`.
        appetite: Feed and growth relative to the mean.
        vigour: Share of their appetite that illness has left the fish.
        gill: Mean gill score.
        wound: Mean score of skin and fins.
        moved_g: By day, change of the mean weight because fish were exchanged [container].
    """

    def __init__(self, given: StageInputs) -> None:
        """Keep nothing yet."""
        shape = (given.width, given.ids.size)
        self.population = np.empty(shape, np.int64)
        self.root = np.empty(shape)
        self.dead, self.second_dead = np.empty(shape, np.int32), np.empty(shape, np.int32)
        self.reason, self.second_reason = np.empty(shape, np.int8), np.empty(shape, np.int8)
        self.fasting = np.zeros(shape, np.int8)
        self.appetite, self.vigour = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        self.gill, self.wound = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.moved_g: dict[int, Floats] = {}

    def write(
        self,
        given: StageInputs,
        start_root: Floats,
        where: tuple[Ints, Ints],
        table: dict[str, np.typing.NDArray[Any]],
    ) -> None:
        """Write the stage's rows of `Life.days`.

        Args:
            given: What was known of the stage.
            start_root: Cube root of the weight at the start of the stage [container].
            where: For each row, its place in an array [day, container], and its row in `table`.
            table: The columns of `Life.days` in DAY_COLUMNS; those of examinations are left alone.
        """
        pick, to = where
        second = self.second_dead.take(pick)
        reason = self.reason.take(pick)
        table["temp_c"][to] = given.water_c.take(pick)
        table["population"][to] = self.population.take(pick)
        table["weight_g"][to] = (self.root * self.root * self.root).take(pick)
        table["deaths"][to] = self.dead.take(pick)
        table["reason"][to] = reason
        table["second_deaths"][to] = second
        table["second_reason"][to] = np.where(second > 0, self.second_reason.take(pick), reason)
        for name, score in (("appetite", self.appetite), ("gill", self.gill), ("wound", self.wound)):
            table[name][to] = np.rint(score.take(pick).astype(np.float64) * 1000.0) / 1000.0
        table["fasting"][to] = self.fasting.take(pick)
        feed_dg = np.rint(self._feed_dg(given, start_root).take(pick)).astype(np.int64)
        meals = given.conditions.profile.meals_per_day[given.stage.order - 1]
        fed = feed_dg >= _LEAST_MEAL_DG * meals if meals else np.zeros(feed_dg.shape, bool)
        table["feed_dg"][to] = np.where(fed, feed_dg, 0)
        table["meals"][to] = np.where(fed, meals, 0)

    def _feed_dg(self, given: StageInputs, start_root: Floats) -> Floats:
        """Feed of each day and container in decigrams: growth times feed per growth, and what ill fish leave."""
        weight = self.root * self.root * self.root
        gained = weight.copy()
        gained[1:] -= weight[:-1]
        gained[:1] -= start_root * start_root * start_root
        for day, change in self.moved_g.items():
            gained[day] -= change
        site = given.assignments["site"].to_numpy()
        year = given.begins // 365
        ratio = feeding_plan.conversion(given.conditions.profile.seed, given.stage, given.batch, site, year)
        eaten = ratio[None, :] * gained * self.population * 10.0
        return eaten * feeding_plan.waste(self.vigour.astype(np.float64))


__all__ = ["DAY_COLUMNS", "StageRecord"]
