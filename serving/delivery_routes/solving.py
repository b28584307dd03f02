"""Solves a routing problem with PyVRP, the only module that knows it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.delivery_routes.problem import LATEST, Problem
from serving.delivery_routes.repair import Way, possible

if TYPE_CHECKING:
    import pyvrp

CALM = 5_000
"""Iterations without a better plan after which the search ends, before those for each stop."""
CALM_PER_STOP = 200
SEED = 0


@dataclass(frozen=True, slots=True)
class SolvedVisit:
    """A stop with its times: arrival, begin and end of service."""

    stop: int
    arrives: int
    starts: int
    leaves: int


@dataclass(frozen=True, slots=True)
class SolvedRoute:
    """The way of one vehicle, in the units of the problem.

    Attributes:
        vehicle: Kind of the vehicle.
        visits: Its stops in order.
        starts: When it leaves the depot.
        ends: When it is back.
        distance: Length of the way.
        cost: Fixed cost, distance and duration.
    """

    vehicle: int
    visits: tuple[SolvedVisit, ...]
    starts: int
    ends: int
    distance: int
    cost: int


@dataclass(frozen=True, slots=True)
class Solved:
    """The best plan found.

    Attributes:
        routes: By kind of vehicle, then by begin.
        unserved: Stops that are left out.
    """

    routes: tuple[SolvedRoute, ...]
    unserved: tuple[int, ...]

    @property
    def cost(self) -> int:
        """Cost of all routes."""
        return sum(route.cost for route in self.routes)


def solve_routes(
    problem: Problem, seconds: float, standing: Sequence[tuple[int, Sequence[int]]] = ()
) -> Solved:
    """Search for the cheapest plan by iterated local search.

    Args:
        problem: The problem.
        seconds: Time for everything; inserting many stops may take longer. The search ends earlier once it
            has found nothing better for a while.
        standing: Routes to begin with, as kind of vehicle and stops in order, at most as many of a kind as
            there are vehicles; stops in none are inserted first.

    Returns:
        The best plan found; it holds every limit.
    """
    import pyvrp
    from pyvrp.stop import MaxRuntime, MultipleCriteria, NoImprovement

    # The stub of PyVRP names a shape that no array has.
    distances: list[Any] = list(problem.distance)
    durations: list[Any] = list(problem.duration)
    ends = time.perf_counter() + seconds
    places = len(distances[0])
    data = pyvrp.ProblemData(
        locations=[pyvrp.Location(0, 0) for _ in range(places)],
        clients=[
            pyvrp.Client(
                location=stop.place,
                delivery=[stop.delivery],
                pickup=[stop.pickup],
                service_duration=stop.service,
                tw_early=stop.opens,
                tw_late=stop.closes,
                prize=stop.prize or 0,
                required=stop.prize is None,
            )
            for stop in problem.stops
        ],
        depots=[pyvrp.Depot(location=place) for place in range(problem.depots)],
        vehicle_types=[
            pyvrp.VehicleType(
                num_available=vehicle.count,
                capacity=[vehicle.capacity],
                start_depot=vehicle.depot,
                end_depot=vehicle.depot,
                fixed_cost=vehicle.fixed,
                tw_early=vehicle.starts,
                tw_late=vehicle.ends,
                max_distance=LATEST if vehicle.most_distance is None else vehicle.most_distance,
                unit_distance_cost=vehicle.per_distance,
                unit_duration_cost=vehicle.per_duration,
                profile=vehicle.profile,
            )
            for vehicle in problem.vehicles
        ],
        distance_matrices=distances,
        duration_matrices=durations,
    )
    begin = (
        _solution(data, possible(data, [(kind, list(stops)) for kind, stops in standing]))
        if standing
        else None
    )
    calm = CALM + CALM_PER_STOP * len(problem.stops)
    stop = MultipleCriteria([MaxRuntime(max(0.0, ends - time.perf_counter())), NoImprovement(calm)])
    # A broken limit must not be cheaper than what it saves, however the costs are scaled.
    dearest = max((one.prize or 0 for one in problem.stops), default=0)
    usual = pyvrp.PenaltyParams()
    penalty = pyvrp.PenaltyParams(max_penalty=max(usual.max_penalty, float(dearest)))
    params = pyvrp.SolveParams(penalty=penalty)
    best = pyvrp.solve(data, stop, SEED, collect_stats=False, params=params, initial_solution=begin).best
    if not best.is_feasible():
        best = _solution(data, possible(data, _ways(best)))
    routes = [_route(route) for route in best.routes()]
    served = {visit.stop for route in routes for visit in route.visits}
    return Solved(
        routes=tuple(sorted(routes, key=lambda route: (route.vehicle, route.starts, route.visits[0].stop))),
        unserved=tuple(stop for stop in range(len(problem.stops)) if stop not in served),
    )


def _solution(data: pyvrp.ProblemData, ways: list[Way]) -> pyvrp.Solution:
    import pyvrp

    return pyvrp.Solution(data, [pyvrp.Route(data, stops, kind) for kind, stops in ways])


def _ways(solution: pyvrp.Solution) -> list[Way]:
    return [
        (route.vehicle_type(), [visit.idx for visit in route.schedule() if visit.is_client()])
        for route in solution.routes()
    ]


def _route(route: pyvrp.Route) -> SolvedRoute:
    visits = [
        SolvedVisit(
            stop=activity.idx,
            arrives=activity.start_time - activity.wait_duration,
            starts=activity.start_time,
            leaves=activity.end_time,
        )
        for activity in route.schedule()
        if activity.is_client()
    ]
    return SolvedRoute(
        vehicle=route.vehicle_type(),
        visits=tuple(visits),
        starts=route.start_time(),
        ends=route.end_time(),
        distance=route.distance(),
        cost=route.fixed_vehicle_cost() + route.distance_cost() + route.duration_cost(),
    )
