"""What a report consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """One check of the database, and whether it passed."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Section:
    """A part of the report: a table of figures, and the checks of these figures."""

    title: str
    columns: list[str]
    rows: list[list[Any]]
    checks: list[Check] = field(default_factory=list)


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
