"""Build steps: make whole tables, or months of a table, and write them to the lake."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import AquaMindError, LakeError
from aquamind_pipeline.lake import LABELS, Written
from aquamind_pipeline.months import month_key
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.pipeline.writing import write
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.profile import Profile

MONTHS_AT_ONCE = 2
"""While one month is computed, mostly on one core, another is written."""
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # <malloc.h>


def farm_of(workspace: Workspace, definitions: Sequence[TableDefinition]) -> Profile:
    """The farm that a step makes: the one asked for until it is planned, then the one that the lake holds."""
    begins = any(one.kind is Kind.REFERENCE or one.name in PLAN for one in definitions)
    return workspace.wanted if begins else workspace.planned


def make_whole(workspace: Workspace, definitions: Sequence[TableDefinition]) -> Iterator[tuple[str, Written]]:
    """Make the tables of a step that are kept whole.

    Yields:
        Each table and what was written of it; its seconds include what the tables of the step share.
    """
    lake, farm, started = workspace.lake, farm_of(workspace, definitions), time.perf_counter()
    shared: dict[Any, Any] = {}
    if lake.manifest() is None:
        lake.claim(farm)  # before the first file, so that nothing is built into a folder that holds other things
    if any(one.name in PLAN for one in definitions):
        lake.claim(farm)
        _forget_later_months(workspace, farm)
    for one in definitions:
        written = write(lake, farm, one, one.make(Inputs(one, farm, lake, shared=shared)))
        yield one.name, _taking(written, time.perf_counter() - started)
        started = time.perf_counter()


def _taking(written: Written, seconds: float) -> Written:
    return Written(written.table, written.partition, written.rows, written.bytes, seconds, written.digest)


def _forget_later_months(workspace: Workspace, farm: Profile) -> None:
    """Delete the months after as_of, which the farm had when it reached further."""
    last = month_key(farm.as_of)
    monthly = [name for name, one in REGISTRY.items() if one.is_monthly]
    for place in (*monthly, *(f"{LABELS}/{name}" for name in monthly)):
        for month in workspace.lake.partitions(place):
            if month > last:
                workspace.lake.remove(place, month)


@dataclass(frozen=True)
class Months:
    """What came of the months of a table: what was written of each (None after as_of), and those that failed."""

    written: dict[str, Written | None]
    failed: dict[str, Exception]


def make_months(workspace: Workspace, definition: TableDefinition, months: Sequence[str]) -> Months:
    """Make months of a table, each on its own, so that memory holds few and a killed run keeps the others.

    A month that fails does not keep the others from being written.
    """
    farm, lake, name = workspace.planned, workspace.lake, definition.name
    last = month_key(farm.as_of)
    shared: dict[Any, Any] = {}

    def one(month: str) -> Written | Exception | None:
        started = time.perf_counter()
        try:
            if month > last:
                lake.remove(name, month)
                return None
            rows = definition.make(Inputs(definition, farm, lake, month=month, shared=shared))
            return _taking(write(lake, farm, definition, rows, month), time.perf_counter() - started)
        except Exception as error:
            return error

    keep_freed_memory()
    done = Months({}, {})
    with (
        workspace.progress.track(name, len(months)) as advance,
        ThreadPoolExecutor(MONTHS_AT_ONCE, thread_name_prefix=name) as pool,
    ):
        for month, outcome in zip(months, pool.map(one, months), strict=True):
            if isinstance(outcome, Exception):
                done.failed[month] = outcome
            else:
                done.written[month] = outcome
            advance()
    return done


def failure(failed: Mapping[str, Exception], of: int, name: str) -> Exception:
    """One error for several months; what is not the user's fault keeps its traceback."""
    first = next(iter(failed.values()))
    kind = LakeError if all(isinstance(error, AquaMindError) for error in failed.values()) else RuntimeError
    error = kind(f"{name}: {len(failed)} of {of} months failed ({', '.join(failed)}), the others are written: {first}")
    error.__cause__ = first
    return error


def keep_freed_memory() -> None:
    """Let malloc keep what is freed: each month needs as much again, and pages that the kernel has to find and empty
    anew cost a fifth of the time. Only glibc has this; elsewhere nothing happens."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it accepts
        malloc.mallopt(_M_TRIM_THRESHOLD, 256 << 20)


__all__ = ["MONTHS_AT_ONCE", "Months", "failure", "farm_of", "keep_freed_memory", "make_months", "make_whole"]
