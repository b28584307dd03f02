"""Release: what has waited long enough moves from pending to available, sub-order by sub-order.

Locked legs wait for `referral_unlock`; money that the channel gives free before its release is the affair of
`deadline`. Receipts, also those that nobody confirmed: `serving.orders.fulfilment.receipts`.

Source: common rules, release; L11.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import psycopg

from serving.db import locks
from serving.db.isolation import Alarm, isolated, log_alarm, no_alarm
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.accounts import AccountBook, AccountKind, Party, pending
from serving.ledger.posting import Line, Posting
from serving.ledger.posting_bulk import post_many
from serving.settlement.beside.points import settle_points
from serving.settlement.books.legs import Move, StoredLeg, legs_of_sub_orders, summed
from serving.settlement.books.receivables import PartyFunds
from serving.settlement.control.blocks import SubOrder, read_blocks
from serving.settlement.order_book import OrderBook
from serving.settlement.plans.rules import ReleaseRule
from serving.settlement.plans.store import plan_version
from serving.settlement.sharing.rounding import FULL_BPS


class Position(NamedTuple):
    """How far a run has come; sub-orders are visited in this order."""

    release_due_at: datetime
    order_id: str
    supplier_id: str


class Released(NamedTuple):
    """What a batch or a run released.

    Attributes:
        sub_orders: Sub-orders of which something was released.
        legs: Legs.
        paid_cents: Fen that parties got, available or against their debts.
        batches: Transactions of the database.
    """

    sub_orders: int = 0
    legs: int = 0
    paid_cents: int = 0
    batches: int = 0

    def plus(self, other: Released) -> Released:
        """Both together."""
        return Released(*(a + b for a, b in zip(self, other, strict=True)))


def release_due(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    batch: int = 500,
    alarm: Alarm = log_alarm,
    *,
    orders: OrderBook,
) -> Released:
    """Release everything that is due.

    Each batch is a transaction of its own: a run that is cut off is taken up by the next, and any number of
    runs may work at once, since each takes what nobody else holds. A batch that fails is done again one
    sub-order at a time, and only those that cannot be released wait, each with an alarm.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: What is due by then.
        batch: Legs in a transaction, about; a sub-order is never split.
        alarm: Is told of every sub-order that is stopped.
        orders: Is told what was released.
    """
    total = Released()
    position: Position | None = None
    while True:
        work = partial(
            release_batch, tenant_id=tenant_id, now=now, batch=batch, orders=orders, after=position
        )
        outcome = isolated(transactions, "a batch of releases", work, no_alarm)
        if outcome is None:
            outcome = _release_singly(transactions, tenant_id, now, batch, position, alarm, orders)
        done, position = outcome
        total = total.plus(done)
        if position is None:
            return total


def _release_singly(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    batch: int,
    after: Position | None,
    alarm: Alarm,
    orders: OrderBook,
) -> tuple[Released, Position | None]:
    claim = partial(_claim, tenant_id=tenant_id, now=now, batch=batch, after=after)
    positions = in_transaction(transactions, claim)
    total = Released()
    for position in positions:
        subject = f"the release of order {position.order_id}, supplier {position.supplier_id}"
        work = partial(_release_one, tenant_id=tenant_id, now=now, position=position, orders=orders)
        total = total.plus(isolated(transactions, subject, work, alarm) or Released())
    return total, positions[-1] if positions else None


def _release_one(
    conn: psycopg.Connection, tenant_id: str, now: datetime, position: Position, orders: OrderBook
) -> Released:
    """Release one sub-order, unless somebody else has it or did it."""
    held = conn.execute(
        "select 1 from orders.sub_order s"
        " join orders.customer_order o on o.tenant_id = s.tenant_id and o.order_id = s.order_id"
        " where s.tenant_id = %s and s.order_id = %s and s.supplier_id = %s and s.status = 'received'"
        f" and s.release_due_at <= %s{locks.CLAIMED_ORDERS}".encode(),
        (tenant_id, position.order_id, position.supplier_id, now),
    ).fetchone()
    if held is None:
        return Released()
    sub_order = (position.order_id, position.supplier_id)
    legs = [leg for leg in legs_of_sub_orders(conn, tenant_id, [sub_order]) if leg.state == "pending"]
    return release_sub_orders(conn, tenant_id, now, {sub_order: legs}, orders)._replace(batches=1)


def release_batch(
    conn: psycopg.Connection,
    tenant_id: str,
    now: datetime,
    batch: int,
    orders: OrderBook,
    after: Position | None = None,
) -> tuple[Released, Position | None]:
    """Release one batch.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        now: What is due by then.
        batch: Legs, about.
        orders: Is told what was released.
        after: Where the batch before ended.

    Returns:
        What was released, and where the batch ended; None when nothing is left.
    """
    positions = _claim(conn, tenant_id, now, batch, after)
    if not positions:
        return Released(), None
    by_sub_order: dict[SubOrder, list[StoredLeg]] = defaultdict(list)
    for leg in legs_of_sub_orders(conn, tenant_id, [(p.order_id, p.supplier_id) for p in positions]):
        if leg.state == "pending":
            by_sub_order[leg.order_id, leg.supplier_id].append(leg)
    taken: list[SubOrder] = []
    last = positions[-1]
    legs = 0
    for position in positions:
        sub_order = (position.order_id, position.supplier_id)
        taken.append(sub_order)
        legs += len(by_sub_order[sub_order])
        if legs >= batch:
            last = position
            break
    done = release_sub_orders(conn, tenant_id, now, {key: by_sub_order[key] for key in taken}, orders)
    return done._replace(batches=1), last


def release_sub_orders(
    conn: psycopg.Connection,
    tenant_id: str,
    now: datetime,
    sub_orders: dict[SubOrder, list[StoredLeg]],
    orders: OrderBook,
) -> Released:
    """Release the pending legs of sub-orders whose window has passed, unless something stands in the way.

    Args:
        conn: Inside a transaction of the tenant that holds the orders' rows.
        tenant_id: The tenant.
        now: Time of booking.
        sub_orders: Order id and supplier id to the pending legs.
        orders: Is told what was released.
    """
    legs = [leg for of_one in sub_orders.values() for leg in of_one]
    blocks = read_blocks(conn, tenant_id, now, list(sub_orders), legs)
    free = {
        sub_order: [leg for leg in of_one if not blocks.of_leg(leg)]
        for sub_order, of_one in sub_orders.items()
        if not blocks.of_sub_order(*sub_order)
    }
    payees = {leg.payee for of_one in free.values() for leg in of_one if not leg.is_platform_side}
    book = AccountBook(conn, tenant_id)
    funds = PartyFunds.lock(conn, tenant_id, book, payees, [(pending(party), party) for party in payees])
    postings = []
    paid = 0
    for (order_id, supplier_id), of_one in free.items():
        most = _netting(conn, tenant_id, of_one, funds)
        lines = release_lines(of_one, funds, most)
        paid += sum(leg.due_cents for leg in of_one if not leg.is_platform_side)
        if lines:
            # A leg is released once, so the first leg of a release names it.
            key = f"release:{order_id}:{supplier_id}:{of_one[0].leg_id}"
            postings.append(Posting(key, "release", now, lines, order_id, {"supplier_id": supplier_id}))
    post_many(conn, tenant_id, postings, book)
    mark_released(conn, tenant_id, now, [leg.leg_id for of_one in free.values() for leg in of_one])
    finished = [key for key, of_one in free.items() if len(of_one) == len(sub_orders[key])]
    orders.mark_released(conn, tenant_id, finished)
    settle_points(conn, tenant_id, [sub_order for sub_order, of_one in free.items() if of_one], now)
    released = [of_one for of_one in free.values() if of_one]
    return Released(len(released), sum(map(len, released)), paid)


def _netting(conn: psycopg.Connection, tenant_id: str, legs: Sequence[StoredLeg], funds: PartyFunds) -> int:
    """Largest share of a sub-order's release that may settle debts, bps; asked only where somebody owes."""
    if not any(funds.owed_cents(leg.payee) for leg in legs if not leg.is_platform_side):
        return FULL_BPS
    rule = plan_version(conn, tenant_id, legs[0].plan_id, legs[0].plan_version).only(ReleaseRule)
    return FULL_BPS if rule is None else rule.netting_max_bps


