"""What solvers give: the states of every row of a grid, before they are rounded for storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.grid import Grid
from aquamind_pipeline.growth.temperature import Bools


@dataclass(frozen=True)
class Solution:
    """By row: population and weight_g at the end of the day; deaths and whether they were modelled; before_g, the
    weight that the day's fish came into it with; root, the cube root of the weight in units; stage (position);
    failed, where AquaMind gives no state (R8).
    """

    population: Ints
    deaths: Ints
    modelled: Bools
    weight_g: Floats
    before_g: Floats
    root: Ints
    stage: Ints
    failed: Bools


def circle(grid: Grid, row: int) -> InputError:
    """The error for fish whose weights follow from each other."""
    day = date(1970, 1, 1) + timedelta(days=int(grid.day[row]))
    return InputError(
        f"transfers of {day} into assignment {grid.ids[grid.owner[row]]} go round in a circle: "
        "their weights cannot be told; correct the transfer actions of that day"
    )


__all__ = ["Solution", "circle"]
