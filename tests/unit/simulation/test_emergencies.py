"""Emergencies: who is moved, whither, how many, and that no fish is lost or counted twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation import emergencies, grading
from aquamind_pipeline.simulation.biology import ADULT, RING_FISH_LIMIT, STAGES
from aquamind_pipeline.simulation.conditions import farm_episodes
from aquamind_pipeline.simulation.deaths import REASON
from aquamind_pipeline.simulation.life import Life, live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule
from tests.helpers.farms import delivered, farms, planned

TEST_40 = load_profile("test-40")


@pytest.fixture(scope="module", autouse=True)
def every_episode_is_an_emergency() -> Iterator[None]:
    """So that small farms have some. Tests of the real thresholds put them back."""
    emergencies.emergencies.cache_clear()
    with patch.dict(emergencies._LEAST_LOSS, dict.fromkeys(emergencies._LEAST_LOSS, 0.0)):
        yield
    emergencies.emergencies.cache_clear()


def moved(life: Life) -> pl.DataFrame:
    return life.moves.filter(picked=grading.IN_EMERGENCY)


def some(plan: Plan, profile: Profile) -> pl.DataFrame:
    return emergencies.emergencies(profile, plan)


@pytest.fixture(scope="module")
def farm() -> Profile:
    return load_profile("tiny").model_copy(update={"batches_per_geography": 8, "stagger_days": 9})


@pytest.fixture(scope="module")
def life(farm: Profile) -> Life:
    return live(farm, schedule(farm))


def test_a_farm_for_everyday_work_has_three_to_five() -> None:
    """Of both kinds: bad water in halls, and storms at sea."""
    emergencies.emergencies.cache_clear()
    with patch.dict(emergencies._LEAST_LOSS, {"gas or water quality": 0.0074, "storm": 0.007}):
        found = some(schedule(TEST_40), TEST_40)
    emergencies.emergencies.cache_clear()
    assert 3 <= found.height <= 5
    assert set(found["reason"]) == {REASON["gas or water quality"], REASON["storm"]}
    assert (found["stage"] != grading.GRADED_STAGE).all()


def test_they_follow_from_episodes_of_their_site(farm: Profile, life: Life) -> None:
    """On a day of the episode, and on the last one of a storm, because nobody works at the rings before."""
    found = some(schedule(farm), farm)
    assert found["stage"].n_unique() > 2, "in halls and at sea"
    sites = schedule(farm).assignments.select("site", source_assignment_id="assignment_id")
    at = found.join(sites, on="source_assignment_id").join(farm_episodes(farm), on=["site", "reason"], suffix="_begins")
    since = (at["date"] - at["date_begins"]).dt.total_days()
    within = at.filter((since >= 0) & (since < at["days"]))
    assert within["batch_id"].n_unique() == found.height
    storms = within.filter(stage=ADULT.order)
    assert storms.height > 0
    last = (storms["date"] - storms["date_begins"]).dt.total_days() == storms["days"] - 1
    assert storms.filter(last)["batch_id"].n_unique() == storms["batch_id"].n_unique()


def test_the_dead_are_counted_once_and_by_cause(life: Life) -> None:
    """Those of the move as handling, the others as what led to it; no fish of source and receivers is fed that day."""
    moves = moved(life)
    assert moves.height > 10
    sources = moves.group_by("source_assignment_id", "date").agg(
        pl.sum("count"), lost=pl.col("deaths").sum(), before=pl.col("source_population_before").max()
    )
    key = ["assignment_id", "date"]
    days = life.days.join(sources.rename({"source_assignment_id": "assignment_id"}), on=key)
    assert days.height == sources.height
    assert (days["population"] == days["before"] - days["count"] - days["deaths"]).all()
    handled = days.filter(pl.col("lost") > 0)
    assert (handled["reason"] == REASON["handling"]).all()
    assert (handled["deaths"] - handled["second_deaths"] == handled["lost"]).all()
    assert handled["second_reason"].is_in([REASON["gas or water quality"], REASON["storm"]]).all()
    fed = pl.concat(
        [moves.select("date", assignment_id=side) for side in ("source_assignment_id", "dest_assignment_id")]
    )
    assert life.days.join(fed, on=key, how="semi")["meals"].sum() == 0


def test_fish_that_stay_and_that_come_have_the_weight_of_all(life: Life) -> None:
    """The mass of the containers changes by growth only: a day without feed has none."""
    moves = moved(life)
    batches = moves.select("batch_id", "stage", "date").unique()
    day = life.days.join(batches.rename({"date": "on"}), on=["batch_id", "stage"])
    row = pl.col("population").cast(pl.Float64)
    mean = (
        day.with_columns(offset=(pl.col("date") - pl.col("on")).dt.total_days())
        .filter(pl.col("offset").is_in([-1, 0]))
        .group_by("batch_id", "offset")
        .agg(weight_g=(row * pl.col("weight_g")).sum() / row.sum())
        .pivot("offset", index="batch_id", values="weight_g")
    )
    assert ((mean["0"] / mean["-1"]).is_between(0.98, 1.25)).all()


def test_receivers_stay_within_their_limits() -> None:
    """As many fish as have room, none into a full container, and never more than the law allows in a ring."""
    ring, tank = ADULT, STAGES[2]
    others = np.array([RING_FISH_LIMIT, RING_FISH_LIMIT - 10, 100_000, 120_000])
    done = emergencies.relieve(1, ring, 7, 190_000, 1_000.0, others, np.full(4, 1_000.0))
    assert done.taken.tolist() == [0, 10, 19_000, 19_000]
    heavy = emergencies.relieve(1, ring, 7, 190_000, 6_000.0, np.array([190_000, 200_000]), np.full(2, 6_000.0))
    assert heavy.taken[1] == 0
    assert (190_000 + heavy.arrived[0]) * 6.0 <= 0.95 * 50_000 * 25
    small = emergencies.relieve(1, tank, 7, 300_000, 60.0, np.array([350_000]), np.array([60.0]))
    assert (350_000 + small.arrived[0]) * 0.06 <= 500 * 50
    assert (done.lost <= 0.03 * done.taken + 1).all()
    assert (done.arrived + done.lost == done.taken).all()


@given(farms())
def test_no_fish_is_lost(profile: Profile) -> None:
    plan = planned(profile)
    life = live(profile, plan)
    dead = life.days.group_by("batch_id").agg(pl.col("deaths").sum())
    on_the_way = life.moves.filter(picked=0).group_by("batch_id").agg(lost=pl.col("deaths").sum())
    last = pl.col("date") == pl.col("date").max().over("batch_id")
    alive = life.days.filter(last).group_by("batch_id").agg(pl.col("population").sum())
    books = delivered(profile, plan).join(dead, on="batch_id").join(alive, on="batch_id")
    books = books.join(on_the_way, on="batch_id", how="left").with_columns(pl.col("lost").fill_null(0))
    assert (books["eggs"] == books["population"] + books["deaths"] + books["lost"]).all()


@given(farms(), st.integers(1, 90))
def test_a_later_as_of_and_other_batches_change_nothing(profile: Profile, more: int) -> None:
    later = profile.model_copy(update={"as_of": profile.as_of + timedelta(days=more)})
    now, then = planned(profile), planned(later)
    assert_frame_equal(some(now, profile), some(then, later).filter(pl.col("date") <= profile.as_of))
    lived, will_have_lived = live(profile, now), live(later, then)
    assert_frame_equal(lived.days, will_have_lived.days.filter(pl.col("date") <= profile.as_of))
    assert_frame_equal(lived.moves, will_have_lived.moves.filter(pl.col("date") <= profile.as_of))
    ids = now.batches["batch_id"].to_list()
    alone = [live(profile, now.of_batches([one])) for one in ids]
    moves = pl.concat(one.moves for one in alone).sort("source_assignment_id", "dest_assignment_id")
    assert_frame_equal(moves, lived.moves)
