"""Database connections of the API process: few, read-only, prepared, self-healing. No queries live here.

They act as the application, so that row-level security shows the rows of one tenant. A pool of our own,
because after an outage it must serve again at the first request and must never make a request wait for a
back-off timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import AsyncConnection, errors

from serving.db.operations import APPLICATION_ROLE
from serving.db.urls import first_line, libpq_url, without_password
from serving.errors import DatabaseUnavailableError

Rows: TypeAlias = list[tuple[Any, ...]]
Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]


class Pool:
    """Connections to one database. Belongs to one event loop."""

    def __init__(self, url: str, *, size: int, timeout_s: float) -> None:
        """Describe the pool; connections are made when they are needed.

        Args:
            url: SQLAlchemy or libpq address.
            size: Most connections at a time.
            timeout_s: Seconds until a waiting or running query is given up.
        """
        self._url = libpq_url(url)
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(size)
        self._idle: list[tuple[str, Connection]] = []  # with the tenant that it shows
        self.size = size
        self.in_use = 0

    async def fetch(self, query: LiteralString, values: Mapping[str, object], *, tenant_id: str = "") -> Rows:
        """The rows of one read-only statement, which sees one state of the database.

        Args:
            query: The statement.
            values: What it binds; `tenant` is added.
            tenant_id: Whose rows it may see; without one none of any tenant.

        Raises:
            DatabaseUnavailableError: No connection, no answer in time, or the tables are missing.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                self.in_use += 1
                try:
                    return await self._fetch(query, {**values, "tenant": tenant_id}, tenant_id)
                finally:
                    self.in_use -= 1
        except TimeoutError as error:
            raise DatabaseUnavailableError(
                f"PostgreSQL gave no answer within {self._timeout_s:g} seconds"
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise DatabaseUnavailableError(
                f"PostgreSQL at {without_password(self._url)} does not answer: {first_line(error)}"
            ) from error
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
            raise DatabaseUnavailableError(
                "the database has not the tables that this release needs: run `python -m serving.db migrate`"
            ) from error

    async def close(self) -> None:
        """Close idle connections; the pool may be used again afterwards."""
        while self._idle:
            await self._idle.pop()[1].close()

    async def _fetch(self, query: LiteralString, values: Mapping[str, object], tenant_id: str) -> Rows:
        if self._idle:
            try:
                return await self._run(*self._take(tenant_id), query, values, tenant_id)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # A restarted server leaves only dead connections behind; reads may be repeated on a new one.
                await self.close()
        return await self._run("", await self._connect(), query, values, tenant_id)

    def _take(self, tenant_id: str) -> tuple[str, Connection]:
        """An idle connection, one that shows the tenant already if there is one."""
        for place in range(len(self._idle) - 1, -1, -1):
            if self._idle[place][0] == tenant_id:
                return self._idle.pop(place)
        return self._idle.pop()

    async def _run(
        self,
        shown: str,
        connection: Connection,
        query: LiteralString,
        values: Mapping[str, object],
        tenant_id: str,
    ) -> Rows:
        try:
            if shown != tenant_id:
                await connection.execute("select set_config('muyun.tenant', %s, false)", (tenant_id,))
            cursor = await connection.execute(query, values)
            rows = await cursor.fetchall()
        except (psycopg.DatabaseError, psycopg.InterfaceError, asyncio.CancelledError):
            # Whatever state it is in now, the next request shall not inherit it.
            await connection.close()
            raise
        self._idle.append((tenant_id, connection))
        return rows

    async def _connect(self) -> Connection:
        options = (
            f"-c role={APPLICATION_ROLE} -c timezone=UTC -c default_transaction_read_only=on"
            f" -c statement_timeout={self._statement_ms}"
        )
        return await AsyncConnection.connect(
            self._url,
            autocommit=True,
            prepare_threshold=0,
            options=options,
            application_name="muyun-api",
            connect_timeout=max(2, round(self._timeout_s)),
        )

    @property
    def _statement_ms(self) -> int:
        return max(1, round(self._timeout_s * 1000))
