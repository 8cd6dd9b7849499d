"""Tables that are made for some batches at a time, so that memory holds no whole farm, and written month by month."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import polars as pl

from aquamind_pipeline.lake import LABELS, PARTS, Lake, Written
from aquamind_pipeline.months import first_day, month_key, month_of, months_between
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.pipeline.writing import with_faults, write
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.schema.frames import conform, lake_schema
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

SLICE_BATCHES = 200
"""Batches that are made at once: some hundred MB, whatever the size of the farm."""


def batch_slices(batch_ids: Sequence[int]) -> list[list[int]]:
    """Batches that are made at once, in order."""
    ids = sorted(batch_ids)
    return [ids[i : i + SLICE_BATCHES] for i in range(0, len(ids), SLICE_BATCHES)]


def living_batches(plan: Plan, since: str | None) -> list[int]:
    """Batches with fish in this month or later; all, when there is no month."""
    assignments = plan.assignments
    if since:
        assignments = assignments.filter(pl.col("departure_date") > first_day(since))
    return assignments["batch_id"].unique().sort().to_list()


def make_slices(workspace: Workspace, definitions: Sequence[TableDefinition]) -> Iterator[tuple[str, Written]]:
    """Make the tables of a step, slice by slice. A nightly run makes the batches that live since its first month.

    A snapshot is about fish that live now, and is made anew as a whole.

    Yields:
        Each table and what was written of it.
    """
    farm, lake, since = workspace.planned, workspace.lake, workspace.settings.since
    started = time.perf_counter()
    shared: dict[Any, Any] = {}
    is_snapshot = definitions[0].snapshot
    lived_since, kept_before = (month_key(farm.as_of), "") if is_snapshot else (since, since or "")
    batches = living_batches(Inputs(definitions[0], farm, lake, shared=shared).plan, lived_since)
    writers = [(_Monthly if one.is_monthly else _Whole)(lake, farm, one, kept_before, batches) for one in definitions]
    slices = batch_slices(batches)
    with workspace.progress.track(definitions[0].name, len(slices)) as advance:
        for number, some in enumerate(slices):
            own: dict[Any, Any] = {}  # what the tables of the step share of this slice
            for one, writer in zip(definitions, writers, strict=True):
                inputs = Inputs(one, farm, lake, batches=some, shared=shared, own=own)
                writer.add(conform(one.make(inputs), one.table), number, last=number == len(slices) - 1)
            advance()
    for one, writer in zip(definitions, writers, strict=True):
        yield one.name, writer.finish(started)
        started = time.perf_counter()


class _Whole:
    """Collects a table that is kept whole. Rows of batches that are not made again stay as they are."""

    def __init__(self, lake: Lake, farm: Profile, one: TableDefinition, since: str, batches: Sequence[int]) -> None:
        self._lake, self._farm, self._definition = lake, farm, one
        self._parts = [_nothing(one)]  # there may be no batches
        if since:
            self._parts.append(lake.read(one.name).filter(~pl.col("batch_id").is_in(list(batches))))

    def add(self, rows: pl.DataFrame, number: int, *, last: bool) -> None:
        self._parts.append(rows)

    def finish(self, started: float) -> Written:
        rows = pl.concat(self._parts)
        keys = [name for name in rows.columns if name.endswith("assignment_id")]
        return write(self._lake, self._farm, self._definition, rows.sort(keys))


class _Monthly:
    """Writes a table by month. Each slice but the last writes parts of months; the last one completes them."""

    def __init__(self, lake: Lake, farm: Profile, one: TableDefinition, since: str, batches: Sequence[int]) -> None:
        self._lake, self._farm, self._definition, self._since = lake, farm, one, since
        self._time = str(one.time)
        self._first = first_day(since) if since else date.min
        self._apart = f"{PARTS}/{one.name}"
        self._done: list[Written] = []
        self._labels: list[pl.DataFrame] = []
        self._parts: dict[str, list[str]] = {}
        for left in lake.partitions(self._apart):  # by a killed run
            lake.remove(self._apart, left)

    def add(self, rows: pl.DataFrame, number: int, *, last: bool) -> None:
        rows, labels = with_faults(self._farm, self._definition, rows)
        if labels.height:
            months = rows.select("id", partition=month_of(self._time))
            self._labels.append(labels.drop("partition").join(months, on="id"))
        for first, part in _groups(rows.filter(pl.col(self._time) >= self._first), pl.col(self._time).dt.month_start()):
            month = month_key(first)
            if last:
                self._complete(month, part)
            else:
                written = self._lake.write(self._apart, part, f"{month}.{number:06d}")
                self._parts.setdefault(month, []).append(str(written.partition))

    def _complete(self, month: str, *last: pl.DataFrame) -> None:
        """Write a month: its parts, and the rows of the last slice."""
        parts = self._parts.pop(month, [])
        earlier = [self._lake.scan(self._apart, parts).collect()] if parts else []
        self._done.append(self._lake.write(self._definition.name, pl.concat([*earlier, *last]), month))
        for part in parts:
            self._lake.remove(self._apart, part)

    def finish(self, started: float) -> Written:
        lake, name = self._lake, self._definition.name
        for month in list(self._parts):  # those that the last slice has no rows of
            self._complete(month)
        for month in self._expected_months() - {str(one.partition) for one in self._done}:
            self._done.append(lake.write(name, _nothing(self._definition), month))
        labelled = f"{LABELS}/{name}"
        for place, made in ((name, {one.partition for one in self._done}), (labelled, self._write_labels(labelled))):
            for month in set(lake.partitions(place)) - made:
                if month >= self._since:
                    lake.remove(place, month)
        kept = [month for month in lake.partitions(name) if month < self._since]
        digests = sorted([one.digest for one in self._done] + [lake.digest(name, month) for month in kept])
        digest = hashlib.sha256("".join(digests).encode()).hexdigest()
        before = lake.scan(name, kept).select(pl.len()).collect().item() if kept else 0
        rows = sum(one.rows for one in self._done) + before
        return Written(name, None, rows, sum(one.bytes for one in self._done), time.perf_counter() - started, digest)

    def _expected_months(self) -> set[str]:
        """Months that have a file even if nothing happened in them: a missing file is one that somebody lost."""
        last = month_key(self._farm.as_of)
        if self._definition.snapshot:
            return set() if self._done else {last}
        return {month for month in months_between(self._farm.epoch, self._farm.as_of) if month >= self._since}

    def _write_labels(self, place: str) -> set[str | None]:
        """Write the labels of faults, month by month; returns these months."""
        written: set[str | None] = set()
        if self._labels:
            labels = pl.concat(self._labels).filter(pl.col("partition") >= self._since)  # earlier ones are complete
            for month, some in _groups(labels, pl.col("partition")):
                self._lake.write(place, some, month)
                written.add(month)
        return written


def _nothing(one: TableDefinition) -> pl.DataFrame:
    """The table without rows."""
    return pl.DataFrame(schema=lake_schema(one.table))


def _groups(rows: pl.DataFrame, by: pl.Expr) -> Iterator[tuple[Any, pl.DataFrame]]:
    """Each value of an expression and its rows, in their order."""
    for (value,), part in rows.group_by(by.alias("(group)"), maintain_order=True):
        yield value, part[rows.columns]


__all__ = ["batch_slices", "living_batches", "make_slices"]
