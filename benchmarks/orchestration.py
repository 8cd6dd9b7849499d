"""What Dagster adds to the work: every month of every event table as one backfill, against the library called alone.

The backfill is one run over all months, as Dagster's pages launch it; alone, the same makers write the same files, two
months at a time as the assets do. Target: at most 20 % slower, beyond 35 ms of bookkeeping for each file.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.partitions import months
from aquamind_pipeline.orchestration.workspace import Workspace
from assets.events import MAKERS, MONTHS_AT_ONCE
from assets.life import read_plan
from benchmarks.measuring import Row, farm, make

BOOKKEEPING_SECONDS = 0.035
"""What a month of a table may cost in Dagster's records, whatever its rows."""


def measure(profile: str = "saturation-170", runs: int = 2) -> list[Row]:
    """Seconds and seconds of the processor of either way; they take turns, and medians are shown."""
    with farm(profile) as workspace:
        make(workspace, ["infrastructure", "plan", "life", "stores"])
        wanted = workspace.settings.farm
        every = months(wanted.epoch, wanted.as_of)
        ways: dict[str, Callable[[], object]] = {
            "the library alone": lambda: alone(workspace, every),
            "a backfill": lambda: make(workspace, tables.EVENT_TABLES),
        }
        taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(runs):
            for way, work in ways.items():
                taken[way].append(_seconds(work))
        rows = sum(workspace.lake.rows(name) for name in tables.EVENT_TABLES)
    files = len(every) * len(tables.EVENT_TABLES)
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


def alone(workspace: Workspace, every: list[str]) -> None:
    """Make and write all months of all event tables, without Dagster."""
    planned, plan, lake = workspace.planned, read_plan(workspace), workspace.lake

    def one(name: str, month: str) -> None:
        rows = MAKERS[name](planned, plan, lake.read("life_day", month), lake)
        lake.write(name, tables.conform(rows, tables.TABLES[name]), month)

    with ThreadPoolExecutor(MONTHS_AT_ONCE) as pool:
        for name in tables.EVENT_TABLES:
            list(pool.map(partial(one, name), every))


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu
