"""Orders as a key may see them: whose order it is, which lines, which amounts, how the recipient is shown.

A supplier sees its own lines and parts and no retail price; an agent the orders that it sold, without the
recipient and without supply prices; a merchant its own orders; operators and auditors all of the tenant.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg

from serving.orders.after_sales.after_sales import Case, cases_of
from serving.orders.contracts import (
    CaseView,
    LineView,
    OrderSummary,
    OrderView,
    PromotionUseView,
    RedemptionView,
    RoleView,
    SubOrderView,
)
from serving.orders.errors import NotFoundError
from serving.orders.fulfilment.instructions import recipient_view
from serving.orders.promotions.groups import is_waiting
from serving.orders.records import Order, OrderLine, SubOrder, find_order, lines_of, sub_orders_of
from serving.orders.states import UNRECEIVED
from serving.privacy.data_keys import Vault
from serving.privacy.masking import Relation, Visibility, recipient_visibility
from serving.privacy.personal_fields import get_recipient
from serving.security.principal import Principal
from serving.security.roles import Role

Connection = psycopg.Connection[Any]


def reachable_order(conn: Connection, principal: Principal, order_id: str) -> Order:
    """An order that the key may see.

    Raises:
        NotFoundError: There is none, or it is another party's.
    """
    order = find_order(conn, principal.tenant_id, order_id)
    if _is_reachable(conn, principal, order):
        return order
    raise NotFoundError("order", order_id)


def supplier_of(principal: Principal) -> str | None:
    """The only supplier whose lines the key may see; None for keys that see all lines."""
    return principal.party_id if principal.role is Role.SUPPLIER else None


def view_order(
    conn: Connection, vault: Vault, principal: Principal, order_id: str
) -> tuple[OrderView, Visibility]:
    """An order as the key may see it, and how its recipient is shown, for the audit.

    Raises:
        NotFoundError: There is none, or it is another party's.
    """
    order = reachable_order(conn, principal, order_id)
    tenant_id, supplier = principal.tenant_id, supplier_of(principal)
    parts = [
        part
        for part in sub_orders_of(conn, tenant_id, order_id)
        if supplier is None or part.supplier_id == supplier
    ]
    ships = supplier is not None and order.paid_at is not None and not is_waiting(conn, tenant_id, order_id)
    is_open = ships and any(part.status in UNRECEIVED for part in parts)
    visibility = recipient_visibility(principal, Relation.SHIPS if is_open else Relation.PARTY)
    recipient = None
    if visibility is not Visibility.NOTHING:
        recipient = recipient_view(get_recipient(conn, vault, tenant_id, order_id), visibility)
    retail = principal.role is not Role.SUPPLIER
    shop = principal.role not in (Role.SUPPLIER, Role.AGENT)
    view = OrderView(
        order_id=order.order_id,
        merchant_id=order.merchant_id,
        consumer_id=order.consumer_id if retail else None,
        agent_id=order.agent_id if retail else None,
        channel=order.channel,
        region_code=order.region_code,
        status=order.status,
        placed_at=order.placed_at,
        paid_at=order.paid_at,
        coupon_discount_cents=order.coupon_discount_cents if retail else None,
        freight_cents=order.freight_cents if retail else None,
        payable_cents=order.payable_cents if retail else None,
        captured_cents=order.captured_cents if retail else None,
        refunded_cents=order.refunded_cents if retail else None,
        lines=[_line(line, principal) for line in lines_of(conn, tenant_id, order_id, supplier)],
        sub_orders=[_sub_order(part) for part in parts],
        after_sales=[case_view(case, principal) for case in cases_of(conn, tenant_id, order_id, supplier)],
        coupons=_coupons(conn, tenant_id, order_id) if shop else None,
        roles=_roles(conn, tenant_id, order_id) if shop else None,
        promotion=_promotion(conn, tenant_id, order_id) if shop else None,
        recipient=recipient,
    )
    return view, visibility if recipient is not None else Visibility.NOTHING


def _coupons(conn: Connection, tenant_id: str, order_id: str) -> list[RedemptionView]:
    rows = conn.execute(
        "select code, programme_id, discount_cents, state from coupons.redemption"
        " where tenant_id = %s and order_id = %s order by code",
        (tenant_id, order_id),
    )
    return [
        RedemptionView(code=code, programme_id=programme, discount_cents=cents, state=state)
        for code, programme, cents, state in rows
    ]


def _roles(conn: Connection, tenant_id: str, order_id: str) -> list[RoleView]:
    rows = conn.execute(
        "select role, party_type, party_id, scene_id from orders.order_role"
        " where tenant_id = %s and order_id = %s order by role",
        (tenant_id, order_id),
    )
    return [
        RoleView(role=role, party_type=party_type, party_id=party_id, scene_id=scene)
        for role, party_type, party_id, scene in rows
    ]


def _promotion(conn: Connection, tenant_id: str, order_id: str) -> PromotionUseView | None:
    row = conn.execute(
        "select c.promotion_id, c.state, c.group_id, g.status from promotions.claim c"
        " left join promotions.buying_group g using (tenant_id, group_id)"
        " where c.tenant_id = %s and c.order_id = %s",
        (tenant_id, order_id),
    ).fetchone()
    if row is None:
        return None
    return PromotionUseView(promotion_id=row[0], state=row[1], group_id=row[2], group_status=row[3])


def list_orders(
    conn: Connection,
    principal: Principal,
    *,
    status: str | None,
    merchant_id: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[OrderSummary]:
    """Orders that the key may see, the latest first.

    Args:
        conn: Inside a transaction of the tenant.
        principal: Who asks.
        status: Only orders in that state.
        merchant_id: Only orders of that merchant.
        after: Placing time and order id of the last order of the page before.
        limit: Most orders.
    """
    mine = {
        Role.MERCHANT: " and o.merchant_id = %(party)s",
        Role.AGENT: " and o.agent_id = %(party)s",
        Role.SUPPLIER: " and exists (select from orders.sub_order s where s.tenant_id = o.tenant_id"
        " and s.order_id = o.order_id and s.supplier_id = %(party)s)",
    }.get(principal.role, "")
    query = (
        "select order_id, merchant_id, agent_id, status, placed_at, paid_at, payable_cents, refunded_cents"
        f" from orders.customer_order o where o.tenant_id = %(tenant)s{mine}"
        " and (%(status)s::text is null or o.status = %(status)s)"
        " and (%(merchant)s::text is null or o.merchant_id = %(merchant)s)"
        " and (%(at)s::timestamptz is null or (o.placed_at, o.order_id) < (%(at)s, %(order)s))"
        " order by o.placed_at desc, o.order_id desc limit %(limit)s"
    )
    rows = conn.execute(
        query.encode(),
        {
            "tenant": principal.tenant_id,
            "party": principal.party_id,
            "status": status,
            "merchant": merchant_id,
            "at": after[0] if after else None,
            "order": after[1] if after else "",
            "limit": limit,
        },
    ).fetchall()
    retail = principal.role is not Role.SUPPLIER
    return [
        OrderSummary(
            order_id=row[0],
            merchant_id=row[1],
            agent_id=row[2] if retail else None,
            status=row[3],
            placed_at=row[4],
            paid_at=row[5],
            payable_cents=row[6] if retail else None,
            refunded_cents=row[7] if retail else None,
        )
        for row in rows
    ]


def case_view(case: Case, principal: Principal) -> CaseView:
    """A case as a key may see it: what a buyer gets back for goods tells a supplier the retail price."""
    values = {name: getattr(case, name) for name in CaseView.__struct_fields__}
    if principal.role is Role.SUPPLIER and case.line_no:
        values |= {"requested_cents": None, "refund_cents": None}
    return CaseView(**values)


def _is_reachable(conn: Connection, principal: Principal, order: Order) -> bool:
    if principal.role is Role.MERCHANT:
        return principal.party_id == order.merchant_id
    if principal.role is Role.AGENT:
        return principal.party_id == order.agent_id
    if principal.role is Role.SUPPLIER:
        parts = sub_orders_of(conn, principal.tenant_id, order.order_id)
        return any(part.supplier_id == principal.party_id for part in parts)
    return True


def _line(line: OrderLine, principal: Principal) -> LineView:
    retail = principal.role is not Role.SUPPLIER
    return LineView(
        line_no=line.line_no,
        sku_id=line.sku_id,
        supplier_id=line.supplier_id,
        qty=line.qty,
        reserved_qty=line.reserved_qty,
        list_price_cents=line.list_price_cents if retail else None,
        coupon_discount_cents=line.coupon_discount_cents if retail else None,
        net_paid_cents=line.net_paid_cents if retail else None,
        refunded_cents=line.refunded_cents if retail else None,
        supply_price_cents=None if principal.role is Role.AGENT else line.supply_price_cents,
        warehouse_id=line.warehouse_id,
        ships_on=line.ships_on,
        promised_on=line.promised_on,
    )


def _sub_order(part: SubOrder) -> SubOrderView:
    return SubOrderView(**{name: getattr(part, name) for name in SubOrderView.__struct_fields__})
