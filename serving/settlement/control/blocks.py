"""What stands in the way of a release: after-sale cases, holds, payees that are not verified. Reading only.

Source: common rules, release; L7, L11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from serving.db import locks
from serving.ledger.accounts import Party
from serving.settlement.books.legs import StoredLeg

SubOrder = tuple[str, str]
"""Order id and supplier id."""


def sub_order_target(order_id: str, supplier_id: str) -> str:
    """How a hold names a sub-order."""
    return f"{order_id}/{supplier_id}"


def party_target(party: Party) -> str:
    """How a hold names a party."""
    return f"{party.party_type}/{party.party_id}"


@dataclass(frozen=True, slots=True)
class Blocks:
    """What stands in the way, as it was when asked.

    Attributes:
        cases: Sub-orders with an open after-sale case.
        holds: (target type, target id) to the reason codes of the holds in force on it.
        verified: Payees that are verified.
    """

    cases: frozenset[SubOrder]
    holds: dict[tuple[str, str], tuple[str, ...]]
    verified: frozenset[Party]

    def of_sub_order(self, order_id: str, supplier_id: str) -> list[str]:
        """Reasons against every leg of a sub-order."""
        reasons = ["after_sale_open"] if (order_id, supplier_id) in self.cases else []
        for target in (("order", order_id), ("sub_order", sub_order_target(order_id, supplier_id))):
            reasons += [f"hold:{code}" for code in self.holds.get(target, ())]
        return reasons

    def of_leg(self, leg: StoredLeg) -> list[str]:
        """Reasons against one leg on top of those of its sub-order; none where nobody is paid by it."""
        if leg.is_platform_side or leg.due_cents == 0:
            return []
        reasons = self.of_party(leg.payee)
        return reasons + [f"hold:{code}" for code in self.holds.get(("leg", str(leg.leg_id)), ())]

    def of_party(self, party: Party) -> list[str]:
        """Reasons against paying a party."""
        reasons = [] if party in self.verified else ["not_verified"]
        return reasons + [f"hold:{code}" for code in self.holds.get(("party", party_target(party)), ())]


def read_blocks(
    conn: psycopg.Connection,
    tenant_id: str,
    now: datetime,
    sub_orders: Sequence[SubOrder] = (),
    legs: Iterable[StoredLeg] = (),
    parties: Iterable[Party] = (),
) -> Blocks:
    """Everything that could stand in the way of these sub-orders, legs and parties.

    Parties are share-locked until commit: a hold on one of them waits, or is seen.

    Args:
        conn: Inside a transaction of the tenant that holds the orders' rows.
        tenant_id: The tenant.
        now: Holds that expired before stand no longer.
        sub_orders: Order id and supplier id.
        legs: Their legs; their payees are looked at as well.
        parties: Further parties.
    """
    chosen = list(legs)
    payees = sorted({leg.payee for leg in chosen if not leg.is_platform_side} | set(parties))
    verified = locks.parties_stay(conn, tenant_id, payees)
    cases = conn.execute(
        "select distinct a.order_id, a.supplier_id from orders.after_sale a"
        " where a.tenant_id = %s and a.order_id = any(%s) and (a.status = 'open'"
        # Written before partly refunded cases stayed open.
        " or a.status = 'refunded' and a.refund_cents < a.requested_cents)",
        (tenant_id, sorted({order_id for order_id, _ in sub_orders})),
    ).fetchall()
    targets = {
        *(("order", order_id) for order_id, _ in sub_orders),
        *(("sub_order", sub_order_target(*sub_order)) for sub_order in sub_orders),
        *(("leg", str(leg.leg_id)) for leg in chosen),
        *(("party", party_target(party)) for party in payees),
    }
    holds: dict[tuple[str, str], tuple[str, ...]] = {}
    for target_type, target_id, reason in conn.execute(
        """
        select h.target_type, h.target_id, h.reason_code
        from unnest(%(types)s::text[], %(ids)s::text[]) as t (target_type, target_id)
        join settlement.hold h on h.tenant_id = %(tenant)s and h.state = 'standing'
            and h.target_type = t.target_type and h.target_id = t.target_id
        where h.expires_at is null or h.expires_at > %(now)s
        union
        select h.target_type, h.target_id, h.reason_code from settlement.hold h
        where h.tenant_id = %(tenant)s and h.state = 'confirmed' and h.target_type = 'party'
            and h.target_id = any(%(parties)s)
        order by 1, 2, 3
        """,
        {
            "tenant": tenant_id,
            "now": now,
            "types": [target_type for target_type, _ in targets],
            "ids": [target_id for _, target_id in targets],
            "parties": [party_target(party) for party in payees],
        },
    ):
        holds[target_type, target_id] = (*holds.get((target_type, target_id), ()), reason)
    return Blocks(
        frozenset((order_id, supplier_id) for order_id, supplier_id in cases),
        holds,
        frozenset(Party(*party) for party, is_verified in verified.items() if is_verified),
    )
