"""The same bytes with one thread and with two, and from two processes that share the months between them."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aquamind_pipeline.definitions import MONTH_ASSETS
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import load_settings
from benchmarks.measuring import LAKE_STAGES, STAGES, Row, alone, farm, make, months_of, seconds, stages_before

MONTHLY = [stage for stage in LAKE_STAGES if set(STAGES[stage]).issubset(MONTH_ASSETS)]
"""Stages that make months."""


def measure(profile: str = "test-40") -> list[Row]:
    """Build a lake three times; every file of each is compared."""
    with farm(profile) as one, farm(profile) as two, farm(profile) as shared:
        rows: list[Row] = []
        first = _digests(one, _built(one, "1"), rows, "1 thread")
        second = _digests(two, _built(two, "2"), rows, "2 threads")
        third = _digests(shared, _by_two_processes(shared), rows, "2 processes, half of the months each")
        for row, found in zip(rows, (first, second, third), strict=True):
            row |= {"equal files": sum(first.get(name) == digest for name, digest in found.items())}
            row |= {"verdict": "equal" if found == first else "DIFFERENT"}
        return rows


def _built(workspace: Workspace, threads: str) -> float:
    taken: float = alone(__name__, *_named(workspace), POLARS_MAX_THREADS=threads)["seconds"]
    return taken


def _by_two_processes(workspace: Workspace) -> float:
    """Everything before the months, then the months by two processes at once, each in a copy that it has alone."""
    before = [stage for stage in stages_before(MONTH_ASSETS) if stage not in MONTHLY]
    after = [stage for stage in LAKE_STAGES if stage not in (*before, *MONTHLY)]
    keys = months_of(workspace)
    other = Workspace(workspace.settings.model_copy(update={"home": workspace.settings.home / "other"}))

    def half(job: tuple[Workspace, list[str]]) -> None:
        alone(__name__, *_named(job[0]), "--stages", *MONTHLY, "--months", *job[1])

    def work() -> None:
        alone(__name__, *_named(workspace), "--stages", *before)
        shutil.copytree(workspace.lake.root, other.lake.root)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(half, [(workspace, keys[: len(keys) // 2]), (other, keys[len(keys) // 2 :])]))
        for name in MONTH_ASSETS:
            for month in other.lake.partitions(name):
                other.lake.path(name, month).rename(workspace.lake.path(name, month))
        alone(__name__, *_named(workspace), "--stages", *after)

    return seconds(work)


def _named(workspace: Workspace) -> tuple[str, ...]:
    return ("--home", str(workspace.settings.home), "--profile", workspace.settings.profile)


def _digests(workspace: Workspace, taken: float, rows: list[Row], how: str) -> dict[str, str]:
    found = digests(workspace.lake)
    rows.append({"built by": how, "seconds": taken, "files": len(found)})
    return found


def digests(lake: Lake) -> dict[str, str]:
    """SHA-256 of every Parquet file of a lake."""
    files = lake.folder.rglob("*.parquet")
    return {str(path.relative_to(lake.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--profile", required=True)
    options.add_argument("--stages", nargs="+", default=LAKE_STAGES)
    options.add_argument("--months", nargs="+", default=None)
    given = options.parse_args()
    collect_rarely()
    ours = Workspace(load_settings(profile=given.profile, home=given.home))
    print(json.dumps({"seconds": seconds(lambda: make(ours, given.stages, given.months))}))
