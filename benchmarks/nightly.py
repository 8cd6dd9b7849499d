"""What a night costs: a farm built up to a day before, then the run that the schedule asks for, against that build.

Each is a process of its own, as Dagster launches runs, beside a server that runs already. Seconds of the processor
include the server's, since half of a load is its work. Target: a night takes at most 3 % of the whole build.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
from pydantic import SecretStr

from aquamind_pipeline.definitions import BUILD_FARM, NIGHTLY, build_defs
from aquamind_pipeline.orchestration.garbage_collection import collect_rarely
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.orchestration.run_jobs import run_job
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.postgres.connection import connect
from aquamind_pipeline.settings import load_settings
from benchmarks.load import aquamind_database
from benchmarks.measuring import Row, alone, farm, months_of, seconds

SHOWN = 10
"""Steps of the night that are shown, the longest first."""
_MIDDLE = 15
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(profile: str = "saturation-170") -> list[Row]:
    """The build up to a day before the middle of the profile's last month, the night of the middle, with its steps, and
    that of the month's end.
    """
    with farm(profile) as workspace, workspace.database() as url:
        return _nights(workspace, url)


def measure_aquamind(profile: str = "saturation-170") -> list[Row]:
    """The same into tables that AquaMind's migrations made."""
    with farm(profile) as workspace, workspace.database() as url:
        return _nights(workspace, aquamind_database(url))


def _nights(workspace: Workspace, url: SecretStr) -> list[Row]:
    settings, one = workspace.settings, timedelta(days=1)
    end = settings.farm.as_of
    middle = end.replace(day=_MIDDLE)

    def measured(*asked: str) -> tuple[dict[str, float], dict[str, float]]:
        return _measured(url, "--home", str(settings.home), "--profile", settings.profile, *asked)

    build, _ = measured("--build", str(middle - one))
    _tidied(url)
    start, _ = measured()
    night, steps = measured("--night", str(middle))
    measured("--night", str(end - one))
    _tidied(url)
    last, _ = measured("--night", str(end))
    works = {
        "the whole build": build,
        "a night in the middle of a month": night,
        f"the night of its {end.day}th": last,
        "starting a run's process": start,
    }
    rows: list[Row] = [
        {"work": work, **taken, "CPU of the build": taken["CPU seconds"] / build["CPU seconds"]}
        for work, taken in works.items()
    ]
    slowest = sorted(steps.items(), key=lambda one: -one[1])[:SHOWN]
    rows += [{"work": f"a night: {step}", "seconds": taken} for step, taken in slowest]
    return [*rows, {"work": "a night: beside its steps", "seconds": night["seconds"] - sum(steps.values())}]


def _measured(url: SecretStr, *arguments: str) -> tuple[dict[str, float], dict[str, float]]:
    """What a process took, with the server's part, and how long each of its run's steps."""
    steps: dict[str, float] = {}
    with connect(url) as connection:
        server = _parent(connection.info.backend_pid)
    own, theirs = _children_cpu(), _cpu(server)
    taken = seconds(lambda: steps.update(alone(__name__, *arguments, AQUAMIND_DATABASE_URL=url.get_secret_value())))
    own, theirs = _children_cpu() - own, _cpu(server) - theirs
    return {"seconds": taken, "CPU seconds": own + theirs, "the server's": theirs}, steps


def _tidied(url: SecretStr) -> None:
    """Let the server do now what it would do some minutes after a build, when a night might be measured."""
    with connect(url) as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")


def _children_cpu() -> float:
    """Of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu(server: int) -> float:
    """Of a server, and of its processes: those that have ended and those that have not."""
    stats = [_stat(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()]
    own = [stat for stat in stats if stat and server in (stat[0], stat[1])]
    return sum(sum(stat[2:]) for stat in own) / _TICKS


def _parent(process: int) -> int:
    return _stat(process)[1]


def _stat(process: int) -> list[int]:
    """Its id, its parent's, and clock ticks it and its ended children took; nothing when it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []
    return [process, int(fields[1]), *map(int, fields[11:15])]


def main() -> None:
    """Build up to a day, or do a day's night, or only start; print seconds by step."""
    options = argparse.ArgumentParser()
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--profile", required=True)
    options.add_argument("--build", type=date.fromisoformat)
    options.add_argument("--night", type=date.fromisoformat)
    given = options.parse_args()
    collect_rarely()
    workspace = Workspace(load_settings(profile=given.profile, home=given.home, as_of=given.build))
    if given.build:
        outcome = run_job(workspace, BUILD_FARM, months_of(workspace))
        assert outcome.success, outcome.failed_checks
        print(json.dumps(outcome.step_seconds))
    elif given.night:
        print(json.dumps(night_of(workspace, given.night)))
    else:
        build_defs(workspace.settings).resolve_job_def(BUILD_FARM)
        print("{}")


def night_of(workspace: Workspace, today: date) -> dict[str, float]:
    """Execute the run that the nightly schedule asks for on an evening; seconds of its steps."""
    dagster_home(workspace.settings)
    defs = build_defs(workspace.settings)
    schedule, evening = defs.resolve_schedule_def(NIGHTLY), datetime.combine(today, datetime.min.time())
    with (
        dg.DagsterInstance.get() as instance,
        dg.build_schedule_context(
            instance=instance, scheduled_execution_time=evening, resources={"workspace": workspace}
        ) as context,
    ):
        (request,) = schedule.evaluate_tick(context).run_requests or []
        job = defs.resolve_job_def(schedule.job_name)
        if request.asset_selection is not None:
            job = job.get_subset(
                asset_selection=set(request.asset_selection), asset_check_selection=set(request.asset_check_keys or ())
            )
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = job.execute_in_process(
            instance=instance, run_config={**request.run_config, **quiet}, tags=request.tags
        )
    return {
        event.step_key or "": event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success
    }


if __name__ == "__main__":
    main()
