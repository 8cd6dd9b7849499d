"""`aquamind ui`: Dagster's web pages for one farm."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from aquamind_pipeline.cli.console import print_line
from aquamind_pipeline.cli.options import NUMBER, whole_number
from aquamind_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from aquamind_pipeline.settings import Settings

_HOST = "127.0.0.1"
_DEFAULT_PORT = 3000
_LAST_PORT = 65535
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 30
"""How long a process may take to end before it is told again."""
_LONGEST_FOLDER = 80
"""Characters of a folder for sockets: the kernel allows 107 for a socket's whole path."""


def _port(text: str | int) -> int:
    port = whole_number(text)
    if not 1 <= port <= _LAST_PORT:
        raise typer.BadParameter(f"{port} is not a port; choose a number from 1 to {_LAST_PORT}")
    return port


def ui(
    settings: "Settings",
    port: Annotated[
        int, typer.Option(parser=_port, metavar=NUMBER, help="Port on 127.0.0.1, for Dagster's pages.")
    ] = _DEFAULT_PORT,
    show: Annotated[bool, typer.Option("--open", help="Open the pages in your browser once they answer.")] = False,
) -> None:
    """Serve Dagster's web pages for this farm, on http://127.0.0.1:3000 until Ctrl-C."""
    from aquamind_pipeline.orchestration.page_server import port_here

    pages_port = port_here(settings.pages_url)
    _require_free(port, "--port", f"`aquamind ui --port {_free_after(port, pages_port)}`")
    if pages_port is not None:
        free = f"http://{_HOST}:{_free_after(pages_port, port)}"
        if pages_port == port:
            raise ConfigError(f"Dagster and its reports cannot share port {port}: set AQUAMIND_PAGES_URL={free}")
        _require_free(pages_port, "AQUAMIND_PAGES_URL, for reports", f"AQUAMIND_PAGES_URL={free}")

    print_line(f"starting Dagster for {settings.farm_name} …")
    sys.stdout.flush()
    from aquamind_pipeline.orchestration.compat.services import (
        ADDRESS_VARIABLE,
        WORKSPACE,
        Service,
        code_server,
        interrupts_held,
    )

    _use_plain_temporary_folder()
    variables = settings.environment()
    if not settings.farm.is_anchored:  # each run finds out its own day; an anchor is the same for all
        variables.pop("AQUAMIND_TODAY", None)
    address = f"http://{_HOST}:{port}"
    os.environ.update(variables | {ADDRESS_VARIABLE: address})
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else it tells how its connections end
    with _Together() as together:
        # The web server imports Dagster while this process does, and while the code server loads the farm.
        webserver = Service("webserver")
        together.add("Dagster's web server", webserver.process)
        if pages_port is not None:
            server = ["-m", "aquamind_pipeline.orchestration.page_server", str(settings.reports_path)]
            command = [sys.executable, *server, settings.pages_url]
            with interrupts_held():
                together.add("the server of reports", subprocess.Popen(command, cwd=WORKSPACE.parent))  # noqa: S603

        import dagster as dg

        from aquamind_pipeline.orchestration.compat.run_ends import tell_of_ended_runs
        from aquamind_pipeline.orchestration.records import dagster_home, require_own_records
        from aquamind_pipeline.orchestration.run_health import close_dead_runs

        tell_of_ended_runs()
        variables = {"DAGSTER_HOME": str(dagster_home(settings))}
        with dg.DagsterInstance.get() as instance:
            require_own_records(instance, settings.farm_name)
            close_dead_runs(instance)
            with code_server(instance) as workspace:
                where = ("--workspace", str(workspace))
                quiet = ("--dagster-log-level", "warning")
                webserver.begin(variables, "--host", _HOST, "--port", str(port), *quiet, *where)
                # Ctrl-C while the daemon starts ends everything with status 0, like a later one.
                with contextlib.suppress(KeyboardInterrupt):
                    if together.wait_for(lambda: _answers(address)):
                        print_line(f"ready: {address} (Ctrl-C ends it)")
                        sys.stdout.flush()
                        daemon = Service("daemon")
                        together.add("Dagster's daemon", daemon.process)
                        daemon.begin(variables, "--log-level", "warning", *where)
                        if show and not webbrowser.open(address):
                            print_line("no browser was found: open the address yourself")
                        together.wait_for(lambda: False)
                together.end()


