"""The result of one rule."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

SAMPLE_ROWS = 10


@dataclass(frozen=True)
class Finding:
    """Whether a rule holds, and if not, how many rows break it and a few of them.

    Attributes:
        rule: Name of the rule, such as `foreign_keys`.
        passed: Whether no row breaks it.
        wrong: Number of rows (or groups) that break it.
        detail: One line for people: what was compared, or what is wrong.
        sample: Up to ten offending rows.
    """

    rule: str
    passed: bool
    wrong: int = 0
    detail: str = ""
    sample: pl.DataFrame = field(default_factory=pl.DataFrame)


def finding(rule: str, offending: pl.DataFrame, held: str, broken: str) -> Finding:
    """A finding from the rows that break a rule; `held` and `broken` are the details of either outcome."""
    wrong = offending.height
    return Finding(rule, wrong == 0, wrong, broken if wrong else held, offending.head(SAMPLE_ROWS))


__all__ = ["SAMPLE_ROWS", "Finding", "finding"]
