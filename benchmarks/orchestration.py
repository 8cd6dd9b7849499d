"""What Dagster adds to the work: every month of every event table as one backfill, against the library called alone.

The backfill is one run over all months, as Dagster's pages launch it; alone, the same build steps write the same
files. Target: at most 20 % slower, beyond 35 ms of bookkeeping for each file.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from aquamind_pipeline.apps import REGISTRY
from benchmarks.measuring import LAKE_STAGES, STAGES, Row, farm, make, months_of, run, stages_before

BOOKKEEPING_SECONDS = 0.035
"""What a month of a table may cost in Dagster's records, whatever its rows."""


def measure(profile: str = "saturation-170", runs: int = 2) -> list[Row]:
    """Seconds and seconds of the processor of either way; they take turns, and medians are shown."""
    with farm(profile) as workspace:
        events = [stage for stage in LAKE_STAGES if set(STAGES[stage]).issubset(REGISTRY.events)]
        make(workspace, [stage for stage in stages_before(REGISTRY.events) if stage not in events])
        ways: dict[str, Callable[[], object]] = {
            "the library alone": lambda: make(workspace, events),
            "a backfill": lambda: run(workspace, REGISTRY.events),
        }
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(runs):
            for way, work in ways.items():
                taken[way].append(_seconds(work))
        rows = sum(workspace.lake.rows(name) for name in REGISTRY.events)
    files = len(months_of(workspace)) * len(REGISTRY.events)
    found = {way: [statistics.median(column) for column in zip(*turns, strict=True)] for way, turns in taken.items()}
    floor, backfilled = found.values()
    more = [(slow - fast) / files for slow, fast in zip(backfilled, floor, strict=True)]
    beyond = [max(0.0, one - BOOKKEEPING_SECONDS) * files / fast for one, fast in zip(more, floor, strict=True)]
    lines = [
        *((way, *both) for way, both in found.items()),
        ("backfill / library", backfilled[0] / floor[0], backfilled[1] / floor[1]),
        ("milliseconds more for each file", *(1000 * one for one in more)),
        ("share of the library beyond 35 ms", *beyond),
    ]
    return [
        {"work": work, "files": files, "rows": rows, "seconds": wall, "CPU seconds": cpu} for work, wall, cpu in lines
    ]


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu
