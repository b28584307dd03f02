"""How a job is started by the clock: in UTC, switched on from the start."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job


def running_schedule(job: Job, cron: str) -> dg.ScheduleDefinition:
    """A schedule of a job by a cron line."""
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_timezone="UTC",
    )
