"""`/v1/products` and `/v1/merchants/{merchant_id}/listings`: what can be ordered, and at which price."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, put
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.orders.order_work import order_transaction
from serving.api.parameters import Identifier
from serving.api.transactions import note
from serving.orders.assortment.catalogue import Listing, Product, put_products, state_listings
from serving.orders.contracts import Id, Text
from serving.orders.errors import InvalidRequestError
from serving.security import Role, Scope

_SHOP = frozenset({Role.OPERATOR, Role.MERCHANT})


class ProductRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sku."""

    sku_id: Id
    title: Text
    category_ids: Annotated[tuple[Id, ...], Meta(max_length=20, description="Leaf first.")] = ()


class ProductBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Skus, each at most once."""

    products: Annotated[list[ProductRequest], Meta(min_length=1, max_length=1_000)]


class ListingRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a merchant asks for one unit of a sku."""

    sku_id: Id
    list_price_cents: Annotated[int, Meta(ge=1, le=10**10, description="Fen.")]
    is_listed: bool = True


class ListingBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Listings, each sku at most once."""

    listings: Annotated[list[ListingRequest], Meta(min_length=1, max_length=1_000)]


class Stored(Struct, frozen=True, kw_only=True):
    """How many rows stand as they were sent."""

    rows: int


@put(
    "/products",
    opt={"scope": Scope.STOCK_WRITE, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Orders"],
    summary="Put products",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_product_batch(request: Request[Any, Any, Any], data: ProductBatch) -> Stored:
    """Title and categories; the same batch again changes nothing."""
    products = [Product(one.sku_id, one.title, one.category_ids) for one in data.products]
    with order_transaction(request) as (conn, _):
        _unique("products", [product.sku_id for product in data.products])
        put_products(conn, principal_of(request).tenant_id, products)
        note(request, conn, "products.put", "product", "*", details={"products": len(products)})
    return Stored(rows=len(products))


@put(
    "/merchants/{merchant_id:str}/listings",
    opt={"scope": Scope.ORDERS_WRITE, "roles": _SHOP, "owner": "merchant"},
    tags=["Orders"],
    summary="Put a merchant's listings",
    responses=problem_responses(409),
    sync_to_thread=True,
)
def put_listing_batch(request: Request[Any, Any, Any], merchant_id: Identifier, data: ListingBatch) -> Stored:
    """Prices of new orders; orders placed before keep theirs.

    409 where the quality brake stopped a sku of the batch that is to be on sale.
    """
    listings = [
        Listing(merchant_id, one.sku_id, one.list_price_cents, one.is_listed) for one in data.listings
    ]
    with order_transaction(request) as (conn, now):
        _unique("listings", [listing.sku_id for listing in data.listings])
        state_listings(conn, principal_of(request).tenant_id, listings, now)
        note(request, conn, "listings.put", "merchant", merchant_id, details={"listings": len(listings)})
    return Stored(rows=len(listings))


CATALOGUE_ROUTES = [put_product_batch, put_listing_batch]


def _unique(parameter: str, sku_ids: list[str]) -> None:
    if len(set(sku_ids)) != len(sku_ids):
        raise InvalidRequestError(parameter, "a sku stands twice; send each once")
