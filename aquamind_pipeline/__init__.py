"""Builds a whole salmon farm for AquaMind: generated, assimilated, checked, and loaded into PostgreSQL.

These names are the library's public interface (docs/api.md). Each is loaded when it is first used, so that importing
the package is quick and changes nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in typing, whose place a user's typing.py may take
if TYPE_CHECKING:
    from typing import Any

    from aquamind_pipeline.errors import AquaMindError
    from aquamind_pipeline.growth.assimilation import assimilate
    from aquamind_pipeline.growth.records import Records
    from aquamind_pipeline.growth.rules import AQUAMIND, CORRECTED
    from aquamind_pipeline.lake import Lake, open_lake
    from aquamind_pipeline.pipeline.farm import Farm
    from aquamind_pipeline.profiles import profile_names

    __version__: str

_WHERE = {
    "AQUAMIND": "growth.rules",
    "AquaMindError": "errors",
    "CORRECTED": "growth.rules",
    "Farm": "pipeline.farm",
    "Lake": "lake",
    "Records": "growth.records",
    "assimilate": "growth.assimilation",
    "open_lake": "lake",
    "profile_names": "profiles",
}


if not TYPE_CHECKING:  # else every misspelt name would have a type

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib import metadata  # slow to import

            return metadata.version("aquamind-pipeline")
        if name in _WHERE:
            if name != "AquaMindError":
                from aquamind_pipeline.platforms import require_supported

                require_supported()
            return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "AQUAMIND",
    "CORRECTED",
    "AquaMindError",
    "Farm",
    "Lake",
    "Records",
    "__version__",
    "assimilate",
    "open_lake",
    "profile_names",
]
