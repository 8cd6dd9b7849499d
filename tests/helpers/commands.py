"""The command line as a user meets it: a process, its output, its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

AQUAMIND = str(Path(sys.executable).with_name("aquamind"))


def aquamind(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the tiny farm, with these variables."""
    return subprocess.run(
        [AQUAMIND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200", "AQUAMIND_PROFILE": "tiny"} | environment,
    )


def one_line(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Assert that a command ended as a user's mistake ends: with one line that says so."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


__all__ = ["AQUAMIND", "aquamind", "one_line"]
