"""Our live projections and forecast summaries are those of AquaMind's own engine, in every cell."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.projection.live import project_live
from tests.helpers.live_oracle import LiveOracle, live_oracles
from tests.helpers.projection_oracle import HERE

KEY = ["assignment_id", "computed_date", "projection_date"]
folders = pytest.mark.parametrize("folder", live_oracles(), ids=lambda folder: folder.name)


def _wrong(theirs: pl.DataFrame, ours: pl.DataFrame, key: list[str], but: tuple[str, ...] = ()) -> list[str]:
    """Cells that differ."""
    both = theirs.join(ours, on=key, how="full", suffix="_ours", coalesce=True).sort(key)
    assert both.height == theirs.height == ours.height > 0
    wrong = []
    for name in theirs.columns:
        if name not in (*key, *but):
            cells = both.filter(pl.col(name).ne_missing(pl.col(f"{name}_ours")))
            wrong += [f"{name}: {row}" for row in cells.select(*key, name, f"{name}_ours").iter_rows()]
    return wrong


@folders
def test_every_projection_is_theirs(folder: Path) -> None:
    oracle = LiveOracle.read(folder)
    ours = oracle.table_after(project_live(oracle.inputs, oracle.calls))
    wrong = _wrong(oracle.rows, ours, KEY)
    # The last bit of a power decides where a biomass lies on a half.
    biomass = [cell for cell in wrong if cell.startswith("projected_biomass_kg")]
    assert len(biomass) <= ours.height / 1000
    assert wrong == biomass


@folders
def test_every_summary_is_theirs(folder: Path) -> None:
    oracle = LiveOracle.read(folder)
    ours = project_live(oracle.inputs, oracle.calls).summaries
    as_text = ours.with_columns(pl.exclude("call").cast(pl.String))
    assert not _wrong(oracle.summaries, as_text, ["call"], but=("last_computed",))


@folders
def test_every_call_ends_as_theirs(folder: Path) -> None:
    oracle = LiveOracle.read(folder)
    ours = project_live(oracle.inputs, oracle.calls).calls
    assert not _wrong(oracle.ends, ours.drop("assignment_id"), ["call"])


def test_a_call_alone_is_what_it_is_among_others() -> None:
    oracle = LiveOracle.read(HERE / "live-fuzz")
    whole = project_live(oracle.inputs, oracle.calls)
    for call in oracle.calls["call"]:
        one = project_live(oracle.inputs, oracle.calls.filter(call=call))
        assert one.rows.equals(whole.rows.filter(call=call))
        assert one.summaries.equals(whole.summaries.filter(call=call))


def test_no_calls_give_no_rows() -> None:
    oracle = LiveOracle.read(HERE / "live-fuzz")
    none = project_live(oracle.inputs, oracle.calls.clear())
    assert none.rows.is_empty()
    assert none.summaries.is_empty()
