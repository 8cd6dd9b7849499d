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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
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
) -> None:
    """Open Dagster's web pages for this farm, on http://127.0.0.1:3000 until Ctrl-C."""
    from aquamind_pipeline.orchestration.page_server import port_here

    pages_port = port_here(settings.pages_url)
    _require_free(port, "--port", f"`aquamind ui --port {_free_after(port, pages_port)}`")
    if pages_port is not None:
        free = f"http://{_HOST}:{_free_after(pages_port, port)}"
        if pages_port == port:
            raise ConfigError(f"Dagster and its reports cannot share port {port}: set AQUAMIND_PAGES_URL={free}")
        _require_free(pages_port, "AQUAMIND_PAGES_URL, for reports", f"AQUAMIND_PAGES_URL={free}")

    import dagster as dg

    from aquamind_pipeline.orchestration.records import WORKSPACE, dagster_home, require_own_records
    from aquamind_pipeline.orchestration.run_health import close_dead_runs

    dagster_home(settings)
    variables = settings.environment()
    if not settings.farm.is_anchored:  # each run finds out its own day; an anchor is the same for all
        variables.pop("AQUAMIND_TODAY", None)
    os.environ.update(variables)
    with dg.DagsterInstance.get() as instance:
        require_own_records(instance, settings.farm_name)
        close_dead_runs(instance)
    print_line(f"Dagster for {settings.farm_name}: http://{_HOST}:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    dagster = ["-m", "aquamind_pipeline.orchestration.compat.paths", "dev", "--workspace", str(WORKSPACE)]
    commands = {"Dagster": [sys.executable, *dagster, "--host", _HOST, "--port", str(port)]}
    if pages_port is not None:
        server = ["-m", "aquamind_pipeline.orchestration.page_server", str(settings.reports_path), settings.pages_url]
        commands["the server of reports"] = [sys.executable, *server]
    _use_plain_temporary_folder()
    _run_together(commands, WORKSPACE.parent)


def _use_plain_temporary_folder() -> None:
    """Put the sockets of Dagster's processes into /tmp if TMPDIR has a name that the address of no socket can have."""
    folder = tempfile.gettempdir()
    if (quote(folder) != folder or len(folder) > _LONGEST_FOLDER) and os.access("/tmp", os.W_OK):  # noqa: S108
        os.environ["TMPDIR"] = "/tmp"  # noqa: S108 - the sockets' own names are drawn


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


def _run_together(commands: dict[str, list[str]], folder: Path) -> None:
    """Run programs until Ctrl-C or another signal ends all of them, or until one of them ends.

    Args:
        commands: The programs, by name for people.
        folder: The working folder of all.

    Raises:
        ConfigError: when one of them ended by itself.
    """
    received = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: received.set())
    running = {
        name: subprocess.Popen(command, cwd=folder)  # noqa: S603 - our own commands, no shell
        for name, command in commands.items()
    }
    ended: list[str] = []
    while not ended and not received.wait(_LOOK_SECONDS):
        ended = [name for name, one in running.items() if one.poll() is not None]
    if received.is_set():
        time.sleep(_LOOK_SECONDS)
    # The terminal sends Ctrl-C to all of them. A second one would disturb Dagster while it ends its own processes.
    all_know = received.is_set() and any(one.poll() == -signal.SIGINT for one in running.values())
    for one in running.values():
        if not all_know and one.poll() is None:
            one.send_signal(signal.SIGINT)
    for one in running.values():
        one.wait()
    if ended:
        raise ConfigError(f"{ended[0]} ended by itself, so everything was ended: start `aquamind ui` again")
