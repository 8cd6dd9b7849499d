"""The whole farm from nothing to the database, without its checks and with them, against the floor of loading it.

The floor is PostgreSQL copying the same events and states from its own binary files, with the same partitions, keys and
indexes (benchmarks/load.py): what a farm costs that nobody generates, assimilates or checks.
"""

from __future__ import annotations

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.definitions import BUILD_FARM
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from benchmarks import checks, load
from benchmarks.measuring import LOAD, Row, farm, make, months_of, run, seconds


def measure(profile: str = "test-40") -> list[Row]:
    """Lake, load and floor in one farm; then the whole build with checks and report in another."""
    with farm(profile) as workspace, workspace.database():
        checks.warm_up(workspace)
        lake = seconds(lambda: run(workspace, REGISTRY))
        loading = seconds(lambda: make(workspace, [LOAD]))
        rows = sum(workspace.lake.rows(name) for name in REGISTRY.monthly)
        floor = _floor(workspace)
    with farm(profile) as workspace, workspace.database():
        checked = seconds(lambda: run_job(workspace, BUILD_FARM, months_of(workspace)))
    parts = {
        "lake: generation and growth": lake,
        "load": loading,
        "farm without checks": lake + loading,
        "farm with checks and report": checked,
    }
    return [
        {"work": work, "rows": rows, "seconds": taken, "floor": floor, "ratio": taken / floor}
        for work, taken in parts.items()
    ]


def _floor(workspace: Workspace) -> float:
    lake = workspace.lake
    with workspace.database() as url, load.server_files(workspace.settings.home) as files:
        floors = [load.of_months(url, lake, files, name, lake.partitions(name))[1] for name in REGISTRY.monthly]
        return sum(seconds(floor) for floor in floors)
