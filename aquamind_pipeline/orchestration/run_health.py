"""Tells whether the process of a run is still alive, and marks the runs of dead processes as failed.

While Dagster's code server runs, it notices at once when the process of one of its runs is killed. Two cases remain.
Run monitoring asks `ended_process` when the code server died too. The next command calls `close_dead_runs` when all of
Dagster died.
"""

from __future__ import annotations

import os
import socket

import dagster as dg
import psutil

from aquamind_pipeline.orchestration.compat.storage import DATABASE_VARIABLE

PROCESS_TAG = "aquamind/process"
"""Tag of a run that a command executes in its own process: `host:process id`."""
CLOCK_TOLERANCE_SECONDS = 60
"""How far the kernel's start time of a process may lie after the time that Dagster recorded for it."""
_UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]


def this_process() -> str:
    """The value of `PROCESS_TAG` for runs of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark each unfinished run as failed whose process has ended.

    A killed process leaves its run marked as started, and that run blocks the queue. Runs of other machines, which
    share Dagster's records in PostgreSQL, are left alone.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if (process := ended_process(instance, run)) is not None:
            instance.report_run_failed(run, reason_of_failure(process))


def reason_of_failure(process: str) -> str:
    """The message of a run that failed because its process, `host:process id`, has ended."""
    return f"the process of this run is gone ({process})"


def ended_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The process of a run as `host:process id` if it is known and has ended, else None."""
    if process := run.tags.get(PROCESS_TAG):
        record = instance.get_run_record_by_id(run.run_id)
        recorded = (process, record.create_timestamp.timestamp()) if record else None
    else:
        recorded = _recorded_process(instance, run.run_id)
    return recorded[0] if recorded and not _is_alive(*recorded) else None


def _recorded_process(instance: dg.DagsterInstance, run_id: str) -> tuple[str, float] | None:
    """The process that Dagster's event log names for a run, and the time of that event in seconds since 1970.

    Dagster records no host. With records in files, every run is of this machine; with records in PostgreSQL the host
    is unknown, so the answer is None.
    """
    if os.environ.get(DATABASE_VARIABLE):
        return None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        data = entry.dagster_event.engine_event_data if entry.dagster_event else None
        if data is not None and "pid" in data.metadata:
            return f"{socket.gethostname()}:{data.metadata['pid'].value}", entry.timestamp
    return None


def _is_alive(process: str, recorded_at: float) -> bool:
    """Whether a process still runs. Processes of other machines count as alive.

    The kernel reuses process ids. A process that started after the record was made is another one.
    """
    host, _, number = process.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        found = psutil.Process(int(number))
        started_before = found.create_time() < recorded_at + CLOCK_TOLERANCE_SECONDS
        return bool(started_before and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


__all__ = [
    "CLOCK_TOLERANCE_SECONDS",
    "PROCESS_TAG",
    "close_dead_runs",
    "ended_process",
    "reason_of_failure",
    "this_process",
]
