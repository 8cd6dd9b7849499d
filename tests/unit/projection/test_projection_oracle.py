"""Our projections are those of AquaMind's own engine, and each repair changes what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.projection.models import ScenarioModels
from aquamind_pipeline.projection.rules import AQUAMIND, CORRECTED
from aquamind_pipeline.projection.scenario import Projection, project
from tests.helpers.projection_oracle import HERE, ProjectionOracle, projection_oracles

KEY = ["scenario_id", "day_number"]
EXACT = ("projection_date", "population", "temperature", "current_stage_id")
CLOSE = {"average_weight": 0.0, "biomass": 0.01, "daily_feed": 0.001}
"""Columns that differ in the last bit of a power, with the step by which they are rounded."""
LAST_BIT = 1e-11


@pytest.mark.parametrize("folder", projection_oracles(), ids=lambda folder: folder.name)
def test_every_cell_is_theirs(folder: Path) -> None:
    oracle = ProjectionOracle.read(folder)
    ours = project(oracle.models, luck=oracle.luck).rows
    theirs = oracle.rows.select(
        pl.col("scenario_id"),
        pl.col("day_number", "current_stage_id").cast(pl.Int64),
        pl.col("projection_date").str.to_date(),
        pl.col("population", "temperature", "cumulative_feed", *CLOSE).cast(pl.Float64),
    )
    both = theirs.join(ours, on=KEY, how="full", suffix="_ours", coalesce=True).sort(KEY)
    assert ours.height == theirs.height == both.height > 0
    for name in EXACT:
        wrong = both.filter(pl.col(name).ne_missing(pl.col(f"{name}_ours")))
        assert wrong.is_empty(), f"{name}: {wrong.select(*KEY, name, f'{name}_ours').head(5)}"
    for name, step in CLOSE.items():
        off = (pl.col(name) - pl.col(f"{name}_ours")).abs()
        wrong = both.filter(off > pl.max_horizontal(LAST_BIT * pl.col(name).abs(), 1.001 * step))
        assert wrong.is_empty(), f"{name}: {wrong.select(*KEY, name, f'{name}_ours').head(5)}"
        moved = both.filter(off > LAST_BIT * pl.col(name).abs()).height
        assert moved <= both.height * 0.0015, f"{moved} cells of {name} are a step off"
    off = (pl.col("cumulative_feed") - pl.col("cumulative_feed_ours")).abs()
    steps = ((pl.col("daily_feed") - pl.col("daily_feed_ours")).abs() > 1e-9).cum_sum().over("scenario_id")
    assert both.filter(off > 0.001001 * (steps + 1)).is_empty()


@pytest.mark.parametrize("folder", projection_oracles(), ids=lambda folder: folder.name)
def test_every_run_ends_as_theirs(folder: Path) -> None:
    """Refused and broken runs, too, with their reasons in the same order."""
    oracle = ProjectionOracle.read(folder)
    runs = oracle.runs.select(
        "outcome",
        pl.col("reasons").fill_null(""),
        scenario_id="call",
        total_projections=pl.col("total_projections").cast(pl.Int64),
        final_weight_g=pl.col("final_weight_g").cast(pl.Float64),
        final_biomass_kg=pl.col("final_biomass_kg").cast(pl.Float64),
        days_of_chance=pl.col("random_draws").cast(pl.Int64),
    )
    ours = project(oracle.models, luck=oracle.luck).runs
    both = runs.join(ours, on="scenario_id", how="full", suffix="_ours", coalesce=True)
    assert both.height == runs.height
    for name in ("outcome", "reasons"):
        assert both.filter(pl.col(name).ne_missing(pl.col(f"{name}_ours"))).is_empty()
    done = both.filter(outcome="ok")
    assert done.height > 5
    for name in ("total_projections", "days_of_chance"):
        assert done.filter(pl.col(name).ne_missing(pl.col(f"{name}_ours"))).is_empty()
    empty = pl.col("total_projections") == 0
    assert done.filter(empty)["final_weight_g_ours"].null_count() == done.filter(empty).height
    lived = done.filter(~empty)
    assert lived.filter((pl.col("final_weight_g") / pl.col("final_weight_g_ours") - 1).abs() > LAST_BIT).is_empty()
    assert lived.filter((pl.col("final_biomass_kg") - pl.col("final_biomass_kg_ours")).abs() > 0.0101).is_empty()


def _case(number: int) -> ScenarioModels:
    """The models with one scenario of the first folder: the number of its call."""
    models = ProjectionOracle.read(HERE / "scenario-a").models
    return replace(models, scenarios=models.scenarios.filter(scenario_id=number))


def _dead(projection: Projection) -> int:
    return int(projection.rows["population"].first() - projection.rows["population"].last())  # type: ignore[operator]


def test_chance_is_replaced_by_its_expectation() -> None:
    """0.36 fish a day are expected to die of 120,000: AquaMind draws, we round to none."""
    models = _case(20)
    first, again = project(models), project(models)
    assert first.rows.equals(again.rows)
    assert first.rows["population"].unique().to_list() == [120_000.0]
    assert first.runs["days_of_chance"].item() == 200


def test_a_scenario_alone_is_what_it_is_among_others() -> None:
    models = ProjectionOracle.read(HERE / "scenario-fuzz").models
    whole = project(models).rows
    for number in models.scenarios["scenario_id"]:
        one = project(replace(models, scenarios=models.scenarios.filter(scenario_id=number))).rows
        assert one.equals(whole.filter(scenario_id=number))


def test_repaired_deaths_are_a_hundred_times_as_many() -> None:
    models = _case(1)
    theirs, ours = project(models), project(models, replace(AQUAMIND, deaths_are_percent=True))
    assert theirs.rows["population"][0] == 3_000_000 - 9
    assert ours.rows["population"][0] == 3_000_000 - 900
    assert _dead(ours) > 20 * _dead(theirs)


def test_a_weekly_model_gives_a_daily_rate_when_repaired() -> None:
    """Call 19 has a weekly model without rows for its stages."""
    models = _case(19)
    assert project(models).runs.select("outcome", "reasons").row(0) == (
        "crash",
        "weekly_rate_without_stage_row on day 1",
    )
    repaired = project(models, replace(AQUAMIND, weekly_mortality=True))
    assert repaired.runs["outcome"].item() == "ok"
    assert repaired.rows.height == repaired.runs["total_projections"].item()


def test_without_caps_fish_grow_on() -> None:
    models = _case(10)
    assert project(models).rows["average_weight"].max() == 8000.0
    assert project(models, CORRECTED).rows["average_weight"].max() > 8000.0  # type: ignore[operator]


def test_nothing_to_project_gives_no_rows() -> None:
    models = _case(1)
    none = project(replace(models, scenarios=models.scenarios.clear()))
    assert none.rows.is_empty()
    assert none.runs.is_empty()
