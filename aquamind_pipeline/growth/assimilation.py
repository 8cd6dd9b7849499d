"""Daily states from records: the rows of batch_actualdailyassignmentstate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import product

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, decimal, rounded_units
from aquamind_pipeline.growth import closed_form_solver, daily_solver
from aquamind_pipeline.growth.grid import day_numbers
from aquamind_pipeline.growth.record_grid import ANCHORS, Carried, Known, known
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import CORRECTED, LARGEST_FCR, LEAST_GAIN_KG, RuleSet
from aquamind_pipeline.growth.solution import Solution
from aquamind_pipeline.growth.temperature import CONFIDENCE, NONE, SOURCES, Bools, container_grid
from aquamind_pipeline.growth.validation import validate

_LARGEST_STORED_FCR = 99_999.999
_UNNAMED = np.iinfo(np.int64).min

FEED = (("none", 0.0), ("actual", 1.0), ("shared", 0.7))
"""Sources of feed and their confidence; shared: a container's feed, split by biomass among the stays in it."""
MORTALITY = (("actual", 1.0), ("model", 0.4))
FCR = (("insufficient_data", 0.0), ("calculated", 0.9))
_UNCHANGED, _COMPUTED = 0, 1
WEIGHT = (("unchanged", 0.3), ("tgc_computed", 0.8), ("measured", 1.0), ("measured", 0.95), ("measured", 0.9))
"""Sources of weight: the last three are ANCHORS; what is computed is no surer than its temperature (R34)."""


@dataclass(frozen=True)
class Run:
    """Solved states of some stays, as numbers."""

    records: Records
    rules: RuleSet
    known: Known
    solution: Solution

    def carried(self, on: date) -> Carried:
        """Where this run stands at the end of a day, for a later run to continue from."""
        grid = self.known.grid
        day = np.full(grid.ids.size, (on - date(1970, 1, 1)).days)
        rows = grid.row_at(np.arange(grid.ids.size), day)
        there = rows >= 0
        stays = pl.DataFrame(
            {
                "assignment_id": grid.ids[there],
                "population": self.solution.population[rows[there]],
                "root": self.solution.root[rows[there]],
            }
        )
        return Carried(on, stays)


def run(records: Records, until: date, rules: RuleSet = CORRECTED, carried: Carried | None = None) -> Run:
    """Solve the states of every stay and day up to `until`, or those after `carried`.

    Raises:
        InputError: when the records contradict themselves, or a batch has no scenario.
    """
    validate(records, rules)
    facts = known(records, until, rules, carried)
    solve = closed_form_solver.solve if rules.closed_form and not facts.unrecorded.any() else daily_solver.solve
    return Run(records, rules, facts, solve(facts, rules))


def assimilate(
    records: Records, until: date, rules: RuleSet = CORRECTED, carried: Carried | None = None
) -> pl.DataFrame:
    """States of every assignment and day up to `until`, sorted by both; computed from records alone.

    With `carried`, the states after it only: the same as a whole run's.

    Returns:
        Columns of batch_actualdailyassignmentstate but for its id, rounded as they are stored. `sources` and
        `confidence_scores` say where each value comes from (R42).

    Raises:
        InputError: when the records contradict themselves, or a batch has no scenario.
    """
    return stored(run(records, until, rules, carried))


def stored(run: Run) -> pl.DataFrame:
    """The states of a run as they are stored."""
    facts, solution, rules = run.known, run.solution, run.rules
    grid, owner = facts.grid, facts.grid.owner
    biomass_kg = solution.population * solution.weight_g / 1000.0
    feed_kg, feed = _feed(run.records, facts, biomass_kg, rules)
    gain_kg = biomass_kg - _came_kg(facts, solution, biomass_kg, rules)
    converted = (feed_kg > 0) & (gain_kg > LEAST_GAIN_KG)
    fcr = np.where(converted, feed_kg / np.where(converted, gain_kg, 1.0), 0.0)
    fcr = np.minimum(fcr, _LARGEST_STORED_FCR if rules.no_caps else LARGEST_FCR)
    grows = (facts.temp_code != NONE) & ((solution.population > 0) | (not rules.empty_stops))
    weight = np.where(facts.anchor > 0, facts.anchor + _COMPUTED, np.where(grows, _COMPUTED, _UNCHANGED))
    codes = (facts.temp_code, solution.modelled.astype(np.int64), weight, feed, converted.astype(np.int64))
    starts = day_numbers(run.records.batches["start_date"])
    batch_ids = run.records.batches["batch_id"].to_numpy()
    states = pl.DataFrame(
        {
            "assignment_id": grid.ids[owner],
            "batch_id": batch_ids[facts.batch][owner],
            "container_id": facts.container[owner],
            "lifecycle_stage_id": facts.stages.id[solution.stage],
            "date": pl.Series(grid.day.astype(np.int32)).cast(pl.Date),
            "day_number": (grid.day - starts[facts.batch][owner] + 1).astype(np.int32),
            "avg_weight_g": _stored(solution.weight_g, 10, 2),
            "population": solution.population.astype(np.int32),
            "biomass_kg": _stored(biomass_kg, 12, 2),
            "temp_c": _masked(_stored(np.nan_to_num(facts.temp_c), 5, 2), facts.temp_code != NONE),
            "mortality_count": solution.deaths.astype(np.int32),
            "feed_kg": _stored(feed_kg, 10, 2),
            "observed_fcr": _masked(_stored(fcr, 8, 3), converted),
            "anchor_type": pl.Series([kind or None for kind in ANCHORS], dtype=pl.String).gather(facts.anchor),
            "sources": _texts(codes, _sources),
            "confidence_scores": _texts(codes, _confidences),
        }
    )
    return states.filter(~pl.Series(solution.failed)) if solution.failed.any() else states


