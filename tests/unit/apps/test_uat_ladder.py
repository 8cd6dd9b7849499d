"""`uat-ladder` has on its anchor day what AquaMind's `verify_uat_coverage` looks for."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from aquamind_pipeline.pipeline.farm import Farm
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.simulation.mixing import is_mixed
from aquamind_pipeline.simulation.schedule import schedule
from tests.helpers.uat_coverage import about_batches, active_batches, in_windows

ANCHOR = date(2026, 11, 27)


def test_the_ladder_covers_every_stage_and_window() -> None:
    farm = Farm("uat-ladder", anchor=ANCHOR)
    batches, stages = farm.table("batch_batch"), farm.table("batch_lifecyclestage")
    assert list(about_batches(batches, stages, ANCHOR)) == []
    hatched = batches.filter(~is_mixed(pl.col("id")))
    ages = active_batches(hatched, ANCHOR).group_by("age").len()
    young = ages.filter(pl.col("age") < 760)
    assert young.height == 25, "each age of the profile, but those at which a batch may be harvested"
    assert young["len"].to_list() == [2] * 25, "one batch in each geography"
    assert hatched.filter(status="COMPLETED").height == 84


def test_the_checks_can_fail() -> None:
    """Some weeks later windows are empty; a farm of 16 active batches never passes."""
    farm = Farm("uat-ladder", anchor=ANCHOR, as_of=ANCHOR + timedelta(days=25))
    batches, stages = farm.table("batch_batch"), farm.table("batch_lifecyclestage")
    wrong = list(about_batches(batches, stages, ANCHOR + timedelta(days=25)))
    assert "issue: 0 batches from Smolt to Post-Smolt" in wrong
    small = Farm("test-40")
    found = about_batches(small.table("batch_batch"), small.table("batch_lifecyclestage"), small.profile.as_of)
    assert "issue: 16 active batches" in list(found)


@pytest.mark.parametrize("seed", [20261123, 1, 77])
def test_every_anchor_has_two_batches_in_each_window(seed: int) -> None:
    """Whatever the season in which the oldest batches grew."""
    for day in range(0, 365, 45):
        anchor = ANCHOR + timedelta(days=day)
        farm = load_profile("uat-ladder", seed=seed, anchor=anchor)
        planned = schedule(farm).batches.select(
            "start_date",
            id="batch_id",
            status=pl.when(pl.col("harvest_date") > anchor).then(pl.lit("ACTIVE")).otherwise(pl.lit("COMPLETED")),
        )
        active = active_batches(planned, anchor)
        assert active.height >= 52
        assert min(in_windows(active).values()) >= 2, anchor


def test_the_full_farms_geographies_take_turns() -> None:
    """On most days some batch of `saturation-170` is close to every change of stage, since Scotland starts later."""
    farm = load_profile("saturation-170")
    batches = schedule(farm).batches
    covered = 0
    for day in range(30):
        today = farm.as_of - timedelta(days=day)
        alive = batches.filter(pl.col("start_date") <= today, pl.col("harvest_date") > today)
        active = active_batches(alive.select("start_date", id="batch_id", status=pl.lit("ACTIVE")), today)
        covered += min(list(in_windows(active).values())[:5]) >= 1
    assert covered >= 25
