"""Another try for what heals by itself, and for nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import dagster as dg

from aquamind_pipeline.errors import TransientError

TRIES = 4
WAIT_SECONDS = 15
"""Time for a server to start again, or for another build to end; a lock that is held longer fails the step, clearly."""


@contextlib.contextmanager
def healing() -> Iterator[None]:
    """Let Dagster repeat the step where an error heals by itself; any other error fails it at once."""
    try:
        yield
    except TransientError as error:
        raise dg.RetryRequested(max_retries=TRIES, seconds_to_wait=WAIT_SECONDS) from error


__all__ = ["healing"]
