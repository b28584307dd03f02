"""`/v1/suppliers/{supplier_id}/offers` and `/skus`: terms of supply, and what a supplier may offer."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, put

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import CLOCK_AHEAD, in_range, once_each, order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.orders.assortment import catalogue, offers
from serving.orders.contracts import (
    OfferBatch,
    OfferPage,
    OffersTaken,
    OfferView,
    SupplierSkuBatch,
    SupplierSkusSet,
    WaitingOffer,
)
from serving.security import Role, Scope

_SUPPLIER = frozenset({Role.OPERATOR, Role.SUPPLIER})
_OPERATOR = frozenset({Role.OPERATOR})


@put(
    "/suppliers/{supplier_id:str}/offers",
    opt={"scope": Scope.STOCK_WRITE, "roles": _SUPPLIER, "owner": "supplier"},
    tags=["Fulfilment"],
    summary="State terms of supply",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_offers(request: Request[Any, Any, Any], supplier_id: Identifier, data: OfferBatch) -> OffersTaken:
    """For each sku the statement with the latest `source_at` counts; placed orders keep their prices.

    A supplier offers skus that it was approved for (else 403), and for nothing only what the operator allows
    (else 422). A price outside the corridor of its sku waits for a decision and does not route; meanwhile the
    terms in force stay. A statement with `is_active` false ends the offer, whatever price it names.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        once_each("offers", [line.sku_id for line in data.offers])
        stated = offers.state_offers(
            conn,
            principal.tenant_id,
            supplier_id,
            [
                catalogue.Offer(
                    supplier_id=supplier_id,
                    sku_id=line.sku_id,
                    supply_price_cents=line.supply_price_cents,
                    freight_cents=line.freight_cents,
                    lead_time_days=line.lead_time_days,
                    source_at=in_range("source_at", line.source_at, latest=now + CLOCK_AHEAD),
                    min_order_qty=line.min_order_qty,
                    ship_from_region=line.ship_from_region,
                    is_active=line.is_active,
                )
                for line in data.offers
            ],
            offers.Corridor.of(request.app.state.settings),
            principal,
            now,
        )
        details = {
            "skus": len(data.offers),
            "accepted": len(stated.accepted),
            "waiting": len(stated.waiting),
        }
        note(request, conn, "offers.state", "supplier", supplier_id, details=details)
    return OffersTaken(
        accepted=list(stated.accepted),
        outdated=list(stated.outdated),
        waiting=[
            WaitingOffer(
                sku_id=one.sku_id,
                reason=one.judgement.reason,
                low_cents=one.judgement.low_cents,
                high_cents=one.judgement.high_cents,
            )
            for one in stated.waiting
        ],
    )


@get(
    "/suppliers/{supplier_id:str}/offers",
    opt={
        "scope": Scope.FULFILMENT_READ,
        "roles": _SUPPLIER | {Role.AUDITOR},
        "owner": "supplier",
    },
    tags=["Fulfilment"],
    summary="Terms of a supplier",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_offers(
    request: Request[Any, Any, Any], supplier_id: Identifier, limit: PageSize = 100, cursor: CursorText = None
) -> OfferPage:
    """By sku and state: what is in force, what ended, and what waits for a decision."""
    position = read_cursor(cursor, "offers")
    after = (str(position.key[0]), str(position.key[1])) if position else ("", "")
    with order_transaction(request) as (conn, _):
        found = offers.terms_of(
            conn, principal_of(request).tenant_id, supplier_id, after=after, limit=limit + 1
        )
    rows = [
        OfferView(**{name: getattr(one, name) for name in OfferView.__struct_fields__})
        for one in found[:limit]
    ]
    following = cursor_after(found, limit, "offers", lambda one: [one.sku_id, one.state])
    return OfferPage(offers=rows, next_cursor=following)


@put(
    "/suppliers/{supplier_id:str}/skus",
    opt={"scope": Scope.STOCK_WRITE, "roles": _OPERATOR, "owner": "supplier"},
    tags=["Fulfilment"],
    summary="Say which skus a supplier may offer",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_skus(
    request: Request[Any, Any, Any], supplier_id: Identifier, data: SupplierSkuBatch
) -> SupplierSkusSet:
    """Offers of a sku that is not approved any more do not route; a price of 0 needs `may_be_free`."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, _):
        once_each("skus", [line.sku_id for line in data.skus])
        skus = [catalogue.SupplierSku(line.sku_id, line.is_approved, line.may_be_free) for line in data.skus]
        catalogue.approve_skus(conn, principal.tenant_id, supplier_id, skus)
        details = {"skus": len(skus), "approved": sum(sku.is_approved for sku in skus)}
        note(request, conn, "supplier_skus.set", "supplier", supplier_id, details=details)
    return SupplierSkusSet(supplier_id=supplier_id, skus=len(skus))


OFFER_ROUTES = (
    get_offers,
    put_offers,
    put_skus,
)
"""Handlers of this resource, for the application."""
