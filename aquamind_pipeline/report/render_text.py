"""The report as text: for a terminal, and as a Markdown table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from aquamind_pipeline.report.model import Report
from aquamind_pipeline.text_tables import columns, print_table

_LONGEST = 100
"""Rows of a section that a terminal shows. The JSON file has all."""

_LARGE = 10
"""From here on one decimal is enough."""


def show(report: Report, console: Console) -> None:
    """Print the report: its sections, the longest tables cut, and their checks. No name and no number is cut."""
    _line(console, Text(f"{report.farm}, up to {report.as_of}, in {report.database}", style="bold"))
    for number, section in enumerate(report.sections, 1):
        rows = [[as_text(value) for value in row] for row in section.rows[:_LONGEST]]
        print_table(console, columns(*section.columns), rows, f"{number}. {section.title}")
        if len(section.rows) > _LONGEST:
            _line(console, Text(f"… and {len(section.rows) - _LONGEST} more in the JSON file"))
        for check in section.checks:
            mark = Text("PASS ", style="green") if check.passed else Text("FAIL ", style="bold red")
            _line(console, mark + Text(f"{check.name}: {check.detail}", style="default"))
    failed = sum(not check.passed for check in report.checks)
    verdict = (
        f"{len(report.checks)} checks, all passed" if not failed else f"{failed} of {len(report.checks)} checks failed"
    )
    _line(console, Text(verdict, style="bold green" if not failed else "bold red"))


def _line(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def as_markdown(report: Report) -> str:
    """The checks as a Markdown table."""
    lines = ["| section | check | passed | detail |", "|---|---|---|---|"]
    lines += [
        f"| {section.title} | {check.name} | {'yes' if check.passed else '**no**'} | {check.detail} |"
        for section in report.sections
        for check in section.checks
    ]
    return "\n".join(lines)


def as_text(value: Any) -> str:
    """A figure of a table as people write it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            size = abs(value)
            decimals = 1 if size >= _LARGE else 2 if size >= 1 else 4 if size else 0
            return f"{value:,.{decimals}f}"
        case _:
            return str(value)


__all__ = ["as_markdown", "as_text", "show"]
