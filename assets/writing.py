"""How an asset writes: conform to the catalogue, put in the faults that were asked for, into the lake, tell Dagster."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.lake import LABELS, PARTS, Lake, Written
from aquamind_pipeline.orchestration.asset_specs import written_metadata
from aquamind_pipeline.orchestration.partitions import MONTH
from aquamind_pipeline.orchestration.retries import retry_transient_errors
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.quality.faults import broken_file, inject
from aquamind_pipeline.simulation.profile import Profile
from assets.showing import shown_of

SLICE_BATCHES = 100
"""Batches that are lived and assimilated at once: some hundred MB, whatever the size of the farm."""


def results(
    workspace: Workspace, farm: Profile, frames: Mapping[str, pl.DataFrame], started: float
) -> Iterator[dg.MaterializeResult[None]]:
    """Write whole tables; `started` is when the work on them began (`time.perf_counter`)."""
    with retry_transient_errors(), workspace.lake.exclusive():
        if workspace.lake.manifest() is None:
            workspace.lake.claim(farm)  # before its first file: nothing is built into a folder that holds other things
        for name, frame in frames.items():
            written = write(workspace.lake, farm, name, frame)
            facts = written_metadata(written, farm, time.perf_counter() - started)
            yield dg.MaterializeResult(asset_key=name, metadata={**facts, **shown_of(name, workspace)})
            started = time.perf_counter()


def write(lake: Lake, farm: Profile, name: str, frame: pl.DataFrame, month: str | None = None) -> Written:
    """Write a table or a month of it, in the catalogue's columns; tables of our own (plan, life) stay as they are."""
    rows, labels = _spoiled(farm, name, frame, month or "")
    written = lake.write(name, rows, month)
    broken = broken_file(farm.faults, farm.seed, farm.as_of, name, month or "")
    if broken is not None:
        labels = broken.labels
        lake.damage(name, month, keep=broken.keep)
    if labels.height:
        lake.write(f"{LABELS}/{name}", labels, month)
    elif farm.faults:
        lake.remove(f"{LABELS}/{name}", month)  # of rows that were spoiled before, when the farm reached less far
    return written


def batch_slices(batch_ids: pl.Series) -> list[list[int]]:
    """Batches that are worked on at once, in order."""
    ids = batch_ids.sort().to_list()
    return [ids[i : i + SLICE_BATCHES] for i in range(0, len(ids), SLICE_BATCHES)]


def write_by_month(
    workspace: Workspace, farm: Profile, name: str, make: Callable[[list[int]], pl.DataFrame], slices: list[list[int]]
) -> Written:
    """Write a table of all batches month by month: made slice by slice, so that memory holds one slice or one month.

    At night only the months since its first, which hold no rows of batches that are not made.

    Args:
        workspace: Where to.
        farm: The farm.
        name: The table; it has a column `date`.
        make: Rows of some batches, in the order in which they are kept.
        slices: Batches to make at once.
    """
    lake, since, started = workspace.lake, workspace.settings.since or "", time.perf_counter()
    first = date.fromisoformat(f"{since}-01") if since else date.min
    done: list[Written] = []
    labelled: list[pl.DataFrame] = []
    apart = f"{PARTS}/{name}"
    for left in lake.partitions(apart):  # of a killed run
        lake.remove(apart, left)
    parts: dict[str, list[str]] = {}
    with workspace.progress.track(name, len(slices)) as step:
        for number, some in enumerate(slices):
            rows, labels = _spoiled(farm, name, make(some), "")
            if labels.height:
                labelled.append(labels.drop("partition").join(rows.select("id", partition=_MONTH), on="id"))
            for month, part in _by_month(rows.filter(pl.col("date") >= first), _MONTH):
                if len(slices) == 1:
                    done.append(lake.write(name, part, month))
                else:
                    written = lake.write(apart, part, f"{month}.{number:06d}")
                    parts.setdefault(month, []).append(str(written.partition))
            step()
    for month, some_parts in parts.items():
        done.append(lake.write(name, lake.scan(apart, some_parts).collect(), month))
        for part_name in some_parts:
            lake.remove(apart, part_name)
    spoiled: set[str] = set()
    if labelled:
        of_months = pl.concat(labelled).filter(pl.col("partition") >= since)  # earlier ones also tell of other batches
        for month, labels in _by_month(of_months, pl.col("partition")):
            lake.write(f"{LABELS}/{name}", labels, month)
            spoiled.add(month)
    for place, made in ((name, {one.partition for one in done}), (f"{LABELS}/{name}", spoiled)):
        for month in set(lake.partitions(place)) - made:
            if month >= since:
                lake.remove(place, month)
    kept = [month for month in lake.partitions(name) if month < since]
    digests = sorted([one.digest for one in done] + [lake.digest(name, month) for month in kept])
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    before = lake.scan(name, kept).select(pl.len()).collect().item() if kept else 0
    in_all = sum(one.rows for one in done) + before
    return Written(name, None, in_all, sum(one.bytes for one in done), time.perf_counter() - started, digest)


_MONTH = pl.col("date").dt.strftime(MONTH)


def _by_month(rows: pl.DataFrame, month: pl.Expr) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each month and its rows, in their order."""
    for (name,), part in rows.group_by(month.alias("(month)"), maintain_order=True):
        yield str(name), part.select(rows.columns)


def _spoiled(farm: Profile, name: str, frame: pl.DataFrame, month: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows in the catalogue's columns with the faults that were asked for, and the labels of these."""
    if name not in tables.TABLES:
        return frame, pl.DataFrame()
    rows = tables.conform(frame, tables.TABLES[name])
    return inject(farm.faults, farm.seed, farm.as_of, name, rows, month) if farm.faults else (rows, pl.DataFrame())


__all__ = ["batch_slices", "results", "write", "write_by_month"]
