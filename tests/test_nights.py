"""Nights: what a day changes is made, proved and loaded; what it does not change is left, and is noticed if it changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from pydantic import SecretStr

from aquamind_pipeline import tables
from aquamind_pipeline.definitions import BUILD_FARM, NIGHTLY, build_defs
from aquamind_pipeline.orchestration.catalogue import REPORT
from aquamind_pipeline.orchestration.partitions import months
from aquamind_pipeline.orchestration.proved import LASTING, last_facts, proof_digest
from aquamind_pipeline.orchestration.workspace import Workspace
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.running import dagster_home, run_job
from aquamind_pipeline.settings import Settings, load_settings
from tests.farms import build_lake
from tests.test_cli import digests

LAST = date(2026, 5, 20)
"""The day to which the farm is built before its nights."""
DEATHS, READINGS = "batch_mortalityevent", "environmental_environmentalreading"


@pytest.fixture
def settings(tmp_path: Path, database: SecretStr, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A farm built, proved, loaded and verified up to `LAST`."""
    settings = load_settings(profile="tiny", home=tmp_path, database_url=database.get_secret_value())
    dagster_home(settings)
    first = Workspace(settings.model_copy(update={"as_of": LAST}))
    assert run_job(first, BUILD_FARM, months(settings.farm.epoch, LAST)).success
    return settings


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def asked(settings: Settings, instance: dg.DagsterInstance, today: date) -> dg.RunRequest:
    """What the schedule asks for on an evening."""
    workspace = Workspace(settings)
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime.combine(today, datetime.min.time()),
        resources={"workspace": workspace},
    ) as context:
        (request,) = build_defs(settings).resolve_schedule_def(NIGHTLY).evaluate_tick(context).run_requests or []
    return request


def executed(settings: Settings, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    """The run of a request, as Dagster's daemon launches it."""
    job = build_defs(settings).resolve_job_def(BUILD_FARM)
    if request.asset_selection is not None:
        job = job.get_subset(
            asset_selection=set(request.asset_selection), asset_check_selection=set(request.asset_check_keys or ())
        )
    return job.execute_in_process(
        instance=instance, run_config=dict(request.run_config), tags=request.tags, raise_on_error=False
    )


def config(request: dg.RunRequest) -> dict[str, str]:
    return dict(request.run_config["resources"]["workspace"]["config"])


@pytest.mark.parametrize("days", [1, 30])
def test_a_night_leaves_what_a_build_of_the_later_day_leaves(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path, database: SecretStr, days: int
) -> None:
    """To the byte in the lake and by every value in the database, also after a month of missed nights."""
    today = LAST + timedelta(days=days)
    request = asked(settings, instance, today)
    assert config(request) == {"as_of": today.isoformat(), "since": "2026-05"}
    result = executed(settings, instance, request)
    assert result.success
    at_once = load_settings(profile="tiny", home=tmp_path / "at-once", as_of=today)
    build_lake(at_once)
    assert digests(settings.lake_path) == digests(at_once.lake_path)
    lake = Workspace(settings).lake
    assert all(found.passed for found in comparison.compared(database, lake, tables.TABLES))

    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    assert not made & set(LASTING)
    checks = {(one.asset_key.to_user_string(), one.check_name): one for one in result.get_asset_check_evaluations()}
    assert {(name, "gaps") for name in (READINGS, tables.STATE_TABLE)} <= checks.keys()
    assert ((READINGS, "expectations") in checks) == (days == 30), "suites wait for a month's end"
    ledger = checks[tables.STATE_TABLE, "ledger"]
    assert (ledger.description or "").startswith("batches with fish since 2026-05: ")
    arrived = checks["postgres_events", "arrived"]
    assert (arrived.description or "").endswith("of months since 2026-05")
    assert last_facts(instance, REPORT)["proof"] == proof_digest()
    assert config(asked(settings, instance, today + timedelta(days=1)))["since"] == f"{today:%Y-%m}"


def test_a_fault_that_a_night_meets_stops_its_load(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Deaths of an earlier month that are no longer those of the lives: today's states do not balance."""
    lake = Workspace(settings).lake
    deaths = lake.read(DEATHS, "2026-04")
    last = deaths.group_by("batch_id").len().sort("batch_id")["batch_id"][-1]
    lake.write(
        DEATHS,
        deaths.with_columns(pl.when(batch_id=last).then(pl.col("count") + 1).otherwise("count").cast(pl.Int32)),
        "2026-04",
    )
    result = executed(settings, instance, asked(settings, instance, LAST + timedelta(days=1)))
    assert not result.success
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert "recovers_life" in failed
    assert not result.asset_materializations_for_node("postgres_master")


def test_a_file_that_changed_since_it_was_loaded_stops_a_night(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """Whatever else a night does not look at, it sees that an earlier month is no longer the one that was proved."""
    lake = Workspace(settings).lake
    lake.write(READINGS, lake.read(READINGS, "2026-03").slice(1), "2026-03")
    result = executed(settings, instance, asked(settings, instance, LAST + timedelta(days=1)))
    assert not result.success
    (failure,) = [e.step_failure_data for e in result.all_node_events if e.is_step_failure]
    assert f"{READINGS} 2026-03 is not the file that was proved and loaded" in str(failure.error)
    assert not result.asset_materializations_for_node("postgres_master")


def test_what_a_night_must_not_rely_on_is_made_anew(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Other rules, checks that were skipped, a table of the farm's places that changed: everything, from the epoch on."""
    tomorrow = LAST + timedelta(days=1)
    report, lake = last_facts(instance, REPORT), Workspace(settings).lake

    def whole() -> bool:
        request = asked(settings, instance, tomorrow)
        return "since" not in config(request) and request.asset_selection is None

    assert not whole()
    for changed in ({"proof": "of other rules"}, {"proof": ""}, {"identity": "another farm"}, {"passed": False}):
        facts = {
            name: value
            for name, value in (report | changed).items()
            if name in ("passed", "as_of", "identity", "proof")
        }
        instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, metadata=facts))
        assert whole(), changed
    instance.report_runless_asset_event(
        dg.AssetMaterialization(REPORT, metadata={k: report[k] for k in ("passed", "as_of", "identity", "proof")})
    )
    assert not whole()
    lake.write("infrastructure_sensor", lake.read("infrastructure_sensor").slice(1))
    assert whole()


def test_a_run_that_skips_checks_proves_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    lenient = settings.model_copy(update={"as_of": LAST, "skip_checks": ("stuck",)})
    assert run_job(Workspace(lenient), BUILD_FARM, months(settings.farm.epoch, LAST)).success
    assert last_facts(instance, REPORT)["proof"] == ""
