"""Transactions of the operational core: a connection that acts as the application, for one tenant.

What runs inside is a plain function that takes the connection and never commits. Reading published scores has
a pool of its own (`serving.db.pool`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from serving.db.urls import first_line, libpq_url
from serving.errors import DatabaseUnavailableError

APPLICATION_ROLE = "muyun_app"


class Operations:
    """Hands out transactions in which row-level security shows one tenant and the ledger is append-only.

    Args:
        url: Address of the migrated database.
        size: Most connections.
        timeout_s: Seconds to wait for a free connection.
    """

    def __init__(self, url: str, *, size: int = 8, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._pool = ConnectionPool(
            libpq_url(url),
            min_size=0,
            max_size=size,
            timeout=timeout_s,
            configure=_become_the_application,
            check=ConnectionPool.check_connection,
            open=False,
            name="operations",
        )

    def __enter__(self) -> Operations:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Allow connections; none is made before the first transaction."""
        self._pool.open()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    @contextmanager
    def transaction(self, tenant_id: str, *, repeatable_read: bool = False) -> Iterator[psycopg.Connection]:
        """A transaction for one tenant; committed at the end, rolled back by an exception.

        Args:
            tenant_id: The tenant.
            repeatable_read: Every query sees the same moment, for answers that several queries make up.

        Raises:
            DatabaseUnavailableError: No connection was to be had, or it broke on the way.
        """
        try:
            with self._pool.connection(timeout=self._timeout_s) as connection, connection.transaction():
                if repeatable_read:
                    # PostgreSQL takes it only before the first query.
                    connection.execute("set transaction isolation level repeatable read")
                connection.execute("select set_config('muyun.tenant', %s, true)", (tenant_id,))
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                raise
            raise DatabaseUnavailableError(f"PostgreSQL does not answer: {first_line(error)}") from error


def _become_the_application(connection: psycopg.Connection) -> None:
    connection.autocommit = True
    connection.execute(f"set role {APPLICATION_ROLE}")
