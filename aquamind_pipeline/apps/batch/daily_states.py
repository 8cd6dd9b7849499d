"""Daily states: weight, fish and biomass of each assignment and day, from what was recorded, never from life."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.apps.batch.weight_rules import PLAUSIBLE_STATES
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.growth.records import Records, from_tables, unrecorded_deaths
from aquamind_pipeline.months import month_key
from aquamind_pipeline.schema.columns import (
    NULL,
    count,
    date,
    day,
    identity,
    index,
    integer,
    jsonb,
    numeric,
    refers,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, Freshness, TableDefinition
from aquamind_pipeline.schema.frames import complete
from aquamind_pipeline.schema.inputs import PLAN, DeclaredReads, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, assignment_days
from aquamind_pipeline.simulation.schedule import rows_by_month

TEMPERATURE = "container_day_temperature"
RECORDS = (
    "batch_batch",
    ASSIGNMENTS,
    "batch_batchtransferworkflow",
    "batch_creationaction",
    "batch_growthsample",
    "batch_lifecyclestage",
    "batch_mortalityevent",
    "batch_transferaction",
    "health_individualfishobservation",
    "health_treatment",
    "inventory_feedingevent",
    "scenario",
    "scenario_mortality_model_stage",
    "scenario_mortalitymodel",
    "scenario_projection_run",
    "scenario_temperaturereading",
    "scenario_tgc_model_stage",
    "scenario_tgcmodel",
)
"""AquaMind's tables that growth assimilation reads."""
_BY_CONTAINER = (TEMPERATURE, "inventory_feedingevent")
_BY_ASSIGNMENT = ("batch_mortalityevent", "batch_growthsample")
_TREATMENTS = "health_treatment"


def read_records(inputs: DeclaredReads, batches: list[int], tables: Mapping[str, sa.Table]) -> Records:
    """What growth assimilation reads of some batches.

    Of events only those of the batches' assignments and containers are read, in the months in which the batches lived
    and the ones beside these. So memory holds no rows of other batches, but for the water and feed of the containers.
    """
    assignments = inputs.scan(ASSIGNMENTS).filter(pl.col("batch_id").is_in(batches)).collect()
    begins = assignments.select(pl.col("assignment_date").min().dt.offset_by("-1mo")).item()
    ends = assignments.select(pl.col("departure_date").fill_null(pl.date(9999, 1, 1)).max().dt.offset_by("1mo")).item()
    in_containers = pl.col("container_id").is_in(assignments["container_id"].unique().implode())
    in_assignments = pl.col("assignment_id").is_in(assignments["id"].implode())

    def rows(name: str) -> pl.LazyFrame:
        months = [month for month in inputs.months(name) if month_key(begins) <= month <= month_key(ends)]
        every = inputs.scan(name, months or None)
        if name in _BY_CONTAINER:
            return every.filter(in_containers)
        if name == _TREATMENTS:
            return every.filter(pl.col("batch_assignment_id").is_in(assignments["id"].implode()))
        return every.filter(in_assignments) if name in _BY_ASSIGNMENT else every

    records = {name: complete(rows(name), tables[name]) for name in RECORDS}
    return from_tables(records, rows(TEMPERATURE)).of_batches(batches)


def with_fish(batches: pl.DataFrame) -> list[int]:
    """Ids of the batches that have begun. Others have neither fish nor a scenario, and AquaMind skips them (R1).

    Args:
        batches: batch_batch.
    """
    return batches.filter(~pl.col("status").is_in(["PLANNED", "CANCELLED"]))["id"].to_list()


