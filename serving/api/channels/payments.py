"""`POST /v1/payments/{payment_id}/query`: ask the channel about a payment whose notice did not come."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, post
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.channels.channels import channel_problems
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note, vault_of
from serving.channels.accounts import find_account
from serving.channels.registry import adapter_of
from serving.orders.contracts import Id
from serving.orders.paying.channel_facts import take_fact
from serving.problems import ApiError
from serving.security import Role, Scope


class PaymentQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which channel account to ask."""

    channel_id: Id


class PaymentView(Struct, frozen=True, kw_only=True):
    """What became of a payment."""

    payment_id: str
    outcome: Annotated[str, Meta(description="`booked`, `held` (see /v1/misfits) or `repeated`.")]
    misfit: Annotated[str | None, Meta(description="Why it is held.")]


@post(
    "/payments/{payment_id:str}/query",
    opt={"scope": Scope.PAYMENTS_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Channels"],
    summary="Ask the channel about a payment",
    status_code=200,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def query_payment(request: Request[Any, Any, Any], payment_id: Identifier, data: PaymentQuery) -> PaymentView:
    """The channel's own answer is booked like a notice of it, once; nobody else says that money came."""
    tenant = principal_of(request).tenant_id
    with channel_problems():
        with order_transaction(request) as (conn, _):
            account = find_account(conn, vault_of(request), tenant, data.channel_id)
        # No transaction is open while the channel is asked.
        fact = adapter_of(account).query_payment(payment_id)
        if fact is None or fact.payment_id != payment_id:
            raise ApiError(404, "payment-not-found", "No such payment", "The channel knows no such payment.")
        with order_transaction(request) as (conn, now):
            taken = take_fact(conn, tenant, account, "query", fact, now)
            note(
                request,
                conn,
                "payment.query",
                "payment",
                payment_id,
                outcome="repeated" if taken.outcome == "repeated" else "done",
                details={"outcome": taken.outcome, "misfit": taken.misfit},
            )
    return PaymentView(payment_id=payment_id, outcome=taken.outcome, misfit=taken.misfit)


PAYMENT_ROUTES = (query_payment,)
"""Handlers of this resource, for the application."""
