"""Ends a user's mistake or an interruption in one line, without a traceback."""

import contextlib
from collections.abc import Iterator

import typer

from aquamind_pipeline.cli.console import error_console
from aquamind_pipeline.errors import AquaMindError

_FAILED, _INTERRUPTED = 1, 130


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Print an error of the block in one line.

    Raises:
        typer.Exit: with status 1 after a user's mistake, 130 after Ctrl-C or SIGTERM.
    """
    try:
        yield
    except AquaMindError as error:
        error_console.print(f"error: {error}", style="red", soft_wrap=True)
        raise typer.Exit(_FAILED) from None
    except KeyboardInterrupt:
        error_console.print("Interrupted. Finished files are kept; run again to continue.")
        raise typer.Exit(_INTERRUPTED) from None


__all__ = ["one_line_errors"]
