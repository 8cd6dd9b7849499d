"""Daily states from records: the rows of batch_actualdailyassignmentstate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, decimal, rounded_units
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth import closed_form_solver, daily_solver
from aquamind_pipeline.growth.grid import day_number, day_numbers
from aquamind_pipeline.growth.record_grid import ANCHORS, Carried, RecordGrid, lay_out
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import CORRECTED, LARGEST_FCR, LEAST_GAIN_KG, RuleSet
from aquamind_pipeline.growth.solution import Solution
from aquamind_pipeline.growth.temperature import CONFIDENCE, NONE, SOURCES, UNNAMED, Bools, container_grid
from aquamind_pipeline.growth.validation import require_known_start, validate

FEED = (("none", 0.0), ("actual", 1.0), ("shared", 0.7))
"""Sources of feed by code, with their confidence. Shared: feed of a container, split by biomass."""
MORTALITY = (("actual", 1.0), ("model", 0.4))
"""Sources of deaths by code, with their confidence."""
FCR = (("insufficient_data", 0.0), ("calculated", 0.9))
"""Sources of the feed conversion ratio by code, with their confidence."""
_UNCHANGED, _COMPUTED = 0, 1
WEIGHT = (("unchanged", 0.3), ("tgc_computed", 0.8), ("measured", 1.0), ("measured", 0.95), ("measured", 0.9))
"""Sources of weight by code, with their confidence. The last three are ANCHORS 1 to 3. A computed weight is at most as
sure as its temperature (R34)."""


@dataclass(frozen=True)
class Run:
    """A solved run.

    Attributes:
        records: The records, validated.
        rules: The rules that it followed.
        inputs: The records laid out by assignment and day.
        solution: The states of every row.
    """

    records: Records
    rules: RuleSet
    inputs: RecordGrid
    solution: Solution

    def carried(self, on: date) -> Carried:
        """The states at the end of a day, from which a later run can continue."""
        grid = self.inputs.grid
        rows = grid.row_at(np.arange(grid.ids.size), np.full(grid.ids.size, day_number(on)))
        has_state = rows >= 0
        assignments = pl.DataFrame(
            {
                "assignment_id": grid.ids[has_state],
                "population": self.solution.population[rows[has_state]],
                "root": self.solution.root[rows[has_state]],
            }
        )
        return Carried(on, assignments)


def run(records: Records, until: date, rules: RuleSet = CORRECTED, carried: Carried | None = None) -> Run:
    """Solve the states of every assignment and day up to `until`.

    Args:
        records: What the farm recorded.
        until: Last day.
        rules: Behaviour of the run.
        carried: The end of an earlier run; only the days after it are solved.

    Raises:
        InputError: when a frame or column is wrong, a batch has no scenario, or records contradict each other.
    """
    if not isinstance(until, date) or isinstance(until, datetime):
        raise InputError(f"the last day is {until!r}; give a datetime.date")
    if not isinstance(rules, RuleSet):
        raise InputError(f"the rules are {rules!r}; give CORRECTED, AQUAMIND or another RuleSet")
    records = validate(records, rules)
    inputs = lay_out(records, until, rules, carried)
    in_closed_form = rules.closed_form and not inputs.may_model_deaths.any()
    solver = closed_form_solver if in_closed_form else daily_solver
    solution = solver.solve(inputs, rules)
    if rules.refuse_contradictions and rules.follows_ledger:
        require_known_start(records)  # not before the solver, which can name the day on which fish are lacking
    return Run(records, rules, inputs, solution)


def assimilate(
    records: Records, until: date, rules: RuleSet = CORRECTED, carried: Carried | None = None
) -> pl.DataFrame:
    """States of every assignment and day up to `until`, computed from records alone.

    Args:
        records: What the farm recorded.
        until: Last day.
        rules: Behaviour of the run.
        carried: The end of an earlier run. Only the states after it are returned; they equal those of a whole run.

    Returns:
        The columns of batch_actualdailyassignmentstate without its id, rounded as they are stored, sorted by assignment
        and day. `sources` and `confidence_scores` say where each value comes from (R42).

    Raises:
        InputError: when a frame or column is wrong, a batch has no scenario, or records contradict each other.
    """
    return stored(run(records, until, rules, carried))


def stored(run: Run) -> pl.DataFrame:
    """The states of a run, rounded as they are stored."""
    inputs, solution, rules = run.inputs, run.solution, run.rules
    grid, owner = inputs.grid, inputs.grid.owner
    biomass_kg = solution.population * solution.weight_g / 1000.0
    feed_kg, feed = _feed(run.records, inputs, biomass_kg, rules)
    gain_kg = biomass_kg - _biomass_before_growth(inputs, solution, biomass_kg, rules)
    has_fcr = (feed_kg > 0) & (gain_kg > LEAST_GAIN_KG)
    fcr = np.where(has_fcr, feed_kg / np.where(has_fcr, gain_kg, 1.0), 0.0)
    fcr = np.minimum(fcr, LARGEST_FCR)  # feed_kg and biomass_kg of the row keep the truth
    grows = (inputs.temp_code != NONE) & ((solution.population > 0) | (not rules.empty_stops))
    weight = np.where(inputs.anchor > 0, inputs.anchor + _COMPUTED, np.where(grows, _COMPUTED, _UNCHANGED))
    codes = (inputs.temp_code, solution.modelled.astype(np.int64), weight, feed, has_fcr.astype(np.int64))
    batch_start = day_numbers(run.records.batches["start_date"])
    batch_ids = run.records.batches["batch_id"].to_numpy()
    states = pl.DataFrame(
        {
            "assignment_id": grid.ids[owner],
            "batch_id": batch_ids[inputs.batch][owner],
            "container_id": inputs.container[owner],
            "lifecycle_stage_id": inputs.stages.id[solution.stage],
            "date": pl.Series(grid.day.astype(np.int32)).cast(pl.Date),
            "day_number": (grid.day - batch_start[inputs.batch][owner] + 1).astype(np.int32),
            "avg_weight_g": _stored(solution.weight_g, 10, 2),
            "population": solution.population.astype(np.int32),
            "biomass_kg": _stored(biomass_kg, 12, 2),
            "temp_c": _null_unless(inputs.temp_code != NONE, _stored(np.nan_to_num(inputs.temp_c), 5, 2)),
            "mortality_count": solution.deaths.astype(np.int32),
            "feed_kg": _stored(feed_kg, 10, 2),
            "observed_fcr": _null_unless(has_fcr, _stored(fcr, 8, 3)),
            "anchor_type": pl.Series([kind or None for kind in ANCHORS], dtype=pl.String).gather(inputs.anchor),
            "sources": _texts(codes, _sources),
            "confidence_scores": _texts(codes, _confidences),
        }
    )
    return states.filter(~pl.Series(solution.failed)) if solution.failed.any() else states


def _biomass_before_growth(inputs: RecordGrid, solution: Solution, biomass_kg: Floats, rules: RuleSet) -> Floats:
    """By row, the biomass (kg) from which the day's gain is counted.

    That of the day's fish at its start: arrivals are included, dead fish are not left out. AquaMind takes the biomass
    stored the day before, so arrivals count as gain (R35).
    """
    start_kg = (solution.population + solution.deaths) * solution.before_g / 1000.0
    if rules.moves_are_no_growth and rules.full_precision:
        return start_kg
    grid = inputs.grid
    carried_kg = biomass_kg if rules.full_precision else rounded_units(biomass_kg, 2) / 100.0
    last_state = np.maximum.accumulate(np.where(solution.failed, -1, np.arange(grid.rows)))
    last_state = np.concatenate([[-1], last_state])[: grid.rows]
    is_first = last_state < np.repeat(grid.first, grid.length)
    opening_kg = inputs.opening[grid.owner] * solution.before_g / 1000.0
    before_kg = np.where(is_first, opening_kg, carried_kg[last_state])
    has_moves = (inputs.arrived > 0) | (inputs.left > 0)
    return np.where(has_moves, start_kg, before_kg) if rules.moves_are_no_growth else before_kg


def _feed(records: Records, inputs: RecordGrid, biomass_kg: Floats, rules: RuleSet) -> tuple[Floats, Ints]:
    """feed_kg and the code of its source, by row.

    An assignment has its own feed, and a share by biomass of the feed that names only its container. AquaMind gives
    each assignment all the feed of its container (R21).
    """
    grid, feed = inputs.grid, records.feed
    days, tenths_g = day_numbers(feed["date"]), rounded_units(feed["feed_kg"].to_numpy(), 4)
    ids = feed["assignment_id"].fill_null(UNNAMED).to_numpy()
    if rules.own_records:
        own_kg = grid.total(ids, days, tenths_g) / 1e4
        is_unnamed = ids == UNNAMED
        if not is_unnamed.any():
            return own_kg, (own_kg > 0).astype(np.int64)
    else:
        own_kg, is_unnamed = np.zeros(grid.rows), np.ones(days.size, bool)
    containers = container_grid(grid, inputs.container, 0)
    container_ids = feed["container_id"].to_numpy()[is_unnamed]
    container_kg = containers.total(container_ids, days[is_unnamed], tenths_g[is_unnamed]) / 1e4
    rows = containers.row(inputs.container[grid.owner], grid.day)
    if not rules.own_records:
        return container_kg[rows], (container_kg[rows] > 0).astype(np.int64)
    number = np.bincount(rows, minlength=containers.rows)[rows]
    total_kg = np.bincount(rows, biomass_kg, containers.rows)[rows]
    share = np.where(total_kg > 0, biomass_kg / np.where(total_kg > 0, total_kg, 1.0), 1.0 / number)
    shared_kg = np.where(number > 1, share, 1.0) * container_kg[rows]
    is_split = (number > 1) & (shared_kg > 0)
    return own_kg + shared_kg, np.where(is_split, 2, (own_kg + shared_kg > 0).astype(np.int64))


def _stored(values: Floats, precision: int, scale: int) -> pl.Series:
    return decimal(rounded_units(values, scale), precision, scale)


def _null_unless(is_known: Bools, values: pl.Series) -> pl.Series:
    if is_known.all():
        return values
    return values.to_frame("values").select(pl.when(pl.Series(is_known)).then("values")).to_series()


Fields = dict[str, tuple[str, float]]


def _texts(codes: tuple[Ints, ...], write: Callable[[Fields], str]) -> pl.Series:
    """The text for the codes of each row. Each combination of codes is written once."""
    combination = np.zeros(codes[0].size, np.int64)
    for code, choices in zip(codes, _CHOICES, strict=True):
        combination = combination * len(choices) + code
    texts = [write(dict(zip(_KEYS, choice, strict=True))) for choice in product(*_CHOICES)]
    return pl.Series(texts).gather(combination)


_KEYS = ("temp", "mortality", "weight", "feed", "fcr")
_CHOICES = (tuple(zip(SOURCES, CONFIDENCE, strict=True)), MORTALITY, WEIGHT, FEED, FCR)


def _sources(fields: Fields) -> str:
    return "{" + ", ".join(f'"{key}": "{fields[key][0]}"' for key in sorted(fields)) + "}"


def _confidences(fields: Fields) -> str:
    scores = {key: confidence for key, (_, confidence) in fields.items()}
    if fields["weight"][0] == "tgc_computed":
        scores["weight"] = min(scores["weight"], scores["temp"])
    return "{" + ", ".join(f'"{key}": {scores[key]}' for key in sorted(scores)) + "}"


__all__ = ["Run", "assimilate", "run", "stored"]
