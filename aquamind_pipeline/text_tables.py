"""Tables of text that fit a terminal without cutting a name or a number.

A table takes the widest form that fits: with borders, with folded headings, without borders, in parts that repeat the
first column, and at last one line for each cell. Headings and texts fold between words only. Output that is no terminal
gets the widest form, so that each row stays on one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_ANY_WIDTH = 10_000
_TEXT_WIDTH = 20
"""Columns that a folded text gets at least, unless it is shorter."""
_BORDERS = (3, 1)
"""Columns of a terminal that a table with borders takes beside its cells: for each column, and for all."""
_GAPS = (2, -2)
"""The same of a table without borders."""
_PADDING = (0, 1, 0, 0)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading.
        is_number: Whether its cells are numbers: they stand to the right, and never fold.
    """

    heading: str
    is_number: bool = False


def columns(text: str, *numbers: str) -> list[Column]:
    """A column of text, then columns of numbers.

    Args:
        text: Heading of the first column.
        numbers: Headings of the other columns.
    """
    return [Column(text), *(Column(heading, is_number=True) for heading in numbers)]


def print_table(console: Console, shown: Sequence[Column], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table in the widest form that fits the console.

    Args:
        console: Where to print. Its width counts only if it is a terminal.
        shown: The columns. The first one names the row.
        rows: The cells of each row.
        title: Stands above the table.
    """
    if title:
        console.print(title, style="bold", soft_wrap=True)
    available = console.width if console.file.isatty() else _ANY_WIDTH
    natural = [_natural(column, [row[place] for row in rows]) for place, column in enumerate(shown)]
    smallest = [_smallest(column, [row[place] for row in rows]) for place, column in enumerate(shown)]
    for borders, least in ((True, natural), (True, smallest), (False, smallest)):
        if _room(least, available, borders=borders) >= 0:
            parts = [list(range(len(shown)))]
            break
    else:
        borders, least = False, smallest
        parts = _parts(smallest, available)
    if not parts:
        _print_cells(console, shown, rows)
        return
    wide = console.options.update(max_width=_ANY_WIDTH)
    for part in parts:
        widths = [least[place] for place in part]
        room = _room(widths, available, borders=borders)
        table = Table() if borders else Table(box=box.SIMPLE_HEAD, show_edge=False, padding=_PADDING, pad_edge=False)
        for place in part:
            column, more = shown[place], natural[place] - least[place]
            if column.is_number and more > room:  # a heading folds as a whole
                more = 0
            more = min(more, room)
            room -= more
            table.add_column(
                column.heading,
                justify="right" if column.is_number else "left",
                width=least[place] + more,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(row[place] for place in part))
        table.width = Measurement.get(console, wide, table).maximum
        console.print(table, soft_wrap=True)


def _natural(column: Column, cells: Sequence[str]) -> int:
    """Width of a column in which nothing folds."""
    return max(cell_len(line) for text in (column.heading, *cells) for line in text.split("\n"))


def _smallest(column: Column, cells: Sequence[str]) -> int:
    """Width of a column in which headings and texts fold between words."""
    words = [column.heading, *([] if column.is_number else cells)]
    whole = cells if column.is_number else ()
    longest = max(cell_len(word) for text in words for word in (text.split() or [""]))
    if not column.is_number:
        text = max((cell_len(cell) for cell in cells), default=0)
        longest = max(longest, min(text, _TEXT_WIDTH))
    return max(longest, *(cell_len(cell) for cell in whole), 1)


def _room(widths: Sequence[int], available: int, *, borders: bool) -> int:
    """Columns of the terminal that a table leaves free; negative if it does not fit."""
    each, all_ = _BORDERS if borders else _GAPS
    return available - sum(widths) - each * len(widths) - all_


def _parts(widths: Sequence[int], available: int) -> list[list[int]]:
    """Columns of each part of a table that is too wide. Each part begins with the first column.

    Returns:
        None of them if the first column and one other do not fit.
    """
    parts: list[list[int]] = []
    for place in range(1, len(widths)):
        joined = [*parts[-1], place] if parts else []
        if joined and _room([widths[one] for one in joined], available, borders=False) >= 0:
            parts[-1] = joined
        elif _room([widths[0], widths[place]], available, borders=False) >= 0:
            parts.append([0, place])
        else:
            return []
    return parts


def _print_cells(console: Console, shown: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print the first cell of each row, and below it a line for each other cell. The terminal wraps longer lines."""
    for row in rows:
        console.print(row[0], soft_wrap=True)
        for column, cell in zip(shown[1:], row[1:], strict=True):
            console.print(f"  {column.heading}: {cell}", soft_wrap=True)


__all__ = ["Column", "columns", "print_table"]
