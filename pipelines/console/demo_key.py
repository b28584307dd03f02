"""A key for trying the API: it reads only, and works only while the user interface runs."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from serving.db.urls import libpq_url
from serving.errors import ApiKeyError, DatabaseUnavailableError
from serving.security import Scope, issue_key, revoke_key
from serving.settings import DEFAULT_TENANT

NAME = "demo"
SCOPES = tuple(
    sorted(scope for scope in Scope if scope.endswith(":read") and scope is not Scope.PERSONAL_READ)
)
"""Everything that reads, except names and addresses of persons."""


class DemoKey:
    """A fresh key while it is open; whatever an earlier, killed command left behind is ended first.

    Args:
        url: Address of the migrated database.
        tenant: Whose home it is: the key reads what that tenant published.
    """

    def __init__(self, url: str, tenant: str = DEFAULT_TENANT) -> None:
        self._url = url
        self._tenant = tenant

    def __enter__(self) -> str:
        """End old demo keys and make a new one.

        Returns:
            The key itself.
        """
        for key_id in _working(self._url, self._tenant):
            revoke_key(self._url, key_id)
        key = issue_key(self._url, name=NAME, scopes=list(SCOPES), tenant_id=self._tenant)
        self._key_id = key.key_id
        return key.secret

    def __exit__(self, *_: object) -> None:
        """End the key, unless somebody else did or the database is gone."""
        with suppress(ApiKeyError, DatabaseUnavailableError):
            revoke_key(self._url, self._key_id)


def _working(url: str, tenant: str) -> list[str]:
    with psycopg.connect(libpq_url(url), connect_timeout=10) as connection:
        rows = connection.execute(
            "select key_id from ops.api_key where name = %s and tenant_id = %s and revoked_at is null",
            (NAME, tenant),
        ).fetchall()
    return [key_id for (key_id,) in rows]
