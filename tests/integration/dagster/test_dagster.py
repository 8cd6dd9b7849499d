"""The pipeline in a real Dagster instance: jobs, partitions, checks that block, the nightly schedule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.definitions import BUILD_FARM, BUILD_MONTH, LOAD_DATABASE, NIGHTLY, build_defs, nightly_run
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_config import Rule
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline import slices
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.quality.farm_rules import RECOVERS_LIFE
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.database import row_counts
from tests.helpers.farms import digests
from tests.helpers.places import SIGNS

EVENT = "inventory_feedingevent"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with the project's dagster.yaml, in a folder of ours that has a difficult name."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / SIGNS))
    (tmp_path / SIGNS).mkdir()
    dagster_home(load_settings(profile="tiny"))
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_what_cannot_be_drawn_does_not_hide_the_result(a_copy: Settings) -> None:
    """Without lives there are no errors to show a picture of; the check has failed, and says why."""
    lake = Lake(a_copy.lake_path)
    for month in lake.partitions("life_day"):
        lake.remove("life_day", month)
    check = dg.AssetCheckKey(dg.AssetKey(RECOVERS_LIFE.about), RECOVERS_LIFE.name)
    job = dg.define_asset_job("one_check", dg.AssetSelection.checks(check))
    checked = dg.Definitions.merge(build_defs(a_copy), dg.Definitions(jobs=[job])).resolve_job_def("one_check")
    (found,) = checked.execute_in_process(raise_on_error=False).get_asset_check_evaluations()
    assert not found.passed
    assert str(found.description).startswith("cannot be checked: ")
    assert "LakeError" in str(found.metadata["not shown"].value)


def test_bad_data_does_not_reach_the_database(
    instance: dg.DagsterInstance, a_copy: Settings, database: SecretStr
) -> None:
    """A month that doubles fish: its check fails, the load does not even start."""
    settings = a_copy.model_copy(update={"database_url": database})
    workspace = Workspace(settings)
    lake = Lake(a_copy.lake_path)
    states = lake.read(STATES.name, "2026-04")
    doubled = pl.when(pl.int_range(pl.len()) == 300).then(pl.col("population") * 2).otherwise("population")
    defs = build_defs(settings, resource_overrides={"workspace": workspace})
    spoiled = states.with_columns(doubled.cast(states.schema["population"]).alias("population"))
    lake.write(STATES.name, spoiled, "2026-04")
    checks = dg.AssetSelection.checks_for_assets(STATES.name)
    job = dg.define_asset_job("guarded", checks | dg.AssetSelection.assets("postgres_states"))
    guarded = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("guarded")
    result = guarded.execute_in_process(instance=instance, raise_on_error=False)
    failed = {c.check_name for c in result.get_asset_check_evaluations() if not c.passed}
    assert failed == {"no_doubling", "ledger", "recovers_life"}
    assert not result.asset_materializations_for_node("postgres_states")


def test_slices_of_batches_leave_no_trace(a_copy: Settings, built: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lives and states made four batches at a time, as on a large farm, are the bytes of those made at once."""
    monkeypatch.setattr(slices, "SLICE_BATCHES", 4)
    defs = build_defs(a_copy)
    made = dg.AssetSelection.assets("life_day", STATES.name).required_multi_asset_neighbors()
    job = dg.define_asset_job("in_slices", made | dg.AssetSelection.checks_for_assets(STATES.name))
    for path in Lake(a_copy.lake_path).folder.glob("life_day/*.parquet"):
        path.unlink()
    result = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("in_slices").execute_in_process()
    assert result.success
    assert digests(a_copy.lake_path) == digests(built.lake_path)


def test_one_month_alone(instance: dg.DagsterInstance, a_copy: Settings, own: SecretStr) -> None:
    """A backfilled month replaces its own file and partition and no other."""
    settings = a_copy.model_copy(update={"database_url": own, "skip_checks": ("expectations",)})
    workspace = Workspace(settings)
    before = digests(settings.lake_path)
    lake = workspace.lake
    lake.write(EVENT, lake.read(EVENT, "2026-04").slice(1), "2026-04")
    lake.remove(EVENT, "2026-05")
    outcome = run_job(workspace, BUILD_MONTH, ["2026-04"])
    assert outcome.success, outcome.failed_checks
    after = digests(settings.lake_path)
    assert after.pop(f"{EVENT}/2026-04") == before.pop(f"{EVENT}/2026-04")
    del before[f"{EVENT}/2026-05"]
    assert after == before
    assert instance.get_materialized_partitions(dg.AssetKey(EVENT)) == {"2026-04"}


