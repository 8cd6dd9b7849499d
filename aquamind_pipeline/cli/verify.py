"""`aquamind verify`: every check, and the report."""

import contextlib
from typing import TYPE_CHECKING

import typer

from aquamind_pipeline.cli.console import ProgressBars, console
from aquamind_pipeline.cli.results import print_check, print_report_paths

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings


def verify(settings: "Settings") -> None:
    """Run every check on the lake and the database, and write the report. Exit status 1 if a check fails."""
    import polars as pl

    from aquamind_pipeline import report
    from aquamind_pipeline.errors import AquaMindError, DatabaseError
    from aquamind_pipeline.pipeline import check_results
    from aquamind_pipeline.pipeline.loading import LOADS
    from aquamind_pipeline.pipeline.sample_names import named
    from aquamind_pipeline.pipeline.workspace import Workspace
    from aquamind_pipeline.postgres import comparison
    from aquamind_pipeline.postgres.server import EmbeddedServer
    from aquamind_pipeline.postgres.targets import open_target
    from aquamind_pipeline.quality.farm_rules import REALISTIC, compared_with_real_farms

    workspace = Workspace(settings, ProgressBars())
    workspace.lake.require(settings.farm, must_exist=False)
    if settings.database_url is None and not EmbeddedServer(settings.home).is_made:
        raise DatabaseError("the embedded PostgreSQL has no farm yet: run `aquamind build` first")
    check_results.forget(settings)
    with workspace.database() as url:
        verified, series = report.verify(url, settings.farm, kept=report.sums_path(settings))
        if workspace.lake.manifest() is not None:
            target = open_target(url)
            runner = workspace.checks()
            results = list(runner.everything())
            with contextlib.suppress(AquaMindError, pl.exceptions.PolarsError):  # a check reports unreadable tables
                compared = compared_with_real_farms(runner.farm_inputs(REALISTIC))
                report.save_realism_page(settings.farm_name, compared, report.realism_path(settings))
            results += [
                (name, result)
                for name, tables in LOADS.items()
                for result in comparison.compared(target, workspace.lake, tables)
            ]
            shown = [(name, named(workspace.lake, result)) for name, result in results]
            check_results.save(settings, check_results.VERIFY, shown)
    report.save(verified, report.report_path(settings))
    saved = check_results.load(settings)
    report.save_page(verified, series, saved, report.page_path(settings), report.realism_path(settings))
    report.show(verified, console)
    broken = saved.filter(~pl.col("passed"))
    skipped = pl.col("rule").is_in(settings.skip_checks)
    failed = broken.filter(~skipped)
    for colour, state, checks in (("yellow", "skipped", broken.filter(skipped)), ("red", "failed", failed)):
        for check in checks.iter_rows(named=True):
            print_check(colour, state, f"{check['asset']} {check['rule']}: {check['detail']}")
    print_report_paths(settings)
    if not verified.passed or failed.height:
        raise typer.Exit(1)
