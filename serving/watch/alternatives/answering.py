"""After a look: what could be done about every new alarm, and what may be done by itself is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from serving.db.retries import in_transaction
from serving.orders.assortment.losses import DEFAULT_RULES, LossRules
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters
from serving.watch.alternatives.proposing import propose
from serving.watch.alternatives.records import seconds_to_alternatives, without_alternatives
from serving.watch.alternatives.taking import CarriedOut, Transactions, carry_out


@dataclass(frozen=True, slots=True)
class Answered:
    """What was proposed and done.

    Attributes:
        alarms: Alarms for which something was proposed.
        with_two: Those with two alternatives or more.
        slowest_s: Longest time from an alarm of these to its alternatives, seconds.
        carried_out: What was done of what had been decided.
    """

    alarms: int = 0
    with_two: int = 0
    slowest_s: float = 0.0
    carried_out: CarriedOut = field(default_factory=CarriedOut)


def answer(
    transactions: Transactions,
    tenant_id: str,
    now: datetime,
    cost: CostParameters = DEFAULT_COST,
    rules: LossRules = DEFAULT_RULES,
) -> Answered:
    """Propose alternatives, each alarm in a transaction of its own, and carry out what is decided.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
        cost: Parameters of the routing cost, as ordering has them.
        rules: How a loss by another supplier is reckoned, as ordering does.
    """
    open_alarms = in_transaction(transactions, lambda conn: without_alternatives(conn, tenant_id))
    proposed: dict[int, int] = {}
    for alarm_id in open_alarms:

        def work(conn: psycopg.Connection[Any], of: int = alarm_id) -> int:
            return len(propose(conn, tenant_id, of, now, cost))

        proposed[alarm_id] = in_transaction(transactions, work)
    answered = sorted(alarm_id for alarm_id, options in proposed.items() if options)
    slowest = in_transaction(transactions, lambda conn: seconds_to_alternatives(conn, tenant_id, answered))
    return Answered(
        len(answered),
        sum(options > 1 for options in proposed.values()),
        max(slowest, default=0.0),
        carry_out(transactions, tenant_id, now, rules, cost),
    )
