"""Dagster's definitions of one farm: assets, checks, jobs, schedules and the workspace resource."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.assets import postgres, tables
from aquamind_pipeline.checks import database
from aquamind_pipeline.checks import tables as table_checks
from aquamind_pipeline.errors import AquaMindError, ConfigError
from aquamind_pipeline.months import month_key, months_between
from aquamind_pipeline.orchestration.asset_specs import (
    POSTGRES_ASSETS,
    REPORT,
    page_link,
    presented,
)
from aquamind_pipeline.orchestration.compat.refusals import leave_out_stacks_of_refusals
from aquamind_pipeline.orchestration.compat.run_ends import tell_of_ended_runs
from aquamind_pipeline.orchestration.compat.terminal import print_plain_lines
from aquamind_pipeline.orchestration.executors import executor
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely, skip_loaded_objects
from aquamind_pipeline.orchestration.home_folder import provide_home
from aquamind_pipeline.orchestration.partitions import monthly, range_tags
from aquamind_pipeline.orchestration.records import require_own_records
from aquamind_pipeline.orchestration.retention import tidy_history, weekly
from aquamind_pipeline.orchestration.run_config import OWNER_TAG, RunOptions
from aquamind_pipeline.orchestration.run_record import begun_on, last_facts, lasting_unchanged, verified_by_these_rules
from aquamind_pipeline.orchestration.run_story import told
from aquamind_pipeline.orchestration.step_errors import WrongOption
from aquamind_pipeline.pipeline.loading import POSTGRES_EVENTS
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.profiles import TODAY
from aquamind_pipeline.report.data_docs import DataDocs
from aquamind_pipeline.settings import Settings, load_settings, warn_of_unknown_variables

BUILD_FARM, BUILD_MONTH, BUILD_LAKE, LOAD_DATABASE = "build_farm", "build_month", "build_lake", "load_database"
NIGHTLY = "nightly"


def build_defs(
    settings: Settings | None = None,
    *,
    resource_overrides: Mapping[str, Any] | None = None,
    last_month: str | None = None,
    clock: Callable[[], datetime] | None = None,
) -> dg.Definitions:
    """Make Dagster's definitions of one farm.

    Args:
        settings: Settings of the farm; None to read them from the environment.
        resource_overrides: Resources that replace the default ones, by name (`workspace`).
        last_month: The last month that can be built, as `2026-06`; None for the running month.
        clock: Tells the time. With it, a tick of a past evening builds the farm up to the last evening.

    Raises:
        ConfigError: when a setting is invalid.
    """
    settings = settings or load_settings()
    farm = settings.farm
    partitions = monthly(farm, last_month)
    about_farm = f"Farm {settings.farm_name}: seed {farm.seed}, from {farm.epoch}, lake {settings.lake_path}."
    overrides = dict(resource_overrides or {})
    given = overrides.get("workspace")
    per_run = _per_run(given or Workspace(settings), about_farm, shared=given is not None, last_month=last_month)
    resources = overrides | {"workspace": per_run}
    assets = [*tables.build(partitions), *postgres.build(partitions)]
    pages = {"report": report.page_path(settings), "data_docs": DataDocs(settings).index}
    links = {label: page_link(settings, page) for label, page in pages.items() if page.is_file()}
    shown = presented(assets, settings, links)
    if settings.nightly:
        shown = [asset.map_asset_specs(_due_nightly) for asset in shown]
    return dg.Definitions(
        assets=shown,
        asset_checks=_checks(),
        jobs=[
            *(
                dg.define_asset_job(name, selection, description=f"{text} {about_farm}")
                for name, (selection, text) in _JOBS.items()
            ),
            tidy_history,
        ],
        schedules=[
            _nightly(running=settings.nightly, last_month=last_month, clock=clock),
            weekly(running=settings.nightly),
        ],
        resources=resources,
        executor=executor(settings),
    )


def _checks() -> list[dg.AssetChecksDefinition]:
    return [*table_checks.build(), *database.build()]


def job(name: str, settings: Mapping[str, str]) -> dg.JobDefinition:
    """Make a job in a process that executes one step of a run. Secrets come from the process's environment."""
    collect_rarely()
    skip_loaded_objects()
    loaded = load_settings(**settings)
    provide_home(loaded)
    return build_defs(loaded).resolve_job_def(name)


