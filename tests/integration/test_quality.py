"""Every rule passes on a correct farm, every fault is caught, and every rule catches something."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.quality.catalogue import OF_FARM, OF_STORES, READINGS, RULES, STATES, UNFORETOLD, rules_of
from aquamind_pipeline.quality.check_result import Finding, attempted, merged
from aquamind_pipeline.quality.grouping import all_different, grouped
from assets.growth import write_states
from assets.writing import write
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline import tables
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.lake import LABELS, Lake
from aquamind_pipeline.quality import faults, matrix, table_rules
from aquamind_pipeline.quality.farm_rules import bands
from aquamind_pipeline.quality.faults import FAULTS, parsed
from aquamind_pipeline.settings import Settings, load_settings
from aquamind_pipeline.simulation.profile import Bands, Profile
from assets import life
from tests.helpers.farms import build_lake
from tests.helpers.mutations import caught, labels, spoiled
from tests.helpers.places import DOCS

OF_DATABASE = {"arrived", "content", "verified"}
"""Rules about the database, tripped in test_aquamind.py and test_cli.py."""
PAGE = DOCS / "checks.md"
MATRIX = Path(matrix.__file__).with_name("matrix.json")


def test_a_correct_farm_passes_every_rule(built: Settings) -> None:
    found = list(Workspace(built).proof().everything())
    assert [(name, one.rule, one.detail) for name, one in found if not one.passed] == []
    held = {(name, one.rule) for name, one in found}
    assert {(name, rule) for name in tables.TABLES for rule in rules_of(name)} <= held
    assert {rule for _, rule in held} == set(RULES) - OF_DATABASE
    assert {*OF_FARM, *OF_STORES} <= set(RULES)


def test_the_matrix_is_the_one_shown(built: Settings, tmp_path: Path) -> None:
    """Fault by fault, which rules see it; each fault is seen, and each rule sees one. Written with WRITE_GOLDEN=1."""
    seen = {name: sorted(caught(built, spoiled(built, name, tmp_path / name))) for name in FAULTS}
    if os.environ.get("WRITE_GOLDEN"):
        MATRIX.write_text(json.dumps(seen, indent=2) + "\n")
        PAGE.write_text(matrix.as_markdown(seen))
    assert seen == matrix.MATRIX
    assert PAGE.read_text("utf-8") == matrix.as_markdown(seen)
    assert all(seen.values()), "a fault that nobody sees"
    assert {rule for rules in seen.values() for rule in rules} == set(RULES) - OF_DATABASE, "a rule that sees nothing"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_every_fault_is_caught_on_other_farms(seed: int, home: Path, tmp_path: Path) -> None:
    settings = load_settings(profile="tiny", seed=seed, home=home / f"seed-{seed}")
    build_lake(settings)
    assert [one for _, one in Workspace(settings).proof().everything() if not one.passed] == []
    seen = {name: set(caught(settings, spoiled(settings, name, tmp_path / name))) for name in FAULTS}
    assert [name for name, rules in seen.items() if not rules] == []
    assert set(RULES) - OF_DATABASE - set().union(*seen.values()) == set()


@pytest.mark.parametrize("fault", [name for name, one in FAULTS.items() if one.spoil and name != "lost-column"])
def test_labels_lead_back_to_the_truth(built: Settings, tmp_path: Path, fault: str) -> None:
    """Undoing what the labels say gives the correct rows again, so they say all that was done and nothing else."""
    lake, clean = spoiled(built, fault, tmp_path).lake, Lake(built.lake_path)
    for name in FAULTS[fault].tables:
        done = labels(lake, name)
        assert done.height
        rows = lake.read(name).with_columns(again=pl.int_range(pl.len()).over("id"))
        added = done.filter(pl.col("what") == "added")
        rows = rows.filter(~(pl.col("id").is_in(added["id"].implode()) & _is_last(rows))).drop("again")
        for column in done.filter(pl.col("what") == "changed")["column"].unique():
            before = done.filter(pl.col("column") == column).select("id", was="before")
            was = pl.col("was").cast(pl.String).str.strip_chars().cast(rows.schema[column], strict=True)
            if rows.schema[column].is_temporal():
                was = pl.col("was").str.to_datetime(time_zone="UTC", strict=False).cast(rows.schema[column])
            rows = rows.join(before, on="id", how="left", maintain_order="left").with_columns(
                pl.when(pl.col("was").is_not_null()).then(was).otherwise(column).alias(column)
            )
            rows = rows.drop("was")
        removed = done.filter(pl.col("what") == "removed")["id"]
        truth = clean.read(name)
        assert_frame_equal(rows.sort("id"), truth.filter(~pl.col("id").is_in(removed.implode())).sort("id"))
        assert set(removed) == set(truth["id"]) - set(rows["id"])


@pytest.mark.parametrize("fault", ["silent-farm", "misweighed"])
def test_no_label_outlives_what_it_says(built: Settings, tmp_path: Path, fault: str) -> None:
    """Of months that are built again without spoiled rows, and of months that a shorter farm no longer has."""
    workspace, name = spoiled(built, fault, tmp_path), FAULTS[fault].tables[0]
    lake, farm, place = workspace.lake, workspace.wanted, f"{LABELS}/{name}"
    was = lake.partitions(place)
    stale = "2026-01" if name == STATES else "2026-04"
    lake.write(place, lake.read(place, was[-1]), stale)
    if name == STATES:
        write_states(workspace, farm)
    else:
        write(lake, farm, name, lake.read(name, stale), stale)
    assert lake.partitions(place) == was
    shorter = load_settings(**workspace.settings.model_dump(exclude={"as_of"}), as_of=date(2026, 4, 20))
    list(life.schedule(workspace=Workspace(shorter)))
    assert lake.partitions(place) == [month for month in was if month <= "2026-04"]


def _is_last(rows: pl.DataFrame) -> pl.Expr:
    return pl.col("again") == pl.col("again").max().over("id")


@pytest.mark.parametrize("name", tables.TABLES)
def test_each_tables_own_rules_see_what_breaks_them(built: Settings, name: str) -> None:
    """A lost column, a repeated row, a null, a value out of range, an orphan: in every table of the catalogue."""
    table, lake = tables.TABLES[name], Lake(built.lake_path)
    rows = lake.read(name, lake.partitions(name)[-1] if name in tables.MONTHLY_TABLES else None)
    column = rows.columns[-1]
    assert not table_rules.schema(table, rows.drop(column).schema).passed
    assert not table_rules.keys(table, pl.concat([rows, rows.head(1)])).passed
    first = pl.int_range(pl.len()) == 0

    def with_first(column: str, value: pl.Expr) -> pl.LazyFrame:
        return rows.lazy().with_columns(pl.when(first).then(value).otherwise(column).alias(column))

    for column, dtype in tables.lake_schema(table).items():
        if not table.columns[column].nullable:
            assert not table_rules.values(table, with_first(column, pl.lit(None, dtype))).passed, column
        low, _ = table.columns[column].info.get("range", (None, None))
        if low is not None:
            assert not table_rules.values(table, with_first(column, pl.lit(low - 1).cast(dtype))).passed, column
    for column, (parent, _) in tables.references(table).items():
        if column in rows.columns and rows[column].null_count() < rows.height:
            dtype = rows.schema[column]
            orphan = with_first(column, pl.lit(2_000_000_000).cast(dtype)).with_columns(rows=1)
            assert not table_rules.foreign_keys(table, orphan, {parent: lake.scan(parent)}).passed, column


def test_every_tables_volume_is_foretold_but_of_deliveries(a_copy: Settings) -> None:
    """One row less is seen in every table that the rule is about."""
    lake = Lake(a_copy.lake_path)
    proof, seen = Workspace(a_copy).proof(), set()
    for name in tables.TABLES:
        month = lake.partitions(name)[-1] if name in tables.MONTHLY_TABLES else None
        lake.write(name, lake.read(name, month).head(-1), month)
        seen |= {name for found in proof.of_table(name) if found.rule == "volume" and not found.passed}
    assert set(tables.TABLES) - seen == set(UNFORETOLD)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_table_without_its_last_month_is_stale(a_copy: Settings, kept: int) -> None:
    """Unless the run was over other months."""
    workspace = Workspace(a_copy)
    built = workspace.lake.partitions(READINGS)
    for month in built[kept:]:
        workspace.lake.remove(READINGS, month)

    def fresh(months: list[str] | None) -> list[bool]:
        proof = workspace.proof(months)
        return [found.passed for found in proof.of_table(READINGS) if found.rule == "fresh"]

    assert fresh(None) == fresh(built[-1:]) == [False]
    assert fresh(built[:1]) == [True]


def test_a_rule_that_crashes_has_not_passed() -> None:
    def crash() -> Finding:
        raise pl.exceptions.ComputeError("no such thing\nand more")

    found = attempted("keys", crash)
    assert not found.passed
    assert found.detail == "the check crashed: ComputeError: no such thing"


def test_months_become_one_finding() -> None:
    good = Finding("gaps", passed=True, detail="none")
    bad = Finding("gaps", passed=False, wrong=2, detail="some", sample=pl.DataFrame({"id": [1, 2]}))
    assert merged([("2026-01", good), ("2026-02", good)]).passed
    found = merged([("2026-01", good), ("2026-02", bad), ("2026-03", bad)])
    assert (found.passed, found.wrong) == (False, 4)
    assert "in 2 of 3 months: 2026-02, 2026-03" in found.detail
    assert found.sample["(month)"].to_list() == ["2026-02"] * 2 + ["2026-03"] * 2


def test_a_profiles_bands_are_held() -> None:
    wide, narrow = Bands(batches=(1, 10)), Bands(batches=(7, 10), completed=(0, 1))
    assert bands(wide, {"batches": 6}).passed
    found = bands(narrow, {"batches": 6, "completed": 1})
    assert not found.passed
    assert found.wrong == 1


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.34, 0.4, 0.5, 0.7, 1.0])
def test_the_rate_is_met(built: Settings, rate: float) -> None:
    """Of any hundred meals numbered one after another as many as the rate says, wherever one begins to count."""
    farm, table = built.farm, "inventory_feedingevent"
    meals = Lake(built.lake_path).read(table, "2026-04").head(500)
    rows = meals.with_columns(id=pl.int_range(1_000_000, 1_000_000 + meals.height))
    _, done = faults.inject((f"orphan-rows:{rate}",), farm.seed, farm.as_of, table, rows, "2026-04")
    hit = rows.select(pl.col("id").is_in(done["id"].implode()).cast(pl.Int64).rolling_sum(100)).to_series()
    assert set(hit.drop_nulls()) == {round(100 * rate)}


@pytest.mark.parametrize("rate", [0.4, 0.7])
def test_files_are_broken_at_the_rate(tiny: Profile, rate: float) -> None:
    months = [f"{year}-{month:02}" for year in range(2020, 2030) for month in range(1, 13)][:100]
    asked = (f"missing-partition:{rate}",), tiny.seed, tiny.as_of, "inventory_feedingevent"
    assert sum(faults.broken_file(*asked, month) is not None for month in months) == round(100 * rate)


@pytest.mark.parametrize(
    ("fault", "table", "entity", "time", "days"),
    [
        ("misweighed", tables.STATE_TABLE, "batch_id", "date", 10),
        ("sensor-dropout", READINGS, "sensor_id", "reading_time", 7),
    ],
)
def test_a_hit_lasts_its_period(built: Settings, fault: str, table: str, entity: str, time: str, days: int) -> None:
    """One in five: an entity is hit for a whole period, spared for four, and hit again."""
    rows, farm = Lake(built.lake_path).read(table), built.farm
    _, done = faults.inject((f"{fault}:0.2",), farm.seed, farm.as_of, table, rows)
    hit = pl.col("id").is_in(done["id"].implode())
    period = pl.col(time).cast(pl.Date).to_physical() // days
    periods = rows.group_by(entity, period=period).agg(some=hit.any(), whole=hit.all()).sort(entity, "period")
    assert periods["some"].to_list() == periods["whole"].to_list()
    assert set(periods.filter("some").select(pl.col("period").diff().over(entity)).to_series().drop_nulls()) == {5}


@pytest.mark.parametrize(
    "text",
    [
        "no-such-fault",
        "sensor-dropout:0",
        "sensor-dropout:2",
        "sensor-dropout:much",
        "silent-farm:0.5",
        "lost-column:0.5",
    ],
)
def test_an_unknown_fault_or_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no fault|the rate is the share|takes no rate"):
        parsed(text)
    with pytest.raises(ConfigError):
        load_settings(profile="tiny", faults=(text,))


def test_a_farm_with_faults_is_another_farm() -> None:
    clean, faulty = load_settings(profile="tiny"), load_settings(profile="tiny", faults=("stuck-sensor",))
    assert clean.farm.identity != faulty.farm.identity
    assert faulty.farm_name == "tiny-with-stuck-sensor"
    assert clean.lake_path != faulty.lake_path


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**40), 2**40) | st.integers(0, 3) | st.none(),
            st.integers(-5, 5) | st.integers(2**62, 2**62 + 2),
            st.dates(date(1990, 1, 1), date(2060, 1, 1)) | st.just(date(2026, 1, 1)),
            st.integers(-3, 3),
        ),
        max_size=30,
    )
)
def test_grouping_by_one_packed_number_is_grouping_by_its_columns(
    rows: list[tuple[int | None, int, date, int]],
) -> None:
    """Wherever it has room and wherever not: nulls, spans beyond 64 bits, no rows at all."""
    frame = pl.DataFrame(rows, {"a": pl.Int64, "b": pl.Int64, "day": pl.Date, "value": pl.Int64}, orient="row")
    keys = {"day": pl.col("day"), "b": pl.col("b"), "c": pl.col("a")}
    sums = pl.len().alias("rows"), pl.col("value").sum()
    assert_frame_equal(grouped(frame, keys, *sums), frame.group_by(**keys).agg(*sums), check_row_order=False)


@given(st.lists(st.integers(-20, 20) | st.integers(-(2**62), 2**62), max_size=40), st.booleans())
def test_numbers_are_all_different_when_none_comes_twice(numbers: list[int], in_order: bool) -> None:
    given_ = sorted(numbers) if in_order else numbers
    assert all_different(pl.Series(given_, dtype=pl.Int64)) == (len(set(numbers)) == len(numbers))
