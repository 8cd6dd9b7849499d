"""The records as arrays: by row of the grid (a day of an assignment), by assignment, by stage and by transfer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.growth.grid import Grid, day_number, day_numbers
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.roots import root_of
from aquamind_pipeline.growth.rules import CAPS_G, LARGEST_G, SELECTION_BIAS, RuleSet
from aquamind_pipeline.growth.temperature import Bools, temperatures

ANCHORS = ("", "growth_sample", "transfer", "vaccination")
"""Kinds of measured weight by code, in order of precedence (R9-R12). Code 0 is no measurement."""
_LAST_RESORT_G = 1.0  # R27
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Stages:
    """The stages of each batch's scenario, ordered by batch and position in life.

    Attributes:
        id: lifecycle_stage_id.
        growth: Growth of the cube root of the weight per degree-day (R31).
        daily_mortality: Share of the fish that die in a day; NaN where AquaMind's model fails (R8).
        largest_g: Weight at which the next stage begins, g; NaN for never.
        cap_g: Cap on the weight, g (R33).
        next: Position of the next stage; the last stage is its own next.
    """

    id: Ints
    growth: Floats
    daily_mortality: Floats
    largest_g: Floats
    cap_g: Floats
    next: Ints


@dataclass(frozen=True)
class Transfers:
    """Completed transfers to a known assignment, in AquaMind's order.

    Attributes:
        source: Position of the source assignment; -1 for an unknown one.
        dest: Position of the destination assignment.
        day: Day of the transfer.
        count: Fish that arrive; AquaMind heeds a transfer of 0 fish, too (R27, R29).
        measured_g: Measured weight, g; NaN for none.
        corrected_g: Measured weight corrected for selection, g; NaN for none.
    """

    source: Ints
    dest: Ints
    day: Ints
    count: Ints
    measured_g: Floats
    corrected_g: Floats

    def with_fish(self) -> Transfers:
        """Those that bring fish."""
        brings = self.count > 0
        return Transfers(**{field.name: getattr(self, field.name)[brings] for field in fields(self)})


@dataclass(frozen=True)
class Carried:
    """The end of an earlier run, from which a later run continues.

    Attributes:
        on: Last day of the earlier run.
        assignments: The assignments that had a state on that day: assignment_id, population (fish), root (cube root of
            the weight, in units).
    """

    on: date
    assignments: pl.DataFrame


@dataclass(frozen=True)
class RecordGrid:
    """The records that the solvers read.

    Attributes:
        grid: Rows: the days of each assignment.
        stages: The stages of all scenarios.
        transfers: The transfers that bring fish.
        deaths: By row, recorded deaths.
        arrived: By row, fish that arrived by transfer.
        left: By row, fish that left by transfer, with those that died on the way.
        may_model_deaths: By row, whether deaths are modelled if none are recorded.
        temp_c: By row, water temperature; NaN for unknown.
        temp_code: By row, where the temperature comes from (`temperature.SOURCES`).
        anchor_g: By row, measured weight, g; NaN for none.
        anchor: By row, kind of the measured weight (`ANCHORS`).
        batch: By assignment, position of the batch in `Records.batches`.
        container: By assignment, container_id.
        stage: By assignment, position of its stage in `stages`.
        opening: By assignment, fish before the first row.
        initial_g: By assignment, weight of fish that came by no transfer, g.
        initial_root: By assignment, cube root of that weight in units, or the one carried from an earlier run.
        continued: By assignment, whether an earlier run has solved the days before.
        assigned_g: By assignment, avg_weight_g; NaN for none.
        assigned_day: By assignment, its assignment_date.
        arrived_on_departure: By assignment, fish that arrived on its departure_date, which has no row.
        left_on_departure: By assignment, fish that left on its departure_date.
    """

    grid: Grid
    stages: Stages
    transfers: Transfers
    deaths: Ints
    arrived: Ints
    left: Ints
    may_model_deaths: Bools
    temp_c: Floats
    temp_code: Ints
    anchor_g: Floats
    anchor: Ints
    batch: Ints
    container: Ints
    stage: Ints
    opening: Ints
    initial_g: Floats
    initial_root: Ints
    continued: Bools
    assigned_g: Floats
    assigned_day: Ints
    arrived_on_departure: Ints
    left_on_departure: Ints


def lay_out(records: Records, until: date, rules: RuleSet, carried: Carried | None = None) -> RecordGrid:
    """Lay the records out by assignment and day.

    The days of an assignment begin on its assignment_date or, if later, on the first day of its batch. They end on the
    day before its departure_date (R4, R5).

    Args:
        records: Records that `validation.validate` has returned.
        until: Last day.
        rules: The rules of the run.
        carried: The end of an earlier run; days begin after it.
    """
    batches = records.batches.with_row_index("batch").select("batch_id", "batch", "start_date", "initial_weight_g")
    stages = records.stages.sort("batch_id", "order").with_row_index("stage")
    assignments = (
        records.assignments.sort("assignment_id")
        .join(batches, on="batch_id", how="left", maintain_order="left")
        .join(stages, on=["batch_id", "lifecycle_stage_id"], how="left", maintain_order="left")
    )
    assigned_day = day_numbers(assignments["assignment_date"])
    departure = day_numbers(assignments["departure_date"].fill_null(date.max))
    begin = np.maximum(assigned_day, day_numbers(assignments["start_date"]))
    if carried is not None:
        begin = np.maximum(begin, day_number(carried.on) + 1)
    end = np.minimum(departure, day_number(until) + 1)
    grid = Grid.from_spans(assignments["assignment_id"].to_numpy(), begin, end)
    batch, container = assignments["batch"].cast(pl.Int64).to_numpy(), assignments["container_id"].to_numpy()
    temp_c, temp_code = temperatures(grid, container, batch, records, rules)
    anchor_g, anchor = _anchors(records, grid, rules)
    transfers = _transfers(records, grid)
    dest, source, day, arrived, left = _transferred(records, rules)
    departs_on = np.where(grid.start + grid.length == departure, departure, _NEVER)
    assigned_g = _positive(assignments["avg_weight_g"])
    initial_g = _first_number(
        assigned_g,
        _positive(assignments["constraint_min_g"]),
        _positive(assignments["initial_weight_g"]),
        _positive(assignments["expected_weight_min_g"]),
        np.full(grid.ids.size, _LAST_RESORT_G),
    )
    opening = _opening(records, grid, assignments, transfers, assigned_day, rules)
    if rules.weights_mix:
        transfers = transfers.with_fish()
    initial_root = root_of(initial_g)
    continued = np.zeros(grid.ids.size, bool)
    if carried is not None:
        position = grid.position(carried.assignments["assignment_id"].to_numpy())
        known = position >= 0
        opening[position[known]] = carried.assignments["population"].to_numpy()[known]
        initial_root[position[known]] = carried.assignments["root"].to_numpy()[known]
        continued[position[known]] = True
    return RecordGrid(
        grid=grid,
        stages=_stages(stages, rules),
        transfers=transfers,
        deaths=_deaths(records, grid),
        arrived=grid.total(dest, day, arrived),
        left=grid.total(source, day, left),
        may_model_deaths=_may_model_deaths(records, grid, rules),
        temp_c=temp_c,
        temp_code=temp_code,
        anchor_g=anchor_g,
        anchor=anchor,
        batch=batch,
        container=container,
        stage=assignments["stage"].cast(pl.Int64).to_numpy(),
        opening=opening,
        initial_g=initial_g,
        initial_root=initial_root,
        continued=continued,
        assigned_g=assigned_g,
        assigned_day=assigned_day,
        arrived_on_departure=_sum_on(grid, dest, day, arrived, departs_on),
        left_on_departure=_sum_on(grid, source, day, left, departs_on),
    )


def _positive(weights: pl.Series) -> Floats:
    """Weights in grams; NaN where there is none, which 0 g also means."""
    return weights.set(weights <= 0, None).cast(pl.Float64).fill_null(np.nan).to_numpy()


def _first_number(*choices: Floats) -> Floats:
    """Of each element, the first choice that is not NaN."""
    result = choices[0]
    for choice in choices[1:]:
        result = np.where(np.isnan(result), choice, result)
    return result


def _stages(ordered: pl.DataFrame, rules: RuleSet) -> Stages:
    tgc = ordered["tgc"].to_numpy()
    rate = ordered["daily_mortality"].to_numpy()
    weekly = ordered["weekly"].to_numpy()
    daily = 1.0 - (1.0 - rate) ** (1.0 / 7.0) if rules.weekly_mortality else np.full(rate.size, np.nan)
    batch = ordered["batch_id"].to_numpy()
    position = np.arange(batch.size)
    has_next = np.append(batch[1:] == batch[:-1], False)[: batch.size]
    name = pl.col("name").str.to_lowercase().str.replace_all("[-_]", " ")
    cap = pl.coalesce(
        *(pl.when(name.str.contains(part, literal=True)).then(pl.lit(grams)) for part, grams in (*CAPS_G, *LARGEST_G))
    )
    return Stages(
        id=ordered["lifecycle_stage_id"].to_numpy(),
        growth=np.where(tgc <= 0, 0.0, np.where(tgc < 0.01, tgc, tgc / 1000.0)),
        daily_mortality=np.where(weekly, daily, rate),
        largest_g=_first_number(_positive(ordered["constraint_max_g"]), _positive(ordered["expected_weight_max_g"])),
        cap_g=ordered.select(cap).to_series().to_numpy(),
        next=np.where(has_next, position + 1, position),
    )


def _transferred(records: Records, rules: RuleSet) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Of each transfer: destination and source (assignment_id or -1), day, fish that arrive and fish that leave."""
    transfers = records.transfers
    dest, source = (transfers[f"{side}_assignment_id"].fill_null(-1).to_numpy() for side in ("dest", "source"))
    arrived = transfers["count"].to_numpy()
    left = arrived + transfers["deaths"].fill_null(0).to_numpy()
    return dest, source, day_numbers(transfers["date"]), arrived, left if rules.transfers_leave else 0 * left


