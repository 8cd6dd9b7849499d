"""Finds a user's file that hides a package which the pipeline needs, such as `polars.py` beside the user's scripts.

Python looks for modules in the working directory (`python -m`) and on PYTHONPATH before it looks at what is installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

_HARMLESS = ("aquamind_pipeline", "benchmark", "doc", "example", "test")
"""How names begin that a project's folder may have: some packages install their tests under such a name."""


def folders_searched_first() -> list[Path]:
    """The folder of the script or of `python -m`, and those of PYTHONPATH."""
    named = os.environ.get("PYTHONPATH", "")
    return [Path(one) for one in (sys.path[0], *named.split(os.pathsep)) if one] or [Path()]


def hidden_package(folders: Iterable[Path]) -> str | None:
    """Which file hides an installed package, and what to do, in one line; None if no file does.

    Args:
        folders: Folders in which Python looks before it looks at what is installed.
    """
    names = sorted(name for name in metadata.packages_distributions() if not name.startswith(_HARMLESS))
    for folder in folders:
        for name in names:
            for path in (folder / f"{name}.py", folder / name / "__init__.py"):
                if path.is_file() and not any(folder.glob(f"{name.replace('-', '_')}-*.dist-info")):
                    where = path if path.stem == name else path.parent
                    return (
                        f"{where.absolute()} hides the package {name}, which the pipeline needs: rename it, or start "
                        "in another folder, without this one on PYTHONPATH"
                    )
    return None


__all__ = ["folders_searched_first", "hidden_package"]
