"""Money in suspense that has an order after all, and money that goes back by itself since it never will."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from serving.agents.errors import AgentsError
from serving.channels.accounts import accounts_of
from serving.channels.fees import contract_fee
from serving.consumers.errors import ConsumerErasedError
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.accounts import AccountKind
from serving.ledger.errors import LedgerError
from serving.ledger.posting import Line
from serving.orders.errors import NotFoundError, OrdersError, PaymentRefusedError
from serving.orders.paying.payments import Payment, take_payment
from serving.orders.promotions.groups import hold_group
from serving.orders.records import find_order
from serving.orders.states import OrderStatus
from serving.settlement.channel.misfit_acts import PAYMENTS, Act, Resolution, resolve_misfit
from serving.settlement.channel.suspense import (
    MisfitClosedError,
    MisfitKind,
    StoredMisfit,
    close_misfit,
    find_misfit,
    lock_misfit,
    misfits_of,
)
from serving.settlement.errors import SettlementError

BY_JOB = "job:misfits"
_GOES_BACK = frozenset({MisfitKind.SECOND_PAYMENT, MisfitKind.LARGER_PAYMENT, MisfitKind.PAYMENT_AFTER_END})
_MAY_FIT = frozenset({MisfitKind.UNKNOWN_ORDER, MisfitKind.NOT_SETTLED})
# A payment whose order is not known may be quicker than its order, or belong to another system.
_WAITS_FOR_ORDER = timedelta(days=7)
_PAGE = 200
_REFUSALS = (OrdersError, AgentsError, SettlementError, LedgerError, ConsumerErasedError)


@dataclass
class Sorted:
    """What a walk over the open misfits did."""

    matched: int = 0
    refunds: int = 0
    waiting: int = 0


def match_misfit(
    conn: psycopg.Connection,
    tenant_id: str,
    misfit_id: int,
    order_id: str,
    reason: str,
    by: str,
    now: datetime,
) -> StoredMisfit:
    """Pay an order with money in suspense: as of the payment's own time.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        misfit_id: A payment that is held whole.
        order_id: The order, unpaid, that costs exactly as much.
        reason: Why it is this order.
        by: Key or job.
        now: Time of booking.

    Raises:
        UnknownMisfitError: There is no such misfit.
        NotFoundError: There is no such order.
        MisfitClosedError: It was closed before, or is no payment of an order.
        PaymentRefusedError: The order costs something else, or cannot be paid any more.
    """
    hold_group(conn, tenant_id, order_id)
    order = find_order(conn, tenant_id, order_id, lock=True)
    misfit = lock_misfit(conn, tenant_id, misfit_id)
    account = next((one for one in accounts_of(conn, tenant_id) if one.channel_id == misfit.channel_id), None)
    if misfit.kind not in PAYMENTS - {MisfitKind.LARGER_PAYMENT} or account is None:
        raise MisfitClosedError(f"misfit {misfit_id} is a {misfit.kind}: no payment of a whole order")
    if order.status != OrderStatus.PLACED or order.payable_cents != misfit.booked_cents:
        raise PaymentRefusedError(
            f"Order {order_id!r} is {order.status} and costs {order.payable_cents} fen; the misfit holds"
            f" {misfit.booked_cents}."
        )
    back = [Line(AccountKind.CHANNEL_AVAILABLE, misfit.booked_cents)]
    close_misfit(conn, tenant_id, misfit, "match", reason, by, now, back)
    # What was said to be paid before the order was placed is paid when it is placed.
    paid_at = max(min(misfit.occurred_at, now), order.placed_at)
    payment = Payment(
        misfit.reference,
        order_id,
        account.adapter,
        misfit.booked_cents,
        contract_fee(misfit.booked_cents, account.fee_bps),
        paid_at,
        account.channel_id,
        account.split_max_bps,
    )
    take_payment(conn, tenant_id, payment, now)
    return lock_misfit(conn, tenant_id, misfit_id)


def sort_misfits(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> Sorted:
    """Walk the open misfits: match what fits an order by now, send back what never will.

    Second payments, what was paid too much, and payments of orders that had ended go back at once; too small
    ones when their order is over, those of unknown orders after 7 days. The rest waits for an operator.

    Args:
        transactions: Opens a transaction of the tenant; one each.
        tenant_id: The tenant.
        now: Business time.
    """
    found, after = Sorted(), 0
    while True:
        with transactions() as conn:
            page = misfits_of(conn, tenant_id, "open", after=after, limit=_PAGE)
        for misfit in page:
            after = misfit.misfit_id
            done = _sorted(transactions, tenant_id, misfit, now)
            setattr(found, done, getattr(found, done) + 1)
        if len(page) < _PAGE:
            return found


def _sorted(transactions: ConnectionFactory, tenant_id: str, misfit: StoredMisfit, now: datetime) -> str:
    if misfit.kind in _MAY_FIT and misfit.order_ref is not None:
        order_id = misfit.order_ref

        def match(conn: psycopg.Connection) -> None:
            match_misfit(conn, tenant_id, misfit.misfit_id, order_id, "the order fits by now", BY_JOB, now)

        try:
            in_transaction(transactions, match)
        except _REFUSALS:
            pass
        else:
            return "matched"
    if misfit.kind not in PAYMENTS or not misfit.booked_cents:
        return "waiting"
    if not in_transaction(transactions, lambda conn: _goes_back(conn, tenant_id, misfit, now)):
        return "waiting"
    act = Resolution(Act.REFUND, f"{misfit.kind}: back to the buyer", BY_JOB)
    try:
        in_transaction(transactions, lambda conn: resolve_misfit(conn, tenant_id, misfit.misfit_id, act, now))
    except SettlementError:
        return "waiting"
    return "refunds"


def _goes_back(conn: psycopg.Connection, tenant_id: str, misfit: StoredMisfit, now: datetime) -> bool:
    """Whether the money will never fit; the misfit may have been closed meanwhile."""
    if find_misfit(conn, tenant_id, misfit.misfit_id).state != "open":
        return False
    if misfit.kind in _GOES_BACK:
        return True
    try:
        order = find_order(conn, tenant_id, misfit.order_ref or "")
    except NotFoundError:
        return misfit.kind == MisfitKind.UNKNOWN_ORDER and misfit.occurred_at <= now - _WAITS_FOR_ORDER
    return order.status != OrderStatus.PLACED
