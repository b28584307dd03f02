"""After-sale cases: opening, refunding, rejecting, closing."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, post

from serving.api.answers import principal_of, problem_responses
from serving.api.order_work import IdempotencyKey, OptionalIdempotencyKey, made_once, order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders import after_sales
from serving.orders.contracts import CaseView, OpenCase, RefundCase, RefundView
from serving.orders.errors import NotFoundError
from serving.orders.views import case_view, reachable_order, supplier_of
from serving.security import Principal, Role, Scope

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_DECIDE = {"scope": Scope.AFTER_SALES_WRITE, "roles": _SHOP, "owner": None}


@post(
    "/orders/{order_id:str}/after-sales",
    opt={"scope": Scope.AFTER_SALES_WRITE, "roles": _SHOP | {Role.SUPPLIER}, "owner": None},
    tags=["After-sale"],
    summary="Open an after-sale case",
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def open_after_sale(
    request: Request[Any, Any, Any], order_id: Identifier, data: OpenCase, idempotency_key: IdempotencyKey
) -> CaseView:
    """On a line, or on the freight of a supplier (line 0). While it is open, its money is not released.

    A supplier's key may open cases on its own lines, e.g. for a parcel that came back.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        reachable_order(conn, principal, order_id)
        supplier = supplier_of(principal) or data.supplier_id

        def work() -> tuple[int, CaseView]:
            case = after_sales.open_case(
                conn,
                principal.tenant_id,
                order_id,
                data.line_no,
                supplier,
                data.kind,
                data.reason_code,
                data.requested_cents,
                now,
            )
            return 201, case_view(case)

        answer = once(conn, principal, f"case.open {order_id}", idempotency_key, data, work)
        view = msgspec.convert(answer.document, CaseView)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        note(request, conn, "after_sale.open", "after_sale", view.case_id, outcome=outcome)
        return view


@post(
    "/after-sales/{case_id:str}/refund",
    opt=_DECIDE,
    tags=["After-sale"],
    summary="Give money back on a case",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def refund_after_sale(
    request: Request[Any, Any, Any], case_id: Identifier, data: RefundCase, idempotency_key: IdempotencyKey
) -> RefundView:
    """Partly or in full, once or repeated, before or after the money was paid out.

    Every share of the line is taken back in proportion; what a party was paid already becomes a receivable.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _reachable_case(conn, principal, case_id)

        def work() -> tuple[int, RefundView]:
            done = after_sales.refund_case(conn, principal.tenant_id, case_id, data.refund_cents, now)
            view = RefundView(
                refund_id=done.refund_id,
                case=case_view(done.case),
                refund_cents=done.refund_cents,
                order_status=done.order_status,
            )
            return 200, view

        answer = once(conn, principal, f"case.refund {case_id}", idempotency_key, data, work)
        outcome: Outcome = "repeated" if answer.is_repeated else "done"
        details = {"refund_cents": data.refund_cents}
        note(request, conn, "after_sale.refund", "after_sale", case_id, outcome=outcome, details=details)
        return msgspec.convert(answer.document, RefundView)


@post(
    "/after-sales/{case_id:str}/reject",
    opt=_DECIDE,
    tags=["After-sale"],
    summary="Reject a case",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def reject_after_sale(
    request: Request[Any, Any, Any], case_id: Identifier, idempotency_key: OptionalIdempotencyKey = None
) -> CaseView:
    """Only while nothing was given back on it."""
    return _end(request, case_id, "reject", idempotency_key)


@post(
    "/after-sales/{case_id:str}/close",
    opt=_DECIDE,
    tags=["After-sale"],
    summary="Close a case",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def close_after_sale(
    request: Request[Any, Any, Any], case_id: Identifier, idempotency_key: OptionalIdempotencyKey = None
) -> CaseView:
    """Nothing more is given back on it."""
    return _end(request, case_id, "close", idempotency_key)


def _end(request: Request[Any, Any, Any], case_id: str, event: str, key: str | None) -> CaseView:
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _reachable_case(conn, principal, case_id)

        def move() -> dict[str, Detail]:
            after_sales.end_case(conn, principal.tenant_id, case_id, event, now)
            return {}

        operation = f"case.{event} {case_id}"
        outcome, _ = made_once(conn, principal, operation, key, None, move)
        note(request, conn, f"after_sale.{event}", "after_sale", case_id, outcome=outcome)
        return case_view(after_sales.find_case(conn, principal.tenant_id, case_id))


def _reachable_case(conn: Any, principal: Principal, case_id: str) -> None:
    case = after_sales.find_case(conn, principal.tenant_id, case_id)
    try:
        reachable_order(conn, principal, case.order_id)
    except NotFoundError:
        raise NotFoundError("after-sale-case", case_id) from None


AFTER_SALE_ROUTES = (
    close_after_sale,
    open_after_sale,
    refund_after_sale,
    reject_after_sale,
)
"""Handlers of this resource, for the application."""
