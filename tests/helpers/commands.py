"""The command line as a user meets it: a process, its output, its exit status."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

AQUAMIND = str(Path(sys.executable).with_name("aquamind"))
FULL = "error: standard output cannot be written: No space left on device\n"

QUICK = {"AQUAMIND_SKIP_CHECKS": "expectations"}
"""For builds in tests that are not about checks: the suites of Great Expectations take half of a small build's time."""


def installed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program on the tiny farm, with these variables."""
    return _run([AQUAMIND, *arguments], environment)


def aquamind(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `installed` does, in a process that need not import the libraries first (`command_server`).

    It takes half of the time. Tests of what a new interpreter does take `installed`.
    """
    with open(os.devnull) as stdin, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        streams = stdin.fileno(), out.fileno(), errors.fileno()
        status = in_a_fork(arguments, _variables(environment), *streams)()
        out.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess([AQUAMIND, *arguments], status, out.read(), errors.read())


def in_a_fork(
    arguments: Sequence[str], variables: Mapping[str, str], stdin: int, stdout: int, stderr: int
) -> Callable[[], int]:
    """Start a command in a forked process.

    Args:
        arguments: The command.
        variables: All of its environment.
        stdin: What it reads.
        stdout: Where it prints.
        stderr: Where it prints errors.

    Returns:
        A function that waits for its end and returns its exit status.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_command_server(), [b"."], [stdin, stdout, stderr, theirs.fileno()])
    command = {"arguments": [AQUAMIND, *arguments], "environment": dict(variables), "folder": os.getcwd()}
    ours.sendall(json.dumps(command).encode())
    ours.shutdown(socket.SHUT_WR)

    def wait() -> int:
        with ours:
            status = ours.recv(16)
        assert status, "the process that forks commands has ended"
        return int(status)

    return wait


@functools.cache
def _command_server() -> socket.socket:
    """The socket that takes requests. The server ends when this process closes it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", Path(__file__).with_name("command_server.py"), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


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
