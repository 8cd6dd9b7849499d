"""Checks of the profile's bands: ranges that the finished farm's counts must meet."""

from __future__ import annotations

from collections.abc import Mapping

from aquamind_pipeline.report.model import Check
from aquamind_pipeline.simulation.profile import Profile


def band_checks(farm: Profile, counts: Mapping[str, int]) -> list[Check]:
    """One check for each band whose name `counts` has. None at another `as_of` than the profile's own.

    Args:
        farm: The farm.
        counts: Counts by the names of bands: `batches`, `completed`, or a table.
    """
    if farm.as_of != farm.default_as_of:
        return []
    return [
        Check(f"band of {name}", least <= counts[name] <= most, f"{counts[name]:,} in {least:,} … {most:,}")
        for name, (least, most) in bands(farm).items()
        if name in counts
    ]


def bands(farm: Profile) -> Mapping[str, tuple[int, int]]:
    """Least and most of each band, by its name."""
    return dict(farm.bands)


__all__ = ["band_checks", "bands"]
