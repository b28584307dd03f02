"""Agents and who invited them: joining, and the tree around an agent. Consumers follow by `invitations`.

Who is paid from an order is decided in `order_parties`; what a level earns is plan data. The inviter is
fixed when an agent joins and has to exist before, so that no cycle can be made; the database checks depth
and inviter again.

Source: P1 (no cycle), P12 (depth at most three, counting the top payee).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from serving.agents.errors import (
    AgentConflictError,
    JoinRefusedError,
    RelationDepthError,
    UnknownAgentError,
)
from serving.consumers.erased import require_not_erased

MAX_DEPTH = 3
"""Levels of a relation, counting the top; migration 0004 holds the same number as a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """An agent who joins.

    Attributes:
        agent_id: New and unique.
        joined_on: First day.
        merchant_id: Whose goods are sold; None for an agent of the platform.
        inviter_agent_id: Who invited; None for a top agent.
        manager_agent_id: The one manager of record, for the team award.
        region_code: Where the agent sells.
        own_consumer_id: The consumer account of the same person.
        runs_store: The agent runs an agent store (share of the pool).
        name: Name of the party.
        is_natural_person: A person, not a company.
        has_contract: A signed contract is on file.
        is_verified: Identity is verified.
    """

    agent_id: str
    joined_on: date
    merchant_id: str | None = None
    inviter_agent_id: str | None = None
    manager_agent_id: str | None = None
    region_code: str | None = None
    own_consumer_id: str | None = None
    runs_store: bool = False
    name: str | None = None
    is_natural_person: bool = True
    has_contract: bool = False
    is_verified: bool = False


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as stored; `depth` 1 is the top of a relation, `is_active` ends at `ended_at`."""

    agent_id: str
    merchant_id: str | None
    inviter_agent_id: str | None
    manager_agent_id: str | None
    depth: int
    tier: str
    region_code: str | None
    has_service_evidence: bool
    own_consumer_id: str | None
    runs_store: bool
    joined_on: date | None
    is_natural_person: bool
    has_contract: bool
    is_verified: bool
    is_active: bool
    ended_at: datetime | None

    def sold_at(self, at: datetime | None) -> bool:
        """Whether the agent had not ended at a moment; None: now."""
        return self.is_active or (at is not None and self.ended_at is not None and at < self.ended_at)


class Relative(NamedTuple):
    """An agent in the tree of another; `distance` counts levels, upwards or downwards."""

    agent_id: str
    distance: int


# An agent whose party was never entered is neither verified nor under contract, but sells.
_SELECT = (
    "select a.agent_id, a.merchant_id, a.inviter_agent_id, a.manager_agent_id, a.depth, a.tier, "
    "a.region_code,"
    " a.has_service_evidence, a.own_consumer_id, a.runs_store, a.joined_on,"
    " coalesce(p.is_natural_person, true) as is_natural_person, coalesce(p.has_contract, false) as "
    "has_contract,"
    " coalesce(p.is_verified, false) as is_verified, coalesce(p.is_active, true) as is_active,"
    " p.ended_at"
    " from agents.agent a left join parties.party p"
    " on p.tenant_id = a.tenant_id and p.party_type = 'agent' and p.party_id = a.agent_id"
)


def join(conn: psycopg.Connection[Any], tenant_id: str, joining: Joining) -> tuple[Agent, bool]:
    """Take in an agent; once.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        joining: Who joins.

    Returns:
        The agent, and whether the agent is new; the same request again changes nothing.

    Raises:
        JoinRefusedError: The inviter or manager is unknown, not active, the agent itself, or of another
            merchant.
        RelationDepthError: The inviter stands on the third level.
        AgentConflictError: The agent has joined with other particulars, or the consumer account is another
            agent's.
        ConsumerErasedError: The consumer account belonged to a person who was erased.

    Source: P12.
    """
    known = find(conn, joining.agent_id)
    if known is not None:
        return _same(known, joining), False
    if joining.own_consumer_id is not None:
        require_not_erased(conn, tenant_id, joining.own_consumer_id, "no agent can buy under this id")
    for role, other_id in (("inviter", joining.inviter_agent_id), ("manager", joining.manager_agent_id)):
        if other_id is None:
            continue
        other = find(conn, other_id)
        _check_relative(joining, role, other_id, other)
        if role == "inviter" and other is not None and other.depth >= MAX_DEPTH:
            raise RelationDepthError(
                f"agent {joining.agent_id}: inviter {other_id} stands on level {other.depth}; a relation "
                "has at "
                f"most {MAX_DEPTH} levels. Join without an inviter, or under one who stands higher"
            )
    values = {name: getattr(joining, name) for name in Joining.__dataclass_fields__} | {"tenant": tenant_id}
    conn.execute(
        "insert into parties.party (tenant_id, party_type, party_id, name, region_code, is_natural_person,"
        " has_contract, is_verified, joined_on) values (%(tenant)s, 'agent', %(agent_id)s, %(name)s,"
        " %(region_code)s, %(is_natural_person)s, %(has_contract)s, %(is_verified)s, %(joined_on)s)"
        " on conflict do nothing",
        values,
    )
    # Whichever unique key stands in the way, the statement does not fail: the transaction goes on.
    added = conn.execute(
        "insert into agents.agent (tenant_id, agent_id, merchant_id, inviter_agent_id, manager_agent_id, "
        "depth,"
        " region_code, own_consumer_id, runs_store, joined_on) values (%(tenant)s, %(agent_id)s, "
        "%(merchant_id)s,"
        " %(inviter_agent_id)s, %(manager_agent_id)s, 1, %(region_code)s, %(own_consumer_id)s, "
        "%(runs_store)s,"
        " %(joined_on)s) on conflict do nothing",
        values,
    ).rowcount
    stored = find(conn, joining.agent_id)
    if stored is None:
        raise AgentConflictError(
            f"agent {joining.agent_id}: consumer {joining.own_consumer_id} belongs to another agent; a "
            "consumer "
            "account stands for one agent at most"
        )
    return (stored, True) if added else (_same(stored, joining), False)


def find(conn: psycopg.Connection[Any], agent_id: str) -> Agent | None:
    """An agent of the session's tenant, or None."""
    with conn.cursor(row_factory=class_row(Agent)) as cursor:
        return cursor.execute(f"{_SELECT} where a.agent_id = %s", (agent_id,)).fetchone()


