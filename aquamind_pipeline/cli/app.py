"""Puts the commands together and starts the one that the user named."""

import signal
from types import FrameType

import typer

from aquamind_pipeline.cli import build, db, lake, load, plan, profiles, ui, verify, wipe
from aquamind_pipeline.cli.console import show_warnings
from aquamind_pipeline.cli.options import configured
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely

app = typer.Typer(
    name="aquamind",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Build a whole salmon farm for AquaMind: generate it, assimilate its growth, check it, load it.",
    epilog="Exit status: 0 success, 1 error or failed check, 2 wrong option, 130 interrupted.",
)
for command in (plan.plan, build.build, load.load, verify.verify, lake.lake, wipe.wipe):
    app.command()(configured(command))
app.command()(profiles.profiles)
app.command()(configured(ui.ui))
app.add_typer(db.group, name="db")


def main() -> None:
    """Run the command that the arguments of this process name."""
    collect_rarely()
    show_warnings()
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        signal.signal(signal.SIGHUP, _interrupt)
    app()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Treat SIGTERM and SIGHUP like Ctrl-C, so that the command releases its locks and the embedded server."""
    raise KeyboardInterrupt
