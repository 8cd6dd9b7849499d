"""What Dagster's processes print on the terminal of `aquamind ui`: plain lines, and no traceback.

Dagster prints the whole stack of each error, twice for a failed step. Its pages show all of that, so a line on the
terminal says what is wrong and names the run's page.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Formats what Dagster's services log: with colours also where no terminal is, and with the time in UTC.
import coloredlogs
import dagster as dg

# The modules that copy what steps print to the terminal, and make the loggers of a run which names none in its config.
# Dagster has no setting for either.
from dagster._core.execution import compute_logs, context_creation_job

# The name of what Dagster knows about a log record: run, step and event.
from dagster._core.log_manager import LOG_RECORD_METADATA_ATTR

# Makes of an error of the code server, which Dagster wraps several times, the error that it was there.
from dagster._utils.error import serializable_error_info_from_exc_info
from rich.console import Console
from rich.text import Text

from aquamind_pipeline.orchestration.compat.services import ADDRESS_VARIABLE, interrupts_held
from aquamind_pipeline.orchestration.step_errors import SHORT_ID, STACK, first_cause, is_interruption, reason

_ASSETS = "__ASSET_JOB"
"""Dagster's name for the job of assets that somebody chose."""
_NOT_EXECUTED = "Not executing."
"""Ends Dagster's message about each step that comes after a failed one."""
_BACKFILL = re.compile(r"Backfill failed for (\w+)")
"""In a message of Dagster's daemon: the backfill that has a page."""
_SHOWN = {"WARNING": ("warning", "yellow"), "ERROR": ("error", "red"), "CRITICAL": ("error", "red")}


def print_plain_lines() -> None:
    """Let the code server and the runs of this process print plain lines, if `aquamind ui` started it."""
    if ADDRESS_VARIABLE in os.environ:
        leave_out_stacks()
        vars(context_creation_job)["default_system_loggers"] = _loggers
        vars(compute_logs)["execute_posix_tail"] = _tail_without_interrupts


_tail = compute_logs.execute_posix_tail


@contextlib.contextmanager
def _tail_without_interrupts(path: str, stream: Any) -> Iterator[Any]:
    """Copy a file to a stream. The processes that do so end with the step, and not by Ctrl-C with a traceback."""
    with contextlib.ExitStack() as stack:
        with interrupts_held():
            processes = stack.enter_context(_tail(path, stream))
        yield processes


def leave_out_stacks() -> None:
    """Let this process log each error in one line: what failed, and the first cause."""
    logging.setLogRecordFactory(_record_without_stack)
    coloredlogs.ColoredFormatter.format = _as_plain_line  # of the class: some loggers have one already


def _record_without_stack(*arguments: Any, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **more)
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and error.__traceback__ is not None:
        info = serializable_error_info_from_exc_info((type(error), error, error.__traceback__))
        record.msg, record.args, record.exc_info = f"{text.strip()}: {reason(info)}", (), None
    elif STACK in text:  # of an error in another process
        record.msg, record.args = first_cause(text), ()
    return record


def _as_plain_line(_: logging.Formatter, record: logging.LogRecord) -> str:
    """A record of Dagster's services, written like the lines of a run."""
    text = record.getMessage().strip()
    address = os.environ.get(ADDRESS_VARIABLE)
    if address and (failed := _BACKFILL.search(text)):
        text += f", see {address}/runs/b/{failed[1]}"
    word = _SHOWN.get(record.levelname, ("", ""))[0]
    return f"{_clock(record.created)} {record.name}: {word}{': ' if word else ''}{text}"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def print_run_line(job: str, run_id: str, text: str, *, error: bool, seconds: float | None = None) -> None:
    """Print a line about a run on standard error, as its own process prints lines."""
    word, colour = _SHOWN["ERROR"] if error else ("", "")
    _print_line(_stderr(), job, run_id, text, (word, colour), time.time() if seconds is None else seconds)


def run_page(run_id: str) -> str:
    """The address of a run's page."""
    return f"{os.environ.get(ADDRESS_VARIABLE, '')}/runs/{run_id}"


def _stderr() -> Console:
    return Console(file=sys.stderr, markup=False, emoji=False, highlight=False)


def _print_line(console: Console, job: str, run_id: str, text: str, shown: tuple[str, str], seconds: float) -> None:
    word, colour = shown
    who = " ".join(one for one in (_clock(seconds), job.replace(_ASSETS, "assets"), run_id[:SHORT_ID]) if one)
    start: list[tuple[str, str]] = [(word, colour), (": ", "")] if word else []
    console.print(Text.assemble((f"{who}: ", "dim"), *start, text), soft_wrap=True)


def _loggers(instance: dg.DagsterInstance | None) -> Sequence[tuple[dg.LoggerDefinition, Mapping[str, object]]]:
    level = instance.python_log_level if instance is not None else None
    return [(_plain, {"level": level or "INFO"})]


@dg.logger(config_schema={"level": str})
def _plain(context: dg.InitLoggerContext) -> logging.Logger:
    level: str = context.logger_config["level"]
    logger = logging.Logger("aquamind_ui", level)
    logger.addHandler(_PlainLines())
    return logger


class _PlainLines(logging.Handler):
    """Prints what a run logs on standard error, a line for each record."""

    def __init__(self) -> None:
        super().__init__()
        self._reasons: set[str] = set()
        """Why steps stopped. Steps often stop for the same reason, such as a database that is away."""
        self._console = _stderr()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            facts: Mapping[str, Any] = getattr(record, LOG_RECORD_METADATA_ATTR, {})
            text = self._said(record, facts)
            if text:
                shown = ("", "") if _is_stop(facts) else _SHOWN.get(record.levelname, ("", ""))
                job, run_id = str(facts.get("job_name") or ""), str(facts.get("run_id") or "")
                _print_line(self._console, job, run_id, text, shown, record.created)
        except Exception:
            self.handleError(record)

    def _said(self, record: logging.LogRecord, facts: Mapping[str, Any]) -> str:
        """The text of a record, without the stack of its error; empty if a line before it says the same."""
        message = str(facts.get("orig_message") or record.getMessage())
        page = run_page(str(facts.get("run_id")))
        event: dg.DagsterEvent | None = facts.get("dagster_event")
        if event is None:
            return "" if message.endswith(_NOT_EXECUTED) else message
        if event.is_step_failure:
            error = event.step_failure_data.error
            if error is not None and is_interruption(error):
                return ""
            why = reason(error) if error is not None else message
            is_new = why not in self._reasons
            self._reasons.add(why)
            return f"step {event.step_key} stopped: {why}" if is_new else ""
        if _is_stop(facts):
            return f"the run was stopped, see {page}"
        if event.is_job_failure:
            failure = event.job_failure_data
            if failure.first_step_failure_event is not None or failure.error is None:
                return f"the run failed, see {page}"
            return f"the run failed: {reason(failure.error)}, see {page}"
        return message


def _is_stop(facts: Mapping[str, Any]) -> bool:
    """Whether somebody ended the run: on its page, or by ending its process."""
    event: dg.DagsterEvent | None = facts.get("dagster_event")
    if event is None or not event.is_job_failure:
        return event is not None and event.event_type == dg.DagsterEventType.RUN_CANCELED
    error = event.job_failure_data.error
    return error is not None and is_interruption(error)


__all__ = ["leave_out_stacks", "print_plain_lines", "print_run_line", "run_page"]