def _transfers(records: Records, grid: Grid) -> Transfers:
    transfers = records.transfers
    source, dest = (
        grid.position(transfers[f"{side}_assignment_id"].fill_null(-1).to_numpy()) for side in ("source", "dest")
    )
    count = transfers["count"].to_numpy()
    measured_g = _positive(transfers["measured_weight_g"])
    known = dest >= 0
    return Transfers(
        source=source[known],
        dest=dest[known],
        day=day_numbers(transfers["date"])[known],
        count=count[known],
        measured_g=measured_g[known],
        corrected_g=(measured_g * _selection_bias(transfers).to_numpy())[known],
    )


def _selection_bias(transfers: pl.DataFrame) -> pl.Series:
    return transfers["selection_method"].replace_strict(SELECTION_BIAS, default=1.0, return_dtype=pl.Float64)


def _deaths(records: Records, grid: Grid) -> Ints:
    deaths = records.deaths.filter(pl.col("assignment_id").is_not_null())
    return grid.total(deaths["assignment_id"].to_numpy(), day_numbers(deaths["date"]), deaths["count"].to_numpy())


def _may_model_deaths(records: Records, grid: Grid, rules: RuleSet) -> Bools:
    may_model = np.full(grid.rows, not rules.recorded_deaths_only)
    rows = grid.row(records.incomplete["assignment_id"].to_numpy(), day_numbers(records.incomplete["date"]))
    may_model[rows[rows >= 0]] = True
    return may_model


