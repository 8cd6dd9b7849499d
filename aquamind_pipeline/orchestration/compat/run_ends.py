"""Tells on the terminal of `aquamind ui` that a run ended from outside: killed, or stopped before it began.

The process of such a run prints nothing. Dagster's code server, daemon or web server notices the end and records it.
"""

from __future__ import annotations

import os
from typing import Any

import dagster as dg

from aquamind_pipeline.orchestration.compat.services import ADDRESS_VARIABLE
from aquamind_pipeline.orchestration.compat.terminal import print_run_line, run_page
from aquamind_pipeline.orchestration.step_errors import reason, reason_of_death

_WILL_RETRY = "dagster/will_retry"
"""Tag of a failed run: whether Dagster's daemon starts it again."""
_AGAIN = "Dagster starts it again within half a minute, once"
_GO_ON = "run it again, finished files are kept"


def tell_of_ended_runs() -> None:
    """Let this process print a line for each run that it records as ended, if `aquamind ui` started it."""
    instance = dg.DagsterInstance
    if ADDRESS_VARIABLE not in os.environ or hasattr(instance.report_run_failed, "recorded"):
        return
    failed, canceled = instance.report_run_failed, instance.report_run_canceled

    def tell_failed(
        self: dg.DagsterInstance, run: dg.DagsterRun, message: str | None = None, *more: Any, **named: Any
    ) -> Any:
        why = f"the run died: {reason_of_death(message) if message else _why(self, run.run_id)}"
        event = failed(self, run, why, *more, **named)
        now = self.get_run_by_id(run.run_id)
        following = _AGAIN if now is not None and now.tags.get(_WILL_RETRY) == "true" else _GO_ON
        _print(run, f"{why}. Next: {following}", error=True)
        return event

    def tell_canceled(self: dg.DagsterInstance, run: dg.DagsterRun, message: str | None = None) -> Any:
        event = canceled(self, run, message)
        _print(run, f"the run was stopped. Next: {_GO_ON}", error=False)
        return event

    vars(tell_failed)["recorded"] = failed
    instance.report_run_failed = tell_failed  # type: ignore[method-assign, assignment]
    instance.report_run_canceled = tell_canceled  # type: ignore[method-assign, assignment]


def _print(run: dg.DagsterRun, text: str, *, error: bool) -> None:
    print_run_line(run.job_name, run.run_id, f"{text}, see {run_page(run.run_id)}", error=error)


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run died, from the last message of Dagster about it."""
    logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    events = [one.dagster_event for one in logs if one.dagster_event is not None]
    if not events:
        return "its process could not be started"
    error = events[-1].engine_event_data.error
    return reason(error) if error is not None else reason_of_death(events[-1].message or "")


__all__ = ["tell_of_ended_runs"]
