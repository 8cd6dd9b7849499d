"""The command line `aquamind`.

A user's own mistake ends in one line and exit status 1 (2 for a wrong option); a traceback is a bug of ours.
"""

import contextlib
import functools
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aquamind_pipeline.errors import AquaMindError, ConfigError, DatabaseError
from aquamind_pipeline.settings import Settings, load_settings
from aquamind_pipeline.simulation.profile import load_profile, profile_names

_LOG_WIDTH = 132
console = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)
errors = Console(highlight=False, stderr=True, width=None if sys.stderr.isatty() else _LOG_WIDTH)
app = typer.Typer(
    name="aquamind",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build a whole salmon farm for AquaMind: generate, assimilate, prove, load.",
)

_OPTIONS: dict[str, Any] = {
    "profile": Annotated[
        str | None, typer.Option("--profile", "-p", help="Profile name or .toml file. [AQUAMIND_PROFILE]")
    ],
    "seed": Annotated[int | None, typer.Option(help="Another seed than the profile's. [AQUAMIND_SEED]")],
    "epoch": Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day. [AQUAMIND_EPOCH]")],
    "as_of": Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day with data. [AQUAMIND_AS_OF]")
    ],
    "home": Annotated[Path | None, typer.Option(help="Folder of everything we write. [AQUAMIND_HOME]")],
    "lake": Annotated[
        str | None, typer.Option(help="Folder of the Parquet lake, or s3://bucket/prefix. [AQUAMIND_LAKE]")
    ],
    "database_url": Annotated[
        str | None, typer.Option(help="PostgreSQL to use; better in the environment. [AQUAMIND_DATABASE_URL]")
    ],
    "faults": Annotated[
        list[str] | None,
        typer.Option("--fault", help="NAME or NAME:RATE of a fault to put in; repeatable. [AQUAMIND_FAULTS]"),
    ],
    "load_anyway": Annotated[
        bool | None,
        typer.Option("--load-anyway", help="Failed checks only warn. [AQUAMIND_LOAD_ANYWAY]"),
    ],
    "skip_checks": Annotated[
        list[str] | None,
        typer.Option("--skip-check", help="A check not to look at; repeatable. [AQUAMIND_SKIP_CHECKS]"),
    ],
    "reload": Annotated[
        bool | None, typer.Option("--reload", help="Load again what is there already. [AQUAMIND_RELOAD]")
    ],
    "history": Annotated[
        bool | None, typer.Option("--history", help="In AquaMind's database, history of masters. [AQUAMIND_HISTORY]")
    ],
}


