"""Deaths and lice at sea compared with real farms (docs/realism.md), on seeds that nobody tuned to."""

from __future__ import annotations

from datetime import date
from functools import cache

import polars as pl
import pytest

from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality import realism
from aquamind_pipeline.quality.farm_months import by_age, farm_months, lice_by_month, statistics, with_lice
from aquamind_pipeline.simulation import lice
from aquamind_pipeline.simulation.life import Life, live
from aquamind_pipeline.simulation.schedule import schedule

SEEDS = (9001, 9002, 9003)
WANTED = {
    "mortality_mean": (0.7, 1.3),
    "mortality_p50": (0.3, 0.6),
    "mortality_p90": (1.5, 3.5),
    "mortality_p95": (2.0, 5.0),
    "mortality_max": (8.0, 50.0),
    "mortality_over_1": (0.18, 0.35),
    "mortality_next": (0.3, 0.6),
    "lice_mean": (0.2, 0.5),
    "lice_none": (0.2, 0.34),
    "lice_p90": (0.5, 1.8),
    "lice_next": (0.6, 1.0),
}
"""Ranges around the figures of the nine real farms."""
_BATCHES_AT_ONCE = 20


@cache
def life(name: str, seed: int) -> Life:
    farm = load_profile(name).model_copy(update={"seed": seed})
    return live(farm, schedule(farm))


def months(name: str, seed: int) -> pl.DataFrame:
    """Farm-months of a farm, some batches at a time."""
    farm = load_profile(name).model_copy(update={"seed": seed})
    plan = schedule(farm)
    ids = plan.batches["batch_id"].sort().to_list()
    parts = []
    for first in range(0, len(ids), _BATCHES_AT_ONCE):
        wanted = ids[first : first + _BATCHES_AT_ONCE]
        some = live(farm, plan.of_batches(plan.with_sources(wanted)))
        days, found = (frame.filter(pl.col("batch_id").is_in(wanted)) for frame in (some.days, some.lice))
        parts.append(farm_months(days, lice.counts(seed, found)))
    return pl.concat(parts)


def outside(found: dict[str, float]) -> dict[str, float]:
    return {name: found[name] for name, (low, high) in WANTED.items() if not low <= found[name] <= high}


def test_the_check_has_the_wanted_ranges() -> None:
    """So that nobody widens the ranges of the check instead of mending the fish."""
    figures = {name: one for group in realism.reference()["group"] for name, one in group["figures"].items()}
    assert {name: (figures[name]["least"], figures[name]["most"]) for name in WANTED} == WANTED


def test_a_farm_is_like_real_farms() -> None:
    """One farm of 40 batches: some 285 farm-months, whose tail scatters. The slow test judges three and larger ones."""
    one = life("test-40", SEEDS[0])
    found = farm_months(one.days, lice.counts(SEEDS[0], one.lice))
    assert found.height > 250
    assert not outside(statistics(found))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test-40", "saturation-170"])
def test_farms_are_like_real_farms(name: str) -> None:
    """Three farms of each size on their own, and together."""
    farms = {seed: months(name, seed) for seed in SEEDS}
    assert not {seed: wrong for seed, found in farms.items() if (wrong := outside(statistics(found)))}
    together = pl.concat(found.with_columns(pl.col("batch_id") + 10_000 * seed) for seed, found in farms.items())
    assert not outside(statistics(together))
    rises_with_age(by_age(together))


def rises_with_age(ages: pl.DataFrame) -> None:
    early, late = ages.filter(pl.col("months_at_sea") < 4), ages.filter(pl.col("months_at_sea").is_between(7, 10))
    assert late["median_mortality"].min() > early["median_mortality"].max()  # type: ignore[operator]
    assert late["mortality"].mean() > 2.0 * early["mortality"].mean()  # type: ignore[operator]
    rise = ages.filter(pl.col("months_at_sea") < 9)["lice"]
    assert (rise.diff().drop_nulls() > 0).all()
    assert rise[0] < 0.01
    assert rise[8] > 0.3


def test_deaths_and_lice_rise_with_time_at_sea() -> None:
    one = life("test-40", SEEDS[0])
    rises_with_age(by_age(farm_months(one.days, lice.counts(SEEDS[0], one.lice))))


def test_rings_of_a_site_agree() -> None:
    """Bad weeks hit every ring: most of the variance of weekly deaths lies between weeks of batches, not rings."""
    weeks = (
        life("test-40", SEEDS[0])
        .days.filter(pl.col("stage") == 6)
        .group_by("batch_id", "assignment_id", week=pl.col("date").dt.truncate("1w"))
        .agg(rate=(pl.col("deaths").sum() / pl.col("population").max() + 1e-4).log())
    )
    within = weeks.select((pl.col("rate") - pl.col("rate").mean().over("batch_id", "week")).var()).item()
    total = weeks.select(pl.col("rate").var()).item()
    assert 0.04 * total < within < 0.15 * total


def test_figures_of_a_farm_worked_out_by_hand() -> None:
    """Two full months; the days of March are too few."""
    days = pl.DataFrame({"date": pl.date_range(date(2025, 1, 1), date(2025, 3, 9), eager=True)}).with_columns(
        batch_id=pl.lit(1),
        stage=pl.lit(6),
        deaths=pl.when(pl.col("date") == date(2025, 2, 3)).then(10).otherwise(0),
        population=pl.when(pl.col("date") < date(2025, 2, 3)).then(1000).otherwise(990),
    )
    counts = pl.DataFrame(
        {
            "batch_id": [1, 1, 1],
            "date": [date(2025, 1, 7), date(2025, 2, 4), date(2025, 2, 11)],
            "adult_female": [0, 4, 10],
            "fish_counted": [20, 20, 20],
        }
    )
    found = farm_months(days, counts)
    assert with_lice(farm_months(days), lice_by_month(counts)).equals(found)
    assert found["mortality"].to_list() == [0.0, 1.0]
    assert found["lice"].to_list() == pytest.approx([0.0, 0.35])
    assert found["months_at_sea"].to_list() == [0, 1]
    figures = statistics(found)
    assert figures["mortality_mean"] == 0.5
    assert figures["mortality_over_1"] == 0.0
    assert figures["lice_none"] == 0.5
