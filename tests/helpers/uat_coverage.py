"""What AquaMind's `verify_uat_coverage` wants of a database, restated over our rows (docs/reference, rest of U).

AquaMind's command ends with status 0 if there is no issue. A farm that is made for it has no warning, either.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

WINDOWS = {
    "Egg&Alevin to Fry": (82, 95),
    "Fry to Parr": (172, 185),
    "Parr to Smolt": (262, 275),
    "Smolt to Post-Smolt": (352, 365),
    "Post-Smolt to Adult": (442, 455),
    "harvest": (780, 900),
}
"""Ages in days, both ends included, at which a batch is close to its next stage or to its harvest."""
_CRITICAL = "Smolt to Post-Smolt"
_ACTIVE, _IN_WINDOW, _IN_STAGE, _OLDEST_STATE_DAYS, _LOOKED_AT, _SHARE = 30, 2, 4, 3, 20, 0.8


def active_batches(batches: pl.DataFrame, today: date) -> pl.DataFrame:
    """Active batches with their age in days, by id."""
    return (
        batches.filter(status="ACTIVE")
        .with_columns(age=(pl.lit(today) - pl.col("start_date")).dt.total_days())
        .sort("id")
    )


def in_windows(active: pl.DataFrame) -> dict[str, int]:
    """Active batches in each window."""
    return {name: active.filter(pl.col("age").is_between(*ages)).height for name, ages in WINDOWS.items()}


def about_batches(batches: pl.DataFrame, stages: pl.DataFrame, today: date) -> Iterator[str]:
    """What is wrong with the batches: issues begin with `issue`, warnings with `warning`."""
    active = active_batches(batches, today)
    if active.height < _ACTIVE:
        yield f"issue: {active.height} active batches"
    for name, count in in_windows(active).items():
        if count < _IN_WINDOW:
            yield f"{'issue' if name == _CRITICAL else 'warning'}: {count} batches from {name}"
    by_stage = dict(active.group_by("lifecycle_stage_id").len().iter_rows())
    for stage, name in stages.select("id", "name").iter_rows():
        if by_stage.get(stage, 0) < _IN_STAGE:
            yield f"warning: {by_stage.get(stage, 0)} active batches in stage {name}"


def about_states(batches: pl.DataFrame, states: pl.DataFrame, today: date) -> Iterator[str]:
    """What is wrong with the daily states (columns batch_id and date)."""
    newest = states["date"].max()
    if not isinstance(newest, date) or (today - newest).days > _OLDEST_STATE_DAYS:
        yield f"issue: the newest state is of {newest}"
    first = active_batches(batches, today).head(_LOOKED_AT)
    with_states = first.join(states, left_on="id", right_on="batch_id", how="semi").height
    if with_states < _SHARE * first.height:
        yield f"warning: {with_states} of the first {first.height} active batches have states"


__all__ = ["WINDOWS", "about_batches", "about_states", "active_batches", "in_windows"]
