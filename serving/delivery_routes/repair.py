"""Makes a plan possible: stops leave routes that break a limit and go where they fit, the cheapest way first.

A search that is short of time may end in a plan that breaks limits, and a plan that stands may break them
today; what comes out of here never does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyvrp

Way = tuple[int, list[int]]
"""Kind of vehicle and stops in order."""


def possible(data: pyvrp.ProblemData, ways: list[Way]) -> list[Way]:
    """Routes within every limit; stops that fit nowhere stand in none.

    Args:
        data: The problem.
        ways: Routes, at most as many of each kind of vehicle as there are; each stop once at most.
    """
    kept = [(vehicle, _stripped(data, vehicle, stops)) for vehicle, stops in ways]
    kept = [way for way in kept if way[1]]
    placed = {stop for _, stops in kept for stop in stops}
    left = [stop for stop in range(data.num_clients) if stop not in placed]
    # What is hard to place goes first: much load, little time.
    clients = data.clients()
    left.sort(key=lambda stop: (-_load(clients[stop]), clients[stop].tw_late - clients[stop].tw_early, stop))
    for stop in left:
        _insert(data, kept, stop)
    return kept


def _stripped(data: pyvrp.ProblemData, vehicle: int, stops: list[int]) -> list[int]:
    """The route without the stops that break its limits: each time the one that mends most."""
    stops = list(stops)
    while stops and (broken := _broken(data, vehicle, stops)):
        without = [stops[:at] + stops[at + 1 :] for at in range(len(stops))]
        mended = [_broken(data, vehicle, rest) for rest in without]
        best = min(range(len(stops)), key=lambda at: (mended[at], at))
        if mended[best] >= broken and len(stops) > 1:
            best = len(stops) - 1
        stops = without[best]
    return stops


def _insert(data: pyvrp.ProblemData, ways: list[Way], stop: int) -> None:
    """Put a stop where it costs least, in a route or with an idle vehicle; nowhere if it fits nowhere."""
    used = Counter(vehicle for vehicle, _ in ways)
    best: tuple[int, int, Way] | None = None
    for number, (vehicle, stops) in enumerate(ways):
        before = _cost(data, vehicle, stops)
        for at in range(len(stops) + 1):
            changed = [*stops[:at], stop, *stops[at:]]
            best = _better(data, best, number, (vehicle, changed), before)
    for vehicle, kind in enumerate(data.vehicle_types()):
        if used[vehicle] < kind.num_available:
            best = _better(data, best, len(ways), (vehicle, [stop]), 0)
    if best is not None:
        _, number, way = best
        ways[number : number + 1] = [way]


def _better(
    data: pyvrp.ProblemData, best: tuple[int, int, Way] | None, number: int, way: Way, before: int
) -> tuple[int, int, Way] | None:
    """The cheaper of the best way so far and another; one that breaks a limit is none."""
    import pyvrp

    route = pyvrp.Route(data, way[1], way[0])
    if not route.is_feasible():
        return best
    added = _cost_of(route) - before
    return (added, number, way) if best is None or added < best[0] else best


def _broken(data: pyvrp.ProblemData, vehicle: int, stops: list[int]) -> int:
    """By how much a route breaks its limits; 0 if it holds them."""
    import pyvrp

    if not stops:
        return 0
    route = pyvrp.Route(data, stops, vehicle)
    if route.is_feasible():
        return 0
    return 1 + sum(route.excess_load()) + route.excess_distance() + route.time_warp()


def _cost(data: pyvrp.ProblemData, vehicle: int, stops: list[int]) -> int:
    import pyvrp

    return _cost_of(pyvrp.Route(data, stops, vehicle))


def _cost_of(route: pyvrp.Route) -> int:
    return route.fixed_vehicle_cost() + route.distance_cost() + route.duration_cost()


def _load(client: pyvrp.Client) -> int:
    return max(sum(client.delivery), sum(client.pickup))
