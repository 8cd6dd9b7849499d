"""The story of a run on its page: a few lines at INFO."""

from __future__ import annotations

import logging
import re
from collections import Counter

import dagster as dg
import polars as pl

from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.definitions import BUILD_MONTH, build_defs
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings

SAMPLES = "batch_growthsample"
LEDGER = dg.AssetCheckKey(dg.AssetKey(STATES.name), "ledger")


def told(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """What a reader sees who hides everything below INFO, without Dagster's own events."""
    entries = [one for one in instance.all_logs(run_id) if one.level >= logging.INFO and not one.is_dagster_event]
    return [one.user_message for one in entries]


def test_a_run_says_what_it_made_and_what_comes_next(a_copy: Settings) -> None:
    assert run_job(Workspace(a_copy), BUILD_MONTH, ["2026-03", "2026-04"], assets=[SAMPLES]).success
    dagster_home(a_copy)
    rows = sum(Lake(a_copy.lake_path).rows(SAMPLES, month) for month in ("2026-03", "2026-04"))
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs(limit=1)
        first, made, proved, took, following = told(instance, run.run_id)
        stored = Counter(one.dagster_event.event_type for one in instance.all_logs(run.run_id) if one.dagster_event)
    assert first == f"farm {a_copy.farm_name} (seed {a_copy.farm.seed}), months 2026-03 to 2026-04"
    assert made.startswith(f"made: 1 table, {rows:,} rows, ")
    assert re.fullmatch(r"proved: (\d+) of \1 checks passed", proved)
    assert re.fullmatch(r"took: tables [\d.]+ s, checks [\d.]+ s", took)
    number = int(proved.split()[1])
    assert {kind: count for kind, count in stored.items() if count > 1} == {
        dg.DagsterEventType.ASSET_CHECK_EVALUATION: number,
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED: 2,
        dg.DagsterEventType.ASSET_MATERIALIZATION: 2,
        dg.DagsterEventType.STEP_START: 2,
        dg.DagsterEventType.STEP_SUCCESS: 2,
        dg.DagsterEventType.ENGINE_EVENT: 2,
    }, "events that tell a reader nothing"
    assert following == f"next: job load_database loads the lake {a_copy.lake_path} into PostgreSQL"


def test_a_failed_check_is_part_of_the_story(a_copy: Settings) -> None:
    lake = Lake(a_copy.lake_path)
    states = lake.read(STATES.name, "2026-04")
    lake.write(
        STATES.name, states.with_columns((pl.col("population") * 2).cast(states.schema["population"])), "2026-04"
    )
    job = dg.define_asset_job("checks", dg.AssetSelection.checks_for_assets(STATES.name))
    checks = dg.Definitions.merge(build_defs(a_copy), dg.Definitions(jobs=[job])).resolve_job_def("checks")
    dagster_home(a_copy)
    with dg.DagsterInstance.get() as instance:
        planned = instance.create_run_for_job(checks)
        (to_come,) = instance.event_log_storage.get_asset_check_execution_history(LEDGER, limit=1)
        assert (to_come.run_id, to_come.status.name) == (planned.run_id, "PLANNED")  # pages show that it is to come
        instance.delete_run(planned.run_id)
        done = checks.execute_in_process(instance=instance, raise_on_error=False)
        lines = told(instance, done.run_id)
    found = done.get_asset_check_evaluations()
    failed = [one for one in found if not one.passed]
    assert f"proved: {len(found) - len(failed)} of {len(found)} checks passed" in lines
    named = [line for line in lines if line.startswith(("FAILED: ", "warns: "))]
    assert named
    assert all(any(one.check_name in line and (one.description or "") in line for one in failed) for line in named)
    assert lines[-1] == (
        "next: nothing more was loaded. Look at the failed checks, mend their cause, then re-execute from failure"
    )
