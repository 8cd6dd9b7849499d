"""Our states are those of AquaMind's own engine in every cell, and each repair changes what it says."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.growth.rules import AQUAMIND, CORRECTED, REPAIRS, RuleSet
from tests.helpers.oracle import HERE, Oracle, oracles
from tests.helpers.places import DOCS

KEY = ["assignment_id", "date"]
ALL_BUT_REFUSAL = replace(CORRECTED, refuse_contradictions=False)
PAGE = DOCS / "growth.md"
RULES = {
    "day_number": "R39",
    "container_id": "R2",
    "lifecycle_stage": "R37",
    "avg_weight_g": "R27 R31 R33",
    "population": "R20 R22 R23 R28 R29",
    "biomass_kg": "R35",
    "temp_c": "R14-R17",
    "mortality_count": "R19 R20",
    "feed_kg": "R21",
    "observed_fcr": "R36",
    "anchor_type": "R9-R12",
    "src_weight": "R34",
    "conf_weight": "R34",
    "src_temp": "R14-R16",
    "conf_temp": "R14-R16",
}


def test_every_cell_is_theirs(oracle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    oracle = Oracle.read(oracle_folder)
    theirs = oracle.theirs()
    ours = oracle.compared(assimilate(oracle.records, oracle.until, AQUAMIND))
    both = theirs.join(ours, on=KEY, how="full", suffix="_ours", coalesce=True).sort(KEY)
    columns = [name for name in theirs.columns if name not in KEY]
    wrong = [
        f"{oracle.name} assignment {row[0]} {row[1]} {name}: theirs {row[2]}, ours {row[3]} ({RULES.get(name, 'R42')})"
        for name in columns
        for row in both.filter(pl.col(name).ne_missing(pl.col(f"{name}_ours")))
        .select(*KEY, name, f"{name}_ours")
        .iter_rows()
    ]
    with capsys.disabled():
        print(  # noqa: T201 - what was compared is part of the result
            f" {oracle.name}: {theirs.height:,} rows, {theirs.height * len(columns):,} cells compared ", end=""
        )
    assert not wrong, f"{len(wrong)} cells differ:\n" + "\n".join(wrong[:20])
    assert ours.height == theirs.height > 0


def _states(rules: RuleSet, batch: str = "EDGE-2025-001") -> pl.DataFrame:
    oracle = Oracle.read(HERE / batch)
    return assimilate(oracle.records, oracle.until, rules)


def _cell(states: pl.DataFrame, assignment: int, day: str, column: str) -> str:
    return str(states.filter(assignment_id=assignment).filter(pl.col("date").cast(pl.String) == day)[column].item())


# From the hand-made batch: AquaMind's value, and the value with one repair alone, which follows from the records.
ONE_REPAIR = [
    # 30,000 + 20,000 fish leave tank A1 on 21 January, and 2 x 7 die on the way: 97,703 - 50,014.
    ("transfers_leave", 95, "2025-01-21", "population", "97703", "47689"),
    # 20,000 fish were entered on 19 January and 20,000 come two days later, the same ones.
    ("topups_count_once", 100, "2025-01-21", "population", "39970", "20000"),
    # 45,000 of which 40,000 come on the first day: 5,000 were there, two of them die (0.05 %, half to even).
    ("prior_fish_stay", 102, "2025-01-26", "population", "40000", "44998"),
    # population_count has been counted down by the 520 recorded deaths: 100,000 + 520 - 120.
    ("ledger_population", 95, "2025-01-01", "population", "99880", "100400"),
    # The only record of 3 January counts no dead fish.
    ("recorded_deaths_only", 95, "2025-01-03", "mortality_count", "100", "0"),
    # 40,000 measured at 2.90 g, the largest, so 2.552 g; 30,000 from A1 with 2.51 g: 2.534 g grow for a day.
    ("weights_mix", 99, "2025-01-21", "avg_weight_g", "1.61", "2.68"),
    ("any_capitals", 99, "2025-01-21", "temp_c", "8.78", "8.50"),
    ("zero_is_measured", 98, "2025-01-09", "temp_c", "4.67", "0.00"),
    # Readings of 8 and 12 degrees on the nearest day.
    ("gaps_use_means", 100, "2025-01-31", "temp_c", "8.00", "10.00"),
    ("empty_stops", 97, "2025-02-28", "avg_weight_g", "12.65", "4.47"),
    # 1.0533 g and not 1.05 g go into the second day.
    ("full_precision", 95, "2025-01-02", "avg_weight_g", "1.10", "1.11"),
    ("no_caps", 106, "2025-02-26", "avg_weight_g", "8000.00", "8023.96"),
    ("assigned_stage", 97, "2025-03-11", "lifecycle_stage_id", "3", "2"),
]


@pytest.mark.parametrize(("repair", "assignment", "day", "column", "theirs", "ours"), ONE_REPAIR)
def test_one_repair_changes_what_it_says(
    repair: str, assignment: int, day: str, column: str, theirs: str, ours: str
) -> None:
    assert _cell(_states(AQUAMIND), assignment, day, column) == theirs
    assert _cell(_states(replace(AQUAMIND, **{repair: True})), assignment, day, column) == ours


def test_a_weight_of_zero_is_no_measurement() -> None:
    """Fish leave tank A1 on 28 January. Their weight is entered as 0.00 g, and AquaMind takes it for the tank's."""
    oracle = Oracle.read(HERE / "EDGE-2025-001")
    leaves_a1 = (pl.col("source_assignment_id") == 95) & (pl.col("date").cast(pl.String) == "2025-01-28")
    weight_g = pl.when(leaves_a1).then(0.0).otherwise("measured_weight_g")
    entered = replace(oracle.records, transfers=oracle.records.transfers.with_columns(measured_weight_g=weight_g))
    assert entered.transfers.filter(leaves_a1).height > 0
    theirs = assimilate(entered, oracle.until, AQUAMIND)
    assert _cell(theirs, 95, "2025-01-28", "avg_weight_g") == "0.00"
    assert _cell(theirs, 95, "2025-01-28", "anchor_type") == "transfer"
    assert '"weight": "measured"' in _cell(theirs, 95, "2025-01-28", "sources")
    assert '"weight": 0.95' in _cell(theirs, 95, "2025-01-28", "confidence_scores")
    ours = assimilate(entered, oracle.until, replace(AQUAMIND, zero_is_no_weight=True))
    assert float(_cell(ours, 95, "2025-01-28", "avg_weight_g")) > 1.0
    assert '"weight": "tgc_computed"' in _cell(ours, 95, "2025-01-28", "sources")


