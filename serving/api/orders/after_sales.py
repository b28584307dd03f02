"""After-sale cases: opening, the supplier's answer, goods that return, arbitration, refunding, ending."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, get, post

from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import IdempotencyKey, OptionalIdempotencyKey, made_once, order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note, vault_of
from serving.audit import Detail, Outcome
from serving.db.idempotency import once
from serving.orders.after_sales import after_sales, returns
from serving.orders.contracts import (
    AnswerCase,
    Arbitration,
    CaseView,
    OpenCase,
    RecipientView,
    RefundCase,
    RefundView,
    ReturnParcel,
    ReturnReceipt,
)
from serving.orders.errors import InvalidRequestError, NotFoundError
from serving.orders.views import case_view, reachable_order, supplier_of
from serving.privacy.personal_fields import Recipient
from serving.security import Principal, Role, Scope
from serving.settings import Settings

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})
_SUPPLY = frozenset({Role.OPERATOR, Role.SUPPLIER})
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

    A supplier's key may open cases on its own lines, e.g. for a parcel that came back: it agrees with them.
    """
    principal = principal_of(request)
    settings: Settings = request.app.state.settings
    with order_transaction(request) as (conn, now):
        reachable_order(conn, principal, order_id)
        supplier = supplier_of(principal) or data.supplier_id
        if data.kind == "return" and data.line_no and data.qty is None:
            raise InvalidRequestError("qty", "say how many units come back")

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
                data.qty,
                is_suppliers=supplier_of(principal) is not None,
                safety_reasons=settings.safety_reasons,
            )
            return 201, case_view(case, principal)

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
    Of what was shipped only when the supplier agrees, an operator decided for the buyer, or the supplier did
    not answer for `MUYUN_SUPPLIER_ANSWER_DAYS`; a disagreement binds later cases of the line.
    """
    principal = principal_of(request)
    settings: Settings = request.app.state.settings
    with order_transaction(request) as (conn, now):
        _reachable_case(conn, principal, case_id)

        def work() -> tuple[int, RefundView]:
            done = after_sales.refund_case(
                conn,
                principal.tenant_id,
                case_id,
                data.refund_cents,
                now,
                answer_days=settings.supplier_answer_days,
            )
            view = RefundView(
                refund_id=done.refund_id,
                case=case_view(done.case, principal),
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


@post(
    "/after-sales/{case_id:str}/answer",
    opt={"scope": Scope.AFTER_SALES_WRITE, "roles": _SUPPLY, "owner": None},
    tags=["After-sale"],
    summary="The supplier agrees with a case, or does not",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def answer_after_sale(
    request: Request[Any, Any, Any],
    case_id: Identifier,
    data: AnswerCase,
    idempotency_key: OptionalIdempotencyKey = None,
) -> CaseView:
    """Where the supplier disagrees, nothing is given back before an operator decided.

    A return address is kept encrypted and is not part of this answer.
    """

    def move(conn: Any, tenant_id: str, now: datetime) -> None:
        returns.answer_case(
            conn, tenant_id, case_id, agrees=data.agrees, reason_code=data.reason_code, now=now
        )
        if data.return_address is not None:
            who = data.return_address
            address = Recipient(who.name, who.phone, who.address)
            returns.put_return_address(conn, vault_of(request), tenant_id, case_id, address)

    return _moved(request, case_id, "answer", data, idempotency_key, move)


@get(
    "/after-sales/{case_id:str}/return-address",
    opt={"scope": Scope.AFTER_SALES_WRITE, "roles": _SHOP | {Role.SUPPLIER}, "owner": None},
    tags=["After-sale"],
    summary="Where the goods of a case go back to",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_return_address(request: Request[Any, Any, Any], case_id: Identifier) -> RecipientView:
    """In clear, for the shop of the order and for the supplier; every reading is in the audit log."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        _reachable_case(conn, principal, case_id)
        found = returns.get_return_address(conn, vault_of(request), principal.tenant_id, case_id)
        if found is None:
            raise NotFoundError("return-address", case_id)
        note(request, conn, "return_address.read", "after_sale", case_id)
        return RecipientView(name=found.name, phone=found.phone, address=found.address, region_code=None)


