"""Puts the commands together and starts the one that the user named."""

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from aquamind_pipeline.cli import build, checks, db, faults, lake, load, plan, profiles, ui, verify, wipe
from aquamind_pipeline.cli.console import error_console, print_line, show_warnings
from aquamind_pipeline.cli.options import BUILDING, FARM, add, configured
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely

app = typer.Typer(
    name="aquamind",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # panels cut long names of options on a narrow terminal
    help="Build a whole salmon farm for AquaMind: generate it, assimilate its growth, check it, load it.",
    epilog="Exit status: 0 success, 1 error or failed check, 2 wrong option, 130 interrupted.",
)


def _print_version(asked: bool) -> None:
    if asked:
        from aquamind_pipeline import __version__

        print_line(f"aquamind {__version__}")
        raise typer.Exit


@app.callback()
def _aquamind(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


_LAKE, _DATABASE = (*FARM, "home", "lake"), (*FARM, "home", "lake", "database_url")
_COMMANDS: tuple[tuple[Callable[..., None], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        plan.plan,
        (*FARM, "as_of", "home", "lake", "database_url"),
        ("aquamind plan", "aquamind plan --profile saturation-170 --seed 7"),
    ),
    (
        build.build,
        BUILDING,
        (
            "aquamind build --profile tiny",
            "aquamind build --month 2026-03 --month 2026-04 --no-database",
            "aquamind build --profile tiny --fault doubled-transfers --load-anyway",
        ),
    ),
    (
        load.load,
        (*_DATABASE, "load_anyway", "reload", "history", "owner"),
        ("aquamind load --profile tiny", "aquamind load --reload"),
    ),
    (verify.verify, (*_DATABASE, "skip_checks"), ("aquamind verify --profile tiny --skip-check expectations",)),
    (lake.lake, _LAKE, ("aquamind lake --profile tiny",)),
    (wipe.wipe, _DATABASE, ("aquamind wipe --profile tiny --dry-run", "aquamind wipe --no-files --yes")),
    (ui.ui, BUILDING, ("aquamind ui --profile tiny", "aquamind ui --port 3005")),
)
"""Each command that works on a farm, with the options that apply to it and its examples."""
_LISTS = (profiles.profiles, faults.faults, checks.checks)
for _command, _settings, _examples in _COMMANDS:
    add(app, configured(_command, *_settings), *_examples)
for _command in _LISTS:
    add(app, _command)
app.add_typer(db.group, name="db", short_help=db.HELP)
_BEFORE_A_COMMAND = ("-h", "--help", "--version")
_WRONG_OPTION = 2


def main() -> None:
    """Run the command that the arguments of this process name."""
    collect_rarely()
    show_warnings()
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        signal.signal(signal.SIGHUP, _interrupt)
    _require_command_first(sys.argv[1:])
    app(prog_name="aquamind")


def _require_command_first(arguments: list[str]) -> None:
    """End with a line if an option of a command stands before the command: Click says that there is no such option."""
    commands = [*(command.__name__ for command, *_ in _COMMANDS), *(one.__name__ for one in _LISTS), "db"]
    named = next((one for one in arguments if one in commands), None)
    if named is not None and arguments[0].startswith("-") and arguments[0] not in _BEFORE_A_COMMAND:
        error_console.print(f"error: options follow the command: aquamind {named} {arguments[0]} …", style="red")
        sys.exit(_WRONG_OPTION)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that the command releases its locks and the embedded server."""
    raise KeyboardInterrupt
