"""The five kinds of table, and what an event happens to."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What decides a table's rows, and so how it is stored and loaded."""

    REFERENCE = "reference"
    """Rows exist before any fish. A natural key finds each in a database that may have it already."""
    LEDGER = "ledger"
    """Rows follow from the plan and from what happened: batches, assignments, workflows, harvests."""
    EVENT = "event"
    """Rows happen at a time. Lake and database keep them by month."""
    CHILD = "child"
    """Rows hang on a row of another table, their parent, and are kept as that table is: by month or whole."""
    DERIVED = "derived"
    """Rows are computed from records: daily states, summaries, projections."""


class Scope(Enum):
    """What a row of an event table is about: it decides which batches' rows a slice of batches has."""

    ASSIGNMENT = "assignment"
    BATCH = "batch"
    CONTAINER = "container"
    SITE = "site"
    FARM = "farm"

    @property
    def has_batch(self) -> bool:
        """Whether rows belong to batches, so that they can be made for some batches alone."""
        return self in (Scope.ASSIGNMENT, Scope.BATCH)


__all__ = ["Kind", "Scope"]
