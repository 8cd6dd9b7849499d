"""How an asset writes: conform to the catalogue, into the lake, and tell Dagster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import dagster as dg
import polars as pl

from aquamind_pipeline import tables
from aquamind_pipeline.orchestration.catalogue import written_metadata
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.profile import Profile


def results(
    workspace: Workspace, farm: Profile, frames: Mapping[str, pl.DataFrame], started: float
) -> Iterator[dg.MaterializeResult[None]]:
    """Write whole tables; `started` is when the work on them began (`time.perf_counter`)."""
    with workspace.lake.exclusive():
        for name, frame in frames.items():
            written = workspace.lake.write(name, conformed(name, frame))
            yield dg.MaterializeResult(
                asset_key=name, metadata=written_metadata(written, farm, time.perf_counter() - started)
            )
            started = time.perf_counter()


def conformed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame in the catalogue's columns; tables of our own (plan, life) stay as they are."""
    return tables.conform(frame, tables.TABLES[name]) if name in tables.TABLES else frame


__all__ = ["conformed", "results"]
