"""The monthly partitions of event tables, and the months of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.months import MONTH, first_day, month_key, months_between
from aquamind_pipeline.simulation.profile import Profile


def monthly(farm: Profile, last_month: str | None = None) -> dg.MonthlyPartitionsDefinition:
    """Months from the farm's epoch on, as `2026-01`.

    Args:
        farm: The farm.
        last_month: The last one; None for the running month.
    """
    end = None if last_month is None else (first_day(last_month) + timedelta(days=31)).strftime(MONTH)
    # Dagster counts a month once it is over; end_offset=1 lets the running month be built too.
    return dg.MonthlyPartitionsDefinition(month_key(farm.epoch), end, fmt=MONTH, end_offset=1, timezone="UTC")


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
    first, last = (first_day(month) if month else None for month in ends)
    return months_between(first, last) if first and last else None


__all__ = ["monthly", "months_of_run", "range_tags"]
