"""Imports the project's top-level packages, whatever else on the path has the same names."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from aquamind_pipeline.errors import ConfigError

_FOLDER = Path(__file__).parents[2]
"""The folder of this package. The project's other packages lie beside it."""


@contextlib.contextmanager
def own_packages(*names: str) -> Iterator[None]:
    """Look for these packages beside this one first, for the imports of the block.

    PYTHONPATH, the current folder and installed packages come before the project's folder. `assets` and `checks` are
    names that others use, too.

    Args:
        names: Names of the project's top-level packages.

    Raises:
        ConfigError: when this process has imported another package of that name already.
    """
    for name in names:
        _require_own(name)
    sys.path.insert(0, str(_FOLDER))
    try:
        yield
    finally:
        sys.path.remove(str(_FOLDER))


def _require_own(name: str) -> None:
    imported = sys.modules.get(name)
    if imported is None:
        return
    places = [imported.__file__] if imported.__file__ else list(getattr(imported, "__path__", ()))
    own = _FOLDER / name
    if not any(Path(place).resolve().is_relative_to(own.resolve()) for place in places):
        raise ConfigError(
            f"the package {name} of {places[0] if places else 'another place'} hides the pipeline's own {own}: "
            "something in this process imported it first, such as a sitecustomize module; take it off PYTHONPATH"
        )


__all__ = ["own_packages"]
