"""`/v1/orders/{order_id}/lines/{line_no}/points`: paying part of a line with points."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note
from serving.orders.placing.points_payment import pay_with_points
from serving.orders.views import reachable_order
from serving.security import Role, Scope


class PointsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many points pay."""

    points: Annotated[int, Meta(ge=1, le=10**10, description="1 point pays 1 fen.")]


class PointsPaid(Struct, frozen=True, kw_only=True):
    """What is left to pay, fen."""

    order_id: str
    line_no: int
    points: int
    net_paid_cents: Annotated[int, Meta(description="Of the line.")]
    payable_cents: Annotated[int, Meta(description="Of the order.")]
    is_new: Annotated[bool, Meta(description="False when the same points paid for the line before.")]


@post(
    "/orders/{order_id:str}/lines/{line_no:int}/points",
    opt={
        "scope": Scope.ORDERS_WRITE,
        "roles": frozenset({Role.OPERATOR, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Orders"],
    summary="Pay part of a line with points",
    status_code=201,
    responses=problem_responses(404, 409),
    sync_to_thread=True,
)
def post_points(
    request: Request[Any, Any, Any],
    order_id: Identifier,
    line_no: Annotated[int, Parameter(ge=1, le=10**6)],
    data: PointsRequest,
) -> PointsPaid:
    """Before the order is paid, up to the plan's share of the line; once per line.

    A cancelled line gives them back, a refunded one in proportion, with the next run of the job `points`.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        reachable_order(conn, principal, order_id)
        paid = pay_with_points(conn, principal.tenant_id, order_id, line_no, data.points, now)
        note(
            request,
            conn,
            "order.pay_with_points",
            "order",
            order_id,
            outcome="done" if paid.is_new else "repeated",
            details={"line_no": line_no, "points": data.points},
        )
    return PointsPaid(**{name: getattr(paid, name) for name in PointsPaid.__struct_fields__})


POINTS_ROUTES = [post_points]
