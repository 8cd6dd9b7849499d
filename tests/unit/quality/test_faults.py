"""Faults on demand: how much they hit, what is refused, and that labels lead back to the truth."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.environmental.readings import READINGS
from aquamind_pipeline.apps.farm import plan
from aquamind_pipeline.apps.inventory.feeding import FEEDINGS
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.lake import LABELS, Lake
from aquamind_pipeline.pipeline.steps import make_whole
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.pipeline.writing import write
from aquamind_pipeline.quality import faults
from aquamind_pipeline.quality.faults import FAULTS, parsed
from aquamind_pipeline.settings import Settings, load_settings
from aquamind_pipeline.simulation.profile import Profile
from tests.helpers.mutations import labels, make_again, spoiled


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


def _is_last(rows: pl.DataFrame) -> pl.Expr:
    return pl.col("again") == pl.col("again").max().over("id")


@pytest.mark.parametrize("fault", ["silent-farm", "misweighed"])
def test_no_label_outlives_what_it_says(built: Settings, tmp_path: Path, fault: str) -> None:
    """Of months that are built again without spoiled rows, and of months that a shorter farm no longer has."""
    workspace, definition = spoiled(built, fault, tmp_path), REGISTRY[FAULTS[fault].tables[0]]
    name, lake = definition.name, workspace.lake
    place = f"{LABELS}/{name}"
    was = lake.partitions(place)
    stale = "2026-01" if definition.batch_slices else "2026-04"
    lake.write(place, lake.read(place, was[-1]), stale)
    if definition.batch_slices:
        make_again(workspace, [definition])
    else:
        write(lake, workspace.wanted, definition, lake.read(name, stale), stale)
    assert lake.partitions(place) == was
    shorter = load_settings(**workspace.settings.model_dump(exclude={"as_of"}), as_of=date(2026, 4, 20))
    list(make_whole(Workspace(shorter), REGISTRY.steps()[plan.STEP]))
    assert lake.partitions(place) == [month for month in was if month <= "2026-04"]


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.34, 0.4, 0.5, 0.7, 1.0])
def test_the_rate_is_met(built: Settings, rate: float) -> None:
    """Of any hundred meals numbered one after another as many as the rate says, wherever one begins to count."""
    farm, table = built.farm, FEEDINGS.name
    meals = Lake(built.lake_path).read(table, "2026-04").head(500)
    rows = meals.with_columns(id=pl.int_range(1_000_000, 1_000_000 + meals.height))
    _, done = faults.inject((f"orphan-rows:{rate}",), farm.seed, farm.as_of, table, rows, "2026-04")
    hit = rows.select(pl.col("id").is_in(done["id"].implode()).cast(pl.Int64).rolling_sum(100)).to_series()
    assert set(hit.drop_nulls()) == {round(100 * rate)}


@pytest.mark.parametrize("rate", [0.4, 0.7])
def test_files_are_broken_at_the_rate(tiny: Profile, rate: float) -> None:
    months = [f"{year}-{month:02}" for year in range(2020, 2030) for month in range(1, 13)][:100]
    asked = (f"missing-partition:{rate}",), tiny.seed, tiny.as_of, FEEDINGS.name
    assert sum(faults.broken_file(*asked, month) is not None for month in months) == round(100 * rate)


@pytest.mark.parametrize(
    ("fault", "table", "entity", "time", "days"),
    [
        ("misweighed", STATES.name, "batch_id", "date", 10),
        ("sensor-dropout", READINGS.name, "sensor_id", "reading_time", 7),
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
