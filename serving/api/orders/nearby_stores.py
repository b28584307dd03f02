"""`/v1/nearby-stores`: where a sku lies near a place."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from litestar import Request, get
from litestar.params import Parameter
from msgspec import Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import Identifier
from serving.orders.warehouses import nearby
from serving.security import Role, Scope

_Latitude = Annotated[float, Parameter(ge=-90, le=90, description="Degrees, north above 0.")]
_Longitude = Annotated[float, Parameter(ge=-180, le=180, description="Degrees, east above 0.")]
_Qty = Annotated[int, Parameter(ge=1, le=10**6, description="Units that are wanted.")]
_Most = Annotated[int, Parameter(ge=1, le=100, description="Most stores in the answer.")]


class NearbyStoreView(Struct, frozen=True, kw_only=True):
    """A store or warehouse that could ship the units; the units are those that its supplier may promise."""

    warehouse_id: str
    supplier_id: str
    region_code: str
    distance_m: int
    available_qty: int
    ships_on: date


class NearbyStores(Struct, frozen=True, kw_only=True):
    """Stores, the nearest first; `unplaced`: further ones of which nobody stated where they stand."""

    stores: list[NearbyStoreView]
    unplaced: int


@get(
    "/nearby-stores",
    opt={
        "scope": Scope.ORDERS_READ,
        "roles": frozenset({Role.OPERATOR, Role.AUDITOR, Role.MERCHANT}),
        "owner": None,
    },
    tags=["Orders"],
    summary="Stores near a place that could ship a sku",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_nearby_stores(
    request: Request[Any, Any, Any],
    sku_id: Identifier,
    latitude: _Latitude,
    longitude: _Longitude,
    qty: _Qty = 1,
    limit: _Most = 20,
) -> NearbyStores:
    """Only with sellable stock, by great-circle distance, each with the day on which it would ship.

    A store that is closed or full for 60 days is not in it, nor is a sku that the quality brake stopped.
    """
    place = latitude, longitude
    with order_transaction(request) as (conn, now):
        tenant_id = principal_of(request).tenant_id
        found, unplaced = nearby.nearby(conn, tenant_id, sku_id, place, qty, now, limit)
    views = [
        NearbyStoreView(**{name: getattr(one, name) for name in NearbyStoreView.__struct_fields__})
        for one in found
    ]
    return NearbyStores(stores=views, unplaced=unplaced)


NEARBY_ROUTES = [get_nearby_stores]
