"""Properties of the pure generators, over farms of many shapes."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from aquamind_pipeline.farm.reference import reference
from aquamind_pipeline.farm.volume import monthly_volume
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline.arithmetic import cube_root
from aquamind_pipeline.errors import ConfigError
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation import climate, draws
from aquamind_pipeline.simulation.biology import STAGES, oxygen_saturation_mg_l
from aquamind_pipeline.simulation.life import live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan, schedule
from aquamind_pipeline.simulation.sites import infrastructure
from tests.helpers.farms import Made, farms, make, make_or_skip, planned, record


@given(farms())
def test_no_container_has_two_batches_at_once(profile: Profile) -> None:
    stays = planned(profile).assignments.sort("container_id", "assignment_date")
    overlap = stays.with_columns(before=pl.col("departure_date").shift(1).over("container_id")).filter(
        pl.col("before") > pl.col("assignment_date")
    )
    assert overlap.is_empty()


@given(farms())
def test_a_batch_has_one_hall_per_stage_one_area_and_one_geography(profile: Profile) -> None:
    plan = planned(profile)
    sites = infrastructure()
    places = (
        sites["infrastructure_container"]
        .select("hall_id", "area_id", container_id="id")
        .join(sites["infrastructure_hall"].select("freshwater_station_id", hall_id="id"), on="hall_id", how="left")
        .join(
            sites["infrastructure_freshwaterstation"].select(
                freshwater_station_id="id", station_geography="geography_id"
            ),
            on="freshwater_station_id",
            how="left",
        )
        .join(
            sites["infrastructure_area"].select(area_id="id", area_geography="geography_id"), on="area_id", how="left"
        )
        .with_columns(geography=pl.coalesce("station_geography", "area_geography"))
    )
    stays = (
        plan.assignments.select("batch_id", "stage", "container_id")
        .join(places, on="container_id")
        .join(plan.batches.select("batch_id", "geography_id"), on="batch_id")
    )
    by_stage = stays.group_by("batch_id", "stage").agg(pl.n_unique("hall_id", "area_id"))
    assert by_stage["hall_id"].max() == by_stage["area_id"].max() == 1
    assert (stays["geography"] == stays["geography_id"]).all()


@given(farms(), st.integers(1, 90))
def test_a_later_as_of_only_adds(profile: Profile, more: int) -> None:
    """Plan, life and events up to a day are the same, whether or not the farm goes on after it."""
    later = profile.model_copy(update={"as_of": profile.as_of + timedelta(days=more)})
    planned(later)
    now, then = make(profile), make(later)
    begun = then.plan.assignments.filter(pl.col("assignment_date") <= profile.as_of)
    assert_frame_equal(now.plan.assignments.filter(pl.col("assignment_date") <= profile.as_of), begun)
    known = then.plan.batches.filter(pl.col("start_date") <= profile.as_of)
    assert_frame_equal(now.plan.batches, known)
    assert_frame_equal(now.life.days, then.life.days.filter(pl.col("date") <= profile.as_of))
    assert_frame_equal(now.life.moves, then.life.moves.filter(pl.col("date") <= profile.as_of))
    columns = {
        "environmental_environmentalreading": pl.col("reading_time").dt.date(),
        "inventory_feedingevent": pl.col("feeding_date"),
        "batch_mortalityevent": pl.col("event_date"),
        "batch_growthsample": pl.col("sample_date"),
    }
    for name, day in columns.items():
        assert_frame_equal(now.events[name], then.events[name].filter(day <= profile.as_of))


@given(farms())
def test_fish_are_conserved(profile: Profile) -> None:
    """Eggs = alive + dead in tanks + dead in transfer, for every batch at every moment."""
    plan = planned(profile)
    life = live(profile, plan)
    dead = life.days.group_by("batch_id").agg(pl.col("deaths").sum())
    moved = life.moves.group_by("batch_id").agg(lost=pl.col("deaths").sum())
    last = pl.col("date") == pl.col("date").max().over("batch_id")
    alive = life.days.filter(last).group_by("batch_id").agg(pl.col("population").sum())
    books = (
        plan.batches.join(dead, on="batch_id")
        .join(moved, on="batch_id", how="left")
        .join(alive, on="batch_id")
        .with_columns(pl.col("lost").fill_null(0))
    )
    assert (books["eggs"] == books["population"] + books["deaths"] + books["lost"]).all()
    daily = life.days.group_by("batch_id", "date").agg(pl.col("population").sum()).sort("batch_id", "date")
    rises = daily.filter(pl.col("population") > pl.col("population").shift(1).over("batch_id"))
    assert rises.is_empty()
    assert int(life.days["population"].min() or 0) >= 0


@given(farms(), st.randoms(use_true_random=False))
def test_months_and_batches_in_any_order_give_the_same(profile: Profile, random: object) -> None:
    """A partition does not know the others: events month by month and lives batch by batch add up to the whole."""
    whole = make_or_skip(profile)
    life = whole.life
    ids = whole.plan.batches["batch_id"].to_list()
    random.shuffle(ids)  # type: ignore[attr-defined]
    lives = [
        live(
            profile,
            Plan(
                whole.plan.batches.filter(pl.col("batch_id") == one),
                whole.plan.assignments.filter(pl.col("batch_id") == one),
            ),
        )
        for one in ids
    ]
    assert_frame_equal(pl.concat(one.days for one in lives).sort("assignment_id", "date"), life.days)
    month = pl.col("date").dt.strftime("%Y-%m")
    keys = life.days.select(month)["date"].unique().to_list()
    random.shuffle(keys)  # type: ignore[attr-defined]
    parts = [record(profile, whole.plan, life, life.days.filter(month == key)) for key in keys]
    for name, rows in whole.events.items():
        assert_frame_equal(pl.concat(part[name] for part in parts).sort("id"), rows.sort("id"))
        assert rows["id"].n_unique() == rows.height


@given(farms())
def test_volumes_are_known_before_anything_is_generated(profile: Profile) -> None:
    made = make_or_skip(profile)
    days = {
        "environmental_environmentalreading": pl.col("reading_time").dt.strftime("%Y-%m"),
        "inventory_feedingevent": pl.col("feeding_date").dt.strftime("%Y-%m"),
        "batch_growthsample": pl.col("sample_date").dt.strftime("%Y-%m"),
    }
    found = pl.concat(
        made.events[name]
        .group_by(month=month)
        .agg(rows=pl.len().cast(pl.Int64))
        .select(pl.lit(name).alias("table"), "month", "rows")
        for name, month in days.items()
    )
    expected = monthly_volume(profile, made.plan).with_columns(pl.col("rows").cast(pl.Int64))
    wanted = expected.filter((pl.col("rows") > 0) & pl.col("table").is_in(list(days)))
    assert_frame_equal(wanted, found, check_row_order=False)


def test_a_farm_that_does_not_fit_is_refused() -> None:
    crowded = load_profile("saturation-170").model_copy(update={"stagger_days": 3, "batches_per_geography": 200})
    with pytest.raises(ConfigError, match="raise stagger_days"):
        schedule(crowded)


def test_test_40_uses_every_hall_and_both_geographies() -> None:
    plan = schedule(load_profile("test-40"))
    holds = infrastructure()["infrastructure_container"].select("hall_id", container_id="id")
    used = plan.assignments.join(holds, on="container_id")["hall_id"].drop_nulls()
    assert used.n_unique() == 110
    assert sorted(plan.batches["batch_number"].str.split("-").list.first().unique()) == ["FI", "SCO"]


def test_weights_meet_the_stages_expectations() -> None:
    """A batch ends each stage within AquaMind's expected weights, or a little above them in a warm year."""
    profile = load_profile("single").model_copy(update={"as_of": date(2027, 12, 31)})
    life = live(profile, schedule(profile))
    for stage in STAGES[1:]:
        heaviest = life.days.filter(pl.col("stage") == stage.order)["weight_g"].max()
        least, most = stage.expected_weight_g
        assert isinstance(heaviest, float)
        assert least < heaviest < most * 1.3, stage


