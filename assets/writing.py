"""How an asset writes: conform to the catalogue, put in the faults that were asked for, into the lake, tell Dagster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Lake, Written
from aquamind_pipeline.orchestration.catalogue import frame_schema, written_metadata
from aquamind_pipeline.orchestration.healing import healing
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.profile import Profile
from aquamind_pipeline.quality.faults import broken_file, inject
from assets.showing import pictures_of

LABELS = "fault"
"""Folder of the lake that says which rows were spoiled, by table and month like the tables themselves."""


def results(
    workspace: Workspace, farm: Profile, frames: Mapping[str, pl.DataFrame], started: float
) -> Iterator[dg.MaterializeResult[None]]:
    """Write whole tables; `started` is when the work on them began (`time.perf_counter`)."""
    with healing(), workspace.lake.exclusive():
        for name, frame in frames.items():
            written = write(workspace.lake, farm, name, frame)
            facts = dict(written_metadata(written, farm, time.perf_counter() - started))
            if name not in tables.TABLES:
                facts["dagster/column_schema"] = frame_schema(frame)
            yield dg.MaterializeResult(asset_key=name, metadata={**facts, **pictures_of(name, workspace.lake)})
            started = time.perf_counter()


def write(lake: Lake, farm: Profile, name: str, frame: pl.DataFrame, month: str | None = None) -> Written:
    """Write a table or a month of it, in the catalogue's columns; tables of our own (plan, life) stay as they are."""
    if name not in tables.TABLES:
        return lake.write(name, frame, month)
    rows = tables.conform(frame, tables.TABLES[name])
    if not farm.faults:
        return lake.write(name, rows, month)
    rows, labels = inject(farm.faults, farm.seed, farm.as_of, name, rows, month or "")
    written = lake.write(name, rows, month)
    broken = broken_file(farm.faults, farm.seed, farm.as_of, name, month or "")
    if broken is not None:
        labels = broken.labels
        lake.damage(name, month, keep=broken.keep)
    if labels.height:
        lake.write(f"{LABELS}/{name}", labels, month)
    return written


__all__ = ["LABELS", "results", "write"]
