"""`/v1/nearby-stores`: where a sku lies near a place."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from litestar import Request, get
from litestar.params import Parameter
from msgspec import Meta, Struct

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
    """A store or warehouse that could ship the units.

    `available_qty` is what its supplier may promise; where it counts by warehouse, what it may from here.
    """

    warehouse_id: str
    supplier_id: str
    region_code: str
    distance_m: int
    available_qty: int
    ships_on: date


class LeftOutView(Struct, frozen=True, kw_only=True):
    """An offer, or one house of it, that cannot ship the units, and what it takes."""

    supplier_id: str
    warehouse_id: Annotated[str | None, Meta(description="Null: the offer itself, whatever the house.")]
    reason: Annotated[
        Literal["below_min_order", "short_stock", "no_room", "no_warehouse"],
        Meta(
            description="`below_min_order`: ask for `min_order_qty` units or more; `short_stock`: for"
            " `available_qty` at most; `no_room`: closed or full for 60 days; `no_warehouse`: the supplier"
            " ships from nowhere in particular, so the sku can be ordered but is near to nothing."
        ),
    ]
    min_order_qty: int
    available_qty: int


class NearbyStores(Struct, frozen=True, kw_only=True):
    """Stores, the nearest first; `unplaced`: further ones of which nobody stated where they stand."""

    stores: list[NearbyStoreView]
    unplaced: int
    left_out: Annotated[list[LeftOutView], Meta(description="By supplier and house, `limit` at most.")]
    reason: Annotated[
        Literal[
            "below_min_order",
            "short_stock",
            "no_room",
            "no_warehouse",
            "no_place",
            "sale_stopped",
            "no_offer",
        ]
        | None,
        Meta(
            description="Why there is no store: that of `left_out` which is easiest to act on, or"
            " `no_place` (all that could ship it are `unplaced`), `sale_stopped` by the quality brake,"
            " `no_offer` in force. Null: there are stores."
        ),
    ]


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

    What cannot ship the units is in `left_out` with its reason. Offers often have a smallest order above one
    unit (`below_min_order`).
    """
    place = latitude, longitude
    with order_transaction(request) as (conn, now):
        tenant_id = principal_of(request).tenant_id
        around = nearby.nearby(conn, tenant_id, sku_id, place, qty, now, limit)
    return NearbyStores(
        stores=[
            NearbyStoreView(**{name: getattr(one, name) for name in NearbyStoreView.__struct_fields__})
            for one in around.stores
        ],
        unplaced=around.unplaced,
        left_out=[
            LeftOutView(**{name: getattr(one, name) for name in LeftOutView.__struct_fields__})
            for one in around.left_out
        ],
        reason=around.reason.value if around.reason else None,
    )


NEARBY_ROUTES = [get_nearby_stores]
