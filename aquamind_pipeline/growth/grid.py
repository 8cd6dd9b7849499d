"""The days that have a state: from assignment to the day before departure (R4, R5)."""

from __future__ import annotations

from datetime import date

import polars as pl

from aquamind_pipeline.growth.records import Records


def days_of(records: Records, until: date) -> pl.DataFrame:
    """One row for each assignment and day up to `until`, sorted by both.

    Columns: assignment_id, batch_id, container_id, lifecycle_stage_id, date, day_number (from 1 on the batch's first
    day, R39).
    """
    end = pl.min_horizontal("departure_date", pl.lit(until).dt.offset_by("1d"))
    stays = records.assignments.with_columns(end=end).filter(pl.col("assignment_date") < pl.col("end"))
    return (
        stays.sort("assignment_id")
        .with_columns(date=pl.date_ranges("assignment_date", "end", closed="left"))
        .explode("date")
        .join(records.batches.select("batch_id", "start_date"), on="batch_id", how="left", maintain_order="left")
        .select(
            "assignment_id",
            "batch_id",
            "container_id",
            "lifecycle_stage_id",
            "date",
            day_number=((pl.col("date") - pl.col("start_date")).dt.total_days() + 1).cast(pl.Int32),
        )
    )


__all__ = ["days_of"]
