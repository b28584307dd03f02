"""Database connections of the API process: few, read-only, prepared, self-healing. No queries live here.

A pool of our own, because after an outage it must serve again at the first request and must never make a
request wait for a back-off timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import AsyncConnection, errors

from serving.db.urls import first_line, libpq_url, without_password
from serving.errors import DatabaseUnavailableError

Rows: TypeAlias = list[tuple[Any, ...]]


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
        self._idle: list[AsyncConnection[tuple[Any, ...]]] = []
        self.size = size
        self.in_use = 0

    async def fetch(self, query: LiteralString, values: Mapping[str, object]) -> Rows:
        """The rows of one read-only statement, which sees one state of the database.

        Raises:
            DatabaseUnavailableError: No connection, no answer in time, or the tables are missing.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                self.in_use += 1
                try:
                    return await self._fetch(query, values)
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
            await self._idle.pop().close()

    async def _fetch(self, query: LiteralString, values: Mapping[str, object]) -> Rows:
        if self._idle:
            try:
                return await self._run(self._idle.pop(), query, values)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # A restarted server leaves only dead connections behind; reads may be repeated on a new one.
                await self.close()
        return await self._run(await self._connect(), query, values)

    async def _run(
        self, connection: AsyncConnection[tuple[Any, ...]], query: LiteralString, values: Mapping[str, object]
    ) -> Rows:
        try:
            cursor = await connection.execute(query, values)
            rows = await cursor.fetchall()
        except (psycopg.DatabaseError, psycopg.InterfaceError, asyncio.CancelledError):
            # Whatever state it is in now, the next request shall not inherit it.
            await connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def _connect(self) -> AsyncConnection[tuple[Any, ...]]:
        options = (
            f"-c timezone=UTC -c default_transaction_read_only=on -c statement_timeout={self._statement_ms}"
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