def test_readings_are_physical(tiny_made: Made) -> None:
    """Values within the parameter's own limits, and oxygen within 15 % of what water of that temperature can hold."""
    values = (
        tiny_made.events["environmental_environmentalreading"]
        .with_columns(pl.col("value").cast(pl.Float64))
        .join(
            reference(tiny_made.profile)["environmental_environmentalparameter"].rename({"id": "parameter_id"}),
            on="parameter_id",
        )
    )
    assert values["name"].n_unique() == 8
    assert values.filter(~pl.col("value").is_between("min_value", "max_value")).is_empty()
    here = ["container_id", "batch_id", "reading_time"]
    water = values.filter(name="temperature").select(*here, temp_c="value")
    salt = values.filter(name="Salinity").select(*here, ppt="value")
    oxygen = values.filter(name="Dissolved Oxygen").join(water, on=here).join(salt, on=here, how="left").fill_null(0.0)
    assert oxygen.height == water.height
    share = oxygen["value"].to_numpy() / oxygen_saturation_mg_l(oxygen["temp_c"].to_numpy(), oxygen["ppt"].to_numpy())
    assert 0.6 < share.min() < share.max() < 1.15


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_draws_depend_on_nothing_but_seed_and_counters(seed: int, counters: list[int]) -> None:
    key = draws.stream(seed, "fish")
    together = draws.uniform(key, np.array(counters))
    alone = [float(draws.uniform(key, np.array([c]))[0]) for c in counters]
    assert together.tolist() == alone
    assert all(0 <= u < 1 for u in alone)
    assert draws.stream(seed, "fish") != draws.stream(seed, "feed")


