"""Daily states per second, from one batch to 1,700, under both rule sets, with peak memory.

Every size runs in a process of its own, in slices of batches as the asset does. The parts are:

- `sums`: the closed-form solver alone, from records that are laid out;
- `compute`: laying the records out, and `sums`;
- `stored`: validation, `compute`, rounding and sources;
- `AquaMind`: laying out and the daily solver, under AquaMind's rules.

The asset reads the lake, computes everything and writes it. Its ratio is to `stored`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from aquamind_pipeline.growth import closed_form_solver, daily_solver
from aquamind_pipeline.growth.assimilation import Run, assimilate, stored
from aquamind_pipeline.growth.record_grid import lay_out
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import AQUAMIND, CORRECTED
from aquamind_pipeline.growth.validation import validate
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.settings import load_settings
from assets.growth import read_records, write_states
from assets.writing import batch_slices
from benchmarks.measuring import Row, alone, built, peak_mib, seconds

PROFILE = "saturation-170"
SIZES = (1, 40, 170, 1_700)
_COPIES = 100_000_000
"""Added to the ids of each further copy of the farm's batches."""


def measure(profile: str = PROFILE) -> list[Row]:
    """Build the farm once, measure every size of it."""
    rows: list[Row] = []
    with built(profile) as workspace:
        own = ("--home", str(workspace.settings.home), "--profile", profile)
        for size in SIZES:
            measured = alone(__name__, *own, "--batches", str(size))
            states = int(measured["states"])
            row: Row = {"work": f"{size:,} batches", "states": states}
            row |= {
                f"{part}, million/s": states / measured[part] / 1e6
                for part in ("sums", "compute", "stored", "AquaMind")
            }
            rows.append(row | {"seconds": measured["stored"], "peak MiB": measured["peak_mib"]})
        asset = alone(__name__, *own, "--asset")
        rows.append({"work": "the asset", "seconds": asset["asset"], "/ stored": asset["asset"] / asset["stored"]})
    return rows


def measure_batches(workspace: Workspace, batches: int) -> dict[str, float]:
    """Seconds of each part for a number of batches, and the peak memory."""
    lake, until = workspace.lake, workspace.planned.as_of
    ids = lake.read("batch_batch")["id"].sort()
    taken = dict.fromkeys(("sums", "compute", "stored", "AquaMind"), 0.0)
    states = 0
    for first in range(0, batches, len(ids)):
        for some in batch_slices(ids.head(batches - first)):
            given = _renumbered(read_records(lake, some), first // len(ids))
            records = validate(given, CORRECTED)
            inputs = lay_out(records, until, CORRECTED)  # the first call also pays for warming up
            states += inputs.grid.rows
            validated = seconds(partial(validate, given, CORRECTED))
            laid_out = seconds(partial(lay_out, records, until, CORRECTED))
            summed = seconds(partial(closed_form_solver.solve, inputs, CORRECTED))
            run = Run(records, CORRECTED, inputs, closed_form_solver.solve(inputs, CORRECTED))
            taken["sums"] += summed
            taken["compute"] += laid_out + summed
            taken["stored"] += validated + laid_out + summed + seconds(partial(stored, run))
            taken["AquaMind"] += seconds(partial(_as_aquamind, records, until))
    return {"states": states, "peak_mib": peak_mib(), **taken}


def _as_aquamind(records: Records, until: date) -> None:
    daily_solver.solve(lay_out(records, until, AQUAMIND), AQUAMIND)


def measure_asset(workspace: Workspace) -> dict[str, float]:
    """Seconds of reading, computing and writing, and of computing alone."""
    lake, farm = workspace.lake, workspace.planned
    slices = batch_slices(lake.read("batch_batch")["id"])
    records = [read_records(lake, some) for some in slices]

    def compute() -> None:
        for part in records:
            assimilate(part, farm.as_of)

    compute()
    return {"asset": seconds(lambda: write_states(workspace, farm)), "stored": seconds(compute)}


def _renumbered(records: Records, copy: int) -> Records:
    """The same batches under other ids."""
    if copy == 0:
        return records
    ids = pl.selectors.by_name(
        "assignment_id", "batch_id", "source_assignment_id", "dest_assignment_id", require_all=False
    )
    return replace(records, **{n: f.with_columns(ids + copy * _COPIES) for n, f in records.frames().items()})


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--profile", required=True)
    options.add_argument("--batches", type=int)
    options.add_argument("--asset", action="store_true")
    given = options.parse_args()
    farm = Workspace(load_settings(profile=given.profile, home=given.home))
    print(json.dumps(measure_asset(farm) if given.asset else measure_batches(farm, given.batches)))
