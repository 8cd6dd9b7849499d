"""Where something is written, for messages: file and line, from the package's folder on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_PACKAGE = "aquamind_pipeline"


def place(file: str, line: int) -> str:
    """A file and line, such as `aquamind_pipeline/apps/batch/stages.py:12`; of other projects the file's name."""
    parts = file.replace("\\", "/").split("/")
    start = len(parts) - 1 - parts[::-1].index(_PACKAGE) if _PACKAGE in parts else len(parts) - 1
    return f"{'/'.join(parts[start:])}:{line}"


def place_of(function: Callable[..., Any]) -> str:
    """Where a function is written."""
    while isinstance(function, functools.partial):
        function = function.func
    code = function.__code__
    return place(code.co_filename, code.co_firstlineno)


__all__ = ["place", "place_of"]
