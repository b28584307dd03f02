"""Stock: what suppliers report, what orders reserve, what may be promised. Never more than that is reserved.

availability = max(0, on hand - reserved - buffer). Rows are locked in the order (supplier_id, sku_id) after
any order row, so that two transactions never wait for each other in a circle. Who ships: `routing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.orders.errors import OutOfStockError
from serving.orders.routing.contracts import OfferStock

Connection = psycopg.Connection[Any]
StockKey = tuple[str, str]
"""(supplier_id, sku_id)."""

ANYWHERE = "-"
"""Region of suppliers and receivers that name none: always another region than any named one's."""


@dataclass(frozen=True)
class StockReport:
    """What a supplier says about one sku.

    Attributes:
        sku_id: The sku.
        on_hand_qty: Units on the shelf at `source_at`.
        buffer_qty: Units never to be promised.
        source_at: When the supplier counted (UTC).
    """

    sku_id: str
    on_hand_qty: int
    buffer_qty: int
    source_at: datetime


@dataclass(frozen=True)
class StockLevel:
    """Stock of one sku at one supplier; `available_qty` is what may be promised."""

    sku_id: str
    on_hand_qty: int
    reserved_qty: int
    buffer_qty: int
    available_qty: int
    source_at: datetime


def report_stock(
    conn: Connection, tenant_id: str, supplier_id: str, reports: Sequence[StockReport], now: datetime
) -> list[str]:
    """Take over what a supplier counted; an older count than the known one changes nothing.

    Units that left the shelf after the count by shipment notices, came back onto it or were brought in by a
    purchase order are reckoned in: the count cannot know them.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Whose stock.
        reports: At most one a sku.
        now: Business time of the movements that result.

    Returns:
        Skus whose report was taken over.
    """
    wanted = sorted(reports, key=lambda report: report.sku_id)
    conn.execute(
        "insert into orders.stock (tenant_id, supplier_id, sku_id, on_hand_qty, source_at)"
        " select %(tenant)s, %(supplier)s, sku_id, 0, '-infinity'"
        " from unnest(%(skus)s::text[]) as n (sku_id) order by sku_id on conflict do nothing",
        {"tenant": tenant_id, "supplier": supplier_id, "skus": [report.sku_id for report in wanted]},
    )
    locks.stock(conn, tenant_id, [(supplier_id, report.sku_id) for report in wanted])
    rows = conn.execute(
        "with report as (select * from unnest(%(skus)s::text[], %(on_hand)s::bigint[], %(buffer)s::bigint[],"
        " %(source_at)s::timestamptz[]) as r (sku_id, on_hand_qty, buffer_qty, source_at)),"
        " locked as materialized (select s.sku_id, s.on_hand_qty as before_qty, r.buffer_qty, r.source_at,"
        " greatest(0, r.on_hand_qty + coalesce((select sum(m.qty_delta) from orders.stock_movement m"
        " where m.tenant_id = s.tenant_id and m.supplier_id = s.supplier_id and m.sku_id = s.sku_id"
        " and (m.reason in ('sale', 'return') or m.purchase_order_id is not null)"
        " and m.occurred_at > r.source_at), 0)::bigint) as after_qty"
        " from orders.stock s join report r using (sku_id)"
        " where s.tenant_id = %(tenant)s and s.supplier_id = %(supplier)s and s.source_at < r.source_at"
        " order by s.sku_id),"
        " moved as (insert into orders.stock_movement (tenant_id, supplier_id, sku_id, qty_delta, reason,"
        " occurred_at) select %(tenant)s, %(supplier)s, sku_id, after_qty - before_qty,"
        " case when after_qty > before_qty then 'inbound' else 'adjust' end, %(now)s from locked"
        " where after_qty <> before_qty)"
        " update orders.stock s set on_hand_qty = l.after_qty, buffer_qty = l.buffer_qty,"
        " source_at = l.source_at from locked l where s.tenant_id = %(tenant)s"
        " and s.supplier_id = %(supplier)s and s.sku_id = l.sku_id returning s.sku_id",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "skus": [report.sku_id for report in wanted],
            "on_hand": [report.on_hand_qty for report in wanted],
            "buffer": [report.buffer_qty for report in wanted],
            "source_at": [report.source_at for report in wanted],
            "now": now,
        },
    ).fetchall()
    return sorted(sku_id for (sku_id,) in rows)


