"""Options of runs, and runs that fail or are killed: real instances, databases and processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import dagster as dg
import polars as pl
import psutil
import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES, TEMPERATURE
from aquamind_pipeline.apps.environmental import readings
from aquamind_pipeline.definitions import BUILD_LAKE, BUILD_MONTH, LOAD_DATABASE, build_defs
from aquamind_pipeline.errors import (
    ConfigError,
    DatabaseAwayError,
    DatabaseError,
    LakeBusyError,
    LakeError,
    TransientError,
)
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.months import months_between
from aquamind_pipeline.orchestration import retries
from aquamind_pipeline.orchestration.partitions import range_tags
from aquamind_pipeline.orchestration.records import DATABASE_VARIABLE, dagster_home
from aquamind_pipeline.orchestration.retention import delete_old_runs
from aquamind_pipeline.orchestration.run_health import (
    PROCESS_TAG,
    START_TAG,
    close_dead_runs,
    process_tags,
    runs_in_pool,
    this_process,
)
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.orchestration.step_errors import WrongOption
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.schema.inputs import PLAN
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.commands import AQUAMIND
from tests.helpers.database import row_counts
from tests.helpers.farms import wait_for
from tests.helpers.places import ROOT, SIGNS

READINGS, SAMPLES = "environmental_environmentalreading", "batch_growthsample"
RETRY = dg.DagsterEventType.STEP_UP_FOR_RETRY


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with the project's dagster.yaml, in a folder of ours that has a difficult name."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / SIGNS))
    (tmp_path / SIGNS).mkdir()
    dagster_home(load_settings(profile="tiny"))
    with dg.DagsterInstance.get() as instance:
        yield instance


def options(**values: object) -> dict[str, object]:
    return {"resources": {"workspace": {"config": values}}}


def all_months(settings: Settings) -> list[str]:
    return months_between(settings.farm.epoch, settings.farm.as_of)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"as_of": "30.6.2026"}, "as_of"),
        ({"as_of": "2026-01-01"}, "lies before epoch 2026-02-02"),
        ({"skip_checks": ["no_such_check"]}, "not in enum type"),
        ({"skip_checks": ["schema"]}, "not in enum type"),
        ({"database": "postgresql://loader:hunter2@db/farm"}, "never a URL"),
        ({"database": "NO_SUCH_VARIABLE"}, "no such variable"),
        ({"database": "NO_DATABASE_URL"}, "must look like postgresql://"),
        ({"reload": "perhaps"}, 'expected type "Bool"'),
        ({"overwrite": True}, 'unexpected config entry "overwrite"'),
    ],
)
def test_a_wrong_option_makes_no_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object], message: str
) -> None:
    monkeypatch.setenv("NO_DATABASE_URL", "hunter2")
    job = build_defs(load_settings(profile="tiny")).resolve_job_def(LOAD_DATABASE)
    with pytest.raises((dg.DagsterInvalidConfigError, WrongOption)) as raised:
        job.execute_in_process(instance=instance, run_config=options(**wrong))
    text = str(raised.value)
    assert message in text
    assert "hunter2" not in text.replace(str(wrong), "")
    assert not instance.get_runs()


def test_skipped_checks_warn(instance: dg.DagsterInstance, a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    states = lake.read(STATES.name, "2026-04")
    doubled = pl.when(pl.int_range(pl.len()) == 300).then(pl.col("population") * 2).otherwise("population")
    spoiled = states.with_columns(doubled.cast(states.schema["population"]).alias("population"))
    lake.write(STATES.name, spoiled, "2026-04")
    defs = build_defs(a_copy)
    checks = dg.AssetSelection.checks_for_assets(STATES.name)
    job = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("checks", checks)])).resolve_job_def(
        "checks"
    )

    def failed(**values: object) -> dict[str, tuple[str, str]]:
        done = job.execute_in_process(instance=instance, run_config=options(**values), raise_on_error=False)
        found = done.get_asset_check_evaluations()
        return {c.check_name: (c.severity.value, c.description or "") for c in found if not c.passed}

    assert {severity for severity, _ in failed().values()} == {"ERROR"}
    skipped = failed(skip_checks=["ledger"])
    assert skipped["ledger"] == ("WARN", "not looked at: this run skips it")
    assert skipped["no_doubling"][0] == "ERROR"
    assert {severity for severity, _ in failed(load_anyway=True).values()} == {"WARN"}


def test_a_database_by_name_and_loading_it_again(
    instance: dg.DagsterInstance,
    a_copy: Settings,
    own: SecretStr,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run's option leads to another database than the code location's, which is not even there; one load at a time:
    it waits for its place in the pool, and says for whom.
    """
    monkeypatch.setenv("UAT_URL", own.get_secret_value())
    nowhere = a_copy.model_copy(update={"database_url": SecretStr("postgresql://a:b@127.0.0.1:1/nowhere")})
    workspace = Workspace(nowhere)
    storage = instance.event_log_storage
    holder = a_living_run(instance)
    said: list[str] = []

    def let_go_when_it_waits() -> None:
        wait_for(lambda: said.append(capsys.readouterr().err) or "Ctrl-C" in "".join(said))
        storage.free_concurrency_slots_for_run(holder.run_id)

    with Beside(let_go_when_it_waits):
        loaded = run_job(workspace, LOAD_DATABASE, all_months(a_copy), run_config=options(database="UAT_URL"))
    assert loaded.success
    assert f"waiting: run {holder.run_id} (farm tiny, job load_database, process {this_process()}) is using" in "".join(
        said
    )

    def skipped(asset: str) -> object:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata["skipped"].value

    assert skipped("postgres_master") == len(REGISTRY.whole)
    assert skipped("postgres_states") == sum(len(workspace.lake.partitions(name)) for name in REGISTRY.states)
    again = options(database="UAT_URL", reload=True)
    assert run_job(workspace, LOAD_DATABASE, all_months(a_copy), run_config=again).success
    assert skipped("postgres_master") == 0
    assert skipped("postgres_states") == 0
    assert row_counts(own, REGISTRY.events) == {name: workspace.lake.rows(name) for name in REGISTRY.events}


