"""A routing problem in whole numbers, and how a request becomes one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from serving.delivery_routes.contracts import (
    DepotRequest,
    RoutePlanRequest,
    StopRequest,
    VehicleRequest,
)
from serving.delivery_routes.errors import (
    DemandTooLargeError,
    EmptyWindowError,
    NoCoordinatesError,
    UnknownNameError,
    UnreachableStopError,
)

Ints = npt.NDArray[np.int64]

EARTH_M = 6_371_000
MILLI = 1_000
"""Costs are counted in thousandths of a fen: a metre at 2.00 yuan a km costs 0.2 fen."""
LATEST = 2**40
"""A time that never comes."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit.

    Attributes:
        place: Row of the matrices.
        delivery: Units brought there.
        pickup: Units taken from there.
        service: Time that it takes.
        opens: Earliest begin of service.
        closes: Latest begin of service.
        prize: What leaving it out costs; None: it must be visited.
    """

    place: int
    delivery: int
    pickup: int
    service: int
    opens: int
    closes: int
    prize: int | None = None


@dataclass(frozen=True, slots=True)
class Vehicle:
    """Vehicles that are alike.

    Attributes:
        depot: Place where they start and end.
        count: How many there are.
        capacity: Most units on board.
        starts: Begin of the shift.
        ends: End of the shift.
        fixed: Cost of using one.
        per_distance: Cost of a unit of distance.
        per_duration: Cost of a unit of time.
        most_distance: Range; None: unlimited.
        profile: Which of the matrices are its own.
    """

    depot: int
    count: int
    capacity: int
    starts: int
    ends: int
    fixed: int = 0
    per_distance: int = 1
    per_duration: int = 0
    most_distance: int | None = None
    profile: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Places, stops and vehicles.

    Attributes:
        distance: Distances, places x places, for each profile.
        duration: Times on the way, places x places, for each profile.
        depots: Places that are depots: the first rows.
        stops: The stops.
        vehicles: The kinds of vehicles.
    """

    distance: tuple[Ints, ...]
    duration: tuple[Ints, ...]
    depots: int
    stops: tuple[Stop, ...]
    vehicles: tuple[Vehicle, ...]


def origin_of(request: RoutePlanRequest) -> datetime:
    """Time 0 of the problem: the earliest begin of a shift."""
    return min(vehicle.starts_at for vehicle in request.vehicles)


def problem_of(request: RoutePlanRequest) -> Problem:
    """Check a request and lay it out in metres, seconds and thousandths of a fen.

    Distances are great circles x `detour`, times those distances at `speed_kmh`. Leaving a stop out costs
    more than any way to visit it, so a stop stays unserved only where the fleet has no room or time for it.

    Raises:
        InvalidRouteRequestError: The request contradicts itself; one of its kinds says how.
    """
    _require_names(request)
    _require_places(request)
    origin = origin_of(request)
    at = [(one.latitude, one.longitude) for one in request.depots]
    at += [(one.latitude, one.longitude) for one in request.stops]
    places = np.array(at, dtype=np.float64)
    distance = np.rint(great_circle_m(places) * request.detour).astype(np.int64)
    duration = np.ceil(distance * 3.6 / request.speed_kmh).astype(np.int64)
    depot_place = {depot.depot_id: place for place, depot in enumerate(request.depots)}
    vehicles = tuple(_vehicle(one, depot_place[one.depot_id], origin) for one in request.vehicles)
    stops = tuple(
        _stop(one, len(request.depots) + number, origin) for number, one in enumerate(request.stops)
    )
    for stop, named in zip(stops, request.stops, strict=True):
        _require_servable(stop, named, vehicles, distance, duration)
    longest = 2 * int(distance.max()), 2 * int(duration.max()) + max(stop.service for stop in stops)
    prize = 3 * max(
        vehicle.fixed + vehicle.per_distance * longest[0] + vehicle.per_duration * (longest[1] + vehicle.ends)
        for vehicle in vehicles
    )
    return Problem(
        (distance,),
        (duration,),
        len(request.depots),
        tuple(
            Stop(one.place, one.delivery, one.pickup, one.service, one.opens, one.closes, prize + 1)
            for one in stops
        ),
        vehicles,
    )


