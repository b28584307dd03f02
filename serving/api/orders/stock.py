"""`/v1/suppliers/{supplier_id}/stock`: what a supplier has. On which terms: `serving.api.orders.offers`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from litestar import Request, get, put

from serving.api.answers import principal_of, problem_responses
from serving.api.cursor import cursor_after, read_cursor
from serving.api.orders.order_work import CLOCK_AHEAD, in_range, once_each, order_transaction
from serving.api.parameters import CursorText, Identifier, PageSize
from serving.api.transactions import note
from serving.orders.assortment import stock
from serving.orders.contracts import (
    StockBatch,
    StockLine,
    StockPage,
    StockView,
    TakenOver,
    WarehouseStockView,
)
from serving.orders.errors import InvalidRequestError
from serving.security import Role, Scope

_SUPPLIER = frozenset({Role.OPERATOR, Role.SUPPLIER})


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

    Available is on hand less what orders reserve less the buffer. The newest count also decides whether it is
    known in which warehouses the units lie.
    """
    with order_transaction(request) as (conn, now):
        taken = take_stock(conn, principal_of(request).tenant_id, supplier_id, data, now)
        details = {"skus": len(data.stock), "accepted": len(taken.accepted)}
        note(request, conn, "stock.report", "supplier", supplier_id, details=details)
    return taken


def take_stock(
    conn: psycopg.Connection[Any], tenant_id: str, supplier_id: str, data: StockBatch, now: datetime
) -> TakenOver:
    """Take a supplier's counts in, whichever way they came.

    Raises:
        InvalidRequestError: A sku stands twice, or a count is of the future.
    """
    skus = once_each("stock", [line.sku_id for line in data.stock])
    reports = [
        stock.StockReport(
            line.sku_id,
            line.on_hand_qty,
            line.buffer_qty,
            in_range("source_at", line.source_at, latest=now + CLOCK_AHEAD),
            _by_warehouse(line),
        )
        for line in data.stock
    ]
    accepted = stock.report_stock(conn, tenant_id, supplier_id, reports, now)
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
    rows = [_view(level) for level in found]
    following = cursor_after(rows, limit, "stock", lambda one: [one.sku_id])
    return StockPage(stock=rows[:limit], next_cursor=following)


def _by_warehouse(line: StockLine) -> dict[str, int] | None:
    if line.warehouses is None:
        return None
    units = {one.warehouse_id: one.on_hand_qty for one in line.warehouses}
    if len(units) < len(line.warehouses):
        raise InvalidRequestError("stock", f"sku {line.sku_id!r}: a warehouse stands twice; add its units up")
    return units


def _view(level: stock.StockLevel) -> StockView:
    values = {name: getattr(level, name) for name in StockView.__struct_fields__ if name != "warehouses"}
    return StockView(
        **values,
        warehouses=[
            WarehouseStockView(
                warehouse_id=one.warehouse_id, on_hand_qty=one.on_hand_qty, free_qty=one.free_qty
            )
            for one in level.warehouses
        ],
    )


STOCK_ROUTES = (
    get_stock,
    put_stock,
)
"""Handlers of this resource, for the application."""