def _anchors(records: Records, grid: Grid, rules: RuleSet) -> tuple[Floats, Ints]:
    """The measured weight of each row and its kind; where there are several, the one that takes precedence (R9-R12)."""
    measured_g = pl.col("measured_weight_g")
    is_weighed = measured_g > 0 if rules.zero_is_no_weight else measured_g >= 0
    weighings = records.weighings.filter(pl.col("weight_g") > 0)
    vaccinations, samples = (weighings.filter(kind=kind) for kind in ("vaccination", "growth_sample"))
    transfers = records.transfers.filter(is_weighed).reverse()  # AquaMind takes the first of a day
    anchor_g, anchor = np.full(grid.rows, np.nan), np.zeros(grid.rows, np.int64)

    def write(frame: pl.DataFrame, assignment: str, weight_g: pl.Series, kind: str) -> None:
        """Write weights over those already written. Of several of a day, the last one stays."""
        rows = grid.row(frame[assignment].fill_null(-1).to_numpy(), day_numbers(frame["date"]))
        inside = np.flatnonzero(rows >= 0)
        anchor_g[rows[inside]], anchor[rows[inside]] = weight_g.to_numpy()[inside], ANCHORS.index(kind)

    write(vaccinations, "assignment_id", vaccinations["weight_g"], "vaccination")
    corrected_g = transfers["measured_weight_g"] * _selection_bias(transfers)
    write(transfers, "source_assignment_id", corrected_g, "transfer")
    write(samples, "assignment_id", samples["weight_g"], "growth_sample")
    return anchor_g, anchor


