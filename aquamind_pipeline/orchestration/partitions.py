"""The monthly partitions of event tables, and the months of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import dagster as dg
import polars as pl

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.simulation.profile import Profile

MONTH = "%Y-%m"


def monthly(farm: Profile) -> dg.MonthlyPartitionsDefinition:
    """Months from the farm's epoch to the current month, as `2026-01`."""
    # Dagster counts a month when it is over; end_offset=1 adds the current one.
    return dg.MonthlyPartitionsDefinition(
        start_date=farm.epoch.strftime(MONTH), fmt=MONTH, end_offset=1, timezone="UTC"
    )


def months(first: date, last: date) -> list[str]:
    """Keys of the months from that of `first` to that of `last`, both included."""
    return pl.date_range(first.replace(day=1), last, "1mo", eager=True).dt.strftime(MONTH).to_list()


def range_tags(keys: list[str]) -> dict[str, str]:
    """Tags of one run over several successive months.

    Raises:
        ConfigError: when there is no month.
    """
    if not keys:
        raise ConfigError("there is no month to build: as_of lies before epoch")
    return {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}


def months_of_run(tags: Mapping[str, str]) -> list[str] | None:
    """The months of a run, from its tags; None if the run has no partitions."""
    if "dagster/partition" in tags:
        return [tags["dagster/partition"]]
    ends = [tags.get(f"dagster/asset_partition_range_{end}") for end in ("start", "end")]
    first, last = (date.fromisoformat(f"{month}-01") if month else None for month in ends)
    return months(first, last) if first and last else None


__all__ = ["MONTH", "monthly", "months", "months_of_run", "range_tags"]
