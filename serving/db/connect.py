"""Which database the settings mean: the server they name, or the embedded one. No queries here."""

from __future__ import annotations

from serving.db.embedded import embedded_postgres
from serving.settings import Settings

DATABASE = "muyun"


def database_url(settings: Settings) -> str:
    """SQLAlchemy address of the database of serving, which must be running.

    Raises:
        EmbeddedPostgresError: No server is named and the embedded one does not run.
    """
    if settings.database_url is not None:
        return settings.database_url
    return embedded_postgres(settings).connect_info().url(DATABASE)


def ready_database(settings: Settings) -> str:
    """The same, but starts the embedded server if it is the one, and brings the schema up to date.

    Raises:
        ServingError: The server cannot be started or reached.
    """
    url = settings.database_url
    if url is None:
        url = embedded_postgres(settings).start().url(DATABASE)
    # SQLAlchemy and Alembic cost a second and 40 MB, which the worker of the API need not pay.
    from serving.db import migrate

    migrate.upgrade(url)
    return url
