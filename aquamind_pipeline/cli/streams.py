"""Standard input, output and error that cannot break a command.

- A terminal that cannot show a character gets a plain one in its place.
- A command finishes its work when its output is lost: a reader such as `head` has gone, a disk is full, the terminal
  was closed. If the output was lost to anything else than a gone reader, one line on standard error says so and the
  exit status is 1.
- A closed stream becomes /dev/null. Otherwise the next file that the process opens, perhaps a database, would take its
  number, and whatever the process or a child prints would be written into that file.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import sys
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PLAIN_ERRORS = "aquamind_plain"
_PLAIN = {"–": "-", "—": "-", "−": "-", "…": ".", "×": "x", "·": "*", "≤": "<", "≥": ">", "→": ">"}
"""Plain characters of the same width, so that tables stay aligned."""
_SMALLEST_SIZE = 20
"""Columns and lines below which COLUMNS and LINES are ignored. Programs set them to 0 or 1 where nobody looks."""


@contextlib.contextmanager
def dependable_streams() -> Iterator[None]:
    """Make the standard streams dependable for the block, which ends in SystemExit as every command does."""
    _open_closed_streams()
    _ignore_small_sizes()
    codecs.register_error(_PLAIN_ERRORS, _plain)
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    out, err = _Output(1), _Output(2)
    sys.stdout, sys.stderr = _text(sys.stdout, out), _text(sys.stderr, err)
    try:
        yield
    except SystemExit as ended:
        sys.stdout.flush()
        if out.error is not None:
            sys.stderr.write(f"error: standard output cannot be written: {out.error.strerror}\n")
        sys.stderr.flush()
        if not ended.code and (out.error is not None or err.error is not None):
            raise SystemExit(1) from None
        raise


class _Output(io.FileIO):
    """A file that drops what it cannot write.

    Attributes:
        error: The first error, except that the reader has gone.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None
        self._is_lost = False

    def write(self, content: ReadableBuffer, /) -> int:
        """Write all, or say so: the result is always the length of the content."""
        rest = memoryview(content).cast("B")
        size = rest.nbytes
        while rest.nbytes and not self._is_lost:
            try:
                written = super().write(rest)
            except OSError as error:
                self._is_lost = True
                self.error = None if error.errno == errno.EPIPE else error
                break
            if written is None:  # the descriptor does not block and its reader is slow
                select.select([], [self.fileno()], [])
            rest = rest[written or 0 :]
        return size


def _text(replaced: TextIO | None, raw: _Output) -> TextIO:
    """A text stream in the encoding of the stream that it replaces."""
    encoding = replaced.encoding if replaced is not None else "utf-8"
    if replaced is not None:
        replaced.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding, _PLAIN_ERRORS, line_buffering=raw.isatty() or raw.fileno() == 2
    )


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace one character that an encoding lacks. A byte of a file's name that was no character stays that byte."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _PLAIN.get(character) or _without_accent(character), error.start + 1


def _without_accent(character: str) -> str:
    letter = unicodedata.normalize("NFKD", character)[0]
    return letter if letter.isascii() and letter.isalpha() else "?"


def _open_closed_streams() -> None:
    """Open /dev/null in the place of each closed stream. Child processes inherit it, too."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _ignore_small_sizes() -> None:
    for name in ("COLUMNS", "LINES"):
        given = os.environ.get(name, "")
        if given and not (given.isascii() and given.isdigit() and int(given) >= _SMALLEST_SIZE):
            del os.environ[name]


__all__ = ["dependable_streams"]
