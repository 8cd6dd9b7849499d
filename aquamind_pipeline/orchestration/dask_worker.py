"""What a Dask worker does for a run: it executes one step in a new process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from distributed import Event


def run_step(task: str, environment: dict[str, str], secret_names: list[str]) -> None:
    """Execute one step in a new process and wait for its end.

    Dagster's event log says whether the step succeeded. A step that fails still ends its process in order.

    Args:
        task: Name of the task, unique on the cluster.
        environment: Variables of the process: the settings of the run, and the arguments of the step. The worker's own
            settings do not count.
        secret_names: Variables that the worker's own environment must have, since secrets are never sent.

    Raises:
        RuntimeError: when the worker lacks a secret, or the process crashed.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AQUAMIND_")} | environment
    for name in secret_names:
        if name not in os.environ:
            raise RuntimeError(f"the Dask worker on {socket.gethostname()} has no {name}: set it there, too")
        variables[name] = os.environ[name]
    stop = Event(stop_event(task))
    command = [sys.executable, "-m", "dagster", "api", "execute_step"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        while process.poll() is None:
            if stop.wait(timeout=1):
                process.send_signal(signal.SIGINT)
                process.wait()
    if process.returncode:
        raise RuntimeError(f"its process on {socket.gethostname()} ended with status {process.returncode}")


def stop_event(task: str) -> str:
    """Name of the Dask event that interrupts a task."""
    return f"stop-{task}"


__all__ = ["run_step", "stop_event"]
