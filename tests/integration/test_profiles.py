"""Whole farms, with every check of the lake, the profile's bands among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aquamind_pipeline.definitions import BUILD_LAKE
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import load_settings

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["single", "test-40", "saturation-170"])
def test_a_profile_passes_every_check(name: str, tmp_path: Path) -> None:
    settings = load_settings(profile=name, home=tmp_path)
    outcome = run_job(Workspace(settings), BUILD_LAKE, months_between(settings.farm.epoch, settings.farm.as_of))
    assert outcome.success
    assert outcome.checks > 200
    assert not outcome.failed_checks
