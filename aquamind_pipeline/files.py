"""Small files that are written whole: a reader sees the old content or the new one, never half of either."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename it. Makes the folders above.

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


__all__ = ["write_atomically"]
