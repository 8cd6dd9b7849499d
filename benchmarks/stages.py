"""One stage of a build in a process of its own: what it takes, and how much memory."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import load_settings
from benchmarks.measuring import LAKE_STAGES, LOAD, STAGES, alone, make, peak_mib, seconds


def _checks(workspace: Workspace) -> None:
    for name, result in workspace.checks().everything():
        assert result.passed, (name, result)


def _compared(workspace: Workspace) -> None:
    with workspace.database() as url:
        assert all(result.passed for result in comparison.compared(open_target(url), workspace.lake, REGISTRY.aquamind))


def _report(workspace: Workspace) -> None:
    with workspace.database() as url:
        assert report.verify(url, workspace.planned)[0].passed


_AFTER: dict[str, Callable[[Workspace], None]] = {"checks": _checks, "comparison": _compared, "report": _report}
CHECKED = [*LAKE_STAGES, "checks"]
EVERYTHING = [*CHECKED, LOAD, "comparison", "report"]
"""Stages in the order in which a build has them."""


def of_stage(workspace: Workspace, stage: str) -> dict[str, float]:
    """Seconds, seconds of the processor, and peak memory of a stage, on what those before it made under the home."""
    settings = workspace.settings
    return alone(__name__, "--home", str(settings.home), "--profile", settings.profile, "--stage", stage)


def after(workspace: Workspace, stage: str) -> None:
    """Run a stage that makes no asset: checks, comparison or report."""
    _AFTER[stage](workspace)


def main() -> None:
    """Run the stage that is named, and print what it took."""
    options = argparse.ArgumentParser()
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--profile", required=True)
    options.add_argument("--stage", choices=EVERYTHING, required=True)
    given = options.parse_args()
    collect_rarely()
    workspace = Workspace(load_settings(profile=given.profile, home=given.home))
    started = time.process_time()
    taken = seconds(lambda: make(workspace, [given.stage]) if given.stage in STAGES else after(workspace, given.stage))
    print(json.dumps({"seconds": taken, "cpu_seconds": time.process_time() - started, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
