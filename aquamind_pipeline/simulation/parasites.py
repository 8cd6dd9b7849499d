"""Lice in the rings of the sea stage day by day, and the decisions that follow from counting them."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.simulation import draws, lice, treatments
from aquamind_pipeline.simulation.conditions import Conditions
from aquamind_pipeline.simulation.episodes import SEA_CAUSES
from aquamind_pipeline.simulation.treatments import Treatments

_GILL = [cause.reason for cause in SEA_CAUSES].index("gill disease")
_ULCER = [cause.reason for cause in SEA_CAUSES].index("winter ulcer")
_COUNTED = np.array([lice.STAGES.index("adult_female"), lice.STAGES.index("preadult")])
"""Numbers of the stages of lice that lead to treatments."""
_NEAR = 0.35
"""With fewer lice than this share of a number a count does not reach it but by a rare chance."""


class Parasites:
    """Lice of all rings.

    Attributes:
        lice: Means per fish [compartment, ring].
    """

    def __init__(
        self, conditions: Conditions, ids: Ints, batch: Ints, place: Ints, geography: Ints, width: int
    ) -> None:
        """Start without lice.

        Args:
            conditions: What site and date decide.
            ids: Assignments, sorted by batch.
            batch: Their batches, each with equally many rings.
            place: Rows of their sites.
            geography: Their geography_id.
            width: Days to simulate.
        """
        profile = conditions.profile
        self.seed, self.speed, self.ids, self.geography = profile.seed, profile.speed, ids, geography
        self.lice = np.zeros((lice.COMPARTMENTS, ids.size))
        self._larvae = np.zeros(ids.size)
        self._outside, self._caligus = (one.ravel() for one in conditions.pressure)
        self._counting = conditions.counting.ravel()
        self._month = conditions.calendar.month
        self._first_day = conditions.first_day
        self._trigger = treatments.lice_trigger(np.arange(13)[:, None], geography)
        self._factor = lice.ring_factor(self.seed, ids)
        self._batches = max(int(np.unique(batch).size), 1)
        self._fish = np.where(geography == 1, lice.FISH_COUNTED[1], lice.FISH_COUNTED[2])
        self._history = np.zeros((len(lice.STAGES), width, ids.size))
        self._counted = np.zeros((width, ids.size), np.int8)

    def bring(self, per_fish: Floats) -> None:
        """Let the fish have lice when they come.

        Args:
            per_fish: Means per fish [stage of `lice.STAGES`, ring], spread evenly over the compartments of a stage.
        """
        self.lice[:3], self.lice[3:5] = per_fish[0] / 3.0, per_fish[1] / 2.0
        self.lice[lice.MALE], self.lice[lice.FEMALE], self.lice[lice.CALIGUS] = per_fish[2:]

    def on(self, day: Ints) -> Floats:
        """Means per fish [stage of `lice.STAGES`, ring] at the end of a day of each ring."""
        there: Floats = self._history[:, day, np.arange(self.ids.size)]
        return there

    def day(self, d: int, today: Ints, here: Ints, temp_c: Floats, root: Floats, tending: Treatments) -> None:
        """Let one day pass: `speed` days of real fish."""
        step = np.minimum((np.maximum(temp_c, 0.0) * lice.TABLE_STEPS).astype(np.int64), lice.RATES.shape[1] - 1)
        rates = lice.RATES.take(step, axis=1)
        settle = lice.SETTLE.take((root * 4.0).astype(np.int64)) * self._factor
        outside, caligus = self._outside.take(here), self._caligus.take(here)
        working = tending.kill_until > today
        left = 1.0 - (tending.killing * working)[treatments.GROUP] if working.any() else None
        for _ in range(self.speed):
            lice.step(self.lice, self._larvae, rates, settle, outside, caligus)
            # Larvae drift between the rings of a batch.
            by_batch = self._larvae.reshape(self._batches, -1)
            by_batch[:] = by_batch.mean(axis=1)[:, None]
            if left is not None:
                self.lice *= left
        kept = self._history[:, d]
        np.sum(self.lice[:3], axis=0, out=kept[0])
        np.sum(self.lice[3:5], axis=0, out=kept[1])
        kept[2], kept[3], kept[4] = self.lice[lice.MALE], self.lice[lice.FEMALE], self.lice[lice.CALIGUS]

    def decide(
        self,
        d: int,
        today: Ints,
        here: Ints,
        temp_c: Floats,
        root: Floats,
        inside: np.typing.NDArray[np.bool_],
        felt: Floats,
        tending: Treatments,
    ) -> None:
        """Count lice where they are counted today, and book treatments.

        Args:
            d: Day since the stage began.
            today: Today, by ring.
            here: Place and day, by ring.
            temp_c: Temperature of the water.
            root: Cube root of the weight.
            inside: Whether fish are in the ring.
            felt: Chance of death by each cause [ring, cause].
            tending: The treatments.
        """
        rows = np.flatnonzero((self._counting.take(here) | (tending.recount == today)) & inside)
        if not rows.size:
            return
        self._counted[d, rows] = self._fish[rows]
        open_ = rows[tending.due[rows] == treatments.NEVER]
        weight_g = root * root * root
        limit = treatments.ILLNESS_TRIGGER * self.speed
        for cause, reason in ((_GILL, "gill disease"), (_ULCER, "wounds")):
            sick = open_[(felt[open_, cause] > limit) & (tending.illness_free_from[open_] <= today[open_])]
            if sick.size:
                u = draws.uniform(draws.stream(self.seed, "treatment", reason), self.ids[sick], today[sick])
                if cause == _GILL:
                    cold = temp_c[sick] < 13.0
                    methods = np.where(cold & (u < 0.3), treatments.PEROXIDE, treatments.FRESHWATER)
                else:
                    sick, methods = sick[u < 0.5], np.full(int((u < 0.5).sum()), treatments.ANTIBIOTIC)
                tending.book(sick, today[sick], methods, treatments.REASON[reason], felt[sick, cause] / self.speed)
        self._delouse(rows, today, temp_c, weight_g, tending)

    def _delouse(self, rows: Ints, today: Ints, temp_c: Floats, weight_g: Floats, tending: Treatments) -> None:
        """Book treatments of the rings where people found many lice, and count those with some again in a week.

        Args:
            rows: The rings in which lice are counted today.
            today: Today, by ring.
            temp_c: Temperature of the water.
            weight_g: Weight of the fish.
            tending: The treatments.
        """
        rows = rows[tending.lice_free_from[rows] <= today[rows]]
        trigger = self._trigger[self._month[today[rows] - self._first_day], rows]
        watched, many_young = treatments.WATCHED * trigger, treatments.MANY_PREADULTS * trigger
        is_open = tending.due[rows] == treatments.NEVER
        adult, young = self._found(rows, today, watched, np.where(is_open, many_young, np.inf))
        again = rows[adult >= watched]
        if again.size:
            tending.count_again(again, today[again])
        is_adult = adult >= trigger
        many = is_open & (is_adult | (young >= many_young))
        if many.any():
            lousy, seen = rows[many], np.where(is_adult, adult, young)[many]
            reasons = np.where(is_adult, *treatments.AGAINST_LICE)[many]
            u = draws.uniform(draws.stream(self.seed, "treatment", "method"), self.ids[lousy], today[lousy])
            methods = tending.against_lice(u, lousy, today[lousy], temp_c[lousy], weight_g[lousy])
            tending.book(lousy, today[lousy], methods, reasons, seen)

    def _found(self, rows: Ints, today: Ints, least_adult: Floats, least_young: Floats) -> Floats:
        """Adult females and pre-adults per examined fish that people find today [2, ring].

        Args:
            rows: The rings.
            today: Today, by ring.
            least_adult: What matters of adult females [`rows`]. Rings with far fewer lice get 0 instead of their count.
            least_young: The same of pre-adults.
        """
        now = np.stack([self.lice[lice.FEMALE, rows], self.lice[lice.PREADULT][:, rows].sum(axis=0)])
        mean = np.rint(now * 1e4) / 1e4  # as `life_lice` has it
        stage, place = np.nonzero(mean > _NEAR * np.stack([least_adult, least_young]))
        found = np.zeros(mean.shape)
        if stage.size:
            ring = rows[place]
            luck = lice.count_luck(self.seed, self.ids[ring], today[ring], _COUNTED[stage])
            fish = self._fish[ring]
            found[stage, place] = lice.counted(mean[stage, place], fish, luck) / fish
        return found

    def frame(self, keys: pl.DataFrame, pick: Ints) -> pl.DataFrame:
        """Rows of `Life.lice`.

        Args:
            keys: Their assignment_id, batch_id, container_id and date.
            pick: For each of them, its place in an array [day, ring].
        """
        values = {
            name: pl.Series(np.rint(history.take(pick) * 1e4) / 1e4)
            for name, history in zip(lice.STAGES, self._history, strict=True)
        }
        return keys.with_columns(**values, fish_counted=pl.Series(self._counted.take(pick).astype(np.int64)))


__all__ = ["Parasites"]
