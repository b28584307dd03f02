"""`/v1/orders`: placing, reading, listing, cancelling, receipt."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import Parameter

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import (
    IdempotencyKey,
    OptionalIdempotencyKey,
    loss_rules_of,
    made_once,
    moment_and_id,
    order_transaction,
    routing_cost_of,
)
from serving.api.parameters import CursorText, Identifier, OptionalIdentifier, PageSize
from serving.api.transactions import note, vault_of
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders.contracts import (
    CancelUnits,
    OrderPage,
    OrderView,
    PlaceOrder,
    ReceiptNotice,
    UnitsCancelledView,
)
from serving.orders.errors import InvalidRequestError
from serving.orders.fulfilment import receipts
from serving.orders.placing import cancelling, placing
from serving.orders.promotions.claims import Wanted
from serving.orders.states import OrderStatus
from serving.orders.views import list_orders, reachable_order, view_order
from serving.privacy.masking import Visibility
from serving.privacy.personal_fields import Recipient, put_recipient
from serving.security import Role, Scope
from serving.settlement.plans.store import plan_in_force

_EVERYBODY = frozenset(Role)
_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_Status = Annotated[OrderStatus | None, Parameter(description="Only orders in this state.")]


_LineNo = Annotated[int, Parameter(ge=1, le=10**6, description="Number of the line.")]


@post(
    "/orders",
    opt={"scope": Scope.ORDERS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Orders"],
    summary="Place an order",
    responses=problem_responses(404, 409, 410),
    sync_to_thread=True,
)
def place_order(
    request: Request[Any, Any, Any], data: PlaceOrder, idempotency_key: IdempotencyKey
) -> OrderView:
    """Prices come from the merchant's listing, every line is routed to a supplier, and its stock is reserved.

    All or nothing: without stock the answer is 409 and nothing is reserved. The recipient is kept encrypted
    and is not part of this answer.
    """
    principal = principal_of(request)
    principal.require_merchant(data.merchant_id)
    with order_transaction(request) as (conn, now):

        def work() -> tuple[int, OrderView]:
            plan = plan_in_force(conn, principal.tenant_id, data.merchant_id, now)
            order = _new_order(data)
            rules = loss_rules_of(request)
            cost = routing_cost_of(request)
            placing.place_order(conn, principal.tenant_id, order, plan, now, cost, rules)
            if data.recipient is not None:
                who = data.recipient
                recipient = Recipient(who.name, who.phone, who.address, data.region_code)
                put_recipient(conn, vault_of(request), principal.tenant_id, order.order_id, recipient)
            view, _ = view_order(conn, vault_of(request), principal, order.order_id)
            return 201, msgspec.structs.replace(view, recipient=None)

        operation = f"order.place {data.merchant_id}"
        answer = once(conn, principal, operation, idempotency_key, data, work)
        view = msgspec.convert(answer.document, OrderView)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        note(request, conn, "order.place", "order", view.order_id, outcome=outcome)
        return view


@get(
    "/orders/{order_id:str}",
    opt={"scope": Scope.ORDERS_READ, "roles": _EVERYBODY, "owner": None},
    tags=["Orders"],
    summary="One order",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_order(request: Request[Any, Any, Any], order_id: Identifier) -> OrderView:
    """The order as far as the key may see it; another party's order is 404.

    A supplier sees its own lines without retail prices, and the recipient until receipt is confirmed; an
    agent the orders that it sold, without the recipient.
    """
    with order_transaction(request) as (conn, _):
        view, visibility = view_order(conn, vault_of(request), principal_of(request), order_id)
        if visibility is Visibility.CLEAR:
            note(request, conn, "recipient.read", "order", order_id)
        return view


@get(
    "/orders",
    opt={"scope": Scope.ORDERS_READ, "roles": _EVERYBODY, "owner": "merchant"},
    tags=["Orders"],
    summary="Orders, the latest first",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_orders(
    request: Request[Any, Any, Any],
    merchant_id: OptionalIdentifier = None,
    status: _Status = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> OrderPage:
    """A merchant's key sees its orders, an agent's those that it sold, a supplier's those it ships."""
    position = read_cursor(cursor, "orders")
    with order_transaction(request) as (conn, _):
        found = list_orders(
            conn,
            principal_of(request),
            status=status,
            merchant_id=merchant_id,
            after=moment_and_id(position),
            limit=limit + 1,
        )
    rows = found[:limit]
    following = cursor_after(found, limit, "orders", lambda one: [one.placed_at.isoformat(), one.order_id])
    return OrderPage(orders=rows, next_cursor=following)


