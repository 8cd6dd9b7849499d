"""Whole farms, with every check of the lake, the profile's bands among them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from aquamind_pipeline.apps.batch.assignments import BATCHES
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.stages import LIFECYCLE_STAGES
from aquamind_pipeline.definitions import BUILD_LAKE
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import load_settings
from tests.helpers.uat_coverage import about_batches, about_states

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["single", "test-40", "saturation-170"])
def test_a_profile_passes_every_check(name: str, tmp_path: Path) -> None:
    settings = load_settings(profile=name, home=tmp_path)
    outcome = run_job(Workspace(settings), BUILD_LAKE, months_between(settings.farm.epoch, settings.farm.as_of))
    assert outcome.success
    assert outcome.checks > 200
    assert not outcome.failed_checks


def test_the_ladder_passes_every_check_and_aquaminds_own(tmp_path: Path) -> None:
    """With states, which the quick test of the ladder leaves out."""
    anchor = date(2026, 11, 27)
    settings = load_settings(profile="uat-ladder", home=tmp_path, anchor=anchor)
    outcome = run_job(Workspace(settings), BUILD_LAKE, months_between(settings.farm.epoch, anchor))
    assert outcome.success
    assert not outcome.failed_checks
    lake = Lake(settings.lake_path)
    batches, states = lake.read(BATCHES.name), lake.read(STATES.name, "2026-11")
    assert list(about_batches(batches, lake.read(LIFECYCLE_STAGES.name), anchor)) == []
    assert list(about_states(batches, states, anchor)) == []
    assert list(about_states(batches, states.filter(pl.col("date") < anchor - timedelta(days=3)), anchor))
