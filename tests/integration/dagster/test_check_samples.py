"""Rows that a failed check shows on Dagster's pages."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.checks.results import with_batch_numbers
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings


def test_rows_name_their_batch_as_people_do(built: Settings) -> None:
    """An id that no batch has, or none, stays without a number; the rows keep their order."""
    batches = Lake(built.lake_path).read("batch_batch")
    number, last = dict(zip(batches["id"], batches["batch_number"], strict=True)), batches["id"].max()
    ids = [last, None, -1, batches["id"].min()]
    shown = with_batch_numbers(Workspace(built), pl.DataFrame({"id": [4, 3, 2, 1], "batch_id": ids}))
    assert shown.columns == ["id", "batch", "batch_id"]
    assert shown["batch"].to_list() == [number.get(one) for one in ids]
    assert shown["id"].to_list() == [4, 3, 2, 1]
