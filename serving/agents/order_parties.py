"""Who may be paid from an order, as it is frozen into the order's snapshot. What they get is plan data.

Purchases of an agent's own consumer account stay visible here and are cut to 0 by the waterfall, with a
reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import psycopg

from serving.agents.errors import JoinRefusedError
from serving.agents.invitations import referrer_of
from serving.agents.relations import Agent, find, get, upline
from serving.agents.tier_close import tiers_at
from serving.settlement.sharing.snapshot import Parties, Party

_NO_ROLES: Mapping[str, Party] = {}


def parties_of_order(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    merchant_id: str,
    agent_id: str | None,
    consumer_id: str,
    *,
    placed_at: datetime,
    order_id: str | None = None,
    region_code: str | None = None,
    on: date | None = None,
    at: datetime | None = None,
    roles: Mapping[str, Party] = _NO_ROLES,
) -> Parties:
    """Everybody who may be paid from an order, as things stand; tiers as they stood when it was paid.

    The seller is the order's agent while that one is active, else the merchant. The chain above the buyer
    begins with the agent whom the buyer follows in this shop, or with the selling agent when there is none;
    it ends at the first agent who is not active, so that nobody moves up into a nearer level.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The shop.
        agent_id: The order's agent.
        consumer_id: The buyer.
        placed_at: When the order was placed; relations count as of then.
        order_id: The order itself, which does not count as an earlier purchase.
        region_code: Where the goods go; with `on`, whose protected region it is.
        on: Day of the payment.
        at: Moment of the payment, for tiers; None: as they stand.
        roles: Scene roles of the order, passed on.

    Raises:
        UnknownAgentError: There is no such agent.
        JoinRefusedError: The agent sells for another merchant.

    Source: P1, P2 (first purchases), P3, P6, P9, P12.
    """
    agent = get(conn, agent_id) if agent_id is not None else None
    if agent is not None and agent.merchant_id not in (None, merchant_id):
        raise JoinRefusedError(
            f"agent {agent.agent_id} sells for merchant {agent.merchant_id}, not {merchant_id}"
        )
    selling = agent if agent is not None and agent.sold_at(at) else None
    referrer_id = referrer_of(conn, tenant_id, consumer_id, merchant_id, placed_at)
    if referrer_id is None and selling is not None:
        referrer_id = selling.agent_id
    found = Parties(
        seller=_party(selling) if selling else _merchant(conn, tenant_id, merchant_id),
        upline=_chain(conn, referrer_id, at),
        manager=_manager(conn, selling, at),
        roles=roles,
        region_protected=_protected(conn, tenant_id, region_code, on, at) if selling else None,
        seller_scheme="agent_store" if selling and selling.runs_store else "direct",
        is_first_purchase=_is_first_purchase(conn, tenant_id, consumer_id, order_id),
    )
    return found if at is None else _with_tiers_at(conn, tenant_id, found, at)


def _with_tiers_at(conn: psycopg.Connection[Any], tenant_id: str, parties: Parties, at: datetime) -> Parties:
    """The same parties with the tiers of a moment: a month may have been closed since."""
    manager, protected = parties.manager, parties.region_protected
    everybody = [parties.seller, *parties.upline, *parties.roles.values(), manager, protected]
    agents = {one.party_id for one in everybody if one is not None and one.party_type == "agent"}
    tiers = tiers_at(conn, tenant_id, agents, at) if agents else {}
    if not tiers:
        return parties

    def then(party: Party) -> Party:
        tier = tiers.get(party.party_id) if party.party_type == "agent" else None
        return party if tier is None else replace(party, tier=tier)

    return replace(
        parties,
        seller=then(parties.seller),
        upline=tuple(then(one) for one in parties.upline),
        manager=then(manager) if manager else None,
        roles={role: then(one) for role, one in parties.roles.items()},
        region_protected=then(protected) if protected else None,
    )


def _party(agent: Agent) -> Party:
    return Party(
        party_type="agent",
        party_id=agent.agent_id,
        tier=agent.tier,
        is_natural_person=agent.is_natural_person,
        has_contract=agent.has_contract,
        is_verified=agent.is_verified,
        has_service_evidence=agent.has_service_evidence,
        own_consumer_id=agent.own_consumer_id,
    )


def _merchant(conn: psycopg.Connection[Any], tenant_id: str, merchant_id: str) -> Party:
    row = conn.execute(
        "select is_natural_person, has_contract, is_verified from parties.party"
        " where tenant_id = %s and party_type = 'merchant' and party_id = %s",
        (tenant_id, merchant_id),
    ).fetchone()
    party = Party(party_type="merchant", party_id=merchant_id, is_verified=False)
    if row is None:
        return party
    return replace(party, is_natural_person=row[0], has_contract=row[1], is_verified=row[2])


def _chain(conn: psycopg.Connection[Any], agent_id: str | None, at: datetime | None) -> tuple[Party, ...]:
    if agent_id is None:
        return ()
    chain = []
    for relative_id in (agent_id, *(relative.agent_id for relative in upline(conn, agent_id))):
        agent = get(conn, relative_id)
        if not agent.sold_at(at):
            break
        chain.append(_party(agent))
    return tuple(chain)


def _manager(conn: psycopg.Connection[Any], selling: Agent | None, at: datetime | None) -> Party | None:
    """The one manager of record of the selling agent, while active."""
    if selling is None or selling.manager_agent_id is None:
        return None
    manager = find(conn, selling.manager_agent_id)
    return _party(manager) if manager is not None and manager.sold_at(at) else None


def _protected(
    conn: psycopg.Connection[Any],
    tenant_id: str,
    region_code: str | None,
    on: date | None,
    at: datetime | None,
) -> Party | None:
    """The active agent for whom the region is protected then; the waterfall leaves out the seller's own."""
    if region_code is None or on is None:
        return None
    row = conn.execute(
        "select agent_id from agents.protected_region where tenant_id = %s and region_code = %s"
        " and protected_from <= %s and protected_to > %s",
        (tenant_id, region_code, on, on),
    ).fetchone()
    agent = find(conn, str(row[0])) if row else None
    return _party(agent) if agent is not None and agent.sold_at(at) else None


def _is_first_purchase(
    conn: psycopg.Connection[Any], tenant_id: str, consumer_id: str, order_id: str | None
) -> bool:
    row = conn.execute(
        "select exists (select 1 from orders.customer_order where tenant_id = %s and consumer_id = %s"
        " and paid_at is not null and order_id is distinct from %s)",
        (tenant_id, consumer_id, order_id),
    ).fetchone()
    return row is not None and not row[0]