@post(
    "/orders/{order_id:str}/cancel",
    opt={"scope": Scope.ORDERS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Orders"],
    summary="Cancel an unpaid order",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def cancel_order(
    request: Request[Any, Any, Any], order_id: Identifier, idempotency_key: OptionalIdempotencyKey = None
) -> OrderView:
    """Gives the stock back. A paid order is not cancelled: open an after-sale case."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        reachable_order(conn, principal, order_id)

        def move() -> dict[str, Detail]:
            placing.cancel_order(conn, principal.tenant_id, order_id)
            return {}

        operation = f"order.cancel {order_id}"
        outcome, _ = made_once(conn, principal, operation, idempotency_key, None, move)
        note(request, conn, "order.cancel", "order", order_id, outcome=outcome)
        return view_order(conn, vault_of(request), principal, order_id)[0]


@post(
    "/orders/{order_id:str}/lines/{line_no:int}/cancel",
    opt={"scope": Scope.ORDERS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Orders"],
    summary="Cancel units of a paid line before they are shipped",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def cancel_units(
    request: Request[Any, Any, Any],
    order_id: Identifier,
    line_no: _LineNo,
    data: CancelUnits,
    idempotency_key: IdempotencyKey,
) -> UnitsCancelledView:
    """Their share of price and freight goes back, their stock is free, and the supplier is told."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        reachable_order(conn, principal, order_id)

        def work() -> tuple[int, UnitsCancelledView]:
            done = cancelling.cancel_units(conn, principal.tenant_id, order_id, line_no, data.qty, now)
            view = UnitsCancelledView(
                order_id=order_id,
                line_no=line_no,
                left_qty=done.left_qty,
                refund_cents=done.refund_cents,
                freight_cents=done.freight_cents,
                order_status=done.order_status,
            )
            return 200, view

        operation = f"order_line.cancel {order_id}/{line_no}"
        answer = once(conn, principal, operation, idempotency_key, data, work)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        details = {"line_no": line_no, "qty": data.qty}
        note(request, conn, "order_line.cancel", "order", order_id, outcome=outcome, details=details)
        return msgspec.convert(answer.document, UnitsCancelledView)


@post(
    "/orders/{order_id:str}/receipt",
    opt={"scope": Scope.ORDERS_WRITE, "roles": _SHOP, "owner": None},
    tags=["Orders"],
    summary="The buyer has the goods",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def confirm_receipt(
    request: Request[Any, Any, Any],
    order_id: Identifier,
    data: ReceiptNotice,
    idempotency_key: OptionalIdempotencyKey = None,
) -> OrderView:
    """Of one supplier, or of all that shipped. The time until the release of the money counts from here."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        reachable_order(conn, principal, order_id)

        def move() -> dict[str, Detail]:
            receipts.confirm_receipt(conn, principal.tenant_id, order_id, data.supplier_id, now)
            return {"supplier_id": data.supplier_id}

        operation = f"order.receive {order_id}"
        outcome, details = made_once(conn, principal, operation, idempotency_key, data, move)
        note(request, conn, "order.receive", "order", order_id, outcome=outcome, details=details)
        return view_order(conn, vault_of(request), principal, order_id)[0]


def _new_order(data: PlaceOrder) -> placing.NewOrder:
    return placing.NewOrder(
        order_id=placing.new_order_id(),
        merchant_id=data.merchant_id,
        consumer_id=data.consumer_id,
        lines=[placing.WantedLine(line.sku_id, line.qty) for line in data.lines],
        agent_id=data.agent_id,
        channel=data.channel,
        region_code=data.region_code,
        coupon_codes=data.coupon_codes,
        scene_ids=data.scene_ids,
        promotion=_promotion(data),
    )


def _promotion(data: PlaceOrder) -> Wanted | None:
    if data.promotion_id is not None:
        return Wanted(data.promotion_id, data.group_id)
    if data.group_id is not None:
        raise InvalidRequestError("group_id", "name the promotion of the group")
    return None


ORDER_ROUTES = (
    cancel_units,
    cancel_order,
    confirm_receipt,
    get_order,
    get_orders,
    place_order,
)
"""Handlers of this resource, for the application."""
