"""What a command needs around it: folders, environment variables, a running PostgreSQL. No Dagster here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from pipelines.home.source import identify, require_same_source
from pipelines.overlap.cluster import ClusterSettingsError
from pipelines.resources import dagster_database, dagster_storage_url, environment, prepare_dagster_home
from pipelines.run.whole_run import remember_rest
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
    from serving.db.connect import ready_database
    from serving.db.urls import ensure_database, with_database
    from serving.settings import Settings as ServingSettings

    with told_as_run_errors(settings):
        settings.home.mkdir(parents=True, exist_ok=True)
        os.environ["MUYUN_HOME"] = str(settings.home)
        home = identify(settings)
        require_same_source(settings)
        url = ready_database(ServingSettings())
        claim(settings, url, home)
        beside = dagster_database(url)
        ensure_database(url, beside)
        os.environ.update(environment(settings, dagster_storage_url(with_database(url, beside))))
        prepare_dagster_home(settings)


@contextmanager
def told_as_run_errors(settings: Settings) -> Iterator[None]:
    """Turn what goes wrong around a run into errors that say what to do.

    Raises:
        RunError: A folder cannot be written, or PostgreSQL, the home or its lock refuse.
    """
    from serving.errors import ServingError

    try:
        yield
    except OSError as error:
        raise RunError(
            f"{error.filename or settings.home} cannot be written ({error.strerror}); "
            "set MUYUN_HOME to a folder that this user may write, on a disk with room"
        ) from error
    except (ServingError, ClusterSettingsError) as error:
        raise RunError(str(error)) from error


class Embedded(AbstractContextManager["Embedded"]):
    """Leaves the embedded PostgreSQL when the command ends, also on Ctrl-C; the last user stops it.

    Args:
        settings: The installation's settings.
        patience_s: How long to wait for child processes that are about to end.
    """

    def __init__(self, settings: Settings, patience_s: float = 0.0) -> None:
        self._settings = settings
        self._patience_s = patience_s

    def __exit__(self, *_: object) -> None:
        """Stop the server unless somebody else uses it, and write down in which state it came to rest."""
        from pipelines.lake.files import LakeError
        from serving.db.connect import leave_database
        from serving.errors import ServingError

        if leave_database(self._settings.serving, patience_s=self._patience_s):
            with suppress(OSError, LakeError, ServingError):  # not remembered: the next run looks again
                remember_rest(self._settings)
