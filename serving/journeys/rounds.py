"""A round of all journeys of a tenant: who enters, what moves, what goes out, what loses.

Each part commits by itself and is done once, however often a round is made; one round at a time works for a
tenant, in whatever process. Shared by the worker, the command line and the graph.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from serving.db.retries import ConnectionFactory, in_transaction
from serving.journeys.channels.protocol import Gateways
from serving.journeys.dormant_agents import Silences, look_after_agents
from serving.journeys.engine.entering import enter_due
from serving.journeys.engine.ticking import Ticked, tick
from serving.journeys.outbox import Sent, hand_over_due
from serving.journeys.results import stop_losing


@dataclass(frozen=True)
class Round:
    """What a round did.

    Attributes:
        entered: New runs by journey.
        ticked: What moved.
        sent: What became of the messages that were due.
        lost: Journeys that lose and were stopped.
        agents: Tasks about agents that fell silent.
    """

    entered: Counter[str]
    ticked: Ticked
    sent: Sent
    lost: tuple[str, ...]
    agents: Silences


def make_round(transactions: ConnectionFactory, tenant_id: str, gateways: Gateways, now: datetime) -> Round:
    """Make a round.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        gateways: A way out for each channel.
        now: Business time.
    """
    entered = in_transaction(transactions, partial(enter_due, tenant_id=tenant_id, now=now))
    ticked = tick(transactions, tenant_id, now)
    sent = hand_over_due(transactions, tenant_id, gateways, now)
    lost = in_transaction(transactions, partial(stop_losing, tenant_id=tenant_id, now=now))
    agents = in_transaction(transactions, partial(look_after_agents, tenant_id=tenant_id, now=now))
    return Round(entered, ticked, sent, tuple(lost), agents)
