"""`make bench-quick`: a few ratios in under two minutes, beside those that were kept, and which of them moved.

It informs and fails nothing: a ratio that moved is a reason to look, and then to run the benchmark that has it.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.postgres.targets import open_target
from benchmarks import checks, generate, growth, results
from benchmarks import load as loads
from benchmarks.measuring import READINGS, Row, by_turns, farm, run, seconds

KEPT = Path(__file__).parent / "quick.json"
MOVED = 1.25
"""A ratio that differs by this factor has moved; less is noise of a shared machine."""
MONTHS = 4


def main(*, write: bool) -> None:
    """Measure, compare with what was kept, and keep the new ratios if asked."""
    found = measure()
    kept: dict[str, float] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    rows: list[Row] = [
        {"ratio of": name, "now": ratio, "kept": kept.get(name, ""), "moved": moved(ratio, kept.get(name))}
        for name, ratio in found.items()
    ]
    results.show("quick", rows)
    print(results.save("quick", rows))
    if write:
        KEPT.write_text(json.dumps({name: round(ratio, 3) for name, ratio in found.items()}, indent=2) + "\n")
        print(f"kept in {KEPT}")


def moved(ratio: float, kept: float | None) -> str:
    """In words, when a ratio is another than the one that was kept."""
    if kept is None:
        return "new"
    if ratio > kept * MOVED:
        return f"slower by {ratio / kept - 1:.0%}"
    return f"faster by {kept / ratio - 1:.0%}" if ratio < kept / MOVED else ""


def measure() -> dict[str, float]:
    """Ratios by name; each is of things that took turns in this run."""
    found: dict[str, float] = {}
    with farm("test-40") as workspace:
        checks.warm_up(workspace)
        lake = seconds(lambda: run(workspace, REGISTRY))
        months = generate.full_months(workspace, MONTHS)
        for name in REGISTRY.events:
            found |= _generation(workspace, name, months)
        found["growth / a running sum"] = _growth(workspace)
        checked = seconds(lambda: list(workspace.checks().everything()))
        found["checks / generation"] = checked / lake
        found |= _load(workspace)
    return found


def _generation(workspace: Workspace, name: str, months: list[str]) -> dict[str, float]:
    rows, written = generate.written(workspace, name, months)
    floors = {"written": written}
    if duck := generate.by_duckdb(workspace, name, months):
        floors["DuckDB"] = duck
    if name == READINGS:
        floors["tpchgen"] = generate.by_tpchgen(workspace.settings.home)
    (ours, _), *times = by_turns(generate.generated(workspace, name, months), *floors.values(), runs=3)
    taken = dict(zip(floors, times, strict=True))
    found = {f"generate {name} / {floor}": taken[floor][1] for floor in floors if floor != "tpchgen"}
    if "tpchgen" in taken:
        found["generate readings / tpchgen, by cell"] = generate.by_cell(name, rows, ours, taken["tpchgen"][0])
    return found


def _growth(workspace: Workspace) -> float:
    lake, until = workspace.lake, workspace.planned.as_of
    records = growth.records_of(workspace, lake.read("batch_batch")["id"].to_list())
    states = lake.read(STATES.name)
    running = pl.col("avg_weight_g").cast(pl.Float64).cum_sum().over("assignment_id")
    return by_turns(lambda: assimilate(records, until), lambda: states.select(running), runs=3)[1][1]


def _load(workspace: Workspace) -> dict[str, float]:
    lake = workspace.lake
    some = lake.partitions(READINGS)[-MONTHS - 1 : -1]
    with workspace.database() as url, loads.server_files(workspace.settings.home) as files:
        target = open_target(url)
        target.prepare(Manifest.of(workspace.planned))
        target.load_whole(lake)
        work, floor = loads.of_months(url, lake, files, READINGS, some)
        compared = by_turns(lambda: comparison.differences(target, lake, {READINGS: some}), work, runs=3)
        return {"load readings / floor": by_turns(work, floor, runs=3)[1][1], "comparison / load": compared[1][1]}
