"""Payment notices: the order is frozen as it was paid and shared out in the same transaction, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from serving.agents.errors import AgentsError
from serving.db import locks
from serving.db.retries import ConnectionFactory, in_transaction
from serving.ledger.errors import LedgerError
from serving.orders.assortment.catalogue import categories_of
from serving.orders.coupons.redeeming import discounts_of
from serving.orders.errors import DuplicateKeyError, OrdersError, PaymentRefusedError
from serving.orders.placing.parties import parties_at_payment
from serving.orders.promotions import groups
from serving.orders.records import Order, find_order, lines_of, move_order, sub_orders_of
from serving.orders.states import ENDED
from serving.orders.webhooks import webhooks
from serving.settlement.books.accrual import accrue_order
from serving.settlement.errors import SettlementError
from serving.settlement.plans.plan import PlanVersion
from serving.settlement.plans.store import plan_in_force
from serving.settlement.sharing.freeze import CartLine, OrderCoupon, freeze
from serving.settlement.sharing.rounding import largest_remainder
from serving.settlement.sharing.snapshot import Discount, FreightSnapshot, OrderSnapshot

Connection = psycopg.Connection[Any]

SIMULATED = "simulated"
"""Adapter of payments that move no real money."""


NO_MONEY = "none"
"""Adapter of orders that cost nothing: no channel has anything to say about them."""
_FREE_AT_ONCE = 500


@dataclass(frozen=True)
class Payment:
    """What the payment channel reports.

    Attributes:
        payment_id: The channel's id; stands for the notice.
        order_id: The order.
        adapter: Which channel.
        captured_cents: What the buyer paid, fen.
        fee_cents: What the channel keeps for it, fen.
        paid_at: When (UTC).
        channel_id: The registered account that said so; None for history that was imported.
        split_max_bps: What may be split of it by the account's contract of then; above 0 it is held.
    """

    payment_id: str
    order_id: str
    adapter: str
    captured_cents: int
    fee_cents: int
    paid_at: datetime
    channel_id: str | None = None
    split_max_bps: int = 0


@dataclass(frozen=True)
class PaymentTaken:
    """A payment that was taken in; `is_new` is False for a repeated notice."""

    payment: Payment
    order_status: str
    plan_id: str
    plan_version: int
    is_new: bool


def take_payment(conn: Connection, tenant_id: str, payment: Payment, now: datetime) -> PaymentTaken:
    """Take in a payment notice: freeze the order, accrue its legs, tell the suppliers.

    Of an order of a group of buyers they are told once the group is complete, with all its orders.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        payment: The notice.
        now: Business time of the booking.

    Raises:
        NotFoundError: There is no such order.
        DuplicateKeyError: The payment id was used with another body.
        ImpossibleMoveError: The order is paid by another payment, or cancelled.
        PaymentRefusedError: Amount, fee or time do not fit the order, or the plan takes no real money.
        PlanNotInForceError: The merchant's plan has no version in force.
    """
    group_id = groups.hold_group(conn, tenant_id, payment.order_id)
    order = find_order(conn, tenant_id, payment.order_id, lock=True)
    known = _known(conn, tenant_id, payment)
    if known is not None:
        return known
    status = move_order(conn, tenant_id, order, "pay")
    _check(order, payment, now)
    plan = plan_in_force(conn, tenant_id, order.merchant_id, payment.paid_at)
    if plan.profile == "whitepaper_demo" and payment.adapter not in (SIMULATED, NO_MONEY):
        raise PaymentRefusedError(
            f"Plan {plan.plan_id} has the profile whitepaper_demo: no payments but {SIMULATED!r} ones."
        )
    # Two orders of one buyer that are paid at once are looked at one after the other: one is the first (P2).
    locks.consumer(conn, tenant_id, order.consumer_id)
    snapshot = frozen_order(conn, tenant_id, order, payment, plan)
    inserted = conn.execute(
        "insert into orders.payment (tenant_id, payment_id, order_id, adapter, captured_cents, fee_cents,"
        " paid_at, channel_id, split_max_bps) values (%(tenant)s, %(payment)s, %(order)s, %(adapter)s,"
        " %(captured)s, %(fee)s, %(paid_at)s, %(channel)s, %(split)s)"
        " on conflict (tenant_id, payment_id) do nothing",
        {
            "tenant": tenant_id,
            "payment": payment.payment_id,
            "order": payment.order_id,
            "adapter": payment.adapter,
            "captured": payment.captured_cents,
            "fee": payment.fee_cents,
            "paid_at": payment.paid_at,
            "channel": payment.channel_id,
            "split": payment.split_max_bps,
        },
    )
    if inserted.rowcount == 0:
        raise DuplicateKeyError("a payment", payment.payment_id)
    conn.execute(
        "update orders.customer_order set paid_at = %(paid_at)s, captured_cents = %(captured)s,"
        " plan_id = %(plan)s, plan_version = %(version)s, snapshot = %(snapshot)s"
        " where tenant_id = %(tenant)s and order_id = %(order)s",
        {
            "tenant": tenant_id,
            "order": order.order_id,
            "paid_at": payment.paid_at,
            "captured": payment.captured_cents,
            "plan": plan.plan_id,
            "version": plan.version,
            "snapshot": Jsonb(snapshot.to_json()),
        },
    )
    accrue_order(conn, tenant_id, snapshot, plan, now)
    ready: Sequence[str] = [order.order_id]
    if group_id is not None:
        ready = groups.complete_if_paid(conn, tenant_id, group_id, now)
    for order_id in ready:
        for sub_order in sub_orders_of(conn, tenant_id, order_id):
            if sub_order.status not in ENDED:
                webhooks.tell_supplier(conn, tenant_id, order_id, sub_order.supplier_id)
    webhooks.tell_merchant(conn, tenant_id, order.merchant_id, "order.paid", order.order_id)
    return PaymentTaken(payment, status, plan.plan_id, plan.version, is_new=True)


def pay_free_orders(transactions: ConnectionFactory, tenant_id: str, now: datetime) -> int:
    """Take orders that cost the buyer nothing for paid, each in a transaction of its own; how many.

    No channel is asked for 0 fen. One that its plan or its parties refuse stays as it is.

    Args:
        transactions: Opens a transaction of the tenant.
        tenant_id: The tenant.
        now: Business time.
    """
    with transactions() as conn:
        rows = conn.execute(
            "select order_id from orders.customer_order where tenant_id = %s and status = 'placed'"
            " and payable_cents = 0 order by order_id limit %s",
            (tenant_id, _FREE_AT_ONCE),
        ).fetchall()
    paid = 0
    for (order_id,) in rows:
        payment = Payment(f"free:{order_id}", order_id, NO_MONEY, 0, 0, now)
        try:
            taken = in_transaction(transactions, partial(_take, tenant_id, payment, now))
        except (OrdersError, AgentsError, SettlementError, LedgerError):
            continue
        paid += taken.is_new
    return paid


def _take(tenant_id: str, payment: Payment, now: datetime, conn: Connection) -> PaymentTaken:
    return take_payment(conn, tenant_id, payment, now)


def frozen_order(
    conn: Connection, tenant_id: str, order: Order, payment: Payment, plan: PlanVersion
) -> OrderSnapshot:
    """The order as it was paid; the channel's fee is the one it reported, spread by largest remainder.

    Raises:
        SnapshotError: The stored amounts contradict each other.
    """
    lines = lines_of(conn, tenant_id, order.order_id)
    categories = categories_of(conn, tenant_id, [line.sku_id for line in lines])
    agreed = discounts_of(conn, tenant_id, order.order_id)
    # Of orders that were placed before coupons were issued.
    coupons = conn.execute(
        "select discount_cents, funder_split_bps from orders.order_coupon"
        " where tenant_id = %(tenant)s and order_id = %(order)s order by coupon_no",
        {"tenant": tenant_id, "order": order.order_id},
    ).fetchall()
    snapshot = freeze(
        order_id=order.order_id,
        merchant_id=order.merchant_id,
        consumer_id=order.consumer_id,
        paid_at=payment.paid_at,
        cart=[
            CartLine(
                line_no=line.line_no,
                sku_id=line.sku_id,
                category_ids=categories[line.sku_id],
                supplier_id=line.supplier_id,
                qty=line.qty,
                list_price_cents=line.list_price_cents,
                supply_price_cents=line.supply_price_cents,
                # What points pay is a discount that the merchant agreed to by taking them.
                discounts=(
                    *(
                        (Discount("merchant", line.promo_discount_cents, order.merchant_id, is_points=True),)
                        if line.promo_discount_cents
                        else ()
                    ),
                    *agreed.get(line.line_no, ()),
                ),
            )
            for line in lines
        ],
        parties=parties_at_payment(conn, tenant_id, order, payment.paid_at),
        coupons=[OrderCoupon(cents, split) for cents, split in coupons],
        freights=freights_of(conn, tenant_id, order.order_id),
        plan_id=plan.plan_id,
        plan_version=plan.version,
    )
    fees = largest_remainder(payment.fee_cents, [line.net_paid_cents for line in snapshot.lines])
    return replace(
        snapshot,
        lines=tuple(
            replace(line, channel_fee_cents=fee) for line, fee in zip(snapshot.lines, fees, strict=True)
        ),
    )


def freights_of(conn: Connection, tenant_id: str, order_id: str) -> list[FreightSnapshot]:
    """What the buyer pays each supplier for sending, fen."""
    return [
        FreightSnapshot(sub_order.supplier_id, sub_order.freight_cents)
        for sub_order in sub_orders_of(conn, tenant_id, order_id)
        if sub_order.freight_cents
    ]


def _check(order: Order, payment: Payment, now: datetime) -> None:
    if payment.captured_cents != order.payable_cents:
        raise PaymentRefusedError(
            f"Order {order.order_id!r} costs {order.payable_cents} fen, not {payment.captured_cents}."
        )
    if payment.fee_cents > payment.captured_cents:
        raise PaymentRefusedError(f"A fee of {payment.fee_cents} fen is more than what was captured.")
    if not order.placed_at <= payment.paid_at <= now:
        raise PaymentRefusedError(
            f"It is said to be paid at {payment.paid_at.isoformat()}: "
            f"not between its placing at {order.placed_at.isoformat()} and now, {now.isoformat()}."
        )


def _known(conn: Connection, tenant_id: str, payment: Payment) -> PaymentTaken | None:
    row = conn.execute(
        "select p.order_id, p.adapter, p.captured_cents, p.fee_cents, p.paid_at, o.status, o.plan_id,"
        " o.plan_version from orders.payment p join orders.customer_order o using (tenant_id, order_id)"
        " where p.tenant_id = %(tenant)s and p.payment_id = %(payment)s",
        {"tenant": tenant_id, "payment": payment.payment_id},
    ).fetchone()
    if row is None:
        return None
    if row[:4] != (payment.order_id, payment.adapter, payment.captured_cents, payment.fee_cents):
        raise DuplicateKeyError("a payment", payment.payment_id)
    return PaymentTaken(replace(payment, paid_at=row[4]), row[5], row[6], row[7], is_new=False)
