"""Daily states day by day, for rules under which a day depends on the rounded, capped or guessed outcome of the last.

Stays are stepped side by side: on each step, one day of every stay of a level. Where a stay begins with the last weight
of its source (R27), the source is a level earlier; where fish mix, all stays step through the calendar together.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, cubed, rounded_units, third_power
from aquamind_pipeline.growth.record_grid import Known
from aquamind_pipeline.growth.roots import grams, in_units, root_of
from aquamind_pipeline.growth.rules import RuleSet
from aquamind_pipeline.growth.solution import Solution, circle


def solve(known: Known, rules: RuleSet) -> Solution:
    """States of every row, under any rules.

    Raises:
        InputError: when transfers of one day go round in a circle.
    """
    run = _Run(known, rules)
    if rules.weights_mix:
        every = np.flatnonzero(known.grid.length)
        run.through(every, known.grid.start[every])
    else:
        for stays in _levels(known):
            run.begin_with_sources(stays)
            run.through(stays, np.zeros(stays.size, np.int64))
    return run.solution


def _first_sources(known: Known) -> Ints:
    """By stay, the move that first brought it fish in AquaMind's order, -1 for none (R27)."""
    first = np.full(known.grid.ids.size, -1)
    first[known.moves.dest[::-1]] = np.arange(known.moves.dest.size)[::-1]
    return first


def _computed_before(known: Known) -> Ints:
    """By stay, the source whose last state it begins with, -1 for none: AquaMind computes in order of date and id."""
    rank = np.empty(known.grid.ids.size, np.int64)
    rank[np.lexsort((known.grid.ids, known.start))] = np.arange(rank.size)
    move = _first_sources(known)
    source = np.where(move >= 0, known.moves.source[move], -1) if known.moves.source.size else move
    weighed = (move >= 0) & ~np.isnan(known.moves.measured_g[move]) if known.moves.source.size else move >= 0
    return np.where((source >= 0) & ~weighed & (rank[source] < rank) & (known.grid.length[source] > 0), source, -1)


def _levels(known: Known) -> list[Ints]:
    """Stays with days, by the number of stays that come before in their chain of sources."""
    source = _computed_before(known)
    depth = np.zeros(source.size, np.int64)
    while True:
        deeper = np.where(source >= 0, depth[source] + 1, 0)
        if (deeper == depth).all():
            break
        depth = deeper
    there = known.grid.length > 0
    return [np.flatnonzero(there & (depth == level)) for level in range(int(depth.max(initial=-1)) + 1)]