def _per_run(workspace: Workspace, description: str, *, shared: bool, last_month: str | None) -> dg.ResourceDefinition:
    """The workspace with the options of a run.

    Dagster maps the config before it creates a run. So a wrong option is refused without a run.

    Args:
        workspace: The workspace without a run's options.
        description: Text for Dagster's pages.
        shared: Whether the workspace has an owner already. If not, the run owns it: all processes of the run lock the
            lake together, in the run's name.
        last_month: The last month that can be built; None for the running month.
    """

    @dg.resource(config_schema=RunOptions.to_config_schema(), description=description)
    def with_options(context: dg.InitResourceContext) -> Iterator[Workspace]:
        instance = context.instance
        if instance is not None:
            require_own_records(instance, workspace.settings.farm_name)
        run = None if shared else context.run
        owner = run.tags.get(OWNER_TAG, f"run {run.run_id}") if run else None
        options = RunOptions(**context.resource_config)
        settings = options.applied(workspace.settings)
        today_is_open = settings.as_of == TODAY and "AQUAMIND_TODAY" not in os.environ
        if today_is_open and instance is not None and run is not None and OWNER_TAG not in run.tags:
            # Steps may run in processes of their own, before and after midnight: the run's day counts for all of them.
            settings = settings.model_copy(update={"today": begun_on(instance, run.run_id)})
        given = workspace.with_settings(settings, owner)
        with told(context, given.settings):
            yield given

    @dg.configured(with_options)
    def checked(options: RunOptions) -> dict[str, Any]:
        try:
            applied = options.applied(workspace.settings)
        except ConfigError as error:
            raise WrongOption(str(error)) from None
        if last_month is not None and options.as_of and (asked := month_key(applied.farm.as_of)) > last_month:
            raise WrongOption(
                f"as_of {options.as_of} needs the month {asked}, and these pages offer months to {last_month}: start "
                f"`aquamind ui --as-of {options.as_of}`"
            )
        return options.model_dump(mode="json")

    return checked


MONTH_ASSETS = tuple(name for name, one in REGISTRY.items() if one.is_monthly and not one.batch_slices)
"""Tables that are made month by month."""
_DATABASE = dg.AssetSelection.groups(postgres.GROUP)
_JOBS = {
    BUILD_FARM: (dg.AssetSelection.all(), "The whole farm: plan, life, events, states, checks, load and report."),
    BUILD_LAKE: (dg.AssetSelection.all() - _DATABASE, "The Parquet lake and its checks, without a database."),
    BUILD_MONTH: (
        dg.AssetSelection.assets(*MONTH_ASSETS, POSTGRES_EVENTS),
        "The events of one month, and their partitions in PostgreSQL.",
    ),
    LOAD_DATABASE: (_DATABASE, "Loads what changed in the lake into PostgreSQL, and makes the report."),
}


_TICK = timedelta(hours=23, minutes=30)
"""Time of day, in UTC, at which a night begins."""


def _nightly(*, running: bool, last_month: str | None, clock: Callable[[], datetime] | None) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=NIGHTLY,
        job_name=BUILD_FARM,
        cron_schedule="30 23 * * *",
        execution_timezone="UTC",
        description="Extends the farm to today. Builds the months since the last verified build, or all months. "
        "A night launched by hand is not a tick: Latest tick stays as it was, and the run is under Runs.",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, workspace: dg.ResourceParam[Workspace]
    ) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.date()
        if clock is not None:  # the dialog for a tick by hand proposes an evening of ten days ago
            day = max(day, (clock() - _TICK).date())
        if last_month is not None and (month := month_key(day)) > last_month:
            on = "" if _nights_are_on() else "switch nightly on, then "
            return dg.SkipReason(
                f"these pages offer months to {last_month}, and the night needs {month}: {on}click Reload definitions "
                "on the page Lineage once"
            )
        return nightly_run(workspace, context.instance, day)

    return nightly


