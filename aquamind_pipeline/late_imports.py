"""Imports of libraries that we use but for a part, which takes long to import.

Python's own `importlib.util.LazyLoader` does not do it: an import statement already executes its modules, because it
asks for their `__spec__`.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module that is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def imported_later(*names: str) -> Iterator[None]:
    """Let what is imported in the block import these modules later, when it uses them.

    Args:
        names: Names of modules. They may be parts of packages, such as `scipy.stats`.
    """
    stand_ins = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


__all__ = ["imported_later"]
