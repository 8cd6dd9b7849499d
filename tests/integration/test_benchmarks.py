"""What the benchmarks stand on: that they measure the whole build, compare like with like, and keep what they found.

Figures themselves are no tests: `make bench`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from aquamind_pipeline.orchestration.workspace import Workspace

from aquamind_pipeline import tables
from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.settings import Settings
from benchmarks import generate, orchestration, quick, results
from benchmarks.measuring import STAGES, by_turns
from tests.helpers.farms import digests
from tests.helpers.places import ROOT


def test_the_stages_are_the_whole_build(built: Settings) -> None:
    """Every asset is measured, once; only the report is no table."""
    measured = [asset for stage in STAGES.values() for asset in stage]
    assets = {key.to_user_string() for key in build_defs(built).resolve_asset_graph().get_all_asset_keys()}
    assert len(measured) == len(set(measured))
    assert set(measured) == assets - {REPORT}


@pytest.mark.parametrize("name", tables.EVENT_TABLES)
def test_duckdb_generates_the_same_shape(a_copy: Settings, name: str) -> None:
    """Columns, types and order of rows as ours, and as many readings."""
    workspace = Workspace(a_copy)
    lived = generate.months_lived(workspace, 2)
    assert list(lived) == ["2026-04", "2026-05"]
    rows, _ = generate.written(workspace, name, lived)
    assert rows == sum(workspace.lake.rows(name, month) for month in lived)
    made = generate.by_duckdb(workspace, name, lived)()
    assert generate.same_shape(workspace, name)
    if name in (generate.READINGS, "batch_mortalityevent"):
        assert made == rows


def test_the_library_alone_writes_what_a_backfill_writes(a_copy: Settings, built: Settings) -> None:
    workspace = Workspace(a_copy)
    for name in tables.EVENT_TABLES:
        workspace.lake.remove(name, "2026-04")
    orchestration.alone(workspace, ["2026-04", "2026-05"])
    assert digests(a_copy.lake_path) == digests(built.lake_path)


def test_ratios_are_of_turns() -> None:
    """Work and floors alternate, and each floor has its own ratio."""
    turns: list[str] = []
    (_, own), (_, one), (_, two) = by_turns(
        lambda: turns.append("w"), lambda: turns.append("a"), lambda: turns.append("b"), runs=3
    )
    assert "".join(turns) == "wab" * 3
    assert own == 1.0
    assert one > 0 < two


def test_a_process_of_its_own_tells_its_memory() -> None:
    """What it took at most, not what it holds at the end."""
    lines = "from benchmarks.measuring import peak_mib", "held = b'x' * (300 << 20)", "del held", "print(peak_mib())"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 300 < float(done.stdout) < 1000


def test_results_say_where_they_are_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUAMIND_HOME", str(tmp_path))
    rows: list[results.Row] = [{"work": "a", "seconds": 1.5, "ratio": 2.0}, {"work": "b", "rows": 3}]
    path = results.save("some", rows)
    assert path == tmp_path / "bench" / "some.json"
    saved = json.loads(path.read_text())
    assert saved["rows"] == rows
    assert saved["machine"].keys() == {"cores", "cpu", "memory_gib"}
    assert saved["machine"]["cores"] >= 1
    assert {"python", "postgresql", "polars", "duckdb", "pyarrow"} <= saved["versions"].keys()


def test_what_moved_is_said() -> None:
    assert quick.moved(1.2, 1.0) == quick.moved(0.85, 1.0) == ""
    assert quick.moved(1.5, 1.0) == "slower by 50%"
    assert quick.moved(0.5, 1.0) == "faster by 100%"
    assert quick.moved(1.0, None) == "new"
    kept = json.loads(quick.KEPT.read_text())
    assert kept
    assert all(ratio > 0 for ratio in kept.values())
