"""The plan: which batch lives where from when to when."""

from __future__ import annotations

from aquamind_pipeline.schema.columns import bigint, date, double, text
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.schedule import schedule

STEP = "schedule"

PLAN_BATCHES = TableDefinition(
    name="plan_batch",
    part="plan",
    kind=Kind.LEDGER,
    lake_only=True,
    step=STEP,
    meaning="Every batch that has begun: eggs, start, harvest target and day.",
    how="Batches start in turn in each geography, as often as the profile says.",
    columns=(
        bigint("batch_id"),
        text("batch_number"),
        bigint("geography_id"),
        date("start_date"),
        bigint("eggs"),
        double("harvest_weight_g"),
        date("harvest_date"),
        bigint("area_id"),
    ),
    reads=(),
    generate=lambda inputs: schedule(inputs.farm).batches,
    expected=ByFormula(lambda farm, plan: plan.batches.height),
    lineage={},
    rules=(),
)

PLAN_ASSIGNMENTS = TableDefinition(
    name="plan_assignment",
    part="plan",
    kind=Kind.LEDGER,
    lake_only=True,
    step=STEP,
    meaning="Every assignment of a batch to a container, with the ids that its rows will have.",
    how="Each batch takes the hall or sea area that was used least, stage by stage, for its whole life.",
    columns=(
        bigint("assignment_id"),
        bigint("batch_id"),
        bigint("stage"),
        bigint("container_id"),
        bigint("hall_id", nullable=True),
        bigint("area_id", nullable=True),
        bigint("site"),
        date("assignment_date"),
        date("departure_date"),
        bigint("days"),
        bigint("position"),
        bigint("batch_day"),
        bigint("readings_per_day"),
        bigint("meals_per_day"),
        bigint("samples"),
        bigint("first_state_id"),
        bigint("first_reading_id"),
        bigint("first_feeding_id"),
        bigint("first_sample_id"),
    ),
    reads=(),
    generate=lambda inputs: schedule(inputs.farm).assignments,
    expected=ByFormula(lambda farm, plan: plan.assignments.height),
    lineage={},
    rules=(),
    figure="occupancy",
)

PLAN_MIXES = TableDefinition(
    name="plan_mix",
    part="plan",
    kind=Kind.LEDGER,
    lake_only=True,
    step=STEP,
    meaning="A mixed batch that has begun, and the two batches whose fish it has.",
    how="On a harvest day, remnants of two rings become a batch of their own; the profile says how often at most.",
    columns=(
        bigint("batch_id"),
        bigint("assignment_id"),
        date("date"),
        bigint("source_batch_id", comment="Batch whose fish were moved into the ring"),
        bigint("source_assignment_id"),
        bigint("resident_batch_id", comment="Batch whose fish were in the ring already"),
        bigint("resident_assignment_id", comment="Assignment whose fish stayed in the ring"),
    ),
    reads=(),
    generate=lambda inputs: schedule(inputs.farm).mixes,
    expected=ByFormula(lambda farm, plan: plan.mixes.height),
    lineage={},
    rules=(),
)

PLAN_CREATIONS = TableDefinition(
    name="plan_creation",
    part="plan",
    kind=Kind.LEDGER,
    lake_only=True,
    step=STEP,
    meaning="A batch that was planned, also one that has not begun, or that was called off before it began.",
    how="The batches that have begun, those that start next by the same schedule, and some that never start; the "
    "profile says how many.",
    columns=(
        bigint("batch_id"),
        text("batch_number"),
        bigint("geography_id"),
        date("start_date", comment="Day of the first delivery of eggs"),
        bigint("eggs"),
        date("harvest_date"),
        date("planned_on", comment="Day on which the batch was planned"),
        date("ready_on", comment="Day from which on the deliveries are agreed"),
        date("cancelled_on", nullable=True, comment="Day on which the batch is called off; may be after as_of"),
    ),
    reads=(),
    generate=lambda inputs: schedule(inputs.farm).creations,
    expected=ByFormula(lambda farm, plan: plan.creations.height),
    lineage={},
    rules=(),
)

PLAN_TRAYS = TableDefinition(
    name="plan_tray",
    part="plan",
    kind=Kind.LEDGER,
    lake_only=True,
    step=STEP,
    meaning="A container for eggs of a planned batch.",
    how="The trays that the batch takes by the schedule. They are filled on successive days.",
    columns=(
        bigint("assignment_id"),
        bigint("batch_id"),
        bigint("container_id"),
        bigint("position"),
        date("assignment_date", comment="Day on which the eggs come"),
    ),
    reads=(),
    generate=lambda inputs: schedule(inputs.farm).trays,
    expected=ByFormula(lambda farm, plan: plan.trays.height),
    lineage={},
    rules=(),
)

__all__ = ["PLAN_ASSIGNMENTS", "PLAN_BATCHES", "PLAN_CREATIONS", "PLAN_MIXES", "PLAN_TRAYS"]
