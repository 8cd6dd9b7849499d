"""The command line as a user meets it: a process, its output, its exit status."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

AQUAMIND = str(Path(sys.executable).with_name("aquamind"))
FULL = "error: standard output cannot be written: No space left on device\n"

QUICK = {"AQUAMIND_SKIP_CHECKS": "expectations"}
"""For builds in tests that are not about checks: the suites of Great Expectations take half of a small build's time."""


def aquamind(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the tiny farm, with these variables."""
    return _run([AQUAMIND, *arguments], environment)


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
    variables = os.environ | {"COLUMNS": "200", "AQUAMIND_PROFILE": "tiny"} | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)


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


__all__ = ["AQUAMIND", "FULL", "QUICK", "aquamind", "free_ports", "one_line", "redirected"]
