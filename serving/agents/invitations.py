"""Signed invitation links, and the relation that a consumer's act makes of one.

A link says which agent invites into which shop until when; nobody can alter or make one without the tenant's
key. It is bound once, by the consumer, inside the shop that it names, and the relation counts in that shop
only. The first agent counts for as long as the relation lasts. A relation that nobody proves does not exist:
there is no other way to state one.

Source: P1 (who referred the buyer), P2; decision 31.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from serving.agents.errors import (
    AgentConflictError,
    InvitationRefusedError,
    JoinRefusedError,
)
from serving.agents.relations import get
from serving.consumers.erased import require_not_erased
from serving.db import locks
from serving.privacy.data_keys import Vault

Connection = psycopg.Connection[Any]

_TABLE, _COLUMN = "agents.invitation", "signature"


class _Content(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a link says, in the order in which it is signed."""

    invitation_id: str
    agent_id: str
    merchant_id: str
    expires_at: int


@dataclass(frozen=True)
class Invitation:
    """An invitation that was made.

    Attributes:
        invitation_id: Its id.
        agent_id: Who invites.
        merchant_id: Into which shop.
        expires_at: First moment at which it cannot be bound.
        token: What the link carries; who holds it may bind it.
    """

    invitation_id: str
    agent_id: str
    merchant_id: str
    expires_at: datetime
    token: str


@dataclass(frozen=True)
class Binding:
    """A relation of a consumer with an agent in one shop; `is_new` is False when it stood before."""

    consumer_id: str
    agent_id: str
    merchant_id: str
    bound_at: datetime
    valid_to: datetime | None
    is_new: bool


def invite(
    conn: Connection,
    vault: Vault,
    tenant_id: str,
    agent_id: str,
    merchant_id: str,
    expires_at: datetime,
    by: str,
    now: datetime,
) -> Invitation:
    """Make a link by which one consumer may follow an agent into a shop.

    Args:
        conn: Inside a transaction of the tenant.
        vault: Signs with a key of the tenant.
        tenant_id: The tenant.
        agent_id: Who invites.
        merchant_id: Into which shop.
        expires_at: First moment at which it cannot be bound.
        by: Who asks for it, for the record.
        now: Business time.

    Raises:
        UnknownAgentError: There is no such agent.
        JoinRefusedError: The agent is not active, or sells for another merchant.
        InvitationRefusedError: It would be over before it is made.
    """
    agent = get(conn, agent_id)
    if not agent.is_active:
        raise JoinRefusedError(f"agent {agent_id} is not active and invites nobody")
    if agent.merchant_id not in (None, merchant_id):
        raise JoinRefusedError(
            f"agent {agent_id} sells for merchant {agent.merchant_id} and invites nobody into the shop "
            f"{merchant_id}"
        )
    # A link tells whole seconds.
    ends = expires_at.astimezone(UTC).replace(microsecond=0)
    if ends <= now:
        raise InvitationRefusedError("an invitation must expire later than now, by a second at least")
    content = _Content(f"iv-{secrets.token_hex(8)}", agent_id, merchant_id, int(ends.timestamp()))
    conn.execute(
        "insert into agents.invitation (tenant_id, invitation_id, agent_id, merchant_id, made_at, made_by,"
        " expires_at) values (%s, %s, %s, %s, %s, %s, %s)",
        (tenant_id, content.invitation_id, agent_id, merchant_id, now, by, ends),
    )
    payload = msgspec.json.encode(content)
    signature = _signature(conn, vault, tenant_id, payload)
    return Invitation(
        content.invitation_id, agent_id, merchant_id, ends, f"{_text(payload)}.{_text(signature)}"
    )


def read(conn: Connection, vault: Vault, tenant_id: str, token: str) -> Invitation:
    """What a link says, if this tenant made it.

    Raises:
        InvitationRefusedError: It was altered, cut, or made by somebody else.
    """
    refused = InvitationRefusedError("this is no invitation of this platform, or it was altered")
    try:
        first, _, second = token.partition(".")
        payload, signature = _bytes(first), _bytes(second)
    except (binascii.Error, ValueError) as error:
        raise refused from error
    if not hmac.compare_digest(signature, _signature(conn, vault, tenant_id, payload)):
        raise refused
    content = msgspec.json.decode(payload, type=_Content)
    ends = datetime.fromtimestamp(content.expires_at, UTC)
    return Invitation(content.invitation_id, content.agent_id, content.merchant_id, ends, token)


