"""`/v1/suppliers/{supplier_id}/stock` and `/offers`: what a supplier has, and on which terms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from litestar import Request, get, put

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import Position, read_cursor, write_cursor
from serving.api.order_work import in_range, order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.orders import catalogue, stock
from serving.orders.contracts import OfferBatch, StockBatch, StockPage, StockView, TakenOver
from serving.orders.errors import InvalidRequestError
from serving.security import Role, Scope

_SUPPLIER = frozenset({Role.OPERATOR, Role.SUPPLIER})
_AHEAD = timedelta(hours=1)
"""How far the clock of a supplier may be ahead: a count of the far future would silence all later ones."""


@put(
    "/suppliers/{supplier_id:str}/stock",
    opt={"scope": Scope.STOCK_WRITE, "roles": _SUPPLIER, "owner": "supplier"},
    tags=["Fulfilment"],
    summary="Report stock",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_stock(request: Request[Any, Any, Any], supplier_id: Identifier, data: StockBatch) -> TakenOver:
    """For each sku the count with the latest `source_at` wins, however late or often it arrives.

    Available is on hand less what orders reserve less the buffer.
    """
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        skus = _unique("stock", [line.sku_id for line in data.stock])
        reports = [
            stock.StockReport(
                line.sku_id,
                line.on_hand_qty,
                line.buffer_qty,
                in_range("source_at", line.source_at, latest=now + _AHEAD),
            )
            for line in data.stock
        ]
        accepted = stock.report_stock(conn, principal.tenant_id, supplier_id, reports, now)
        details = {"skus": len(skus), "accepted": len(accepted)}
        note(request, conn, "stock.report", "supplier", supplier_id, details=details)
    return TakenOver(accepted=accepted, outdated=sorted(skus - set(accepted)))


@put(
    "/suppliers/{supplier_id:str}/offers",
    opt={"scope": Scope.STOCK_WRITE, "roles": _SUPPLIER, "owner": "supplier"},
    tags=["Fulfilment"],
    summary="State terms of supply",
    responses=problem_responses(),
    sync_to_thread=True,
)
def put_offers(request: Request[Any, Any, Any], supplier_id: Identifier, data: OfferBatch) -> TakenOver:
    """For each sku the statement with the latest `source_at` is in force; placed orders keep their prices."""
    principal = principal_of(request)
    with order_transaction(request) as (conn, now):
        skus = _unique("offers", [line.sku_id for line in data.offers])
        offers = [
            catalogue.Offer(
                supplier_id=supplier_id,
                sku_id=line.sku_id,
                supply_price_cents=line.supply_price_cents,
                freight_cents=line.freight_cents,
                lead_time_days=line.lead_time_days,
                source_at=in_range("source_at", line.source_at, latest=now + _AHEAD),
                min_order_qty=line.min_order_qty,
                ship_from_region=line.ship_from_region,
                is_active=line.is_active,
            )
            for line in data.offers
        ]
        accepted = [sku for _, sku in catalogue.put_offers(conn, principal.tenant_id, offers)]
        details = {"skus": len(skus), "accepted": len(accepted)}
        note(request, conn, "offers.state", "supplier", supplier_id, details=details)
    return TakenOver(accepted=accepted, outdated=sorted(skus - set(accepted)))


@get(
    "/suppliers/{supplier_id:str}/stock",
    opt={
        "scope": Scope.FULFILMENT_READ,
        "roles": _SUPPLIER | {Role.AUDITOR},
        "owner": "supplier",
    },
    tags=["Fulfilment"],
    summary="Stock of a supplier",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_stock(
    request: Request[Any, Any, Any], supplier_id: Identifier, limit: PageSize = 100, cursor: CursorText = None
) -> StockPage:
    """By sku: on hand, reserved by orders, buffer, and what may be promised."""
    position = read_cursor(cursor, "stock")
    with order_transaction(request) as (conn, _):
        found = stock.levels(
            conn,
            principal_of(request).tenant_id,
            supplier_id,
            after=str(position.key[0]) if position else "",
            limit=limit + 1,
        )
    rows = [
        StockView(**{name: getattr(level, name) for name in StockView.__struct_fields__}) for level in found
    ]
    following = write_cursor(Position("stock", "", [rows[limit - 1].sku_id])) if len(rows) > limit else None
    return StockPage(stock=rows[:limit], next_cursor=following)


def _unique(parameter: str, sku_ids: Sequence[str]) -> set[str]:
    unique = set(sku_ids)
    if len(unique) != len(sku_ids):
        raise InvalidRequestError(parameter, "a sku stands twice; send the latest statement only")
    return unique


STOCK_ROUTES = (
    get_stock,
    put_offers,
    put_stock,
)
"""Handlers of this resource, for the application."""
