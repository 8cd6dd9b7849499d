"""How build, load and verify say what came of a run: failed checks, time, and where the report is."""

from typing import TYPE_CHECKING

import typer
from rich.text import Text

from aquamind_pipeline.cli.console import error_console, print_line

if TYPE_CHECKING:
    from aquamind_pipeline.orchestration.run_jobs import Outcome
    from aquamind_pipeline.settings import Settings

_SLOWEST = 6


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


__all__ = ["finish_run", "print_check", "print_report_paths"]
