"""Finds a user's file that hides a module which the pipeline needs, such as `polars.py` or `json.py`.

Python looks for modules in the working directory (`python -m`) and on PYTHONPATH before it looks at what is installed.
Such a file may hide any module of the standard library, so this one imports only what Python itself has imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

_HARMLESS = ("aquamind_pipeline", "benchmark", "doc", "example", "test")
"""How names begin that a project's folder may have: some packages install their tests under such a name."""


def folders_searched_first() -> list[str]:
    """The folder of the script or of `python -m`, and those of PYTHONPATH."""
    named = os.environ.get("PYTHONPATH", "")
    return [one for one in (sys.path[0], *named.split(os.pathsep)) if one] or [os.curdir]


def hidden_module(folders: Iterable[str], error: BaseException) -> str | None:
    """Which file hides an installed package or a standard module, and what to do, in one line; None if no file does.

    Args:
        folders: Folders in which Python looks before it looks at what is installed.
        error: What came of it. Files of the standard library's names count only if Python loaded them or failed in
            them, since a user may have a `code.py` that disturbs nobody.
    """
    used = {os.path.abspath(path) for path in (*_files_of(error), *_loaded_files())}
    standard = sorted(name for name in sys.stdlib_module_names if not name.startswith(_HARMLESS))
    for folder in folders:
        for name in standard:
            for where, path in _places(folder, name):
                if os.path.abspath(path) in used:
                    return _told(where, f"Python's own module {name}")
    for folder in folders:
        for name in _packages():
            for where, path in _places(folder, name):
                if os.path.isfile(path) and not _installed(folder, name):
                    return _told(where, f"the package {name}")
    return None


def _places(folder: str, name: str) -> Iterator[tuple[str, str]]:
    """Where a folder may have a module: what a user would rename, and the file that Python loads."""
    file, package = os.path.join(folder, f"{name}.py"), os.path.join(folder, name)
    yield file, file
    yield package, os.path.join(package, "__init__.py")


def _packages() -> list[str]:
    try:
        from importlib import metadata

        return sorted(name for name in metadata.packages_distributions() if not name.startswith(_HARMLESS))
    except Exception:  # a hidden module
        return []


def _installed(folder: str, name: str) -> bool:
    """Whether packages are installed in this folder, this one among them."""
    start = f"{name.replace('-', '_')}-"
    return any(one.startswith(start) and one.endswith(".dist-info") for one in os.listdir(folder))


def _files_of(error: BaseException | None) -> Iterator[str]:
    """Files of the code in which an error and its causes arose."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame.f_code.co_filename
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


def _loaded_files() -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield file


def _told(where: str, hidden: str) -> str:
    return (
        f"{os.path.abspath(where)} hides {hidden}, which the pipeline needs: rename it, or start in another folder, "
        "without this one on PYTHONPATH"
    )


__all__ = ["folders_searched_first", "hidden_module"]