def test_a_crash_is_reported_even_if_a_check_warned(a_copy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a step that follows a step whose check only warns."""

    def buggy(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(readings, "daily_temperature", buggy)
    warning = a_copy.model_copy(update={"skip_checks": ("gaps",)})
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        run_job(Workspace(warning), BUILD_MONTH, ["2026-03"], assets=[READINGS, TEMPERATURE])


def test_dagsters_settings_are_copied_when_they_differ(tmp_path: Path) -> None:
    """A process that has the file open reads its old content to the end. An equal copy is not written again."""

    def copied() -> Path:
        os.environ["DAGSTER_HOME"] = ""
        return dagster_home(load_settings(profile="tiny", home=tmp_path)) / "dagster.yaml"

    ours = (ROOT / "dagster.yaml").read_text()
    first = copied().stat()
    again = copied().stat()  # without the time of access, which reading changes
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    copied().write_text("an older one")
    with (tmp_path / "dagster" / "tiny" / "dagster.yaml").open() as reader:
        assert copied().read_text() == ours
        assert reader.read() == "an older one"
    assert [path.name for path in (tmp_path / "dagster" / "tiny").iterdir()] == ["dagster.yaml"]


def temperature_job() -> dg.JobDefinition:
    """A job that Dagster can make again by its name; re-execution needs that."""
    return build_defs().resolve_job_def(BUILD_MONTH)


def test_a_failed_month_does_not_spoil_its_neighbours(
    instance: dg.DagsterInstance, a_copy: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One month of five is damaged. The others are written and recorded; the step fails and names the damaged one.
    After the input is repaired, re-execution from the failure writes that month.
    """
    monkeypatch.setenv("AQUAMIND_PROFILE", "tiny")
    monkeypatch.setenv("AQUAMIND_LAKE", str(a_copy.lake_path))
    workspace = Workspace(a_copy)
    lake = workspace.lake
    before = {month: lake.digest(TEMPERATURE, month) for month in lake.partitions(TEMPERATURE)}
    for month in before:
        lake.remove(TEMPERATURE, month)
    lake.damage(READINGS, "2026-04", keep=0.5)
    with pytest.raises(LakeError, match=r"1 of 5 months failed \(2026-04\), the others are written: .*is damaged"):
        run_job(workspace, BUILD_MONTH, all_months(a_copy), assets=[TEMPERATURE])
    good = set(before) - {"2026-04"}
    assert set(lake.partitions(TEMPERATURE)) == good
    key = dg.AssetKey(TEMPERATURE)
    assert instance.get_materialized_partitions(key) == good
    month = instance.get_latest_materialization_event(key)
    assert month is not None
    assert month.asset_materialization is not None
    assert month.asset_materialization.metadata["sha256"].value == before[month.asset_materialization.partition or ""]
    (failed,) = instance.get_runs()
    assert not instance.all_logs(failed.run_id, of_type=RETRY), "a retry cannot repair a damaged file"
    partitions = build_defs(a_copy).resolve_assets_def(TEMPERATURE).partitions_def
    statuses = instance.get_status_by_partition(key, list(before), partitions) or {}
    assert {month for month, status in statuses.items() if status and status.value == "FAILED"} == {"2026-04"}

    assert run_job(workspace, BUILD_MONTH, ["2026-04"], assets=[READINGS]).success
    again = dg.execute_job(
        dg.reconstructable(temperature_job),
        instance,
        reexecution_options=dg.ReexecutionOptions.from_failure(failed.run_id, instance),
        tags=dict(failed.tags),
    )
    assert again.success
    assert {month: lake.digest(TEMPERATURE, month) for month in lake.partitions(TEMPERATURE)} == before
    assert instance.get_materialized_partitions(key) == set(before)


class Beside:
    """Work in a thread beside the block. It must succeed, unless the block itself fails."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:  # else the work may wait for what the block did not do
            self.thread.join()
            assert self.error is None


def test_a_step_waits_for_a_locked_lake(
    instance: dg.DagsterInstance,
    a_copy: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A step retries until another build has ended, and says so. After the last retry it fails with the reason."""
    monkeypatch.setattr(retries, "WAIT_SECONDS", 1)
    held = threading.Event()

    def another_build() -> None:
        with Lake(a_copy.lake_path).exclusive():
            held.set()
            wait_for(lambda: [run for run in instance.get_runs() if instance.all_logs(run.run_id, of_type=RETRY)])

    with Beside(another_build):
        held.wait()
        done = run_job(Workspace(a_copy), BUILD_MONTH, ["2026-03"], assets=[SAMPLES])
    assert done.success
    assert re.search(r"WARNING .*trying again in 1 s, 4 more times: .* is building the lake", caplog.text)

    monkeypatch.setattr(retries, "MAX_RETRIES", 1)
    with Lake(a_copy.lake_path).exclusive(), pytest.raises(LakeBusyError, match="is building the lake"):
        run_job(Workspace(a_copy), BUILD_MONTH, ["2026-03"], assets=[SAMPLES])


def test_errors_of_the_database_are_transient_or_lasting(database: SecretStr, server: SecretStr) -> None:
    good = database.get_secret_value()
    user, password = good.split("//")[1].split("@")[0].split(":")
    for wrong in (good.replace(password, "wrong"), good + "_missing", good.replace(user, "nobody")):
        with pytest.raises(DatabaseError) as refused, connect(SecretStr(wrong)):
            pass
        assert not isinstance(refused.value, TransientError), wrong
    with pytest.raises(DatabaseAwayError), connect(SecretStr("postgresql://a:b@127.0.0.1:1/x")):
        pass

    def cut_off() -> None:
        with connect(database) as cut, psycopg.connect(server.get_secret_value()) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (cut.info.backend_pid,))
            cut.execute("SELECT 1")

    with pytest.raises(DatabaseAwayError):
        cut_off()
    with pytest.raises(DatabaseError) as broken, connect(database) as connection:
        connection.execute("SELECT 1 / 0")
    assert not isinstance(broken.value, TransientError)
    with connect(database) as one, connect(database) as two:
        journal.lock(one, database)
        with pytest.raises(DatabaseAwayError, match="loaded by another process"):
            journal.lock(two, database)


