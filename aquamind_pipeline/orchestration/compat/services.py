"""Dagster's web server, daemon and code server, as `aquamind ui` runs them.

`dagster dev` starts one after the other, and each imports Dagster for seconds. Here the web server imports while the
code server loads the definitions. The daemon starts once the pages answer.

As a program, the module is the web server or the daemon. It imports what that needs, then waits for its environment and
its arguments: one line of JSON on standard input. When standard input ends, the parent has ended, and so does it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from aquamind_pipeline.errors import ConfigError

if TYPE_CHECKING:
    import dagster as dg

WORKSPACE = Path(__file__).parents[1] / "workspace" / "workspace.yaml"
"""Where Dagster finds our definitions. The folder has no other file, because Dagster runs in it."""
ADDRESS_VARIABLE = "_AQUAMIND_UI_ADDRESS"
"""Environment variable that tells the processes of runs where the pages are."""
_FORGETS = "No cursor for event type"
"""Begins the daemon's warning that new records have no events yet. It is true of every new farm."""
_REPEATS = "Error loading repository location"
"""Begins a warning after an error in the definitions, which the code server has printed."""
_DEVELOPMENT = {"DAGSTER_IS_DEV_CLI": "1", "DAGSTER_verbose": ""}
"""As `dagster dev` sets them: an error in the definitions is logged without Dagster's own frames."""


class Service:
    """A process that imports one of Dagster's services at once, and begins to serve when it is told to."""

    def __init__(self, kind: str) -> None:
        """Start the process of the `webserver` or the `daemon`."""
        command = [sys.executable, "-m", __name__, kind]
        with interrupts_held():
            self.process = subprocess.Popen(command, cwd=WORKSPACE.parent, stdin=subprocess.PIPE, text=True)  # noqa: S603

    def begin(self, environment: Mapping[str, str], *arguments: str) -> None:
        """Let it serve, with these environment variables and command-line arguments."""
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # the caller sees that it has ended
            self.process.stdin.write(json.dumps([dict(environment), arguments]) + "\n")
            self.process.stdin.flush()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold SIGINT back from processes that are started meanwhile, until they unblock it.

    Ctrl-C while Python itself starts would print a traceback.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def code_server(instance: dg.DagsterInstance) -> Iterator[Path]:
    """Run Dagster's code server, and restart it if it dies. Its process group is the caller's.

    Yields:
        A workspace file that leads to the code server.

    Raises:
        ConfigError: when it does not start.
    """
    import dagster as dg

    # `dagster dev` runs its code server with this class. Dagster has no public one.
    from dagster._cli.proxy_server_manager import ProxyServerManager

    # The type of its argument, which Dagster does not export.
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    os.environ.update(_DEVELOPMENT)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        definitions = folder / "definitions.yaml"
        definitions.write_text(_with_own_folder(WORKSPACE.read_text()))
        try:
            servers = stack.enter_context(
                ProxyServerManager(instance, WorkspaceFileTarget([str(definitions)]), "warning")
            )
            servers_at = [dict(one) for one in servers.get_code_server_specs()]
        except dg.DagsterError as error:
            reason = str(error).strip().partition("\n")[0].partition(" with the command: ")[0]
            raise ConfigError(f"Dagster's code server did not start, see the lines before: {reason}") from None
        file = folder / "workspace.yaml"
        file.write_text(json.dumps({"load_from": servers_at}))  # JSON is YAML, too
        yield file


def _with_own_folder(workspace: str) -> str:
    """Our workspace file, whose working directory is ours: Dagster looks there for modules first."""
    return workspace.replace("working_directory: .", f"working_directory: {json.dumps(str(WORKSPACE.parent))}")


def _serve(kind: str) -> None:
    """Import a service, wait for its arguments, and run it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the imports without a traceback
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the parent held it back, see interrupts_held
    from aquamind_pipeline.orchestration.compat.paths import accept_any_folder

    accept_any_folder()
    if kind == "webserver":
        from dagster_webserver.cli import cli as command
    else:
        # The command behind `dagster-daemon run`. The public entry point takes its arguments from sys.argv only.
        from dagster._daemon.cli import run_command as command

        logging.getLogger("dagster.daemon.EventLogConsumerDaemon").addFilter(
            lambda record: not record.getMessage().startswith(_FORGETS)
        )
    from aquamind_pipeline.orchestration.compat.run_ends import tell_of_ended_runs
    from aquamind_pipeline.orchestration.compat.terminal import leave_out_stacks

    leave_out_stacks()
    tell_of_ended_runs()
    warnings.filterwarnings("ignore", message=_REPEATS)
    orders = sys.stdin.readline()
    if not orders:  # the parent has ended
        return
    environment, arguments = json.loads(orders)
    os.environ.update(_DEVELOPMENT | environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # A context of our own, because `command()` prints "Aborted!" if Ctrl-C comes before the service begins to serve.
    with contextlib.suppress(KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with command.make_context(f"dagster-{kind}", list(arguments)) as context:
            command.invoke(context)


def _end_with_parent() -> None:
    """Interrupt this process when its standard input ends. A read through `sys.stdin` could block its exit."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    _serve(sys.argv[1])


__all__ = ["ADDRESS_VARIABLE", "WORKSPACE", "Service", "code_server", "interrupts_held"]
