"""Peak resident memory of every stage, each in a process of its own, at farms of several sizes.

At most 2 GiB, and no more for a large farm than for a small one. The server's memory is not ours and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measuring import LAKE_STAGES, Row, farm
from benchmarks.stages import EVERYTHING, of_stage

PROFILES = ("test-40", "saturation-170", "saturation-1700")
LAKE_ONLY = ("saturation-1700",)
"""Farms whose database would need a larger disk: generated and assimilated only."""
LIMIT_MIB = 2048


def measure(profiles: Sequence[str] = PROFILES) -> list[Row]:
    """A line for each stage: MiB and seconds at each farm, and how much memory grew from the first to the last."""
    rows: dict[str, Row] = {stage: {"stage": stage} for stage in EVERYTHING}
    for profile in profiles:
        with farm(profile) as workspace:
            for stage in LAKE_STAGES if profile in LAKE_ONLY else EVERYTHING:
                found = of_stage(workspace, stage)
                rows[stage] |= {f"{profile}, MiB": found["peak_mib"], f"{profile}, s": found["seconds"]}
    measured = [row for row in rows.values() if len(row) > 1]
    for row in measured:
        peaks = [float(row[name]) for name in (f"{profile}, MiB" for profile in profiles) if name in row]
        row |= {"grew": peaks[-1] / peaks[0], "within 2 GiB": "yes" if max(peaks) <= LIMIT_MIB else "NO"}
    return measured
