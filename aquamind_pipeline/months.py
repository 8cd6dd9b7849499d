"""Months as keys such as `2026-01`: how lake, database and Dagster name a month of a table."""

from __future__ import annotations

from datetime import date

import polars as pl

MONTH = "%Y-%m"
"""Format of a month's key."""


def month_key(day: date) -> str:
    """The month of a day."""
    return day.strftime(MONTH)


def first_day(month: str) -> date:
    """The first day of a month."""
    return date.fromisoformat(f"{month}-01")


def day_after(month: str) -> date:
    """The first day of the next month."""
    first = first_day(month)
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def months_between(first: date, last: date) -> list[str]:
    """Keys of the months from one day's to another's, both included; none if `last` lies before `first`."""
    return pl.date_range(first.replace(day=1), last, "1mo", eager=True).dt.strftime(MONTH).to_list()


def month_of(time: str | pl.Expr) -> pl.Expr:
    """The month of each value of a date or datetime column."""
    return (pl.col(time) if isinstance(time, str) else time).dt.strftime(MONTH)


__all__ = ["MONTH", "day_after", "first_day", "month_key", "month_of", "months_between"]
