"""What can be ordered: products, listings of merchants, offers of suppliers. Stock lives in `stock`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.assortment.brake import require_sold
from serving.orders.assortment.supervised import require_may_list
from serving.orders.errors import NotListedError

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Product:
    """A sku; `category_ids` leaf first."""

    sku_id: str
    title: str
    category_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """What a merchant asks for one unit of a sku."""

    merchant_id: str
    sku_id: str
    list_price_cents: int
    is_listed: bool = True


@dataclass(frozen=True)
class Offer:
    """On which terms a supplier ships one unit of a sku.

    Attributes:
        supplier_id: The supplier.
        sku_id: The sku.
        supply_price_cents: What the supplier gets for a unit.
        freight_cents: What the buyer pays the supplier for sending a unit.
        lead_time_days: Days until the parcel is handed over.
        min_order_qty: Smallest quantity of a line.
        ship_from_region: Region code of the warehouse.
        is_active: Whether it can be ordered.
        source_at: When the supplier stated it; the latest statement is in force.
    """

    supplier_id: str
    sku_id: str
    supply_price_cents: int
    freight_cents: int
    lead_time_days: int
    source_at: datetime
    min_order_qty: int = 1
    ship_from_region: str | None = None
    is_active: bool = True


@dataclass(frozen=True)
class SupplierSku:
    """Whether a supplier may offer a sku, and whether for nothing."""

    sku_id: str
    is_approved: bool = True
    may_be_free: bool = False


@dataclass(frozen=True)
class Reference:
    """What the next prices of an offer are measured against, and since when."""

    price_cents: int
    freight_cents: int
    at: datetime


def put_products(conn: Connection, tenant_id: str, products: Sequence[Product]) -> None:
    """Add products or change their titles and categories."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into orders.product (tenant_id, sku_id, title, category_ids)"
            " values (%(tenant)s, %(sku)s, %(title)s, %(categories)s) on conflict (tenant_id, sku_id)"
            " do update set title = excluded.title, category_ids = excluded.category_ids"
            " where (product.title, product.category_ids)"
            " is distinct from (excluded.title, excluded.category_ids)",
            [
                {
                    "tenant": tenant_id,
                    "sku": product.sku_id,
                    "title": product.title,
                    "categories": list(product.category_ids),
                }
                for product in sorted(products, key=lambda product: product.sku_id)
            ],
        )


