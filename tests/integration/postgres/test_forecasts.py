"""Forecasts follow the farm's last day: in the lake, in AquaMind's database and in one of our own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.forecasts import SUMMARIES
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.postgres.comparison import compared
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.database import ask, load_everything
from tests.helpers.farms import digests, make_lake

PROFILE = """
description = "Two batches, whose forecasts of four weeks are kept"
seed = 4
epoch = 2026-02-02
as_of = 2026-04-28
geographies = ["Faroe Islands"]
batches_per_geography = 2
stagger_days = 22
eggs = [30_000, 40_000]
speed = 10
tanks_per_stage = 2
rings_per_batch = 2
meals_per_day = [0, 1, 1, 1, 1, 1]
fish_per_sample = 3
fish_per_health_sample = 3
forecast_history_days = 28
"""
FIRST, NEXT = date(2026, 4, 28), date(2026, 5, 4)
"""A Tuesday, and the Monday after it in the next month: the first batch is harvested in between."""
CLOSED = """
SELECT count(*) FROM batch_batchcontainerassignment a WHERE NOT is_active AND (
  EXISTS (SELECT FROM batch_liveforwardprojection WHERE assignment_id = a.id)
  OR EXISTS (SELECT FROM batch_containerforecastsummary WHERE assignment_id = a.id))
"""
"""Closed assignments with a forecast."""


def _settings(tmp_path: Path, name: str, as_of: date, since: str | None = None) -> Settings:
    profile = tmp_path / "forecasts.toml"
    profile.write_text(PROFILE)
    return load_settings(profile=str(profile), home=tmp_path / name, as_of=as_of, since=since)


def _dates(url: SecretStr) -> set[object]:
    return {row[0] for row in ask(url, "SELECT DISTINCT computed_date FROM batch_liveforwardprojection")}


def _forecast_assignments(url: SecretStr) -> set[object]:
    return {row[0] for row in ask(url, "SELECT assignment_id FROM batch_containerforecastsummary")}


@pytest.mark.slow
def test_forecasts_of_dates_that_left_are_taken_out(
    tmp_path: Path, server: SecretStr, migrated: SecretStr, database: SecretStr
) -> None:
    """By a night, in the lake and in both kinds of database. A night leaves what one build leaves."""
    make_lake(_settings(tmp_path, "farm", FIRST))
    lake = Lake(_settings(tmp_path, "farm", FIRST).lake_path)
    for url in (migrated, database):
        load_everything(url, lake)
        assert _dates(url) == {date(2026, 4, day) for day in (6, 13, 20, 27)} | {FIRST}
    before = {url: _forecast_assignments(url) for url in (migrated, database)}

    make_lake(_settings(tmp_path, "farm", NEXT, since="2026-04"))
    make_lake(_settings(tmp_path, "at-once", NEXT))
    assert digests(lake.folder) == digests(_settings(tmp_path, "at-once", NEXT).lake_path)
    for url in (migrated, database):
        sent = {one.table: one.sent for one in load_everything(url, lake)}
        assert sent[SUMMARIES.name]
        assert _dates(url) == {date(2026, 4, day) for day in (13, 20, 27)} | {NEXT}, "those of living fish"
        assert before[url] - _forecast_assignments(url), "fish were harvested, and their forecasts left"
        assert ask(url, CLOSED) == [(0,)]
        assert all(found.passed for found in compared(open_target(url), lake, REGISTRY.aquamind))
