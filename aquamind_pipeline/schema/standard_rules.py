"""What rules of several tables share: reasons, the rule `plausible`, and the days of each assignment."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.months import first_day
from aquamind_pipeline.schema.rules import WHOLE, RuleInputs, Statement

ASSIGNMENTS = "batch_batchcontainerassignment"
REFUSED = "AquaMind's constraints would refuse the rows, or its joins would double them."
MISLEADING = "Users would see events that never happened."
UNREALISTIC = "Rows are consistent; only their realism is in doubt, which a person should judge."


PLAUSIBLE = Statement(
    "plausible", "Readings lie within their parameter's limits, weights within their stage's.", MISLEADING
)
"""Each table checks it in its own way (`Rule.checked_by`)."""


def assignment_days(inputs: RuleInputs, *, all_time: bool = False) -> pl.LazyFrame:
    """Every assignment and day with fish, of the month looked at or of all time.

    Returns:
        container_id, assignment_id, stage, date.
    """
    end = pl.min_horizontal("departure_date", pl.lit(inputs.farm.as_of).dt.offset_by("1d"))
    begins = pl.col("assignment_date")
    if inputs.month != WHOLE and not all_time:
        first = pl.lit(first_day(inputs.month))
        begins, end = pl.max_horizontal(begins, first), pl.min_horizontal(end, first.dt.offset_by("1mo"))
    return (
        inputs.whole(ASSIGNMENTS)
        .lazy()
        .select(
            "container_id",
            assignment_id="id",
            stage="lifecycle_stage_id",
            date=pl.date_ranges(begins, end, interval="1d", closed="left"),
        )
        .filter(pl.col("date").list.len() > 0)
        .explode("date")
    )


__all__ = ["ASSIGNMENTS", "MISLEADING", "PLAUSIBLE", "REFUSED", "UNREALISTIC", "assignment_days"]