def categories_of(conn: Connection, tenant_id: str, sku_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Categories of skus, leaf first; none of a sku that is no product here."""
    rows = conn.execute(
        "select sku_id, category_ids from orders.product where tenant_id = %s and sku_id = any(%s)",
        (tenant_id, list(sku_ids)),
    )
    return dict.fromkeys(sku_ids, ()) | {sku_id: tuple(categories) for sku_id, categories in rows}


def state_listings(conn: Connection, tenant_id: str, listings: Sequence[Listing], now: datetime) -> None:
    """Take what a merchant wants to sell, and at which prices.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        listings: At most one a merchant and sku.
        now: Business time.

    Raises:
        SaleStoppedError: The quality brake stopped a sku that is to be on sale; nothing was taken.
        ListingHeldError: Supervision took a sku that is to be on sale off; nothing was taken.
    """
    locks.brake_stays(conn, tenant_id)
    on_sale = [listing for listing in listings if listing.is_listed]
    require_sold(conn, tenant_id, [listing.sku_id for listing in on_sale], now)
    for merchant_id in sorted({listing.merchant_id for listing in on_sale}):
        of_merchant = [listing.sku_id for listing in on_sale if listing.merchant_id == merchant_id]
        require_may_list(conn, tenant_id, merchant_id, of_merchant)
    put_listings(conn, tenant_id, listings)


def put_listings(conn: Connection, tenant_id: str, listings: Sequence[Listing]) -> None:
    """Add listings or change their prices as they are; orders placed before keep theirs."""
    ordered = sorted(listings, key=lambda listing: (listing.merchant_id, listing.sku_id))
    conn.execute(
        "insert into orders.listing (tenant_id, merchant_id, sku_id, list_price_cents, is_listed)"
        " select %(tenant)s, * from unnest(%(merchants)s::text[], %(skus)s::text[], %(prices)s::bigint[],"
        " %(listed)s::boolean[]) on conflict (tenant_id, merchant_id, sku_id)"
        " do update set list_price_cents = excluded.list_price_cents, is_listed = excluded.is_listed",
        {
            "tenant": tenant_id,
            "merchants": [listing.merchant_id for listing in ordered],
            "skus": [listing.sku_id for listing in ordered],
            "prices": [listing.list_price_cents for listing in ordered],
            "listed": [listing.is_listed for listing in ordered],
        },
    )


def put_offers(
    conn: Connection,
    tenant_id: str,
    offers: Sequence[Offer],
    references: Mapping[tuple[str, str], Reference] | None = None,
    in_force_at: datetime | None = None,
) -> list[tuple[str, str]]:
    """Take over terms as they are, and let their suppliers offer their skus unless that was withdrawn.

    An older statement than the known one changes nothing. What a supplier itself states goes through
    `offers.state_offers`, which looks at the price first.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        offers: At most one a supplier and sku.
        references: What the next prices are measured against, by (supplier_id, sku_id); None takes the
            prices that are taken over.
        in_force_at: When terms that were stated here are taken over; None for those of a feed, which the
            warehouse knows from there.

    Returns:
        (supplier_id, sku_id) of the offers that were taken over.
    """
    ordered = sorted(offers, key=lambda offer: (offer.supplier_id, offer.sku_id))
    if references is None:
        references = {
            (offer.supplier_id, offer.sku_id): Reference(
                offer.supply_price_cents, offer.freight_cents, offer.source_at
            )
            for offer in ordered
        }
    measured = [references[offer.supplier_id, offer.sku_id] for offer in ordered]
    pairs = {
        "tenant": tenant_id,
        "suppliers": [offer.supplier_id for offer in ordered],
        "skus": [offer.sku_id for offer in ordered],
    }
    conn.execute(
        "insert into orders.supplier_sku (tenant_id, supplier_id, sku_id) select %(tenant)s, *"
        " from unnest(%(suppliers)s::text[], %(skus)s::text[]) on conflict do nothing",
        pairs,
    )
    rows = conn.execute(
        "insert into orders.offer as o (tenant_id, supplier_id, sku_id, supply_price_cents, freight_cents,"
        " lead_time_days, min_order_qty, ship_from_region, is_active, source_at, reference_price_cents,"
        " reference_freight_cents, reference_at, in_force_at)"
        " select %(tenant)s, * from unnest(%(suppliers)s::text[], %(skus)s::text[], %(prices)s::bigint[],"
        " %(freights)s::bigint[], %(days)s::integer[], %(smallest)s::bigint[], %(regions)s::text[],"
        " %(active)s::boolean[], %(source_at)s::timestamptz[], %(reference_prices)s::bigint[],"
        " %(reference_freights)s::bigint[], %(reference_at)s::timestamptz[]),"
        " (select %(in_force_at)s::timestamptz) as t"
        " on conflict (tenant_id, supplier_id, sku_id) do update set"
        " supply_price_cents = excluded.supply_price_cents, freight_cents = excluded.freight_cents,"
        " lead_time_days = excluded.lead_time_days, min_order_qty = excluded.min_order_qty,"
        " ship_from_region = excluded.ship_from_region, is_active = excluded.is_active,"
        " source_at = excluded.source_at, reference_price_cents = excluded.reference_price_cents,"
        " reference_freight_cents = excluded.reference_freight_cents, reference_at = excluded.reference_at,"
        " in_force_at = excluded.in_force_at, xact_id = pg_current_xact_id()"
        " where o.source_at < excluded.source_at returning o.supplier_id, o.sku_id",
        {
            **pairs,
            "prices": [offer.supply_price_cents for offer in ordered],
            "freights": [offer.freight_cents for offer in ordered],
            "days": [offer.lead_time_days for offer in ordered],
            "smallest": [offer.min_order_qty for offer in ordered],
            "regions": [offer.ship_from_region for offer in ordered],
            "active": [offer.is_active for offer in ordered],
            "source_at": [offer.source_at for offer in ordered],
            "reference_prices": [reference.price_cents for reference in measured],
            "reference_freights": [reference.freight_cents for reference in measured],
            "reference_at": [reference.at for reference in measured],
            "in_force_at": in_force_at,
        },
    ).fetchall()
    return sorted((supplier, sku) for supplier, sku in rows)


def approve_skus(conn: Connection, tenant_id: str, supplier_id: str, skus: Sequence[SupplierSku]) -> None:
    """Say which skus a supplier may offer. Offers of a sku that is not approved any more do not route."""
    ordered = sorted(skus, key=lambda sku: sku.sku_id)
    conn.execute(
        "insert into orders.supplier_sku (tenant_id, supplier_id, sku_id, is_approved, may_be_free)"
        " select %(tenant)s, %(supplier)s, *"
        " from unnest(%(skus)s::text[], %(approved)s::boolean[], %(free)s::boolean[])"
        " on conflict (tenant_id, supplier_id, sku_id) do update set is_approved = excluded.is_approved,"
        " may_be_free = excluded.may_be_free",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "skus": [sku.sku_id for sku in ordered],
            "approved": [sku.is_approved for sku in ordered],
            "free": [sku.may_be_free for sku in ordered],
        },
    )


def list_prices(conn: Connection, tenant_id: str, merchant_id: str, sku_ids: Sequence[str]) -> dict[str, int]:
    """What the merchant asks for a unit of each sku, in fen.

    Raises:
        NotListedError: The merchant does not sell one of them.
    """
    rows = conn.execute(
        "select sku_id, list_price_cents from orders.listing where tenant_id = %(tenant)s"
        " and merchant_id = %(merchant)s and sku_id = any(%(skus)s) and is_listed",
        {"tenant": tenant_id, "merchant": merchant_id, "skus": list(sku_ids)},
    ).fetchall()
    prices: dict[str, int] = dict(rows)
    missing = sorted(set(sku_ids) - set(prices))
    if missing:
        raise NotListedError(merchant_id, missing)
    return prices
