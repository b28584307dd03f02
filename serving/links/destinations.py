"""Where short links may lead: addresses that an operator registered for a shop, and nothing else.

Source: OWASP Unvalidated Redirects and Forwards Cheat Sheet (a list of allowed addresses, looked up by id).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg

from serving.links.errors import LinkRefusedError, LinkStateError, LinkUnknownError

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Destination:
    """An address that links of a shop may lead to.

    Attributes:
        merchant_id: The shop.
        destination_id: Its name there.
        url: Where it lies; https, without a user or a fragment.
        removed_at: When it was taken off; links to it lead nowhere since.
    """

    merchant_id: str
    destination_id: str
    url: str
    removed_at: datetime | None


def checked(url: str) -> str:
    """An address that may be registered.

    Raises:
        LinkRefusedError: It is none of https with a host of its own.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LinkRefusedError(f"{url!r} is no address: {error}") from error
    if parts.scheme != "https" or not parts.hostname or "." not in parts.hostname:
        raise LinkRefusedError("a destination is an https address with the name of a host")
    # An empty fragment is one too: what is appended to the address would be part of it.
    if parts.username is not None or parts.password is not None or "#" in url or "\\" in url:
        raise LinkRefusedError("a destination has no user, no fragment and no backslash")
    if port not in (None, 443):
        raise LinkRefusedError("a destination is served at the usual port of https")
    return url


def register(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    destination_id: str,
    url: str,
    by: str,
    now: datetime,
) -> Destination:
    """Let links of a shop lead to an address; the same again changes nothing.

    Raises:
        LinkRefusedError: The address may not be one.
        LinkStateError: The name stands for another address: links of it would lead elsewhere.
    """
    conn.execute(
        "insert into links.destination (tenant_id, merchant_id, destination_id, url, made_by, made_at)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        (tenant_id, merchant_id, destination_id, checked(url), by, now),
    )
    found = find(conn, tenant_id, merchant_id, destination_id)
    if found.url != url or found.removed_at is not None:
        raise LinkStateError(
            f"destination {destination_id} is {found.url}, or was taken off; register it under another name"
        )
    return found


def remove(
    conn: Connection, tenant_id: str, merchant_id: str, destination_id: str, now: datetime
) -> Destination:
    """Take an address off: its links lead nowhere from now on. Again changes nothing.

    Raises:
        LinkUnknownError: There is no such destination.
    """
    conn.execute(
        "update links.destination set removed_at = %s"
        " where tenant_id = %s and merchant_id = %s and destination_id = %s and removed_at is null",
        (now, tenant_id, merchant_id, destination_id),
    )
    return find(conn, tenant_id, merchant_id, destination_id)


def find(conn: Connection, tenant_id: str, merchant_id: str, destination_id: str) -> Destination:
    """A destination of a shop.

    Raises:
        LinkUnknownError: There is none.
    """
    row = conn.execute(
        "select merchant_id, destination_id, url, removed_at from links.destination"
        " where tenant_id = %s and merchant_id = %s and destination_id = %s",
        (tenant_id, merchant_id, destination_id),
    ).fetchone()
    if row is None:
        raise LinkUnknownError(f"shop {merchant_id} has no destination {destination_id}")
    return Destination(*row)
