"""Whose data a database holds: a home writes its id into its database and refuses another home's."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg

from serving.db.urls import first_line, libpq_url, without_password
from serving.errors import DatabaseUnavailableError, ServingError


class AnotherHomeError(ServingError):
    """The database holds another home's data; the message says what to do."""


def claim_database(url: str, home_id: str, home: Path, *, is_new_home: bool = False) -> bool:
    """Write the home's id into its database, or see that it is there.

    Args:
        url: Address of the migrated database.
        home_id: Id of the home.
        home: Its folder, for the message to others.
        is_new_home: Whether the home holds nothing yet; then a database without an id must be empty, too.

    Returns:
        True when nobody had claimed it: the database is new to the home.

    Raises:
        AnotherHomeError: The database belongs to another home.
        DatabaseUnavailableError: The server does not answer.
    """
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            if is_new_home and _holds_data_of_nobody(connection):
                raise _refused(url, "a home that an earlier version made")
            claimed = connection.execute(
                "insert into ops.home (home_id, claim_id, folder) values (%s, %s, %s) on conflict do nothing",
                (home_id, uuid.uuid4().hex, str(home)),
            )
            found = connection.execute("select home_id, folder from ops.home").fetchone()
            if found is None or found[0] != home_id:
                raise _refused(url, f"the home {found[1] if found else 'of somebody'}")
            if found[1] != str(home):
                connection.execute("update ops.home set folder = %s", (str(home),))
            return claimed.rowcount == 1
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL at {without_password(url)} failed: {first_line(error)}"
        ) from error


def _holds_data_of_nobody(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    found = connection.execute(
        "select not exists (select from ops.home)"
        " and (exists (select from scores.publication) or exists (select from orders.customer_order))"
    ).fetchone()
    return bool(found and found[0])


def _refused(url: str, whose: str) -> AnotherHomeError:
    return AnotherHomeError(
        f"the database {without_password(url)} holds the data of {whose}: name an empty one with "
        "MUYUN_DATABASE_URL, or work in that home. Two homes never share a database; one restored from a "
        "backup needs the home's muyun.toml of the same backup"
    )
