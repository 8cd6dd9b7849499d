"""Retry transient errors only."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

import dagster as dg

from aquamind_pipeline.errors import DatabaseLockedError, TransientError

MAX_RETRIES = 4
WAIT_SECONDS = 15
"""Seconds between tries: a server may restart, or another build may end. After the last try the step fails."""
_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def retry_transient_errors() -> Iterator[None]:
    """Let Dagster retry the step after a `TransientError`, and say so. Any other error fails the step at once.

    `DatabaseLockedError` does, too, since the step has waited already.
    """
    try:
        yield
    except DatabaseLockedError:
        raise
    except TransientError as error:
        left = MAX_RETRIES - dg.OpExecutionContext.get().retry_number
        if left > 0:
            times = f"{left} more times" if left > 1 else "for the last time"
            _LOG.warning("trying again in %s s, %s: %s", WAIT_SECONDS, times, error)
            time.sleep(WAIT_SECONDS)  # in the step, because Dagster's own wait between two tries ignores Ctrl-C
        raise dg.RetryRequested(max_retries=MAX_RETRIES) from error


__all__ = ["retry_transient_errors"]
