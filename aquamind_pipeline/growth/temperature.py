"""The temperature of each assignment-day: measured, bridged between measurements, or the profile (R14-R16)."""

from __future__ import annotations

from typing import Literal

import polars as pl

from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import RuleSet

_SIDES: tuple[tuple[str, Literal["backward", "forward"]], ...] = (("before", "backward"), ("after", "forward"))

_NOTHING_KNOWN_C = 10.0  # R16: an empty profile


def with_temperature(grid: pl.DataFrame, records: Records, rules: RuleSet) -> pl.DataFrame:
    """The grid (sorted by assignment and date) with temp_c, temp_source and temp_confidence.

    Confidence: 1.0 measured; 0.9 less a thirtieth per day bridged, at least 0.4, between two measurements; 0.6 with one
    on one side only; 0.5 for the profile.
    """
    measured = _measured(grid, records)
    bridged = _bridged(
        measured.filter(pl.col("mean_c").is_null()), measured.filter(pl.col("mean_c").is_not_null()), rules
    )
    profile = _profile(
        bridged.filter(pl.col("temp_c").is_null()).drop("temp_c", "temp_source", "temp_confidence"), records
    )
    known = measured.filter(pl.col("mean_c").is_not_null()).with_columns(
        temp_c="mean_c", temp_source=pl.lit("measured"), temp_confidence=pl.lit(1.0)
    )
    columns = [*grid.columns, "temp_c", "temp_source", "temp_confidence"]
    parts = [known, bridged.filter(pl.col("temp_c").is_not_null()), profile]
    return pl.concat([part.select(columns) for part in parts]).sort("assignment_id", "date")


def _measured(grid: pl.DataFrame, records: Records) -> pl.DataFrame:
    """mean_c of the stay's own readings; of the container's where readings name no stay."""
    own = records.temperature.filter(pl.col("assignment_id").is_not_null()).select("assignment_id", "date", "mean_c")
    shared = records.temperature.filter(pl.col("assignment_id").is_null()).select(
        "container_id", "date", shared_c="mean_c"
    )
    with_own = grid.join(own, on=["assignment_id", "date"], how="left", maintain_order="left")
    if shared.is_empty():
        return with_own
    return (
        with_own.join(shared, on=["container_id", "date"], how="left", maintain_order="left")
        .with_columns(mean_c=pl.coalesce("mean_c", "shared_c"))
        .drop("shared_c")
    )


def _bridged(missing: pl.DataFrame, known: pl.DataFrame, rules: RuleSet) -> pl.DataFrame:
    points = known.select("assignment_id", "date", point="date", c="mean_c").sort("assignment_id", "date")
    within = f"{rules.gap_days}d"
    sided = missing.sort("assignment_id", "date")
    for side, strategy in _SIDES:
        sided = sided.join_asof(
            points.rename({"point": f"date_{side}", "c": f"c_{side}"}),
            on="date",
            by="assignment_id",
            strategy=strategy,
            tolerance=within,
            check_sortedness=False,
        )
    since = (pl.col("date") - pl.col("date_before")).dt.total_days()
    span = (pl.col("date_after") - pl.col("date_before")).dt.total_days()
    both = pl.col("c_before").is_not_null() & pl.col("c_after").is_not_null()
    one = pl.coalesce("c_before", "c_after")
    return sided.with_columns(
        temp_c=pl.when(both)
        .then(pl.col("c_before") + (pl.col("c_after") - pl.col("c_before")) * since / span)
        .otherwise(one),
        temp_source=pl.when(both)
        .then(pl.lit("interpolated"))
        .when(pl.col("c_before").is_not_null())
        .then(pl.lit("nearest_before"))
        .otherwise(pl.lit("nearest_after")),
        temp_confidence=pl.when(both).then(pl.max_horizontal(0.4, 0.9 - span / 30)).otherwise(0.6),
    )


def _profile(missing: pl.DataFrame, records: Records) -> pl.DataFrame:
    """The batch's profile on its day; between rows linearly, beyond them the first or last."""
    points = records.profiles.sort("profile_id", "day_number").select(
        "profile_id", pl.col("day_number").cast(pl.Int64), point=pl.col("day_number").cast(pl.Int64), c="temp_c"
    )
    sided = (
        missing.join(records.batches.select("batch_id", "profile_id"), on="batch_id", how="left")
        .with_columns(pl.col("day_number").cast(pl.Int64))
        .sort("profile_id", "day_number")
    )
    for side, strategy in _SIDES:
        sided = sided.join_asof(
            points.rename({"point": f"day_{side}", "c": f"c_{side}"}),
            on="day_number",
            by="profile_id",
            strategy=strategy,
            check_sortedness=False,
        )
    part = (pl.col("day_number") - pl.col("day_before")) / (pl.col("day_after") - pl.col("day_before"))
    between = (pl.col("c_before") + (pl.col("c_after") - pl.col("c_before")) * part).round(2)
    return sided.with_columns(
        pl.col("day_number").cast(missing.schema["day_number"]),
        temp_c=pl.when(pl.col("day_before") < pl.col("day_after"))
        .then(between)
        .otherwise(pl.coalesce("c_before", "c_after", pl.lit(_NOTHING_KNOWN_C))),
        temp_source=pl.lit("profile"),
        temp_confidence=pl.lit(0.5),
    )


__all__ = ["with_temperature"]
