"""Event tables by month: what sensors, feeders and people recorded of the lives lived."""

import time
from collections.abc import Callable

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
        lived = lake.scan("life_day")
        _write_months(context, workspace, name, lambda month: maker(farm, plan, _month_of(lived, month), lake))

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
    """Write each month of the run on its own, so that memory holds one and a killed run keeps the others."""
    farm, lake = workspace.planned, workspace.lake
    last = farm.as_of.strftime("%Y-%m")
    with lake.exclusive(), workspace.progress.track(name, len(context.partition_keys)) as advance:
        for month in context.partition_keys:
            started = time.perf_counter()
            if month > last:
                lake.remove(name, month)
                context.add_asset_metadata(
                    {"dagster/row_count": 0, "note": f"the farm reaches to {farm.as_of} only"},
                    name,
                    partition_key=month,
                )
            else:
                written = write(lake, farm, name, make(month), month)
                seconds = time.perf_counter() - started
                context.add_asset_metadata(written_metadata(written, farm, seconds), name, partition_key=month)
            advance()


def _month_of(lived: pl.LazyFrame, month: str) -> pl.DataFrame:
    first = pl.lit(f"{month}-01").str.to_date()
    return lived.filter(pl.col("date").is_between(first, first.dt.offset_by("1mo"), closed="left")).collect()


assert set(MAKERS) == set(tables.EVENT_TABLES), "every event table of the catalogue needs its maker"
