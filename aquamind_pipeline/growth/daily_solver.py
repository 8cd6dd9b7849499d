"""Solves daily states day by day, under any rules.

Some rules make a day depend on the rounded, capped or modelled result of the day before, so that no running sum gives
it. The loop goes over days; on each day it computes many assignments at once. Under AquaMind's rules an assignment
begins with the last weight of its source (R27), so its source is solved before it. Where the weights of arriving fish
are mixed, all assignments go through the calendar together.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Floats, Ints, cubed, rounded_units, third_power
from aquamind_pipeline.growth.population import recorded_population
from aquamind_pipeline.growth.record_grid import RecordGrid
from aquamind_pipeline.growth.roots import grams, in_units, root_of
from aquamind_pipeline.growth.rules import RuleSet
from aquamind_pipeline.growth.solution import Solution, circular_transfers


def solve(inputs: RecordGrid, rules: RuleSet) -> Solution:
    """States of every row, under any rules.

    Raises:
        InputError: when more fish leave or die than there are, or when transfers of one day form a circle.
    """
    if rules.refuse_contradictions and rules.follows_ledger:
        recorded_population(inputs, rules)
    solver = _DailySolver(inputs, rules)
    if rules.weights_mix:
        with_days = np.flatnonzero(inputs.grid.length)
        solver.solve_days(with_days, inputs.grid.start[with_days])
    else:
        for assignments in _levels(inputs):
            solver.take_weights_of_sources(assignments)
            solver.solve_days(assignments, np.zeros(assignments.size, np.int64))
    return solver.solution


def _first_transfers(inputs: RecordGrid) -> Ints:
    """By assignment, the first transfer in AquaMind's order that brought it fish; -1 for none (R27)."""
    first = np.full(inputs.grid.ids.size, -1)
    first[inputs.transfers.dest[::-1]] = np.arange(inputs.transfers.dest.size)[::-1]
    return first


def _sources_solved_before(inputs: RecordGrid) -> Ints:
    """By assignment, the source whose last state gives its first weight; -1 for none.

    AquaMind computes assignments in order of date and id, so a later source has no state yet.
    """
    transfers = inputs.transfers
    rank = np.empty(inputs.grid.ids.size, np.int64)
    rank[np.lexsort((inputs.grid.ids, inputs.assigned_day))] = np.arange(rank.size)
    first = _first_transfers(inputs)
    if transfers.source.size == 0:
        return first
    source = np.where(first >= 0, transfers.source[first], -1)
    is_measured = (first >= 0) & ~np.isnan(transfers.measured_g[first])
    is_solved = (source >= 0) & ~is_measured & (rank[source] < rank) & (inputs.grid.length[source] > 0)
    return np.where(is_solved, source, -1)


def _levels(inputs: RecordGrid) -> list[Ints]:
    """Assignments that have days, by the number of assignments that are solved before in their chain of sources."""
    source = _sources_solved_before(inputs)
    depth = np.zeros(source.size, np.int64)
    while True:
        deeper = np.where(source >= 0, depth[source] + 1, 0)
        if (deeper == depth).all():
            break
        depth = deeper
    has_days = inputs.grid.length > 0
    return [np.flatnonzero(has_days & (depth == level)) for level in range(int(depth.max(initial=-1)) + 1)]


