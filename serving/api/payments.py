"""`POST /v1/payments/notices`: what the payment channel reports."""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from serving.api.answers import principal_of, problem_responses
from serving.api.order_work import in_range, order_transaction
from serving.api.transactions import note
from serving.orders.contracts import PaymentNotice, PaymentView
from serving.orders.payments import Payment, take_payment
from serving.orders.views import reachable_order
from serving.security import Role, Scope


@post(
    "/payments/notices",
    opt={
        "scope": Scope.PAYMENTS_WRITE,
        "roles": frozenset({Role.OPERATOR, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Orders"],
    summary="Take in a payment notice",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_payment_notice(request: Request[Any, Any, Any], data: PaymentNotice) -> PaymentView:
    """The order is frozen as it was paid and its money shared out, in one transaction.

    The payment id stands for the notice: the same notice again gets the same answer, another body 409.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        reachable_order(conn, principal, data.order_id)
        paid_at = now if data.paid_at is None else in_range("paid_at", data.paid_at)
        payment = Payment(
            data.payment_id, data.order_id, data.adapter, data.captured_cents, data.fee_cents, paid_at
        )
        taken = take_payment(conn, principal.tenant_id, payment, now)
        note(
            request,
            conn,
            "payment.take",
            "order",
            data.order_id,
            outcome="done" if taken.is_new else "repeated",
            details={"payment_id": data.payment_id, "captured_cents": data.captured_cents},
        )
        return PaymentView(
            payment_id=data.payment_id,
            order_id=data.order_id,
            order_status=taken.order_status,
            captured_cents=data.captured_cents,
            plan_id=taken.plan_id,
            plan_version=taken.plan_version,
        )


PAYMENT_ROUTES = (post_payment_notice,)
"""Handlers of this resource, for the application."""
