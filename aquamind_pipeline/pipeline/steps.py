"""Build steps: make whole tables, or months of a table, and write them to the lake."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import AquaMindError, DefinitionError, LakeError
from aquamind_pipeline.lake import LABELS, Written
from aquamind_pipeline.months import day_after, first_day, month_key, months_between
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.pipeline.writing import write
from aquamind_pipeline.quality.volumes import rough_rows
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import conform
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, lived_months

THREADS = 2
"""While one thread computes months, mostly on one core, the other writes some."""
ROWS_AT_ONCE = 20_000
"""Months of small tables are made together up to this many rows, because most of their time is the fixed cost of
operations. More rows would be no faster: they leave the processor's cache."""
DAYS_AT_ONCE, MOST_MONTHS_AT_ONCE = 250_000, 12
"""A group of months has no more days of containers than this: a table with few rows may read all of them."""
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
        rows = conform(one.make(Inputs(one, farm, lake, shared=shared)), one.table)
        written = write(lake, farm, one, rows)
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


def groups_of_months(
    definition: TableDefinition, farm: Profile, plan: Callable[[], Plan], months: Sequence[str]
) -> list[list[str]]:
    """Put months into groups of successive ones that one call of the generator makes, by the rows to expect.

    Memory holds a few groups, however long the farm's history is.

    Args:
        definition: The table.
        farm: The farm.
        plan: Gives the farm's plan. A night, which makes one month, does not read it.
        months: Months to make, in order.
    """
    size = 1
    if not definition.covers_month and len(months) > 1:
        size = _group_size(definition, farm, plan())
    groups: list[list[str]] = []
    for month in months:
        if groups and len(groups[-1]) < size and day_after(groups[-1][-1]) == first_day(month):
            groups[-1].append(month)
        else:
            groups.append([month])
    return groups


def _group_size(definition: TableDefinition, farm: Profile, plan: Plan) -> int:
    """Months of a group, by the rows of the table and the days of containers in a month."""
    months = len(months_between(farm.epoch, farm.as_of))
    rows = rough_rows(definition, farm, plan)
    days = lived_months(farm, plan).select((pl.col("until") - pl.col("since")).sum()).item()
    most = min(ROWS_AT_ONCE * months / max(rows, 1), DAYS_AT_ONCE * months / max(days, 1), MOST_MONTHS_AT_ONCE)
    return max(1, int(most))


def rows_by_month(inputs: Inputs, definition: TableDefinition) -> dict[str, pl.DataFrame]:
    """Make a group of months in one call of the generator: the rows of each, in the lake's columns."""
    rows, months = conform(definition.make(inputs), definition.table), inputs.months_to_make
    if len(months) == 1:
        return {months[0]: rows}
    day = rows[str(definition.time)].dt.date()
    apart = {month: rows.filter((day >= first_day(month)) & (day < day_after(month))) for month in months}
    if sum(some.height for some in apart.values()) != rows.height:
        raise DefinitionError(f"{definition.place}: {definition.name} has rows outside the months that it was to make")
    return apart


def make_months(workspace: Workspace, definition: TableDefinition, months: Sequence[str]) -> Months:
    """Make months of a table in small groups, so that memory holds few and a killed run keeps the others.

    A month that fails does not keep the others from being written.
    """
    farm, lake, name = workspace.planned, workspace.lake, definition.name
    shared: dict[Any, Any] = {}

    def make(group: Sequence[str]) -> dict[str, Written | Exception]:
        started = time.perf_counter()
        try:
            rows = rows_by_month(Inputs(definition, farm, lake, months=group, shared=shared), definition)
        except Exception as error:
            if len(group) == 1:
                return {group[0]: error}
            return {month: outcome for one in group for month, outcome in make([one]).items()}  # only some fail
        seconds = (time.perf_counter() - started) / len(group)
        return {month: write_month(month, rows[month], seconds) for month in group}

    def write_month(month: str, rows: pl.DataFrame, seconds: float) -> Written | Exception:
        started = time.perf_counter()
        try:
            return _taking(write(lake, farm, definition, rows, month), seconds + time.perf_counter() - started)
        except Exception as error:
            return error

    keep_freed_memory()
    wanted = [month for month in months if month <= month_key(farm.as_of)]
    done = Months({}, {})
    groups = groups_of_months(definition, farm, lambda: Plan(*(lake.read(one) for one in PLAN)), wanted)
    with (
        workspace.progress.track(name, len(wanted)) as advance,
        ThreadPoolExecutor(THREADS, thread_name_prefix=name) as pool,
    ):
        for outcomes in pool.map(make, groups):
            for month, outcome in outcomes.items():
                if isinstance(outcome, Exception):
                    done.failed[month] = outcome
                else:
                    done.written[month] = outcome
                advance()
    for month in set(months).difference(wanted):
        lake.remove(name, month)
        done.written[month] = None
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


__all__ = [
    "THREADS",
    "Months",
    "failure",
    "farm_of",
    "groups_of_months",
    "keep_freed_memory",
    "make_months",
    "make_whole",
    "rows_by_month",
]
