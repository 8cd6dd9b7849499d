"""The report as text: for a terminal, and as a Markdown table."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from aquamind_pipeline.report.model import Report

_LONGEST = 60
"""Rows of a section that a terminal shows. The JSON file has all."""


def show(report: Report, console: Console) -> None:
    """Print the report."""
    console.print(as_rich(report))


def as_rich(report: Report) -> RenderableType:
    """The report for a terminal, its longest tables cut."""
    parts: list[RenderableType] = [Text(f"{report.farm}, up to {report.as_of}, in {report.database}", style="bold")]
    for number, section in enumerate(report.sections, 1):
        table = Table(title=f"{number}. {section.title}", title_justify="left", title_style="bold")
        for position, column in enumerate(section.columns):
            table.add_column(column, justify="left" if position == 0 else "right")
        for row in section.rows[:_LONGEST]:
            table.add_row(*(as_text(value) for value in row))
        parts.append(table)
        if len(section.rows) > _LONGEST:
            parts.append(Text(f"… and {len(section.rows) - _LONGEST} more in the JSON file"))
        for check in section.checks:
            mark = Text("PASS ", style="green") if check.passed else Text("FAIL ", style="bold red")
            parts.append(mark + Text(f"{check.name}: {check.detail}", style="default"))
    failed = sum(not check.passed for check in report.checks)
    verdict = (
        f"{len(report.checks)} checks, all passed" if not failed else f"{failed} of {len(report.checks)} checks failed"
    )
    parts.append(Text(verdict, style="bold green" if not failed else "bold red"))
    return Group(*parts)


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
            return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.1f}"
        case _:
            return str(value)


__all__ = ["as_markdown", "as_rich", "as_text", "show"]