def get(conn: psycopg.Connection[Any], agent_id: str) -> Agent:
    """An agent of the session's tenant.

    Raises:
        UnknownAgentError: There is none with that id.
    """
    agent = find(conn, agent_id)
    if agent is None:
        raise UnknownAgentError(f"there is no agent {agent_id}; agents join with POST /v1/agents")
    return agent


def page(
    conn: psycopg.Connection[Any], *, merchant_id: str | None, agent_id: str | None, after: str, limit: int
) -> list[Agent]:
    """Agents of the session's tenant by id, after the given id; of one merchant, or just one, when given."""
    with conn.cursor(row_factory=class_row(Agent)) as cursor:
        return cursor.execute(
            f"{_SELECT} where a.agent_id > %(after)s"
            " and (%(merchant)s::text is null or a.merchant_id = %(merchant)s)"
            " and (%(agent)s::text is null or a.agent_id = %(agent)s)"
            " order by a.agent_id limit %(limit)s",
            {"after": after, "merchant": merchant_id, "agent": agent_id, "limit": limit},
        ).fetchall()


def upline(conn: psycopg.Connection[Any], agent_id: str) -> list[Relative]:
    """Who invited an agent, and who invited that one; nearest first, at most two."""
    rows = conn.execute(
        "with recursive chain as ("
        " select a.inviter_agent_id as agent_id, 1 as distance from agents.agent a where a.agent_id = "
        "%(agent)s"
        " union all"
        " select a.inviter_agent_id, c.distance + 1 from chain c join agents.agent a on a.agent_id = "
        "c.agent_id"
        " where c.distance < %(depth)s)"
        " select agent_id, distance from chain where agent_id is not null order by distance",
        {"agent": agent_id, "depth": MAX_DEPTH},
    )
    return [Relative(*row) for row in rows]


def downline(conn: psycopg.Connection[Any], agent_id: str) -> list[Relative]:
    """Whom an agent invited, directly or not; nearest first, then by id."""
    rows = conn.execute(
        "with recursive chain as ("
        " select a.agent_id, 1 as distance from agents.agent a where a.inviter_agent_id = %(agent)s"
        " union all"
        " select a.agent_id, c.distance + 1 from chain c join agents.agent a on a.inviter_agent_id = "
        "c.agent_id"
        " where c.distance < %(depth)s)"
        " select agent_id, distance from chain order by distance, agent_id",
        {"agent": agent_id, "depth": MAX_DEPTH},
    )
    return [Relative(*row) for row in rows]


def _check_relative(joining: Joining, role: str, other_id: str, other: Agent | None) -> None:
    if other_id == joining.agent_id:
        raise JoinRefusedError(f"agent {joining.agent_id} cannot be the {role} of the same agent")
    if other is None:
        raise JoinRefusedError(
            f"agent {joining.agent_id}: {role} {other_id} is unknown; let the {role} join first"
        )
    if not other.is_active:
        raise JoinRefusedError(f"agent {joining.agent_id}: {role} {other_id} is not active; name another one")
    if other.merchant_id != joining.merchant_id:
        raise JoinRefusedError(
            f"agent {joining.agent_id}: {role} {other_id} sells for another merchant; name one of the "
            "same merchant"
        )


def _same(known: Agent, joining: Joining) -> Agent:
    """The stored agent, if the request says the same.

    Raises:
        AgentConflictError: naming what differs.
    """
    compared = (
        "merchant_id",
        "inviter_agent_id",
        "manager_agent_id",
        "region_code",
        "own_consumer_id",
        "runs_store",
        "joined_on",
    )
    differing = [name for name in compared if getattr(known, name) != getattr(joining, name)]
    if differing:
        raise AgentConflictError(
            f"agent {joining.agent_id} joined before with another {', '.join(differing)}; ids are not "
            "used twice"
        )
    return known