def test_the_schedule_is_of_every_evening(a_copy: Settings) -> None:
    schedule = build_defs(a_copy).resolve_schedule_def(NIGHTLY)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 23 * * *", "UTC")


@pytest.mark.slow
def test_nightly_brings_the_farm_up_to_the_day(
    instance: dg.DagsterInstance, a_copy: Settings, database: SecretStr, built: Settings
) -> None:
    """The schedule's own run request, executed: three weeks missed are made up; earlier months keep their bytes.

    The farm was loaded by hand, which proves nothing, so the night builds every month; the next goes on from it.
    """
    settings = a_copy.model_copy(update={"database_url": database})
    workspace = Workspace(settings)
    farm = settings.farm
    evening = datetime.combine(farm.as_of + timedelta(days=24), datetime.min.time())
    assert run_job(workspace, LOAD_DATABASE, months_between(farm.epoch, farm.as_of)).success
    defs = build_defs(settings, resource_overrides={"workspace": workspace})
    schedule = defs.resolve_schedule_def(NIGHTLY)
    with dg.build_schedule_context(
        instance=instance, scheduled_execution_time=evening, resources={"workspace": workspace}
    ) as context:
        tick = schedule.evaluate_tick(context)
    (request,) = tick.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-02"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-07"

    job = defs.resolve_job_def(BUILD_FARM)
    result = job.execute_in_process(instance=instance, run_config=request.run_config, tags=request.tags)
    assert result.success
    assert all(c.passed for c in result.get_asset_check_evaluations())
    manifest = workspace.lake.manifest()
    assert manifest is not None
    assert manifest.as_of == evening.date()
    before, after = digests(built.lake_path), digests(settings.lake_path)
    for name in REGISTRY.events:
        for month in ("2026-02", "2026-03", "2026-04", "2026-05"):
            assert after[f"{name}/{month}"] == before[f"{name}/{month}"]
        assert f"{name}/2026-07" in after or name == "batch_growthsample"
    counts = row_counts(database, REGISTRY.events)
    assert counts == {name: workspace.lake.rows(name) for name in REGISTRY.events}

    # A night that fails half-way has moved the lake's as_of already: the next one starts where all was whole.
    workspace.lake.claim(farm.model_copy(update={"as_of": date(2026, 8, 20)}))
    made_up = nightly_run(workspace, instance, date(2026, 8, 21))
    assert made_up.tags["dagster/asset_partition_range_start"] == "2026-07"
    assert made_up.run_config["resources"]["workspace"]["config"] == {"as_of": "2026-08-21", "since": "2026-07"}


def test_a_night_before_the_lakes_day_changes_nothing(instance: dg.DagsterInstance, a_copy: Settings) -> None:
    request = nightly_run(Workspace(a_copy), instance, date(2026, 3, 1))
    assert request.run_config["resources"]["workspace"]["config"] == {"as_of": "2026-06-07"}


def test_a_farm_that_was_never_verified_is_built_whole(instance: dg.DagsterInstance, a_copy: Settings) -> None:
    request = nightly_run(Workspace(a_copy), instance, date(2026, 6, 8))
    assert request.tags["dagster/asset_partition_range_start"] == "2026-02"


def test_an_as_of_that_goes_back_takes_later_months_along(
    instance: dg.DagsterInstance, a_copy: Settings, own: SecretStr
) -> None:
    """A farm built again with an earlier as_of has no later months, in the lake or in the database."""
    settings = load_settings(
        profile="tiny",
        home=a_copy.home,
        lake=a_copy.lake_path,
        as_of=date(2026, 4, 20),
        database_url=own.get_secret_value(),
        skip_checks=tuple(rule.value for rule in Rule),
    )
    assert run_job(Workspace(settings), BUILD_FARM, months_between(settings.farm.epoch, settings.farm.as_of)).success
    lake = Lake(a_copy.lake_path)
    for name in REGISTRY.events:
        assert lake.partitions(name)[-1] == "2026-04"
    assert row_counts(own, REGISTRY.events) == {name: lake.rows(name) for name in REGISTRY.events}
    assert open_target(own).wipe()
