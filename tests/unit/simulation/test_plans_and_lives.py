"""Properties of plans and lives, over farms of many shapes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline import profiles
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.grading import AVERAGE
from aquamind_pipeline.simulation.life import live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import schedule
from aquamind_pipeline.simulation.sites import build_sites
from tests.helpers.farms import delivered, farms, planned


@given(farms())
def test_no_container_has_two_batches_at_once(profile: Profile) -> None:
    assigned = planned(profile).assignments.sort("container_id", "assignment_date")
    overlap = assigned.with_columns(before=pl.col("departure_date").shift(1).over("container_id")).filter(
        pl.col("before") > pl.col("assignment_date")
    )
    assert overlap.is_empty()


@given(farms())
def test_a_plan_finds_its_assignments(profile: Profile) -> None:
    """Also in the part of the plan about some batches."""
    plan = planned(profile)
    for some in (plan, plan.of_batches(plan.batches["batch_id"].to_list()[::2])):
        ids = some.assignments["assignment_id"].reverse()
        assert some.assignments["assignment_id"][some.rows_of(ids)].equals(ids)


@given(farms())
def test_a_batch_has_one_hall_per_stage_one_area_and_one_geography(profile: Profile) -> None:
    plan = planned(profile)
    sites = build_sites()
    places = (
        sites.containers.select("hall_id", "area_id", container_id="id")
        .join(sites.halls.select("freshwater_station_id", hall_id="id"), on="hall_id", how="left")
        .join(
            sites.stations.select(freshwater_station_id="id", station_geography="geography_id"),
            on="freshwater_station_id",
            how="left",
        )
        .join(sites.areas.select(area_id="id", area_geography="geography_id"), on="area_id", how="left")
        .with_columns(geography=pl.coalesce("station_geography", "area_geography"))
    )
    assigned = (
        plan.assignments.select("batch_id", "stage", "container_id")
        .join(places, on="container_id")
        .join(plan.batches.select("batch_id", "geography_id"), on="batch_id")
    )
    by_stage = assigned.group_by("batch_id", "stage").agg(pl.n_unique("hall_id", "area_id"))
    assert by_stage["hall_id"].max() == by_stage["area_id"].max() == 1
    assert (assigned["geography"] == assigned["geography_id"]).all()


@given(farms(), st.integers(1, 90))
def test_a_later_as_of_only_adds(profile: Profile, more: int) -> None:
    """Plan and lives up to a day are the same, whether or not the farm goes on after it."""
    later = profile.model_copy(update={"as_of": profile.as_of + timedelta(days=more)})
    now, then = planned(profile), planned(later)
    begun = pl.col("assignment_date") <= profile.as_of
    assert_frame_equal(now.assignments.filter(begun), then.assignments.filter(begun))
    assert_frame_equal(now.batches, then.batches.filter(pl.col("start_date") <= profile.as_of))
    lived, will_have_lived = live(profile, now), live(later, then)
    assert_frame_equal(lived.days, will_have_lived.days.filter(pl.col("date") <= profile.as_of))
    assert_frame_equal(lived.moves, will_have_lived.moves.filter(pl.col("date") <= profile.as_of))


@given(farms())
def test_fish_are_conserved(profile: Profile) -> None:
    """Eggs = alive + dead in tanks + dead in transfer, for every batch at every moment.

    The dead of emergencies are among the dead in tanks.
    """
    plan = planned(profile)
    life = live(profile, plan)
    dead = life.days.group_by("batch_id").agg(pl.col("deaths").sum())
    moved = life.moves.filter(picked=AVERAGE).group_by("batch_id").agg(lost=pl.col("deaths").sum())
    last = pl.col("date") == pl.col("date").max().over("batch_id")
    alive = life.days.filter(last).group_by("batch_id").agg(pl.col("population").sum())
    books = (
        delivered(profile, plan)
        .join(dead, on="batch_id")
        .join(moved, on="batch_id", how="left")
        .join(alive, on="batch_id")
        .with_columns(pl.col("lost").fill_null(0))
    )
    assert (books["eggs"] == books["population"] + books["deaths"] + books["lost"]).all()
    daily = life.days.group_by("batch_id", "date").agg(pl.col("population").sum()).sort("batch_id", "date")
    gains = pl.col("population") > pl.col("population").shift(1).over("batch_id")
    came = plan.trays.select("batch_id", date="assignment_date")
    rises = daily.filter(gains).join(came, on=["batch_id", "date"], how="anti")
    assert rises.is_empty()
    assert int(life.days["population"].min() or 0) >= 0


@given(farms(), st.randoms(use_true_random=False))
def test_batches_in_any_order_live_the_same_lives(profile: Profile, random: Random) -> None:
    """A slice of batches does not know the others: lives batch by batch add up to the whole."""
    plan = planned(profile)
    whole, ids = live(profile, plan), plan.batches["batch_id"].to_list()
    random.shuffle(ids)
    alone = [live(profile, plan.of_batches([one])) for one in ids]
    assert_frame_equal(pl.concat(one.days for one in alone).sort("assignment_id", "date"), whole.days)
    moves = pl.concat(one.moves for one in alone)
    assert_frame_equal(moves.sort("source_assignment_id", "dest_assignment_id"), whole.moves)


def test_a_farm_that_does_not_fit_is_refused() -> None:
    crowded = load_profile("saturation-170").model_copy(update={"stagger_days": 3, "batches_per_geography": 200})
    with pytest.raises(ConfigError, match="raise stagger_days"):
        schedule(crowded)


def test_a_farm_that_receives_too_many_batches_at_once_is_told_which_key_says_so() -> None:
    crowded = load_profile("tiny").model_copy(update={"receiving_batches": 100})
    with pytest.raises(ConfigError, match="or lower batches_per_geography or receiving_batches$"):
        schedule(crowded)


def test_a_farm_that_ends_before_its_first_eggs_is_refused(tmp_path: Path) -> None:
    """The day of the first eggs is soon enough."""
    path = tmp_path / "late.toml"
    tiny = (Path(profiles.__file__).parent / "tiny.toml").read_text()
    path.write_text(tiny.replace("[bands]", "shift_days = [12, 10]\n[bands]"))
    with pytest.raises(ConfigError, match="as_of 2026-02-11 lies before the first eggs, which come on 2026-02-12"):
        load_profile(str(path), as_of=date(2026, 2, 11))
    assert schedule(load_profile(str(path), as_of=date(2026, 2, 12))).hatched.height == 1


def test_test_40_uses_every_hall_and_both_geographies() -> None:
    plan = schedule(load_profile("test-40"))
    holds = build_sites().containers.select("hall_id", container_id="id")
    used = plan.assignments.join(holds, on="container_id")["hall_id"].drop_nulls()
    assert used.n_unique() == 110
    assert sorted(plan.hatched["batch_number"].str.split("-").list.first().unique()) == ["FI", "SCO"]


def test_weights_meet_the_stages_expectations() -> None:
    """A batch ends each stage within AquaMind's expected weights, or a third above them in its warmest tank.

    Fry of the warmest tank come to 1.31 times the 6 g that AquaMind expects: tanks differ in temperature and growth.
    """
    profile = load_profile("single").model_copy(update={"as_of": date(2027, 12, 31)})
    life = live(profile, schedule(profile))
    for stage in STAGES[1:]:
        heaviest = life.days.filter(pl.col("stage") == stage.order)["weight_g"].max()
        least, most = stage.expected_weight_g
        assert isinstance(heaviest, float)
        assert least < heaviest < most * 1.32, stage
