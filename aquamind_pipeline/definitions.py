"""The one module that puts everything together: assets, checks, jobs, schedule and the workspace resource."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.catalogue import TEMPERATURE
from aquamind_pipeline.orchestration.executors import executor
from aquamind_pipeline.orchestration.partitions import monthly, months, range_tags
from aquamind_pipeline.orchestration.workspace import Workspace, workspace_of
from aquamind_pipeline.settings import Settings, load_settings
from assets import events, farm, growth, life, postgres
from checks import database, lake, truth

BUILD_FARM, BUILD_MONTH, BUILD_LAKE, LOAD_DATABASE = "build_farm", "build_month", "build_lake", "load_database"
NIGHTLY = "nightly"


def build_defs(
    settings: Settings | None = None, *, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Everything Dagster needs for one farm.

    Args:
        settings: Which farm; from the environment when not given.
        resource_overrides: Resources to use instead of ours, by name (`workspace`).

    Raises:
        ConfigError: when a setting cannot be used.
    """
    settings = settings or load_settings()
    partitions = monthly(settings.farm)
    resources = {"workspace": workspace_of(settings)} | dict(resource_overrides or {})
    assets = [*farm.assets, *life.assets, *events.build(partitions), *growth.assets, *postgres.build(partitions)]
    return dg.Definitions(
        assets=assets,
        asset_checks=[*lake.build(), *truth.build(), *database.build()],
        jobs=[dg.define_asset_job(name, selection, description=text) for name, (selection, text) in _JOBS.items()],
        schedules=[nightly],
        resources=resources,
        executor=executor(settings),
    )


def job(name: str, settings: Mapping[str, str]) -> dg.JobDefinition:
    """A job as processes build it that execute a step of its run; what is secret stands in their environment."""
    return build_defs(load_settings(**settings)).resolve_job_def(name)


MONTH_ASSETS = (*tables.EVENT_TABLES, TEMPERATURE)
_DATABASE = dg.AssetSelection.groups(postgres.GROUP)
_JOBS = {
    BUILD_FARM: (dg.AssetSelection.all(), "Everything: plan, lives, events, states, checks, load and report."),
    BUILD_LAKE: (dg.AssetSelection.all() - _DATABASE, "The Parquet lake and its checks, without a database."),
    BUILD_MONTH: (
        dg.AssetSelection.assets(*MONTH_ASSETS, "postgres_events"),
        "The events of one month, and their partitions in PostgreSQL.",
    ),
    LOAD_DATABASE: (_DATABASE, "What changed in the lake, into PostgreSQL, and the report."),
}


@dg.schedule(
    name=NIGHTLY,
    job_name=BUILD_FARM,
    cron_schedule="30 23 * * *",
    execution_timezone="UTC",
    description="Brings the farm up to today: builds every month since the last night that ran.",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def nightly(context: dg.ScheduleEvaluationContext, workspace: dg.ResourceParam[Workspace]) -> dg.RunRequest:
    """Tonight's run."""
    return night(workspace, context.scheduled_execution_time.date())


def night(workspace: Workspace, today: date) -> dg.RunRequest:
    """The run that brings the farm up to `today`, from the month that the lake reaches; missed nights are made up."""
    held = workspace.lake.manifest()
    first = held.as_of if held is not None else workspace.settings.farm.epoch
    last = max(today, first)
    keys = months(first, last)
    return dg.RunRequest(
        run_key=today.isoformat(),
        run_config={"ops": {"schedule": {"config": {"as_of": last.isoformat()}}}},
        tags=range_tags(keys),
    )


def __getattr__(name: str) -> dg.Definitions:
    """`defs`, built when Dagster loads it: importing this module reads no settings."""
    if name == "defs":
        return build_defs()
    raise AttributeError(name)
