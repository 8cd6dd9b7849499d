"""Deletes old runs of Dagster with their event logs, except runs that wrote the current state of an asset.

Dagster itself deletes only old ticks of schedules and sensors; dagster.yaml says when.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class Retention(dg.Config):
    """How long runs are kept."""

    days: int = Field(90, description="Keep the runs that ended within this many days.", ge=0)


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> list[str]:
    """Delete the runs that ended before a time, with their event logs.

    A run is kept if one of its materialisations is still the latest of its asset or month.

    Returns:
        The ids of the deleted runs.
    """
    finished = instance.get_run_records(dg.RunsFilter(statuses=FINISHED, updated_before=before))
    ids = [record.dagster_run.run_id for record in finished]
    needed = _latest_runs(instance) if ids else set()
    deleted = [run for run in ids if run not in needed]
    for run in deleted:
        instance.delete_run(run)
    return deleted


def _latest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Runs that wrote the latest materialisation of an asset or of one of its months."""
    runs = set()
    for key in instance.all_asset_keys():
        months = instance.get_materialized_partitions(key)
        filters = [dg.AssetRecordsFilter(key, asset_partitions=[month]) for month in months]
        for records in filters or [dg.AssetRecordsFilter(key)]:
            runs |= {record.run_id for record in instance.fetch_materializations(records, limit=1).records}
    return runs


@dg.op(description="Deletes old runs with their event logs, except runs that wrote the current state of an asset.")
def delete_runs(context: dg.OpExecutionContext, config: Retention) -> None:
    """The only step of the job."""
    deleted = delete_old_runs(context.instance, datetime.now(UTC) - timedelta(days=config.days))
    context.log.info(f"{len(deleted)} runs deleted")


@dg.job(name="tidy_history", description="Deletes old runs of Dagster. The farm's files and database are not touched.")
def tidy_history() -> None:
    """Runs weekly when the nightly schedule is on."""
    delete_runs()


def weekly(*, running: bool) -> dg.ScheduleDefinition:
    """The schedule of `tidy_history`, switched on from the start when `running`."""
    return dg.ScheduleDefinition(
        name="weekly_tidying",
        job=tidy_history,
        cron_schedule="0 12 * * 0",
        execution_timezone="UTC",
        description="Deletes runs older than 90 days, except runs that wrote the current state of an asset.",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
    )


__all__ = ["delete_old_runs", "tidy_history", "weekly"]
