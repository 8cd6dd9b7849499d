"""Tells whether the process of a run is still alive, and frees what the runs of dead processes hold.

While Dagster's code server runs, it notices at once when the process of one of its runs is killed. Other cases remain.
Run monitoring asks `ended_process` when the code server died too. When all of Dagster died, or a command was killed,
the next command calls `close_dead_runs`.
"""

from __future__ import annotations

import os
import socket

import dagster as dg
import psutil

from aquamind_pipeline.orchestration.records import DATABASE_VARIABLE
from aquamind_pipeline.orchestration.run_locks import RunLocks

PROCESS_TAG = "aquamind/process"
"""Tag of a run: `host:process id` of the process that executes it."""
START_TAG = ".dagster/aquamind-process-start"
"""Tag of a run: when the kernel started that process, in seconds since 1970. It tells two processes of one id apart.
Dagster's pages do not show tags that begin so."""
CLOCK_TOLERANCE_SECONDS = 2
"""How far two readings of a process's start time may differ: the kernel's clock is corrected now and then."""
RECORD_TOLERANCE_SECONDS = 60
"""How far the start time of a process may lie after the time that Dagster recorded for it."""
_UNFINISHED = [
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def this_process() -> str:
    """The value of `PROCESS_TAG` for runs of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def process_tags() -> dict[str, str]:
    """The tags of a run that this process executes."""
    return {PROCESS_TAG: this_process(), START_TAG: f"{psutil.Process().create_time():.2f}"}


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Close each unfinished run whose process has ended, and free the places in pools that ended runs hold.

    A killed process leaves its run marked as started, which blocks the queue, and leaves its place in a pool taken,
    which blocks the next load. Runs of other machines, which share Dagster's records in PostgreSQL, are left alone.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if (process := ended_process(instance, run)) is None:
            continue
        now = instance.get_run_by_id(run.run_id)
        if now is None or now.is_finished:  # it has ended in order since the list was read
            continue
        if now.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(now, reason_of_failure(process))
        else:
            instance.report_run_failed(now, reason_of_failure(process))
    _free_places(instance)
    if (locks := _locks(instance)) is not None:
        for run_id in locks.runs():
            left = instance.get_run_by_id(run_id)
            if left is None or left.is_finished:
                locks.forget(run_id)


def _free_places(instance: dg.DagsterInstance) -> None:
    """Free the places in all pools that runs hold or wait for which have ended or were deleted.

    Dagster's daemon frees places of finished runs after a minute. A command cannot count on a daemon.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    pools = sorted(storage.get_concurrency_keys())
    for run_id in {run_id for pool in pools for run_id in runs_in_pool(instance, pool)}:
        run = instance.get_run_by_id(run_id)
        if run is None or (run.is_finished and _lives(instance, run) is not True):
            storage.free_concurrency_slots_for_run(run_id)


def runs_in_pool(instance: dg.DagsterInstance, pool: str) -> list[str]:
    """Ids of the runs that hold a place in a pool, then of those that wait for one."""
    places = instance.event_log_storage.get_concurrency_info(pool)
    runs = [one.run_id for one in places.claimed_slots] + [one.run_id for one in places.pending_steps]
    return list(dict.fromkeys(runs))


def reason_of_failure(process: str) -> str:
    """The message of a run that failed because its process, `host:process id`, has ended."""
    return f"the process of this run is gone ({process})"


def ended_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The process of a run as `host:process id` if it has ended; None if it lives, or nobody here can know."""
    if _lives(instance, run) is not False:
        return None
    if process := run.tags.get(PROCESS_TAG):
        return process
    recorded = _recorded_process(instance, run.run_id)
    return recorded[0] if recorded else socket.gethostname()


def is_elsewhere(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run belongs to another machine, so that nobody here can know whether its process lives."""
    return _lives(instance, run) is None


def _lives(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool | None:
    """Whether a process of the run lives; None when nobody here can know."""
    locks = _locks(instance)
    if locks is not None and (held := locks.is_held(run.run_id)) is not None:
        return held
    if process := run.tags.get(PROCESS_TAG):
        record = instance.get_run_record_by_id(run.run_id)
        if record is None:
            return None
        started = run.tags.get(START_TAG)
        recorded = record.create_timestamp.timestamp()
        return _is_alive(process, recorded, float(started) if started else None)
    known = _recorded_process(instance, run.run_id)
    return _is_alive(*known) if known else None


def _locks(instance: dg.DagsterInstance) -> RunLocks | None:
    """The lock files of runs. There are none if Dagster's records are in PostgreSQL, or not kept by our storage."""
    locks = getattr(instance.run_storage, "locks", None)
    return locks if isinstance(locks, RunLocks) else None


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


def _is_alive(process: str, recorded_at: float, started_at: float | None = None) -> bool | None:
    """Whether a process still runs; None for a process of another machine.

    The kernel reuses process ids. A process that started at another time is another one.

    Args:
        process: The process as `host:process id`.
        recorded_at: When its run was recorded, in seconds since 1970.
        started_at: When the process started; None if that was not recorded.
    """
    host, _, number = process.rpartition(":")
    if host != socket.gethostname():
        return None
    try:
        found = psutil.Process(int(number))
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        if started_at is None:
            return bool(found.create_time() < recorded_at + RECORD_TOLERANCE_SECONDS)
        return bool(abs(found.create_time() - started_at) < CLOCK_TOLERANCE_SECONDS)
    except psutil.NoSuchProcess:
        return False


__all__ = [
    "CLOCK_TOLERANCE_SECONDS",
    "PROCESS_TAG",
    "START_TAG",
    "close_dead_runs",
    "ended_process",
    "is_elsewhere",
    "process_tags",
    "reason_of_failure",
    "runs_in_pool",
    "this_process",
]
