"""What is sold after a sku is stopped, while many threads sell it: on PostgreSQL, through the real orders."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.orders.assortment import catalogue, stock
from serving.orders.errors import OrdersError
from serving.orders.placing import placing
from serving.settlement.plans.profiles import load_shipped

SELLERS = 16
TENANT = "default"
START = datetime(2026, 1, 1, tzinfo=UTC)
MERCHANT = "m1"

Stop = Callable[[psycopg.Connection, str], None]
"""Stops the sale of a sku inside the transaction it is given."""


def sold_after(stop: Stop, refusal: type[OrdersError], times: int) -> tuple[int, int]:
    """Units sold after a stop and before it, over all times.

    Args:
        stop: Stops a sku, while it is sold.
        refusal: By which sellers learn of it.
        times: How often, each time another sku.
    """
    after = before = 0
    with (
        tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        with Operations(url, size=SELLERS + 1, timeout_s=120) as operations:
            for number in range(times):
                sold, at_the_stop = _race(operations, f"sku-{number}", stop, refusal)
                before, after = before + at_the_stop, after + sold - at_the_stop
    return after, before


def _race(operations: Operations, sku: str, stop: Stop, refusal: type[OrdersError]) -> tuple[int, int]:
    """Sellers against one stop; units reserved at the end, and when the stop was about to commit."""
    plan = load_shipped("cn_strict")
    with operations.transaction(TENANT) as conn:
        catalogue.put_products(conn, TENANT, [catalogue.Product(sku, sku, ("leaf",))])
        catalogue.put_listings(conn, TENANT, [catalogue.Listing(MERCHANT, sku, 10_000)])
        catalogue.put_offers(conn, TENANT, [catalogue.Offer("S1", sku, 1_000, 0, 1, START)])
        stock.report_stock(conn, TENANT, "S1", [stock.StockReport(sku, 10**6, 0, START)], START)
    begin = threading.Barrier(SELLERS + 1)

    def sell(seller: int) -> None:
        begin.wait()
        for number in range(10**6):
            order = placing.NewOrder(f"{sku}-{seller}-{number}", MERCHANT, "c", [placing.WantedLine(sku, 1)])
            try:
                with operations.transaction(TENANT) as conn:
                    placing.place_order(conn, TENANT, order, plan, START)
            except refusal:
                return

    def stops() -> int:
        begin.wait()
        reserved = 0
        while reserved < SELLERS:
            with operations.transaction(TENANT) as conn:
                reserved = _reserved(conn, sku)
        with operations.transaction(TENANT) as conn:
            stop(conn, sku)
            return _reserved(conn, sku)

    with ThreadPoolExecutor(SELLERS + 1) as pool:
        stopped = pool.submit(stops)
        for done in [pool.submit(sell, seller) for seller in range(SELLERS)]:
            done.result()
    with operations.transaction(TENANT) as conn:
        return _reserved(conn, sku), stopped.result()


def _reserved(conn: psycopg.Connection, sku: str) -> int:
    row = conn.execute(
        "select reserved_qty from orders.stock where tenant_id = %s and sku_id = %s", (TENANT, sku)
    ).fetchone()
    return int(row[0]) if row else 0
