"""Connections of publishers: one at a time, and every database error as one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from serving.db import locks
from serving.db.urls import first_line, libpq_url, without_password
from serving.errors import DatabaseUnavailableError, PublicationRejectedError, PublisherBusyError


@contextmanager
def connection_to(conn_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection in one transaction, with our errors instead of the driver's."""
    try:
        with psycopg.connect(
            libpq_url(conn_url),
            connect_timeout=10,
            options="-c timezone=UTC",
            application_name="muyun-publish",
        ) as connection:
            yield connection
    except psycopg.errors.LockNotAvailable as error:
        raise PublisherBusyError("another publisher is at work: try again when it has finished") from error
    except psycopg.errors.UndefinedTable as error:
        raise DatabaseUnavailableError(
            f"the database has no tables of serving ({first_line(error)}): run `python -m serving.db migrate`"
        ) from error
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        detail = error.diag.message_detail or error.diag.context or ""
        raise PublicationRejectedError(f"{first_line(error)}. {detail}".strip()) from error
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL at {without_password(conn_url)} failed: {first_line(error)}. "
            "The version that served before still serves; publish again when the server is back"
        ) from error


@contextmanager
def publisher(conn_url: str, lock_wait_s: float) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A transaction that holds the publisher lock until its end."""
    with connection_to(conn_url) as connection:
        locks.publishers(connection, lock_wait_s)
        yield connection