@post(
    "/after-sales/{case_id:str}/parcel",
    opt=_DECIDE,
    tags=["After-sale"],
    summary="Goods are on their way back",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def send_back(
    request: Request[Any, Any, Any],
    case_id: Identifier,
    data: ReturnParcel,
    idempotency_key: OptionalIdempotencyKey = None,
) -> CaseView:
    """The supplier is told."""

    def move(conn: Any, tenant_id: str, now: datetime) -> None:
        returns.send_back(conn, tenant_id, case_id, data.carrier, data.tracking_no, now)

    return _moved(request, case_id, "parcel", data, idempotency_key, move)


@post(
    "/after-sales/{case_id:str}/return-receipt",
    opt={"scope": Scope.AFTER_SALES_WRITE, "roles": _SUPPLY, "owner": None},
    tags=["After-sale"],
    summary="Goods came back",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def receive_back(
    request: Request[Any, Any, Any],
    case_id: Identifier,
    data: ReturnReceipt,
    idempotency_key: OptionalIdempotencyKey = None,
) -> CaseView:
    """By the supplier's count: refunds of the case are bound by what came, and what is restocked is stock."""

    def move(conn: Any, tenant_id: str, now: datetime) -> None:
        returns.receive_back(conn, tenant_id, case_id, data.received_qty, data.restocked_qty, now)

    return _moved(request, case_id, "return_receipt", data, idempotency_key, move)


@post(
    "/after-sales/{case_id:str}/arbitration",
    opt={"scope": Scope.AFTER_SALES_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["After-sale"],
    summary="Decide a case with which the supplier does not agree",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def arbitrate_after_sale(
    request: Request[Any, Any, Any],
    case_id: Identifier,
    data: Arbitration,
    idempotency_key: OptionalIdempotencyKey = None,
) -> CaseView:
    """Once. `refund` lets the shop give money back, `reject` ends the case and binds later ones of it."""

    def move(conn: Any, tenant_id: str, now: datetime) -> None:
        returns.arbitrate(conn, tenant_id, case_id, data.decision, data.reason_code, now)

    return _moved(request, case_id, "arbitrate", data, idempotency_key, move)


def _moved(
    request: Request[Any, Any, Any],
    case_id: str,
    verb: str,
    data: object,
    key: str | None,
    move: Callable[[Any, str, datetime], None],
) -> CaseView:
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        _reachable_case(conn, principal, case_id)

        def moved() -> dict[str, Detail]:
            move(conn, principal.tenant_id, now)
            return {}

        outcome, _ = made_once(conn, principal, f"case.{verb} {case_id}", key, data, moved)
        note(request, conn, f"after_sale.{verb}", "after_sale", case_id, outcome=outcome)
        return case_view(after_sales.find_case(conn, principal.tenant_id, case_id), principal)


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
        return case_view(after_sales.find_case(conn, principal.tenant_id, case_id), principal)


def _reachable_case(conn: Any, principal: Principal, case_id: str) -> None:
    case = after_sales.find_case(conn, principal.tenant_id, case_id)
    if principal.role is Role.SUPPLIER and case.supplier_id != principal.party_id:
        raise NotFoundError("after-sale-case", case_id)
    try:
        reachable_order(conn, principal, case.order_id)
    except NotFoundError:
        raise NotFoundError("after-sale-case", case_id) from None


AFTER_SALE_ROUTES = (
    answer_after_sale,
    arbitrate_after_sale,
    get_return_address,
    receive_back,
    send_back,
    close_after_sale,
    open_after_sale,
    refund_after_sale,
    reject_after_sale,
)
"""Handlers of this resource, for the application."""
