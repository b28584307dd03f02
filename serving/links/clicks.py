"""Clicks: a link was followed, and later the shop says by which visitor or consumer.

Whoever follows a link leaves no name: no address, no device, no cookie is kept. The shop's own page, which
gets the number of the click with the redirect, says who it was, under its key and once. From then on the
click is an event and a touch, under the rules of events: an erased consumer is refused, and a visitor becomes
a consumer only by an identity edge with evidence.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.consumers.erased import hold_erasures, require_not_erased
from serving.consumers.errors import ConsumerErasedError
from serving.events.contracts import Event
from serving.events.storage import store_events
from serving.identity.erased import erased_of
from serving.links import destinations, records
from serving.links.errors import LinkGoneError, LinkStateError, LinkUnknownError
from serving.privacy.data_keys import Vault

Connection = psycopg.Connection[Any]

NAMED_WITHIN = timedelta(days=1)
"""How long after a click the shop may say who it was."""
PARAMETER = "muyun_click"
"""Under this name the destination gets the number of the click."""


@dataclass(frozen=True)
class Click:
    """A click.

    Attributes:
        click_id: Its number, which nobody can guess.
        link_id: The link.
        merchant_id: The shop.
        occurred_at: When.
        consumer_id: Who, once the shop said so.
        anonymous_id: Which visitor, once the shop said so.
    """

    click_id: str
    link_id: str
    merchant_id: str
    occurred_at: datetime
    consumer_id: str | None
    anonymous_id: str | None


def follow(conn: Connection, vault: Vault, tenant_id: str, code: str, now: datetime) -> str:
    """Record a click.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Checks the signature.
        tenant_id: Whose link.
        code: What the address carried.
        now: Business time.

    Returns:
        Where to go: the registered destination with the number of the click.

    Raises:
        LinkUnknownError: There is no such link.
        LinkGoneError: It ended, was revoked, or its destination was taken off.
    """
    link = records.read(conn, vault, tenant_id, code)
    place = destinations.find(conn, tenant_id, link.merchant_id, link.destination_id)
    if link.revoked_at is not None or now >= link.expires_at or place.removed_at is not None:
        raise LinkGoneError("this link leads nowhere any more")
    click_id = f"lk-{secrets.token_hex(12)}"
    conn.execute(
        "insert into links.click (tenant_id, click_id, link_id, occurred_at) values (%s, %s, %s, %s)",
        (tenant_id, click_id, link.link_id, now),
    )
    return _with_click(link.url, click_id)


def name(
    conn: Connection,
    tenant_id: str,
    click_id: str,
    consumer_id: str | None,
    anonymous_id: str | None,
    now: datetime,
) -> Click:
    """Say whose a click was; the same again changes nothing.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        click_id: Its number.
        consumer_id: The consumer, when logged in; exactly one of the two.
        anonymous_id: The visitor, as in events.
        now: Business time.

    Raises:
        LinkUnknownError: There is no such click.
        LinkStateError: It was somebody else's, or too long ago.
        ConsumerErasedError: The consumer was erased, or the visitor was one who was erased after the click.
    """
    hold_erasures(conn)
    found = find(conn, tenant_id, click_id)
    said = (consumer_id, anonymous_id)
    if (found.consumer_id, found.anonymous_id) == said:
        return found
    if consumer_id is not None:
        require_not_erased(conn, tenant_id, consumer_id, "no click of theirs is kept any more")
    elif erased_of(conn, tenant_id, [(str(anonymous_id), found.occurred_at)]):
        raise ConsumerErasedError("this visitor was a consumer who was erased since: the click stays unnamed")
    if now - found.occurred_at > NAMED_WITHIN:
        raise LinkStateError(
            f"click {click_id} is older than {NAMED_WITHIN.days} day; it stays without a name"
        )
    taken = conn.execute(
        "update links.click set consumer_id = %s, anonymous_id = %s, named_at = %s,"
        " xact_id = pg_current_xact_id() where tenant_id = %s and click_id = %s and named_at is null",
        (consumer_id, anonymous_id, now, tenant_id, click_id),
    ).rowcount
    again = find(conn, tenant_id, click_id)
    if not taken:
        if (again.consumer_id, again.anonymous_id) == said:
            return again
        raise LinkStateError(f"click {click_id} was named before; whose it was does not change")
    event = Event(
        event_id=click_id,
        session_id=click_id,
        event_type="view",
        occurred_at=found.occurred_at,
        merchant_id=found.merchant_id,
        consumer_id=consumer_id,
        anonymous_id=anonymous_id,
    )
    store_events(conn, tenant_id, [event], now)
    return again


def find(conn: Connection, tenant_id: str, click_id: str) -> Click:
    """A click.

    Raises:
        LinkUnknownError: There is none.
    """
    row = conn.execute(
        "select c.click_id, c.link_id, l.merchant_id, c.occurred_at, c.consumer_id, c.anonymous_id"
        " from links.click c join links.link l using (tenant_id, link_id)"
        " where c.tenant_id = %s and c.click_id = %s",
        (tenant_id, click_id),
    ).fetchone()
    if row is None:
        raise LinkUnknownError(f"there is no click {click_id}")
    return Click(*row)


def _with_click(url: str, click_id: str) -> str:
    """The address as it was registered, to the byte, with one parameter more; it has no fragment."""
    return f"{url}{'&' if '?' in url else '?'}{PARAMETER}={click_id}"
