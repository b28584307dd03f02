"""`POST /v1/routes/plan`: which vehicle visits which stops, in which order."""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from serving.api.answers import problem_responses
from serving.api.transactions import note, tenant_transaction
from serving.delivery_routes.contracts import RoutePlan, RoutePlanRequest
from serving.delivery_routes.errors import (
    InvalidRouteRequestError,
    PlannerBusyError,
    PlannerFailedError,
)
from serving.delivery_routes.planner import Planner
from serving.problems import ApiError
from serving.security import Role, Scope


@post(
    "/routes/plan",
    opt={
        "scope": Scope.FULFILMENT_READ,
        "roles": frozenset({Role.OPERATOR, Role.SUPPLIER}),
        "owner": None,
    },
    tags=["Fulfilment"],
    summary="Plan delivery routes",
    status_code=200,
    responses=problem_responses(),
    sync_to_thread=True,
)
def plan_delivery_routes(request: Request[Any, Any, Any], data: RoutePlanRequest) -> RoutePlan:
    """The cheapest routes found within `seconds`, under capacities, time windows, shifts and ranges.

    `standing` are routes to begin with: to insert a stop, send the plan that stands, all stops and few
    seconds. `unserved` are stops for which the fleet has no room or time; one that no vehicle could serve
    alone is refused by its name. Nothing is stored. Distances are great circles x `detour`, at `speed_kmh`.
    """
    planner: Planner = request.app.state.route_planner
    try:
        plan = planner.plan(data)
    except InvalidRouteRequestError as error:
        raise ApiError(422, error.slug, error.title, str(error)) from error
    except (PlannerBusyError, PlannerFailedError) as error:
        raise ApiError(
            503, "route-planner-unavailable", "No plan was made", str(error), headers={"Retry-After": "5"}
        ) from error
    with tenant_transaction(request) as conn:
        note(
            request,
            conn,
            "delivery_routes.plan",
            "route_plan",
            request.scope["state"]["request_id"],
            details={"stops": len(data.stops), "routes": len(plan.routes), "unserved": len(plan.unserved)},
        )
    return plan
