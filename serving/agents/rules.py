"""Which plan rule an agent falls under. The values stand in the plan, none here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import psycopg

from serving.agents.relations import Agent
from serving.settlement.errors import PlanNotInForceError
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.rules import RuleCore
from serving.settlement.plans.store import ALL_OTHERS, plan_in_force

RuleT = TypeVar("RuleT", bound=RuleCore)


def rule_for(
    conn: psycopg.Connection[Any], tenant_id: str, agent: Agent, kind: type[RuleT], at: datetime
) -> RuleT | None:
    """The rule of a kind in the plan of the agent's merchant; without a plan, that of the default profile.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        agent: The agent.
        kind: E.g. `ViolationRule`.
        at: The moment that counts.

    Returns:
        The rule, or None when the plan has it switched off.
    """
    try:
        plan = plan_in_force(conn, tenant_id, agent.merchant_id or ALL_OTHERS, at)
    except PlanNotInForceError:
        plan = load_shipped()
    return plan.only(kind)
