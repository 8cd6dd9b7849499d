"""What the benchmarks stand on: that they measure the whole build, compare like with like, and keep what they found.

Figures themselves are no tests: `make bench`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.definitions import MONTH_ASSETS, build_defs
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.quality.realism import reference
from aquamind_pipeline.schema.definition import ByFormula
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.settings import Settings, load_settings
from benchmarks import determinism, generate, quick, realism, results
from benchmarks.measuring import LAKE_STAGES, READINGS, STAGES, by_turns, make, months_of, run, stages_before
from tests.helpers.places import ROOT


def test_the_stages_are_the_whole_build(built: Settings) -> None:
    """Every asset is measured, once; only the report is no table."""
    measured = [asset for stage in STAGES.values() for asset in stage]
    assets = {key.to_user_string() for key in build_defs(built).resolve_asset_graph().get_all_asset_keys()}
    assert len(measured) == len(set(measured))
    assert set(measured) == assets - {REPORT}


def test_stages_come_after_what_they_read() -> None:
    made: set[str] = set()
    for stage in LAKE_STAGES:
        made.update(STAGES[stage])
        assert made.issuperset(read for name in STAGES[stage] for read in REGISTRY[name].reads), stage
        assert made.issuperset(PLAN) or all(REGISTRY[name].kind is Kind.REFERENCE for name in STAGES[stage]), stage


@pytest.mark.parametrize("name", REGISTRY.events)
def test_the_stages_before_a_table_suffice_to_make_it(tmp_path: Path, name: str) -> None:
    workspace = Workspace(load_settings(profile="tiny", home=tmp_path))
    before = stages_before([name])
    assert set(before) < set(LAKE_STAGES)
    make(workspace, before)
    month = months_of(workspace)[-2]
    make(workspace, [REGISTRY[name].build_step], [month])
    assert workspace.lake.partitions(name) == [month]


@pytest.mark.slow
def test_processes_that_share_the_months_make_the_same_lake() -> None:
    assert [row["verdict"] for row in determinism.measure("tiny")] == ["equal"] * 3


def test_build_steps_and_a_run_of_dagster_make_the_same_lake(built: Settings, a_copy: Settings) -> None:
    """Months that are missing are made again, by the steps and by a run of the assets."""
    workspace = Workspace(a_copy)
    whole = determinism.digests(Workspace(built).lake)
    assert determinism.digests(workspace.lake) == whole
    for name in MONTH_ASSETS:
        workspace.lake.remove(name, "2026-04")
    assert determinism.digests(workspace.lake) != whole
    make(workspace, MONTH_ASSETS, ["2026-04", "2026-05"])
    assert determinism.digests(workspace.lake) == whole
    for name in REGISTRY.events:
        workspace.lake.remove(name, "2026-04")
    run(workspace, REGISTRY.events, ["2026-04", "2026-05"])
    assert determinism.digests(workspace.lake) == whole


@pytest.mark.parametrize("name", REGISTRY.events)
def test_generation_is_measured_on_the_rows_of_the_lake(a_copy: Settings, name: str) -> None:
    """Two months are generated and written, in the rows that a build gives."""
    workspace = Workspace(a_copy)
    months = generate.full_months(workspace, 2)
    assert months == ["2026-04", "2026-05"]
    rows, write = generate.written(workspace, name, months)
    assert rows == sum(workspace.lake.rows(name, month) for month in months)
    for work in (write, generate.generated(workspace, name, months)):
        workspace.lake.remove("measured", months[0])
        work()
        assert [workspace.lake.digest("measured", month) for month in months] == [
            workspace.lake.digest(name, month) for month in months
        ]


@pytest.mark.parametrize("name", generate.COMPARED)
def test_duckdb_generates_the_same_shape(a_copy: Settings, name: str) -> None:
    """Columns, types and order of rows as ours, and as many rows where the farm's own figures give them.

    Sensors have gaps, deaths have one or two causes, and meals fall out: how many follows from chance.
    """
    workspace = Workspace(a_copy)
    months = generate.full_months(workspace, 2)
    duck = generate.by_duckdb(workspace, name, months)
    assert duck is not None
    made = duck()
    assert generate.same_shape(workspace, name)
    if isinstance(REGISTRY[name].expected, ByFormula) and name != READINGS:
        assert made == generate.written(workspace, name, months)[0]


@pytest.mark.slow  # of a benchmark alone, and it measures for seconds
def test_a_table_without_sql_is_measured_without_duckdb(a_copy: Settings) -> None:
    workspace = Workspace(a_copy)
    other = next(name for name in MONTH_ASSETS if name not in generate.COMPARED)
    with_sql, without = (generate.of_table(workspace, name, ["2026-04"], runs=1) for name in (READINGS, other))
    assert {*with_sql} - {*without} == {"/ DuckDB, by row"}
    assert without["rows"] == workspace.lake.rows(other, "2026-04")


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


def test_the_realism_page_has_the_figures_and_ranges_of_the_check() -> None:
    """`make realism` writes our figures beside them."""
    tables = realism.PAGE.read_text("utf-8").partition(realism.HEADING)[2]
    for group in reference()["group"]:
        table = tables.partition(f"### {group['title']}\n")[2].partition("\n#")[0]
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines() if row.startswith("| ")]
        assert [row[:3] for row in rows[1:]] == realism.described(group), group["title"]
        assert {len(row) for row in rows} == {3 + len(realism.PROFILES) * len(realism.SEEDS)}


def test_a_realism_table_has_what_the_check_compares() -> None:
    one = realism.compared("tiny", 1)
    written = realism.tables({"test-40": [one], "saturation-170": [one]})
    shown = one.figures.filter(figure="gutted over live weight").select("ours").item()
    assert f"| gutted over live weight | 0.83 to 0.85 | 0.8 to 0.88 | {shown:.3g} | {shown:.3g} |" in written