def great_circle_m(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distances on a sphere, in metres.

    Args:
        places: Latitude and longitude in degrees, one place a row.
    """
    north, east = np.radians(places).T
    half = np.sin((north[:, None] - north) / 2) ** 2
    half += np.cos(north)[:, None] * np.cos(north) * np.sin((east[:, None] - east) / 2) ** 2
    return 2 * EARTH_M * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def _vehicle(request: VehicleRequest, place: int, origin: datetime) -> Vehicle:
    starts, ends = _seconds(request.starts_at, origin), _seconds(request.ends_at, origin)
    if ends <= starts:
        raise EmptyWindowError(
            f"the shift of vehicle {request.vehicle_id!r} ends at {request.ends_at.isoformat()}, not after it"
            " begins; state a later end"
        )
    return Vehicle(
        depot=place,
        count=request.count,
        capacity=request.capacity,
        starts=starts,
        ends=ends,
        fixed=request.fixed_cents * MILLI,
        per_distance=request.cents_per_km,
        per_duration=round(request.cents_per_hour * MILLI / 3600),
        most_distance=None if request.most_km is None else int(request.most_km * 1000),
    )


def _stop(request: StopRequest, place: int, origin: datetime) -> Stop:
    opens = 0 if request.opens_at is None else max(0, _seconds(request.opens_at, origin))
    closes = LATEST if request.closes_at is None else _seconds(request.closes_at, origin)
    if request.opens_at and request.closes_at and request.closes_at < request.opens_at:
        raise EmptyWindowError(
            f"stop {request.stop_id!r} closes at {request.closes_at.isoformat()}, before it opens; swap or"
            " leave out the two"
        )
    return Stop(place, request.delivery, request.pickup, request.service_s, opens, closes)


def _seconds(moment: datetime, origin: datetime) -> int:
    return min(LATEST, int((moment - origin).total_seconds()))


def _require_names(request: RoutePlanRequest) -> None:
    stops, vehicles = [one.stop_id for one in request.stops], [one.vehicle_id for one in request.vehicles]
    depots = [one.depot_id for one in request.depots]
    for kind, names in (("stop", stops), ("vehicle", vehicles), ("depot", depots)):
        _require_once(kind, names)
    for vehicle in request.vehicles:
        _require_known("depot", vehicle.depot_id, depots)
    standing = [stop_id for route in request.standing for stop_id in route.stop_ids]
    _require_once("standing stop", standing)
    for stop_id in standing:
        _require_known("stop", stop_id, stops)
    for vehicle in request.vehicles:
        routes = sum(route.vehicle_id == vehicle.vehicle_id for route in request.standing)
        if routes > vehicle.count:
            raise UnknownNameError(
                f"{routes} routes stand for vehicle {vehicle.vehicle_id!r}, of which {vehicle.count} exist;"
                " leave some out"
            )
    for route in request.standing:
        _require_known("vehicle", route.vehicle_id, vehicles)


def _require_once(kind: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UnknownNameError(f"{kind} {name!r} stands twice; name it once")
        seen.add(name)


def _require_known(kind: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise UnknownNameError(f"{kind} {name!r} is not in the request; add it or name another")


def _require_places(request: RoutePlanRequest) -> None:
    named: list[tuple[str, DepotRequest | StopRequest]] = [
        *((f"depot {one.depot_id!r}", one) for one in request.depots),
        *((f"stop {one.stop_id!r}", one) for one in request.stops),
    ]
    missing = [name for name, one in named if one.latitude is None or one.longitude is None]
    if missing:
        shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise NoCoordinatesError(
            f"{shown}: no coordinates; state latitude and longitude, or leave it out of the plan"
        )


def _require_servable(
    stop: Stop, request: StopRequest, vehicles: tuple[Vehicle, ...], distance: Ints, duration: Ints
) -> None:
    """Whether some vehicle could visit the stop and nothing else."""
    load = max(stop.delivery, stop.pickup)
    able = [vehicle for vehicle in vehicles if load <= vehicle.capacity]
    if not able:
        raise DemandTooLargeError(
            f"stop {request.stop_id!r} has {load} units, the largest vehicle holds"
            f" {max(vehicle.capacity for vehicle in vehicles)}; split the stop or add a larger vehicle"
        )
    for vehicle in able:
        begins = max(stop.opens, vehicle.starts + int(duration[vehicle.depot, stop.place]))
        back = begins + stop.service + int(duration[stop.place, vehicle.depot])
        way = int(distance[vehicle.depot, stop.place] + distance[stop.place, vehicle.depot])
        in_range = vehicle.most_distance is None or way <= vehicle.most_distance
        if begins <= stop.closes and back <= vehicle.ends and in_range:
            return
    raise UnreachableStopError(
        f"no vehicle that holds stop {request.stop_id!r} can be there in its window and back within its shift"
        " and range; widen the window or the shift, or start nearer"
    )
