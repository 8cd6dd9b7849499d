"""Event tables by month: what sensors, feeders and people recorded of the lives lived."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.farm.deaths import mortality_events
from aquamind_pipeline.farm.feeding import feedings
from aquamind_pipeline.farm.readings import readings
from aquamind_pipeline.farm.samples import growth_samples
from aquamind_pipeline.farm.schedule import Plan
from aquamind_pipeline.growth.records import daily_temperature
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.catalogue import (
    LIFE_TABLES,
    PLAN_TABLES,
    STORE_COST,
    TEMPERATURE,
    spec,
    written_metadata,
)
from aquamind_pipeline.orchestration.partitions import MONTH
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.profile import Profile
from assets.life import read_plan
from assets.writing import write

GROUP = "events"
Maker = Callable[[Profile, Plan, pl.DataFrame, Lake], pl.DataFrame]
"""Makes an event table's rows from some days of life."""

MAKERS: dict[str, Maker] = {
    "environmental_environmentalreading": lambda farm, plan, days, lake: readings(
        farm.seed, plan, days, lake.read("infrastructure_sensor")
    ),
    "inventory_feedingevent": lambda farm, plan, days, lake: feedings(farm.seed, plan, days, lake.read(STORE_COST)),
    "batch_mortalityevent": lambda farm, plan, days, lake: mortality_events(days),
    "batch_growthsample": lambda farm, plan, days, lake: growth_samples(farm.seed, plan, days, farm.samples_per_week),
}
MONTHS_AT_ONCE = 2
"""While one month is computed, mostly on one core, another is written."""
ALSO_READS = {
    "environmental_environmentalreading": ("infrastructure_sensor", "environmental_environmentalparameter"),
    "inventory_feedingevent": (STORE_COST, "inventory_feed"),
}


def build(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The event assets over these months, and the daily temperature that growth follows."""
    return [*(_event_asset(name, maker, months) for name, maker in MAKERS.items()), _temperature_asset(months)]


def _event_asset(name: str, maker: Maker, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    described = spec(name, GROUP, deps=(*PLAN_TABLES, *LIFE_TABLES, *ALSO_READS.get(name, ())))

    @dg.multi_asset(name=name, specs=[described], partitions_def=months, backfill_policy=dg.BackfillPolicy.single_run())
    def event_table(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        farm, plan, lake = workspace.planned, read_plan(workspace), workspace.lake
        _write_months(context, workspace, name, lambda month: maker(farm, plan, lake.read("life_day", month), lake))

    return event_table


def _temperature_asset(months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    described = spec(
        TEMPERATURE,
        GROUP,
        deps=("environmental_environmentalreading", "environmental_environmentalparameter"),
    )

    @dg.multi_asset(
        name=TEMPERATURE, specs=[described], partitions_def=months, backfill_policy=dg.BackfillPolicy.single_run()
    )
    def temperature(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> None:
        lake = workspace.lake
        parameters = lake.scan("environmental_environmentalparameter")
        source = "environmental_environmentalreading"
        _write_months(
            context, workspace, TEMPERATURE, lambda month: daily_temperature(lake.scan(source, [month]), parameters)
        )

    return temperature


def _write_months(
    context: dg.AssetExecutionContext, workspace: Workspace, name: str, make: Callable[[str], pl.DataFrame]
) -> None:
    """Write each month of the run on its own, so that memory holds few and a killed run keeps the others."""
    farm, lake = workspace.planned, workspace.lake
    last = farm.as_of.strftime(MONTH)

    def one(month: str) -> dict[str, Any]:
        started = time.perf_counter()
        if month > last:
            lake.remove(name, month)
            return {"dagster/row_count": 0, "note": f"the farm reaches to {farm.as_of} only"}
        written = write(lake, farm, name, make(month), month)
        return dict(written_metadata(written, farm, time.perf_counter() - started))

    months = context.partition_keys
    with (
        lake.exclusive(),
        workspace.progress.track(name, len(months)) as advance,
        ThreadPoolExecutor(MONTHS_AT_ONCE, thread_name_prefix=name) as pool,
    ):
        for month, facts in zip(months, pool.map(one, months), strict=True):
            context.add_asset_metadata(facts, name, partition_key=month)
            advance()


assert set(MAKERS) == set(tables.EVENT_TABLES), "every event table of the catalogue needs its maker"
