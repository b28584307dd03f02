"""The serving database: its address, and what tells it from another."""

from __future__ import annotations

from serving.settings import Settings


class Database:
    """The PostgreSQL database of one installation.

    Args:
        settings: Name a server, or the folder below which the embedded one lies.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def tenant_id(self) -> str:
        """Whose data the home holds there."""
        return self._settings.tenant

    def url(self) -> str:
        """Its address; the embedded server is started and the schema migrated if need be.

        Raises:
            ServingError: The server cannot be started or reached.
        """
        from serving.db.connect import ready_database

        return ready_database(self._settings)

    def number(self, url: str) -> str:
        """What tells this very database from one that was made anew at the same address."""
        from pipelines.sources.recorded.extraction import database_identity

        return database_identity(url, self._settings.tenant)