def nightly_run(workspace: Workspace, instance: dg.DagsterInstance, today: date) -> dg.RunRequest:
    """Request the run that extends the farm to `today`, from the last verified build on.

    If earlier months are verified by the present rules and unchanged, the run builds only newer months. Otherwise the
    run builds all months.
    """
    farm = workspace.settings.farm
    manifest = workspace.lake.manifest()
    last_report = last_facts(instance, REPORT)
    first = farm.epoch
    if (
        manifest is not None
        and verified_by_these_rules(last_report, farm.identity)
        and lasting_unchanged(workspace.lake, instance)
    ):
        first = min(manifest.as_of, date.fromisoformat(str(last_report["as_of"])))
    last = max(today, manifest.as_of if manifest is not None else farm.epoch)
    months = months_between(first, last)
    options = {"as_of": last.isoformat()}
    selection: dict[str, Any] = {}
    if months[0] > month_key(farm.epoch):
        options["since"] = months[0]
        selection = _nightly_selection(month_ends=len(months) > 1)
    return dg.RunRequest(
        run_key=today.isoformat(),
        run_config={"resources": {"workspace": {"config": options}}},
        tags=range_tags(months),
        **selection,
    )


def _nightly_selection(*, month_ends: bool) -> dict[str, Any]:
    """Assets and checks of a nightly run: all except those of tables that never change.

    The suites of Great Expectations repeat other rules with another library. So they run only when a month ends.
    """
    specs = [spec for one in _checks() for spec in one.check_specs]
    checks = [spec for spec in specs if spec.asset_key.to_user_string() not in REGISTRY.lasting]
    return {
        "asset_selection": [
            dg.AssetKey(name) for name in (*REGISTRY, *POSTGRES_ASSETS, REPORT) if name not in REGISTRY.lasting
        ],
        "asset_check_keys": [spec.key for spec in checks if month_ends or spec.name != "expectations"],
    }


_DUE_BY_SIX = dg.FreshnessPolicy.cron(deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=7))
"""An asset of nightly runs is overdue at 6:00 if it was not built since 23:00."""


def _due_nightly(spec: dg.AssetSpec) -> dg.AssetSpec:
    lasts = spec.key.to_user_string() in REGISTRY.lasting
    return spec if lasts else spec.replace_attributes(freshness_policy=_DUE_BY_SIX)


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions that Dagster loads. Settings are read from the environment when this is called, not at import."""
    collect_rarely()
    skip_loaded_objects()
    print_plain_lines()
    tell_of_ended_runs()
    leave_out_stacks_of_refusals()
    warn_of_unknown_variables()
    settings = load_settings()
    provide_home(settings)
    return build_defs(settings, last_month=_last_month(settings), clock=lambda: datetime.now(UTC))


def _last_month(settings: Settings) -> str | None:
    """The last month that the pages offer: that of the farm's last day. With nights it is the running month: None.

    A lake may reach further than the settings say, after a build with a later `as_of`.
    """
    if settings.nightly or _nights_are_on():
        return None
    farm, as_of = settings.farm, settings.farm.as_of
    with contextlib.suppress(AquaMindError, OSError):  # the run that needs the lake says what is wrong with it
        manifest = Workspace(settings).lake.manifest()
        if manifest is not None and manifest.identity == farm.identity:
            as_of = max(as_of, manifest.as_of)
    return month_key(as_of)


def _nights_are_on() -> bool:
    """Whether somebody switched the nightly schedule on, on Dagster's pages."""
    if not os.environ.get("DAGSTER_HOME"):
        return False
    with dg.DagsterInstance.get() as instance:
        return any(one.name == NIGHTLY and one.status.value == "RUNNING" for one in instance.all_instigator_state())
