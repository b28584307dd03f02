"""What a command needs around it: folders, environment variables, a running PostgreSQL. No Dagster here."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

from pipelines.home.source import identify, require_same_source
from pipelines.resources import dagster_database, dagster_storage_url, environment, prepare_dagster_home
from pipelines.settings import Settings


class RunError(Exception):
    """The main job did not finish; the message says which step failed, why, and what to do."""


def prepare(settings: Settings) -> None:
    """Set the environment, start the database, make the Dagster home. Call before Dagster is imported.

    Raises:
        RunError: A folder cannot be written, PostgreSQL cannot be started, or the home or the database hold
            something else.
    """
    from pipelines.home.database import claim
    from serving.db.urls import ensure_database, with_database
    from serving.errors import ServingError
    from serving.settings import Settings as ServingSettings

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        os.environ["MUYUN_HOME"] = str(settings.home)
        home = identify(settings)
        require_same_source(settings)
        from serving.db.connect import ready_database

        url = ready_database(ServingSettings())
        claim(settings, url, home)
        beside = dagster_database(url)
        ensure_database(url, beside)
        os.environ.update(environment(settings, dagster_storage_url(with_database(url, beside))))
        prepare_dagster_home(settings)
    except OSError as error:
        raise RunError(
            f"{error.filename or settings.home} cannot be written ({error.strerror}); "
            "set MUYUN_HOME to a folder that this user may write, on a disk with room"
        ) from error
    except ServingError as error:
        raise RunError(str(error)) from error


class Embedded(AbstractContextManager["Embedded"]):
    """Leaves the embedded PostgreSQL when the command ends, also on Ctrl-C; the last user stops it.

    Args:
        patience_s: How long to wait for child processes that are about to end.
    """

    def __init__(self, patience_s: float = 0.0) -> None:
        self._patience_s = patience_s

    def __exit__(self, *_: object) -> None:
        """Stop the server unless somebody else uses it."""
        from serving.db.connect import leave_database
        from serving.settings import Settings as ServingSettings

        leave_database(ServingSettings(), patience_s=self._patience_s)
