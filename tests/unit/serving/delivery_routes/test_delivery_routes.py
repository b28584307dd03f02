"""Routes by hand and by enumeration; requests that contradict themselves."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from serving.delivery_routes import errors
from serving.delivery_routes.contracts import (
    DepotRequest,
    RoutePlanRequest,
    StandingRoute,
    StopRequest,
    VehicleRequest,
)
from serving.delivery_routes.planner import Planner, _Process
from serving.delivery_routes.planning import plan_routes
from serving.delivery_routes.problem import Problem, Stop, Vehicle, great_circle_m, problem_of
from serving.delivery_routes.solving import solve_routes

EIGHT = datetime(2026, 3, 2, 8, tzinfo=UTC)
LINE = np.abs(np.arange(6)[:, None] - np.arange(6)) * 10
"""Six places on a line, 10 apart."""


def line_of(stops, vehicles):
    return Problem((LINE,), (LINE,), 1, tuple(stops), tuple(vehicles))


def orders_of(solved):
    return [(route.vehicle, [visit.stop for visit in route.visits]) for route in solved.routes]


def test_a_vehicle_waits_for_a_window_and_times_follow():
    # Out to place 1 (10), service 5, on to place 2 at 25, which opens at 40: it waits 15, leaves at 45.
    stops = [Stop(1, 1, 0, 5, 0, 10), Stop(2, 1, 0, 5, 40, 60)]
    solved = solve_routes(line_of(stops, [Vehicle(0, 1, 2, 0, 100)]), 1)
    (route,) = solved.routes
    assert [(visit.stop, visit.arrives, visit.starts, visit.leaves) for visit in route.visits] == [
        (0, 10, 10, 15),
        (1, 25, 40, 45),
    ]
    assert (route.ends, route.distance, route.cost) == (65, 40, 40)
    assert solved.unserved == ()


def test_a_large_vehicle_is_used_where_it_saves_a_way():
    stops = [Stop(5, 3, 0, 0, 0, 1000), Stop(5, 3, 0, 0, 0, 1000)]
    small, large = Vehicle(0, 2, 3, 0, 1000), Vehicle(0, 1, 6, 0, 1000, fixed=90)
    # Two small ones drive 2 x 100; the large one 100 and its fixed 90.
    assert orders_of(solve_routes(line_of(stops, [small, large]), 1))[0][0] == 1
    dear = Vehicle(0, 1, 6, 0, 1000, fixed=110)
    assert [vehicle for vehicle, _ in orders_of(solve_routes(line_of(stops, [small, dear]), 1))] == [0, 0]


def test_a_vehicle_starts_at_its_own_depot():
    distance = np.array([[0, 50, 49, 1], [50, 0, 1, 49], [49, 1, 0, 48], [1, 49, 48, 0]])
    stops = (Stop(2, 1, 0, 0, 0, 1000), Stop(3, 1, 0, 0, 0, 1000))
    vehicles = (Vehicle(0, 1, 5, 0, 1000), Vehicle(1, 1, 5, 0, 1000))
    solved = solve_routes(Problem((distance,), (distance,), 2, stops, vehicles), 1)
    assert orders_of(solved) == [(0, [1]), (1, [0])]
    assert solved.cost == 4


def test_what_a_fleet_has_no_room_for_is_left_out_and_named():
    stops = [Stop(place, 2, 0, 0, 0, 1000, prize=10_000) for place in (1, 2, 3)]
    solved = solve_routes(line_of(stops, [Vehicle(0, 1, 4, 0, 1000)]), 1)
    assert solved.unserved == (2,)  # the farthest: 40 for the two nearest


def test_small_problems_are_solved_to_the_optimum():
    random = np.random.default_rng(5)
    at = random.integers(0, 100, size=(7, 2))
    distance = np.rint(np.hypot(*(at[:, None] - at).transpose(2, 0, 1))).astype(np.int64)
    stops = tuple(Stop(place, int(random.integers(1, 4)), 0, 0, 0, 10_000) for place in range(1, 7))
    vehicles = (Vehicle(0, 3, 6, 0, 10_000),)
    solved = solve_routes(Problem((distance,), (distance,), 1, stops, vehicles), 2)
    assert solved.cost == cheapest(distance, [stop.delivery for stop in stops], 6, 3)


def cheapest(distance, demand, capacity, most):
    """Every order of the stops, cut into at most `most` routes in every way."""
    costs = []
    for order in itertools.permutations(range(len(demand))):
        for routes in range(1, most + 1):
            for cuts in itertools.combinations(range(1, len(demand)), routes - 1):
                parts = [order[a:b] for a, b in itertools.pairwise((0, *cuts, len(demand)))]
                if all(sum(demand[stop] for stop in part) <= capacity for part in parts):
                    ways = [[0, *(stop + 1 for stop in part), 0] for part in parts]
                    costs.append(sum(int(distance[a, b]) for way in ways for a, b in itertools.pairwise(way)))
    return min(costs)


def depot(**more):
    return DepotRequest(**{"depot_id": "d", "latitude": 31.2, "longitude": 121.5, **more})


def stop(name="s1", **more):
    return StopRequest(**{"stop_id": name, "latitude": 31.3, "longitude": 121.5, "delivery": 1, **more})


def vehicle(name="v", **more):
    given = {
        "vehicle_id": name,
        "depot_id": "d",
        "capacity": 10,
        "starts_at": EIGHT,
        "ends_at": EIGHT + timedelta(hours=8),
    }
    return VehicleRequest(**{**given, **more})


def request(**more):
    given = {"depots": [depot()], "stops": [stop()], "vehicles": [vehicle()], "seconds": 0.3}
    return RoutePlanRequest(**{**given, **more})


def test_a_degree_of_latitude_is_its_share_of_a_great_circle():
    metres = great_circle_m(np.array([[30.0, 120.0], [31.0, 120.0]]))
    assert metres[0, 1] == pytest.approx(2 * np.pi * 6_371_000 / 360)
    assert metres[0, 0] == 0


def test_a_plan_has_times_distance_and_money_of_the_request():
    # 0.1 degrees are 11,119.5 m; x 1.3 = 14,455 m, at 40 km/h 1,301 s; there and back 28.91 km at 2.00 yuan.
    plan = plan_routes(request(stops=[stop(opens_at=EIGHT + timedelta(hours=1), service_s=60)]))
    (route,) = plan.routes
    assert (route.vehicle_id, route.depot_id, route.distance_m) == ("v", "d", 28_910)
    assert plan.cost_cents == route.cost_cents == 5_782
    (visit,) = route.visits
    assert visit.starts_at == EIGHT + timedelta(hours=1)
    assert visit.leaves_at == EIGHT + timedelta(hours=1, seconds=60)
    assert route.ends_at == EIGHT + timedelta(hours=1, seconds=60 + 1_301)
    assert plan.unserved == []


def test_a_stop_is_inserted_into_the_plan_that_stands():
    places = {f"s{n}": {"latitude": 31.2 + n / 100, "longitude": 121.5} for n in range(1, 5)}
    stops = [stop(name, **place) for name, place in places.items()]
    vehicles = [vehicle(count=2, capacity=4)]
    standing = [StandingRoute(vehicle_id="v", stop_ids=["s1", "s2", "s4"])]
    plan = plan_routes(request(stops=stops, vehicles=vehicles, standing=standing))
    assert sorted(visit.stop_id for route in plan.routes for visit in route.visits) == sorted(places)
    assert len(plan.routes) == 1
    assert plan.kept_routes == 0
    again = plan_routes(
        request(
            stops=stops,
            vehicles=vehicles,
            standing=[
                StandingRoute(vehicle_id="v", stop_ids=[visit.stop_id for visit in plan.routes[0].visits])
            ],
        )
    )
    assert again.kept_routes == 1


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"stops": [stop(latitude=None)]}, errors.NoCoordinatesError, "stop 's1': no coordinates"),
        ({"depots": [depot(longitude=None)]}, errors.NoCoordinatesError, "depot 'd': no coordinates"),
        ({"stops": [stop(delivery=11)]}, errors.DemandTooLargeError, "'s1' has 11 units, the largest .* 10"),
        ({"stops": [stop(pickup=11)]}, errors.DemandTooLargeError, "'s1' has 11 units"),
        (
            {"stops": [stop(opens_at=EIGHT + timedelta(hours=2), closes_at=EIGHT + timedelta(hours=1))]},
            errors.EmptyWindowError,
            "stop 's1' closes at .* before it opens",
        ),
        ({"vehicles": [vehicle(ends_at=EIGHT)]}, errors.EmptyWindowError, "shift of vehicle 'v'"),
        ({"vehicles": [vehicle(most_km=28.9)]}, errors.UnreachableStopError, "stop 's1'"),
        ({"stops": [stop(closes_at=EIGHT + timedelta(seconds=1300))]}, errors.UnreachableStopError, "'s1'"),
        ({"stops": [stop(), stop()]}, errors.UnknownNameError, "stop 's1' stands twice"),
        ({"vehicles": [vehicle(depot_id="x")]}, errors.UnknownNameError, "depot 'x' is not in"),
        (
            {"standing": [StandingRoute(vehicle_id="v", stop_ids=["s9"])]},
            errors.UnknownNameError,
            "stop 's9' is not in",
        ),
        (
            {"standing": [StandingRoute(vehicle_id="w", stop_ids=["s1"])]},
            errors.UnknownNameError,
            "vehicle 'w' is not in",
        ),
        (
            {
                "stops": [stop(), stop("s2")],
                "standing": [
                    StandingRoute(vehicle_id="v", stop_ids=["s1"]),
                    StandingRoute(vehicle_id="v", stop_ids=["s2"]),
                ],
            },
            errors.UnknownNameError,
            "2 routes stand for vehicle 'v', of which 1 exist",
        ),
    ],
)
def test_a_request_that_contradicts_itself_names_what_is_wrong(wrong, kind, words):
    with pytest.raises(kind, match=words):
        problem_of(request(**wrong))


def test_what_just_fits_is_served():
    # The limits of the cases above, one more: all units, the last second, the whole way.
    just = [
        {"stops": [stop(delivery=10, pickup=10)]},
        {"stops": [stop(closes_at=EIGHT + timedelta(seconds=1301))]},
        {"vehicles": [vehicle(most_km=28.91)]},
        {"vehicles": [vehicle(ends_at=EIGHT + timedelta(seconds=2602))]},
        {"stops": [stop(opens_at=EIGHT + timedelta(hours=1), closes_at=EIGHT + timedelta(hours=1))]},
    ]
    for one in just:
        plan = plan_routes(request(**one))
        assert [visit.stop_id for route in plan.routes for visit in route.visits] == ["s1"], one


def test_a_planner_answers_from_its_process_and_starts_it_anew_after_a_failure():
    planner = Planner()
    try:
        assert planner.plan(request()).unserved == []
        for process in planner._all:
            process.end()
        assert planner.plan(request()).unserved == []
    finally:
        planner.close()


def test_a_silent_process_is_killed_and_said():
    process = _Process()
    with pytest.raises(errors.PlannerFailedError, match="no plan within"):
        process.ask(b"", 0.05)
    assert process._running is None


def test_a_planner_with_all_processes_at_work_says_so(monkeypatch):
    monkeypatch.setattr("serving.delivery_routes.planner.WAIT_S", 0.01)
    planner = Planner()
    for _ in planner._all:
        planner._idle.get()
    with pytest.raises(errors.PlannerBusyError, match="at work"):
        planner.plan(request())


def test_a_search_without_time_still_gives_a_plan_within_every_limit():
    random = np.random.default_rng(3)
    at = random.integers(0, 100, size=(41, 2))
    distance = np.rint(np.hypot(*(at[:, None] - at).transpose(2, 0, 1))).astype(np.int64)
    stops = tuple(
        Stop(place, int(random.integers(1, 9)), 0, 5, opens, opens + 60, prize=10_000)
        for place, opens in zip(range(1, 41), random.integers(0, 300, size=40).tolist(), strict=True)
    )
    problem = Problem((distance,), (distance,), 1, stops, (Vehicle(0, 12, 20, 0, 600),))
    for standing in ((), [(0, list(range(0, 20))), (0, list(range(20, 39)))]):
        solved = solve_routes(problem, 0.0, standing)
        assert_within_limits(problem, solved)


def assert_within_limits(problem, solved):
    """Capacity, windows, shift and number of vehicles, told from the visits alone."""
    visited = [visit.stop for route in solved.routes for visit in route.visits]
    assert sorted([*visited, *solved.unserved]) == list(range(len(problem.stops)))
    assert len(solved.routes) <= sum(vehicle.count for vehicle in problem.vehicles)
    for route in solved.routes:
        vehicle = problem.vehicles[route.vehicle]
        assert sum(problem.stops[visit.stop].delivery for visit in route.visits) <= vehicle.capacity
        place, leaves = vehicle.depot, route.starts
        for visit in route.visits:
            stop = problem.stops[visit.stop]
            assert visit.arrives >= leaves + problem.duration[0][place, stop.place]
            assert max(visit.arrives, stop.opens) <= visit.starts <= stop.closes
            assert visit.leaves == visit.starts + stop.service
            place, leaves = stop.place, visit.leaves
        assert leaves + problem.duration[0][place, vehicle.depot] <= route.ends <= vehicle.ends


def test_a_new_stop_is_in_the_plan_before_the_search_begins():
    stops = [Stop(place, 1, 0, 0, 0, 1000, prize=10_000) for place in (1, 2, 3)]
    problem = line_of(stops, [Vehicle(0, 1, 3, 0, 1000)])
    solved = solve_routes(problem, 0.0, [(0, [0, 2])])
    assert solved.unserved == ()
    assert solved.cost == 60


def test_a_standing_route_that_is_too_full_today_loses_a_stop_to_another_vehicle():
    stops = [Stop(place, 2, 0, 0, 0, 1000, prize=10_000) for place in (1, 2, 3)]
    solved = solve_routes(line_of(stops, [Vehicle(0, 2, 4, 0, 1000)]), 0.0, [(0, [0, 1, 2])])
    assert solved.unserved == ()
    assert sorted(len(stops) for _, stops in orders_of(solved)) == [1, 2]
