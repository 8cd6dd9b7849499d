"""Mortality events: one for each assignment and day on which fish died."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.simulation.life import CAUSES


def mortality_events(days: pl.DataFrame) -> pl.DataFrame:
    """batch_mortalityevent of some of life's `days`; an event has the id of its assignment-day."""
    died = days.filter(pl.col("deaths") > 0).sort("container_id", "date")
    biomass_kg = died["deaths"].to_numpy() * died["weight_g"].to_numpy() / 1000
    return died.select(
        id="state_id",
        batch_id="batch_id",
        assignment_id="assignment_id",
        event_date="date",
        count=pl.col("deaths").cast(pl.Int32),
        biomass_kg=rounded(biomass_kg, 10, 2),
        cause=pl.col("cause").replace_strict(range(len(CAUSES)), CAUSES, return_dtype=pl.String),
    )


__all__ = ["mortality_events"]
