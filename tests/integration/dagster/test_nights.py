"""A whole build, and the nights after it: what a day changes is made, checked and loaded.

The rest is left, and seen if it is not what it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from pydantic import SecretStr

from aquamind_pipeline import report
from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.definitions import BUILD_FARM, LOAD_DATABASE, NIGHTLY, build_defs
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_jobs import Outcome, run_job
from aquamind_pipeline.orchestration.run_record import last_facts, rules_digest
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import comparison
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.postgres.targets.own import INDEXED_COST
from aquamind_pipeline.report import sums
from aquamind_pipeline.settings import Settings, load_settings
from tests.conftest import new_database
from tests.helpers.database import row_counts, rows_of
from tests.helpers.farms import digests, make_lake
from tests.helpers.places import SIGNS

LAST = date(2026, 5, 20)
"""The day to which the farm is built before its nights."""
PICTURED = [name for name, one in REGISTRY.items() if one.figure or name in REGISTRY.events]
DEATHS, READINGS = "batch_mortalityevent", "environmental_environmentalreading"


@pytest.fixture(scope="module")
def whole(new_home: Callable[[], Path], server: SecretStr) -> Iterator[tuple[Settings, Outcome]]:
    """A farm built, checked, loaded and verified up to `LAST`, in a folder with a difficult name. Read only."""
    with new_database(server) as url, pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", "")
        settings = load_settings(
            profile="tiny", home=new_home() / SIGNS, as_of=LAST, database_url=url.get_secret_value()
        )
        yield settings, run_job(Workspace(settings), BUILD_FARM, months_between(settings.farm.epoch, LAST))


@pytest.fixture(scope="module")
def before(whole: tuple[Settings, Outcome]) -> Settings:
    """That farm, to be copied."""
    settings, outcome = whole
    assert outcome.success
    return settings


@pytest.fixture
def settings(before: Settings, server: SecretStr, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that farm: its lake, its database and what Dagster recorded of it."""
    shutil.copytree(before.home, tmp_path / "night")
    assert before.database_url is not None
    with new_database(server, like=before.database_url) as url:
        yield load_settings(profile="tiny", home=tmp_path / "night", database_url=url.get_secret_value())


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    dagster_home(settings)
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


