"""Retry transient errors only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import dagster as dg

from aquamind_pipeline.errors import DatabaseLockedError, TransientError

MAX_RETRIES = 4
WAIT_SECONDS = 15
"""Seconds between tries: a server may restart, or another build may end. After the last try the step fails."""


@contextlib.contextmanager
def retry_transient_errors() -> Iterator[None]:
    """Let Dagster retry the step after a `TransientError`. Any other error fails the step at once.

    `DatabaseLockedError` does, too, since the step has waited already.
    """
    try:
        yield
    except DatabaseLockedError:
        raise
    except TransientError as error:
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=WAIT_SECONDS) from error


__all__ = ["retry_transient_errors"]