class _DailySolver:
    """The current state of every assignment, and the states of all rows solved so far.

    Attributes:
        population: Fish of each assignment.
        weight_g: Weight, rounded where the rules round.
        root: Cube root of the weight, kept where the rules do not round.
        stage: Position of the lifecycle stage.
        has_state: Whether a day of the assignment has been solved.
        solution: The states of all rows.
    """

    def __init__(self, inputs: RecordGrid, rules: RuleSet) -> None:
        grid = inputs.grid
        self.inputs, self.rules = inputs, rules
        self.population = inputs.opening.copy()
        self.root = inputs.initial_root.copy()
        self.weight_g = inputs.initial_g.copy()
        self.stage = inputs.stage.copy()
        self.has_state = np.zeros(grid.ids.size, bool)
        # Transfers that arrive on a row, by day, then row and source.
        dest_rows = grid.row_at(inputs.transfers.dest, inputs.transfers.day)
        order = np.lexsort((inputs.transfers.source, dest_rows))
        order = order[dest_rows[order] >= 0]
        self._transfers = order[np.argsort(inputs.transfers.day[order], kind="stable")]
        self._transfer_rows = dest_rows[self._transfers]
        self._transfer_days = inputs.transfers.day[self._transfers]
        self.solution = Solution(
            population=np.zeros(grid.rows, np.int64),
            deaths=inputs.deaths.copy(),
            modelled=np.zeros(grid.rows, bool),
            weight_g=np.zeros(grid.rows),
            before_g=np.zeros(grid.rows),
            root=np.zeros(grid.rows, np.int64),
            stage=inputs.stage[grid.owner],
            failed=np.zeros(grid.rows, bool),
        )

    def solve_days(self, assignments: Ints, begin: Ints) -> None:
        """Solve all days of some assignments, step by step.

        Args:
            assignments: Their positions.
            begin: The step on which each begins; where weights are mixed, the day.
        """
        grid = self.inputs.grid
        end = begin + grid.length[assignments]
        for step in range(int(begin.min(initial=0)), int(end.max(initial=0))):
            is_active = (begin <= step) & (step < end)
            active = assignments[is_active]
            if active.size == 0:
                continue
            if self.rules.weights_mix:
                self._mix_arrivals(step)
            self._solve_day(active, grid.first[active] + (step - begin[is_active]))

    def take_weights_of_sources(self, assignments: Ints) -> None:
        """Set first weights of destinations: measured, else the source's last state, else its avg_weight_g (R27)."""
        inputs = self.inputs
        transfer = _first_transfers(inputs)[assignments]
        has_source = transfer >= 0
        assignments, transfer = assignments[has_source], transfer[has_source]
        source = inputs.transfers.source[transfer]
        solved = _sources_solved_before(inputs)[assignments]
        last_g = np.where((solved >= 0) & self.has_state[solved], self.weight_g[solved], np.nan)
        assigned_g = np.where(source >= 0, inputs.assigned_g[source], np.nan)
        for choice_g in (assigned_g, last_g, inputs.transfers.measured_g[transfer]):  # a later choice takes precedence
            is_known = ~np.isnan(choice_g)
            self.weight_g[assignments[is_known]] = choice_g[is_known]
            self.root[assignments[is_known]] = root_of(choice_g[is_known])

    def _mix_arrivals(self, day: int) -> None:
        """Mix the fish that arrive on a day with those present.

        A source that itself begins with arrivals of this day is mixed before its destinations.
        """
        low, high = np.searchsorted(self._transfer_days, [day, day + 1])
        if low == high:
            return
        grid, transfers = self.inputs.grid, self.inputs.transfers
        pending, rows = self._transfers[low:high], self._transfer_rows[low:high]
        corrected_g, source = transfers.corrected_g[pending], transfers.source[pending]
        waiting = np.zeros(grid.ids.size, bool)
        waiting[grid.owner[rows]] = True
        begins = (grid.start[source] == day) & ~self.inputs.continued[source]
        needs_start = (source >= 0) & begins & np.isnan(corrected_g) & (source != grid.owner[rows])
        while pending.size:
            is_blocked = np.zeros(grid.ids.size, bool)
            is_blocked[grid.owner[rows[needs_start & waiting[source]]]] = True
            now = ~is_blocked[grid.owner[rows]]
            if not now.any():
                raise circular_transfers(grid, int(rows[0]))
            dest, group = np.unique(grid.owner[rows[now]], return_inverse=True)
            source_root = self.root[np.where(source[now] >= 0, source[now], grid.owner[rows[now]])]
            fixed_g = corrected_g[now]
            arriving_g = np.where(np.isnan(fixed_g), grams(source_root), grams(root_of(np.nan_to_num(fixed_g))))
            present = self.population[dest]
            count = transfers.count[pending[now]]
            mass = np.bincount(group, count * arriving_g, dest.size) + present * grams(self.root[dest])
            fish = np.bincount(group, count, dest.size) + present
            self.root[dest] = root_of(mass / fish)
            self.weight_g[dest] = self._carried_g(grams(self.root[dest]))
            waiting[dest] = False
            pending, rows, corrected_g = pending[~now], rows[~now], corrected_g[~now]
            source, needs_start = source[~now], needs_start[~now]

    def _carried_g(self, weight_g: Floats) -> Floats:
        """Weights as they are carried on to the next day (R7)."""
        return weight_g if self.rules.full_precision else rounded_units(weight_g, 2) / 100.0

    def _solve_day(self, active: Ints, rows: Ints) -> None:
        """Solve one row of each active assignment and carry its state on."""
        inputs, rules, solution, stages = self.inputs, self.rules, self.solution, self.inputs.stages
        stage, fish = self.stage[active], self.population[active]
        recorded = inputs.deaths[rows]
        modelled = inputs.may_model_deaths[rows] & (recorded == 0)
        rate = stages.daily_mortality[stage]
        failed = modelled & np.isnan(rate)
        deaths = np.where(modelled, np.rint(fish * np.nan_to_num(rate)).astype(np.int64), recorded)
        fish = np.maximum(0, fish + inputs.arrived[rows] - inputs.left[rows] - deaths)
        weight_g, root = self._grow(active, rows, fish)
        solution.before_g[rows] = grams(self.root[active]) if rules.full_precision else self.weight_g[active]
        solution.population[rows], solution.deaths[rows], solution.modelled[rows] = fish, deaths, modelled
        solution.weight_g[rows], solution.root[rows], solution.failed[rows] = weight_g, root, failed
        carried_g = self._carried_g(weight_g)
        if not rules.assigned_stage:
            # The weight of the day before it is rounded for storage (R37).
            stage = np.where(weight_g >= stages.largest_g[stage], stages.next[stage], stage)
        solution.stage[rows] = stage
        succeeded = ~failed
        carried_on = active[succeeded]
        self.population[carried_on], self.stage[carried_on] = fish[succeeded], stage[succeeded]
        self.weight_g[carried_on], self.root[carried_on] = carried_g[succeeded], root[succeeded]
        self.has_state[carried_on] = True

    def _grow(self, active: Ints, rows: Ints, fish: Ints) -> tuple[Floats, Ints]:
        """Weights at the end of the day and their roots: measured, else grown and capped (R13, R31, R33)."""
        inputs, rules, stages = self.inputs, self.rules, self.inputs.stages
        stage = self.stage[active]
        growth = stages.growth[stage] * np.nan_to_num(inputs.temp_c[rows])
        if rules.empty_stops:
            growth = np.where(fish > 0, growth, 0.0)
        anchor_g = inputs.anchor_g[rows]
        anchored = inputs.anchor[rows] > 0
        if rules.full_precision:
            root = self.root[active] + in_units(growth)
            weight_g = grams(root)
        else:
            weight_g = cubed(third_power(self.weight_g[active]) + growth)
            root = self.root[active]
        if not rules.no_caps:
            capped = weight_g > stages.cap_g[stage]
            weight_g = np.where(capped, stages.cap_g[stage], weight_g)
            root = np.where(capped, root_of(weight_g), root)
        weight_g = np.where(anchored, anchor_g, weight_g)
        if not rules.full_precision:
            return weight_g, root_of(self._carried_g(weight_g)) if rules.weights_mix else root
        return weight_g, np.where(anchored, root_of(np.nan_to_num(anchor_g)), root)


__all__ = ["solve"]
