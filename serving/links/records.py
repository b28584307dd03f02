"""Short links: made by a shop for a channel, a campaign and perhaps an agent; signed, ending, revocable.

What a link carries is its id and a signature over all that it stands for, by the tenant's key: a row that
somebody changed in the database is refused as well as a code that was guessed.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import class_row

from serving.agents.relations import get
from serving.links import destinations
from serving.links.errors import LinkRefusedError, LinkUnknownError
from serving.privacy.data_keys import Vault

Connection = psycopg.Connection[Any]

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 10
_SIGNATURE_BYTES = 9
"""72 bits: at the pace that the redirect allows nobody finds one."""
_TABLE, _COLUMN = "links.link", "signature"


@dataclass(frozen=True)
class Link:
    """A short link.

    Attributes:
        link_id: Its id.
        merchant_id: Whose shop.
        agent_id: Who spreads it; None for the shop itself.
        channel: The channel, as in touches.
        campaign: The campaign.
        destination_id: Where it leads, by name.
        url: The address of that name.
        made_at: When it was made.
        expires_at: First moment at which it leads nowhere.
        revoked_at: When it was revoked.
        clicks: How often it was followed.
        named_clicks: Of them, those whose visitor the shop named.
    """

    link_id: str
    merchant_id: str
    agent_id: str | None
    channel: str
    campaign: str
    destination_id: str
    url: str
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    clicks: int = 0
    named_clicks: int = 0


_COLUMNS = (
    "l.link_id, l.merchant_id, l.agent_id, l.channel, l.campaign, l.destination_id, d.url, l.made_at,"
    " l.expires_at, l.revoked_at"
)
_LINKS = (
    "from links.link l join links.destination d on d.tenant_id = l.tenant_id"
    " and d.merchant_id = l.merchant_id and d.destination_id = l.destination_id"
)
_PLAIN = f"select {_COLUMNS} {_LINKS} where l.tenant_id = %(tenant)s"
"""Whoever follows a link does not wait until its clicks are counted."""
_COUNTED = (
    f"select {_COLUMNS}, count(c.click_id) as clicks, count(c.named_at) as named_clicks {_LINKS}"
    " left join links.click c on c.tenant_id = l.tenant_id and c.link_id = l.link_id"
    " where l.tenant_id = %(tenant)s"
)
_GROUPED = " group by l.tenant_id, l.link_id, d.url"


def make(
    conn: Connection,
    tenant_id: str,
    merchant_id: str,
    agent_id: str | None,
    channel: str,
    campaign: str,
    destination_id: str,
    expires_at: datetime,
    by: str,
    now: datetime,
) -> Link:
    """Make a link.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: Whose shop.
        agent_id: Who spreads it.
        channel: As in touches.
        campaign: The campaign.
        destination_id: A registered destination of the shop.
        expires_at: First moment at which it leads nowhere.
        by: By which key.
        now: Business time.

    Raises:
        LinkUnknownError: The shop has no such destination.
        LinkRefusedError: It would be over before it is made, leads to what was taken off, or the agent is not
            active or sells for another shop.
        UnknownAgentError: There is no such agent.
    """
    ends = expires_at.astimezone(UTC).replace(microsecond=0)
    if ends <= now:
        raise LinkRefusedError("a link must expire later than now, by a second at least")
    place = destinations.find(conn, tenant_id, merchant_id, destination_id)
    if place.removed_at is not None:
        raise LinkRefusedError(f"destination {destination_id} was taken off; name another one")
    if agent_id is not None:
        agent = get(conn, agent_id)
        if not agent.is_active or agent.merchant_id not in (None, merchant_id):
            raise LinkRefusedError(f"agent {agent_id} is not active, or sells for another shop")
    link_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
    made = now.astimezone(UTC)
    conn.execute(
        "insert into links.link (tenant_id, link_id, merchant_id, agent_id, channel, campaign,"
        " destination_id, made_by, made_at, expires_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, link_id, merchant_id, agent_id, channel, campaign, destination_id, by, made, ends),
    )
    return Link(
        link_id, merchant_id, agent_id, channel, campaign, destination_id, place.url, made, ends, None
    )


def revoke(conn: Connection, tenant_id: str, link_id: str, now: datetime) -> Link:
    """Let a link lead nowhere from now on; again changes nothing.

    Raises:
        LinkUnknownError: There is no such link.
    """
    conn.execute(
        "update links.link set revoked_at = %s where tenant_id = %s and link_id = %s and revoked_at is null",
        (now, tenant_id, link_id),
    )
    return find(conn, tenant_id, link_id)


def find(conn: Connection, tenant_id: str, link_id: str) -> Link:
    """A link with its counts.

    Raises:
        LinkUnknownError: There is none.
    """
    query = f"{_COUNTED} and l.link_id = %(link)s{_GROUPED}"
    return _only(conn, query, tenant_id, link_id)


def page(
    conn: Connection, tenant_id: str, merchant_id: str | None, agent_id: str | None, *, after: str, limit: int
) -> list[Link]:
    """Links by id, of a shop or an agent, or all of them, with their counts."""
    with conn.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(
            f"{_COUNTED} and l.link_id > %(after)s"
            " and (%(merchant)s::text is null or l.merchant_id = %(merchant)s)"
            " and (%(agent)s::text is null or l.agent_id = %(agent)s)"
            f"{_GROUPED} order by l.link_id limit %(limit)s".encode(),
            {"tenant": tenant_id, "after": after, "merchant": merchant_id, "agent": agent_id, "limit": limit},
        ).fetchall()


def code_of(conn: Connection, vault: Vault, tenant_id: str, link: Link) -> str:
    """What the address of a link carries: its id and its signature."""
    return f"{link.link_id}-{_signature(conn, vault, tenant_id, link)}"


def read(conn: Connection, vault: Vault, tenant_id: str, code: str) -> Link:
    """The link of a code.

    Raises:
        LinkUnknownError: There is none, or the signature is not of this link.
    """
    link_id, _, signature = code.partition("-")
    link = _only(conn, f"{_PLAIN} and l.link_id = %(link)s", tenant_id, link_id)
    if not hmac.compare_digest(signature.encode(), _signature(conn, vault, tenant_id, link).encode()):
        raise LinkUnknownError(f"there is no link {link_id}")
    return link


def tenant_of(conn: Connection, code: str) -> str | None:
    """Whose link a code names, for somebody who comes without a key; None for nobody's."""
    row = conn.execute("select links.tenant_of(%s)", (code.partition("-")[0],)).fetchone()
    return None if row is None else row[0]


def _only(conn: Connection, query: str, tenant_id: str, link_id: str) -> Link:
    with conn.cursor(row_factory=class_row(Link)) as cursor:
        found = cursor.execute(query.encode(), {"tenant": tenant_id, "link": link_id}).fetchone()
    if found is None:
        raise LinkUnknownError(f"there is no link {link_id}")
    return found


def _signature(conn: Connection, vault: Vault, tenant_id: str, link: Link) -> str:
    """HMAC-SHA256 with the tenant's key that outlives every rotation, over what the link stands for.

    The address itself is in it, so that a destination that somebody changed in the database leads nowhere.
    """
    said = [
        link.link_id,
        link.merchant_id,
        link.agent_id,
        link.channel,
        link.campaign,
        link.destination_id,
        link.url,
        int(link.expires_at.timestamp()),
    ]
    text = msgspec.json.encode(said).decode()
    digest = vault.blind_index(conn, tenant_id, text, table=_TABLE, column=_COLUMN)
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode()
