"""`aquamind load`: from the lake into PostgreSQL."""

from typing import TYPE_CHECKING

from aquamind_pipeline.cli.console import ProgressBars, console
from aquamind_pipeline.cli.results import finish_run, print_age
from aquamind_pipeline.orchestration.garbage_collection import skip_loaded_objects

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings


def load(settings: "Settings") -> None:
    """Load what changed in the lake into PostgreSQL, and check it. A second load changes nothing."""
    from aquamind_pipeline import report
    from aquamind_pipeline.definitions import LOAD_DATABASE
    from aquamind_pipeline.months import months_between
    from aquamind_pipeline.orchestration.run_jobs import run_job
    from aquamind_pipeline.pipeline import disk_space
    from aquamind_pipeline.pipeline.loading import require_database
    from aquamind_pipeline.pipeline.workspace import Workspace

    skip_loaded_objects()
    workspace = Workspace(settings, ProgressBars())
    farm = workspace.planned
    require_database(workspace, farm)
    disk_space.require(disk_space.disk_spaces(settings, farm, lake=False))
    with workspace.lake.exclusive(), workspace.database():
        finish_run(run_job(workspace, LOAD_DATABASE, months_between(farm.epoch, farm.as_of)))
        report.show(report.load_saved(report.report_path(settings)), console)
        print_age(settings, farm)
