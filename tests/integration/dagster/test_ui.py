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

from tests.helpers.commands import AQUAMIND, aquamind, free_ports, one_line
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


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "webserver", "daemon", "reports"])
def test_nothing_is_left_running(tmp_path: Path, how: str) -> None:
    """A signal ends everything with status 0, from the terminal (to the whole group) or to one process. A server that
    dies ends everything with a line. Until then there are two lines, and the second is true. Folders may have any name,
    and scripts in the working directory too.
    """
    port, pages = free_ports(2)
    home = tmp_path / SIGNS
    (home / "temporary").mkdir(parents=True)
    for name in ("json", "calendar", "polars", "dagster"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a script of the user')")
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    variables = {"AQUAMIND_HOME": str(home), "TMPDIR": str(home / "temporary"), "AQUAMIND_PROFILE": "tiny"}
    variables |= {"AQUAMIND_PAGES_URL": f"http://127.0.0.1:{pages}", "BROWSER": str(browser), "DAGSTER_HOME": ""}
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [AQUAMIND, "ui", "--port", str(port), "--open"],
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=tmp_path,
        )
        wait_for(opened.exists, process)
        assert answers(port)
        assert answers(pages)
        services = {
            "webserver": "webserver",
            "daemon": "daemon",
            "reports": "aquamind_pipeline.orchestration.page_server",
        }
        wait_for(lambda: set(services.values()) <= {name for one in family(process) for name in one.cmdline()}, process)
        children = family(process)
        if how in services:
            next(one for one in children if services[how] in one.cmdline()).kill()
        elif how == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.Signals[how])
        process.wait()
        wait_for(lambda: not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE])
        log.seek(0)
        said = log.read()
    assert process.returncode == (1 if how in services else -signal.SIGKILL if how == "SIGKILL" else 0), said
    address = f"http://127.0.0.1:{port}"
    assert opened.read_text() == f"{address}\n"
    first, second, *rest = said.splitlines()
    assert (first, second) == ("starting Dagster for tiny …", f"ready: {address} (Ctrl-C ends it)")
    if how in services:
        assert rest[-1].endswith("ended by itself, so everything was ended: start `aquamind ui` again")
    elif how != "SIGKILL":
        assert rest == []
    assert (home / "dagster" / "tiny" / "history" / "runs.db").is_file()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
