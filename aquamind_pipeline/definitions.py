"""The one module that puts everything together: assets, checks, jobs, schedule and the workspace resource."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.months import month_key, months_between
from aquamind_pipeline.orchestration.asset_specs import (
    POSTGRES_ASSETS,
    POSTGRES_EVENTS,
    REPORT,
    page_link,
    presented,
)
from aquamind_pipeline.orchestration.executors import executor
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely, skip_loaded_objects
from aquamind_pipeline.orchestration.partitions import monthly, range_tags
from aquamind_pipeline.orchestration.retention import tidy_history, weekly
from aquamind_pipeline.orchestration.run_config import OWNER_TAG, RunOptions
from aquamind_pipeline.orchestration.run_record import last_facts, lasting_unchanged, verified_by_these_rules
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.report.data_docs import DataDocs
from aquamind_pipeline.settings import Settings, load_settings
from assets import postgres, tables
from checks import database
from checks import tables as table_checks

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
    farm = settings.farm
    partitions = monthly(farm)
    which = f"Farm {settings.farm_name}: seed {farm.seed}, from {farm.epoch}, lake {settings.lake_path}."
    given = dict(resource_overrides or {})
    workspace = given.get("workspace")
    resources = given | {"workspace": _per_run(workspace or Workspace(settings), which, shared=workspace is not None)}
    assets = [*tables.build(partitions), *postgres.build(partitions)]
    links = {
        "report": page_link(settings, report.page_path(settings)),
        "data_docs": page_link(settings, DataDocs(settings).index),
    }
    shown = presented(assets, settings, links)
    if settings.nightly:
        shown = [asset.map_asset_specs(_due_nightly) for asset in shown]
    return dg.Definitions(
        assets=shown,
        asset_checks=_checks(),
        jobs=[
            *(
                dg.define_asset_job(name, selection, description=f"{text} {which}")
                for name, (selection, text) in _JOBS.items()
            ),
            tidy_history,
        ],
        schedules=[_nightly(running=settings.nightly), weekly(running=settings.nightly)],
        resources=resources,
        executor=executor(settings),
    )


def _checks() -> list[dg.AssetChecksDefinition]:
    return [*table_checks.build(), *database.build()]


def job(name: str, settings: Mapping[str, str]) -> dg.JobDefinition:
    """A job as processes build it that execute a step of its run; what is secret stands in their environment."""
    collect_rarely()
    skip_loaded_objects()
    return build_defs(load_settings(**settings)).resolve_job_def(name)


def _per_run(workspace: Workspace, which: str, *, shared: bool) -> dg.ResourceDefinition:
    """The workspace as a run gets it. Dagster maps the config before it makes a run, so a wrong option makes none.

    All processes of a run hold the lake together, in the run's name; a `shared` workspace is held by its owner already.
    """

    @dg.resource(config_schema=RunOptions.to_config_schema(), description=which)
    def with_options(context: dg.InitResourceContext) -> Workspace:
        run = None if shared else context.run
        owner = run.tags.get(OWNER_TAG, f"run {run.run_id}") if run else None
        options = RunOptions(**context.resource_config)
        return workspace.with_settings(options.applied(workspace.settings), owner)

    @dg.configured(with_options)
    def checked(options: RunOptions) -> dict[str, Any]:
        options.applied(workspace.settings)
        return options.model_dump(mode="json")

    return checked


MONTH_ASSETS = tuple(name for name, one in REGISTRY.items() if one.is_monthly and not one.batch_slices)
"""Tables that are made month by month."""
_DATABASE = dg.AssetSelection.groups(postgres.GROUP)
_JOBS = {
    BUILD_FARM: (dg.AssetSelection.all(), "Everything: plan, lives, events, states, checks, load and report."),
    BUILD_LAKE: (dg.AssetSelection.all() - _DATABASE, "The Parquet lake and its checks, without a database."),
    BUILD_MONTH: (
        dg.AssetSelection.assets(*MONTH_ASSETS, POSTGRES_EVENTS),
        "The events of one month, and their partitions in PostgreSQL.",
    ),
    LOAD_DATABASE: (_DATABASE, "What changed in the lake, into PostgreSQL, and the report."),
}


def _nightly(*, running: bool) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=NIGHTLY,
        job_name=BUILD_FARM,
        cron_schedule="30 23 * * *",
        execution_timezone="UTC",
        description="Brings the farm up to today: builds the months since the last verified build, or all.",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )
    def nightly(context: dg.ScheduleEvaluationContext, workspace: dg.ResourceParam[Workspace]) -> dg.RunRequest:
        return night(workspace, context.instance, context.scheduled_execution_time.date())

    return nightly


def night(workspace: Workspace, instance: dg.DagsterInstance, today: date) -> dg.RunRequest:
    """The run that brings the farm up to `today`. Nights that were missed or that failed are made up.

    If earlier months are verified by today's rules and unchanged, only newer ones are built, else every month.
    """
    farm = workspace.settings.farm
    held = workspace.lake.manifest()
    report = last_facts(instance, REPORT)
    first = farm.epoch
    if (
        held is not None
        and verified_by_these_rules(report, farm.identity)
        and lasting_unchanged(workspace.lake, instance)
    ):
        first = min(held.as_of, date.fromisoformat(str(report["as_of"])))
    last = max(today, held.as_of if held is not None else farm.epoch)
    over = months_between(first, last)
    options = {"as_of": last.isoformat()}
    chosen: dict[str, Any] = {}
    if over[0] > month_key(farm.epoch):
        options["since"] = over[0]
        chosen = _of_a_night(month_ends=len(over) > 1)
    return dg.RunRequest(
        run_key=today.isoformat(),
        run_config={"resources": {"workspace": {"config": options}}},
        tags=range_tags(over),
        **chosen,
    )


def _of_a_night(*, month_ends: bool) -> dict[str, Any]:
    """What a nightly run makes and checks: all but the tables that are the same on every day.

    The suites of Great Expectations check again, with another library, what other rules check: at a month's end only.
    """
    specs = [spec for one in _checks() for spec in one.check_specs]
    checks = [spec for spec in specs if spec.asset_key.to_user_string() not in REGISTRY.lasting]
    return {
        "asset_selection": [
            dg.AssetKey(name) for name in (*REGISTRY, *POSTGRES_ASSETS, REPORT) if name not in REGISTRY.lasting
        ],
        "asset_check_keys": [spec.key for spec in checks if month_ends or spec.name != "expectations"],
    }


_NIGHT = dg.FreshnessPolicy.cron(deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=7))
"""At six in the morning everything that a night makes has been built since 23:00, or the farm is overdue."""


def _due_nightly(spec: dg.AssetSpec) -> dg.AssetSpec:
    lasts = spec.key.to_user_string() in REGISTRY.lasting
    return spec if lasts else spec.replace_attributes(freshness_policy=_NIGHT)


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads: the farm of the environment's settings, which are read then and not by importing this."""
    collect_rarely()
    skip_loaded_objects()
    return build_defs()
