"""Which database the settings mean: the server they name, or the embedded one. No queries here."""

from __future__ import annotations

from serving.db import users
from serving.db.embedded import embedded_postgres
from serving.settings import Settings

DATABASE = "muyun"


def database_url(settings: Settings) -> str:
    """SQLAlchemy address of the database of serving, which must be running.

    An embedded server is not stopped while this process lives or until `leave_database`.

    Raises:
        EmbeddedPostgresError: No server is named and the embedded one does not run.
    """
    if settings.database_url is not None:
        return settings.database_url
    cluster = embedded_postgres(settings)
    url = cluster.connect_info().url(DATABASE)
    users.join(cluster)
    return url


def ready_database(settings: Settings) -> str:
    """The same, but starts the embedded server if it is the one, and brings the schema up to date.

    Raises:
        ServingError: The server cannot be started or reached.
    """
    url = settings.database_url
    if url is None:
        cluster = embedded_postgres(settings)
        cluster.start()
        users.join(cluster)
        if not cluster.status().running:  # its last user left between our start and our joining
            cluster.start()
        url = cluster.connect_info().url(DATABASE)
    # SQLAlchemy and Alembic cost a second and 40 MB, which the worker of the API need not pay.
    from serving.db import migrate

    migrate.upgrade(url)
    return url


def leave_database(settings: Settings, *, patience_s: float = 0.0) -> bool:
    """Use the embedded server no longer; the last one to leave stops it, unless it was started by hand.

    Args:
        settings: Which home.
        patience_s: How long to wait for child processes that are about to end.

    Returns:
        True when a running server was stopped.
    """
    if settings.database_url is not None:
        return False
    return users.leave(embedded_postgres(settings), patience_s=patience_s)
