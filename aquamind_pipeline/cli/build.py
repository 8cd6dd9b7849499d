"""`aquamind build`: the whole farm, or some months of it."""

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from aquamind_pipeline.cli.console import ProgressBars, console, print_line
from aquamind_pipeline.cli.options import MONTH
from aquamind_pipeline.cli.results import finish_run, print_age, print_report_paths
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.orchestration.garbage_collection import skip_loaded_objects

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings


def build(
    settings: "Settings",
    month: Annotated[
        list[str] | None, typer.Option(metavar=MONTH, help="Build only the events of this month. Repeatable.")
    ] = None,
    database: Annotated[bool, typer.Option(help="Load the farm into PostgreSQL, or build the lake only.")] = True,
) -> None:
    """Build the farm: plan, lives, events, states, checks, load, report. Exit status 1 if a check fails."""
    from aquamind_pipeline import report
    from aquamind_pipeline.definitions import BUILD_FARM, BUILD_LAKE, BUILD_MONTH, MONTH_ASSETS
    from aquamind_pipeline.months import months_between
    from aquamind_pipeline.orchestration.run_jobs import run_job
    from aquamind_pipeline.pipeline import disk_space
    from aquamind_pipeline.pipeline.loading import require_database
    from aquamind_pipeline.pipeline.workspace import Workspace

    skip_loaded_objects()
    workspace = Workspace(settings, ProgressBars())
    if database:
        require_database(workspace, workspace.wanted)
    if not month:
        disk_space.require(disk_space.disk_spaces(settings, workspace.wanted, database=database))
    with workspace.lake.exclusive(), contextlib.ExitStack() as stack:
        farm = workspace.wanted
        keys = months_between(farm.epoch, farm.as_of)
        for key in month or ():
            if key not in keys:
                raise ConfigError(f"there is no month {key!r}: the farm has {keys[0]} to {keys[-1]}")
        if database:
            stack.enter_context(workspace.database())  # one start of the embedded server for the whole build
        print_line(
            Text.assemble(
                (farm.name, "bold"),
                f", seed {farm.seed}, {farm.epoch} to {farm.as_of}, lake {settings.lake_path}",
            )
        )
        if month:
            for key in month:
                finish_run(run_job(workspace, BUILD_MONTH, [key], assets=None if database else MONTH_ASSETS))
            return
        finish_run(run_job(workspace, BUILD_FARM if database else BUILD_LAKE, keys))
        if database:
            report.show(report.load_saved(report.report_path(settings)), console)
            print_report_paths(settings)
            print_age(settings, farm)
