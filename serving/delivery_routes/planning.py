"""From a request to a plan: the problem, its solution, and the words of the answer."""

from __future__ import annotations

from datetime import datetime, timedelta

from serving.delivery_routes.contracts import PlannedRoute, RoutePlan, RoutePlanRequest, Visit
from serving.delivery_routes.problem import MILLI, origin_of, problem_of
from serving.delivery_routes.solving import Solved, SolvedRoute, solve_routes


def plan_routes(request: RoutePlanRequest) -> RoutePlan:
    """Plan the routes of a request; it takes about its `seconds`.

    Raises:
        InvalidRouteRequestError: The request contradicts itself.
    """
    problem = problem_of(request)
    vehicles = {vehicle.vehicle_id: number for number, vehicle in enumerate(request.vehicles)}
    stops = {stop.stop_id: number for number, stop in enumerate(request.stops)}
    standing = [
        (vehicles[route.vehicle_id], [stops[stop_id] for stop_id in route.stop_ids])
        for route in request.standing
    ]
    return _plan(request, solve_routes(problem, request.seconds, standing))


def _plan(request: RoutePlanRequest, solved: Solved) -> RoutePlan:
    origin = origin_of(request)
    routes = [_route(request, route, origin) for route in solved.routes]
    now = {(route.vehicle_id, tuple(visit.stop_id for visit in route.visits)) for route in routes}
    return RoutePlan(
        routes=routes,
        unserved=[request.stops[stop].stop_id for stop in solved.unserved],
        kept_routes=sum((route.vehicle_id, tuple(route.stop_ids)) in now for route in request.standing),
        distance_m=sum(route.distance_m for route in routes),
        cost_cents=sum(route.cost_cents for route in routes),
    )


def _route(request: RoutePlanRequest, route: SolvedRoute, origin: datetime) -> PlannedRoute:
    vehicle = request.vehicles[route.vehicle]
    visited = [request.stops[visit.stop] for visit in route.visits]
    return PlannedRoute(
        vehicle_id=vehicle.vehicle_id,
        depot_id=vehicle.depot_id,
        starts_at=_at(origin, route.starts),
        ends_at=_at(origin, route.ends),
        distance_m=route.distance,
        duration_s=route.ends - route.starts,
        delivery=sum(stop.delivery for stop in visited),
        pickup=sum(stop.pickup for stop in visited),
        cost_cents=round(route.cost / MILLI),
        visits=[
            Visit(
                stop_id=stop.stop_id,
                arrives_at=_at(origin, visit.arrives),
                starts_at=_at(origin, visit.starts),
                leaves_at=_at(origin, visit.leaves),
            )
            for stop, visit in zip(visited, route.visits, strict=True)
        ],
    )


def _at(origin: datetime, seconds: int) -> datetime:
    return origin + timedelta(seconds=seconds)
