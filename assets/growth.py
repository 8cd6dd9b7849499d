"""Daily states, found again from the records."""

import time
from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.growth.records import Records, from_tables
from aquamind_pipeline.lake import Lake, Written
from aquamind_pipeline.orchestration.asset_specs import TEMPERATURE, spec, written_metadata
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.simulation.profile import Profile
from assets.life import living, read_plan
from assets.showing import shown_of
from assets.writing import batch_slices, write_by_month

GROUP = "growth"
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
    with retry_transient_errors(), workspace.lake.exclusive():
        written = write_states(workspace, farm)
    facts = written_metadata(written, farm, time.perf_counter() - started)
    yield dg.MaterializeResult(
        asset_key=tables.STATE_TABLE, metadata={**facts, **shown_of(tables.STATE_TABLE, workspace)}
    )


def write_states(workspace: Workspace, farm: Profile) -> Written:
    """Write the states of all recorded batches, at night of the living, up to as_of, with the ids that the plan has."""
    lake, plan = workspace.lake, read_plan(workspace)
    numbers = plan.assignments.select("assignment_id", "assignment_date", "first_state_id")

    def states(some: list[int]) -> pl.DataFrame:
        found = assimilate(read_records(lake, some), farm.as_of)
        found = found.join(numbers, on="assignment_id", how="left", maintain_order="left")
        days = (pl.col("date") - pl.col("assignment_date")).dt.total_days()
        return found.with_columns(id=pl.col("first_state_id") + days).drop("assignment_date", "first_state_id")

    begun = lake.read("batch_batch").filter(pl.col("id").is_in(living(plan, workspace.settings.since).to_list()))
    return write_by_month(workspace, farm, tables.STATE_TABLE, states, batch_slices(begun["id"]))


def read_records(lake: Lake, some: Sequence[int]) -> Records:
    """What growth reads of some batches: of their stays and containers, in the months that they lived in and the ones
    beside these. Memory holds no rows of other batches, but for the water and feed of the containers."""
    stays = lake.scan("batch_batchcontainerassignment").filter(pl.col("batch_id").is_in(list(some))).collect()
    begins = stays.select(pl.col("assignment_date").min().dt.offset_by("-1mo")).item()
    ends = stays.select(pl.col("departure_date").fill_null(pl.date(9999, 1, 1)).max().dt.offset_by("1mo")).item()
    in_containers = pl.col("container_id").is_in(stays["container_id"].unique().implode())
    of_stays = pl.col("assignment_id").is_in(stays["id"].implode())
    own = {
        TEMPERATURE: in_containers,
        "inventory_feedingevent": in_containers,
        "batch_mortalityevent": of_stays,
        "batch_growthsample": of_stays,
    }

    def near(name: str) -> pl.LazyFrame:
        months = [month for month in lake.partitions(name) if f"{begins:%Y-%m}" <= month <= f"{ends:%Y-%m}"]
        rows = lake.scan(name, months or None)
        return rows.filter(own[name]) if name in own else rows

    whole = {name: tables.complete(near(name), tables.TABLES[name]) for name in READS}
    return from_tables(whole, near(TEMPERATURE)).of_batches(some)


assets = [growth]
