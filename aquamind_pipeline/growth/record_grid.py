"""What the records say, laid out on the grid: by row (a stay's day), by stay, by stage and by move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.growth.grid import Grid, day_numbers
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.roots import root_of
from aquamind_pipeline.growth.rules import CAPS_G, LARGEST_G, SELECTION_BIAS, RuleSet
from aquamind_pipeline.growth.temperature import Bools, temperatures

ANCHORS = ("", "growth_sample", "transfer", "vaccination")
"""Kinds of measured weight by precedence (R9-R12); 0 is none."""
_LAST_RESORT_G = 1.0  # R27


@dataclass(frozen=True)
class Stages:
    """The stages of each batch's scenario, ordered by batch and order.

    id: lifecycle_stage_id. growth: of root(W) per degree-day (R31). daily_mortality: a share, NaN where the model fails
    the day (R8). largest_g: weight at which the next stage begins, NaN for never. cap_g: R33. next: the stage after.
    first_g: least weight that the scenario's constraints or else the stage expect, NaN where neither does.
    """

    id: Ints
    growth: Floats
    daily_mortality: Floats
    largest_g: Floats
    cap_g: Floats
    next: Ints


@dataclass(frozen=True)
class Moves:
    """Completed transfers that bring fish, by destination and source stay (positions), in AquaMind's order.

    day, count; given_g: the measured weight as `measured_g` and corrected for selection, NaN where none.
    """

    source: Ints
    dest: Ints
    day: Ints
    count: Ints
    measured_g: Floats
    given_g: Floats


@dataclass(frozen=True)
class Carried:
    """Where an earlier run ended: at the end of the day `on`, with assignment_id, population and root of the stays that
    had a state then."""

    on: date
    stays: pl.DataFrame


@dataclass(frozen=True)
class Known:
    """By row of `grid`: died (recorded), arrived, left, unrecorded (deaths must be modelled if none are recorded),
    temp_c (NaN: unknown), temp_code, anchor_g (NaN: none), anchor (code). By stay: batch (position), stage (position),
    opening (fish), own_g (weight of fish that came by no transfer), begin_root (its root, or the one carried on from an
    earlier run), goes_on (whether an earlier run solved the days before), assigned_g (avg_weight_g or NaN), start
    (assignment day).
    """

    grid: Grid
    stages: Stages
    moves: Moves
    died: Ints
    arrived: Ints
    left: Ints
    unrecorded: Bools
    temp_c: Floats
    temp_code: Ints
    anchor_g: Floats
    anchor: Ints
    batch: Ints
    container: Ints
    stage: Ints
    opening: Ints
    own_g: Floats
    begin_root: Ints
    goes_on: Bools
    assigned_g: Floats
    start: Ints


def known(records: Records, until: date, rules: RuleSet, carried: Carried | None = None) -> Known:
    """Lay the records out to `until` (included), from the beginning of each stay or from where `carried` ends.

    A stay's days begin with its assignment, or with the batch if that is later, and end before its departure (R4, R5).
    """
    assigned = records.assignments.sort("assignment_id")
    batches = records.batches.with_row_index("batch").select("batch_id", "batch", "start_date", "initial_weight_g")
    ordered = records.stages.sort("batch_id", "order").with_row_index("stage")
    joined = assigned.join(batches, on="batch_id", how="left", maintain_order="left").join(
        ordered, on=["batch_id", "lifecycle_stage_id"], how="left", maintain_order="left"
    )
    start = day_numbers(joined["assignment_date"])
    begin = np.maximum(start, day_numbers(joined["start_date"]))
    if carried is not None:
        begin = np.maximum(begin, (carried.on - _EPOCH).days + 1)
    end = joined["departure_date"].fill_null(date.max)
    grid = Grid.of(joined["assignment_id"].to_numpy(), begin, np.minimum(day_numbers(end), (until - _EPOCH).days + 1))
    batch, container = joined["batch"].cast(pl.Int64).to_numpy(), joined["container_id"].to_numpy()
    moves, arrived, left = _moved(records, grid, rules)
    temp_c, temp_code = temperatures(grid, container, batch, records, rules)
    anchor_g, anchor = _anchors(records, grid)
    unrecorded = np.full(grid.rows, not rules.recorded_deaths_only)
    incomplete = records.incomplete
    rows = grid.row(incomplete["assignment_id"].to_numpy(), day_numbers(incomplete["date"]))
    unrecorded[rows[rows >= 0]] = True
    deaths = records.deaths.filter(pl.col("assignment_id").is_not_null())
    assigned_g = _positive(joined["avg_weight_g"])
    own_g = _first(
        assigned_g,
        _positive(joined["constraint_min_g"]),
        _positive(joined["initial_weight_g"]),
        _positive(joined["expected_weight_min_g"]),
        np.full(grid.ids.size, _LAST_RESORT_G),
    )
    opening = _opening(records, grid, joined, moves, start, rules)
    begin_root = root_of(own_g)
    goes_on = np.zeros(grid.ids.size, bool)
    if carried is not None:
        at = grid.position(carried.stays["assignment_id"].to_numpy())
        mine = at >= 0
        opening[at[mine]] = carried.stays["population"].to_numpy()[mine]
        begin_root[at[mine]] = carried.stays["root"].to_numpy()[mine]
        goes_on[at[mine]] = True
    return Known(
        grid=grid,
        stages=_stages(ordered, rules),
        moves=moves,
        died=grid.total(
            deaths["assignment_id"].to_numpy(), day_numbers(deaths["date"]), deaths["count"].cast(pl.Int64).to_numpy()
        ),
        arrived=arrived,
        left=left,
        unrecorded=unrecorded,
        temp_c=temp_c,
        temp_code=temp_code,
        anchor_g=anchor_g,
        anchor=anchor,
        batch=batch,
        container=container,
        stage=joined["stage"].cast(pl.Int64).to_numpy(),
        opening=opening,
        own_g=own_g,
        begin_root=begin_root,
        goes_on=goes_on,
        assigned_g=assigned_g,
        start=start,
    )


_EPOCH = date(1970, 1, 1)


def _positive(weights: pl.Series) -> Floats:
    """Weights in grams, NaN where there is none; nothing weighs 0 g."""
    return weights.set(weights <= 0, None).cast(pl.Float64).fill_null(np.nan).to_numpy()


def _first(*choices: Floats) -> Floats:
    """The first that is a number."""
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
        largest_g=_first(_positive(ordered["constraint_max_g"]), _positive(ordered["expected_weight_max_g"])),
        cap_g=ordered.select(cap).to_series().to_numpy(),
        next=np.where(has_next, position + 1, position),
    )


def _moved(records: Records, grid: Grid, rules: RuleSet) -> tuple[Moves, Ints, Ints]:
    """Moves between stays, and fish that arrived and left by row. Fish move at the start of a day."""
    moves = records.transfers
    source, dest = (moves[f"{side}_assignment_id"].fill_null(-1).to_numpy() for side in ("source", "dest"))
    day, count = day_numbers(moves["date"]), moves["count"].cast(pl.Int64).to_numpy()
    lost = moves["deaths"].fill_null(0).cast(pl.Int64).to_numpy()
    measured = _positive(moves["measured_weight_g"])
    bias = moves["selection_method"].replace_strict(SELECTION_BIAS, default=1.0, return_dtype=pl.Float64).to_numpy()
    arrived = grid.total(dest, day, count)
    left = grid.total(source, day, count + lost) if rules.transfers_leave else np.zeros(grid.rows, np.int64)
    at_dest = grid.position(dest)
    bringing = (count > 0) & (at_dest >= 0)
    brought = Moves(
        source=grid.position(source)[bringing],
        dest=at_dest[bringing],
        day=day[bringing],
        count=count[bringing],
        measured_g=measured[bringing],
        given_g=(measured * bias)[bringing],
    )
    return brought, arrived, left


def _anchors(records: Records, grid: Grid) -> tuple[Floats, Ints]:
    """The best measured weight of each row and its kind: a later-written one counts more (R9-R12)."""
    weighed = records.weighings.filter(pl.col("weight_g") > 0)
    moved = records.transfers.filter(pl.col("measured_weight_g") > 0).reverse()  # the first of a day counts
    bias = moved["selection_method"].replace_strict(SELECTION_BIAS, default=1.0, return_dtype=pl.Float64)
    anchor_g, anchor = np.full(grid.rows, np.nan), np.zeros(grid.rows, np.int64)

    def anchored(frame: pl.DataFrame, key: str, grams: pl.Series, kind: str) -> None:
        rows = grid.row(frame[key].to_numpy(), day_numbers(frame["date"]))
        inside = np.flatnonzero(rows >= 0)
        anchor_g[rows[inside]], anchor[rows[inside]] = grams.to_numpy()[inside], ANCHORS.index(kind)

    treated, sampled = (weighed.filter(kind=kind) for kind in ("vaccination", "growth_sample"))
    anchored(treated, "assignment_id", treated["weight_g"], "vaccination")
    anchored(moved, "source_assignment_id", moved["measured_weight_g"] * bias, "transfer")
    anchored(sampled, "assignment_id", sampled["weight_g"], "growth_sample")
    return anchor_g, anchor


def _opening(records: Records, grid: Grid, joined: pl.DataFrame, moves: Moves, start: Ints, rules: RuleSet) -> Ints:
    """Fish before the first day's moves, by stay.

    AquaMind's `population_count` is counted down as fish die and up as they come in, so what was there before is the
    count without the arrivals and with the dead.
    """

    def by_stay(ids: Ints, counts: Ints) -> Ints:
        at = grid.position(ids)
        return np.bincount(at[at >= 0], counts[at >= 0], grid.ids.size).astype(np.int64)

    counted = joined["population_count"].cast(pl.Int64).to_numpy()
    if rules.ledger_population:
        deaths = records.deaths.filter(pl.col("assignment_id").is_not_null())
        counted = counted + by_stay(deaths["assignment_id"].to_numpy(), deaths["count"].cast(pl.Int64).to_numpy())
    on_first = moves.day == start[moves.dest]
    came_first = np.bincount(moves.dest[on_first], moves.count[on_first], grid.ids.size).astype(np.int64)
    came_later = np.bincount(moves.dest[~on_first], moves.count[~on_first], grid.ids.size).astype(np.int64)
    opening = counted - (came_later if rules.topups_count_once else 0)
    opening = np.where(came_first > 0, opening - came_first if rules.prior_fish_stay else 0, opening)
    if rules.ledger_population and records.placements.height:
        placed_at = records.placements["assignment_id"].to_numpy()
        placed = by_stay(placed_at, records.placements["count"].cast(pl.Int64).to_numpy())
        opening = np.where(by_stay(placed_at, np.ones(placed_at.size, np.int64)) > 0, placed, opening)
    return np.maximum(opening, 0)


__all__ = ["ANCHORS", "Carried", "Known", "Moves", "Stages", "known"]
