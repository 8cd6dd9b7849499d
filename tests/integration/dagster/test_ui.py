"""`aquamind ui` as a process: ports that are taken, and what is left when it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.helpers.commands import AQUAMIND, aquamind, one_line
from tests.helpers.farms import wait_for
from tests.helpers.places import SIGNS


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens, on every address of the machine."""
    with socket.socket() as listening:
        listening.bind(("", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("port", "pages", "message"),
    [
        ("{taken}", "http://127.0.0.1:1", r"choose another, as `aquamind ui --port "),
        ("{free}", "http://localhost:{taken}", r"choose another, as AQUAMIND_PAGES_URL=http://127.0.0.1:"),
    ],
)
def test_a_taken_port_is_refused(taken: int, port: str, pages: str, message: str) -> None:
    free = free_ports(1)[0]
    values = {"taken": taken, "free": free}
    done = aquamind("ui", "--port", port.format(**values), AQUAMIND_PAGES_URL=pages.format(**values))
    one_line(done, f"error: port {taken} (")
    assert f"by process {os.getpid()} " in done.stderr
    assert message in done.stderr


def free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGINT", "SIGTERM", "SIGHUP", "web server", "reports"])
def test_nothing_is_left_running(tmp_path: Path, how: str) -> None:
    """A signal ends everything with status 0, from the terminal (to the whole group) or to one process. A server that
    dies ends everything with a line. Folders may have any name.
    """
    port, pages = free_ports(2)
    home = tmp_path / SIGNS
    (home / "temporary").mkdir(parents=True)
    variables = {"AQUAMIND_HOME": str(home), "TMPDIR": str(home / "temporary"), "AQUAMIND_PROFILE": "tiny"}
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [AQUAMIND, "ui", "--port", str(port)],
            env=os.environ | variables | {"AQUAMIND_PAGES_URL": f"http://127.0.0.1:{pages}"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        wait_for(lambda: answers(port) and answers(pages), process)
        children = psutil.Process(process.pid).children(recursive=True)
        servers = {"web server": "dagster_webserver", "reports": "aquamind_pipeline.orchestration.page_server"}
        if how in servers:
            next(one for one in children if servers[how] in one.cmdline()).kill()
        elif how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.Signals[how])
        process.wait()
        wait_for(lambda: not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE])
        log.seek(0)
        said = log.read()
    assert process.returncode == (1 if how in servers else 0), said
    assert said.endswith("ended by itself, so everything was ended: start `aquamind ui` again\n") == (how in servers)
    assert (home / "dagster" / "tiny" / "history" / "runs.db").is_file()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
