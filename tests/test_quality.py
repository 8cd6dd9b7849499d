"""Every rule passes on a correct farm and fails on the fault it is there to find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.profile import Bands
from aquamind_pipeline.quality import truth
from aquamind_pipeline.quality.farm_rules import bands
from aquamind_pipeline.settings import Settings
from checks.lake import LAYERS, expected_rows, farm_findings, stock_finding, table_findings

Fault = Callable[[pl.DataFrame], pl.DataFrame]
STATES, STAYS = tables.STATE_TABLE, "batch_batchcontainerassignment"


def spoil(lake: Lake, table: str, fault: Fault, month: str | None = None) -> None:
    lake.write(table, fault(lake.read(table, month)), month)


def failed(settings: Settings) -> set[tuple[str, str]]:
    """(table or "farm", rule) of everything that the checks of the lake find wrong."""
    workspace = Workspace(settings)
    expected = expected_rows(workspace)
    found = {
        (name, finding.rule)
        for names in LAYERS.values()
        for name in names
        for finding in table_findings(name, workspace.lake, expected.get(name))
        if not finding.passed
    }
    errors = truth.errors(workspace.lake.scan(STATES), workspace.lake.scan("life_day"))
    farm = [*farm_findings(workspace), stock_finding(workspace.lake), truth.recovers_life(errors)]
    return found | {("farm", finding.rule) for finding in farm if not finding.passed}


def test_a_correct_farm_passes(built: Settings) -> None:
    assert failed(built) == set()


def first_row(change: pl.Expr) -> Fault:
    """A fault in the first row only."""
    name = change.meta.output_name()
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(change.cast(frame.schema[name])).otherwise(name).alias(name)
    )


def middle_row(change: pl.Expr) -> Fault:
    """A fault in one row somewhere."""
    name = change.meta.output_name()
    return lambda frame: frame.with_columns(
        pl.when(pl.int_range(pl.len()) == pl.len() // 2)
        .then(change.cast(frame.schema[name]))
        .otherwise(name)
        .alias(name)
    )


MONTH = "2026-03"
READINGS, FEEDINGS = "environmental_environmentalreading", "inventory_feedingevent"


@pytest.mark.parametrize(
    ("table", "month", "fault", "rules"),
    [
        ("batch_species", None, lambda f: f.rename({"name": "nom"}), {("batch_species", "schema")}),
        (READINGS, MONTH, lambda f: pl.concat([f, f.head(1)]), {(READINGS, "keys"), (READINGS, "volume")}),
        (READINGS, MONTH, lambda f: f.slice(1), {(READINGS, "volume")}),
        (READINGS, MONTH, middle_row(pl.lit(None).alias("value")), {(READINGS, "values")}),
        (FEEDINGS, MONTH, middle_row(-pl.col("amount_kg")), {(FEEDINGS, "values")}),
        (FEEDINGS, MONTH, middle_row(pl.lit(999_999).alias("container_id")), {(FEEDINGS, "foreign_keys")}),
        ("infrastructure_hall", None, lambda f: f.slice(0, 109), {("infrastructure_hall", "volume")}),
        (
            "batch_mortalityevent",
            MONTH,
            middle_row((pl.col("count") + 1).alias("count")),
            {("farm", "ledger")},
        ),
        (
            STATES,
            None,
            middle_row((pl.col("population") * 2).alias("population")),
            {("farm", "no_doubling"), ("farm", "ledger"), ("farm", "recovers_life")},
        ),
        (
            STATES,
            None,
            middle_row((pl.col("avg_weight_g") * 5).alias("avg_weight_g")),
            {("farm", "weight_continuity"), ("farm", "recovers_life")},
        ),
        (
            "infrastructure_container",
            None,
            lambda f: f.with_columns(pl.col("max_biomass_kg") / 1000),
            {("farm", "capacity")},
        ),
        (
            "harvest_harvestlot",
            None,
            first_row((pl.col("unit_count") - 1).alias("unit_count")),
            {("farm", "harvested")},
        ),
        (
            "inventory_feedpurchase",
            None,
            lambda f: f.with_columns((pl.col("quantity_kg") / 100).cast(f.schema["quantity_kg"])),
            {("farm", "feed_stock")},
        ),
    ],
)
def test_a_fault_is_found(
    a_copy: Settings, table: str, month: str | None, fault: Fault, rules: set[tuple[str, str]]
) -> None:
    """The rules named find it. Others may, too, where a fault shows in more than one place."""
    spoil(Lake(a_copy.lake_path), table, fault, month)
    assert rules <= failed(a_copy)


def test_two_batches_in_one_container_are_found(a_copy: Settings) -> None:
    """One state moved to a container that another batch holds that day: double booking, and two sites for a stage."""
    lake = Lake(a_copy.lake_path)
    states = lake.read(STATES)
    day = states["date"].min() + timedelta(days=60)  # type: ignore[operator]
    there = states.filter(pl.col("date") == day).unique("batch_id", keep="first", maintain_order=True)
    taken, moved = int(there["container_id"][0]), int(there["id"][1])
    container = pl.when(pl.col("id") == moved).then(taken).otherwise("container_id").alias("container_id")
    lake.write(STATES, states.with_columns(container))
    assert ("farm", "double_booking") in failed(a_copy)


def test_a_batch_in_two_areas_is_found(a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    rings = lake.read("infrastructure_container").filter(pl.col("area_id").is_not_null())
    stays = lake.read(STAYS)
    adult = stays.filter(pl.col("lifecycle_stage_id") == 6)
    area = rings.filter(id=adult["container_id"][0])["area_id"][0]
    elsewhere = int(rings.filter(pl.col("area_id") != area)["id"][0])
    moved = pl.when(pl.col("id") == adult["id"][0]).then(elsewhere).otherwise("container_id").alias("container_id")
    lake.write(STAYS, stays.with_columns(moved))
    assert ("farm", "one_site") in failed(a_copy)


def test_a_profiles_bands_are_held() -> None:
    wide, narrow = Bands(batches=(1, 10)), Bands(batches=(7, 10), completed=(0, 1))
    assert bands(wide, {"batches": 6}).passed
    found = bands(narrow, {"batches": 6, "completed": 1})
    assert not found.passed
    assert found.wrong == 1
