"""How many fish each assignment has at the end of each day: the sum of what was placed, moved and lost."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.growth.records import Records

_KEY = ["assignment_id", "date"]


def with_population(grid: pl.DataFrame, records: Records) -> pl.DataFrame:
    """The grid (sorted by assignment and date) with population, mortality_count, arrived (fish moved in that day) and
    left (moved out, and dead in transfer).

    Fish move at the start of a day: the source's last day is the one before. Where nothing was placed, the opening
    count is what `population_count` leaves when the arrivals are taken off and the recorded dead put back (AquaMind
    counts down that column as fish die). Fish below zero are none: a cumulative sum less its running minimum.
    """
    died = _per_day(records.deaths, "mortality_count", pl.col("count"))
    moves = records.transfers
    arrived = _per_day(moves.rename({"dest_assignment_id": "assignment_id"}), "arrived", pl.col("count"))
    left = _per_day(moves.rename({"source_assignment_id": "assignment_id"}), "left", pl.col("count") + pl.col("deaths"))
    rows = grid
    for facts in (died, arrived, left):
        rows = rows.join(facts, on=_KEY, how="left", maintain_order="left")
    change = pl.col("arrived") - pl.col("left") - pl.col("mortality_count")
    return (
        rows.with_columns(pl.col("mortality_count", "arrived", "left").fill_null(0))
        .join(_opening(records), on="assignment_id", how="left", maintain_order="left")
        .with_columns(balance=pl.col("opening").fill_null(0) + change.cum_sum().over("assignment_id"))
        .with_columns(
            population=pl.col("balance") - pl.min_horizontal(0, pl.col("balance").cum_min().over("assignment_id"))
        )
        .drop("balance")
    )


def _per_day(facts: pl.DataFrame, name: str, count: pl.Expr) -> pl.DataFrame:
    return (
        facts.filter(pl.col("assignment_id").is_not_null()).group_by(_KEY).agg(count.cast(pl.Int64).sum().alias(name))
    )


def _opening(records: Records) -> pl.DataFrame:
    """assignment_id, opening: fish before the first day's moves."""

    def total(facts: pl.DataFrame, key: str, name: str) -> pl.DataFrame:
        return facts.group_by(assignment_id=key).agg(pl.col("count").cast(pl.Int64).sum().alias(name))

    counted = records.assignments.select("assignment_id", pl.col("population_count").cast(pl.Int64))
    for facts, key, name in (
        (records.placements, "assignment_id", "placed"),
        (records.transfers, "dest_assignment_id", "came"),
        (records.deaths, "assignment_id", "died"),
    ):
        counted = counted.join(total(facts, key, name), on="assignment_id", how="left")
    unplaced = pl.col("population_count") - pl.col("came").fill_null(0) + pl.col("died").fill_null(0)
    return counted.select("assignment_id", opening=pl.coalesce("placed", unplaced.clip(0)))


__all__ = ["with_population"]
