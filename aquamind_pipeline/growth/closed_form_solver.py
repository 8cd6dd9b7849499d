"""Daily states in closed form: sums instead of steps.

Fish are a running sum of what came and went. Growth adds up in cube-root space (R31): root(W) rises by coefficient x
temperature a day, so a stay is a running sum between the points that set the weight anew: its first day, an arrival of
other fish, and an anchor. These points are the nodes of a graph: an anchor needs nothing, an arrival needs the weights
of its sources on the day before. Nodes are solved by levels of that graph, all of a level at once.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.growth.record_grid import Known
from aquamind_pipeline.growth.roots import grams, in_units, root_of
from aquamind_pipeline.growth.rules import RuleSet
from aquamind_pipeline.growth.solution import Solution, circle


def solve(known: Known, rules: RuleSet) -> Solution:
    """States of every row. Fish move at the start of a day; where nobody is left, the weight stops.

    Raises:
        InputError: when transfers of one day go round in a circle.
    """
    grid, stages = known.grid, known.stages
    population = _fish(known)
    growth = (stages.growth[known.stage])[grid.owner] * np.nan_to_num(known.temp_c)
    if rules.empty_stops:
        growth = np.where(population > 0, growth, 0.0)
    gain = in_units(growth)
    root, start_root = _roots(known, population, gain, np.cumsum(gain))
    before = np.empty_like(root)
    before[1:] = root[:-1]
    before[start_root >= 0] = start_root[start_root >= 0]
    weight_g = grams(root)
    anchored = known.anchor > 0
    weight_g[anchored] = known.anchor_g[anchored]
    return Solution(
        population=population,
        deaths=known.died,
        modelled=np.zeros(grid.rows, bool),
        weight_g=weight_g,
        before_g=grams(before),
        root=root,
        stage=known.stage[grid.owner],
        failed=np.zeros(grid.rows, bool),
    )


def _fish(known: Known) -> Ints:
    """Running sums that stop at zero: a sum less its running minimum (the Lindley recursion)."""
    grid = known.grid
    filled = np.flatnonzero(grid.length)
    change = known.arrived - known.left - known.died
    change[grid.first[filled]] += known.opening[filled]
    total = np.cumsum(change)
    base = np.repeat((total - change)[grid.first[filled]], grid.length[filled])
    balance: Ints = total - base
    owed: Ints = np.minimum(balance, 0)
    if not owed.any():
        return balance
    fall = -int(owed.min()) + 1  # each stay a fall below the one before keeps the running minimum from leaking
    step = grid.owner * fall
    owed = np.minimum.accumulate(owed - step) + step
    return balance - owed


def _roots(known: Known, population: Ints, gain: Ints, grown: Ints) -> tuple[Ints, Ints]:
    """Roots at the end of each row, and at its start where fish begin or arrive (-1 elsewhere)."""
    grid, moves = known.grid, known.moves
    rows = np.arange(grid.rows)
    firsts = grid.first[grid.length > 0]
    start_root = np.full(grid.rows, -1)
    start_root[firsts] = known.begin_root[grid.length > 0]
    children = grid.row_at(moves.dest, moves.day)
    arrivals = np.unique(children[children >= 0])
    has_node = known.anchor > 0
    has_node[firsts] = True
    has_node[arrivals] = True
    node = np.maximum.accumulate(np.where(has_node, rows, 0))
    anchored = np.flatnonzero(known.anchor > 0)
    offset = start_root - (grown - gain)
    offset[anchored] = root_of(known.anchor_g[anchored]) - grown[anchored]
    if arrivals.size:
        _mix(known, population, gain, grown, node, start_root, offset, children, arrivals)
    return offset[node] + grown, start_root


def _mix(
    known: Known,
    population: Ints,
    gain: Ints,
    grown: Ints,
    node: Ints,
    start_root: Ints,
    offset: Ints,
    children: Ints,
    arrivals: Ints,
) -> None:
    """Solve the arrivals in place, level by level.

    Fish already there are a source like any other, so a top-up is a mean too. A source counts as it was at the end of
    the day before; one that itself only begins that day (fish pumped on at once) as it began.
    """
    grid, moves = known.grid, known.moves
    brought = np.flatnonzero(children >= 0)
    is_first = arrivals == grid.first[grid.owner[arrivals]]
    there = np.where(is_first, known.opening[grid.owner[arrivals]], population[np.maximum(arrivals - 1, 0)])
    staying = np.flatnonzero(there > 0)
    child = np.concatenate([np.searchsorted(arrivals, children[brought]), staying])
    count = np.concatenate([moves.count[brought], there[staying]])
    source = np.concatenate([moves.source[brought], grid.owner[arrivals[staying]]])
    day = np.concatenate([moves.day[brought], grid.day[arrivals[staying]]])
    given = np.concatenate([moves.given_g[brought], np.full(staying.size, np.nan)])
    order = np.lexsort((source, child))  # sums do not depend on the order of the records
    child, count, source, day, given = (values[order] for values in (child, count, source, day, given))
    here = grid.owner[arrivals[child]]
    # Where the source's weight is found: at the end of a row, at the start of one, or given.
    left_off = np.minimum(day - 1 - grid.start[source], grid.length[source] - 1)
    ends = (source >= 0) & (left_off >= 0)
    end_row = np.where(ends, grid.first[source] + left_off, 0)
    begins = (day == grid.start[source]) & (grid.length[source] > 0) & ~known.goes_on[source]
    starts = (source >= 0) & ~ends & begins & (source != here)
    start_row = np.where(starts, grid.first[source], 0)
    own = known.begin_root[np.where(source >= 0, source, here)]
    fixed = np.where(np.isnan(given), own, root_of(np.nan_to_num(given)))
    is_fixed = ~np.isnan(given) | ~(ends | starts)
    solved = np.ones(grid.rows, bool)
    solved[arrivals] = False
    node_solved = solved | (known.anchor > 0)
    fish = np.bincount(child, count, arrivals.size)
    waiting = np.ones(arrivals.size, bool)
    while waiting.any():
        ready = is_fixed | (ends & node_solved[node[end_row]]) | (starts & solved[start_row])
        root = np.where(is_fixed, fixed, np.where(ends, offset[node[end_row]] + grown[end_row], start_root[start_row]))
        missing = np.bincount(child, ~ready, arrivals.size) > 0
        now = np.flatnonzero(waiting & ~missing)
        if now.size == 0:
            raise circle(grid, int(arrivals[np.flatnonzero(waiting)[0]]))
        mass = np.bincount(child, count * np.where(ready, grams(root), 0.0), arrivals.size)
        at = arrivals[now]
        start_root[at] = root_of(mass[now] / fish[now])
        free = at[known.anchor[at] == 0]
        offset[free] = start_root[free] - (grown - gain)[free]
        solved[at] = node_solved[at] = True
        waiting[now] = False


__all__ = ["solve"]