def test_draws_are_evenly_spread() -> None:
    """Mean and variance of a million draws within five standard errors; neighbours unrelated."""
    n = 1_000_000
    u = draws.uniform(draws.stream(1, "even"), np.arange(n))
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / n)
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / np.sqrt(n)
    z = draws.normal(draws.stream(1, "bell"), np.arange(n))
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.std() - 1) < 5 / np.sqrt(2 * n)
    assert np.abs(z).max() <= 3.47


def test_stochastic_rounding_keeps_the_mean() -> None:
    n = 1_000_000
    whole = draws.stochastic_round(np.full(n, 2.3), draws.uniform(draws.stream(1, "round"), np.arange(n)))
    assert set(np.unique(whole)) == {2, 3}
    assert abs(whole.mean() - 2.3) < 5 * np.sqrt(0.3 * 0.7 / n)


@given(st.floats(0, 1e12))
def test_cube_root(x: float) -> None:
    root = float(cube_root(x))
    assert root**3 == pytest.approx(x, rel=1e-14, abs=1e-300)


@given(st.integers(0, 2**63 - 1))
def test_water_is_warmest_in_late_summer(seed: int) -> None:
    """Monthly means over five years: warmest in July to September, coldest half a year from it; sites differ."""
    first = date(2021, 1, 1)
    temp_c = climate.site_temperature_c(seed, first.toordinal(), 5 * 365 + 1)
    assert temp_c.shape == (22 + 42, 5 * 365 + 1)
    months = pl.date_range(first, date(2025, 12, 31), eager=True).dt.month().to_numpy()
    sea = temp_c[22:].mean(axis=0)
    means = [sea[months == month].mean() for month in range(1, 13)]
    assert np.argmax(means) + 1 in (7, 8, 9)
    assert np.argmin(means) + 1 in (1, 2, 3)
    assert np.unique(temp_c[:, 0]).size == 22 + 42
