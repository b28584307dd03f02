"""P2, three-for-one, in the books: full batches of locked legs are paid, expired ones go to the platform.

Which batches are full is decided by `three_for_one`.

Source: P2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import psycopg

from serving.db.isolation import Alarm, isolated, log_alarm
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.accounts import PLATFORM, AccountBook, AccountKind, Party, locked
from serving.ledger.posting import Posting
from serving.ledger.posting_bulk import post_many
from serving.settlement.books.accrual import lock_orders
from serving.settlement.books.forfeiture import forfeit
from serving.settlement.books.legs import Move, StoredLeg, order_legs, summed
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.books.release import mark_released, unfreeze
from serving.settlement.control.blocks import read_blocks
from serving.settlement.errors import PlanUnreadableError
from serving.settlement.plans.rules import ThreeForOneRule
from serving.settlement.plans.store import plan_version
from serving.settlement.sharing.three_for_one import LockedInvite, UnlockedBatch, unlock


class Unlocked(NamedTuple):
    """What a run did.

    Attributes:
        batches: Full batches.
        paid_cents: Fen that inviters got.
        kept_cents: Fen that the limit of a batch left to the platform.
        expired_cents: Fen of locked legs whose time was over.
    """

    batches: int = 0
    paid_cents: int = 0
    kept_cents: int = 0
    expired_cents: int = 0

    def plus(self, other: Unlocked) -> Unlocked:
        """Both together."""
        return Unlocked(*(a + b for a, b in zip(self, other, strict=True)))


def unlock_due(
    transactions: ConnectionFactory, tenant_id: str, now: datetime, alarm: Alarm = log_alarm
) -> Unlocked:
    """Unlock every full batch and expire what is too old; a transaction per inviter.

    Invites count together whichever plan versions their orders were frozen with.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Time of booking.
        alarm: Is told of inviters that are stopped, and of orders whose plan cannot be read.
    """
    total = Unlocked()
    for inviter in in_transaction(transactions, partial(_inviters, tenant_id=tenant_id)):
        work = partial(_unlock_inviter, tenant_id=tenant_id, inviter=inviter, now=now, alarm=alarm)
        subject = f"three-for-one of {inviter.party_type} {inviter.party_id}"
        total = total.plus(isolated(transactions, subject, work, alarm) or Unlocked())
    return total


def _inviters(conn: psycopg.Connection, tenant_id: str) -> list[Party]:
    rows = conn.execute(
        "select distinct payee_type, payee_id from settlement.leg"
        " where tenant_id = %s and state = 'locked' order by 1, 2",
        (tenant_id,),
    )
    return [Party(party_type, party_id) for party_type, party_id in rows]


def _unlock_inviter(
    conn: psycopg.Connection, tenant_id: str, inviter: Party, now: datetime, alarm: Alarm
) -> Unlocked:
    legs = _locked_legs(conn, tenant_id, inviter)
    rules = _rules(conn, tenant_id, list(legs), alarm)
    legs = {order_id: of_order for order_id, of_order in legs.items() if order_id in rules}
    invites = _invites(conn, tenant_id, inviter, legs, rules, now)
    # An invitee counts once; a second locked order of his waits behind the first.
    first: dict[str, LockedInvite] = {}
    for invite in invites:
        first.setdefault(invite.invitee_id, invite)
    outcome = unlock(first.values(), now)
    by_id = {leg.leg_id: leg for of_order in legs.values() for leg in of_order}
    done = Unlocked()
    if outcome.unlocked:
        done = _pay(conn, tenant_id, inviter, outcome.unlocked, by_id, now)
    for invite in outcome.expired:
        expired = forfeit(
            conn,
            tenant_id,
            invite.order_id,
            legs[invite.order_id],
            now,
            key=f"lock_expired:{invite.order_id}:{inviter.party_type}:{inviter.party_id}",
            kind="forfeiture",
            reason=f"expired after {invite.rule.expires_days} days without a full batch",
        )
        done = done.plus(Unlocked(expired_cents=expired))
    return done


def _rules(
    conn: psycopg.Connection, tenant_id: str, order_ids: Sequence[str], alarm: Alarm
) -> dict[str, ThreeForOneRule]:
    """P2 of the version that each order was frozen with; orders of an unreadable plan are left out."""
    rules: dict[str, ThreeForOneRule] = {}
    unreadable: set[tuple[str, int]] = set()
    for order_id, plan_id, version in conn.execute(
        "select distinct on (order_id) order_id, plan_id, plan_version from settlement.leg"
        " where tenant_id = %s and order_id = any(%s) and state = 'locked' order by order_id, leg_id",
        (tenant_id, list(order_ids)),
    ).fetchall():
        try:
            rule = plan_version(conn, tenant_id, plan_id, version).three_for_one
        except PlanUnreadableError as error:
            if (plan_id, version) not in unreadable:
                alarm(f"three-for-one under plan {plan_id} {version}", error)
            unreadable.add((plan_id, version))
            continue
        if rule is not None:
            rules[order_id] = rule
    return rules


def _locked_legs(conn: psycopg.Connection, tenant_id: str, inviter: Party) -> dict[str, list[StoredLeg]]:
    """Locked legs of an inviter by order; the orders stay locked until commit."""
    order_ids = [
        order_id
        for (order_id,) in conn.execute(
            "select distinct order_id from settlement.leg where tenant_id = %s and payee_type = %s"
            " and payee_id = %s and state = 'locked'",
            (tenant_id, *inviter),
        )
    ]
    lock_orders(conn, tenant_id, order_ids)
    legs: dict[str, list[StoredLeg]] = defaultdict(list)
    for leg in order_legs(conn, tenant_id, order_ids):
        if leg.state == "locked" and leg.payee == inviter:
            legs[leg.order_id].append(leg)
    return legs


def _invites(
    conn: psycopg.Connection,
    tenant_id: str,
    inviter: Party,
    legs: dict[str, list[StoredLeg]],
    rules: dict[str, ThreeForOneRule],
    now: datetime,
) -> list[LockedInvite]:
    """Invites, oldest first; released: its sub-orders all passed their window, and nothing is in the way."""
    flat = [leg for of_order in legs.values() for leg in of_order]
    sub_orders = sorted({(leg.order_id, leg.supplier_id) for leg in flat})
    blocks = read_blocks(conn, tenant_id, now, sub_orders, flat)
    blocked = {leg.order_id for leg in flat if blocks.of_leg(leg)}
    blocked |= {
        order_id for order_id, supplier_id in sub_orders if blocks.of_sub_order(order_id, supplier_id)
    }
    rows = conn.execute(
        """
        select o.order_id, o.consumer_id,
            (select sum(n.net_paid_cents - n.refunded_cents)::bigint from orders.order_line n
             where n.tenant_id = o.tenant_id and n.order_id = o.order_id),
            (select min(l.accrued_at) from settlement.leg l
             where l.tenant_id = o.tenant_id and l.order_id = o.order_id and l.state = 'locked'),
            (select case when bool_and(s.status in ('received', 'released') and s.release_due_at <= %(now)s)
                    then max(s.release_due_at) end
             from orders.sub_order s
             where s.tenant_id = o.tenant_id and s.order_id = o.order_id and s.supplier_id in
                 (select l.supplier_id from settlement.leg l where l.tenant_id = o.tenant_id
                  and l.order_id = o.order_id and l.state = 'locked'))
        from orders.customer_order o where o.tenant_id = %(tenant)s and o.order_id = any(%(orders)s)
        order by 4, 1
        """,
        {"now": now, "tenant": tenant_id, "orders": list(legs)},
    )
    return [
        LockedInvite(
            order_id=order_id,
            invitee_id=consumer_id,
            inviter_id=inviter.party_id,
            leg_ids=tuple(str(leg.leg_id) for leg in legs[order_id]),
            leg_cents=tuple(leg.due_cents for leg in legs[order_id]),
            net_paid_cents=net,
            locked_at=locked_at,
            released_at=None if order_id in blocked else released_at,
            rule=rules[order_id],
        )
        for order_id, consumer_id, net, locked_at, released_at in rows
    ]


def _pay(
    conn: psycopg.Connection,
    tenant_id: str,
    party: Party,
    batches: Sequence[UnlockedBatch],
    legs: dict[int, StoredLeg],
    now: datetime,
) -> Unlocked:
    book = AccountBook(conn, tenant_id)
    funds = PartyFunds.lock(conn, tenant_id, book, [party], [(locked(party), party)])
    postings = []
    kept: dict[int, int] = {}
    done = Unlocked()
    for batch in batches:
        by_order: dict[str, list[StoredLeg]] = defaultdict(list)
        for leg_id in batch.paid_cents:
            by_order[legs[int(leg_id)].order_id].append(legs[int(leg_id)])
        for order_id, of_order in by_order.items():
            moves: list[Move] = []
            paid = 0
            for leg in of_order:
                kept[leg.leg_id] = batch.kept_cents.get(str(leg.leg_id), 0)
                paid += batch.paid_cents[str(leg.leg_id)]
                moves.append((locked(party), party, -leg.due_cents, leg.leg_id))
                moves.append((AccountKind.PLATFORM_FEE, PLATFORM, kept[leg.leg_id], leg.leg_id))
                moves += unfreeze(leg)
            lines = summed(moves) + funds.credit(party, paid)
            key = f"unlock:{order_id}:{of_order[0].leg_id}"
            details = {"batch": list(batch.order_ids), "limit_cents": batch.limit_cents}
            postings.append(Posting(key, "unlock", now, lines, order_id, details))
        paid_cents, kept_cents = sum(batch.paid_cents.values()), sum(batch.kept_cents.values())
        done = done.plus(Unlocked(1, paid_cents, kept_cents))
    post_many(conn, tenant_id, postings, book)
    conn.execute(
        "update settlement.leg l set forfeited_cents = l.forfeited_cents + k.cents,"
        " explanation = l.explanation || '; unlocked by a batch of three'"
        " || case when k.cents > 0"
        " then ', its limit leaves ' || k.cents || ' fen to the platform' else '' end"
        " from unnest(%s::bigint[], %s::bigint[]) as k (leg_id, cents)"
        " where l.tenant_id = %s and l.leg_id = k.leg_id",
        (list(kept), list(kept.values()), tenant_id),
    )
    mark_released(conn, tenant_id, now, list(kept))
    return done