HOLDING = """
import sys
from pydantic import SecretStr
from aquamind_pipeline.postgres import journal
from aquamind_pipeline.postgres.connection import connect
url = SecretStr(sys.argv[1])
with connect(url) as connection:
    journal.lock(connection, url)
    print("locked", flush=True)
    connection.execute("SELECT pg_sleep(3600)")
"""


def test_a_killed_load_leaves_no_lock_on_the_server(database: SecretStr) -> None:
    """The server may be in the middle of a long statement, an index perhaps. It ends the statement and the lock."""
    command = [sys.executable, "-c", HOLDING, database.get_secret_value()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with psycopg.connect(database.get_secret_value(), autocommit=True) as other:
            asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            wait_for(lambda: other.execute(asleep).fetchone() is not None, process)
        process.kill()

    def unlocked() -> bool:
        try:
            with connect(database) as connection:
                journal.lock(connection, database)
        except DatabaseAwayError:
            return False
        return True

    wait_for(unlocked)


def _build_and_wait(home: Path, at_work: Connection) -> None:
    """Build a farm; at the first progress say so and wait to be killed."""

    class Waiting:
        @contextlib.contextmanager
        def track(self, label: str, total: int) -> Iterator[Callable[[], None]]:
            at_work.send(f"{label} of {total}")
            signal.pause()
            yield lambda: None

    settings = load_settings(profile="tiny", home=home)
    run_job(Workspace(settings, Waiting()), BUILD_LAKE, all_months(settings))


def test_a_killed_run_is_noticed(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """SIGKILL leaves a run that looks alive. Run monitoring is told, and the next start marks it as failed, whatever
    the host was called: the kernel has released the run's lock. Without locks (records in PostgreSQL), a run of another
    machine is left alone, and a later process with the same id is not the run's.
    """
    spawn = multiprocessing.get_context("spawn")
    at_work, ends_with_it = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_build_and_wait, args=(tmp_path / SIGNS, ends_with_it))
    process.start()
    ends_with_it.close()

    def found() -> dg.DagsterRun:
        (run,) = instance.get_runs()
        return run

    def health() -> str:
        return str(instance.run_launcher.check_run_worker_health(found()).status.name)

    def tagged(process: str, started: float | None = None) -> None:
        tags = {PROCESS_TAG: process, START_TAG: "" if started is None else str(started)}
        instance.add_run_tags(found().run_id, tags)

    at_work.recv()  # fails when the process ends before
    assert health() == "RUNNING"
    assert process.pid is not None
    mine = f"{socket.gethostname()}:{process.pid}"
    assert found().tags[PROCESS_TAG] == mine
    tagged(f"earlier-name:{process.pid}")
    assert health() == "RUNNING"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays a zombie until it is joined
    assert health() == "FAILED"
    locks = instance.run_storage.locks
    locks.forget(found().run_id)
    assert health() == "RUNNING", "nobody here can know"
    close_dead_runs(instance)
    assert found().status == dg.DagsterRunStatus.STARTED
    tagged(mine)
    assert health() == "FAILED"
    process.join()
    assert health() == "FAILED"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as later:
        started = psutil.Process(later.pid).create_time()
        for at, expected in ((started, "RUNNING"), (started - 10, "FAILED")):
            tagged(f"{socket.gethostname()}:{later.pid}", at)
            assert health() == expected
        later.communicate(b"\n")
    tagged("")  # as a run that says nothing of its process
    close_dead_runs(instance)
    assert found().status == dg.DagsterRunStatus.FAILURE
    assert found().tags["dagster/will_retry"] == "false"  # by Dagster's daemon: whoever started a command does so again


def a_living_run(instance: dg.DagsterInstance, **changes: Any) -> dg.DagsterRun:
    """A started run of this process, which holds the place in the pool of loads, or waits for it."""
    run = dg.DagsterRun(LOAD_DATABASE, str(uuid4()), status=dg.DagsterRunStatus.STARTED, tags=process_tags())
    instance.add_run(run._replace(**changes))
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("postgres")
    if storage.has_unassigned_slots("postgres"):
        storage.claim_concurrency_slot("postgres", run.run_id, "postgres_master")
    else:
        storage.add_pending_step("postgres", run.run_id, "postgres_master")
    return run


def test_only_living_runs_keep_their_places(instance: dg.DagsterInstance) -> None:
    """Of the runs that hold or wait for the pool: one that was deleted, one that had ended, one whose process is gone
    while it was being cancelled, and one at work."""
    deleted = a_living_run(instance)
    instance.run_storage.delete_run(deleted.run_id)  # as an older version did, without its places
    gone = {PROCESS_TAG: f"{socket.gethostname()}:1", START_TAG: "1.0"}
    ended = a_living_run(instance, status=dg.DagsterRunStatus.FAILURE, tags={})
    cancelled = a_living_run(instance, status=dg.DagsterRunStatus.CANCELING, tags=gone)
    instance.add_run_tags(cancelled.run_id, gone)
    living = a_living_run(instance)
    instance.run_storage.locks.release(deleted.run_id)
    holder, *waiting = runs_in_pool(instance, "postgres")
    assert (holder, set(waiting)) == (deleted.run_id, {ended.run_id, cancelled.run_id, living.run_id})
    close_dead_runs(instance)
    assert runs_in_pool(instance, "postgres") == [living.run_id]
    status = instance.get_run_by_id(cancelled.run_id)
    assert status is not None
    assert status.status == dg.DagsterRunStatus.CANCELED
    assert instance.event_log_storage.claim_concurrency_slot("postgres", living.run_id, "postgres_master").is_claimed


@pytest.mark.parametrize(
    ("held", "number"), [("pool", signal.SIGINT), ("pool", signal.SIGTERM), ("database", signal.SIGINT)]
)
def test_a_wait_costs_nothing_and_ends_when_told(
    instance: dg.DagsterInstance, a_copy: Settings, database: SecretStr, held: str, number: signal.Signals
) -> None:
    """A load waits for a run that has its place, or for another process that loads the same database."""
    with contextlib.ExitStack() as stack:
        if held == "pool":
            a_living_run(instance)
        else:
            stack.enter_context(journal.locked(database))
        process = subprocess.Popen(
            [AQUAMIND, "load"],
            env=os.environ | a_copy.environment() | {"AQUAMIND_DATABASE_URL": database.get_secret_value()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting: run " if held == "pool" else "warning: trying again in ")
        watched = psutil.Process(process.pid)
        before, began = sum(watched.cpu_times()[:2]), time.monotonic()
        time.sleep(1)
        assert sum(watched.cpu_times()[:2]) - before < (time.monotonic() - began) / 2, "it would use a whole core"
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "Interrupted. Finished files are kept; run again to continue."
    (run,) = instance.get_runs(limit=1)
    assert not instance.all_logs(run.run_id, of_type=RETRY), "it was heeded after the wait only"


def test_a_run_of_another_machine_is_waited_for_until_somebody_ends_it(
    instance: dg.DagsterInstance, a_copy: Settings, database: SecretStr, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with records in PostgreSQL, where no lock tells whether a process of another machine lives."""
    holder = a_living_run(instance)
    instance.run_storage.locks.release(holder.run_id)
    instance.add_run_tags(holder.run_id, {PROCESS_TAG: "elsewhere:1"})
    said: list[str] = []

    def end_it_as_the_line_says() -> None:
        end = f"process elsewhere:1) of another machine (if it is gone, `dagster run delete --force {holder.run_id}`"
        wait_for(lambda: said.append(capsys.readouterr().err) or end in "".join(said))
        instance.delete_run(holder.run_id)  # what that command does

    here = a_copy.model_copy(update={"database_url": database})
    with Beside(end_it_as_the_line_says):
        assert run_job(Workspace(here), LOAD_DATABASE, all_months(a_copy)).success


def test_two_farms_have_two_histories(a_copy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a folder of its own. In one folder, the second farm is refused, by commands and by Dagster."""
    other = load_settings(profile="tiny", seed=7, home=a_copy.home, lake=a_copy.lake_path)
    assert dagster_home(a_copy) == tmp_path / "dagster" / "tiny"
    assert dagster_home(other) == tmp_path / "dagster" / "tiny-seed-7"
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(shared))
    assert run_job(Workspace(a_copy), BUILD_MONTH, ["2026-03"], assets=[SAMPLES]).success
    with pytest.raises(ConfigError, match="belong to farm tiny, not to tiny-seed-7: give each farm"):
        run_job(Workspace(other), BUILD_MONTH, ["2026-03"], assets=[SAMPLES])
    with dg.DagsterInstance.get() as instance:
        job = build_defs(other).resolve_job_def(BUILD_MONTH)
        done = job.execute_in_process(instance=instance, raise_on_error=False, tags=range_tags(["2026-03"]))
        assert not done.success
        assert "belong to farm tiny" in str([event.event_specific_data for event in done.all_events])


def test_a_run_is_followed_while_it_writes(instance: dg.DagsterInstance) -> None:
    """A page shows a run event by event, although the run keeps its records open."""
    run, seen, others = dg.DagsterRun("build_lake", "a-run"), SimpleQueue[str](), SimpleQueue[str]()
    instance.report_engine_event("event 0", run)

    def follow(entry: dg.EventLogEntry, _cursor: str) -> None:
        seen.put(entry.message)

    with dg.DagsterInstance.get() as page:
        page.watch_event_logs(run.run_id, None, follow)
        for number in (1, 2, 3):
            assert seen.get() == f"event {number - 1}"
            instance.report_engine_event(f"event {number}", run)
        assert seen.get() == "event 3"
        page.end_watch_event_logs(run.run_id, follow)
        page.watch_event_logs(run.run_id, None, lambda entry, _: others.put(entry.message))
        instance.report_engine_event("event 4", run)
        assert [others.get() for _ in range(5)] == [f"event {number}" for number in range(5)]
    assert seen.empty(), "a page that was closed is told nothing more"


def test_a_watch_ends_itself_while_events_come(instance: dg.DagsterInstance) -> None:
    """Dagster ends a watch from its callback when the run has ended."""
    run, seen = dg.DagsterRun("build_lake", "a-run"), []
    instance.report_engine_event("event 0", run)

    def follow(entry: dg.EventLogEntry, _cursor: str) -> dg.DagsterRunStatus:
        if not seen:
            instance.report_engine_event("while it looks", run)  # which the observer tells of, too
        seen.append(entry.message)
        return dg.DagsterRunStatus.SUCCESS

    with dg.DagsterInstance.get() as page:
        ended = threading.Thread(target=page.watch_event_logs, args=(run.run_id, None, follow), daemon=True)
        ended.start()
        ended.join()
        others = SimpleQueue[str]()
        instance.report_engine_event("after", run)
        page.watch_event_logs(run.run_id, None, lambda entry, _: others.put(entry.message))
        assert [others.get() for _ in range(3)] == ["event 0", "while it looks", "after"]
    assert "after" not in seen


def test_old_runs_are_deleted_unless_they_wrote_the_latest_state(
    instance: dg.DagsterInstance, a_copy: Settings
) -> None:
    """When a month is written again, its first run is no longer needed. That run is deleted and no other."""
    workspace = Workspace(a_copy)
    for month in ("2026-03", "2026-04", "2026-03"):
        assert run_job(workspace, BUILD_MONTH, [month], assets=[SAMPLES]).success
    *kept, replaced = (run.run_id for run in instance.get_runs())
    job = build_defs(a_copy).resolve_job_def("tidy_history")
    assert job.execute_in_process(instance=instance).success
    assert replaced in {run.run_id for run in instance.get_runs()}, "90 days have not passed"
    assert delete_old_runs(instance, datetime.now(UTC) + timedelta(seconds=1))[-1:] == [replaced]
    assert {run.run_id for run in instance.get_runs()} == set(kept)
    assert instance.get_materialized_partitions(dg.AssetKey(SAMPLES)) == {"2026-03", "2026-04"}
    assert not instance.all_logs(replaced)


def test_dagsters_records_in_postgresql(
    a_copy: Settings, database: SecretStr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One setting, and the password stays in it."""
    url = database.get_secret_value()
    password = url.split(":")[2].split("@")[0]
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    home = dagster_home(a_copy)
    assert run_job(Workspace(a_copy), BUILD_MONTH, ["2026-03", "2026-04"], assets=[SAMPLES]).success
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        assert instance.get_materialized_partitions(dg.AssetKey(SAMPLES)) == {"2026-03", "2026-04"}
        assert password not in instance.info_str()
        assert all(password not in str(entry) for entry in instance.all_logs(run.run_id))
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT run_id, status FROM runs").fetchall() == [(run.run_id, "SUCCESS")]
    assert password not in (home / "dagster.yaml").read_text()
    assert not list(home.glob("**/*.db"))
    other = load_settings(profile="tiny", seed=7, home=a_copy.home, lake=a_copy.lake_path)
    with pytest.raises(ConfigError, match=f"and its own database if {DATABASE_VARIABLE} is set"):
        run_job(Workspace(other), BUILD_MONTH, ["2026-03"], assets=[SAMPLES])


def test_definitions_load_without_slow_imports(tmp_path: Path) -> None:
    """Packages that take seconds to import wait until a step needs them. `dagster definitions validate` works, without
    DAGSTER_HOME, and whatever others call `assets` and `checks`, even if this process has imported those.
    """
    for name in ("assets", "checks"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "sitecustomize.py").write_text("import assets, checks")
    environment = os.environ | {"AQUAMIND_PROFILE": "tiny", "PYTHONPATH": str(tmp_path)}
    code = "import sys; from aquamind_pipeline.definitions import build_defs; build_defs(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    slow = {"great_expectations", "pandas", "matplotlib", "duckdb", "dagster_postgres", "dagster_webserver"}
    assert not slow & set(done.stdout.split())
    validate = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate"]
    done = subprocess.run(validate, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_an_unreachable_database_of_records_ends_in_one_line(tmp_path: Path) -> None:
    wrong = {DATABASE_VARIABLE: "postgresql://a:hunter2@127.0.0.1:1/records", "AQUAMIND_HOME": str(tmp_path)}
    done = subprocess.run(
        [AQUAMIND, "build", "--no-database"],
        env=os.environ | {"AQUAMIND_PROFILE": "tiny"} | wrong,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Dagster's own database 'records' on 127.0.0.1:1 cannot be used: ")
    assert line.endswith("check AQUAMIND_DAGSTER_DATABASE_URL and the server")
    assert "hunter2" not in line


def test_today_is_the_day_of_the_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Not the day on which the code location was loaded: it may be open for weeks."""
    settings = load_settings(profile="tiny", home=tmp_path, today=date(2026, 6, 20))
    job = build_defs(settings).resolve_job_def(BUILD_LAKE)
    result = job.execute_in_process(
        instance=instance, run_config=options(as_of="today"), asset_selection=[dg.AssetKey(name) for name in PLAN]
    )
    record = instance.get_run_record_by_id(result.run_id)
    manifest = Workspace(settings).lake.manifest()
    assert record is not None
    assert manifest is not None
    assert manifest.as_of == record.create_timestamp.astimezone(UTC).date() > date(2026, 6, 20)
