"""Runs commands in processes forked from this one, which has imported the libraries that they need.

A new interpreter spends most of a short command on these imports. A forked process has its own environment, streams,
working directory and exit status, as any other. Modules of the pipeline are imported by each command, so a command
still shows what it imports itself, and reads its settings anew.

Started with the number of a socket. A request is one byte with four descriptors: standard input, output, error, and a
socket. The socket brings the command as JSON, and takes its exit status.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
import time
from typing import Any

_LIBRARIES = (
    "numpy", "polars", "sqlalchemy.dialects.postgresql", "psycopg", "pydantic_settings", "psutil", "typer",
    "rich.console", "rich.progress", "rich.table", "dagster",
)  # fmt: skip
"""None of them starts a thread that a command needs: a forked process has none of the threads of its parent."""


def next_command(requests: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each request.

    Returns:
        In the forked process, its command. In this one None, after the last request.
    """
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not message:
            return None
        if os.fork() == 0:
            requests.close()
            return _in_a_child_of_its_own(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        while _ended():
            pass


def _ended() -> bool:
    """Whether a process that waited for its command has ended."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    except ChildProcessError:
        return False


def _in_a_child_of_its_own(descriptors: list[int]) -> dict[str, Any]:
    """Read the command and fork its process. The parent waits for it, tells its exit status, and ends."""
    *streams, number = descriptors
    with socket.socket(fileno=number) as talk:
        command: dict[str, Any] = json.loads(talk.makefile("rb").read())
        if (process := os.fork()) != 0:
            for stream in streams:
                os.close(stream)
            _, status = os.waitpid(process, 0)
            talk.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    return command


if __name__ == "__main__":
    for name in _LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        command = next_command(requests)
    if command is not None:
        os.environ.clear()
        os.environ.update(command["environment"])
        time.tzset()
        os.chdir(command["folder"])
        sys.argv = command["arguments"]
        from aquamind_pipeline.cli import main

        main()
