"""How long Dagster remembers: runs of long ago go, with their event logs, unless they tell how an asset stands today.

Dagster itself only forgets ticks of schedules and sensors (dagster.yaml).
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

OVER = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class Keep(dg.Config):
    """What stays."""

    days: int = Field(90, description="Runs that ended within so many days stay.", ge=0)


def forget_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Delete the runs that ended before this and whose every materialisation has been replaced since; their ids."""
    over = instance.get_run_records(dg.RunsFilter(statuses=OVER, updated_before=before))
    ids = [record.dagster_run.run_id for record in over]
    needed = _telling(instance) if ids else set()
    forgotten = [run for run in ids if run not in needed]
    for run in forgotten:
        instance.delete_run(run)
    return forgotten


def _telling(instance: dg.DagsterInstance) -> set[str]:
    """Runs that wrote the latest materialisation of an asset or of one of its months."""
    runs = set()
    for key in instance.all_asset_keys():
        months = instance.get_materialized_partitions(key)
        wanted = [dg.AssetRecordsFilter(key, asset_partitions=[month]) for month in months]
        for one in wanted or [dg.AssetRecordsFilter(key)]:
            runs |= {record.run_id for record in instance.fetch_materializations(one, limit=1).records}
    return runs


@dg.op(description="Deletes runs, with their event logs, that tell nothing of today's assets.")
def forget_old_runs(context: dg.OpExecutionContext, config: Keep) -> None:
    """The only step of the job."""
    forgotten = forget_runs(context.instance, datetime.now(UTC) - timedelta(days=config.days))
    context.log.info(f"{len(forgotten)} runs forgotten")


@dg.job(name="tidy_history", description="Forgets runs of long ago. Files and databases of the farm are not touched.")
def tidy_history() -> None:
    """Run weekly, where the nights are switched on."""
    forget_old_runs()


def weekly(*, running: bool) -> dg.ScheduleDefinition:
    """The schedule of `tidy_history`."""
    return dg.ScheduleDefinition(
        name="weekly_tidying",
        job=tidy_history,
        cron_schedule="0 12 * * 0",
        execution_timezone="UTC",
        description="Forgets runs older than 90 days that tell nothing of today's assets.",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )


__all__ = ["forget_runs", "tidy_history", "weekly"]