def levels(conn: Connection, tenant_id: str, supplier_id: str, *, after: str, limit: int) -> list[StockLevel]:
    """Stock of a supplier by sku, beginning after a sku."""
    rows = conn.execute(
        "select sku_id, on_hand_qty, reserved_qty, buffer_qty,"
        " greatest(0, on_hand_qty - reserved_qty - buffer_qty), source_at from orders.stock"
        " where tenant_id = %(tenant)s and supplier_id = %(supplier)s and sku_id > %(after)s"
        " and source_at > '-infinity' order by sku_id limit %(limit)s",
        {"tenant": tenant_id, "supplier": supplier_id, "after": after, "limit": limit},
    ).fetchall()
    return [StockLevel(*row) for row in rows]


def lock_offers(
    conn: Connection, tenant_id: str, sku_ids: Iterable[str], *, without: Iterable[str] = ()
) -> list[OfferStock]:
    """Lock the stock of every active offer of some skus and say what may be promised.

    Only offers in force of suppliers that may offer the sku; what waits for a decision is none.

    The rows stay locked until the transaction ends, so what is read here may be reserved; and so do the
    levels of the quality brake, so that a sku that is not stopped by now is not stopped before.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        sku_ids: Wanted skus.
        without: Suppliers that are out of the question.

    Returns:
        Offers by (supplier_id, sku_id); also those with nothing to promise.
    """
    wanted = sorted(set(sku_ids))
    locks.stock_of_skus(conn, tenant_id, wanted)
    locks.brake_stays(conn, tenant_id)
    rows = conn.execute(
        f"select s.supplier_id, s.sku_id, {AVAILABLE},"
        " o.supply_price_cents, o.freight_cents, o.lead_time_days, o.ship_from_region, o.min_order_qty"
        " from orders.stock s join orders.offer o using (tenant_id, supplier_id, sku_id)"
        f" where s.tenant_id = %(tenant)s and s.sku_id = any(%(skus)s) and {IN_FORCE}"
        " and s.supplier_id <> all(%(without)s)"
        " order by s.supplier_id, s.sku_id",
        {"tenant": tenant_id, "skus": wanted, "without": sorted(set(without))},
    ).fetchall()
    return [
        OfferStock(supplier, sku, available, price, freight, days, region or ANYWHERE, smallest)
        for supplier, sku, available, price, freight, days, region, smallest in rows
    ]


def reserve(conn: Connection, tenant_id: str, wanted: Mapping[StockKey, int]) -> None:
    """Reserve units that may be promised.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        wanted: Units by (supplier_id, sku_id).

    Raises:
        OutOfStockError: Somebody else was faster; the transaction must be rolled back.
    """
    locks.stock(conn, tenant_id, wanted)
    done = _change(
        conn,
        tenant_id,
        wanted,
        "reserved_qty = s.reserved_qty + n.qty",
        "s.on_hand_qty - s.reserved_qty - s.buffer_qty >= n.qty",
    )
    short = [
        (sku, qty, "short_stock") for (supplier, sku), qty in wanted.items() if (supplier, sku) not in done
    ]
    if short:
        raise OutOfStockError(sorted(short))


def release(conn: Connection, tenant_id: str, given_back: Mapping[StockKey, int]) -> None:
    """Give reserved units back."""
    locks.stock(conn, tenant_id, given_back)
    _change(conn, tenant_id, given_back, "reserved_qty = s.reserved_qty - n.qty", "true")


