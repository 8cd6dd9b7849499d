"""Treatments: what is used when, what it does to lice, illness and fish, and when people have time for it.

A container gets a date for its treatment when people see a reason: lice above the trigger, gills or wounds that kill
fish, or smolts that are large enough for their vaccine. A crew treats three containers of a batch on a working day.

Sources of the figures: docs/reference/fish-health.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, exponential, power
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.workdays import is_working_day, month_and_day

Bools = np.typing.NDArray[np.bool_]


@dataclass(frozen=True)
class Method:
    """One way of treating fish.

    Attributes:
        name: Its name.
        kind: AquaMind's kind: physical, medication or vaccination.
        efficacy: Share of sessile lice, pre-adults, adult males and adult females that it removes, on average.
        spread: Standard deviation of that share.
        relief: Share by which it lowers deaths of gill disease and of winter ulcers or fungus.
        loss: Median share of the fish that die of it, in the days after.
        loss_spread: Standard deviation of the logarithm of that share.
        fasting_days: Shortest and longest time without feed before it; the day itself comes on top.
        withholding_days: Days before the fish may be harvested.
        days: How long it is given.
    """

    name: str
    kind: str
    efficacy: tuple[float, float, float, float]
    spread: float
    relief: tuple[float, float]
    loss: float
    loss_spread: float
    fasting_days: tuple[int, int]
    withholding_days: int
    days: int


METHODS: tuple[Method, ...] = (
    Method("thermal", "physical", (0.0, 0.85, 0.90, 0.93), 0.06, (0.0, 0.0), 0.0042, 0.9, (2, 3), 0, 1),
    Method("mechanical", "physical", (0.10, 0.75, 0.82, 0.85), 0.08, (0.0, 0.0), 0.0035, 0.9, (2, 3), 0, 1),
    Method("freshwater bath", "physical", (0.30, 0.80, 0.85, 0.85), 0.08, (0.80, 0.0), 0.0008, 0.8, (1, 2), 0, 1),
    Method("azamethiphos bath", "medication", (0.0, 0.70, 0.85, 0.85), 0.15, (0.0, 0.0), 0.0005, 0.8, (1, 2), 7, 1),
    Method(
        "hydrogen peroxide bath", "medication", (0.05, 0.75, 0.80, 0.75), 0.12, (0.60, 0.0), 0.0014, 0.9, (1, 2), 0, 1
    ),
    Method("emamectin in feed", "medication", (0.85, 0.80, 0.75, 0.70), 0.12, (0.0, 0.0), 0.0, 0.5, (0, 0), 21, 7),
    Method("antibiotic in feed", "medication", (0.0, 0.0, 0.0, 0.0), 0.0, (0.0, 0.60), 0.0, 0.5, (0, 0), 56, 10),
    Method("vaccination", "vaccination", (0.0, 0.0, 0.0, 0.0), 0.0, (0.0, 0.0), 0.0008, 0.6, (2, 2), 0, 1),
    Method("bronopol bath", "medication", (0.0, 0.0, 0.0, 0.0), 0.0, (0.0, 0.70), 0.0, 0.5, (0, 0), 0, 1),
)
"""The column `method` of `life_treatment` is an index into this tuple."""
METHOD = {method.name: number for number, method in enumerate(METHODS)}
REASONS = ("lice", "gill disease", "wounds", "vaccination", "fungus", "pre-adult lice")
"""Why fish are treated. The column `reason` of `life_treatment` is an index into this tuple."""
REASON = {name: number for number, name in enumerate(REASONS)}
AGAINST_LICE = (REASON["lice"], REASON["pre-adult lice"])
"""Reasons of treatments against lice: adult females, or pre-adults that are going to be adult when the crew comes."""

THERMAL, MECHANICAL, FRESHWATER, AZAMETHIPHOS, PEROXIDE, EMAMECTIN, ANTIBIOTIC, VACCINE, BRONOPOL = range(len(METHODS))

CONTAINERS_A_DAY = 3
"""Containers of a batch that a crew treats on a working day."""
LEAD_DAYS = 3
"""Days from the decision to the first treatment: a vessel is ordered and the fish are fasted."""
RECOUNT_DAYS, EMAMECTIN_RECOUNT_DAYS = 4, 21
"""Days of real fish from a treatment against lice to the count that shows what it came to; emamectin is slow.

