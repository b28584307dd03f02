"""Whose data a database holds: a home writes its id into it for its tenant, and refuses another home's."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg

from serving.db.urls import first_line, libpq_url, without_password
from serving.errors import DatabaseUnavailableError, ServingError
from serving.settings import DEFAULT_TENANT


class AnotherHomeError(ServingError):
    """The database holds another home's data; the message says what to do."""


def claim_database(
    url: str, home_id: str, home: Path, *, tenant_id: str = DEFAULT_TENANT, is_new_home: bool = False
) -> bool:
    """Write the home's id into its database, or see that it is there: one home a tenant, one tenant a home.

    Args:
        url: Address of the migrated database.
        home_id: Id of the home.
        home: Its folder, for the message to others.
        tenant_id: Whose data the home holds.
        is_new_home: Whether the home holds nothing yet; then a database without an id must hold
            nothing of the tenant, too.

    Returns:
        True when nobody had claimed it: the database is new to the home.

    Raises:
        AnotherHomeError: The tenant's data there belong to another home, or the home to another tenant.
        DatabaseUnavailableError: The server does not answer.
    """
    try:
        with psycopg.connect(libpq_url(url)) as connection:
            if is_new_home and _holds_data_of_nobody(connection, tenant_id):
                raise _refused(url, "a home that an earlier version made")
            claimed = connection.execute(
                "insert into ops.home (tenant_id, home_id, claim_id, folder) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                (tenant_id, home_id, uuid.uuid4().hex, str(home)),
            )
            of_home = connection.execute(
                "select tenant_id from ops.home where home_id = %s", (home_id,)
            ).fetchone()
            if of_home is not None and of_home[0] != tenant_id:
                raise AnotherHomeError(
                    f"the home {home} publishes for the tenant {of_home[0]}, not for {tenant_id}: leave "
                    "MUYUN_TENANT as it was, or name another home with MUYUN_HOME"
                )
            found = connection.execute(
                "select home_id, folder from ops.home where tenant_id = %s", (tenant_id,)
            ).fetchone()
            if found is None or found[0] != home_id:
                raise _refused(url, f"the home {found[1] if found else 'of somebody'}")
            if found[1] != str(home):
                connection.execute("update ops.home set folder = %s where home_id = %s", (str(home), home_id))
            return claimed.rowcount == 1
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(
            f"PostgreSQL at {without_password(url)} failed: {first_line(error)}"
        ) from error


def _holds_data_of_nobody(connection: psycopg.Connection[tuple[object, ...]], tenant_id: str) -> bool:
    found = connection.execute(
        "select not exists (select from ops.home where tenant_id = %(tenant)s)"
        " and (exists (select from scores.publication where tenant_id = %(tenant)s)"
        "  or exists (select from orders.customer_order where tenant_id = %(tenant)s))",
        {"tenant": tenant_id},
    ).fetchone()
    return bool(found and found[0])


def _refused(url: str, whose: str) -> AnotherHomeError:
    return AnotherHomeError(
        f"the database {without_password(url)} holds the data of {whose}: name an empty one with "
        "MUYUN_DATABASE_URL, another tenant with MUYUN_TENANT, or work in that home. Two homes never share a "
        "tenant's data; one restored from a backup needs the home's muyun.toml of the same backup"
    )
