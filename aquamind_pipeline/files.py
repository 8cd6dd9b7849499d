"""Small files that are written whole, and paths that every library understands."""

from __future__ import annotations

import os
import sys
import threading
import unicodedata
from pathlib import Path

from aquamind_pipeline.errors import ConfigError


def require_usable(path: Path, setting: str) -> None:
    """Check that a folder may be at this path, that every library finds it, and that messages show it in one line.

    Python names files in the encoding of the locale, but Polars and DuckDB always in UTF-8.

    Args:
        path: A folder that a user chose.
        setting: Its environment variable, for the message.

    Raises:
        ConfigError: when the path has a control character, or other bytes in UTF-8 than in the locale, or when it, or
            what is above it, is a file.
    """
    text = str(path.absolute())
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ConfigError(f"{setting}: {text!r} has a control character: choose another folder")
    content = os.fsencode(text)
    if content != text.encode("utf-8", "replace"):
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{setting}: {text!r} is not valid UTF-8: choose another folder") from None
        raise ConfigError(
            f"{setting}: {content.decode()!r} is not ASCII, and file names are {sys.getfilesystemencoding()} here: set "
            "PYTHONUTF8=1, or LC_ALL=C.UTF-8, or choose another folder"
        )
    for above in (path.absolute(), *path.absolute().parents):
        if above.is_file():
            raise ConfigError(f"{setting}: {above} is a file: choose a folder")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename it. Makes the folders above.

    A reader sees the old content or the new one, never half of either.

    Processes and threads may write the same file at once: each has a temporary name of its own, and the last rename
    wins. On failure the old file stays and the temporary one goes.

    Args:
        path: The file.
        content: Text is written as UTF-8.

    Raises:
        OSError: when the folder cannot be made or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


__all__ = ["require_usable", "write_atomically"]
