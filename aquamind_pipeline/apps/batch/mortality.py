"""Deaths: one event for each assignment and day on which fish died."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.columns import (
    EMPTY,
    count,
    date,
    day,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import CountedIn, Freshness, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind, Scope
from aquamind_pipeline.simulation.life import CAUSES
from aquamind_pipeline.simulation.schedule import lived_months


def mortality_events(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_mortalityevent; an event has the id of its assignment's day."""
    died = inputs.frame("life_day").filter(pl.col("deaths") > 0).sort("container_id", "date")
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


MORTALITY = TableDefinition(
    name="batch_mortalityevent",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Fish of one assignment that died on one day.",
    how="One row for each assignment and day on which fish died.",
    columns=(
        identity("id"),
        refers("batch_id", "batch_batch.id"),
        refers("assignment_id", "batch_batchcontainerassignment.id", nullable=True),
        date("event_date", primary_key=True),
        count("count"),
        numeric("biomass_kg", 10, 2, range_=(0, None)),
        varchar("cause", 20),
        text("description", fill=EMPTY),
        timestamp("created_at", fill=day("event_date")),
        timestamp("updated_at", fill=day("event_date")),
        index("assignment_id", "event_date"),
        index("batch_id", "event_date"),
    ),
    time="event_date",
    reads=("life_day",),
    generate=mortality_events,
    expected=CountedIn(
        "life_day",
        (pl.col("deaths") > 0).sum(),
        about=lambda farm, plan: int(lived_months(farm, plan).select((pl.col("until") - pl.col("since")).sum()).item()),
    ),
    lineage={
        "event_date": "life_day.date",
        "count": "life_day.deaths",
        "cause": "life_day.cause",
        "biomass_kg": "life_day.deaths life_day.weight_g",
    },
    rules=(),
    freshness=Freshness(silent_days=7),
    bytes_per_row=(6, 236),
)

__all__ = ["MORTALITY"]
