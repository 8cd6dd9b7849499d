"""The days of all containers of one stage, one after another.

Order within a day: smolts are graded, fish are moved in emergencies, booked treatments are done, the day's dead leave,
the living eat and grow, lice develop, people count lice and decide on treatments. A day depends on earlier days of the
same batch, on the plan, and on what is a function of site and date, never on another batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cube_root
from aquamind_pipeline.simulation import deaths, emergencies, feeding_plan, grading, treatments
from aquamind_pipeline.simulation.biology import Stage
from aquamind_pipeline.simulation.conditions import Conditions
from aquamind_pipeline.simulation.episodes import FRESHWATER_CAUSES, SEA_CAUSES
from aquamind_pipeline.simulation.examinations import Examinations
from aquamind_pipeline.simulation.parasites import Parasites
from aquamind_pipeline.simulation.stage_inputs import Arrivals, StageInputs, as_dates, as_ordinals
from aquamind_pipeline.simulation.stage_record import StageRecord
from aquamind_pipeline.simulation.treatments import Bools, Treatments

FED, BEFORE_MOVE, FOR_TREATMENT, IN_STORM = range(4)
"""Values of the column `fasting`: why the fish had no feed."""
_SMOLT_STAGE = 4
_STORM_SHARE = 1e-9
"""A storm kills few fish or none, but as long as it lasts nobody feeds them."""
_SCORE_HALF, _SCORE_MOST, _SCORE_PACE = 0.0015, 3.0, 0.1
"""Daily chance of death at which the mean score is half of the worst, that score, and how fast the score follows."""
_EMERGENCY_STRESS = 0.5
"""Share of their appetite that fish have lost after an emergency."""
_TREATMENT_WOUNDS = 0.3
"""How much the deaths that a treatment still causes count as wounds."""
_GILL = [cause.reason for cause in SEA_CAUSES].index("gill disease")
_ULCER = [cause.reason for cause in SEA_CAUSES].index("winter ulcer")
_STORM = [cause.reason for cause in SEA_CAUSES].index("storm")
_FUNGUS = [cause.reason for cause in FRESHWATER_CAUSES].index("fungus")
_BACKGROUND, _OF_TREATING, _SMOLT = 0, slice(1, 3), 3
"""Rows of the table of chances of death: background, handling and treatment, failed smolts. Episodes follow."""
_FIXED = len(deaths.FIXED_REASONS)


@dataclass(frozen=True)
class StageLife:
    """What happened in a stage.

    Attributes:
        lice: Rows of `Life.lice`.
        treated: Rows of `Life.treatments`.
        moved: Rows of `Life.moves` within the stage.
        fish: Fish of each assignment at its end.
        root: Cube root of their weight.
        lice_left: Lice per fish on its last day [stage of `lice.STAGES`, assignment], at sea.
        gill_left: Mean gill score on that day.
        wound_left: Mean score of skin and fins on that day.
    """

    lice: pl.DataFrame
    treated: pl.DataFrame
    moved: list[pl.DataFrame]
    fish: Ints
    root: Floats
    lice_left: Floats
    gill_left: Floats
    wound_left: Floats


def live_stage(
    conditions: Conditions,
    stage: Stage,
    group: pl.DataFrame,
    struck: pl.DataFrame,
    arrivals: Arrivals,
    first_row: Ints,
    table: dict[str, np.typing.NDArray[Any]],
) -> StageLife:
    """Simulate one stage.

    Args:
        conditions: What all stages share.
        stage: The stage.
        group: Its planned assignments, sorted by id.
        struck: Its emergencies (`emergencies.emergencies`).
        arrivals: The fish that come into them.
        first_row: Row of `Life.days` that has the first day of each assignment.
        table: The columns of `Life.days` that `stage_record.DAY_COLUMNS` names; the stage writes its rows.
    """
    begun = (as_ordinals(group["assignment_date"]) < conditions.horizon) & (group["days"].to_numpy() > 0)
    came = arrivals.of(begun)
    days = StageDays(StageInputs.of(conditions, stage, group.filter(begun), came.days), struck, came)
    for day in range(days.given.width):
        days.step(day)
    lice = days.write(first_row[begun], table)
    fish, root = arrivals.fish.copy(), arrivals.root.copy()
    fish[begun], root[begun] = days.fish, days.last_root()
    left = [np.zeros((*one.shape[:-1], begun.size)) for one in days.left()]
    for all_, some in zip(left, days.left(), strict=True):
        all_[..., begun] = some
    return StageLife(lice, days.treated(), days.moved, fish, root, *left)


@dataclass(frozen=True)
class _Scene:
    """An emergency of one container.

    Attributes:
        row: The container.
        others: Containers that take its fish.
        reason: Index into `deaths.REASONS`.
    """

    row: int
    others: Ints
    reason: int


class StageDays:
    """The containers of one stage, which `step` takes from day to day.

    Attributes:
        given: What is known of the stage beforehand.
        fish: Fish that live [container].
        tending: Treatments of the containers.
        parasites: Lice; None in freshwater.
        record: What has happened.
        moved: Rows of `Life.moves` within the stage.
    """

    def __init__(self, given: StageInputs, struck: pl.DataFrame, came: Arrivals) -> None:
        """Start with the fish that came in.

        Args:
            given: What is known of the stage beforehand.
            struck: The stage's emergencies.
            came: The fish.
        """
        conditions = given.conditions
        profile = conditions.profile
        n = given.ids.size
        self.given, self.fish, self.record = given, came.fish, StageRecord(given)
        self.tending = Treatments(profile.seed, profile.speed, given.ids, given.batch, given.ends, conditions.calendar)
        self.tending.pending[0] = given.handling_loss
        self.tending.stress[:] = given.handling_stress
        self.parasites = (
            Parasites(conditions, given.ids, given.batch, given.place, conditions.geography[given.place], given.width)
            if given.stage.at_sea
            else None
        )
        if self.parasites and came.lice is not None:
            self.parasites.bring(came.lice)
        self._speed = profile.speed
        self._illness = conditions.sea if given.stage.at_sea else conditions.freshwater
        self._start_root, self._root = came.root, came.root
        self._lost = np.zeros(n)  # sum of the chances of death by episodes, handling and treatment
        self._gill = np.zeros(n) if came.gill is None else came.gill
        self._wound = np.zeros(n) if came.wound is None else came.wound
        self._chances = np.empty((_FIXED + given.resistance.shape[1], n))
        self._rows = np.arange(n)
        self.moved: list[pl.DataFrame] = []
        self._grading_day = np.full(n, -1)  # by container; -1 if its batch is not graded
        self._gives, self._is_graded = np.zeros(n, bool), np.zeros(n, bool)
        self._grading_fast = np.zeros(n, np.int64)
        if given.stage.order == grading.GRADED_STAGE:
            # Tanks are graded in pairs: one with an even position, and the one after it.
            is_first = given.assignments["position"].to_numpy() % 2 == 0
            is_first &= np.append(given.batch[1:] == given.batch[:-1], np.zeros(min(n, 1), bool))
            self._gives = is_first
            self._is_graded = is_first | np.append(np.zeros(min(n, 1), bool), is_first[:-1])
            planned = given.ends - given.begins
            day = grading.grading_day(profile.seed, profile.speed, given.batch, given.begins, planned)
            self._grading_day = np.where(np.isin(given.batch, given.batch[is_first]), day, -1)
            self._grading_fast = feeding_plan.grading_fast(profile.seed, profile.speed, given.stage, given.batch)
        self._struck = self._by_day(struck)

    def _by_day(self, struck: pl.DataFrame) -> dict[int, list[_Scene]]:
        """Emergencies by day of the stage."""
        scenes: dict[int, list[_Scene]] = {}
        order = ("source_assignment_id", "dest_assignment_id", "reason")
        days = as_ordinals(struck["date"]).tolist()
        for day, (source, dests, reason) in zip(days, struck.select(order).iter_rows(), strict=True):
            row, *others = np.searchsorted(self.given.ids, np.array([source, *sorted(dests)])).tolist()
            scenes.setdefault(day - int(self.given.begins[row]), []).append(_Scene(row, np.array(others), reason))
        return scenes

    def step(self, d: int) -> None:
        """Live through the day that is `d` days after the first one."""
        given, tending = self.given, self.tending
        today, inside = given.begins + d, d < given.lived
        if given.stage.order == grading.GRADED_STAGE:
            self._grade(np.flatnonzero(self._gives & (self._grading_day == d) & inside), d)
        lost = [(scene, self._relieve(scene, d)) for scene in self._struck.get(d, [])]
        resting = (today >= tending.fast_from) & (today <= tending.due)
        lice = self.parasites.lice if self.parasites else None
        tending.act(today, lice, self.fish, self._root, inside)
        felt = self._felt(d)
        self._die(d, felt, inside)
        for scene, dead in lost:
            self._count_lost(scene, dead, d)
        if given.stage.tgc:
            self._eat(d, felt, resting)
        self.record.root[d] = self._root
        self._score(d, felt)
        self._decide(d, today, felt, inside)
        tending.recover()

    def _grade(self, first: Ints, d: int) -> None:
        """Let large and small fish change places between tanks and the tanks after them."""
        if not first.size:
            return
        given, weight_g = self.given, self._weight_g()
        done = grading.exchange(given.conditions.profile.seed, given.ids, first, self.fish, weight_g)
        both, before = np.stack([done.first, done.first + 1]), weight_g.copy()
        weight_g[both] = done.left_g
        self._root = self._root.copy()
        self._root[both] = cube_root(done.left_g)
        self.record.moved_g[d] = weight_g - before
        self.moved.append(done.moves(given.assignments, as_dates(given.begins[done.first] + d)))

    def _relieve(self, scene: _Scene, d: int) -> int:
        """Move some fish of a container into others in a hurry.

        Returns:
            Fish that died on the way.
        """
        given, row, others = self.given, scene.row, scene.others
        weight_g = self._weight_g()
        fish, grams, seed = int(self.fish[row]), float(weight_g[row]), given.conditions.profile.seed
        source = int(given.ids[row])
        done = emergencies.relieve(seed, given.stage, source, fish, grams, self.fish[others], weight_g[others])
        some = np.flatnonzero(done.taken)
        others, arrived, taken = others[some], done.arrived[some], done.taken[some]
        if not others.size:
            return 0
        left, together = fish - int(taken.sum()), self.fish[others] + arrived
        mixed_g = (self.fish[others] * weight_g[others] + arrived * grams) / together
        change = self.record.moved_g.get(d, np.zeros(given.ids.size)).copy()
        change[others] += mixed_g - weight_g[others]
        self.record.moved_g[d] = change
        if self.parasites is not None:
            lice = self.parasites.lice
            lice[:, others] += (lice[:, [row]] - lice[:, others]) * (arrived / together)
        self._lost[row] += done.lost.sum() / fish
        self.fish, self._root = self.fish.copy(), self._root.copy()
        self.fish[row], self.fish[others] = left, together
        self._root[others] = cube_root(mixed_g)
        self.tending.stress[[row, *others]] = np.maximum(self.tending.stress[[row, *others]], _EMERGENCY_STRESS)
        self.moved.append(
            given.assignments[[row] * others.size]
            .select("batch_id", "stage", source_assignment_id="assignment_id")
            .with_columns(
                dest_assignment_id=pl.Series(given.ids[others]),
                count=pl.Series(arrived),
                deaths=pl.Series(done.lost[some]),
                source_population_before=pl.Series(fish - np.cumsum(taken) + taken),
                weight_g=pl.lit(grams),
                picked=pl.lit(grading.IN_EMERGENCY, pl.Int64),
                date=as_dates(np.full(others.size, int(given.begins[row]) + d)),
            )
        )
        return int(done.lost.sum())

    def _count_lost(self, scene: _Scene, dead: int, d: int) -> None:
        """Count the fish that died on the way among the day's dead; the others died of what caused the emergency."""
        record, row = self.record, scene.row
        if not dead:
            return
        record.second_dead[d, row] = record.dead[d, row]
        record.dead[d, row] += dead
        record.reason[d, row], record.second_reason[d, row] = deaths.REASON["handling"], scene.reason

    def _weight_g(self) -> Floats:
        return self._root * self._root * self._root

    def _felt(self, d: int) -> Floats:
        """Chance of death by each cause of episodes, after what treatments relieve [container, cause]."""
        felt: Floats = self._illness.take(self.given.where[d], axis=0) * self.given.resistance
        felt *= self.given.susceptibility[d]
        if self.given.stage.at_sea:
            felt[:, _GILL] *= self.tending.relief[0]
            felt[:, _ULCER] *= self.tending.relief[1]
        else:
            felt[:, _FUNGUS] *= self.tending.relief[1]
        return felt

    def _die(self, d: int, felt: Floats, inside: Bools) -> None:
        """Take out the day's dead and write down their reasons.

        Episodes, handling and treatments together take at most `deaths.MOST_LOST` from a container.
        """
        given, record, chances = self.given, self.record, self._chances
        chances[_BACKGROUND] = given.background[d]
        chances[_OF_TREATING] = self.tending.dying()
        chances[_SMOLT] = given.failed_smolts[d]
        chances[_FIXED:] = felt.T
        most = deaths.MOST_LOST[given.stage.order - 1]
        wanted = chances[1:].sum(axis=0)
        taken = np.minimum(wanted * (1.0 - self._lost / most), most - self._lost)
        self._lost += taken
        chances[1:] *= taken / np.maximum(wanted, 1e-300)
        total = chances[_BACKGROUND] + taken
        dead = np.minimum((self.fish * (total / (1.0 + total)) + given.death_luck[d]).astype(np.int64), self.fish)
        dead *= inside
        self.fish = self.fish - dead

        main, main_chance = self._take_strongest()
        second, second_chance = self._take_strongest()
        share = second_chance / (main_chance + second_chance)
        second_dead = (dead * share + given.second_luck[d]).astype(np.int64)
        second_dead *= second_dead * deaths.SECOND_SHARE >= dead
        record.population[d], record.dead[d], record.second_dead[d] = self.fish, dead, second_dead
        of_background = given.background_reason[d]
        record.reason[d] = np.where(main == _BACKGROUND, of_background, given.reasons.take(main))
        record.second_reason[d] = np.where(second == _BACKGROUND, of_background, given.reasons.take(second))

    def _take_strongest(self) -> tuple[Ints, Floats]:
        """Row and chance of each container's strongest reason, which is taken out of the table."""
        row, chance = self._chances.argmax(axis=0), self._chances.max(axis=0)
        self._chances[row, self._rows] = -1.0
        return row, chance

    def _eat(self, d: int, felt: Floats, resting: Bools) -> None:
        """Let the fish eat and grow, or fast."""
        given, record = self.given, self.record
        vigour = feeding_plan.illness_appetite(felt.sum(axis=1) / self._speed)
        moving = d >= given.fed_until
        if given.stage.order == grading.GRADED_STAGE:
            moving |= self._is_graded & (d <= self._grading_day) & (d > self._grading_day - self._grading_fast)
        for scene in self._struck.get(d, []):
            moving[[scene.row, *scene.others]] = True
        why = np.where(moving, BEFORE_MOVE, np.where(resting, FOR_TREATMENT, FED))
        if given.stage.at_sea:
            why = np.where((why == FED) & (felt[:, _STORM] > _STORM_SHARE), IN_STORM, why)
        appetite = given.hunger[d] * vigour * (1.0 - self.tending.loss_of_appetite())
        appetite *= why == FED
        self._root = self._root + given.gain * given.water_c[d] * appetite
        record.fasting[d], record.appetite[d], record.vigour[d] = why, appetite, vigour

    def _score(self, d: int, felt: Floats) -> None:
        """Let the scores of gills and skin follow illness and treatments."""
        pace = min(1.0, _SCORE_PACE * self._speed)
        at_sea = self.given.stage.at_sea
        bad = felt[:, _ULCER if at_sea else _FUNGUS] / self._speed + _TREATMENT_WOUNDS * self.tending.pending[1]
        self._wound += pace * (_SCORE_MOST * bad / (bad + _SCORE_HALF) - self._wound)
        self.record.wound[d] = self._wound
        if at_sea:
            bad = felt[:, _GILL] / self._speed
            self._gill += pace * (_SCORE_MOST * bad / (bad + _SCORE_HALF) - self._gill)
            self.record.gill[d] = self._gill

    def _decide(self, d: int, today: Ints, felt: Floats, inside: Bools) -> None:
        """Let lice live, and let people decide on treatments by what they see."""
        given = self.given
        if self.parasites is not None:
            here, water_c = given.where[d], given.water_c[d]
            self.parasites.day(d, today, here, water_c, self._root, self.tending)
            self.parasites.decide(d, today, here, water_c, self._root, inside, felt, self.tending)
        elif given.stage.order == _SMOLT_STAGE:
            self._vaccinate(today, inside & (d > self._grading_day))
        else:
            self._treat_fungus(today, felt, inside)

    def _vaccinate(self, today: Ints, inside: Bools) -> None:
        """Book the vaccination of smolts that have become large enough, after the grading of their batch.

        Fish that a grading moves between vaccinated tanks and others would be vaccinated twice or never.
        """
        weight_g = self._weight_g()
        large = inside & (weight_g >= treatments.VACCINATION_G) & ~self.tending.vaccinated
        self._book(large & (self.tending.due == treatments.NEVER), today, treatments.VACCINE, "vaccination", weight_g)

    def _treat_fungus(self, today: Ints, felt: Floats, inside: Bools) -> None:
        """Book baths against fungus where it kills fish."""
        sick = inside & (felt[:, _FUNGUS] > treatments.ILLNESS_TRIGGER * self._speed)
        sick &= self.tending.illness_free_from <= today
        self._book(sick, today, treatments.BRONOPOL, "fungus", self._wound)

    def _book(self, wanted: Bools, today: Ints, method: int, reason: str, seen: Floats) -> None:
        rows = np.flatnonzero(wanted)
        if rows.size:
            methods = np.full(rows.size, method)
            self.tending.book(rows, today[rows], methods, treatments.REASON[reason], seen[rows])

    def last_root(self) -> Floats:
        """Cube root of the weight at the end of each assignment's last day."""
        return self.record.root[self.given.lived - 1, self._rows]

    def left(self) -> tuple[Floats, Floats, Floats]:
        """Lice per fish, and the mean scores of gills and wounds, at the end of each assignment's last day."""
        last, rows = self.given.lived - 1, self._rows
        lice = self.parasites.on(last) if self.parasites else np.zeros((0, rows.size))
        gill, wound = (one[last, rows].astype(np.float64) for one in (self.record.gill, self.record.wound))
        return lice, gill, wound

    def write(self, first_row: Ints, table: dict[str, np.typing.NDArray[Any]]) -> pl.DataFrame:
        """Write the stage's rows of `Life.days`.

        Args:
            first_row: Row of `table` that has the first day of each assignment.
            table: The columns of `Life.days`.

        Returns:
            The stage's rows of `Life.lice`.
        """
        lived, n = self.given.lived, self.given.ids.size
        owner = np.repeat(self._rows, lived)
        day = np.arange(owner.size) - np.repeat(np.cumsum(lived) - lived, lived)
        pick = day * n + owner
        to = np.repeat(first_row, lived) + day
        self.record.write(self.given, self._start_root, (pick, to), table)
        fed = self.record.fasting == FED
        examinations = Examinations.of(self.given, self.record.population, fed, self.tending)
        table["fish_weighed"][to] = examinations.weighed.take(pick)
        table["fish_examined"][to] = examinations.examined.take(pick)
        if self.parasites is None:
            return pl.DataFrame()
        keys = self.given.assignments.select("assignment_id", "batch_id", "container_id")[owner]
        return self.parasites.frame(keys.with_columns(date=as_dates(self.given.begins[owner] + day)), pick)

    def treated(self) -> pl.DataFrame:
        """The stage's rows of `Life.treatments`."""
        records = self.tending.records()
        if not records:
            return pl.DataFrame(schema=_TREATED)
        rows, day = (records.pop(name).astype(np.int64) for name in ("row", "day"))
        return (
            self.given.assignments[["assignment_id", "batch_id", "container_id"]][rows]
            .with_columns(date=as_dates(day), **{name: pl.Series(values) for name, values in records.items()})
            .select(_TREATED.names())
            .cast(_TREATED)
        )


_TREATED = pl.Schema(
    {
        "assignment_id": pl.Int64(),
        "batch_id": pl.Int64(),
        "container_id": pl.Int64(),
        "date": pl.Date(),
        "method": pl.Int64(),
        "reason": pl.Int64(),
        "seen": pl.Float64(),
        "sessile_removed": pl.Float64(),
        "preadult_removed": pl.Float64(),
        "adult_male_removed": pl.Float64(),
        "adult_female_removed": pl.Float64(),
        "loss": pl.Float64(),
        "fasting_days": pl.Int64(),
        "withholding_days": pl.Int64(),
        "days": pl.Int64(),
        "population": pl.Int64(),
        "weight_g": pl.Float64(),
    }
)

__all__ = ["BEFORE_MOVE", "FED", "FOR_TREATMENT", "IN_STORM", "StageDays", "StageLife", "live_stage"]
