"""Event tables by month: what sensors, feeders and people recorded of the lives lived."""

import contextlib
import ctypes
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.errors import AquaMindError, LakeError
from aquamind_pipeline.farm.deaths import mortality_events
from aquamind_pipeline.farm.feeding import feedings
from aquamind_pipeline.farm.readings import readings
from aquamind_pipeline.farm.samples import growth_samples
from aquamind_pipeline.growth.records import daily_temperature
from aquamind_pipeline.lake import Lake
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
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from assets.life import read_plan
from assets.showing import shown_of
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
HOW = {
    "environmental_environmentalreading": "Each sensor of each stay at six hours of each day: the water's temperature, "
    "and oxygen, salinity, pH and the like that follow it.",
    "inventory_feedingevent": "The day's feed of each stay, divided over its stage's meals, from the nearest store.",
    "batch_mortalityevent": "One row for each stay and day on which fish died.",
    "batch_growthsample": "Some fish of each stay are weighed and measured twice a week.",
    TEMPERATURE: "Sum and number of the day's temperature readings of each container.",
}
"""How each table is computed."""
MONTHS_AT_ONCE = 2
"""While one month is computed, mostly on one core, another is written."""
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # <malloc.h>
ALSO_READS = {
    "environmental_environmentalreading": ("infrastructure_sensor", "environmental_environmentalparameter"),
    "inventory_feedingevent": (STORE_COST, "inventory_feed"),
}


def build(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The event assets over these months, and the daily temperature that growth follows."""
    return [*(_event_asset(name, maker, months) for name, maker in MAKERS.items()), _temperature_asset(months)]


def _event_asset(name: str, maker: Maker, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    described = spec(name, GROUP, deps=(*PLAN_TABLES, *LIFE_TABLES, *ALSO_READS.get(name, ())))

    @dg.multi_asset(
        name=name,
        description=HOW[name],
        specs=[described],
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
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
        name=TEMPERATURE,
        description=HOW[TEMPERATURE],
        specs=[described],
        partitions_def=months,
        backfill_policy=dg.BackfillPolicy.single_run(),
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
    """Write each month of the run on its own, so that memory holds few and a killed run keeps the others.

    A month that fails does not keep the others from being written and recorded; then the step fails and names it.

    Raises:
        LakeError: when months failed.
    """
    farm, lake = workspace.planned, workspace.lake
    last = farm.as_of.strftime(MONTH)

    def one(month: str) -> dict[str, Any] | Exception:
        started = time.perf_counter()
        try:
            if month > last:
                lake.remove(name, month)
                return {"dagster/row_count": 0, "note": f"the farm reaches to {farm.as_of} only"}
            written = write(lake, farm, name, make(month), month)
            return dict(written_metadata(written, farm, time.perf_counter() - started))
        except Exception as error:
            return error

    keep_freed_memory()
    months = context.partition_keys
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, Exception] = {}
    with (
        retry_transient_errors(),
        lake.exclusive(),
        workspace.progress.track(name, len(months)) as advance,
        ThreadPoolExecutor(MONTHS_AT_ONCE, thread_name_prefix=name) as pool,
    ):
        for month, came in zip(months, pool.map(one, months), strict=True):
            if isinstance(came, Exception):
                failed[month] = came
            else:
                done[month] = came
            advance()
    if failed:
        for month, facts in done.items():
            context.log_event(dg.AssetMaterialization(name, partition=month, metadata=facts))
        raise _of_months(failed, len(months), name)
    done[months[-1]].update(shown_of(name, workspace))
    for month, facts in done.items():
        context.add_asset_metadata(facts, name, partition_key=month)


def keep_freed_memory() -> None:
    """Let malloc keep what is freed: each month needs as much again, and pages that the kernel has to find and empty
    anew cost a fifth of the time. Only glibc has this; elsewhere nothing happens."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it accepts
        malloc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)


def _of_months(failed: Mapping[str, Exception], of: int, name: str) -> Exception:
    """One error of several months; what is no fault of the user's keeps its traceback."""
    first = next(iter(failed.values()))
    kind = LakeError if all(isinstance(error, AquaMindError) for error in failed.values()) else RuntimeError
    error = kind(f"{name}: {len(failed)} of {of} months failed ({', '.join(failed)}), the others are written: {first}")
    error.__cause__ = first
    return error


assert set(MAKERS) == set(tables.EVENT_TABLES), "every event table of the catalogue needs its maker"
