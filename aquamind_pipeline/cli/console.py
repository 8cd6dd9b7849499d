"""What commands print with: two consoles, warnings, and progress bars."""

import contextlib
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from aquamind_pipeline.errors import ConfigError

_LOG_WIDTH = 132
"""Columns of a line where the output is a file or a pipe."""
_DUMB = ("dumb", "unknown")
"""Terminals that only print, as the shell of an editor."""
_LABEL, _FIGURES = 50, 25
"""Columns of a progress line: its label, and what stands beside it."""
_ROOMY = _LABEL + 36
"""Columns of a terminal from which a progress bar has room beside its label."""


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    size: tuple[int | None, int | None] = (None, None) if stream.isatty() else (_LOG_WIDTH, None)
    if stream.isatty() and os.environ.get("TERM") in _DUMB:  # Rich takes these for 80 columns wide
        size = shutil.get_terminal_size()
    # Brackets and colons in names and paths are no markup and no emoji.
    return Console(markup=False, emoji=False, highlight=False, stderr=stderr, width=size[0], height=size[1])


console = _console(stderr=False)
error_console = _console(stderr=True)


def print_line(text: str | Text, style: str | None = None) -> None:
    """Print a line that is never broken, so that paths and numbers in it can be copied."""
    console.print(text, style=style, soft_wrap=True)


class _Warnings(logging.Handler):
    """Prints a warning of the library as one line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = Text.assemble(("warning", "yellow"), f": {record.getMessage()}")
            error_console.print(line, soft_wrap=True)
        except Exception:
            self.handleError(record)


def show_warnings() -> None:
    """Print what the library logs as warnings: above all, for whom a command waits."""
    logging.getLogger("aquamind_pipeline").addHandler(_Warnings(logging.WARNING))


def require_yes(question: str) -> None:
    """Ask before something is deleted.

    Raises:
        ConfigError: when the answer is no, or nobody answers.
    """
    try:
        answered_yes = typer.confirm(question)
    except typer.Abort:
        console.print()  # the question's line has not ended
        raise ConfigError(
            "nobody answered, so nothing was deleted: run it with --yes to delete without asking"
        ) from None
    if not answered_yes:
        raise ConfigError("nothing was deleted, because the answer was no")


class ProgressBars:
    """Shows progress bars on a terminal. In a log file, prints one line when a piece of work ends."""

    @contextlib.contextmanager
    def track(self, label: str, total: int) -> Iterator[Callable[[], None]]:
        """Show the progress of the block.

        Args:
            label: What the block does.
            total: Number of its steps.

        Yields:
            A function to call after each step, from any thread.
        """
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

        started = time.perf_counter()
        narrow = console.is_terminal and console.width < _ROOMY
        width = max(cell_len(label), console.width - _FIGURES) if narrow else _LABEL
        columns: list[ProgressColumn] = [TextColumn(f"{{task.description:<{_LABEL}}}"), BarColumn()]
        if narrow:
            columns = [TextColumn("{task.description}")]
        columns += [MofNCompleteColumn(), TimeElapsedColumn()]
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(label, total=total)
            lock = threading.Lock()
            done = 0

            def advance() -> None:
                nonlocal done
                with lock:
                    done += 1
                progress.advance(task)

            yield advance
        print_line(f"  {label:<{width}} {done:>4} of {total:<4} {time.perf_counter() - started:6.1f} s")


__all__ = [
    "ProgressBars",
    "console",
    "error_console",
    "print_line",
    "require_yes",
    "show_warnings",
]