def _use_plain_temporary_folder() -> None:
    """Put the sockets of Dagster's processes into /tmp if TMPDIR has a name that the address of no socket can have."""
    folder = tempfile.gettempdir()
    if (quote(folder) != folder or len(folder) > _LONGEST_FOLDER) and os.access("/tmp", os.W_OK):  # noqa: S108
        os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"  # noqa: S108 - the sockets' own names are drawn


def _require_free(port: int, setting: str, remedy: str) -> None:
    """Refuse a port on which another process listens.

    Raises:
        ConfigError: when the port cannot be used; the message names the process, the setting and the remedy.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: an ended one does not count
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            who = _listener(port) if error.errno == errno.EADDRINUSE else ""
            raise ConfigError(
                f"port {port} ({setting}) cannot be used: {error.strerror}{who}; choose another, as {remedy}"
            ) from None


def _listener(port: int) -> str:
    """The process that listens on a port, in words; empty if it belongs to another user."""
    import psutil

    try:
        found = [one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid]
        return f" by process {found[0]} ({psutil.Process(found[0]).name()})" if found else ""
    except psutil.Error:
        return ""


def _free_after(port: int, other: int | None) -> int:
    """The next free port that is not `other`; 3000 if there is none."""
    for candidate in range(port + 1, min(port + 100, _LAST_PORT)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((_HOST, candidate))
            if candidate != other:
                return candidate
    return _DEFAULT_PORT


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=_LOOK_SECONDS) as answer:  # noqa: S310 - http
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


class _Together:
    """Processes that live together: a signal ends all of them, and so does the end of one."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[Any]] = {}
        self._received = threading.Event()
        self._waits = False

    def __enter__(self) -> "_Together":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _note(self, *_: object) -> None:
        """Note a signal. While this process still starts the others, the signal interrupts it."""
        if not self._received.is_set():
            self._received.set()
            if not self._waits:
                raise KeyboardInterrupt

    def add(self, name: str, process: "subprocess.Popen[Any]") -> None:
        """Add a process, by its name for people."""
        self._running[name] = process

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until something holds; False if a signal came before.

        Raises:
            ConfigError: when a process ended by itself.
        """
        self._waits = True
        try:
            while not self._received.is_set():
                ended = [name for name, one in self._running.items() if one.poll() is not None]
                if ended and not self._received.wait(_LOOK_SECONDS):  # a terminal sends Ctrl-C to all at once
                    raise ConfigError(f"{ended[0]} ended by itself, so everything was ended: start `aquamind ui` again")
                if condition():
                    return True
                self._received.wait(_LOOK_SECONDS)
            return False
        finally:
            self._waits = False

    def end(self) -> None:
        """End all processes, and wait until they have ended."""
        self._waits = True
        if self._received.is_set():
            time.sleep(_LOOK_SECONDS)  # so that processes that got the terminal's Ctrl-C, too, have begun to end
        # The terminal sends Ctrl-C to all of them. A second one would disturb Dagster while it ends its own processes.
        running = self._running.values()
        all_know = self._received.is_set() and any(one.poll() == -signal.SIGINT for one in running)
        for one in running:
            if not all_know and one.poll() is None:
                one.send_signal(signal.SIGINT)
        for one in running:
            while True:
                try:
                    one.wait(_PATIENCE_SECONDS)
                    break
                except subprocess.TimeoutExpired:  # Python swallows an interrupt that comes in a destructor
                    one.send_signal(signal.SIGINT)
        self._running = {}
