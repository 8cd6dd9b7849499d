"""Errors of steps as Dagster stores them: wrapped in errors of its own, by name and message of their classes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import dagster as dg

# The type of a stored error. Dagster exports none.
from dagster_shared.error import SerializableErrorInfo

from aquamind_pipeline import errors
from aquamind_pipeline.errors import AquaMindError, ConfigError

CHECK_FAILED = "DagsterAssetCheckFailedError"
"""Name of the error that ends a step whose blocking check failed; Dagster does not export its class."""

SHORT_ID = 8
"""How many characters of a run's id Dagster's pages show."""
STACK = "\nStack Trace:\n"
"""Stands between the message of an error and its stack, where Dagster writes both."""
_CAUSE = "The above exception was caused by the following exception:\n"
_KILLED = re.compile(r"terminated by signal \d+ \((\w+)\)")
"""In Dagster's message about a run whose process was killed: the signal."""
_EXITED = re.compile(r"unexpectedly exited with code (\d+)")
"""In Dagster's message about a run whose process ended by itself: the process's status."""
_GONE = re.compile(r"the process of this run is gone \([^)]*\)")
"""In Dagster's message about a run whose process our launcher found gone: our words."""
_INTERRUPTED = (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)


class WrongOption(dg.DagsterError):
    """A wrong option of a run. Dagster shows its own kind of error as it is, and wraps every other kind."""


WrongOption.__module__ = "builtins"  # else its pages show the name of our module before the message


def chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    """The error, what caused it, and so on to the first cause."""
    while error is not None:
        yield error
        error = error.cause


def own_error(error: SerializableErrorInfo) -> AquaMindError | None:
    """The error as it was raised, if it is one of the pipeline's own; causes are not looked at."""
    if error.cls_name == WrongOption.__name__:
        return ConfigError(error.message.removeprefix(f"{WrongOption.__name__}: ").strip())
    kind = getattr(errors, error.cls_name or "", None)
    if isinstance(kind, type) and issubclass(kind, AquaMindError):
        return kind(error.message.removeprefix(f"{errors.__name__}.{kind.__name__}: ").strip())
    return None


def is_interruption(error: SerializableErrorInfo) -> bool:
    """Whether somebody stopped the step: Ctrl-C, or *Terminate* on a run's page."""
    return any(one.cls_name in _INTERRUPTED for one in chain(error))


def reason(error: SerializableErrorInfo) -> str:
    """Why a step failed, in one line: its failed checks, an error of the pipeline's own, or the first cause."""
    for one in chain(error):
        if one.cls_name == CHECK_FAILED:
            return _failed_checks(one.message)
        if (own := own_error(one)) is not None:
            return _one_line(str(own))
    return _one_line([*chain(error)][-1].message)


def first_cause(text: str) -> str:
    """The first cause of an error that was written with stacks, as `SerializableErrorInfo.to_string` does."""
    message = text.rpartition(_CAUSE)[2].partition(STACK)[0]
    return _one_line(re.sub(rf"\b{re.escape(errors.__name__)}\.\w+: ", "", message))


def reason_of_death(message: str) -> str:
    """Why the process of a run ended, from Dagster's message about it."""
    if killed := _KILLED.search(message):
        memory = ", often for lack of memory" if killed[1] == "SIGKILL" else ""
        return f"its process was killed ({killed[1]}{memory})"
    if exited := _EXITED.search(message):
        return f"its process ended with status {exited[1]}"
    if gone := _GONE.search(message):
        return gone[0]
    return _one_line(message)


def _failed_checks(message: str) -> str:
    """Assets and names of the checks: Dagster writes a title, then a line for each asset, `asset: one,two`."""
    _, *lines = message.strip().splitlines()
    return "; ".join(f"failed checks of {line.strip().replace(',', ', ')}" for line in lines)


def _one_line(message: str) -> str:
    return " ".join(message.split())


__all__ = [
    "CHECK_FAILED",
    "SHORT_ID",
    "STACK",
    "WrongOption",
    "chain",
    "first_cause",
    "is_interruption",
    "own_error",
    "reason",
    "reason_of_death",
]
