"""The command line as a user meets it: a process, its output, its exit status."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import reduction
from pathlib import Path
from typing import Any

AQUAMIND = str(Path(sys.executable).with_name("aquamind"))
FULL = "error: standard output cannot be written: No space left on device\n"

QUICK = {"AQUAMIND_SKIP_CHECKS": "expectations"}
"""For builds in tests that are not about checks: the suites of Great Expectations take half of a small build's time."""

_FORKS = multiprocessing.get_context("forkserver")
_LIBRARIES = (
    "numpy", "polars", "sqlalchemy.dialects.postgresql", "psycopg", "pydantic_settings", "psutil", "typer",
    "rich.console", "rich.progress", "rich.table", "dagster",
)  # fmt: skip
"""None of them starts a thread that a command needs: a forked process has none of the threads of its parent."""


def installed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program on the tiny farm, with these variables."""
    return _run([AQUAMIND, *arguments], environment)


def aquamind(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `installed` does, in a process that need not import the libraries first.

    It takes half of the time. Tests of what a new interpreter does take `installed`.
    """
    with open(os.devnull) as stdin, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        streams = stdin.fileno(), out.fileno(), errors.fileno()
        status = in_a_fork(arguments, _variables(environment), streams)()
        out.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess([AQUAMIND, *arguments], status, out.read(), errors.read())


def in_a_fork(arguments: Sequence[str], variables: Mapping[str, str], streams: Sequence[int]) -> Callable[[], int]:
    """Start a command in a process that is forked from one with the libraries that commands need.

    Modules of the pipeline are imported by each command, so a command still shows what it imports itself, and reads
    its settings anew.

    Args:
        arguments: The command.
        variables: All of its environment.
        streams: Descriptors of its standard input, output and error.

    Returns:
        A function that waits for its end and returns its exit status.
    """
    _FORKS.set_forkserver_preload(list(_LIBRARIES))
    process = _FORKS.Process(target=_command, args=(arguments, dict(variables), [_Stream(one) for one in streams]))
    process.start()

    def wait() -> int:
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    return wait


@dataclass(frozen=True)
class _Stream:
    """A descriptor that the process gets a copy of."""

    number: int

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(copy: Any) -> _Stream:
    return _Stream(copy.detach())


def _command(arguments: Sequence[str], variables: Mapping[str, str], streams: Sequence[_Stream]) -> None:
    """What the process does: it becomes the command."""
    copies = [fcntl.fcntl(one.number, fcntl.F_DUPFD_CLOEXEC, 3) for one in streams]  # a received one may be 0
    for place, copy in enumerate(copies):
        os.dup2(copy, place)
    # Python's own streams do not close the descriptors either.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    sys.argv = [AQUAMIND, *arguments]
    from aquamind_pipeline.cli import main

    main()


def redirected(operator: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command with a redirection of bash.

    Args:
        operator: What bash does with the command's streams, such as `>/dev/full`, or `| head -1`.
        arguments: The command.
        environment: Its variables.

    Returns:
        The command's own status, and what came out of the redirection and on standard error.
    """
    script = f'"$0" "$@" {operator}; exit ${{PIPESTATUS[0]}}'
    done = _run(["bash", "-c", script, AQUAMIND, *arguments], environment)
    return done.returncode, done.stdout, done.stderr


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=_variables(environment))


def _variables(environment: dict[str, str]) -> dict[str, str]:
    return os.environ | {"COLUMNS": "200", "AQUAMIND_PROFILE": "tiny"} | environment


def one_line(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Assert that a command ended as a user's mistake ends: with one line that says so."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def free_ports(number: int) -> list[int]:
    """Ports on which nobody listens."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


__all__ = ["AQUAMIND", "FULL", "QUICK", "aquamind", "free_ports", "in_a_fork", "installed", "one_line", "redirected"]