def _opening(
    records: Records, grid: Grid, assignments: pl.DataFrame, transfers: Transfers, assigned_day: Ints, rules: RuleSet
) -> Ints:
    """Fish of each assignment before the transfers of its first day.

    Those that were placed, where placements are recorded. Otherwise they follow from AquaMind's `population_count`,
    which deaths have lowered and arrivals have raised: without the arrivals and with the dead. Where that is null,
    there were none.
    """
    counted = assignments["population_count"].fill_null(0).to_numpy()
    if rules.ledger_population:
        deaths = records.deaths.filter(pl.col("assignment_id").is_not_null())
        counted = counted + _sum_by_assignment(grid, deaths["assignment_id"].to_numpy(), deaths["count"].to_numpy())
    on_first_day = transfers.day == assigned_day[transfers.dest]
    arrived_first, arrived_later = (
        np.bincount(transfers.dest[when], transfers.count[when], grid.ids.size).astype(np.int64)
        for when in (on_first_day, ~on_first_day)
    )
    has_first = np.bincount(transfers.dest[on_first_day], minlength=grid.ids.size) > 0  # of 0 fish, too (R29)
    opening = counted - (arrived_later if rules.topups_count_once else 0)
    opening = np.where(has_first, opening - arrived_first if rules.prior_fish_stay else 0, opening)
    opening = np.where(assignments["population_count"].is_null().to_numpy(), 0, opening)
    if rules.ledger_population and records.placements.height:
        ids = records.placements["assignment_id"].to_numpy()
        placed = _sum_by_assignment(grid, ids, records.placements["count"].to_numpy())
        has_placements = _sum_by_assignment(grid, ids, np.ones(ids.size, np.int64)) > 0
        opening = np.where(has_placements, placed, opening)
    return np.maximum(opening, 0)


def _sum_by_assignment(grid: Grid, ids: Ints, counts: Ints) -> Ints:
    """Sum of counts by assignment; those of unknown assignments are left out."""
    position = grid.position(ids)
    known = position >= 0
    return np.bincount(position[known], counts[known], grid.ids.size).astype(np.int64)


def _sum_on(grid: Grid, ids: Ints, days: Ints, counts: Ints, day: Ints) -> Ints:
    """Sum of counts by assignment, of those on the assignment's own `day`."""
    position = grid.position(ids)
    on_day = np.flatnonzero(position >= 0)
    on_day = on_day[days[on_day] == day[position[on_day]]]
    return np.bincount(position[on_day], counts[on_day], grid.ids.size).astype(np.int64)


__all__ = ["ANCHORS", "Carried", "RecordGrid", "Stages", "Transfers", "lay_out"]
