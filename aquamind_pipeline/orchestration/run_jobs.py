"""Runs the pipeline's jobs from the command line: the same assets and checks that the UI runs, in this process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core import errors as dg_errors

from aquamind_pipeline import definitions, errors
from aquamind_pipeline.definitions import build_defs
from aquamind_pipeline.errors import AquaMindError, ConfigError
from aquamind_pipeline.orchestration.compat.launcher import PROCESS_TAG, close_dead_runs, this_process
from aquamind_pipeline.orchestration.partitions import range_tags
from aquamind_pipeline.orchestration.run_config import OWNER_TAG
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.settings import Settings

_OURS = {"dagster/max_retries": "0"}
"""Dagster's daemon cannot start a command again, and should not say that it will."""
_INTERRUPTED = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
_CHECK_FAILED = dg_errors.DagsterAssetCheckFailedError.__name__
"""What ends a step of checks that block; which they are is said by the checks themselves."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    success: bool
    seconds: float
    checks: int
    failed_checks: list[str]
    """Checks that block; those that only warn are in `warnings`."""
    warnings: list[str]
    step_seconds: dict[str, float]


def dagster_home(settings: Settings) -> Path:
    """Dagster's folder, with a copy of our dagster.yaml in it, and DAGSTER_HOME pointing there.

    A DAGSTER_HOME that the user has set is respected.

    Raises:
        ConfigError: when the folder cannot be written, or the user's is none that Dagster can use.
    """
    if given := os.environ.get("DAGSTER_HOME"):
        home = Path(given)
        if not home.is_absolute() or not os.path.isdir(home):  # Path.is_dir raises where it may not look
            raise ConfigError(
                f"DAGSTER_HOME={given} is not the absolute path of a folder that is there: make the folder, or unset "
                "DAGSTER_HOME for one of our own"
            )
        return home
    home = settings.home.absolute() / "dagster"
    ours = project_file("dagster.yaml")
    copy, content = home / ours.name, ours.read_bytes()
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.read_bytes() != content:
            temporary = copy.with_name(f".{copy.name}.{os.getpid()}")
            temporary.write_bytes(content)
            temporary.replace(copy)  # a user interface that runs reads the old file or the new one
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written ({error.strerror}): set AQUAMIND_HOME to a folder that can"
        ) from None
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def project_file(name: str) -> Path:
    """A file at the top of the project.

    Raises:
        ConfigError: when this is not an installation of the project's folder (`make install`).
    """
    path = Path(__file__).parents[2] / name
    if not path.is_file():
        raise ConfigError(f"{name} is missing beside the package: install the project's folder with `make install`")
    return path


def run_job(
    workspace: Workspace,
    name: str,
    months: Sequence[str],
    *,
    run_config: Mapping[str, Any] | None = None,
    assets: Sequence[str] | None = None,
) -> Outcome:
    """Run a job, or some of its assets, over successive months at once, recorded in Dagster's history like any run.

    With an executor of processes or machines, each step makes its own workspace, and they share the lake in the name
    of this one.

    Raises:
        AquaMindError: the first one that stopped a step.
        KeyboardInterrupt: when Ctrl-C stopped it.
    """
    started = time.perf_counter()
    dagster_home(workspace.settings)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        close_dead_runs(instance)
        asked: dict[str, Any] = {
            "instance": instance,
            "run_config": dict(run_config or {}) | quiet,
            "tags": range_tags(list(months)) | _OURS | {PROCESS_TAG: this_process(), OWNER_TAG: workspace.lake.owner},
            "raise_on_error": False,
            "asset_selection": None if assets is None else [dg.AssetKey(name) for name in assets],
        }
        result: dg.ExecuteInProcessResult | dg.JobExecutionResult
        if workspace.settings.executor == "in_process":
            defs = build_defs(workspace.settings, resource_overrides={"workspace": workspace})
            result = defs.resolve_job_def(name).execute_in_process(**asked)
        else:
            known = {"name": name, "settings": workspace.settings.texts()}
            job = dg.build_reconstructable_job(definitions.__name__, "job", reconstructable_kwargs=known)
            with _environment(workspace.settings.environment()):
                result = dg.execute_job(job, **asked)
        failures = [e.step_failure_data.error for e in result.all_events if e.is_step_failure]
        failures += [e.job_failure_data.error for e in result.all_events if e.is_job_failure and not failures]
        checks = result.get_asset_check_evaluations()
    for failure in failures:
        while failure is not None:
            if failure.cls_name in _INTERRUPTED:
                raise KeyboardInterrupt
            kind = getattr(errors, failure.cls_name or "", None)
            if isinstance(kind, type) and issubclass(kind, AquaMindError):
                raise kind(failure.message.removeprefix(f"aquamind_pipeline.errors.{kind.__name__}: ").strip())
            if failure.cause is None and failure.cls_name != _CHECK_FAILED:
                raise RuntimeError(failure.to_string())
            failure = failure.cause
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


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables for the processes that the block starts."""
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


__all__ = ["Outcome", "dagster_home", "project_file", "run_job"]
