"""Lice, what is counted of them, treatments and what follows from treatments."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given

from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation import deaths, lice, stage_days, treatments, workdays
from aquamind_pipeline.simulation.conditions import farm_episodes
from aquamind_pipeline.simulation.grading import LARGEST, SMALLEST
from aquamind_pipeline.simulation.life import Life, live
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import schedule
from tests.helpers.farms import farms, planned


@pytest.fixture(scope="module")
def farm() -> Profile:
    return load_profile("test-40").model_copy(update={"seed": 5150})


@pytest.fixture(scope="module")
def life(farm: Profile) -> Life:
    return live(farm, schedule(farm))


@pytest.mark.parametrize("mean", [0.02, 0.3, 1.5, 8.0])
def test_counts_are_negative_binomial(mean: float) -> None:
    """Mean and variance of the lice on twenty fish."""
    n, fish = 40_000, 20
    u = (np.arange(n) + 0.5) / n
    found = lice.counted(np.full(n, mean), np.full(n, fish), u)
    assert found.mean() == pytest.approx(fish * mean, rel=0.01)
    assert found.var() == pytest.approx(fish * (mean + mean * mean / lice.DISPERSION), rel=0.03)
    assert (np.diff(found) >= 0).all()


def test_a_count_does_not_depend_on_the_others() -> None:
    """One by one or all at once, counts are the same to the last louse."""
    n = 300
    mean, fish, u = np.linspace(0.01, 30.0, n), np.where(np.arange(n) % 2, 10, 20), (np.arange(n) * 0.618) % 1.0
    alone = [lice.counted(mean[[k]], fish[[k]], u[[k]]).item() for k in range(n)]
    assert lice.counted(mean, fish, u).tolist() == alone


def test_no_lice_are_found_where_there_are_none() -> None:
    assert lice.counted(np.zeros(3), np.full(3, 20), np.array([0.0, 0.5, 1.0 - 2.0**-53])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("temp_c", [6.0, 9.0, 12.0])
def test_lice_develop_as_slowly_as_published(temp_c: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """From attachment to adults: the sum of the two stages by Aldrin et al. 2017. No louse dies here, so the mean is
    that of all lice.
    """
    monkeypatch.setattr(lice, "_LIVING", np.ones((7, 1)))
    published = 18.93 * (temp_c / 10) ** -1.305 + 10.74 * (temp_c / 10) ** -0.866
    state, larvae = np.zeros((lice.COMPARTMENTS, 1)), np.zeros(1)
    state[0] = 1.0
    rates = lice.RATES[:, [round(temp_c * lice.TABLE_STEPS)]]
    grown = [0.0]
    for _ in range(400):
        lice.step(state, larvae, rates, np.zeros(1), np.zeros(1), np.zeros(1))
        grown.append(float(state[lice.FEMALE, 0]))
    assert grown[-1] == pytest.approx(0.5, abs=1e-4)  # half of them are females
    mean = float(np.diff(grown) @ np.arange(1, 401)) / grown[-1]
    assert mean == pytest.approx(published, rel=0.02)


@given(farms())
def test_treatments_keep_their_rules(profile: Profile) -> None:
    """On working days, no harvest while withheld, few rings a day, vaccinated once, only smolts."""
    plan = planned(profile)
    life = live(profile, plan)
    treated = life.treatments.join(
        plan.assignments.select("assignment_id", "stage", "departure_date"), on="assignment_id"
    ).with_columns(pl.Series("method_name", [treatments.METHODS[m].name for m in life.treatments["method"]], pl.String))
    ordinals = treated["date"].to_physical().to_numpy().astype(np.int64) + 719_163
    assert workdays.is_working_day(ordinals).all()
    withheld = pl.col("date") + pl.duration(days=pl.col("withholding_days"))
    assert treated.filter(withheld >= pl.col("departure_date")).is_empty()
    vaccines = treated.filter(method_name="vaccination")
    assert vaccines["assignment_id"].is_unique().all()
    assert vaccines.filter(pl.col("stage") != 4).is_empty()
    crew = treated.filter(~pl.col("method_name").str.ends_with("in feed"))
    a_day = crew.group_by("batch_id", "date").len()["len"].max() or 0
    assert int(a_day) <= treatments.CONTAINERS_A_DAY * profile.speed  # type: ignore[call-overload]


@given(farms())
def test_fasting_fish_get_no_feed_and_do_not_grow(profile: Profile) -> None:
    days = live(profile, planned(profile)).days
    fasted = days.filter(pl.col("fasting") != stage_days.FED)
    assert fasted.filter((pl.col("feed_dg") > 0) | (pl.col("meals") > 0) | (pl.col("appetite") > 0)).is_empty()
    assert days.filter((pl.col("meals") > 0) != (pl.col("feed_dg") > 0)).is_empty()
    assert days.filter((pl.col("second_deaths") < 0) | (pl.col("second_deaths") > pl.col("deaths"))).is_empty()
    assert days.filter(~pl.col("gill").is_between(0, 3) | ~pl.col("wound").is_between(0, 3)).is_empty()
    assert days.filter(~pl.col("reason").is_between(0, len(deaths.REASONS) - 1)).is_empty()


@given(farms())
def test_fish_get_no_feed_on_the_day_of_a_treatment_or_grading(profile: Profile) -> None:
    """At any speed; medicated feed is feed, and baths of fungus leave fish their feed."""
    life = live(profile, planned(profile))
    fasting = pl.Series([method.fasting_days[1] > 0 for method in treatments.METHODS])
    handled = life.treatments.filter(fasting.gather(life.treatments["method"]))
    assert handled.filter(pl.col("fasting_days") < 1).is_empty()
    graded = life.moves.filter(pl.col("picked") > 0)
    sides = [graded.select("date", assignment_id=f"{side}_assignment_id") for side in ("source", "dest")]
    days = life.days.join(pl.concat([handled.select("date", "assignment_id"), *sides]), on=["assignment_id", "date"])
    assert days.filter(pl.col("meals") > 0).is_empty()


@given(farms())
def test_fish_are_weighed_and_examined_on_days_that_suit(profile: Profile) -> None:
    """On working days with feed and without treatment; the vaccination alone has a weighing of its own."""
    life = live(profile, planned(profile))
    treated = life.treatments.with_columns(
        date=pl.date_ranges("date", pl.col("date") + pl.duration(days=pl.col("days") - 1))
    ).explode("date")
    vaccinated = treated.filter(method=treatments.VACCINE).select("assignment_id", "date")
    at_vaccination = life.days.join(vaccinated, on=["assignment_id", "date"])
    assert at_vaccination["fish_weighed"].sum() == 0
    assert (at_vaccination["fish_examined"] > 0).all()
    for number, others in (("fish_weighed", life.days), ("fish_examined", not_in(life.days, vaccinated))):
        taken = others.filter(pl.col(number) > 0)
        assert workdays.is_working_day(ordinals(taken["date"])).all()
        assert (taken["fasting"] == stage_days.FED).all()
        assert taken.join(treated, on=["assignment_id", "date"], how="semi").is_empty()


def not_in(days: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return days.join(others, on=["assignment_id", "date"], how="anti")


def test_few_growth_samples_are_left_out(farm: Profile, life: Life) -> None:
    """Two of seven days are due. A sample that does not suit waits for some days, so few are left out for good."""
    fed = life.days.filter(pl.col("stage") > 1)
    share = fed.select((pl.col("fish_weighed") > 0).mean()).item()
    assert 0.93 < share / (farm.samples_per_week / 7) <= 1.0
    gaps = fed.filter(pl.col("fish_weighed") > 0).select(pl.col("date").diff().over("assignment_id").dt.total_days())
    assert gaps["date"].min() >= 1  # type: ignore[operator]
    assert gaps["date"].max() <= 18  # type: ignore[operator]


@given(farms())
def test_harvests_are_on_working_days(profile: Profile) -> None:
    days = planned(profile).batches["harvest_date"].to_physical().to_numpy().astype(np.int64) + 719_163
    assert workdays.is_working_day(days).all()


def test_every_smolt_is_vaccinated_once_at_the_right_weight(farm: Profile, life: Life) -> None:
    """At 60 to 100 g, with at least 600 degree-days left in freshwater."""
    smolts = life.days.filter(pl.col("stage") == 4).group_by("assignment_id").len().filter(pl.col("len") == 90)
    vaccines = life.treatments.filter(pl.col("method") == treatments.METHOD["vaccination"])
    assert smolts.join(vaccines, on="assignment_id", how="anti").is_empty()
    assert vaccines["weight_g"].is_between(60, 100).all()
    assert (vaccines["fasting_days"] == 3).all()
    later = life.days.filter(pl.col("stage").is_in([4, 5])).join(
        vaccines.select("batch_id", vaccinated="date").unique("batch_id"), on="batch_id"
    )
    lived = (
        later.filter(pl.col("date") > pl.col("vaccinated")).group_by("batch_id", "date").agg(pl.col("temp_c").mean())
    )
    at_sea = life.days.filter(pl.col("stage") == 6)["batch_id"].unique()
    degree_days = (
        lived.group_by("batch_id").agg(pl.col("temp_c").sum()).filter(pl.col("batch_id").is_in(at_sea.implode()))
    )
    assert degree_days["temp_c"].min() >= 600  # type: ignore[operator]


def test_thermal_treatment_removes_mobile_lice_and_leaves_sessile_ones(life: Life) -> None:
    thermal = life.treatments.filter(pl.col("method") == treatments.METHOD["thermal"])
    day = life.lice.select("assignment_id", "date", "sessile", "preadult", "adult_female")
    before = day.with_columns(pl.col("date").dt.offset_by("1d"))
    both = thermal.join(before, on=["assignment_id", "date"]).join(day, on=["assignment_id", "date"], suffix="_after")
    assert both.height > 50
    assert (both["adult_female_after"] < 0.35 * both["adult_female"]).all()
    assert 0.05 < (both["adult_female_after"] / both["adult_female"]).mean() < 0.11  # type: ignore[operator]
    assert (both["sessile_after"] > 0.95 * both["sessile"]).all()


def test_treatments_cost_fish_and_appetite(life: Life) -> None:
    """In the week after a thermal treatment more fish die than in the week before, of treatment."""
    thermal = life.treatments.filter(pl.col("method") == treatments.METHOD["thermal"]).select(
        "assignment_id", day="date"
    )
    near = life.days.join(thermal, on="assignment_id").with_columns(
        offset=(pl.col("date") - pl.col("day")).dt.total_days()
    )
    share = pl.col("deaths").sum() / pl.col("population").sum()
    week_before = near.filter(pl.col("offset").is_between(-7, -1)).select(share).item()
    week_after = near.filter(pl.col("offset").is_between(0, 6)).select(share).item()
    assert week_after > 1.5 * week_before
    assert (near.filter(pl.col("offset") == 0)["fasting"] != stage_days.FED).all()
    eaten = near.filter(pl.col("offset").is_between(1, 10), pl.col("fasting") == stage_days.FED)
    by_day = eaten.group_by("offset").agg(pl.col("appetite").mean()).sort("offset")["appetite"]
    assert by_day[0] < 0.8 * by_day[-1]


def test_what_triggered_a_treatment_is_what_was_counted(farm: Profile, life: Life) -> None:
    """At most ten days earlier as many lice were counted as the treatment says, and these reach the trigger.

    A crew needs three days to come, works on weekdays, and treats three rings of the batch a day. Pre-adults lead to a
    treatment where few adult females were counted, but five times as many pre-adults as females would.
    """
    counts = lice.counts(farm.seed, life.lice).join(farm_geographies(farm), on="batch_id")
    month = counts["date"].dt.month().to_numpy().astype(np.int64)
    fish = pl.col("fish_counted")
    counted = counts.select(
        "assignment_id",
        day="date",
        adult=pl.col("adult_female") / fish,
        young=pl.col("preadult") / fish,
        trigger=pl.Series(treatments.lice_trigger(month, counts["geography_id"].to_numpy())),
    )
    deloused = life.treatments.filter(pl.col("reason").is_in(treatments.AGAINST_LICE))
    assert dict(deloused.group_by("reason").len().iter_rows())[treatments.REASON["pre-adult lice"]] > 50
    assert deloused.height > 500
    enough = pl.when(reason=treatments.REASON["lice"]).then("trigger").otherwise(5.0 * pl.col("trigger"))
    found = pl.when(reason=treatments.REASON["lice"]).then("adult").otherwise("young")
    led = deloused.join(counted, on="assignment_id").filter(
        pl.col("day") < pl.col("date"),
        pl.col("day") >= pl.col("date").dt.offset_by("-10d"),
        (found - pl.col("seen")).abs() < 1e-9,
        pl.col("seen") >= enough,
    )
    assert deloused.join(led, on=["assignment_id", "date"], how="anti").is_empty()


def test_every_delousing_is_followed_by_a_count(farm: Profile, life: Life) -> None:
    """Within a working week of the treatment, or three weeks after medicated feed, unless the ring is empty by then."""
    counted = life.lice.filter(pl.col("fish_counted") > 0).select("assignment_id", day="date")
    ends = life.lice.group_by("assignment_id").agg(last=pl.col("date").max())
    in_feed = pl.col("method") == treatments.METHOD["emamectin in feed"]
    first, most = (pl.when(in_feed).then(of_feed).otherwise(other) for of_feed, other in ((21, 4), (25, 8)))
    deloused = life.treatments.filter(pl.col("reason").is_in(treatments.AGAINST_LICE)).join(ends, on="assignment_id")
    deloused = deloused.filter(pl.col("date") + pl.duration(days=most) <= pl.col("last"))
    since = (pl.col("day") - pl.col("date")).dt.total_days()
    seen = deloused.join(counted, on="assignment_id").filter(since >= first, since <= most)
    assert deloused.height > 1000
    assert deloused.join(seen, on=["assignment_id", "date"], how="anti").is_empty()


def test_a_weak_treatment_is_followed_by_one_of_another_method(farm: Profile, life: Life) -> None:
    """A ring that still has its trigger in the count after a treatment is deloused within ten days by another method.

    Not if the fish leave soon, or if another treatment is done or booked by then.
    """
    counts = lice.counts(farm.seed, life.lice).join(farm_geographies(farm), on="batch_id")
    month = counts["date"].dt.month().to_numpy().astype(np.int64)
    trigger = pl.Series(treatments.lice_trigger(month, counts["geography_id"].to_numpy()))
    over = counts.filter(pl.col("adult_female") / pl.col("fish_counted") >= trigger).select("assignment_id", day="date")
    ends = life.lice.group_by("assignment_id").agg(last=pl.col("date").max())
    baths = life.treatments.filter(
        pl.col("reason").is_in(treatments.AGAINST_LICE), pl.col("method") != treatments.METHOD["emamectin in feed"]
    )
    weak = (
        baths.select("assignment_id", "date", "method")
        .join(over, on="assignment_id")
        .filter((pl.col("day") - pl.col("date")).dt.total_days().is_between(4, 8))
        .join(ends, on="assignment_id")
        .filter(pl.col("day").dt.offset_by("21d") <= pl.col("last"))
        .unique(["assignment_id", "date"])
    )
    assert weak.height > 50
    later = life.treatments.select("assignment_id", again="date", other="method", why="reason").join(
        weak, on="assignment_id"
    )
    soon = later.filter((pl.col("again") - pl.col("day")).dt.total_days().is_between(-4, 12))
    answered = weak.join(soon.filter(pl.col("again") > pl.col("date")), on=["assignment_id", "date"], how="semi")
    assert answered.height > 0.97 * weak.height
    against_lice = soon.filter(pl.col("why").is_in(treatments.AGAINST_LICE), pl.col("again") > pl.col("date"))
    first = against_lice.sort("again").unique(["assignment_id", "date"], keep="first")
    assert first.filter(pl.col("method") == pl.col("other")).is_empty()


def test_no_ring_gets_out_of_hand(farm: Profile, life: Life) -> None:
    """Real sites had 2.57 adult females in their worst month, and Scotland acts at 6 (docs/reference/fish-health.md).

    The worst of 14 rings has 1.7 times the lice of its site, if rings differ by 30 %, and the worst day of a month may
    have half as many again: 6.6 in all.
    """
    worst = 2.57 * 1.7 * 1.5
    assert life.lice["adult_female"].max() < worst  # type: ignore[operator]
    sites = schedule(farm).assignments.select("assignment_id", "site")
    weeks = (
        life.lice.join(sites, on="assignment_id")
        .group_by("site", pl.col("date").dt.truncate("1w"))
        .agg(pl.col("adult_female").mean())
    )
    assert weeks["adult_female"].max() < 2.57 * 1.5  # type: ignore[operator]


def farm_geographies(farm: Profile) -> pl.DataFrame:
    return schedule(farm).batches.select("batch_id", "geography_id")


def test_growth_is_on_average_what_the_model_says(life: Life) -> None:
    """Weighted by temperature, the appetite of each stage times that of healthy fish is about 1."""
    fed = life.days.filter(pl.col("stage") > 1)
    mean = (
        fed.group_by("stage").agg((pl.col("appetite") * pl.col("temp_c")).sum() / pl.col("temp_c").sum()).sort("stage")
    )
    from aquamind_pipeline.simulation.feeding_plan import FULL

    assert (mean["appetite"].to_numpy() * np.array(FULL[1:])).tolist() == pytest.approx([1.0] * 5, abs=0.015)


def test_episodes_depend_on_site_and_date_only(farm: Profile) -> None:
    """A later as_of adds episodes; another number of batches changes none."""
    now = farm_episodes(farm)
    fewer = farm_episodes(farm.model_copy(update={"batches_per_geography": 1}))
    assert now.equals(fewer)
    earlier = farm_episodes(farm.model_copy(update={"as_of": farm.as_of.replace(year=farm.as_of.year - 1)}))
    assert earlier.equals(now.filter(pl.col("date") <= farm.as_of.replace(year=farm.as_of.year - 1)))
    assert now["loss"].is_between(0, 0.5).all()


def test_no_container_loses_more_than_the_most(life: Life) -> None:
    """Survival stays above the bound that the check of survival allows."""
    came = pl.col("date") == pl.col("date").min().over("assignment_id")
    stages = (
        life.days.with_columns(came=came)
        .group_by("batch_id", "stage")
        .agg(
            first=(pl.col("population") + pl.col("deaths")).filter("came").sum(),
            last=pl.col("population").filter(pl.col("date") == pl.col("date").max()).sum(),
            days=pl.col("date").n_unique(),
            containers=pl.col("assignment_id").n_unique(),
        )
    )
    from aquamind_pipeline.simulation.biology import STAGES

    for stage in STAGES:
        some = stages.filter(stage=stage.order)
        rate = np.full(some.height, stage.daily_mortality)
        days = some["days"].to_numpy()
        low, high = deaths.hazard_bounds(stage.order, days, some["containers"].to_numpy(), rate)
        survival = (some["last"] / some["first"]).to_numpy()
        assert (survival >= (1 - rate) ** (days * high)).all()
        assert (survival <= (1 - rate) ** (days * low)).all()


def graded_moves(life: Life) -> pl.DataFrame:
    return life.moves.filter(pl.col("picked").is_in([LARGEST, SMALLEST]))


@given(farms())
def test_gradings_are_on_working_days_and_fasted(profile: Profile) -> None:
    """Graded tanks get no feed on the day of the grading, nor on the day before it."""
    life = live(profile, planned(profile))
    graded = graded_moves(life)
    assert workdays.is_working_day(ordinals(graded["date"])).all()
    if profile.speed == 1:
        tanks = graded.select("date", assignment_id="source_assignment_id")
        unfed = pl.concat([tanks, tanks.with_columns(pl.col("date").dt.offset_by("-1d"))])
        assert life.days.join(unfed, on=["assignment_id", "date"])["meals"].sum() == 0


def test_fish_are_fasted_for_gradings(life: Life) -> None:
    """One or two days before the grading and its own day; the fish eat before and after."""
    graded = graded_moves(life).select("date", assignment_id="source_assignment_id")
    assert graded.height > 100
    near = life.days.join(graded.rename({"date": "graded"}), on="assignment_id").with_columns(
        offset=(pl.col("date") - pl.col("graded")).dt.total_days()
    )
    share = near.group_by("offset").agg(fed=(pl.col("fasting") != stage_days.BEFORE_MOVE).mean()).sort("offset")
    fed = dict(share.iter_rows())
    assert [fed[day] for day in (-3, -1, 0, 1)] == [1.0, 0.0, 0.0, 1.0]
    assert 0.2 < fed[-2] < 0.8


@given(farms())
def test_no_fish_is_graded_after_the_first_vaccination_of_its_batch(profile: Profile) -> None:
    """Fish that move between vaccinated tanks and others are vaccinated twice or never."""
    life = live(profile, planned(profile))
    first = life.treatments.filter(method=treatments.VACCINE).group_by("batch_id").agg(vaccinated=pl.col("date").min())
    graded = graded_moves(life).join(first, on="batch_id")
    apart = 3 if profile.speed == 1 else 0
    assert graded.filter(pl.col("vaccinated") <= pl.col("date").dt.offset_by(f"{apart}d")).is_empty()


def test_counts_on_holidays_are_made_up_for(farm: Profile, life: Life) -> None:
    """The gap between two counts of a ring is the interval or less, and four days more at most."""
    counted = life.lice.filter(pl.col("fish_counted") > 0).sort("assignment_id", "date")
    assert workdays.is_working_day(ordinals(counted["date"])).all()
    gaps = counted.with_columns(gap=pl.col("date").diff().over("assignment_id").dt.total_days()).join(
        farm_geographies(farm), on="batch_id"
    )
    for geography, every in lice.COUNT_DAYS.items():
        gap = gaps.filter(geography_id=geography)["gap"].drop_nulls()
        assert gap.max() <= every + workdays.LONGEST_REST  # type: ignore[operator]
        assert (gap != every).any()


def test_a_due_day_without_work_moves_to_the_next_working_day() -> None:
    """Christmas 2025 is a Thursday and a Friday, so the next working day is Monday, the 29th."""
    first = date(2025, 12, 24)
    due = np.array([[False, True, False, False, False, False, False], [True, False, True, True, False, True, False]])
    moved = workdays.moved_to_working_days(due, first.toordinal())
    assert [np.flatnonzero(row).tolist() for row in moved] == [[5], [0, 5]]


def test_rings_are_deloused_near_harvest_without_withholding(farm: Profile, life: Life) -> None:
    """In the last two weeks, but not when the fish are fasted for the harvest; medicines keep their withholding."""
    harvests = schedule(farm).assignments.filter(stage=6).select("assignment_id", "departure_date")
    treated = life.treatments.filter(pl.col("reason").is_in(treatments.AGAINST_LICE)).join(harvests, on="assignment_id")
    left = treated.with_columns(left=(pl.col("departure_date") - pl.col("date")).dt.total_days())
    free = left.filter(pl.col("withholding_days") == 0)
    assert free["left"].min() == treatments.LAST_DAYS + 1
    assert free.filter(pl.col("left") <= 10).height > 0
    withheld = left.filter(pl.col("withholding_days") > 0)
    assert (withheld["left"] - withheld["withholding_days"]).min() > treatments.SAFETY_DAYS  # type: ignore[operator]


def ordinals(days: pl.Series) -> np.typing.NDArray[np.int64]:
    return days.to_physical().to_numpy().astype(np.int64) + 719_163
