"""The price guard: what a promotion may cost its shop, against the floors of the published prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from serving.orders.assortment.catalogue import list_prices
from serving.orders.coupons.programme import Terms
from serving.orders.coupons.spreading import MOST_DISCOUNT_BPS
from serving.orders.errors import InvalidRequestError, PriceGuardError
from serving.orders.promotions.document import PromotionKind, kept_cents
from serving.scores.floors import listed_with_floors
from serving.settlement.sharing.rounding import FULL_BPS

_MOST_NAMED = 5


def require_guarded(
    conn: psycopg.Connection[Any], tenant_id: str, merchant_id: str, kind: PromotionKind, terms: Terms
) -> None:
    """Refuse a promotion under which a unit brings its shop less than the published floor.

    What other funders agreed to bear comes to the shop like a payment, so only the shop's own part counts.
    A gift brings nothing by itself: its budget and what its funder owes for it limit it. A sku without a
    published price has no floor.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        merchant_id: The shop.
        kind: Which method.
        terms: Of the promotion's programme.

    Raises:
        NotListedError: The shop does not sell one of its skus.
        InvalidRequestError: A unit would not become cheaper, or by more than an order's coupons may take off.
        PriceGuardError: Naming skus with what a unit brings.
    """
    prices = list_prices(conn, tenant_id, merchant_id, list(terms.sku_ids))
    for sku_id, price in sorted(prices.items()):
        if terms.unit_price_cents is not None and terms.unit_price_cents >= price:
            raise InvalidRequestError("price_cents", f"sku {sku_id} costs {price} fen without it")
    if kind == "gift":
        return
    _require_sellable(terms, prices)
    below = [
        (sku_id, kept_cents(terms, price), floor)
        for sku_id, price, floor in listed_with_floors(conn, tenant_id, merchant_id, terms.sku_ids)
        if kept_cents(terms, price) < floor
    ]
    if below:
        raise PriceGuardError(below[:_MOST_NAMED])


def _require_sellable(terms: Terms, prices: Mapping[str, int]) -> None:
    """Refuse what every order of these goods alone would be refused for."""
    most = f"coupons take at most {MOST_DISCOUNT_BPS} bps off the goods of an order"
    if terms.off_bps is not None and terms.off_bps > MOST_DISCOUNT_BPS:
        raise InvalidRequestError("off_bps", most)
    for sku_id, price in sorted(prices.items()):
        least = price - price * MOST_DISCOUNT_BPS // FULL_BPS
        if terms.unit_price_cents is not None and terms.unit_price_cents < least:
            raise InvalidRequestError("price_cents", f"{most}: {least} fen or more for sku {sku_id}")
