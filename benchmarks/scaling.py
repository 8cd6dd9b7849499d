"""Time against size: the lake of farms from 1 batch on, stage by stage, and whether it is a straight line.

The line goes through seconds of the processor: on a shared machine they tell what the work costs, while seconds on the
wall also tell what the neighbours do.
Farms between the profiles' are of saturation-170's kind with fewer batches. The picture is docs/images/scaling.svg.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from importlib import resources
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.measuring import LAKE_STAGES, READINGS, Row, farm
from benchmarks.stages import of_stage

PROFILES = ("single", "test-40", "saturation-170", "saturation-1700")
BATCHES_PER_GEOGRAPHY = (5, 20, 40)
"""Sizes between those of the profiles."""
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "scaling.svg"


def measure(profiles: Sequence[str] = PROFILES) -> list[Row]:
    """A line for each farm, by rows."""
    with tempfile.TemporaryDirectory() as folder:
        farms = [*profiles, *(_smaller(Path(folder), count) for count in BATCHES_PER_GEOGRAPHY)]
        rows = sorted((_of_farm(profile) for profile in farms), key=lambda row: float(row["rows"]))
    _draw(rows)
    return rows


def _smaller(folder: Path, per_geography: int) -> str:
    """A profile like saturation-170 whose newest batch is as old, but with fewer batches before it."""
    text = (resources.files("aquamind_pipeline.profiles") / "saturation-170.toml").read_text()
    text = text.partition("[bands]")[0]
    until = date(2019, 6, 17) + timedelta(days=(per_geography - 1) * 30 + 50)
    for key, value in {"batches_per_geography": per_geography, "as_of": until}.items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    path = folder / f"{2 * per_geography}-batches.toml"
    path.write_text(text)
    return str(path)


def _of_farm(profile: str) -> Row:
    with farm(profile) as workspace:
        found = {stage: of_stage(workspace, stage) for stage in LAKE_STAGES}
        lake = workspace.lake
        rows = sum(lake.rows(table) for table in lake.tables())
        taken = sum(one["cpu_seconds"] for one in found.values())
        return {
            "farm": workspace.settings.farm.name,
            "batches": lake.rows("plan_batch"),
            "rows": rows,
            "readings": lake.rows(READINGS),
            "seconds": sum(one["seconds"] for one in found.values()),
            "CPU seconds": taken,
            "CPU seconds by million rows": taken / rows * 1e6,
            "peak MiB": max(one["peak_mib"] for one in found.values()),
        }


def _draw(rows: Sequence[Row]) -> None:
    """Points, and the straight line through them: a fixed cost, and one by row."""
    size, taken = (np.array([float(row[key]) for row in rows]) for key in ("rows", "CPU seconds"))
    # Relative errors count, so that the largest farm does not decide alone.
    by_row, fixed = np.linalg.lstsq(np.column_stack([size, np.ones_like(size)]) / taken[:, None], np.ones_like(taken))[
        0
    ]
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    along = np.geomspace(size.min(), size.max(), 50)
    axes.loglog(
        along, fixed + by_row * along, color="0.6", label=f"{fixed:.1f} s + {by_row * 1e6:.2f} s by million rows"
    )
    axes.loglog(size, taken, "o", color="tab:blue", label="measured")
    for row in rows:
        point = (float(row["rows"]), float(row["CPU seconds"]))
        axes.annotate(f"{row['batches']:,}", point, xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlabel="rows of the farm (batches at the points)", ylabel="CPU seconds to the whole lake")
    axes.legend(frameon=False)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})
