"""What suppliers tell about their part of an order, and what they have to send."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, get, post
from litestar.params import Parameter

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import (
    OptionalIdempotencyKey,
    in_range,
    loss_rules_of,
    made_once,
    moment_and_id,
    order_transaction,
    routing_cost_of,
)
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note, vault_of
from serving.audit import Detail
from serving.orders.contracts import (
    AcceptSubOrder,
    InstructionPage,
    OrderView,
    RejectSubOrder,
    ShipmentNotice,
)
from serving.orders.errors import InvalidRequestError
from serving.orders.fulfilment import fulfilment
from serving.orders.fulfilment.instructions import instructions_of
from serving.orders.states import UNSHIPPED
from serving.orders.views import view_order
from serving.privacy.masking import Relation, Visibility, recipient_visibility
from serving.security import Role, Scope

_SUPPLIER = frozenset({Role.OPERATOR, Role.SUPPLIER})
_WRITE = {"scope": Scope.FULFILMENT_WRITE, "roles": _SUPPLIER, "owner": "supplier"}
_PART = "/orders/{order_id:str}/suborders/{supplier_id:str}"
_Status = Annotated[
    Literal["pending", "accepted", "shipped"] | None,
    Parameter(description="Only parts in this state; without it those that are to be shipped."),
]


@post(
    f"{_PART}/accept",
    opt=_WRITE,
    tags=["Fulfilment"],
    summary="A supplier takes its part of an order",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def accept_sub_order(
    request: Request[Any, Any, Any],
    order_id: Identifier,
    supplier_id: Identifier,
    data: AcceptSubOrder,
    idempotency_key: OptionalIdempotencyKey = None,
) -> OrderView:
    """Short lines go whole to another supplier; when nobody has them, what is missing is refunded."""
    principal = principal_of(request)
    short = {line.line_no: line.available_qty for line in data.short}
    with order_transaction(request) as (conn, now):
        if len(short) != len(data.short):
            raise InvalidRequestError("short", "a line stands twice")

        def move() -> dict[str, Detail]:
            rules, cost = loss_rules_of(request), routing_cost_of(request)
            tenant = principal.tenant_id
            done = fulfilment.accept(conn, tenant, order_id, supplier_id, short, now, rules, cost)
            return _details(done, supplier_id)

        operation = f"sub_order.accept {order_id} {supplier_id}"
        outcome, details = made_once(conn, principal, operation, idempotency_key, data, move)
        note(request, conn, "sub_order.accept", "order", order_id, outcome=outcome, details=details)
        return view_order(conn, vault_of(request), principal, order_id)[0]


@post(
    f"{_PART}/reject",
    opt=_WRITE,
    tags=["Fulfilment"],
    summary="A supplier does not take its part of an order",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def reject_sub_order(
    request: Request[Any, Any, Any],
    order_id: Identifier,
    supplier_id: Identifier,
    data: RejectSubOrder,
    idempotency_key: OptionalIdempotencyKey = None,
) -> OrderView:
    """Its lines go to other suppliers; when nobody has one, it is refunded, or the unpaid order cancelled."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):

        def move() -> dict[str, Detail]:
            tenant = principal.tenant_id
            rules, cost = loss_rules_of(request), routing_cost_of(request)
            done = fulfilment.reject(conn, tenant, order_id, supplier_id, data.reason_code, now, rules, cost)
            return _details(done, supplier_id)

        operation = f"sub_order.reject {order_id} {supplier_id}"
        outcome, details = made_once(conn, principal, operation, idempotency_key, data, move)
        note(request, conn, "sub_order.reject", "order", order_id, outcome=outcome, details=details)
        return view_order(conn, vault_of(request), principal, order_id)[0]


@post(
    f"{_PART}/shipments",
    opt=_WRITE,
    tags=["Fulfilment"],
    summary="A parcel is on its way",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_shipment(
    request: Request[Any, Any, Any], order_id: Identifier, supplier_id: Identifier, data: ShipmentNotice
) -> OrderView:
    """The first parcel takes the goods off the shelf. The shipment id stands for the notice."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        parcel = fulfilment.Parcel(
            data.shipment_id,
            in_range("promised_at", data.promised_at),
            now if data.shipped_at is None else in_range("shipped_at", data.shipped_at, latest=now),
            data.carrier,
            data.tracking_no,
        )
        fulfilment.ship(conn, principal.tenant_id, order_id, supplier_id, parcel, now)
        details = {"supplier_id": supplier_id, "shipment_id": data.shipment_id}
        note(request, conn, "sub_order.ship", "order", order_id, details=details)
        return view_order(conn, vault_of(request), principal, order_id)[0]


@get(
    "/suppliers/{supplier_id:str}/shipping-instructions",
    opt={"scope": Scope.FULFILMENT_READ, "roles": _SUPPLIER, "owner": "supplier"},
    tags=["Fulfilment"],
    summary="What a supplier has to send, and to whom",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_shipping_instructions(
    request: Request[Any, Any, Any],
    supplier_id: Identifier,
    status: _Status = None,
    limit: PageSize = 100,
    cursor: CursorText = None,
) -> InstructionPage:
    """Parts of paid orders, the oldest payment first. The supplier sees recipients in clear, on record."""
    principal = principal_of(request)
    position = read_cursor(cursor, "instructions")
    visibility = recipient_visibility(principal, Relation.SHIPS)
    with order_transaction(request) as (conn, _):
        found = instructions_of(
            conn,
            vault_of(request),
            principal.tenant_id,
            supplier_id,
            statuses=[status] if status else sorted(UNSHIPPED),
            after=moment_and_id(position),
            limit=limit + 1,
            visibility=visibility,
        )
        rows = found[:limit]
        if visibility is Visibility.CLEAR:
            details = {"orders": len(rows), "status": status}
            note(request, conn, "recipient.read", "supplier", supplier_id, details=details)
    following = cursor_after(
        found, limit, "instructions", lambda one: [one.paid_at.isoformat(), one.order_id]
    )
    return InstructionPage(instructions=rows, next_cursor=following)


def _details(outcome: fulfilment.Outcome, supplier_id: str) -> dict[str, Detail]:
    return {
        "supplier_id": supplier_id,
        "moved": len(outcome.moved),
        "refunded": len(outcome.refunded),
    }


FULFILMENT_ROUTES = (
    accept_sub_order,
    get_shipping_instructions,
    post_shipment,
    reject_sub_order,
)
"""Handlers of this resource, for the application."""