def daily_states(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_actualdailyassignmentstate of these batches, up to as_of, with the ids that the plan gives.

    Fish that are mixed begin with the last weight of the ring from which they came (R27). So a mixed batch is computed
    with the batches that it is made of, also where these are computed in another part.
    """
    recorded = with_fish(inputs.whole("batch_batch"))
    wanted = set(recorded if inputs.batches is None else inputs.batches)
    batches = [one for one in recorded if one in set(inputs.plan_of_farm.with_sources(sorted(wanted)))]
    tables = {name: STATES.table.metadata.tables[name] for name in RECORDS}
    states = assimilate(read_records(inputs, batches, tables), inputs.farm.as_of)
    if len(batches) > len(wanted.intersection(recorded)):
        states = states.filter(pl.col("batch_id").is_in(list(wanted)))
    numbers = inputs.plan.assignments.select("assignment_id", "assignment_date", "first_state_id")
    states = states.join(numbers, on="assignment_id", how="left", maintain_order="left")
    days = (pl.col("date") - pl.col("assignment_date")).dt.total_days()
    return states.with_columns(id=pl.col("first_state_id") + days).drop("assignment_date", "first_state_id")


def _one_a_day(inputs: RuleInputs) -> pl.LazyFrame:
    return assignment_days(inputs).select("assignment_id", "date", due=pl.lit(1, pl.Int64))


STATES = TableDefinition(
    name="batch_actualdailyassignmentstate",
    part="states",
    kind=Kind.DERIVED,
    batch_slices=True,
    meaning="Weight, fish and biomass of one assignment at the end of one day, assimilated from the records.",
    how="Weight, fish and feed conversion of every assignment and day, from what was recorded, never from life.",
    columns=(
        identity("id"),
        refers("assignment_id", "batch_batchcontainerassignment.id"),
        refers("batch_id", "batch_batch.id"),
        refers("container_id", "infrastructure_container.id"),
        refers("lifecycle_stage_id", "batch_lifecyclestage.id"),
        date("date", primary_key=True),
        count("day_number"),
        numeric("avg_weight_g", 10, 2, range_=(0, 20000)),
        count("population"),
        numeric("biomass_kg", 12, 2, range_=(0, None)),
        numeric("temp_c", 5, 2, nullable=True, range_=(-2, 30)),
        count("mortality_count"),
        numeric("feed_kg", 10, 2, range_=(0, None)),
        numeric("observed_fcr", 8, 3, nullable=True, range_=(0, 10)),
        varchar("anchor_type", 20, nullable=True),
        integer("planned_activity_id", nullable=True, fill=NULL),
        jsonb("sources"),
        jsonb("confidence_scores"),
        timestamp("last_computed_at", fill=day("date")),
        unique("assignment_id", "date"),
        index("batch_id", "date"),
    ),
    time="date",
    reads=(*PLAN, *RECORDS, TEMPERATURE),
    generate=daily_states,
    expected=ByFormula(lambda farm, plan: rows_by_month(farm, plan, pl.col("until") - pl.col("since"))),
    lineage={
        "id": "plan_assignment.first_state_id",
        "date": f"{ASSIGNMENTS}.assignment_date {ASSIGNMENTS}.departure_date",
        "population": f"{ASSIGNMENTS}.population_count batch_creationaction.egg_count_actual "
        "batch_transferaction.transferred_count batch_mortalityevent.count",
        "avg_weight_g": "batch_growthsample.avg_weight_g batch_transferaction.measured_avg_weight_g "
        "health_individualfishobservation.weight_g "
        f"{TEMPERATURE}.total_c scenario_tgc_model_stage.tgc_value",
        "temp_c": f"{TEMPERATURE}.total_c {TEMPERATURE}.readings",
        "mortality_count": "batch_mortalityevent.count",
        "feed_kg": "inventory_feedingevent.amount_kg",
    },
    rules=(PLAUSIBLE_STATES,),
    freshness=Freshness(),
    rows_due=_one_a_day,
    split_by="lifecycle_stage_id",
    bytes_per_row=(16, 495),
    figure="lives",
)

__all__ = ["RECORDS", "STATES", "TEMPERATURE", "read_records", "unrecorded_deaths", "with_fish"]
