"""Transactions of the operational core: a connection that acts as the application, for one tenant.

What runs inside is a plain function that takes the connection and never commits. Reading published scores has
a pool of its own (`serving.db.pool`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
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
        statement_timeout_s: Seconds that a statement may take; 0 lets it take what it needs, as jobs do.
        lock_timeout_s: Seconds that a statement waits for a lock; 0 waits as long as it needs to.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = 8,
        timeout_s: float = 10.0,
        statement_timeout_s: float = 0.0,
        lock_timeout_s: float = 0.0,
    ) -> None:
        self._timeout_s = timeout_s
        self._size = size
        self._pool = ConnectionPool(
            libpq_url(url),
            min_size=0,
            max_size=size,
            timeout=timeout_s,
            kwargs={
                "options": f"-c statement_timeout={round(statement_timeout_s * 1000)}"
                f" -c lock_timeout={round(lock_timeout_s * 1000)}"
            },
            configure=_become_the_application,
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
            connection = self._begun(tenant_id, repeatable_read)
            try:
                # Commits at the end, rolls back after an exception; the pool keeps it open.
                with connection:
                    yield connection
            finally:
                self._pool.putconn(connection)
        except (psycopg.OperationalError, PoolTimeout) as error:
            if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                raise
            raise DatabaseUnavailableError(f"PostgreSQL does not answer: {first_line(error)}") from error

    def _begun(self, tenant_id: str, repeatable_read: bool) -> psycopg.Connection:
        """A connection with a begun transaction; the one round trip also shows whether it still lives."""
        isolation = " isolation level repeatable read" if repeatable_read else ""
        begin = sql.SQL("begin" + isolation + "; select set_config('muyun.tenant', {}, true)")
        statement = begin.format(sql.Literal(tenant_id))
        # After a restart of PostgreSQL every pooled connection may be dead; the pool drops them one by one.
        for left in range(self._size, -1, -1):
            connection = self._pool.getconn(timeout=self._timeout_s)
            try:
                # Two statements at once cannot be prepared.
                connection.execute(statement, prepare=False)
            except BaseException as error:
                is_dead = isinstance(error, psycopg.OperationalError) and connection.closed
                self._pool.putconn(connection)
                if not is_dead or left == 0:
                    raise
            else:
                return connection
        raise AssertionError("the last attempt returns or raises")


def _become_the_application(connection: psycopg.Connection) -> None:
    connection.autocommit = True
    connection.execute(f"set role {APPLICATION_ROLE}")
