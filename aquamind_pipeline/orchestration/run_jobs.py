"""Runs the pipeline's jobs from the command line, with the same assets and checks as in Dagster's user interface."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from aquamind_pipeline import definitions
from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.orchestration.partitions import range_tags
from aquamind_pipeline.orchestration.records import dagster_home, require_own_records
from aquamind_pipeline.orchestration.run_config import OWNER_TAG
from aquamind_pipeline.orchestration.run_health import close_dead_runs, process_tags
from aquamind_pipeline.orchestration.step_errors import CHECK_FAILED, chain, is_interruption, own_error
from aquamind_pipeline.pipeline.workspace import Workspace

_NEVER_RETRY = {"dagster/max_retries": "0"}
"""Tag of our runs: Dagster's daemon cannot restart a command, so it must not promise to."""


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    success: bool
    seconds: float
    checks: int
    failed_checks: list[str]
    """Failed checks that block, as `asset check: reason`."""
    warnings: list[str]
    """Failed checks that only warn, in the same form."""
    step_seconds: dict[str, float]


def run_job(
    workspace: Workspace,
    name: str,
    months: Sequence[str],
    *,
    run_config: Mapping[str, Any] | None = None,
    assets: Sequence[str] | None = None,
) -> Outcome:
    """Run a job over successive months in one run, recorded in Dagster's history.

    Other executors than `in_process` run each step in another process, with its own workspace. These workspaces share
    the lake's lock, because they hold it under this workspace's owner name.

    Args:
        workspace: The farm.
        name: Name of the job.
        months: Partition keys, as `2026-01`, without gaps.
        run_config: Dagster's run config; empty for the workspace's own settings.
        assets: Names of the assets to make; all assets of the job when None.

    Raises:
        AquaMindError: when it stopped a step; of several, the first.
        KeyboardInterrupt: when Ctrl-C stopped the run.
        RuntimeError: when another error stopped a step. Its text is Dagster's report of that error.
    """
    started = time.perf_counter()
    dagster_home(workspace.settings)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        require_own_records(instance, workspace.settings.farm_name)
        close_dead_runs(instance)
        holder = process_tags() | {OWNER_TAG: workspace.lake.owner}
        arguments: dict[str, Any] = {
            "instance": instance,
            "run_config": dict(run_config or {}) | quiet,
            "tags": range_tags(list(months)) | _NEVER_RETRY | holder,
            "raise_on_error": False,
            "asset_selection": None if assets is None else [dg.AssetKey(name) for name in assets],
        }
        result: dg.ExecuteInProcessResult | dg.JobExecutionResult
        if workspace.settings.executor == "in_process":
            defs = build_defs(workspace.settings, resource_overrides={"workspace": workspace})
            result = defs.resolve_job_def(name).execute_in_process(**arguments)
        else:
            job = dg.build_reconstructable_job(
                definitions.__name__,
                "job",
                reconstructable_kwargs={"name": name, "settings": workspace.settings.texts()},
            )
            with _environment(workspace.settings.environment()):
                result = dg.execute_job(job, **arguments)
        checks = result.get_asset_check_evaluations()
    _raise_first_error(result.all_events)
    return Outcome(
        success=result.success,
        seconds=time.perf_counter() - started,
        checks=len(checks),
        failed_checks=_failed(checks, dg.AssetCheckSeverity.ERROR),
        warnings=_failed(checks, dg.AssetCheckSeverity.WARN),
        step_seconds={
            e.step_key or "": e.step_success_data.duration_ms / 1000 for e in result.all_events if e.is_step_success
        },
    )


def _raise_first_error(events: Sequence[dg.DagsterEvent]) -> None:
    """Raise the error that failed a step, else the error that failed the run. Failed checks are no errors here.

    Dagster wraps errors of steps in errors of its own, and stores only names and messages of their classes.
    """
    failures = [event.step_failure_data.error for event in events if event.is_step_failure]
    failures = failures or [event.job_failure_data.error for event in events if event.is_job_failure]
    for failure in failures:
        if failure is not None and is_interruption(failure):
            raise KeyboardInterrupt
        for error in chain(failure):
            if (own := own_error(error)) is not None:
                raise own
            if error.cause is None and error.cls_name != CHECK_FAILED:
                raise RuntimeError(error.to_string())


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that the block starts."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _failed(checks: Sequence[dg.AssetCheckEvaluation], severity: dg.AssetCheckSeverity) -> list[str]:
    return [
        f"{check.asset_key.to_user_string()} {check.check_name}: {check.description}"
        for check in checks
        if not check.passed and check.severity == severity
    ]


__all__ = ["Outcome", "run_job"]
