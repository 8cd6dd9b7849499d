"""How build, load and verify say what came of a run: failed checks, time, and where the report is."""

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from aquamind_pipeline.cli.console import error_console, print_line
from aquamind_pipeline.profiles import TODAY

if TYPE_CHECKING:
    from aquamind_pipeline.orchestration.run_jobs import Outcome
    from aquamind_pipeline.settings import Settings
    from aquamind_pipeline.simulation.profile import Profile

_SLOWEST = 6
_FRESH_DAYS = 3
"""AquaMind's own check of a farm (`verify_uat_coverage`) calls states older than this too old."""


def print_check(colour: str, state: str, check: str) -> None:
    """Print one check that did not pass, on standard error.

    Args:
        colour: Colour of the state.
        state: `failed`, `warns` or `skipped`.
        check: Asset, name and detail of the check.
    """
    error_console.print(Text.assemble((f"check {state}", colour), f" {check}"), soft_wrap=True)


def finish_run(outcome: "Outcome") -> None:
    """Print the checks that did not pass, and the slowest steps.

    Raises:
        typer.Exit: with status 1 if the run or a check failed.
    """
    for check in outcome.failed_checks:
        print_check("red", "failed", check)
    for check in outcome.warnings:
        print_check("yellow", "warns", check)
    slowest = sorted(outcome.step_seconds.items(), key=lambda step: -step[1])[:_SLOWEST]
    print_line(
        f"{outcome.checks} checks, {len(outcome.failed_checks)} failed, {len(outcome.warnings)} warn; "
        f"{outcome.seconds:.1f} s, of which " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest)
    )
    if not outcome.success or outcome.failed_checks:
        raise typer.Exit(1)


def print_age(settings: "Settings", farm: "Profile") -> None:
    """Say so if the farm's last day is so long ago that AquaMind's pages which count from today are empty.

    Only a database of the user can be AquaMind's.
    """
    from aquamind_pipeline.postgres.targets import AquaMindTarget, open_target

    days = (settings.present_day - farm.as_of).days
    if days <= _FRESH_DAYS or settings.database_url is None:
        return
    if isinstance(open_target(settings.database_url), AquaMindTarget):
        print_line(
            f"The farm ends on {farm.as_of}, {days} days before today ({settings.present_day}). AquaMind's pages that "
            "count from today are empty or short: water and feedings of the last week, insights of the last 90 days. "
            f"To bring the farm up to today, build it with the same options and --as-of {TODAY}."
        )


def print_report_paths(settings: "Settings") -> None:
    """Say where the report is: as JSON and as a page, and its further pages if there are any."""
    from aquamind_pipeline import report
    from aquamind_pipeline.report.data_docs import DataDocs

    print_line(f"report: {report.report_path(settings)}")
    print_line(f"as a page: {report.page_path(settings)}")
    data_docs = DataDocs(settings).index
    if data_docs.exists():
        print_line(f"Data Docs: {data_docs}")
    if (realism := report.realism_path(settings)).exists():
        print_line(f"compared with real farms: {realism}")


__all__ = ["finish_run", "print_age", "print_check", "print_report_paths"]
