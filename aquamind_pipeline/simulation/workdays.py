"""Days on which people work: Monday to Friday, without the holidays that fall on the same date every year.

Days are numbers as by `date.toordinal()`. Day 1 is a Monday.
"""

from __future__ import annotations

import numpy as np

from aquamind_pipeline.arithmetic import Ints

HOLIDAYS = ((1, 1), (12, 25), (12, 26))
"""Month and day of public holidays in the Faroes and in Scotland."""
LONGEST_REST = 4
"""Most days in a row without work: both days of Christmas and a weekend."""


def weekday(ordinals: Ints) -> Ints:
    """Day of the week: Monday 0 to Sunday 6."""
    return (ordinals + 6) % 7


def month_and_day(ordinals: Ints) -> tuple[Ints, Ints]:
    """Month (from 1) and day of the month."""
    days = (np.asarray(ordinals) - 719_163).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    return months.astype(np.int64) % 12 + 1, (days - months).astype(np.int64) + 1


def is_working_day(ordinals: Ints) -> np.typing.NDArray[np.bool_]:
    """Whether people work on these days."""
    month, day = month_and_day(ordinals)
    works = weekday(ordinals) < 5
    for holiday_month, holiday in HOLIDAYS:
        works &= ~((month == holiday_month) & (day == holiday))
    return works


def next_working_day(ordinals: Ints) -> Ints:
    """The first working day on or after each of these days."""
    for _ in range(LONGEST_REST):
        ordinals = ordinals + ~is_working_day(ordinals)
    return ordinals


def moved_to_working_days(due: np.typing.NDArray[np.bool_], first_day: int) -> np.typing.NDArray[np.bool_]:
    """Move what is due on a day without work to the next working day.

    Args:
        due: Whether something is due [place, day].
        first_day: First of the days, as `date.toordinal()`.
    """
    works = is_working_day(np.arange(first_day, first_day + due.shape[1]))
    done = due.copy()
    for _ in range(LONGEST_REST):
        late = done & ~works
        done &= works
        done[:, 1:] |= late[:, :-1]
    return done


__all__ = [
    "HOLIDAYS",
    "LONGEST_REST",
    "is_working_day",
    "month_and_day",
    "moved_to_working_days",
    "next_working_day",
    "weekday",
]
