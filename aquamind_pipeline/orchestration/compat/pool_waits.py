"""Waits for a place in one of Dagster's pools: they name who holds it, leave the cores alone, and heed Ctrl-C.

Dagster's own wait says nothing on a terminal and asks the clock in a loop without a pause. In a run that executes its
steps in its own process, it also ignores Ctrl-C.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import dagster as dg

# Our event logs extend Dagster's, in SQLite and in PostgreSQL. This is their common base.
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

# During a run Dagster only notes Ctrl-C and SIGTERM. Executors ask this question between steps, except the in-process
# executor. No public name asks it.
from dagster._utils.interrupts import check_captured_interrupt

from aquamind_pipeline.orchestration.records import recorded_farm
from aquamind_pipeline.orchestration.run_health import PROCESS_TAG, close_dead_runs, is_elsewhere, runs_in_pool

_PAUSE_SECONDS = 0.25
"""Pause after each vain try. An executor of several processes cannot do anything else meanwhile."""
_LOOK_SECONDS = 2
"""Seconds between two looks whether the runs that hold the pool still live."""
_SAY_SECONDS = 60
"""Seconds between two lines about the same wait."""


class PoolWaits(SqlEventLogStorage):
    """Adds these waits to one of Dagster's event logs."""

    _wait: _Wait | None = None

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> Any:
        """Claim a place in a pool for a step. If another run has it, wait a moment.

        Raises:
            DagsterExecutionInterruptedError: when Ctrl-C came and the executor did not notice.
        """
        status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        holders = [one.run_id for one in self.get_concurrency_info(concurrency_key).claimed_slots]
        if status.is_claimed or run_id in holders:
            self._wait = None
            return status
        if self._wait is None or self._wait.of != (run_id, concurrency_key):
            self._wait = _Wait(self._instance, run_id, concurrency_key)
        if self._wait.interrupted:
            self._wait = None
            raise dg.DagsterExecutionInterruptedError
        self._wait.pause()
        if self.has_unassigned_slots(concurrency_key):  # a run was killed before it could pass its place on
            self.assign_pending_steps([concurrency_key])
        return status.with_sleep_interval(0.0)


class _Wait:
    """One wait of a run for a place in a pool."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str, pool: str) -> None:
        self.of = run_id, pool
        self.interrupted = False
        """Whether Ctrl-C came before the last pause ended. An executor that looks for it has noticed since."""
        self._instance = instance
        self._began = time.monotonic()
        self._looked = self._said = -float("inf")
        self._holder = ""

    def pause(self) -> None:
        """Close dead runs, say who holds the pool, and wait a moment."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            close_dead_runs(self._instance)
            self._say(now)
        time.sleep(_PAUSE_SECONDS)
        self.interrupted = check_captured_interrupt()

    def _say(self, now: float) -> None:
        """Say on standard error for whom this run waits: when that changes, and once a minute."""
        own, pool = self.of
        ahead = [run_id for run_id in runs_in_pool(self._instance, pool) if run_id != own]
        run = self._instance.get_run_by_id(ahead[0]) if ahead else None
        if run is None:  # the place has just become free
            return
        if run.run_id == self._holder and now - self._said < _SAY_SECONDS:
            return
        self._holder, self._said = run.run_id, now
        waited = round(now - self._began)
        line = f"waiting{f' for {waited} s' if waited else ''}: {_described(self._instance, run)} is using the pool "
        line += f"{pool!r}, which lets one step work at a time. Ctrl-C ends the wait."
        with contextlib.suppress(OSError, ValueError):  # standard error may be closed
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def _described(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """A run in words: its id, farm, job and process, and how to end it if its machine cannot be asked."""
    facts = [f"job {run.job_name}", f"process {run.tags.get(PROCESS_TAG, 'unknown')}"]
    if farm := recorded_farm(instance):
        facts.insert(0, f"farm {farm}")
    text = f"run {run.run_id} ({', '.join(facts)})"
    if is_elsewhere(instance, run):
        text += f" of another machine (if it is gone, `dagster run delete --force {run.run_id}` ends it)"
    return text


__all__ = ["PoolWaits"]
