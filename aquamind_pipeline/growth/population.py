"""Fish of each row, added up from the records. More deaths or transfers than there are fish are an error."""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Ints
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.grid import calendar_day
from aquamind_pipeline.growth.record_grid import RecordGrid
from aquamind_pipeline.growth.rules import RuleSet

_REMEDY = "correct the deaths, the transfers or the fish placed"


def recorded_population(inputs: RecordGrid, rules: RuleSet) -> Ints:
    """Fish at the end of each row: those before, plus arrivals, less transfers and recorded deaths, at least 0.

    Raises:
        InputError: when more fish leave or die than there are, under rules that count fish from the records and refuse
            contradictions.
    """
    grid = inputs.grid
    has_rows = np.flatnonzero(grid.length)
    change = inputs.arrived - inputs.left - inputs.deaths
    change[grid.first[has_rows]] += inputs.opening[has_rows]
    total = np.cumsum(change)
    before_first = np.repeat((total - change)[grid.first[has_rows]], grid.length[has_rows])
    balance: Ints = total - before_first
    shortfall: Ints = np.minimum(balance, 0)
    is_short = bool(shortfall.any())
    if rules.refuse_contradictions and rules.follows_ledger:
        if is_short:
            _refuse_shortfalls(inputs, balance)
        _refuse_departures(inputs, balance)
    if not is_short:
        return balance
    # A sum that stops at zero is the sum less its running minimum (Lindley 1952). The minimum must not run on into the
    # next assignment, so each one is shifted below all before.
    step = grid.owner * (1 - int(shortfall.min()))
    shortfall = np.minimum.accumulate(shortfall - step) + step
    return balance - shortfall


def _refuse_shortfalls(inputs: RecordGrid, balance: Ints) -> None:
    """Refuse the first row of an assignment on which more fish leave or die than there are."""
    grid = inputs.grid
    short = np.flatnonzero(balance < 0)
    row, more = short[0], np.unique(grid.owner[short]).size - 1
    left, died = inputs.left[row], inputs.deaths[row]
    raise InputError(
        f"assignment {grid.ids[grid.owner[row]]} on {calendar_day(grid.day[row])}: {died:,} fish die and {left:,} "
        f"leave, but only {balance[row] + left + died:,} are there; {_REMEDY}" + _more(more)
    )


def _refuse_departures(inputs: RecordGrid, balance: Ints) -> None:
    """Refuse transfers on the departure_date that take more fish than the assignment has at the end of its last day."""
    grid = inputs.grid
    leaving = np.flatnonzero(inputs.left_on_departure)
    last = grid.first[leaving] + grid.length[leaving] - 1
    opening = inputs.opening[leaving]
    fish = np.where(grid.length[leaving] > 0, balance[last], opening) if balance.size else opening
    fish = fish + inputs.arrived_on_departure[leaving]
    short = np.flatnonzero(inputs.left_on_departure[leaving] > fish)
    if short.size:
        position = leaving[short[0]]
        more = short.size - 1
        raise InputError(
            f"assignment {grid.ids[position]} on {calendar_day(grid.start[position] + grid.length[position])}: "
            f"{inputs.left_on_departure[position]:,} fish leave, but only {fish[short[0]]:,} are there; {_REMEDY}"
            + _more(more)
        )


def _more(number: int) -> str:
    return f" ({number:,} more like it)" if number else ""


__all__ = ["recorded_population"]
