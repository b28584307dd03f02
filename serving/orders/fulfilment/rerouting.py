"""Moving an unshipped line to another supplier, with its share of the freight, and its legs when paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from serving.db.calendar import local_day, zone_of
from serving.orders.assortment import stock
from serving.orders.assortment.brake import is_stopped
from serving.orders.assortment.grades import graded
from serving.orders.assortment.losses import LossRules, expected_losses, retake
from serving.orders.coupons.redeeming import discounts_of
from serving.orders.errors import LossRefusedError
from serving.orders.paying.payments import freights_of
from serving.orders.records import (
    Order,
    OrderLine,
    find_sub_order,
    lines_of,
    set_sub_order,
    sub_orders_of,
    touch,
)
from serving.orders.routing.contracts import DEFAULT_COST, CostParameters, Demand, OfferStock
from serving.orders.routing.greedy import route_greedy
from serving.orders.states import SUB_ORDER, UNSHIPPED
from serving.orders.warehouses.choosing import Departure
from serving.orders.warehouses.records import lock_warehouses
from serving.orders.webhooks import webhooks
from serving.settlement.books.accrual import reaccrue_line
from serving.settlement.errors import AccrualError
from serving.settlement.plans.store import plan_version
from serving.settlement.sharing.freeze import CartLine, OrderCoupon
from serving.settlement.sharing.rounding import largest_remainder
from serving.settlement.sharing.snapshot import Discount, OrderSnapshot
from serving.settlement.sharing.waterfall import shortfall_of

Connection = psycopg.Connection[Any]


def freight_shares(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str, lines: Sequence[OrderLine]
) -> dict[int, int]:
    """What each unshipped line of a supplier bears of its freight, by units, largest remainder.

    A freight of which something was refunded belongs to no line any more: all shares are 0.

    Returns:
        Line number to fen.
    """
    sub_order = find_sub_order(conn, tenant_id, order_id, supplier_id)
    if not lines or sub_order.refunded_freight_cents:
        return {line.line_no: 0 for line in lines}
    shares = largest_remainder(sub_order.freight_cents, [line.reserved_qty for line in lines])
    return {line.line_no: share for line, share in zip(lines, shares, strict=True)}


def open_freight_shares(
    conn: Connection, tenant_id: str, order_id: str, supplier_id: str, lines: Sequence[OrderLine]
) -> dict[int, int]:
    """What each unshipped line of a supplier bears of the freight not given back, by units.

    Returns:
        Line number to fen, by largest remainder.
    """
    if not lines:
        return {}
    part = find_sub_order(conn, tenant_id, order_id, supplier_id)
    shares = largest_remainder(part.open_freight_cents, [line.reserved_qty for line in lines])
    return {line.line_no: share for line, share in zip(lines, shares, strict=True)}


def move_line(
    conn: Connection,
    tenant_id: str,
    order: Order,
    line: OrderLine,
    freight_cents: int,
    rules: LossRules,
    now: datetime,
    cost: CostParameters = DEFAULT_COST,
    only: str | None = None,
) -> str | None:
    """Give a whole line to the cheapest other supplier that has it and brings no loss.

    Where everybody brings a loss, the cheapest takes it inside the loss budget of the merchant and day.

    Suppliers whose part of this order was shipped, rejected or cancelled are out of the question, and so is a
    split: an order keeps its lines. A line of which something was refunded stays, and so does one with a
    discount that its supplier pays for: nobody else agreed to it. Nobody takes a sku that the quality brake
    stopped.

    Args:
        conn: Inside a transaction of the tenant; order, sub-orders and the stock of the sku are locked.
        tenant_id: The tenant.
        order: The order.
        line: The line, reserved at its present supplier.
        freight_cents: Freight that goes with it.
        rules: How a loss is reckoned.
        now: Business time.
        cost: Parameters of the routing cost.
        only: The one other supplier that may take it; None: any.

    Returns:
        The new supplier, or None when nobody can take the line.
    """
    if line.refunded_cents or line.reserved_qty != line.qty:
        return None
    discounts = discounts_of(conn, tenant_id, order.order_id)
    if any(discount.funder == "supplier" for discount in discounts.get(line.line_no, ())):
        return None
    parts = sub_orders_of(conn, tenant_id, order.order_id)
    closed = {part.supplier_id for part in parts if part.status not in UNSHIPPED} | {line.supplier_id}
    stated = stock.lock_offers(conn, tenant_id, [line.sku_id], without=closed)
    if only is not None:
        stated = [offer for offer in stated if offer.supplier_id == only]
    if is_stopped(conn, tenant_id, line.sku_id, now):
        return None
    if cost.grade_penalty_bps:
        stated = graded(conn, tenant_id, stated)
    region = order.region_code or stock.ANYWHERE
    warehouses = lock_warehouses(conn, tenant_id, [line.sku_id], now, (order.order_id, line.line_no))
    offers = warehouses.as_shipped(stated, {line.sku_id: line.qty}, region, cost)
    demand = Demand(order.order_id, line.line_no, line.sku_id, line.qty, region)
    terms = _terms(conn, tenant_id, order, discounts)
    loss = {offer.supplier_id: _loss(terms, line, offer, rules, now) for offer in offers}
    plan = route_greedy([demand], [offer for offer in offers if not loss[offer.supplier_id]], cost)
    if plan.unroutable or len(plan.allocations) != 1:
        plan = route_greedy([demand], offers, cost)
    if plan.unroutable or len(plan.allocations) != 1:
        return None
    taker = next(offer for offer in stated if offer.supplier_id == plan.allocations[0].supplier_id)
    leaves = warehouses.choose(taker, line.qty, region, cost)
    if leaves is None:
        return None
    try:
        with conn.transaction():
            _move(conn, tenant_id, order, line, taker, leaves, freight_cents)
            losses = {line.line_no: loss[taker.supplier_id]}
            retake(
                conn,
                tenant_id,
                order.order_id,
                order.merchant_id,
                losses,
                local_day(now, zone_of(conn, tenant_id)),
            )
            _settle_moved(conn, tenant_id, order, line, taker, now)
    except (AccrualError, LossRefusedError):
        # Its money moved already (hold, deadline), or it would cost more than it brings: it is refunded.
        return None
    return taker.supplier_id


@dataclass(frozen=True)
class _Terms:
    """An order as a loss is reckoned from it: frozen when it is paid."""

    frozen: OrderSnapshot | None
    cart: list[CartLine]
    coupons: list[OrderCoupon]
    freights: dict[str, int]


def _terms(
    conn: Connection, tenant_id: str, order: Order, discounts: Mapping[int, tuple[Discount, ...]]
) -> _Terms:
    ids = {"tenant": tenant_id, "order": order.order_id}
    where = " where tenant_id = %(tenant)s and order_id = %(order)s"
    if order.paid_at is not None:
        row = conn.execute("select snapshot from orders.customer_order" + where, ids).fetchone()
        assert row is not None, "the order is locked"
        return _Terms(OrderSnapshot.from_json(row[0]), [], [], {})
    coupons = conn.execute(
        "select discount_cents, funder_split_bps from orders.order_coupon" + where + " order by coupon_no",
        ids,
    ).fetchall()
    cart = [
        CartLine(
            line_no=line.line_no,
            sku_id=line.sku_id,
            category_ids=(),
            supplier_id=line.supplier_id,
            qty=line.qty,
            list_price_cents=line.list_price_cents,
            supply_price_cents=line.supply_price_cents,
            discounts=discounts.get(line.line_no, ()),
        )
        for line in lines_of(conn, tenant_id, order.order_id)
    ]
    freights = {
        freight.supplier_id: freight.cents for freight in freights_of(conn, tenant_id, order.order_id)
    }
    return _Terms(None, cart, [OrderCoupon(cents, split) for cents, split in coupons], freights)


def _loss(terms: _Terms, line: OrderLine, taker: OfferStock, rules: LossRules, now: datetime) -> int:
    """What the platform would add to the line if that supplier shipped it, fen."""
    supply = taker.supply_price_cents * line.qty
    if terms.frozen is not None:
        frozen = next(one for one in terms.frozen.lines if one.line_no == line.line_no)
        return shortfall_of(replace(frozen, supply_price_cents=supply))
    cart = [
        replace(one, supply_price_cents=supply) if one.line_no == line.line_no else one for one in terms.cart
    ]
    return expected_losses(cart, terms.coupons, terms.freights, rules, now)[line.line_no]


def _settle_moved(
    conn: Connection, tenant_id: str, order: Order, line: OrderLine, taker: OfferStock, now: datetime
) -> None:
    """The money of a paid line follows it, and its new supplier is told."""
    if order.paid_at is not None:
        _settle_again(conn, tenant_id, order, line, taker, now)
        cause = webhooks.once_more(f"line-{line.line_no}")
        webhooks.tell_supplier(conn, tenant_id, order.order_id, taker.supplier_id, cause)


def _move(
    conn: Connection,
    tenant_id: str,
    order: Order,
    line: OrderLine,
    taker: OfferStock,
    leaves: Departure,
    freight_cents: int,
) -> None:
    new = taker.supplier_id
    stock.release(conn, tenant_id, {(line.supplier_id, line.sku_id): line.reserved_qty})
    stock.reserve(conn, tenant_id, {(new, line.sku_id): line.qty})
    ids = {"tenant": tenant_id, "order": order.order_id}
    conn.execute(
        "update orders.order_line set supplier_id = %(new)s, supply_price_cents = %(price)s,"
        " warehouse_id = %(warehouse)s, ships_on = %(ships_on)s, promised_on = %(promised_on)s"
        " where tenant_id = %(tenant)s and order_id = %(order)s and line_no = %(line)s",
        {
            **ids,
            "new": new,
            "price": taker.supply_price_cents * line.qty,
            "line": line.line_no,
            "warehouse": leaves.warehouse_id,
            "ships_on": leaves.ships_on,
            "promised_on": leaves.promised_on,
        },
    )
    known = {part.supplier_id: part for part in sub_orders_of(conn, tenant_id, order.order_id)}
    if new in known:
        status = SUB_ORDER.move(f"{order.order_id}/{new}", known[new].status, "extend")
        set_sub_order(conn, tenant_id, order.order_id, new, status)
    conn.execute(
        "insert into orders.sub_order as s (tenant_id, order_id, supplier_id, status, freight_cents)"
        " values (%(tenant)s, %(order)s, %(new)s, 'pending', %(freight)s)"
        " on conflict (tenant_id, order_id, supplier_id)"
        " do update set freight_cents = s.freight_cents + excluded.freight_cents",
        {**ids, "new": new, "freight": freight_cents},
    )
    conn.execute(
        "update orders.sub_order set freight_cents = freight_cents - %(freight)s"
        " where tenant_id = %(tenant)s and order_id = %(order)s and supplier_id = %(old)s",
        {**ids, "old": line.supplier_id, "freight": freight_cents},
    )
    # What the buyer complained about goes with the line, and stops the release of its money there. What the
    # old supplier answered, and what was decided between it and the shop, binds nobody else.
    conn.execute(
        "update orders.after_sale set supplier_id = %(new)s, xact_id = pg_current_xact_id(),"
        " supplier_answer = null, answer_code = null, answered_at = null,"
        " decision = null, decision_code = null, decided_at = null"
        " where tenant_id = %(tenant)s and order_id = %(order)s and line_no = %(line)s and status = 'open'",
        {**ids, "new": new, "line": line.line_no},
    )
    touch(conn, tenant_id, order.order_id)


def _settle_again(
    conn: Connection, tenant_id: str, order: Order, line: OrderLine, taker: OfferStock, now: datetime
) -> None:
    row = conn.execute(
        "select snapshot, plan_id, plan_version,"
        " (select count(*) from ledger.transaction t where t.tenant_id = o.tenant_id"
        "  and t.order_id = o.order_id and t.kind = 'reroute')"
        " from orders.customer_order o where tenant_id = %(tenant)s and order_id = %(order)s",
        {"tenant": tenant_id, "order": order.order_id},
    ).fetchone()
    assert row is not None, "the order is locked"
    before = OrderSnapshot.from_json(row[0])
    after = replace(
        before,
        lines=tuple(
            replace(
                frozen,
                supplier_id=taker.supplier_id,
                supply_price_cents=taker.supply_price_cents * frozen.qty,
            )
            if frozen.line_no == line.line_no
            else frozen
            for frozen in before.lines
        ),
        freights=tuple(freights_of(conn, tenant_id, order.order_id)),
    )
    reaccrue_line(
        conn,
        tenant_id,
        after,
        line.line_no,
        plan_version(conn, tenant_id, row[1], row[2]),
        now,
        # A line may go to and fro between two suppliers, so their names do not name the change.
        reroute_id=f"{line.line_no}:{row[3] + 1}",
    )
    conn.execute(
        "update orders.customer_order set snapshot = %(snapshot)s"
        " where tenant_id = %(tenant)s and order_id = %(order)s",
        {"tenant": tenant_id, "order": order.order_id, "snapshot": Jsonb(after.to_json())},
    )
