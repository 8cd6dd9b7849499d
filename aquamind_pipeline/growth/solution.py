"""What the solvers return: the state of every row, before it is rounded for storage."""

from __future__ import annotations

from dataclasses import dataclass

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.grid import Grid, calendar_day
from aquamind_pipeline.growth.temperature import Bools


@dataclass(frozen=True)
class Solution:
    """States by row.

    Attributes:
        population: Fish at the end of the day.
        deaths: Fish that died on the day.
        modelled: Whether the deaths were modelled.
        weight_g: Mean weight at the end of the day, g.
        before_g: Mean weight of the day's fish at its start, g.
        root: Cube root of the weight at the end of the day, in units (`roots`).
        stage: Position of the lifecycle stage in `RecordGrid.stages`.
        failed: Whether AquaMind's engine fails on the day and stores no state (R8).
    """

    population: Ints
    deaths: Ints
    modelled: Bools
    weight_g: Floats
    before_g: Floats
    root: Ints
    stage: Ints
    failed: Bools


def circular_transfers(grid: Grid, row: int) -> InputError:
    """The error for transfers of one day whose weights depend on each other; one of them arrives on `row`."""
    return InputError(
        f"transfers of {calendar_day(grid.day[row])} into assignment {grid.ids[grid.owner[row]]} form a circle, so the "
        "weight of their fish is unknown; correct the transfer actions of that day"
    )


__all__ = ["Solution", "circular_transfers"]
