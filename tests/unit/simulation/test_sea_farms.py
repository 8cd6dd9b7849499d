"""Deaths and lice at sea compared with real farms (docs/reference/fish-health.md), on seeds that nobody tuned to."""

from __future__ import annotations

from datetime import date
from functools import cache

import polars as pl
import pytest

from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.farm_months import by_age, farm_months, statistics
from aquamind_pipeline.simulation import lice
from aquamind_pipeline.simulation.life import live
from aquamind_pipeline.simulation.schedule import schedule

SEEDS = (71, 72, 73)
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


@cache
def months(seed: int) -> pl.DataFrame:
    farm = load_profile("test-40").model_copy(update={"seed": seed})
    life = live(farm, schedule(farm))
    return farm_months(life.days, lice.counts(seed, life.lice))


def test_farm_months_are_like_those_of_real_farms() -> None:
    """A farm of 40 batches has some 285 farm-months, whose tail scatters. So three farms are judged together."""
    together = pl.concat(months(seed).with_columns(pl.col("batch_id") + 1000 * seed) for seed in SEEDS)
    found = statistics(together)
    outside = {name: found[name] for name, (low, high) in WANTED.items() if not low <= found[name] <= high}
    assert not outside


def test_deaths_and_lice_rise_with_time_at_sea() -> None:
    ages = by_age(pl.concat(months(seed) for seed in SEEDS))
    early, late = ages.filter(pl.col("months_at_sea") < 4), ages.filter(pl.col("months_at_sea").is_between(7, 10))
    assert late["median_mortality"].min() > early["median_mortality"].mean()  # type: ignore[operator]
    assert late["mortality"].mean() > 1.5 * early["mortality"].mean()  # type: ignore[operator]
    rise = ages.filter(pl.col("months_at_sea") < 9)["lice"]
    assert (rise.diff().drop_nulls() > 0).all()
    assert rise[0] < 0.01
    assert rise[8] > 0.3


def test_rings_of_a_site_agree() -> None:
    """Bad weeks hit every ring: most of the variance of weekly deaths lies between weeks of batches, not rings."""
    farm = load_profile("test-40").model_copy(update={"seed": SEEDS[0]})
    weeks = (
        live(farm, schedule(farm))
        .days.filter(pl.col("stage") == 6)
        .group_by("batch_id", "assignment_id", week=pl.col("date").dt.truncate("1w"))
        .agg(rate=(pl.col("deaths").sum() / pl.col("population").max() + 1e-4).log())
    )
    within = weeks.select((pl.col("rate") - pl.col("rate").mean().over("batch_id", "week")).var()).item()
    total = weeks.select(pl.col("rate").var()).item()
    assert 0.02 * total < within < 0.4 * total


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
    assert found["mortality"].to_list() == [0.0, 1.0]
    assert found["lice"].to_list() == pytest.approx([0.0, 0.35])
    assert found["months_at_sea"].to_list() == [0, 1]
    figures = statistics(found)
    assert figures["mortality_mean"] == 0.5
    assert figures["mortality_over_1"] == 0.0
    assert figures["lice_none"] == 0.5