def test_moved_fish_are_no_growth() -> None:
    """Tank B2 gets 20,000 fish on 21 January; AquaMind divides its feed by their weight."""
    alone = _states(replace(AQUAMIND, moves_are_no_growth=True))
    changed = _states(AQUAMIND).join(alone, on=KEY, suffix="_ours")
    changed = changed.filter(pl.col("observed_fcr").ne_missing(pl.col("observed_fcr_ours")))
    moved = pl.concat(
        Oracle.read(HERE / "EDGE-2025-001").records.transfers.select("date", assignment_id=f"{side}_assignment_id")
        for side in ("source", "dest")
    )
    assert changed.height > 0
    assert changed.join(moved, on=KEY, how="anti").is_empty()


def test_weekly_models_give_a_daily_rate() -> None:
    """0.7 % a week is 1 - 0.993^(1/7) = 0.1003 % a day: ten of 9,967 fish, where AquaMind has no state."""
    assert _states(AQUAMIND, "EDGE-2025-003").height == 5
    repaired = _states(replace(AQUAMIND, weekly_mortality=True), "EDGE-2025-003")
    assert repaired.height == 12
    assert _cell(repaired, 110, "2025-01-04", "mortality_count") == "10"


def test_unknown_temperature_is_not_assumed() -> None:
    """Neither readings nor a profile: AquaMind grows the fish at 10 °C."""
    repaired = _states(replace(AQUAMIND, no_assumed_temperature=True), "EDGE-2025-003")
    assert repaired["temp_c"].null_count() == repaired.height
    assert set(repaired["avg_weight_g"].cast(pl.String)) == {"2.00"}
    assert '"temp": "none"' in repaired["sources"][0]
    assert '"weight": "unchanged"' in repaired["sources"][0]


def test_fish_that_die_before_they_come_are_refused() -> None:
    """In tank B3, three deaths are recorded on the day before its first fish arrive."""
    oracle = Oracle.read(HERE / "EDGE-2025-001")
    with pytest.raises(InputError, match="assignment 101 on 2025-01-30: 3 fish die and 0 leave, but only 0 are there"):
        assimilate(oracle.records, oracle.until, CORRECTED)


def _change(both: pl.DataFrame) -> str:
    """The number of states, and the largest change of fish and of weight among them."""
    if both.is_empty():
        return "0"
    fish = (both["population_ours"].cast(pl.Int64) - both["population"].cast(pl.Int64)).abs().max() or 0
    weight = (both["avg_weight_g_ours"] / both["avg_weight_g"] - 1).cast(pl.Float64).abs().max() or 0.0
    return f"{both.height:,}; {fish:,} fish; {weight:.0%}"  # type: ignore[str-bytes-safe]


def differences() -> list[str]:
    """Rows of the table in the docs: states of each batch that change with one repair alone, and with all of them.

    FUZZ batches are left out: their records are random and contradict each other.
    """
    batches = [Oracle.read(folder) for folder in oracles() if not folder.name.startswith("FUZZ")]
    theirs = [assimilate(batch.records, batch.until, AQUAMIND) for batch in batches]
    rows = ["| repair | " + " | ".join(f"{b.name} ({s.height:,})" for b, s in zip(batches, theirs, strict=True)) + " |"]
    rows.append("|---|" + "---:|" * len(batches))
    for repair in (*REPAIRS, "all"):
        rules = ALL_BUT_REFUSAL if repair == "all" else replace(AQUAMIND, **{repair: True})
        cells = []
        for batch, before in zip(batches, theirs, strict=True):
            both = before.join(assimilate(batch.records, batch.until, rules), on=KEY, how="full", suffix="_ours")
            changed = pl.any_horizontal(pl.col(n).ne_missing(pl.col(f"{n}_ours")) for n in before.columns)
            cells.append(_change(both.filter(changed)))
        rows.append(f"| `{repair}` | " + " | ".join(cells) + " |")
    return rows


@pytest.mark.generated
def test_docs_say_what_each_repair_changes() -> None:
    """`make renew` writes the table anew."""
    text = PAGE.read_text("utf-8")
    begin, end = text.index("<!-- differences -->\n"), text.index("<!-- end of differences -->")
    table = "<!-- differences -->\n" + "\n".join(differences()) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        PAGE.write_text(text[:begin] + table + text[end:], "utf-8")
    else:
        assert text[begin:end] == table
    for repair in REPAIRS:
        assert f"`{repair}`" in text[:begin], f"{repair} is not explained"
