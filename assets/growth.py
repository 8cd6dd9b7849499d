"""Daily states, found again from the records."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.growth.records import Records, from_tables
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.catalogue import TEMPERATURE, spec
from aquamind_pipeline.orchestration.workspace import Workspace
from assets.life import read_plan
from assets.writing import results

GROUP = "growth"
SLICE_BATCHES = 40
"""Batches assimilated at once: about 0.3 million states, some hundred MB, whatever the size of the farm."""
READS = (
    "batch_batch",
    "batch_batchcontainerassignment",
    "batch_batchtransferworkflow",
    "batch_creationaction",
    "batch_growthsample",
    "batch_lifecyclestage",
    "batch_mortalityevent",
    "batch_transferaction",
    "inventory_feedingevent",
    "scenario",
    "scenario_mortality_model_stage",
    "scenario_mortalitymodel",
    "scenario_projection_run",
    "scenario_temperaturereading",
    "scenario_tgc_model_stage",
    "scenario_tgcmodel",
)


@dg.multi_asset(name="growth", specs=[spec(tables.STATE_TABLE, GROUP, deps=(*READS, TEMPERATURE))])
def growth(workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.MaterializeResult[None]]:
    """Weight, fish, biomass and feed conversion of every stay and day, from what was recorded, never from life."""
    started = time.perf_counter()
    farm = workspace.planned
    yield from results(workspace, farm, {tables.STATE_TABLE: states(workspace, farm.as_of)}, started)


def states(workspace: Workspace, until: date) -> pl.DataFrame:
    """The states of all batches, with the ids that the plan has for them."""
    records = read_records(workspace.lake)
    slices = len(batch_slices(records.batches["batch_id"].to_list()))
    with workspace.progress.track(tables.STATE_TABLE, slices) as advance:
        found = grow(records, until, advance)
    numbers = read_plan(workspace).assignments.select("assignment_id", "assignment_date", "first_state_id")
    found = found.join(numbers, on="assignment_id", how="left", maintain_order="left")
    days = (pl.col("date") - pl.col("assignment_date")).dt.total_days()
    return found.with_columns(id=pl.col("first_state_id") + days).drop("assignment_date", "first_state_id")


def batch_slices(batch_ids: Sequence[int]) -> list[list[int]]:
    """Batches that are assimilated at once, in order."""
    ids = sorted(batch_ids)
    return [ids[i : i + SLICE_BATCHES] for i in range(0, len(ids), SLICE_BATCHES)]


def grow(records: Records, until: date, advance: Callable[[], object]) -> pl.DataFrame:
    """The states of all batches, slice by slice."""
    parts = []
    for some in batch_slices(records.batches["batch_id"].to_list()):
        parts.append(assimilate(records.of_batches(some), until))
        advance()
    return pl.concat(parts)


def read_records(lake: Lake) -> Records:
    """What growth reads, from the lake."""
    whole = {name: tables.complete(lake.scan(name), tables.TABLES[name]) for name in READS}
    return from_tables(whole, lake.scan(TEMPERATURE))


assets = [growth]