def _came_kg(facts: Known, solution: Solution, biomass_kg: Floats, rules: RuleSet) -> Floats:
    """Biomass against which a day's growth is measured.

    Of the fish that were there all day (those that came in bring their weight, the dead take theirs along); with
    AquaMind, the biomass stored the day before, whatever came in (R35).
    """
    stayed_kg = (solution.population + solution.deaths) * solution.before_g / 1000.0
    if rules.moves_are_no_growth and rules.full_precision:
        return stayed_kg
    grid = facts.grid
    kept_kg = biomass_kg if rules.full_precision else rounded_units(biomass_kg, 2) / 100.0
    before = np.maximum.accumulate(np.where(solution.failed, -1, np.arange(grid.rows)))
    before = np.concatenate([[-1], before])[: grid.rows]
    begins = before < np.repeat(grid.first, grid.length)
    opening_kg = facts.opening[grid.owner] * solution.before_g / 1000.0
    came_kg = np.where(begins, opening_kg, kept_kg[before])
    moved = (facts.arrived > 0) | (facts.left > 0)
    return np.where(moved, stayed_kg, came_kg) if rules.moves_are_no_growth else came_kg


def _feed(records: Records, facts: Known, biomass_kg: Floats, rules: RuleSet) -> tuple[Floats, Ints]:
    """feed_kg and its code, by row: of the stay's own feeding events, and a share of those that name only the
    container; with AquaMind all of the container's (R21)."""
    grid, feed = facts.grid, records.feed
    days, tenths_g = day_numbers(feed["date"]), rounded_units(feed["feed_kg"].cast(pl.Float64).to_numpy(), 4)
    named = feed["assignment_id"].fill_null(_UNNAMED).to_numpy()
    if rules.own_records:
        own = grid.total(named, days, tenths_g) / 1e4
        unnamed = named == _UNNAMED
        if not unnamed.any():
            return own, (own > 0).astype(np.int64)
    else:
        own, unnamed = np.zeros(grid.rows), np.ones(days.size, bool)
    water = container_grid(grid, facts.container, 0)
    of_container = water.total(feed["container_id"].to_numpy()[unnamed], days[unnamed], tenths_g[unnamed]) / 1e4
    at = water.row(facts.container[grid.owner], grid.day)
    if not rules.own_records:
        return of_container[at], (of_container[at] > 0).astype(np.int64)
    together = np.bincount(at, minlength=water.rows)[at]
    mass = np.bincount(at, biomass_kg, water.rows)[at]
    part = np.where(mass > 0, biomass_kg / np.where(mass > 0, mass, 1.0), 1.0 / together)
    shared = np.where(together > 1, part, 1.0) * of_container[at]
    split = (together > 1) & (shared > 0)
    return own + shared, np.where(split, 2, (own + shared > 0).astype(np.int64))


def _stored(values: Floats, precision: int, scale: int) -> pl.Series:
    return decimal(rounded_units(values, scale), precision, scale)


def _masked(values: pl.Series, there: Bools) -> pl.Series:
    return values if there.all() else values.to_frame("x").select(pl.when(pl.Series(there)).then("x")).to_series()


Fields = dict[str, tuple[str, float]]


def _texts(codes: tuple[Ints, ...], write: Callable[[Fields], str]) -> pl.Series:
    """The text for each row's codes, each different one written once."""
    code = np.zeros(codes[0].size, np.int64)
    for part, choices in zip(codes, _CHOICES, strict=True):
        code = code * len(choices) + part
    every = [write(dict(zip(_KEYS, choice, strict=True))) for choice in product(*_CHOICES)]
    return pl.Series(every).gather(code)


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