def test_full_build_is_recorded_and_arrives(
    whole: tuple[Settings, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build in Dagster passes every check, writes the bytes that the library alone writes, and loads them."""
    settings, outcome = whole
    lake, url = Workspace(settings).lake, settings.database_url
    assert url is not None
    assert outcome.success
    assert not outcome.failed_checks
    assert outcome.checks > 200
    alone = load_settings(profile="tiny", home=tmp_path, as_of=LAST)
    make_lake(alone)
    assert digests(settings.lake_path) == digests(alone.lake_path)
    assert row_counts(url) == rows_of(lake)

    dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.SUCCESS
        for name in REGISTRY.events:
            assert instance.get_materialized_partitions(dg.AssetKey(name)) == set(lake.partitions(name))
        facts = last_facts(instance, "batch_batch")
        assert facts["dagster/row_count"] == lake.rows("batch_batch")
        assert facts["seed"] == str(settings.farm.seed)
        assert facts["sha256"] == lake.digest("batch_batch")
        assert facts["bytes"] == lake.path("batch_batch").stat().st_size
        for name in PICTURED:
            assert "data:image/png;base64" in str(last_facts(instance, name)["picture"]), name
        password = url.get_secret_value().split(":")[2].split("@")[0]
        assert all(password not in str(event) for event in instance.all_logs(run.run_id))


@pytest.mark.parametrize("days", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_a_night_leaves_what_a_build_of_the_later_day_leaves(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path, days: int
) -> None:
    """To the byte in the lake and by every value in the database, also after a month of missed nights."""
    today = LAST + timedelta(days=days)
    request = asked(settings, instance, today)
    assert config(request) == {"as_of": today.isoformat(), "since": "2026-05"}
    lake = Workspace(settings).lake
    before = {name: 0 if REGISTRY[name].covers_month else lake.rows(name, "2026-05") for name in REGISTRY.events}
    result = executed(settings, instance, request)
    assert result.success
    after = {name: lake.rows(name, "2026-05") for name in before}
    sent = {
        name: rows - before[name] if rows - before[name] <= before[name] // INDEXED_COST else rows
        for name, rows in after.items()
    }
    loaded = last_facts(instance, "postgres_events")
    assert days > 1 or loaded["rows_sent"] == sum(sent.values()), (
        "new rows, sums of the month, and months that grew much"
    )
    assert days > 1 or 0 < sum(sent.values()) < sum(after.values())
    at_once = load_settings(profile="tiny", home=tmp_path / "at-once", as_of=today)
    make_lake(at_once)
    assert digests(settings.lake_path) == digests(at_once.lake_path)
    assert settings.database_url is not None
    compared = comparison.compared(open_target(settings.database_url), Workspace(settings).lake, REGISTRY.aquamind)
    assert all(found.passed for found in compared)

    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    assert not made & set(REGISTRY.lasting)
    checks = {(one.asset_key.to_user_string(), one.check_name): one for one in result.get_asset_check_evaluations()}
    assert {(name, "gaps") for name in (READINGS, STATES.name)} <= checks.keys()
    assert ((READINGS, "expectations") in checks) == (days == 30), "suites wait for a month's end"
    ledger = checks[STATES.name, "ledger"]
    assert (ledger.description or "").startswith("batches with fish since 2026-05: ")
    arrived = checks["postgres_events", "arrived"]
    assert (arrived.description or "").endswith("of months since 2026-05")
    assert last_facts(instance, REPORT)["rules"] == rules_digest()
    assert config(asked(settings, instance, today + timedelta(days=1)))["since"] == f"{today:%Y-%m}"


def test_a_fault_that_a_night_meets_stops_its_load(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Fewer deaths in an earlier month than fish died: today's states have fish that do not live."""
    lake = Workspace(settings).lake
    deaths = lake.read(DEATHS, "2026-04")
    last = deaths.group_by("batch_id").len().sort("batch_id")["batch_id"][-1]
    lake.write(
        DEATHS,
        deaths.with_columns(pl.when(batch_id=last).then(pl.col("count") - 1).otherwise("count").cast(pl.Int64)),
        "2026-04",
    )
    result = executed(settings, instance, asked(settings, instance, LAST + timedelta(days=1)))
    assert not result.success
    failed = {check.check_name for check in result.get_asset_check_evaluations() if not check.passed}
    assert "recovers_life" in failed
    assert not result.asset_materializations_for_node("postgres_master")


@pytest.mark.parametrize("changed", ["file", "database"])
def test_a_file_that_changed_since_it_was_loaded_stops_a_night(
    settings: Settings, instance: dg.DagsterInstance, changed: str
) -> None:
    """Whatever else a night does not look at, it sees that an earlier month is no longer the one that was proved, or
    not loaded any more.
    """
    lake, url = Workspace(settings).lake, settings.database_url
    assert url is not None
    if changed == "file":
        lake.write(READINGS, lake.read(READINGS, "2026-03").slice(1), "2026-03")
        said = f"{READINGS} 2026-03 is not the file that was verified and loaded"
    else:
        open_target(url).wipe()
        said = "as it was when the farm was last verified: build the whole farm"
    result = executed(settings, instance, asked(settings, instance, LAST + timedelta(days=1)))
    assert not result.success
    (failure,) = [e.step_failure_data for e in result.all_node_events if e.is_step_failure]
    assert said in str(failure.error)
    assert not result.asset_materializations_for_node("postgres_master")


def test_what_a_night_must_not_rely_on_is_made_anew(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Other rules, checks that were skipped, a changed table of the farm's places: everything is proved again."""
    tomorrow, told = LAST + timedelta(days=1), ("passed", "as_of", "identity", "rules")
    facts, lake = last_facts(instance, REPORT), Workspace(settings).lake

    def whole() -> bool:
        request = asked(settings, instance, tomorrow)
        everything = "since" not in config(request) and request.asset_selection is None
        assert everything == (
            request.tags["dagster/asset_partition_range_start"] == settings.farm.epoch.strftime("%Y-%m")
        )
        return everything

    assert not whole()
    for changed in ({"rules": "others"}, {"rules": ""}, {"identity": "another farm"}, {"passed": False}):
        said = {name: value for name, value in (facts | changed).items() if name in told}
        instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, metadata=said))
        assert whole(), changed
    instance.report_runless_asset_event(dg.AssetMaterialization(REPORT, metadata={name: facts[name] for name in told}))
    assert not whole()
    lake.write("infrastructure_sensor", lake.read("infrastructure_sensor").slice(1))
    assert whole()


@pytest.mark.slow
def test_a_whole_night_after_a_changed_master_verifies_the_farm_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    tomorrow, lake = LAST + timedelta(days=1), Workspace(settings).lake
    lake.write("infrastructure_sensor", lake.read("infrastructure_sensor").slice(1))
    request = asked(settings, instance, tomorrow)
    assert "since" not in config(request)
    assert executed(settings, instance, request).success
    assert "since" in config(asked(settings, instance, tomorrow))


def test_a_nights_report_sums_up_the_last_months_only(settings: Settings, instance: dg.DagsterInstance) -> None:
    """It says what a whole report says. Sums of a month that was loaded again are asked for again."""
    url, kept = settings.database_url, report.sums_path(settings)
    assert url is not None
    today = LAST + timedelta(days=1)
    assert executed(settings, instance, asked(settings, instance, today)).success
    at_night = report.load_saved(report.report_path(settings))
    farm = settings.farm.model_copy(update={"as_of": today})
    whole, _ = report.verify(url, farm)
    assert [section.rows for section in at_night.sections] == [section.rows for section in whole.sections]

    def summed(since: str | None) -> sums.Sums:
        with connect(url) as connection:
            return sums.read(connection, since, kept)

    def frames(found: sums.Sums) -> list[pl.DataFrame]:
        return [found.days, found.use.sort("container_id", "date"), found.dead.sort("batch_id", "date")]

    true = frames(summed(None))
    assert all(map(pl.DataFrame.equals, frames(summed("2026-05")), true))
    frames_of, facts_of = kept / "sums.parquet", kept / "sums.json"
    pl.read_parquet(frames_of).with_columns(pl.col("fish") + 1).write_parquet(frames_of)
    assert all(map(pl.DataFrame.equals, frames(summed("2026-05")), true)), "damaged"
    pl.read_parquet(frames_of).with_columns(pl.col("fish") + 1).write_parquet(frames_of)
    digest = hashlib.sha256(frames_of.read_bytes()).hexdigest()
    facts_of.write_text(json.dumps(json.loads(facts_of.read_text()) | {"sha256": digest}))
    early = pl.col("date") < date(2026, 5, 1)
    found = summed("2026-05").days
    assert (found.filter(early)["fish"] == true[0].filter(early)["fish"] + 1).all()
    assert found.filter(~early).equals(true[0].filter(~early))
    with connect(url) as connection:
        connection.execute("UPDATE aquamind_pipeline.load_journal SET loaded_at = now() WHERE partition = '2026-03'")
    assert all(map(pl.DataFrame.equals, frames(summed("2026-05")), true))
    for damaged in (frames_of, facts_of):
        damaged.write_bytes(damaged.read_bytes()[:-9])
        assert all(map(pl.DataFrame.equals, frames(summed("2026-05")), true))


def test_a_run_that_leaves_something_out_proves_nothing(settings: Settings, instance: dg.DagsterInstance) -> None:
    """A load alone looks at no rule: what it brings is verified, but the next night proves it first."""
    assert last_facts(instance, REPORT)["rules"] == rules_digest()
    farm = settings.farm.model_copy(update={"as_of": LAST})
    assert run_job(Workspace(settings), LOAD_DATABASE, months_between(farm.epoch, LAST)).success
    facts = last_facts(instance, REPORT)
    assert (facts["passed"], facts["rules"]) == (True, "")
