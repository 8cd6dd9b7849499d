"""Which process executes a run, and what becomes of a run whose process is gone.

In a Dagster that runs, the code server sees at once that a run of its own was killed. What it cannot see is told here:
to run monitoring, where the code server died, too; and at the next start, where all of Dagster did.
"""

from __future__ import annotations

import os
import socket

import dagster as dg
import psutil
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from aquamind_pipeline.orchestration.compat.storage import DATABASE_VARIABLE

PROCESS_TAG = "aquamind/process"
"""Tag of a run that a command executes itself: machine and process."""
_RUNNING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
_CLOCKS_SECONDS = 60
"""What the clocks of the kernel and of Dagster's records may differ by."""


class Launcher(DefaultRunLauncher):
    """Dagster's own launcher, which also knows whether a run is still at work; dagster.yaml names it."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What run monitoring asks of each run that has started."""
        if (process := _gone(self._instance, run)) is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, _said(process))


def this_process() -> str:
    """The value of PROCESS_TAG for runs of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """A killed process leaves a run that looks alive and would hold up the queue: its process tells.

    Runs of other machines, which share Dagster's records in PostgreSQL, are left alone.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_RUNNING)):
        if (process := _gone(instance, run)) is not None:
            instance.report_run_failed(run, _said(process))


def _said(process: str) -> str:
    return f"the process of this run is gone ({process})"


def _gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The process of a run, where it is known and has ended."""
    if process := run.tags.get(PROCESS_TAG):
        record = instance.get_run_record_by_id(run.run_id)
        known = (process, record.create_timestamp.timestamp()) if record else None
    else:
        known = _started_in(instance, run.run_id)
    return known[0] if known and not _alive(*known) else None


def _started_in(instance: dg.DagsterInstance, run_id: str) -> tuple[str, float] | None:
    """The process that Dagster's own records name for a run, and when; with records in files, one of this machine."""
    if os.environ.get(DATABASE_VARIABLE):
        return None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        data = entry.dagster_event.engine_event_data if entry.dagster_event else None
        if data is not None and "pid" in data.metadata:
            return f"{socket.gethostname()}:{data.metadata['pid'].value}", entry.timestamp
    return None


def _alive(process: str, then: float) -> bool:
    """Whether a process that was there at some time still is: its number may be another's by now."""
    host, _, number = process.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        found = psutil.Process(int(number))
        return bool(found.status() != psutil.STATUS_ZOMBIE and found.create_time() < then + _CLOCKS_SECONDS)
    except psutil.NoSuchProcess:
        return False


__all__ = ["PROCESS_TAG", "Launcher", "close_dead_runs", "this_process"]
