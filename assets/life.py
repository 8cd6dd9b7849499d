"""The plan, the lives lived by it, and what the farm's books say of them."""

import time
from collections.abc import Iterator
from datetime import date

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.farm.records import records as build_records
from aquamind_pipeline.farm.stores import stores as build_stores
from aquamind_pipeline.lake import LABELS
from aquamind_pipeline.orchestration.asset_specs import (
    LIFE_TABLES,
    PLAN_TABLES,
    STORE_COST,
    TEMPERATURE,
    spec,
    written_metadata,
)
from aquamind_pipeline.orchestration.partitions import MONTH
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.simulation.life import live, summary
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.schedule import schedule as build_schedule
from assets.showing import shown_of
from assets.writing import batch_slices, results, write_by_month

GROUP = "life"
PURCHASE_TABLES = ("inventory_feedpurchase", "inventory_feedcontainerstock")
RECORD_TABLES = tuple(name for name in tables.of_layer("batch") if name not in PURCHASE_TABLES)


@dg.multi_asset(
    name="schedule",
    specs=[
        spec(name, GROUP, deps=tables.of_layer("infrastructure"), description=text)
        for name, text in PLAN_TABLES.items()
    ],
)
def schedule(workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.MaterializeResult[None]]:
    """Which batch lives where from when to when. Says in the lake's manifest how far the farm reaches."""
    started = time.perf_counter()
    farm = workspace.wanted
    plan = build_schedule(farm)
    with retry_transient_errors(), workspace.lake.exclusive():
        workspace.lake.claim(farm)
        _forget_later_months(workspace, farm)
        frames = {"plan_batch": plan.batches, "plan_assignment": plan.assignments}
        yield from results(workspace, farm, frames, started)


def _forget_later_months(workspace: Workspace, farm: Profile) -> None:
    """A farm that reaches less far than before has no later months."""
    last = farm.as_of.strftime(MONTH)
    labels = (f"{LABELS}/{table}" for table in tables.MONTHLY_TABLES)
    for place in (*tables.MONTHLY_TABLES, TEMPERATURE, *labels):
        for month in workspace.lake.partitions(place):
            if month > last:
                workspace.lake.remove(place, month)


@dg.multi_asset(
    name="life",
    specs=[spec(name, GROUP, deps=tuple(PLAN_TABLES), description=text) for name, text in LIFE_TABLES.items()],
)
def life(workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.MaterializeResult[None]]:
    """Every fish's life, day by day, in a file a month."""
    started = time.perf_counter()
    farm, plan, lake, since = workspace.planned, read_plan(workspace), workspace.lake, workspace.settings.since
    batches = living(plan, since)
    moves: list[pl.DataFrame] = []
    if since:
        moves.append(lake.read("life_move").filter(~pl.col("batch_id").is_in(batches.to_list())))

    def lived(some: list[int]) -> pl.DataFrame:
        life = live(farm, plan.of_batches(some))
        moves.append(life.moves)
        return life.days

    with retry_transient_errors(), workspace.lake.exclusive():
        days = write_by_month(workspace, farm, "life_day", lived, batch_slices(batches))
        facts = written_metadata(days, farm, time.perf_counter() - started)
        yield dg.MaterializeResult(asset_key="life_day", metadata={**facts, **shown_of("life_day", workspace)})
        moved = pl.concat(moves).sort("source_assignment_id", "dest_assignment_id")
        yield from results(workspace, farm, {"life_move": moved}, time.perf_counter())


@dg.multi_asset(
    name="records",
    specs=[
        spec(name, "records", deps=(*PLAN_TABLES, *LIFE_TABLES, *tables.of_layer("reference")))
        for name in RECORD_TABLES
    ],
)
def records(workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.MaterializeResult[None]]:
    """Batches, stays, workflows, harvests and scenarios as they stand on as_of."""
    started = time.perf_counter()
    farm, plan = workspace.planned, read_plan(workspace)
    lived, moves = summary(workspace.lake.scan("life_day"), farm.samples_per_week), workspace.lake.read("life_move")
    yield from results(workspace, farm, build_records(farm, plan, lived, moves), started)


@dg.multi_asset(
    name="stores",
    specs=[
        *(spec(name, "records", deps=("life_day", "inventory_feed")) for name in PURCHASE_TABLES),
        spec(STORE_COST, "records", deps=("life_day",)),
    ],
)
def stores(workspace: dg.ResourceParam[Workspace]) -> Iterator[dg.MaterializeResult[None]]:
    """Feed deliveries, what is left of them, and what feed cost."""
    started = time.perf_counter()
    farm, lake = workspace.planned, workspace.lake
    bought = build_stores(farm, read_plan(workspace), lake.scan("life_day"), lake.read("infrastructure_feedcontainer"))
    frames = dict(zip((*PURCHASE_TABLES, STORE_COST), (bought.purchases, bought.stock, bought.unit_costs), strict=True))
    yield from results(workspace, farm, frames, started)


def read_plan(workspace: Workspace) -> Plan:
    """The plan as the lake has it."""
    return Plan(workspace.lake.read("plan_batch"), workspace.lake.read("plan_assignment"))


def living(plan: Plan, since: str | None) -> pl.Series:
    """Batches with fish in a month or later; all, when there is none."""
    stays = plan.assignments
    if since:
        stays = stays.filter(pl.col("departure_date") > date.fromisoformat(f"{since}-01"))
    return stays["batch_id"].unique().sort()


assets = [schedule, life, records, stores]
