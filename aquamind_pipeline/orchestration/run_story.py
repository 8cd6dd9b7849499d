"""Tells on the page of a run, in a few lines, what was made, proved and loaded, how long it took, what comes next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.orchestration.asset_specs import POSTGRES_ASSETS, REPORT
from aquamind_pipeline.orchestration.compat.storage import leave_out_outputs
from aquamind_pipeline.orchestration.partitions import months_of_run
from aquamind_pipeline.orchestration.step_errors import SHORT_ID, is_interruption
from aquamind_pipeline.settings import Settings

_CONTINUES = "dagster/is_resume_retry"
"""Tag of a run that leaves out the steps which succeeded in the run before it."""
_SHOWN_FAILURES = 5
"""How many failed checks the story names."""
_KILOBYTE, _MEGABYTE = 1_000, 1_000_000
_TOLD = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
}
_AFTER_A_STOP = "run it again. Finished files are kept"
_MADE, _PROVED, _LOADED, _REPORTED = "tables", "checks", "load", "report"


@contextmanager
def told(context: dg.InitResourceContext, settings: Settings) -> Iterator[None]:
    """Log the beginning of a run, and at its end its story, on the run's page.

    Steps in processes of their own each make the workspace. They tell nothing, because none of them sees the run's end.
    """
    run, instance = context.run, context.instance
    if run is None or instance is None or context.log is None or settings.executor != "in_process":
        yield
        return
    leave_out_outputs(instance, run.run_id)
    months = months_of_run(run.tags)
    over = ""
    if months:
        over = f", months {months[0]} to {months[-1]}" if len(months) > 1 else f", month {months[0]}"
    before = ""
    if run.parent_run_id:
        verb = "continues" if run.tags.get(_CONTINUES) == "true" else "repeats"
        before = f", {verb} run {run.parent_run_id[:SHORT_ID]}"
    context.log.info(f"farm {settings.farm_name} (seed {settings.farm.seed}){over}{before}")
    try:
        yield
    finally:
        events = [one.dagster_event for one in instance.all_logs(run.run_id, of_type=_TOLD) if one.dagster_event]
        for line in story(events, settings):
            context.log.info(line)


def story(events: Iterable[dg.DagsterEvent], settings: Settings) -> list[str]:
    """The story of a run.

    Args:
        events: Materialisations, results of checks, and ends of steps, in their order.
        settings: Settings of the farm.
    """
    made: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    checks: dict[tuple[str, str], dg.AssetCheckEvaluation] = {}
    kinds: dict[str, str] = {}
    seconds: dict[str, float] = defaultdict(float)
    failed_steps = []
    stopped = False
    for event in events:
        step = event.step_key or ""
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key:
            name = event.asset_key.to_user_string()
            kinds[step] = _LOADED if name in POSTGRES_ASSETS else _REPORTED if name == REPORT else _MADE
            metadata = event.step_materialization_data.materialization.metadata
            made[name].append({label: one.value for label, one in metadata.items()})
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            kinds.setdefault(step, _PROVED)
            found = event.asset_check_evaluation_data
            checks[found.asset_key.to_user_string(), found.check_name] = found
        elif event.is_step_success:
            seconds[kinds.get(step, _MADE)] += event.step_success_data.duration_ms / 1000
        elif (error := event.step_failure_data.error) is not None and is_interruption(error):
            stopped = True
        else:
            failed_steps.append(step)
    tables = {name: facts for name, facts in made.items() if name in REGISTRY}
    loads = [one for name in POSTGRES_ASSETS for one in made.get(name, ())]
    failed = [one for one in checks.values() if not one.passed]
    failed.sort(key=lambda one: one.severity != dg.AssetCheckSeverity.ERROR)  # those that block come first
    lines = []
    if tables:
        rows, size = _sum(tables.values(), "dagster/row_count"), _sum(tables.values(), "bytes")
        lines.append(f"made: {_number(len(tables), 'table')}, {_number(rows, 'row')}, {_size(size)}")
    if checks:
        lines.append(f"proved: {len(checks) - len(failed):,} of {_number(len(checks), 'check')} passed")
        lines += [_failure(one) for one in failed[:_SHOWN_FAILURES]]
        lines += [f"and {len(failed) - _SHOWN_FAILURES:,} more failed checks"] * (len(failed) > _SHOWN_FAILURES)
    if loads:
        rows, sent = _sum([loads], "dagster/row_count"), _sum([loads], "rows_sent")
        lines.append(f"loaded: {_number(rows, 'row')} are in the database, {sent:,} of them sent by this run")
    took = [f"{kind} {seconds[kind]:,.1f} s" for kind in (_MADE, _PROVED, _LOADED, _REPORTED) if kind in seconds]
    if took:
        lines.append(f"took: {', '.join(took)}")
    following = _AFTER_A_STOP if stopped else _next(failed_steps, failed, made, tables, settings)
    lines.append(f"next: {following}")
    return lines


def _next(
    failed_steps: list[str],
    failed: list[dg.AssetCheckEvaluation],
    made: Mapping[str, list[Mapping[str, Any]]],
    tables: Mapping[str, object],
    settings: Settings,
) -> str:
    """What a user does next."""
    blocked = any(one.severity == dg.AssetCheckSeverity.ERROR for one in failed)
    if blocked:
        return "nothing more was loaded. Look at the failed checks, mend their cause, then re-execute from failure"
    if failed_steps:
        return f"mend what the error of step {failed_steps[0]} names, then re-execute from failure"
    if REPORT in made:
        return f"read the report, {made[REPORT][-1]['page']}"
    if tables and not any(name in made for name in POSTGRES_ASSETS):
        return f"job load_database loads the lake {settings.lake_path} into PostgreSQL"
    return "job load_database makes the report" if tables else "nothing, unless a check failed"


def _failure(one: dg.AssetCheckEvaluation) -> str:
    word = "FAILED" if one.severity == dg.AssetCheckSeverity.ERROR else "warns"
    wrong = one.metadata.get("wrong")
    text = one.description or ""
    count = ""
    if isinstance(wrong, dg.IntMetadataValue) and wrong.value and f"{wrong.value:,} " not in text:
        count = f" ({wrong.value:,} wrong)"
    return f"{word}: {one.asset_key.to_user_string()} {one.check_name}: {text}{count}"


def _sum(tables: Iterable[list[Mapping[str, Any]]], label: str) -> int:
    return sum(int(facts.get(label) or 0) for table in tables for facts in table)


def _size(size: int) -> str:
    return f"{size / _MEGABYTE:,.1f} MB" if size >= _MEGABYTE else f"{size / _KILOBYTE:,.1f} kB"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


__all__ = ["story", "told"]
