"""Deaths: one or two events for each assignment and day on which fish died, one for each reason."""

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
from aquamind_pipeline.simulation.deaths import REASONS
from aquamind_pipeline.simulation.schedule import lived_months

_FIRST = pl.col("deaths") - pl.col("second_deaths")
"""Deaths of the day's main reason. The strongest reason may have killed no fish on a day with few deaths."""


def mortality_events(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_mortalityevent. A day has two ids, one for each reason of death."""
    died = inputs.frame("life_day").filter(pl.col("deaths") > 0)
    columns = ("batch_id", "assignment_id", "container_id", "date", "weight_g")
    by_reason = pl.concat(
        [
            died.select(*columns, id=pl.col("state_id") * 2, count=_FIRST, reason="reason"),
            died.select(*columns, id=pl.col("state_id") * 2 + 1, count=pl.col("second_deaths"), reason="second_reason"),
        ]
    )
    events = by_reason.filter(pl.col("count") > 0).sort("container_id", "date", "id")
    biomass_kg = events["count"].to_numpy() * events["weight_g"].to_numpy() / 1000
    causes = [cause for _, cause in REASONS]
    return events.select(
        "id",
        "batch_id",
        "assignment_id",
        event_date="date",
        count=pl.col("count").cast(pl.Int64),
        biomass_kg=rounded(biomass_kg, 10, 2),
        cause=pl.col("reason").replace_strict(range(len(causes)), causes, return_dtype=pl.String),
    )


MORTALITY = TableDefinition(
    name="batch_mortalityevent",
    part="events",
    kind=Kind.EVENT,
    scope=Scope.ASSIGNMENT,
    meaning="Fish of one assignment that died on one day for one reason.",
    how="One row for each assignment and day on which fish died, and another if a second reason took many of them.",
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
        ((_FIRST > 0).cast(pl.Int64) + (pl.col("second_deaths") > 0)).sum(),
        about=lambda farm, plan: int(lived_months(farm, plan).select((pl.col("until") - pl.col("since")).sum()).item()),
    ),
    lineage={
        "event_date": "life_day.date",
        "id": "life_day.state_id",
        "count": "life_day.deaths life_day.second_deaths",
        "cause": "life_day.reason life_day.second_reason",
        "biomass_kg": "life_day.deaths life_day.weight_g",
    },
    rules=(),
    freshness=Freshness(silent_days=7),
    bytes_per_row=(6, 236),
)

__all__ = ["MORTALITY"]
