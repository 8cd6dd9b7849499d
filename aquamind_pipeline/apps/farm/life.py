"""The simulated truth: what really happened to the fish. Growth assimilation never reads it."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import bigint, date, double
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition, Unpredictable
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.life import Life, live
from aquamind_pipeline.simulation.schedule import rows_by_month

STEP = "life"


def lives(inputs: Inputs) -> Life:
    """The lives of these batches, computed once for all tables of life."""
    return inputs.once("lives", lambda: live(inputs.farm, inputs.plan))


LIFE_DAYS = TableDefinition(
    name="life_day",
    kind=Kind.LEDGER,
    lake_only=True,
    batch_slices=True,
    step=STEP,
    meaning="The simulated truth of one assignment on one day. Growth assimilation never reads it.",
    how="Fish grow with the temperature and die by their stage's rate, handling and outbreaks, day by day.",
    columns=(
        bigint("assignment_id"),
        bigint("batch_id"),
        bigint("container_id"),
        bigint("site"),
        bigint("stage"),
        bigint("state_id"),
        date("date"),
        bigint("batch_day"),
        double("temp_c"),
        bigint("population"),
        double("weight_g"),
        bigint("deaths"),
        bigint("cause"),
        bigint("feed_dg"),
    ),
    time="date",
    reads=PLAN,
    generate=lambda inputs: lives(inputs).days,
    expected=ByFormula(lambda farm, plan: rows_by_month(farm, plan, pl.col("until") - pl.col("since"))),
    lineage={
        "state_id": "plan_assignment.first_state_id",
        "assignment_id": "plan_assignment.assignment_id",
        "batch_id": "plan_assignment.batch_id",
        "container_id": "plan_assignment.container_id",
        "site": "plan_assignment.site",
        "stage": "plan_assignment.stage",
        "date": "plan_assignment.assignment_date plan_assignment.departure_date",
        "population": "plan_batch.eggs",
    },
    rules=(),
    bytes_per_row=(27, 0),
    figure="lives",
)

LIFE_MOVES = TableDefinition(
    name="life_move",
    kind=Kind.LEDGER,
    lake_only=True,
    batch_slices=True,
    step=STEP,
    meaning="The simulated truth of fish that moved from one container to another.",
    how="At the end of a stage all fish of a batch move on to the next stage's containers; a few die.",
    columns=(
        bigint("batch_id"),
        bigint("stage"),
        bigint("source_assignment_id"),
        bigint("dest_assignment_id"),
        bigint("count"),
        bigint("deaths"),
        bigint("source_population_before"),
        double("weight_g"),
        date("date"),
    ),
    reads=PLAN,
    generate=lambda inputs: lives(inputs).moves,
    expected=Unpredictable("Containers overlap as their fish do; the ledger is checked to the fish."),
    lineage={
        "batch_id": "plan_assignment.batch_id",
        "source_assignment_id": "plan_assignment.assignment_id",
        "dest_assignment_id": "plan_assignment.assignment_id",
        "date": "plan_assignment.assignment_date",
    },
    rules=(),
)

__all__ = ["LIFE_DAYS", "LIFE_MOVES"]
