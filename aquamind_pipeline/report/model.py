"""What a report consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """One check of the database, and whether it passed.

    Attributes:
        name: What is checked.
        passed: Whether it holds.
        detail: One line for people.
        rows: Of a failed check: which rows of the section are wrong, by their first value.
    """

    name: str
    passed: bool
    detail: str
    rows: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A part of the report: a table of figures, and the checks of these figures.

    Attributes:
        title: What the part is about.
        columns: Names of the table's columns.
        rows: Its rows.
        checks: Checks of the figures.
        lead: How many rows a page shows before the reader asks for the rest.
    """

    title: str
    columns: list[str]
    rows: list[list[Any]]
    checks: list[Check] = field(default_factory=list)
    lead: int = 12

    @property
    def passed(self) -> bool:
        """Whether every check of the section passed."""
        return all(check.passed for check in self.checks)

    @property
    def wrong(self) -> set[str]:
        """Rows that failed checks are about, by their first value."""
        return {row for check in self.checks for row in check.rows}


@dataclass(frozen=True)
class Report:
    """What a database holds, and whether that is what it should hold.

    Attributes:
        farm: The farm in words.
        database: The database in words, without its password.
        as_of: Last day that has data, as 2026-06-07.
        sections: Parts of the report, in order.
    """

    farm: str
    database: str
    as_of: str
    sections: list[Section]

    @property
    def checks(self) -> list[Check]:
        """Checks of all sections."""
        return [check for section in self.sections for check in section.checks]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


__all__ = ["Check", "Report", "Section"]
