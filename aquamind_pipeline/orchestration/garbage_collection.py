"""Tunes Python's garbage collector in the processes of the pipeline, and only there.

Imports make about a million objects that live until the process ends. With Python's default of one collection per 700
new objects, a start-up spends up to a quarter of its time looking through them. Nothing large of the pipeline is ever
part of a reference cycle, so collections may be rare.

The settings hold for the whole process. So the command line and the code location that Dagster loads call these
functions; importing the library never does.
"""

from __future__ import annotations

import gc

_NEW_OBJECTS = 200_000


def collect_rarely() -> None:
    """Collect after 200,000 new objects. Call it before the large imports."""
    gc.set_threshold(_NEW_OBJECTS)


def skip_loaded_objects() -> None:
    """Exclude all objects of now from later collections. Call it after the large imports.

    Otherwise Python looks through the imported objects once more when the process ends, which takes half a second.
    """
    gc.freeze()


__all__ = ["collect_rarely", "skip_loaded_objects"]