def ship(
    conn: Connection, tenant_id: str, order_id: str, shipped: Mapping[StockKey, int], now: datetime
) -> None:
    """Take reserved units off the shelf, with a movement each.

    What a supplier ships is gone even when its own count said there was less: on hand stops at 0.
    """
    locks.stock(conn, tenant_id, shipped)
    rows = conn.execute(
        "with n as (select * from unnest(%(suppliers)s::text[], %(skus)s::text[], %(quantities)s::bigint[])"
        " as n (supplier_id, sku_id, qty)),"
        " before as materialized (select s.supplier_id, s.sku_id, least(s.on_hand_qty, n.qty) as gone"
        " from orders.stock s join n using (supplier_id, sku_id) where s.tenant_id = %(tenant)s)"
        " update orders.stock s set on_hand_qty = s.on_hand_qty - b.gone,"
        " reserved_qty = s.reserved_qty - n.qty"
        " from n join before b using (supplier_id, sku_id) where s.tenant_id = %(tenant)s"
        " and s.supplier_id = n.supplier_id and s.sku_id = n.sku_id"
        " returning s.supplier_id, s.sku_id, b.gone",
        {"tenant": tenant_id, **_columns(shipped)},
    ).fetchall()
    gone = {(supplier, sku): qty for supplier, sku, qty in rows if qty}
    conn.execute(
        "insert into orders.stock_movement (tenant_id, supplier_id, sku_id, qty_delta, reason, order_id,"
        " occurred_at) select %(tenant)s, supplier_id, sku_id, -qty, 'sale', %(order)s, %(now)s"
        " from unnest(%(suppliers)s::text[], %(skus)s::text[], %(quantities)s::bigint[])"
        " as n (supplier_id, sku_id, qty)",
        {"tenant": tenant_id, "order": order_id, "now": now, **_columns(gone)},
    )


def take_back(
    conn: Connection, tenant_id: str, order_id: str, key: StockKey, qty: int, now: datetime
) -> None:
    """Put units that came back on the shelf, with a movement; the stock is locked."""
    supplier_id, sku_id = key
    values = {"tenant": tenant_id, "supplier": supplier_id, "sku": sku_id, "qty": qty}
    conn.execute(
        "update orders.stock set on_hand_qty = on_hand_qty + %(qty)s where tenant_id = %(tenant)s"
        " and supplier_id = %(supplier)s and sku_id = %(sku)s",
        values,
    )
    conn.execute(
        "insert into orders.stock_movement (tenant_id, supplier_id, sku_id, qty_delta, reason, order_id,"
        " occurred_at) values (%(tenant)s, %(supplier)s, %(sku)s, %(qty)s, 'return', %(order)s, %(now)s)",
        {**values, "order": order_id, "now": now},
    )


def bring_in(
    conn: Connection, tenant_id: str, purchase_order_id: str, arrived: Mapping[StockKey, int], now: datetime
) -> None:
    """Put units of a purchase order on the shelf, with a movement each."""
    columns = _columns(arrived)
    conn.execute(
        "insert into orders.stock (tenant_id, supplier_id, sku_id, on_hand_qty, source_at)"
        " select %(tenant)s, supplier_id, sku_id, 0, '-infinity'"
        " from unnest(%(suppliers)s::text[], %(skus)s::text[]) as n (supplier_id, sku_id)"
        " order by supplier_id, sku_id on conflict do nothing",
        {"tenant": tenant_id, **columns},
    )
    locks.stock(conn, tenant_id, arrived)
    conn.execute(
        "with n as (select * from unnest(%(suppliers)s::text[], %(skus)s::text[], %(quantities)s::bigint[])"
        " as n (supplier_id, sku_id, qty)), moved as (insert into orders.stock_movement (tenant_id,"
        " supplier_id, sku_id, qty_delta, reason, purchase_order_id, occurred_at)"
        " select %(tenant)s, supplier_id, sku_id, qty, 'inbound', %(purchase)s, %(now)s from n)"
        " update orders.stock s set on_hand_qty = s.on_hand_qty + n.qty from n"
        " where s.tenant_id = %(tenant)s and s.supplier_id = n.supplier_id and s.sku_id = n.sku_id",
        {"tenant": tenant_id, "purchase": purchase_order_id, "now": now, **columns},
    )


def _change(
    conn: Connection, tenant_id: str, quantities: Mapping[StockKey, int], change: str, condition: str
) -> set[StockKey]:
    query = (
        f"update orders.stock s set {change} from unnest(%(suppliers)s::text[], %(skus)s::text[],"
        " %(quantities)s::bigint[]) as n (supplier_id, sku_id, qty) where s.tenant_id = %(tenant)s"
        f" and s.supplier_id = n.supplier_id and s.sku_id = n.sku_id and {condition}"
        " returning s.supplier_id, s.sku_id"
    )
    rows = conn.execute(query.encode(), {"tenant": tenant_id, **_columns(quantities)}).fetchall()
    return {(supplier, sku) for supplier, sku in rows}


def _columns(quantities: Mapping[StockKey, int]) -> dict[str, list[Any]]:
    return {
        "suppliers": [supplier for supplier, _ in quantities],
        "skus": [sku for _, sku in quantities],
        "quantities": list(quantities.values()),
    }
