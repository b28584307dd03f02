"""`/v1/merchants/{merchant_id}/loss-budgets`: what lines may lose that bring less than they cost."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from litestar import Request, get, put
from litestar.params import Parameter

from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import Identifier, PageSize
from serving.api.transactions import note
from serving.audit import Detail
from serving.db.calendar import local_day, zone_of
from serving.orders.assortment import losses
from serving.orders.contracts import LossBudgetList, LossBudgetRequest, LossBudgetView
from serving.security import Role, Scope

_OPERATOR = frozenset({Role.OPERATOR})
_From = Annotated[date | None, Parameter(description="First local day; without it today.")]


@put(
    "/merchants/{merchant_id:str}/loss-budgets",
    opt={"scope": Scope.SETTLEMENT_APPROVE, "roles": _OPERATOR, "owner": "merchant"},
    tags=["Orders"],
    summary="Set what a merchant's lines may lose a day",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_loss_budgets(
    request: Request[Any, Any, Any], merchant_id: Identifier, data: LossBudgetRequest
) -> LossBudgetList:
    """A day without a budget has none. A limit below what orders took of the day already is refused (422)."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        done = losses.set_budget(
            conn, principal.tenant_id, merchant_id, data.first_on, data.last_on, data.limit_cents
        )
        details: dict[str, Detail] = {
            "first_on": data.first_on.isoformat(),
            "last_on": data.last_on.isoformat(),
            "limit_cents": data.limit_cents,
        }
        note(request, conn, "loss_budget.set", "merchant", merchant_id, details=details)
    return _answer(done)


@get(
    "/merchants/{merchant_id:str}/loss-budgets",
    opt={
        "scope": Scope.SETTLEMENT_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT}),
        "owner": "merchant",
    },
    tags=["Orders"],
    summary="Loss budgets of a merchant",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_loss_budgets(
    request: Request[Any, Any, Any], merchant_id: Identifier, first_on: _From = None, limit: PageSize = 100
) -> LossBudgetList:
    """By local day, from `first_on` on; the next page begins after the last day of this one."""
    with order_transaction(request) as (conn, now):
        tenant = principal_of(request).tenant_id
        first = first_on or local_day(now, zone_of(conn, tenant))
        return _answer(losses.budgets(conn, tenant, merchant_id, first, limit=limit))


def _answer(found: list[losses.LossBudget]) -> LossBudgetList:
    return LossBudgetList(
        budgets=[
            LossBudgetView(
                merchant_id=one.merchant_id,
                day=one.day,
                limit_cents=one.limit_cents,
                spent_cents=one.spent_cents,
            )
            for one in found
        ]
    )


LOSS_BUDGET_ROUTES = (
    get_loss_budgets,
    put_loss_budgets,
)
"""Handlers of this resource, for the application."""
