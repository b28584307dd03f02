"""What a route plan is asked for and what comes back: shapes, units and ranges. No rule here.

Money in fen (`_cents`), times in UTC (`_at`), durations in seconds (`_s`), distances in metres (`_m`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

MOST_STOPS = 500
MOST_SECONDS = 20.0

_TEXT = r"^[^\x00-\x1f\x7f]+(?!\n)$"
_Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=_TEXT)]
_Moment = Annotated[datetime, Meta(tz=True)]
_Latitude = Annotated[float, Meta(ge=-90, le=90)]
_Longitude = Annotated[float, Meta(ge=-180, le=180)]
_Units = Annotated[int, Meta(ge=0, le=10**6)]
_Cents = Annotated[int, Meta(ge=0, le=10**7, description="Fen.")]
_Rate = Annotated[int, Meta(ge=0, le=10**5, description="Fen.")]


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what the API takes: a misspelt field is told, not ignored."""


class DepotRequest(_Request, frozen=True, kw_only=True):
    """Where vehicles start and end."""

    depot_id: _Id
    latitude: _Latitude | None = None
    longitude: _Longitude | None = None


class StopRequest(_Request, frozen=True, kw_only=True):
    """What must be visited. Without a window it may be visited at any time."""

    stop_id: _Id
    latitude: _Latitude | None = None
    longitude: _Longitude | None = None
    delivery: _Units = 0
    pickup: _Units = 0
    service_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    opens_at: _Moment | None = None
    closes_at: _Moment | None = None


class VehicleRequest(_Request, frozen=True, kw_only=True):
    """Vehicles that are alike."""

    vehicle_id: _Id
    depot_id: _Id
    capacity: Annotated[int, Meta(ge=0, le=10**8)]
    starts_at: _Moment
    ends_at: _Moment
    count: Annotated[int, Meta(ge=1, le=200)] = 1
    fixed_cents: _Cents = 0
    cents_per_km: _Rate = 200
    cents_per_hour: _Rate = 0
    most_km: Annotated[float, Meta(gt=0, le=10_000)] | None = None


class StandingRoute(_Request, frozen=True, kw_only=True):
    """A route of the plan that stands, to begin with."""

    vehicle_id: _Id
    stop_ids: Annotated[list[_Id], Meta(min_length=1, max_length=MOST_STOPS)]


class RoutePlanRequest(_Request, frozen=True, kw_only=True):
    """Stops, vehicles, and how long to search.

    With `standing` the search begins at those routes: stops that stand in none are inserted.
    """

    depots: Annotated[list[DepotRequest], Meta(min_length=1, max_length=20)]
    stops: Annotated[list[StopRequest], Meta(min_length=1, max_length=MOST_STOPS)]
    vehicles: Annotated[list[VehicleRequest], Meta(min_length=1, max_length=50)]
    standing: Annotated[list[StandingRoute], Meta(max_length=MOST_STOPS)] = []
    speed_kmh: Annotated[float, Meta(ge=1, le=200)] = 40.0
    detour: Annotated[float, Meta(ge=1, le=3)] = 1.3
    seconds: Annotated[float, Meta(ge=0.1, le=MOST_SECONDS)] = 5.0


class Visit(Struct, frozen=True, kw_only=True):
    """A stop on a route; service begins at `starts_at`, after waiting for the window to open."""

    stop_id: str
    arrives_at: datetime
    starts_at: datetime
    leaves_at: datetime


class PlannedRoute(Struct, frozen=True, kw_only=True):
    """The way of one vehicle."""

    vehicle_id: str
    depot_id: str
    starts_at: datetime
    ends_at: datetime
    distance_m: int
    duration_s: int
    delivery: int
    pickup: int
    cost_cents: int
    visits: list[Visit]


class RoutePlan(Struct, frozen=True, kw_only=True):
    """The plan. `unserved` are stops that the fleet has no room or time for."""

    routes: list[PlannedRoute]
    unserved: list[str]
    kept_routes: int
    distance_m: int
    cost_cents: int


class PlannerAnswer(Struct, frozen=True, kw_only=True):
    """What a planning process answers: a plan, or which kind of refusal and why."""

    plan: RoutePlan | None = None
    refusal: str | None = None
    message: str = ""