class _Run:
    """The state of every stay while days go by, and what it was on each row.

    population, weight_g (rounded where the rules round), root (kept where they do not), stage; seen: has had a state.
    """

    def __init__(self, known: Known, rules: RuleSet) -> None:
        grid = known.grid
        self.known, self.rules = known, rules
        self.population = known.opening.copy()
        self.root = known.begin_root.copy()
        self.weight_g = known.own_g.copy()
        self.stage = known.stage.copy()
        self.seen = np.zeros(grid.ids.size, bool)
        children = grid.row_at(known.moves.dest, known.moves.day)
        order = np.lexsort((known.moves.source, children))
        self.edges = order[children[order] >= 0]
        self.edge_rows = children[self.edges]
        self.edge_days = known.moves.day[self.edges]
        by_day = np.argsort(self.edge_days, kind="stable")
        self.edges, self.edge_rows, self.edge_days = self.edges[by_day], self.edge_rows[by_day], self.edge_days[by_day]
        empty = np.zeros(grid.rows)
        self.solution = Solution(
            population=np.zeros(grid.rows, np.int64),
            deaths=known.died.copy(),
            modelled=np.zeros(grid.rows, bool),
            weight_g=empty,
            before_g=empty.copy(),
            root=np.zeros(grid.rows, np.int64),
            stage=known.stage[grid.owner],
            failed=np.zeros(grid.rows, bool),
        )

    def through(self, stays: Ints, begin: Ints) -> None:
        """Step stays from their first day to their last; begin: on which step each begins."""
        grid = self.known.grid
        end = begin + grid.length[stays]
        for step in range(int(begin.min(initial=0)), int(end.max(initial=0))):
            now = (begin <= step) & (step < end)
            here = stays[now]
            if here.size == 0:
                continue
            rows = grid.first[here] + (step - begin[now])
            if self.rules.weights_mix:
                self._arrive(step)
            self._day(here, rows)

    def begin_with_sources(self, stays: Ints) -> None:
        """First weights of destinations: measured, else the source's last state, else its avg_weight_g (R27)."""
        known = self.known
        move = _first_sources(known)[stays]
        fed = move >= 0
        stays, move = stays[fed], move[fed]
        source = known.moves.source[move]
        computed = _computed_before(known)[stays]
        last_g = np.where((computed >= 0) & self.seen[computed], self.weight_g[computed], np.nan)
        assigned_g = np.where(source >= 0, known.assigned_g[source], np.nan)
        for choice in (assigned_g, last_g, known.moves.measured_g[move]):  # the later the better
            there = ~np.isnan(choice)
            self.weight_g[stays[there]] = choice[there]
            self.root[stays[there]] = root_of(choice[there])

    def _arrive(self, day: int) -> None:
        """Mix the fish that arrive on a day with those there; the fish of a stay that begins that day come first."""
        low, high = np.searchsorted(self.edge_days, [day, day + 1])
        if low == high:
            return
        grid, moves = self.known.grid, self.known.moves
        edges, rows = self.edges[low:high], self.edge_rows[low:high]
        given, source = moves.given_g[edges], moves.source[edges]
        waiting = np.zeros(grid.ids.size, bool)
        waiting[grid.owner[rows]] = True
        begins = (grid.start[source] == day) & ~self.known.goes_on[source]
        fresh = (source >= 0) & begins & np.isnan(given) & (source != grid.owner[rows])
        while edges.size:
            stuck = np.zeros(grid.ids.size, bool)
            stuck[grid.owner[rows[fresh & waiting[source]]]] = True
            now = ~stuck[grid.owner[rows]]
            if not now.any():
                raise circle(grid, int(rows[0]))
            dest, at = np.unique(grid.owner[rows[now]], return_inverse=True)
            source_root = self.root[np.where(source[now] >= 0, source[now], grid.owner[rows[now]])]
            brought_g = np.where(np.isnan(given[now]), grams(source_root), grams(root_of(np.nan_to_num(given[now]))))
            there = self.population[dest]
            mass = np.bincount(at, moves.count[edges[now]] * brought_g, dest.size) + there * grams(self.root[dest])
            fish = np.bincount(at, moves.count[edges[now]], dest.size) + there
            self.root[dest] = root_of(mass / fish)
            self.weight_g[dest] = self._kept(grams(self.root[dest]))
            waiting[dest] = False
            later = ~now
            edges, rows, given = edges[later], rows[later], given[later]
            source, fresh = source[later], fresh[later]

    def _kept(self, weight_g: Floats) -> Floats:
        """A weight as it is carried to the next day (R7)."""
        return weight_g if self.rules.full_precision else rounded_units(weight_g, 2) / 100.0

    def _day(self, here: Ints, rows: Ints) -> None:
        known, rules, out, stages = self.known, self.rules, self.solution, self.known.stages
        stage, fish = self.stage[here], self.population[here]
        recorded = known.died[rows]
        modelled = known.unrecorded[rows] & (recorded == 0)
        rate = stages.daily_mortality[stage]
        failed = modelled & np.isnan(rate)
        deaths = np.where(modelled, np.rint(fish * np.nan_to_num(rate)).astype(np.int64), recorded)
        fish = np.maximum(0, fish + known.arrived[rows] - known.left[rows] - deaths)
        weight_g, root = self._grown(here, rows, fish)
        out.before_g[rows] = grams(self.root[here]) if rules.full_precision else self.weight_g[here]
        out.population[rows], out.deaths[rows], out.modelled[rows] = fish, deaths, modelled
        out.weight_g[rows], out.root[rows], out.failed[rows] = weight_g, root, failed
        kept_g = self._kept(weight_g)
        if not rules.assigned_stage:
            stage = np.where(kept_g >= stages.largest_g[stage], stages.next[stage], stage)
        out.stage[rows] = stage
        held = ~failed
        on = here[held]
        self.population[on], self.stage[on], self.seen[on] = fish[held], stage[held], True
        self.weight_g[on], self.root[on] = kept_g[held], root[held]

    def _grown(self, here: Ints, rows: Ints, fish: Ints) -> tuple[Floats, Ints]:
        """Weights at the end of the day, and their roots: measured, else grown and capped (R13, R31, R33)."""
        known, rules, stages = self.known, self.rules, self.known.stages
        stage = self.stage[here]
        growth = stages.growth[stage] * np.nan_to_num(known.temp_c[rows])
        if rules.empty_stops:
            growth = np.where(fish > 0, growth, 0.0)
        anchor_g = known.anchor_g[rows]
        anchored = known.anchor[rows] > 0
        if rules.full_precision:
            root = self.root[here] + in_units(growth)
            weight_g = grams(root)
        else:
            weight_g = cubed(third_power(self.weight_g[here]) + growth)
            root = self.root[here]
        if not rules.no_caps:
            capped = weight_g > stages.cap_g[stage]
            weight_g = np.where(capped, stages.cap_g[stage], weight_g)
            root = np.where(capped, root_of(weight_g), root)
        weight_g = np.where(anchored, anchor_g, weight_g)
        if not rules.full_precision:
            return weight_g, root_of(self._kept(weight_g)) if rules.weights_mix else root
        return weight_g, np.where(anchored, root_of(np.nan_to_num(anchor_g)), root)


__all__ = ["solve"]
