"""Harvests: when, of fasted fish, and what becomes of the fish."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation import harvest_quality
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.stage_days import BEFORE_MOVE
from aquamind_pipeline.simulation.workdays import is_working_day
from tests.helpers.farms import Made

WINTER, SUMMER = (1, 2, 3, 4), (5, 6, 7, 8, 9, 10, 11)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(load_profile("test-40").model_copy(update={"seed": 9001}))


@pytest.fixture(scope="module")
def lots(made: Made) -> pl.DataFrame:
    """Lots with their event, weights as floats, and yields."""
    events = made.frame("harvest_harvestevent").select("event_date", "batch_id", event_id="id")
    live = pl.col("live_weight_kg")
    return (
        made.frame("harvest_harvestlot")
        .with_columns(pl.selectors.ends_with("_kg").cast(pl.Float64))
        .join(events, on="event_id")
        .with_columns(gutted=pl.col("gutted_weight_kg") / live, fillet=pl.col("fillet_weight_kg") / live)
    )


def test_fish_of_a_harvest_are_fasted_and_leave_on_a_working_day(made: Made) -> None:
    """Three to six days without feed, on no day more or less in a ring of the batch."""
    events = made.frame("harvest_harvestevent")
    day = pl.col("event_date").dt.date()
    dates = events.select(day)["event_date"]
    assert is_working_day(dates.to_physical().to_numpy().astype(np.int64) + 719_163).all()
    assert events.select(pl.col("event_date").dt.hour().is_between(6, 19).all()).item()
    assert events.group_by("batch_id").agg(pl.col("event_date").is_unique().all())["event_date"].all()
    last = made.life.days.join(events.select("assignment_id", gone=day), on="assignment_id").with_columns(
        left=(pl.col("gone") - pl.col("date")).dt.total_days()
    )
    fasted = last.filter(pl.col("fasting") == BEFORE_MOVE)
    assert fasted["feed_dg"].sum() == 0
    days = fasted.group_by("batch_id", "assignment_id").agg(pl.col("left").max(), days=pl.len())
    assert days["days"].equals(days["left"].cast(pl.UInt32), check_names=False)
    assert set(days["days"]) == {3, 4, 5, 6}
    assert days.group_by("batch_id").agg(pl.col("days").n_unique())["days"].max() == 1


def test_lots_share_out_the_fish_and_their_mass(made: Made, lots: pl.DataFrame) -> None:
    at_sea = made.life.days.filter(pl.col("stage") == ADULT.order)
    last = at_sea.group_by("assignment_id").agg(pl.col("population", "weight_g").sort_by("date").last())
    rings = lots.group_by(assignment_id="event_id").agg(pl.col("unit_count", "live_weight_kg").sum())
    mixed = made.life.moves.filter(stage=ADULT.order).group_by(assignment_id="source_assignment_id")
    both = (
        rings.join(last, on="assignment_id")
        .join(mixed.agg(mixed=pl.col("count").sum()), on="assignment_id", how="left")
        .with_columns(population=pl.col("population") - pl.col("mixed").fill_null(0))
    )
    assert both.height > 300
    assert both["mixed"].count() >= 4
    assert (both["unit_count"].cast(pl.Int64) == both["population"]).all()
    mass = both["population"] * both["weight_g"] / 1000
    assert ((both["live_weight_kg"] - mass).abs() <= 0.0026).all()  # five roundings to a gram


def test_yields_vary_by_lot_around_published_means(lots: pl.DataFrame) -> None:
    """Gutted 0.83 to 0.85 of the live weight; skin-on fillet about 0.56 for superior fish, less of lower grades."""
    by_batch = lots.group_by("batch_id").agg(
        (pl.col(f"{name}_weight_kg").sum() / pl.col("live_weight_kg").sum()).alias(name)
        for name in ("gutted", "fillet")
    )
    for name, low, high in (("gutted", 0.83, 0.85), ("fillet", 0.54, 0.58)):
        assert low < by_batch[name].mean() < high  # type: ignore[operator]
        assert 0.002 < by_batch[name].std() < 0.01  # type: ignore[operator]
    assert lots["gutted"].is_between(*harvest_quality.GUTTED_RANGE).all()
    assert lots["fillet"].is_between(*harvest_quality.FILLET_RANGE).all()
    best, worst = (lots.filter(pl.col("product_grade_id") == grade) for grade in (1, 5))
    assert worst["fillet"].mean() < best["fillet"].mean() - 0.02  # type: ignore[operator]
    assert lots.group_by("event_id").agg(pl.col("gutted").round(4).n_unique())["gutted"].min() >= 4  # type: ignore[operator]


def test_fewer_fish_are_superior_in_winter(lots: pl.DataFrame) -> None:
    """65 to 80 % of a winter's harvest, 82 to 93 % of a summer's."""
    superior = pl.col("unit_count").filter(pl.col("product_grade_id") == 1).sum() / pl.col("unit_count").sum()
    month = pl.col("event_date").dt.month()
    found = {
        season: lots.filter(month.is_in(months)).select(superior).item()
        for season, months in (("winter", WINTER), ("summer", SUMMER))
    }
    assert 0.65 < found["winter"] < 0.80
    assert 0.82 < found["summer"] < 0.93
    rejected = pl.col("unit_count").filter(pl.col("product_grade_id") == 5).sum() / pl.col("unit_count").sum()
    assert 0.003 < lots.select(rejected).item() < 0.02
    batches = lots.group_by("batch_id").agg(superior=superior)
    assert batches["superior"].std() > 0.04  # type: ignore[operator]


def shares(*, month: int, weight_g: float, wound: float, rings: int = 2_000) -> np.typing.NDArray[np.float64]:
    """Mean share of the fish in each grade."""
    ids = np.arange(1, rings + 1)
    full = np.full(rings, 1)
    found = harvest_quality.grade_shares(1, ids, ids, full * month, full * weight_g, full * wound)
    assert np.allclose(found.sum(axis=1), 1.0)
    assert (found >= 0).all()
    return np.asarray(found.mean(axis=0))


def test_ulcers_and_maturation_lower_the_grade() -> None:
    sound = shares(month=9, weight_g=5000, wound=0.0)
    wounded = shares(month=9, weight_g=5000, wound=1.0)
    assert sound[0] - wounded[0] == pytest.approx(0.12, abs=0.001)
    assert (wounded[1:] > sound[1:]).all()
    # Large fish mature in autumn, small ones do not, and in May none do.
    small, large = (shares(month=10, weight_g=weight, wound=0.0) for weight in (3000, 6500))
    assert 0.02 < small[0] - large[0] < 0.05
    assert shares(month=5, weight_g=3000, wound=0.0) == pytest.approx(shares(month=5, weight_g=6500, wound=0.0))
    worst = shares(month=3, weight_g=9000, wound=3.0)
    assert worst[0] > 0.1


@pytest.mark.parametrize("fish", [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 3]])
def test_lots_of_few_or_no_fish_have_their_weight(fish: list[int]) -> None:
    count = np.array([fish])
    kg = harvest_quality.live_kg(7, np.array([3]), count, np.array([5.0 * count.sum()]))
    assert kg.sum() == pytest.approx(5.0 * count.sum())
    assert ((kg > 0) == (count > 0)).all()
