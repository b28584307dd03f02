"""What a fact of a payment channel does: an order is paid, or the money waits in suspense. Always booked.

The order's snapshot, its plan and its parties are those of the payment's own time, whenever the notice comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from serving.agents.errors import AgentsError
from serving.channels.facts import (
    CURRENCY,
    ChargebackFact,
    Fact,
    PaymentFact,
    PayoutFact,
    Progress,
    RefundFact,
)
from serving.channels.fees import contract_fee
from serving.channels.heard import came_back, had_left, note_fact
from serving.channels.protocol import Account
from serving.consumers.errors import ConsumerErasedError
from serving.ledger.errors import LedgerError
from serving.orders.errors import NotFoundError, OrdersError
from serving.orders.paying.payments import Payment, take_payment
from serving.orders.promotions.groups import hold_group
from serving.orders.records import Order, find_order
from serving.orders.states import OrderStatus
from serving.settlement.channel.requests import take_progress
from serving.settlement.channel.suspense import Misfit, MisfitKind, hold_misfit
from serving.settlement.errors import SettlementError

Connection = psycopg.Connection[Any]

_CLOCK_SKEW = timedelta(minutes=5)
_REFUSALS = (OrdersError, AgentsError, SettlementError, LedgerError, ConsumerErasedError)


@dataclass(frozen=True)
class Taken:
    """What became of a fact.

    Attributes:
        outcome: `booked`, `held` (in suspense) or `repeated`.
        subject: Id of the payment, refund, pay-out or charge-back.
        misfit: Why it is held.
    """

    outcome: str
    subject: str
    misfit: MisfitKind | None = None


def take_fact(
    conn: Connection, tenant_id: str, account: Account, notice_id: str, fact: Fact, now: datetime
) -> Taken:
    """Book what a channel said, once however often it says it.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        account: Whose signature was verified.
        notice_id: In which message.
        fact: What it says.
        now: Business time of the booking.

    Raises:
        NoticeRefusedError: The channel said something else about the same thing before.
    """
    is_new = note_fact(conn, tenant_id, account.channel_id, notice_id, fact)
    if isinstance(fact, PaymentFact):
        if not is_new:
            return Taken("repeated", fact.payment_id)
        return _payment(conn, tenant_id, account, fact, now)
    if isinstance(fact, ChargebackFact):
        if not is_new:
            return Taken("repeated", fact.chargeback_id)
        return _chargeback(conn, tenant_id, account, fact, now)
    if not is_new:
        return Taken("repeated", fact.reference)
    if take_progress(conn, tenant_id, account.channel_id, fact, now):
        return Taken("booked", fact.reference)
    return _unasked(conn, tenant_id, account, fact, now)


def _payment(conn: Connection, tenant_id: str, account: Account, fact: PaymentFact, now: datetime) -> Taken:
    held = _held_payment(fact, account)
    if fact.currency != CURRENCY:
        return _hold(conn, tenant_id, held(MisfitKind.FOREIGN_CURRENCY, fact.amount_cents), now)
    hold_group(conn, tenant_id, fact.order_ref)
    try:
        order = find_order(conn, tenant_id, fact.order_ref, lock=True)
    except NotFoundError:
        return _hold(conn, tenant_id, held(MisfitKind.UNKNOWN_ORDER, fact.amount_cents), now)
    if order.status != OrderStatus.PLACED:
        kind = MisfitKind.PAYMENT_AFTER_END if order.paid_at is None else MisfitKind.SECOND_PAYMENT
        return _hold(conn, tenant_id, held(kind, fact.amount_cents, f"the order is {order.status}"), now)
    if fact.amount_cents < order.payable_cents:
        detail = f"the order costs {order.payable_cents} fen"
        return _hold(conn, tenant_id, held(MisfitKind.SMALLER_PAYMENT, fact.amount_cents, detail), now)
    try:
        with conn.transaction():
            take_payment(conn, tenant_id, _payment_of(order, account, fact, now), now)
    except _REFUSALS as error:
        return _hold(conn, tenant_id, held(MisfitKind.NOT_SETTLED, fact.amount_cents, str(error)[:500]), now)
    excess = fact.amount_cents - order.payable_cents
    if excess:
        detail = f"the order cost {order.payable_cents} fen and is paid"
        return _hold(conn, tenant_id, held(MisfitKind.LARGER_PAYMENT, excess, detail), now)
    return Taken("booked", fact.payment_id)


def _payment_of(order: Order, account: Account, fact: PaymentFact, now: datetime) -> Payment:
    """The payment of an order; times that only the clocks' difference puts outside are put inside."""
    paid_at = fact.paid_at
    if order.placed_at - _CLOCK_SKEW <= paid_at < order.placed_at:
        paid_at = order.placed_at
    elif now < paid_at <= now + _CLOCK_SKEW:
        paid_at = now
    fee = contract_fee(order.payable_cents, account.fee_bps)
    return Payment(
        fact.payment_id,
        order.order_id,
        account.adapter,
        order.payable_cents,
        fee,
        paid_at,
        account.channel_id,
        account.split_max_bps,
    )


def _chargeback(
    conn: Connection, tenant_id: str, account: Account, fact: ChargebackFact, now: datetime
) -> Taken:
    row = conn.execute(
        "select order_id from orders.payment where tenant_id = %s and payment_id = %s and channel_id = %s",
        (tenant_id, fact.payment_id, account.channel_id),
    ).fetchone()
    misfit = Misfit(
        MisfitKind.CHARGEBACK,
        fact.chargeback_id,
        fact.amount_cents,
        fact.currency,
        fact.occurred_at,
        account.channel_id,
        None if row is None else row[0],
        f"of payment {fact.payment_id}",
        leaves=True,
    )
    return _hold(conn, tenant_id, misfit, now)


def _unasked(
    conn: Connection, tenant_id: str, account: Account, fact: RefundFact | PayoutFact, now: datetime
) -> Taken:
    """A refund or pay-out that nobody asked for: what left is held, and what came back of it."""
    if fact.progress is Progress.DONE:
        has_moved = not came_back(conn, tenant_id, account.channel_id, fact)
    else:
        is_end = fact.progress in (Progress.RETURNED, Progress.FAILED)
        has_moved = is_end and had_left(conn, tenant_id, account.channel_id, fact)
    if not has_moved:
        return Taken("booked", fact.reference)
    kind = MisfitKind.UNKNOWN_REFUND if isinstance(fact, RefundFact) else MisfitKind.UNKNOWN_PAYOUT
    misfit = Misfit(
        kind,
        fact.reference,
        fact.amount_cents,
        CURRENCY,
        fact.occurred_at,
        account.channel_id,
        None,
        f"the channel says: {fact.progress}",
        leaves=fact.progress is Progress.DONE,
    )
    return _hold(conn, tenant_id, misfit, now)


def _held_payment(fact: PaymentFact, account: Account) -> Any:
    def held(kind: MisfitKind, cents: int, detail: str | None = None) -> Misfit:
        return Misfit(
            kind,
            fact.payment_id,
            cents,
            fact.currency,
            fact.paid_at,
            account.channel_id,
            fact.order_ref,
            detail,
        )

    return held


def _hold(conn: Connection, tenant_id: str, misfit: Misfit, now: datetime) -> Taken:
    hold_misfit(conn, tenant_id, misfit, now)
    return Taken("held", misfit.reference, misfit.kind)
