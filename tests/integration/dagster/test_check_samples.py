"""Rows that a failed check shows on Dagster's pages and in the report."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.asset_specs import frame_table
from aquamind_pipeline.pipeline import check_results
from aquamind_pipeline.pipeline.sample_names import with_names
from aquamind_pipeline.schema.check_result import CheckResult
from aquamind_pipeline.settings import Settings, load_settings


def test_rows_name_their_batch_as_people_do(built: Settings) -> None:
    """An id that no batch has, or none, stays without a number; the rows keep their order."""
    lake = Lake(built.lake_path)
    batches = lake.read("batch_batch")
    number, last = dict(zip(batches["id"], batches["batch_number"], strict=True)), batches["id"].max()
    ids = [last, None, -1, batches["id"].min()]
    shown = with_names(lake, pl.DataFrame({"id": [4, 3, 2, 1], "batch_id": ids}))
    assert shown.columns == ["id", "batch", "batch_id"]
    assert shown["batch"].to_list() == [number.get(one) for one in ids]
    assert shown["id"].to_list() == [4, 3, 2, 1]


def test_rows_of_an_assignment_name_its_batch_and_container(built: Settings) -> None:
    lake = Lake(built.lake_path)
    assignments = lake.read("batch_batchcontainerassignment").tail(3)
    batches = lake.read("batch_batch").select(batch_id="id", batch="batch_number")
    containers = lake.read("infrastructure_container").select(container_id="id", container="name")
    expected = assignments.join(batches, on="batch_id", maintain_order="left")
    expected = expected.join(containers, on="container_id", maintain_order="left")
    for column in ("assignment_id", "batch_assignment_id", "container_assignment_id"):
        shown = with_names(lake, assignments.select(pl.col("id").cast(pl.Int32).alias(column)))
        assert shown.columns == ["batch", "container", column]
        assert shown.rows() == expected.select("batch", "container", "id").rows()
    transfer = with_names(lake, assignments.select(source_assignment_id="id", dest_assignment_id="id"))
    assert transfer.columns == ["batch", "source_assignment_id", "dest_assignment_id"]
    lake_without_names = Lake(built.lake_path / "nothing")
    rows = assignments.select(assignment_id="id")
    assert with_names(lake_without_names, rows).equals(rows)


def test_floats_have_few_digits_on_pages_and_in_the_report(tmp_path: Path) -> None:
    rows = pl.DataFrame({"id": [123456789], "fcr": [1.1500000000000001], "kg": [12345678.9012]})
    (record,) = frame_table(rows).records
    assert record.data == {"id": 123456789, "fcr": 1.15, "kg": 12345678.9}
    settings = load_settings(profile="tiny", home=tmp_path)
    result = CheckResult("volume", passed=False, wrong=1, detail="wrong", sample=rows)
    check_results.save(settings, "some", [("batch_batch", result)])
    assert check_results.load(settings)["sample"].to_list() == [
        [["id", "fcr", "kg"], ["123456789", "1.15", "12345678.9"]],
    ]
