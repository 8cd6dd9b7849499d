"""Solves daily states in closed form: by running sums, without a loop over days.

Fish are a running sum of what came and went. Growth is a running sum too: the cube root of the weight rises by
coefficient x temperature each day (R31). Three events set the weight anew: the first day, the arrival of other fish,
and a measured weight (anchor). These events are the nodes of a graph. An anchor depends on nothing. An arrival depends
on the weights of its sources on the day before. The graph is solved level by level, all nodes of a level at once.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.growth.population import recorded_population
from aquamind_pipeline.growth.record_grid import RecordGrid
from aquamind_pipeline.growth.roots import grams, in_units, root_of
from aquamind_pipeline.growth.rules import RuleSet
from aquamind_pipeline.growth.solution import Solution, circular_transfers


def solve(inputs: RecordGrid, rules: RuleSet) -> Solution:
    """States of every row. Fish move at the start of a day.

    Raises:
        InputError: when more fish leave or die than there are, or when transfers of one day form a circle.
    """
    grid, stages = inputs.grid, inputs.stages
    population = recorded_population(inputs, rules)
    growth = (stages.growth[inputs.stage])[grid.owner] * np.nan_to_num(inputs.temp_c)
    if rules.empty_stops:
        growth = np.where(population > 0, growth, 0.0)
    gain = in_units(growth)
    root, start_root = _roots(inputs, population, gain, np.cumsum(gain))
    before = np.empty_like(root)
    before[1:] = root[:-1]
    before[start_root >= 0] = start_root[start_root >= 0]
    weight_g = grams(root)
    anchored = inputs.anchor > 0
    weight_g[anchored] = inputs.anchor_g[anchored]
    return Solution(
        population=population,
        deaths=inputs.deaths,
        modelled=np.zeros(grid.rows, bool),
        weight_g=weight_g,
        before_g=grams(before),
        root=root,
        stage=inputs.stage[grid.owner],
        failed=np.zeros(grid.rows, bool),
    )


def _roots(inputs: RecordGrid, population: Ints, gain: Ints, total_gain: Ints) -> tuple[Ints, Ints]:
    """Roots at the end of each row, and at its start where fish begin or arrive (-1 elsewhere)."""
    grid, transfers = inputs.grid, inputs.transfers
    rows = np.arange(grid.rows)
    first_rows = grid.first[grid.length > 0]
    start_root = np.full(grid.rows, -1)
    start_root[first_rows] = inputs.initial_root[grid.length > 0]
    dest_rows = grid.row_at(transfers.dest, transfers.day)
    arrival_rows = np.unique(dest_rows[dest_rows >= 0])
    has_node = inputs.anchor > 0
    has_node[first_rows] = True
    has_node[arrival_rows] = True
    node = np.maximum.accumulate(np.where(has_node, rows, 0))
    anchored = np.flatnonzero(inputs.anchor > 0)
    offset = start_root - (total_gain - gain)
    offset[anchored] = root_of(inputs.anchor_g[anchored]) - total_gain[anchored]
    if arrival_rows.size:
        _mix(inputs, population, gain, total_gain, node, start_root, offset, dest_rows, arrival_rows)
    return offset[node] + total_gain, start_root


def _mix(
    inputs: RecordGrid,
    population: Ints,
    gain: Ints,
    total_gain: Ints,
    node: Ints,
    start_root: Ints,
    offset: Ints,
    dest_rows: Ints,
    arrival_rows: Ints,
) -> None:
    """Write `start_root` and `offset` of the arrivals, level by level.

    An arrival is the mean of its sources. The fish that are in the destination already are one of them. A source has
    the weight of the end of the day before. A source that begins on the same day has the weight that it begins with.

    Args:
        inputs: The records.
        population: Fish at the end of each row.
        gain: Growth of the root on each row.
        total_gain: Running sum of `gain`.
        node: Row of the event that last set the weight of each row.
        start_root: Root at the start of the rows on which fish begin or arrive.
        offset: Of each node, its root less `total_gain`.
        dest_rows: Row of the arrival of each transfer, -1 for none.
        arrival_rows: The rows on which fish arrive, ascending.
    """
    grid, transfers = inputs.grid, inputs.transfers
    arriving = np.flatnonzero(dest_rows >= 0)
    on_first_row = arrival_rows == grid.first[grid.owner[arrival_rows]]
    present = np.where(
        on_first_row, inputs.opening[grid.owner[arrival_rows]], population[np.maximum(arrival_rows - 1, 0)]
    )
    staying = np.flatnonzero(present > 0)
    no_weight = np.full(staying.size, np.nan)
    # One element for each source of an arrival; `arrival` is the position in arrival_rows.
    arrival = np.concatenate([np.searchsorted(arrival_rows, dest_rows[arriving]), staying])
    count = np.concatenate([transfers.count[arriving], present[staying]])
    source = np.concatenate([transfers.source[arriving], grid.owner[arrival_rows[staying]]])
    day = np.concatenate([transfers.day[arriving], grid.day[arrival_rows[staying]]])
    corrected_g = np.concatenate([transfers.corrected_g[arriving], no_weight])
    order = np.lexsort((source, arrival))  # sums must not depend on the order of the records
    arrival, count, source, day, corrected_g = (values[order] for values in (arrival, count, source, day, corrected_g))
    dest = grid.owner[arrival_rows[arrival]]
    # The weight of a source is that of the end of a row, of the start of a row, or fixed.
    days_before = np.minimum(day - 1 - grid.start[source], grid.length[source] - 1)
    from_end = (source >= 0) & (days_before >= 0)
    end_row = np.where(from_end, grid.first[source] + days_before, 0)
    begins = (day == grid.start[source]) & (grid.length[source] > 0) & ~inputs.continued[source]
    from_start = (source >= 0) & ~from_end & begins & (source != dest)
    start_row = np.where(from_start, grid.first[source], 0)
    initial_root = inputs.initial_root[np.where(source >= 0, source, dest)]
    fixed_root = np.where(np.isnan(corrected_g), initial_root, root_of(np.nan_to_num(corrected_g)))
    is_fixed = ~np.isnan(corrected_g) | ~(from_end | from_start)
    start_solved = np.ones(grid.rows, bool)
    start_solved[arrival_rows] = False
    node_solved = start_solved | (inputs.anchor > 0)
    fish = np.bincount(arrival, count, arrival_rows.size)
    waiting = np.ones(arrival_rows.size, bool)
    while waiting.any():
        ready = is_fixed | (from_end & node_solved[node[end_row]]) | (from_start & start_solved[start_row])
        end_root = offset[node[end_row]] + total_gain[end_row]
        root = np.where(is_fixed, fixed_root, np.where(from_end, end_root, start_root[start_row]))
        blocked = np.bincount(arrival, ~ready, arrival_rows.size) > 0
        solvable = np.flatnonzero(waiting & ~blocked)
        if solvable.size == 0:
            raise circular_transfers(grid, int(arrival_rows[np.flatnonzero(waiting)[0]]))
        mass = np.bincount(arrival, count * np.where(ready, grams(root), 0.0), arrival_rows.size)
        rows = arrival_rows[solvable]
        start_root[rows] = root_of(mass[solvable] / fish[solvable])
        unanchored = rows[inputs.anchor[rows] == 0]
        offset[unanchored] = start_root[unanchored] - (total_gain - gain)[unanchored]
        start_solved[rows] = node_solved[rows] = True
        waiting[solvable] = False


__all__ = ["solve"]
