"""What a command needs around it: folders, environment variables, a running PostgreSQL. No Dagster here."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from pipelines.resources import dagster_storage_url, environment, prepare_dagster_home
from pipelines.settings import Settings

if TYPE_CHECKING:
    from serving.db.embedded import EmbeddedPostgres


class RunError(Exception):
    """The main job did not finish; the message says which step failed, why, and what to do."""


def prepare(settings: Settings) -> None:
    """Set the environment, start the database, make the Dagster home. Call before Dagster is imported.

    Raises:
        RunError: A folder cannot be written or PostgreSQL cannot be started.
    """
    from serving.db.urls import ensure_database, with_database
    from serving.errors import ServingError
    from serving.settings import Settings as ServingSettings

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        os.environ["MUYUN_HOME"] = str(settings.home)
        from serving.db.connect import ready_database

        url = ready_database(ServingSettings())
        ensure_database(url, "dagster")
        os.environ.update(environment(settings, dagster_storage_url(with_database(url, "dagster"))))
        prepare_dagster_home(settings)
    except OSError as error:
        raise RunError(
            f"{error.filename or settings.home} cannot be written ({error.strerror}); "
            "set MUYUN_HOME to a folder that this user may write, on a disk with room"
        ) from error
    except ServingError as error:
        raise RunError(str(error)) from error


class Embedded(AbstractContextManager["Embedded"]):
    """Stops the embedded PostgreSQL when the command ends, also on Ctrl-C, unless it ran before."""

    def __enter__(self) -> Embedded:
        """Look whether somebody else's command uses the server already."""
        cluster = self._cluster()
        self._ran_before = cluster is not None and cluster.status().running
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server if this command started it."""
        cluster = self._cluster()
        if cluster is not None and not self._ran_before:
            cluster.stop()

    @staticmethod
    def _cluster() -> EmbeddedPostgres | None:
        from serving.db.embedded import embedded_postgres
        from serving.settings import Settings as ServingSettings

        settings = ServingSettings()
        return embedded_postgres(settings) if settings.database_url is None else None
