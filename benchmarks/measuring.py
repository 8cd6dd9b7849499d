"""Seconds of work against a floor in the same run, and the peak memory of a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aquamind_pipeline.definitions import BUILD_LAKE
from aquamind_pipeline.orchestration.partitions import months
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.running import run_job
from aquamind_pipeline.settings import load_settings

RUNS = 5


@contextmanager
def built(profile: str) -> Iterator[Workspace]:
    """A workspace with the lake of a profile, for as long as it is wanted."""
    with tempfile.TemporaryDirectory(prefix="aquamind-bench-") as folder:
        Path(folder).chmod(0o755)  # root's PostgreSQL runs as nobody
        workspace = Workspace(load_settings(profile=profile, home=Path(folder)))
        farm = workspace.settings.farm
        run_job(workspace, BUILD_LAKE, months(farm.epoch, farm.as_of))
        yield workspace


def report(name: str, rows: int, work: Callable[[], object], floor: Callable[[], object], runs: int = RUNS) -> None:
    """Work and floor by turns, so that a slow minute of the machine hits both."""
    taken = [(seconds(work), seconds(floor)) for _ in range(runs)]
    worked, least = (statistics.median(column) for column in zip(*taken, strict=True))
    ratio = statistics.median(one / other for one, other in taken)
    print(f"{name:<34} {rows:>12,} {worked:>9.2f} {least:>9.2f} {ratio:>6.1f}x")


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alone(module: str, *arguments: str) -> dict[str, float]:
    """What a module prints as JSON when it runs in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def peak_mib() -> float:
    """Peak resident memory of this process; getrusage would tell its parent's, where that was larger."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