def bind(
    conn: Connection,
    tenant_id: str,
    invitation: Invitation,
    consumer_id: str,
    window: timedelta,
    by: str,
    now: datetime,
) -> Binding:
    """A consumer followed a link: the agent's relation in that shop begins.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        invitation: As `read` gave it.
        consumer_id: Who followed it.
        window: How long the relation counts.
        by: The storefront's key, for the record.
        now: Business time.

    Returns:
        The relation; binding the same link by the same consumer again changes nothing.

    Raises:
        InvitationRefusedError: The link is over, or another consumer bound it.
        UnknownAgentError: The agent is gone.
        JoinRefusedError: The agent is not active any more, or it is the agent's own consumer account.
        AgentConflictError: A relation with another agent counts in this shop.
        ConsumerErasedError: The consumer was erased.
    """
    require_not_erased(conn, tenant_id, consumer_id, "nobody can be referred under this id any more")
    agent = get(conn, invitation.agent_id)
    if consumer_id == agent.own_consumer_id:
        raise JoinRefusedError(f"agent {agent.agent_id} cannot bind the agent's own consumer account")
    locks.consumer(conn, tenant_id, consumer_id)
    standing = _standing(conn, tenant_id, consumer_id, invitation.merchant_id, now)
    if standing is not None and standing.agent_id != agent.agent_id:
        raise AgentConflictError(
            f"consumer {consumer_id} follows another agent in the shop {invitation.merchant_id}; the first "
            "counts"
        )
    if standing is not None:
        return standing
    if now >= invitation.expires_at:
        raise InvitationRefusedError(f"this invitation ended at {invitation.expires_at.isoformat()}")
    if not agent.is_active:
        raise JoinRefusedError(f"agent {agent.agent_id} is not active any more")
    taken = conn.execute(
        "update agents.invitation set bound_at = %s, bound_by = %s"
        " where tenant_id = %s and invitation_id = %s and bound_at is null",
        (now, by, tenant_id, invitation.invitation_id),
    ).rowcount
    if not taken:
        raise InvitationRefusedError("this invitation was bound before; a link brings one consumer")
    valid_to = now + window
    conn.execute(
        "insert into agents.referral (tenant_id, merchant_id, consumer_id, agent_id, referred_at, valid_to,"
        " invitation_id) values (%s, %s, %s, %s, %s, %s, %s)",
        (
            tenant_id,
            invitation.merchant_id,
            consumer_id,
            agent.agent_id,
            now,
            valid_to,
            invitation.invitation_id,
        ),
    )
    return Binding(consumer_id, agent.agent_id, invitation.merchant_id, now, valid_to, is_new=True)


def referrer_of(
    conn: Connection, tenant_id: str, consumer_id: str, merchant_id: str, at: datetime
) -> str | None:
    """The agent whose relation with a consumer counts in a shop at a moment; None when there is none."""
    found = _standing(conn, tenant_id, consumer_id, merchant_id, at)
    return None if found is None else found.agent_id


def _standing(
    conn: Connection, tenant_id: str, consumer_id: str, merchant_id: str, at: datetime
) -> Binding | None:
    row = conn.execute(
        "select agent_id, referred_at, valid_to from agents.referral where tenant_id = %s"
        " and merchant_id = %s and consumer_id = %s and referred_at <= %s"
        " and (valid_to is null or valid_to > %s) order by referred_at limit 1",
        (tenant_id, merchant_id, consumer_id, at, at),
    ).fetchone()
    if row is None:
        return None
    return Binding(consumer_id, row[0], merchant_id, row[1], row[2], is_new=False)


def _signature(conn: Connection, vault: Vault, tenant_id: str, payload: bytes) -> bytes:
    """HMAC-SHA256 with the tenant's key that outlives every rotation."""
    return vault.blind_index(conn, tenant_id, _text(payload), table=_TABLE, column=_COLUMN)


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
