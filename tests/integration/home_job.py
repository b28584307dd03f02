"""A job of one step under the executor of the platform, in the home that the environment names."""

import dagster as dg

from pipelines.home.executor import one_at_a_time
from pipelines.home.lock import holder_of
from pipelines.settings import Settings


def small_job() -> dg.JobDefinition:
    """A job whose step writes down who holds the home's lock."""
    settings = Settings()

    @dg.op
    def look() -> None:
        (settings.home / "seen").write_text(holder_of(settings.home) or "nobody")

    @dg.job(executor_def=one_at_a_time(dg.in_process_executor, settings))
    def small() -> None:
        look()

    return small


def small_job_elsewhere() -> dg.JobDefinition:
    """The same for another home: Dagster loads a job by its function once."""
    return small_job()