def configured(group: typer.Typer) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command of a group with the common options, which reach it as one validated `settings`."""
    return functools.partial(_configured, group)


def _configured(group: typer.Typer, command: Callable[..., None]) -> Callable[..., None]:

    @functools.wraps(command)
    def run(**values: Any) -> None:
        given = {name: values.pop(name) for name in _OPTIONS}
        days = {name: given[name].date() for name in ("epoch", "as_of") if given[name] is not None}
        with _one_line():
            command(load_settings(**(given | days)), **values)

    own = list(inspect.signature(command).parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
    return group.command()(run)


class Bars:
    """Progress bars on a terminal; in a log file, one line at the end of each piece of work."""

    @contextlib.contextmanager
    def track(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """A block of `total` steps."""
        started = time.perf_counter()
        columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(label, total=total)
            lock = threading.Lock()
            done = 0

            def advance() -> None:
                nonlocal done
                with lock:
                    done += 1
                progress.advance(task)

            yield advance
        console.print(f"  {label:<44} {done:>4} of {total:<4} {time.perf_counter() - started:6.1f} s")


@configured(app)
def plan(settings: Settings) -> None:
    """Show what a build will make: batches, rows, occupancy, disk. Builds nothing."""
    from aquamind_pipeline.pipeline import disk_space
    from aquamind_pipeline.pipeline.preview import preview

    seen = preview(settings.farm)
    farm = settings.farm
    console.print(f"[bold]{farm.name}[/]: {farm.description}")
    console.print(f"seed {farm.seed}, {farm.epoch} to {farm.as_of}, {seen.months} months")
    console.print(f"{seen.batches} batches: {seen.completed} harvested, {seen.active} alive on the last day")
    shown = Table("table", "rows")
    shown.columns[1].justify = "right"
    for name, rows in seen.rows.items():
        shown.add_row(name, "by chance" if rows is None else f"{rows:,}")
    console.print(shown)
    console.print(
        f"containers: {seen.containers_now:,} of {seen.containers:,} in use on the last day, "
        f"{seen.containers_peak:,} at most, {seen.containers_ever:,} ever; "
        f"{seen.container_days_share:.1%} of container-days"
    )
    console.print(
        f"disk, about: {seen.lake_bytes / 1e6:,.0f} MB of Parquet in {settings.lake_path}, "
        f"{seen.database_bytes / 1e9:,.1f} GB in PostgreSQL"
    )
    for one in disk_space.rooms(settings, farm):
        console.print(one.said, style="red" if one.needed > one.free else None, soft_wrap=True)


@configured(app)
def build(
    settings: Settings,
    month: Annotated[
        list[str] | None, typer.Option(help="Only this month's events, as 2026-01; may be repeated.")
    ] = None,
    database: Annotated[bool, typer.Option(help="Load PostgreSQL, or stop at the Parquet lake.")] = True,
) -> None:
    """Build the farm: plan, lives, events, states, checks, load, report. Exit status 1 if anything fails."""
    from aquamind_pipeline import report
    from aquamind_pipeline.definitions import BUILD_FARM, BUILD_LAKE, BUILD_MONTH, MONTH_ASSETS
    from aquamind_pipeline.orchestration.partitions import months
    from aquamind_pipeline.orchestration.run_jobs import run_job
    from aquamind_pipeline.orchestration.workspace import Workspace
    from aquamind_pipeline.pipeline import disk_space

    workspace = Workspace(settings, Bars())
    if not month:
        disk_space.require(disk_space.rooms(settings, workspace.wanted, database=database))
    with workspace.lake.exclusive(), contextlib.ExitStack() as held:
        farm = workspace.wanted
        if database:
            held.enter_context(workspace.database())  # one start of the embedded server for the whole build
        console.print(
            f"[bold]{farm.name}[/], seed {farm.seed}, {farm.epoch} to {farm.as_of}, lake {settings.lake_path}"
        )
        keys = months(farm.epoch, farm.as_of)
        if month:
            for one in month:
                if one not in keys:
                    raise ConfigError(f"there is no month {one!r}: the farm has {keys[0]} to {keys[-1]}")
                _finish(run_job(workspace, BUILD_MONTH, [one], assets=None if database else MONTH_ASSETS))
            return
        _finish(run_job(workspace, BUILD_FARM if database else BUILD_LAKE, keys))
        if database:
            path = report.report_path(settings)
            report.show(report.load_saved(path), console)
            _say_where(settings)


def _finish(outcome: Any) -> None:
    for failed in outcome.failed_checks:
        errors.print(f"[red]check failed[/] {failed}", soft_wrap=True)
    for failed in outcome.warnings:
        errors.print(f"[yellow]check warns[/] {failed}", soft_wrap=True)
    slowest = sorted(outcome.step_seconds.items(), key=lambda item: -item[1])[:6]
    console.print(
        f"{outcome.checks} checks, {len(outcome.failed_checks)} failed, {len(outcome.warnings)} warn; "
        f"{outcome.seconds:.1f} s, of which " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest)
    )
    if not outcome.success or outcome.failed_checks:
        raise typer.Exit(1)


@configured(app)
def load(settings: Settings) -> None:
    """Load what changed in the lake into PostgreSQL and verify it. Repeating it changes nothing."""
    from aquamind_pipeline import report
    from aquamind_pipeline.definitions import LOAD_DATABASE
    from aquamind_pipeline.orchestration.partitions import months
    from aquamind_pipeline.orchestration.run_jobs import run_job
    from aquamind_pipeline.orchestration.workspace import Workspace
    from aquamind_pipeline.pipeline import disk_space

    workspace = Workspace(settings, Bars())
    farm = workspace.planned
    disk_space.require(disk_space.rooms(settings, farm, lake=False))
    with workspace.lake.exclusive(), workspace.database():
        _finish(run_job(workspace, LOAD_DATABASE, months(farm.epoch, farm.as_of)))
        report.show(report.load_saved(report.report_path(settings)), console)


@configured(app)
def verify(settings: Settings) -> None:
    """Hold lake and database against every rule, and write the report. Exit status 1 if any check fails."""
    import polars as pl

    from aquamind_pipeline import report, tables
    from aquamind_pipeline.orchestration.workspace import Workspace
    from aquamind_pipeline.pipeline import check_results
    from aquamind_pipeline.postgres import comparison

    workspace = Workspace(settings, Bars())
    check_results.forget(settings)
    with workspace.database() as url:
        verified, series = report.verify(url, settings.farm, kept=report.sums_path(settings))
        if workspace.lake.manifest() is not None:
            found = list(workspace.proof().everything())
            found += [(name, one) for name in tables.TABLES for one in comparison.compared(url, workspace.lake, [name])]
            check_results.save(settings, check_results.VERIFY, found)
    report.save(verified, report.report_path(settings))
    broken = check_results.load(settings)
    report.save_page(verified, series, broken, report.page_path(settings))
    report.show(verified, console)
    skipped = pl.col("rule").is_in(settings.skip_checks)
    broken = broken.filter(~pl.col("passed"))
    for one in broken.filter(skipped).iter_rows(named=True):
        errors.print(f"[yellow]check skipped[/] {one['asset']} {one['rule']}: {one['detail']}", soft_wrap=True)
    broken = broken.filter(~skipped)
    for one in broken.iter_rows(named=True):
        errors.print(f"[red]check failed[/] {one['asset']} {one['rule']}: {one['detail']}", soft_wrap=True)
    _say_where(settings)
    if not verified.passed or broken.height:
        raise typer.Exit(1)


def _say_where(settings: Settings) -> None:
    from aquamind_pipeline import report
    from aquamind_pipeline.report.data_docs import DataDocs

    console.print(f"report: {report.report_path(settings)}", soft_wrap=True)
    console.print(f"as a page: {report.page_path(settings)}", soft_wrap=True)
    if DataDocs(settings).index.exists():
        console.print(f"Data Docs: {DataDocs(settings).index}", soft_wrap=True)


@configured(app)
def lake(settings: Settings) -> None:
    """Make a DuckDB file with a view over each table of the lake, and say how to use it."""
    from aquamind_pipeline.lake import duckdb_views
    from aquamind_pipeline.orchestration.asset_specs import OWN_TABLES
    from aquamind_pipeline.orchestration.workspace import Workspace

    workspace = Workspace(settings)
    workspace.lake.require(settings.farm)
    made = duckdb_views.create(workspace.lake, OWN_TABLES)
    shown = Table("view", "months", "rows", "MB", "bytes per row")
    for column in shown.columns[1:]:
        column.justify = "right"
    for one in made:
        months = "" if one.months is None else str(one.months)
        each = f"{one.bytes / one.rows:,.1f}" if one.rows >= 1000 else ""
        shown.add_row(one.name, months, f"{one.rows:,}", f"{one.bytes / 1e6:,.2f}", each)
    console.print(shown)
    path = duckdb_views.path_of(workspace.lake.folder)
    console.print(f"{len(made)} views over {workspace.lake.root}: {path}", soft_wrap=True)
    console.print(f"in Python: duckdb.connect({str(path)!r}, read_only=True)", soft_wrap=True)
    console.print(f"on the command line, where DuckDB is installed: duckdb -readonly {path}", soft_wrap=True)


@configured(app)
def wipe(
    settings: Settings,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    files: Annotated[bool, typer.Option(help="Delete the Parquet lake.")] = True,
    database: Annotated[bool, typer.Option(help="Take the farm out of PostgreSQL.")] = True,
) -> None:
    """Delete this farm: its lake and its rows in the database. Other farms, tables and rows stay."""
    from aquamind_pipeline import tables
    from aquamind_pipeline.lake import Manifest, duckdb_views
    from aquamind_pipeline.orchestration.asset_specs import OWN_TABLES
    from aquamind_pipeline.orchestration.workspace import Workspace
    from aquamind_pipeline.postgres import load, schema
    from aquamind_pipeline.postgres.connection import described, is_local

    workspace = Workspace(settings)
    lake, farm = workspace.lake, settings.farm
    if files:
        lake.require(farm, must_exist=False)
    url = settings.database_url
    where = described(url) if url else f"the embedded database {settings.database_name}"
    what = [str(settings.lake_path)] * files + [where] * database
    if database and url and not is_local(url):
        errors.print(f"[yellow]careful[/]: {where} is not on this machine", soft_wrap=True)
    if not yes and not dry_run:
        typer.confirm(f"Delete {' and '.join(what)}?", abort=True)
    there = files and lake.exists()
    # Held from the start: nothing goes from the database when somebody is building the lake that is to go with it.
    with lake.exclusive() if there and not dry_run else contextlib.nullcontext():
        if database:
            with workspace.database() as target:
                schema.require(target, Manifest.of(farm))
                out = load.wipe(target, dry_run=dry_run)
            _show_wiped(where, out, dry_run=dry_run)
        if there and not dry_run:
            lake.delete([*tables.TABLES, *OWN_TABLES])
            if isinstance(settings.lake_path, Path):
                duckdb_views.path_of(settings.lake_path).unlink(missing_ok=True)
    if files:
        gone = "would be deleted" if dry_run else "deleted"
        console.print(f"{settings.lake_path}: {gone if there else 'was not there'}", soft_wrap=True)


def _show_wiped(where: str, out: dict[str, tuple[int, int]] | None, *, dry_run: bool) -> None:
    if out is None:
        console.print(f"{where}: held no farm", soft_wrap=True)
        return
    rows = sum(gone for gone, _ in out.values())
    console.print(f"{where}: {rows:,} rows of {len(out)} tables {'would go' if dry_run else 'gone'}", soft_wrap=True)
    for table, (_, kept) in out.items():
        if kept:
            console.print(f"  {table}: {kept:,} rows stay, because others use them")


@app.command()
def profiles() -> None:
    """List the profiles that come with the pipeline."""
    shown = Table("profile", "what it is", "seed", "from", "to")
    for name in profile_names():
        farm = load_profile(name)
        shown.add_row(name, farm.description, str(farm.seed), str(farm.epoch), str(farm.as_of))
    console.print(shown)


@configured(app)
def ui(
    settings: Settings,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open Dagster's user interface for this farm on http://127.0.0.1:3000, until Ctrl-C."""
    import dagster as dg

    from aquamind_pipeline.orchestration.run_health import close_dead_runs
    from aquamind_pipeline.orchestration.run_jobs import dagster_home, project_file

    dagster_home(settings)
    os.environ.update(settings.environment())
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
    workspace = project_file("workspace.yaml")
    console.print(f"Dagster for {settings.farm_name}: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = [
        str(Path(sys.executable).with_name("dagster")),
        "dev",
        "--workspace",
        str(workspace),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    os.chdir(workspace.parent)
    sys.stdout.flush()
    pages = [
        sys.executable,
        "-m",
        "aquamind_pipeline.orchestration.page_server",
        str(settings.reports_path),
        settings.pages_url,
    ]
    subprocess.Popen(pages)  # noqa: S603 - our own module; it ends when we do
    # In our place rather than as a child: Ctrl-C and every other signal reach it without our help.
    os.execv(command[0], command)  # noqa: S606 - our own command, no shell


db = typer.Typer(no_args_is_help=True, help="The embedded PostgreSQL, and rights in other ones.")
app.add_typer(db, name="db")


def _embedded(settings: Settings) -> Any:
    from aquamind_pipeline.postgres.server import EmbeddedServer

    if settings.database_url is not None:
        raise ConfigError(
            "AQUAMIND_DATABASE_URL names a server of your own; `aquamind db` is for the embedded one: unset it first"
        )
    return EmbeddedServer(settings.home)


def _running_url(settings: Settings) -> str:
    url = _embedded(settings).url(settings.database_name)
    if url is None:
        raise DatabaseError("the embedded PostgreSQL does not run: `aquamind db start`")
    return str(url.get_secret_value())


@configured(db)
def start(settings: Settings) -> None:
    """Start the embedded PostgreSQL, leave it running, and print how to connect."""
    url = _embedded(settings).keep(settings.database_name)
    console.print("Connect with any PostgreSQL client (the password in it is this machine's own):")
    console.print(url.get_secret_value(), soft_wrap=True)
    console.print("`aquamind db stop` stops the server.")


@configured(db)
def stop(settings: Settings) -> None:
    """Stop the embedded PostgreSQL."""
    stopped = _embedded(settings).stop()
    console.print("stopped" if stopped else "somebody uses it still; it stops when they are done")


@configured(db)
def status(settings: Settings) -> None:
    """Say whether the embedded PostgreSQL runs. Exit status 3 if not."""
    if _embedded(settings).url(settings.database_name) is None:
        console.print("stopped")
        raise typer.Exit(3)
    console.print("running")


@configured(db)
def url(settings: Settings) -> None:
    """Print the URL of the farm's database, for scripts."""
    console.print(_running_url(settings), soft_wrap=True)


@configured(db)
def psql(
    settings: Settings,
    command: Annotated[str | None, typer.Option("--command", "-c", help="Run one command and end.")] = None,
) -> None:
    """Open psql on the farm's database."""
    from aquamind_pipeline.postgres.connection import environment

    program = _embedded(settings).psql()
    os.environ.update(environment(_running_url(settings)))
    sys.stdout.flush()
    os.execv(program, [str(program), *(["-c", command] if command else [])])  # noqa: S606 - our own program, no shell


@db.command()
def grants(
    role: Annotated[str, typer.Argument(help="The role that will load.")],
    database: Annotated[str, typer.Option(help="AquaMind's database.")] = "aquamind_db",
) -> None:
    """Print SQL that gives a role the least rights for loading into AquaMind's database."""
    from aquamind_pipeline.postgres.aquamind import grants as statements

    sys.stdout.write(statements(role, database))


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like Ctrl-C, so that locks and the server are let go."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """End a user's mistake or an interruption in one line."""
    try:
        yield
    except AquaMindError as error:
        errors.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        errors.print("stopped; what was whole is kept, and the same command goes on from there")
        raise typer.Exit(130) from None


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGTERM, _terminated)
    app()