def release_lines(
    legs: Iterable[StoredLeg], funds: PartyFunds, netting_max_bps: int = FULL_BPS
) -> list[Line]:
    """Entries that release pending legs: to their payees, and at the channel unless they left it before."""
    due: dict[Party, int] = {}
    moves: list[Move] = []
    for leg in legs:
        if not leg.is_platform_side:
            due[leg.payee] = due.get(leg.payee, 0) + leg.due_cents
            moves.append((pending(leg.payee), leg.payee, -leg.due_cents, leg.leg_id))
        moves += unfreeze(leg)
    lines = summed(moves)
    for party, cents in sorted(due.items()):
        lines += funds.credit(party, cents, netting_max_bps)
    return lines


def unfreeze(leg: StoredLeg) -> list[Move]:
    """What a leg moves at the payment channel when it leaves it; nothing when it has left before."""
    if leg.is_unfrozen:
        return []
    party = Party("platform", "")
    return [
        (AccountKind.CHANNEL_FROZEN, party, leg.at_channel_cents, None),
        (AccountKind.CHANNEL_AVAILABLE, party, -leg.at_channel_cents, None),
    ]


def mark_released(conn: psycopg.Connection, tenant_id: str, now: datetime, leg_ids: Sequence[int]) -> None:
    """Write down that legs are released."""
    conn.execute(
        "update settlement.leg set state = 'released', released_at = %s, is_unfrozen = true,"
        " xact_id = pg_current_xact_id() where tenant_id = %s and leg_id = any(%s)",
        (now, tenant_id, list(leg_ids)),
    )


def _claim(
    conn: psycopg.Connection, tenant_id: str, now: datetime, batch: int, after: Position | None
) -> list[Position]:
    """Due sub-orders that nobody else holds, locked with their orders.

    A sub-order has four legs or more as a rule, so a quarter of the batch in sub-orders fills it.
    """
    rows = conn.execute(
        """
        select s.release_due_at, s.order_id, s.supplier_id
        from orders.sub_order s
        join orders.customer_order o on o.tenant_id = s.tenant_id and o.order_id = s.order_id
        where s.tenant_id = %(tenant)s and s.status = 'received' and s.release_due_at <= %(now)s
            and s.received_at <= %(now)s
            and (s.release_due_at, s.order_id, s.supplier_id)
                > (%(after)s::timestamptz, %(order)s::text, %(supplier)s::text)
        order by s.release_due_at, s.order_id, s.supplier_id
        limit %(limit)s
        """
        + locks.CLAIMED_ORDERS,
        {
            "tenant": tenant_id,
            "now": now,
            "after": after.release_due_at if after else "-infinity",
            "order": after.order_id if after else "",
            "supplier": after.supplier_id if after else "",
            "limit": max(1, batch // 4),
        },
    )
    return [Position(*row) for row in rows]
