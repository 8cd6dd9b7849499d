"""Mixed batches: planned from two others, simulated with them, and conserved to the fish."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.farm.life import LIFE_DAYS, LIFE_LICE, LIFE_MOVES
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.growth.rules import AQUAMIND
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.schedule import schedule
from tests.helpers.farms import Made, books

TINY = load_profile("tiny")


@pytest.fixture(scope="module")
def tiny() -> Made:
    return Made(TINY)


def test_a_later_day_adds_mixes_and_changes_none() -> None:
    """Rings of later batches end on the day of a mix from the beginning, also before it has happened."""
    whole = schedule(TINY)
    assert whole.mixes.height == 2
    for days in range(0, 125, 7):
        as_of = TINY.epoch + timedelta(days=days)
        plan = schedule(TINY.model_copy(update={"as_of": as_of}))
        assert_frame_equal(plan.mixes, whole.mixes.filter(pl.col("date") <= as_of))
        assert_frame_equal(plan.batches, whole.batches.filter(pl.col("start_date") <= as_of))
        some = whole.assignments.filter(pl.col("batch_id").is_in(plan.batches["batch_id"].implode()))
        assert_frame_equal(plan.assignments, some)


def test_without_the_key_nothing_is_mixed() -> None:
    plan = schedule(TINY.model_copy(update={"mixed_batches": 0}))
    assert plan.mixes.is_empty()
    assert_frame_equal(plan.batches, schedule(TINY).hatched)


@pytest.mark.parametrize("table", [LIFE_DAYS.name, LIFE_LICE.name, LIFE_MOVES.name])
def test_a_mixed_batch_made_alone_is_the_same(tiny: Made, table: str) -> None:
    """Its sources are simulated with it, whatever the part of the farm that is made."""
    for batch in schedule(TINY).mixes["batch_id"]:
        alone = tiny.make(table, batches=[batch])
        assert_frame_equal(alone, tiny.frame(table).filter(batch_id=batch))


@pytest.mark.parametrize("name", ["tiny", "test-40", "saturation-170"])
def test_the_last_mixed_batch_lives_on_the_profiles_own_day(name: str) -> None:
    profile = load_profile(name)
    plan = schedule(profile)
    mixed = plan.batches.filter(is_mixed(pl.col("batch_id")))
    assert mixed.height == profile.mixed_batches
    assert mixed["harvest_date"].max() > profile.as_of  # type: ignore[operator]
    assert mixed["harvest_date"].min() <= profile.as_of  # type: ignore[operator]
    assert mixed["batch_number"].str.contains(r"^MIX-\d{12}-[0-9A-F]{4}$").all()
    sources = pl.concat([plan.mixes["source_batch_id"], plan.mixes["resident_batch_id"]])
    assert sources.is_unique().all()


def test_fish_of_a_mix_left_their_rings_and_the_rest_was_harvested(tiny: Made) -> None:
    moves = tiny.frame(LIFE_MOVES.name).filter(stage=6)
    days = tiny.frame(LIFE_DAYS.name)
    came = moves.group_by(assignment_id="dest_assignment_id").agg(
        came=pl.col("count").sum(), day=pl.col("date").first()
    )
    first = days.join(came, on="assignment_id").filter(pl.col("date") == pl.col("day"))
    assert first.height == 2
    assert (first["population"] + first["deaths"]).equals(first["came"], check_names=False)
    events = tiny.frame("harvest_harvestevent").select("assignment_id", event_id="id")
    lots = tiny.frame("harvest_harvestlot").join(events, on="event_id").group_by("assignment_id")
    rings = moves.join(
        lots.agg(lots=pl.col("unit_count").cast(pl.Int64).sum()),
        left_on="source_assignment_id",
        right_on="assignment_id",
    )
    assert rings.height == moves.height == 4
    assert (rings["count"] + rings["lots"]).equals(rings["source_population_before"], check_names=False)


def test_both_engines_open_a_mixed_batch_with_all_fish(tiny: Made) -> None:
    """AquaMind's forgets fish without an action (R29), so the fish that stay have one."""
    moves = tiny.frame(LIFE_MOVES.name).filter(stage=6)
    came = moves.group_by(assignment_id="dest_assignment_id").agg(came=pl.col("count").sum())
    theirs = assimilate(books(tiny), TINY.as_of, AQUAMIND)
    for states in (tiny.frame(STATES.name), theirs):
        first = states.join(came, on="assignment_id").sort("date").group_by("assignment_id").first()
        opened = first.select(opened=(pl.col("population") + pl.col("mortality_count")).cast(pl.Int64))
        assert opened["opened"].equals(first["came"], check_names=False)


def test_lice_of_a_mix_are_those_that_its_fish_brought(tiny: Made) -> None:
    """No ring begins without lice when its fish had some."""
    mixes = schedule(TINY).mixes
    lice = tiny.frame(LIFE_LICE.name)
    first = lice.join(mixes, on="assignment_id").filter(pl.col("date") == pl.col("date_right"))
    assert first.height == 2
    assert (first["adult_female"] > 0).all()
    assert first["date"].min() == date(2026, 5, 1)