Until then a ring gets no other treatment against lice. If this count reaches the trigger, the ring is treated again.
"""
WATCHED, WATCHED_DAYS = 0.5, 7
"""From this share of the trigger on, a ring is counted again after so many days of real fish."""
MANY_PREADULTS = 5.0
"""Pre-adults for each adult female of the trigger that lead to a treatment, too: within ten days more females than the
trigger grow from them."""
OTHER_METHOD_DAYS = 28
"""Days of real fish after a treatment against lice in which the next one is by another method."""
ILLNESS_PAUSE_DAYS = 35
"""Days of real fish between two treatments of a container against illness."""
EMAMECTIN_DAYS, _EMAMECTIN_DAILY = 35, 0.08
"""Days over which emamectin works, and the daily death of lice at full efficacy: it is slow, and leaves about 6 %."""
SAFETY_DAYS = 7
"""Days between the end of withholding and the harvest, at least."""
LAST_DAYS = 6
"""Days between a treatment without withholding and the harvest, at least: before it the fish are fasted so long."""
ILLNESS_TRIGGER = 0.0008
"""Daily deaths of gill disease or wounds, as a share of the fish, that make people treat."""
VACCINATION_G, VACCINATION_MOST_G = 62.0, 90.0
"""Weight from which on smolts are vaccinated, and from which on it becomes urgent. Sources say 60 to 100 g."""
_STRESS_KEPT, _LOSS_KEPT, _RELIEF_KEPT = 0.6, 0.7, 0.98
"""Shares that a day of real fish leaves of stress, of the fish that are still going to die, and of relief."""
NEVER = 1 << 40
GROUP = np.array([0, 0, 0, 1, 1, 3, 2, 3])
"""Of each compartment of lice (`lice.COMPARTMENTS`), its group in `Method.efficacy`. Caligus are like adult females."""
_AGAINST_LICE = (0.34, 0.26, 0.14, 0.10, 0.06, 0.10)
"""Weights of the first methods in the choice against lice. The first three dominate today (Overton et al. 2019)."""


def lice_trigger(month: Ints, geography: Ints) -> Floats:
    """Adult females per fish from which on a ring is treated, a little below the limit of its region.

    The Faroes allow 1.5. The Scottish code of practice says 0.5 from February to June, when smolts of the rivers pass,
    and 1.0 in the other months.
    """
    spring = (month >= 2) & (month <= 6)
    return np.where(geography == 1, 1.3, np.where(spring, 0.45, 0.9))


def left_deaths(method: Ints, luck: Floats) -> Floats:
    """Factors on the deaths of gill disease, and of wounds or fungus, after treatments [treatment, 2]."""
    strength = np.clip(1.0 + 0.15 * luck, 0.3, 1.2)[:, None] * _RELIEF[method]
    left: Floats = np.clip(1.0 - strength, 0.05, 1.0)
    return left


def relief_luck(seed: int, assignment_id: Ints, ordinals: Ints) -> Floats:
    """The draw that decides how well a treatment of a container helps against illness."""
    return draws.normal(draws.stream(seed, "treatment", "efficacy"), assignment_id, ordinals, 2)


class Calendar:
    """Working days, numbered, so that treatments can be put on the next free ones."""

    def __init__(self, first_day: int, days: int) -> None:
        """Number the working days of a span.

        Args:
            first_day: First day of the span, as `date.toordinal()`.
            days: Its length.
        """
        ordinals = np.arange(first_day, first_day + days)
        self.first_day = first_day
        self.works = is_working_day(ordinals)
        self.month = month_and_day(ordinals)[0]
        self._days = ordinals[self.works]
        self._before: Ints = np.cumsum(self.works) - self.works

    def slots(self, earliest: Ints, place: Ints | int = 0) -> Ints:
        """The working day that is `place` working days after the first one from `earliest` on."""
        index = self._before[earliest - self.first_day] + place
        days: Ints = self._days[np.minimum(index, self._days.size - 1)]
        return days


class Treatments:
    """The treatments of the containers of one stage: booked ones, and what past ones still do.

    Attributes:
        due: Day of the booked treatment, or NEVER [container].
        fast_from: First day without feed before it [container].
        relief: Factors on deaths of gill disease, and of wounds or fungus [2, container].
        killing: Daily death of lice by emamectin, by group of stages [4, container].
        stress: Loss of appetite, as a share [container].
        pending: Share of the fish that is still going to die of handling and of treatment [2, container].
        recount: Day on which lice are counted beside the days of the region [container].
        lice_free_from: Day from which on another treatment against lice may be booked [container].
        done: Records of what was done.
    """

    def __init__(self, seed: int, speed: int, ids: Ints, batch: Ints, departs: Ints, calendar: Calendar) -> None:
        """Start without treatments.

        Args:
            seed: The farm's seed.
            speed: How many days of real fish a day has.
            ids: Assignments, sorted by batch.
            batch: Their batches.
            departs: Day on which the fish leave.
            calendar: Working days.
        """
        n = ids.size
        self.seed, self.speed, self.ids, self.departs, self.calendar = seed, speed, ids, departs, calendar
        self.batch_row = np.cumsum(np.concatenate([[0], (batch[1:] != batch[:-1]).astype(np.int64)]))[:n]
        self.next_free = np.zeros(n, np.int64)  # by batch row
        self.due = np.full(n, NEVER)
        self.fast_from = np.full(n, NEVER)
        self.method = np.zeros(n, np.int64)
        self.reason = np.zeros(n, np.int64)
        self.trigger = np.zeros(n)
        self.recount = np.zeros(n, np.int64)
        self.lice_free_from = np.zeros(n, np.int64)
        self.other_method_until = np.zeros(n, np.int64)
        self.illness_free_from = np.zeros(n, np.int64)
        self.last_method = np.full(n, -1)
        self.vaccinated = np.zeros(n, bool)
        self.relief = np.ones((2, n))
        self.killing = np.zeros((4, n))
        self.kill_until = np.zeros(n, np.int64)
        self.stress = np.zeros(n)
        self.pending = np.zeros((2, n))
        self.done: list[dict[str, Ints | Floats]] = []
        self._calm = float(power(_STRESS_KEPT, speed))
        self._mean_stress = (1.0 - self._calm) / ((1.0 - _STRESS_KEPT) * speed)
        self._dying = float(power(_LOSS_KEPT, speed))
        self._return = float(power(_RELIEF_KEPT, speed))

    def book(self, rows: Ints, today: Ints, methods: Ints, reasons: Ints | int, seen: Floats) -> None:
        """Give containers a date, if none is booked and the fish can be harvested in time.

        Args:
            rows: Containers that need a treatment, ascending.
            today: Today, by container of `rows`.
            methods: Method of each.
            reasons: Indexes into REASONS, or one for all.
            seen: What was seen, such as lice per fish.
        """
        free = self.due[rows] == NEVER
        rows, today, methods, seen = rows[free], today[free], methods[free], seen[free]
        reason_of: Ints = np.broadcast_to(np.asarray(reasons), free.shape)[free]
        if not rows.size:
            return
        group = self.batch_row[rows]
        first = np.concatenate([[True], group[1:] != group[:-1]])
        start = np.maximum.accumulate(np.where(first, np.arange(rows.size), 0))
        rank = np.arange(rows.size) - start
        in_feed = _IN_FEED[methods]
        lead = np.where(in_feed, 1, max(1, LEAD_DAYS // self.speed))
        a_day = CONTAINERS_A_DAY * self.speed
        day = self.calendar.slots(
            np.maximum(today + lead, np.where(in_feed, 0, self.next_free[group])), np.where(in_feed, 0, rank // a_day)
        )
        in_time = day + self._days_to_harvest(methods) < self.departs[rows]
        in_time &= day > today
        rows, day, today, methods, seen = rows[in_time], day[in_time], today[in_time], methods[in_time], seen[in_time]
        group, in_feed, reason_of = group[in_time], in_feed[in_time], reason_of[in_time]
        word = draws.bits(draws.stream(self.seed, "treatment", "fasting"), self.ids[rows], day)
        u, v = (word >> np.uint64(32)) * 2.0**-32, (word & np.uint64(0xFFFFFFFF)) * 2.0**-32
        fast = _FASTING[methods, 0] + np.floor(u * (_FASTING[methods, 1] - _FASTING[methods, 0] + 1))
        # The day itself has no feed at any speed; those before it are rounded by chance.
        days = np.where(fast > 0, np.maximum(np.floor((fast + 1) / self.speed + v), 1.0), 0.0).astype(np.int64)
        self.due[rows], self.method[rows], self.reason[rows], self.trigger[rows] = day, methods, reason_of, seen
        self.fast_from[rows] = np.where(days > 0, np.maximum(day - days, today) + 1, NEVER)
        crew = ~in_feed
        np.maximum.at(self.next_free, group[crew], day[crew] + 1)

    def count_again(self, rows: Ints, today: Ints) -> None:
        """Count the lice of rings that have many again in a week.

        Args:
            rows: The rings.
            today: Today, by container of `rows`.
        """
        wait = max(1, WATCHED_DAYS // self.speed)
        self.recount[rows] = self.calendar.slots(today + wait)

    def _days_to_harvest(self, methods: Ints) -> Ints:
        """Days that must pass after a treatment before the fish are harvested."""
        withheld = _WITHHOLDING[methods]
        withholding = -(-withheld // self.speed) + 1 + SAFETY_DAYS // self.speed
        days: Ints = np.where(withheld > 0, withholding, LAST_DAYS // self.speed)
        return days

    def act(self, today: Ints, lice: Floats | None, population: Ints, root: Floats, alive: Bools) -> None:
        """Do what is booked for today.

        Args:
            today: Today, by container.
            lice: Lice per fish [compartment, container], changed in place; None in freshwater.
            population: Fish, by container.
            root: Cube root of their weight.
            alive: Whether the container is still in its stage, by container.
        """
        rows = np.flatnonzero((self.due == today) & alive)
        if not rows.size:
            return
        ids, day, method = self.ids[rows], today[rows], self.method[rows]
        luck = draws.normal(draws.stream(self.seed, "treatment", "efficacy"), ids[:, None], day[:, None], np.arange(3))
        efficacy = _EFFICACY[method]
        stages = np.clip(efficacy + _SPREAD[method, None] * luck[:, :1], 0.0, 0.995)
        stages[efficacy == 0.0] = 0.0
        in_feed = method == EMAMECTIN
        if lice is not None:
            left = np.where(in_feed[:, None], 1.0, 1.0 - stages)
            lice[:, rows] *= left.T[GROUP]
            slow = rows[in_feed]
            if slow.size:
                self.killing[:, slow] = (stages[in_feed] * _EMAMECTIN_DAILY).T
                self.kill_until[slow] = today[slow] + max(1, EMAMECTIN_DAYS // self.speed)
        loss = np.minimum(_LOSS[method] * exponential(_LOSS_SPREAD[method] * luck[:, 1]), 0.08)
        self.pending[1, rows] += loss
        self.stress[rows] = np.maximum(self.stress[rows], np.where(_FASTING[method, 1] > 0, 0.6, 0.1))
        self.relief[:, rows] *= left_deaths(method, luck[:, 2]).T
        lousy = efficacy[:, 3] > 0.0
        if lousy.any():
            some, then = rows[lousy], day[lousy]
            wait = np.maximum(np.where(in_feed[lousy], EMAMECTIN_RECOUNT_DAYS, RECOUNT_DAYS) // self.speed, 1)
            self.recount[some] = self.lice_free_from[some] = self.calendar.slots(then + wait)
            self.other_method_until[some] = then + max(1, OTHER_METHOD_DAYS // self.speed)
        ill = _IS_AGAINST_ILLNESS[method]
        self.illness_free_from[rows[ill]] = day[ill] + max(1, ILLNESS_PAUSE_DAYS // self.speed)
        self.vaccinated[rows] |= method == VACCINE
        self.last_method[rows] = method
        fasted = np.where(self.fast_from[rows] < NEVER, day + 1 - self.fast_from[rows], 0)
        self.done.append(
            {
                "row": rows,
                "day": day,
                "method": method,
                "reason": self.reason[rows],
                "seen": self.trigger[rows],
                "sessile_removed": stages[:, 0],
                "preadult_removed": stages[:, 1],
                "adult_male_removed": stages[:, 2],
                "adult_female_removed": stages[:, 3],
                "loss": loss,
                "fasting_days": fasted,
                "withholding_days": -(-_WITHHOLDING[method] // self.speed),
                "days": np.maximum(_DAYS[method] // self.speed, 1),
                "population": population[rows],
                "weight_g": root[rows] * root[rows] * root[rows],
            }
        )
        self.due[rows], self.fast_from[rows] = NEVER, NEVER

    def loss_of_appetite(self) -> Floats:
        """Share of their appetite that fish have lost today: the mean over the day's days of real fish."""
        return self.stress * self._mean_stress

    def recover(self) -> None:
        """One day passes: stress and relief fade."""
        self.stress *= self._calm
        self.relief += (1.0 - self.relief) * (1.0 - self._return)

    def dying(self) -> Floats:
        """Share of the fish that dies today of handling and of treatment [2, container]."""
        today = self.pending * (1.0 - self._dying)
        self.pending *= self._dying
        return today

    def against_lice(self, u: Floats, rows: Ints, today: Ints, temp_c: Floats, weight_g: Floats) -> Ints:
        """Choose a method against lice.

        Small fish get medicated feed more often. Warm water rules out hydrogen peroxide, and thermal treatment works
        best in cold water. The same medicine is not used twice running, and none that would be withheld too long for
        the planned harvest.

        Args:
            u: Uniform draws.
            rows: Containers.
            today: Today, by container of `rows`.
            temp_c: Temperature of their water.
            weight_g: Weight of their fish.
        """
        weight = np.broadcast_to(np.array(_AGAINST_LICE), (rows.size, len(_AGAINST_LICE))).copy()
        weight[:, EMAMECTIN] = np.where(weight_g < 2500.0, 0.35, np.where(weight_g < 4000.0, 0.06, 0.0))
        weight[:, PEROXIDE] = np.where(temp_c < 12.0, 0.08, 0.0)
        weight[:, THERMAL] = np.where(temp_c < 12.0, 0.38, 0.28)
        again = self.last_method[rows]
        soon = today < self.other_method_until[rows]
        methods = np.arange(len(_AGAINST_LICE))
        weight[(again[:, None] == methods) & (soon[:, None] | _IS_MEDICINE[methods])] = 0.0
        left = self.departs[rows] - today - max(1, LEAD_DAYS // self.speed)
        too_late = (_WITHHOLDING[methods] > 0) & (self._days_to_harvest(methods) >= left[:, None])
        weight[too_late] = 0.0
        upto = np.cumsum(weight, axis=1)
        chosen: Ints = np.minimum((upto < (u * upto[:, -1])[:, None]).sum(axis=1), len(_AGAINST_LICE) - 1)
        return chosen

    def records(self) -> dict[str, Ints | Floats]:
        """All treatments done, in the order of their days; columns as in `act`."""
        if not self.done:
            return {}
        return {name: np.concatenate([one[name] for one in self.done]) for name in self.done[0]}


_EFFICACY = np.array([method.efficacy for method in METHODS])
_SPREAD = np.array([method.spread for method in METHODS])
_RELIEF = np.array([method.relief for method in METHODS])
_IS_AGAINST_ILLNESS = np.array([any(method.relief) for method in METHODS])
_LOSS = np.array([method.loss for method in METHODS])
_LOSS_SPREAD = np.array([method.loss_spread for method in METHODS])
_FASTING = np.array([method.fasting_days for method in METHODS])
_WITHHOLDING = np.array([method.withholding_days for method in METHODS])
_DAYS = np.array([method.days for method in METHODS])
_IN_FEED = np.array([method.name.endswith("in feed") for method in METHODS])
_IS_MEDICINE = np.array([method.kind == "medication" for method in METHODS])

__all__ = [
    "AGAINST_LICE",
    "ANTIBIOTIC",
    "BRONOPOL",
    "FRESHWATER",
    "GROUP",
    "ILLNESS_TRIGGER",
    "LAST_DAYS",
    "MANY_PREADULTS",
    "METHOD",
    "METHODS",
    "NEVER",
    "PEROXIDE",
    "REASON",
    "REASONS",
    "VACCINATION_G",
    "VACCINATION_MOST_G",
    "VACCINE",
    "WATCHED",
    "Calendar",
    "Method",
    "Treatments",
    "left_deaths",
    "lice_trigger",
    "relief_luck",
]
