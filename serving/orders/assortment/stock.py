"""Stock: what suppliers report, what orders reserve, what may be promised. Never more than that is reserved.

availability = max(0, on hand - reserved - buffer). Rows are locked in the order (supplier_id, sku_id) after
any order row, so that two transactions never wait for each other in a circle. Who ships: `routing`.
Where a supplier counts by warehouse the parts follow the total here: `shelves`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from serving.db import locks
from serving.orders.assortment import shelves
from serving.orders.assortment.orderable import AVAILABLE, IN_FORCE
from serving.orders.errors import InvalidRequestError, OutOfStockError
from serving.orders.routing.contracts import OfferStock

Connection = psycopg.Connection[Any]
StockKey = tuple[str, str]
"""(supplier_id, sku_id)."""
PlacedKey = tuple[str, str, str | None]
"""(supplier_id, sku_id, warehouse_id); None where no warehouse is known."""

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
        by_warehouse: Units of `on_hand_qty` by warehouse, all of them; None: where they lie is not stated.
    """

    sku_id: str
    on_hand_qty: int
    buffer_qty: int
    source_at: datetime
    by_warehouse: Mapping[str, int] | None = None


@dataclass(frozen=True)
class ShelfLevel:
    """Stock of one sku in one warehouse; `free_qty` is what no line reserves there."""

    warehouse_id: str
    on_hand_qty: int
    free_qty: int


@dataclass(frozen=True)
class StockLevel:
    """Stock of one sku at one supplier; `available_qty` is what may be promised."""

    sku_id: str
    on_hand_qty: int
    reserved_qty: int
    buffer_qty: int
    available_qty: int
    source_at: datetime
    warehouses: Sequence[ShelfLevel] = ()


def report_stock(
    conn: Connection, tenant_id: str, supplier_id: str, reports: Sequence[StockReport], now: datetime
) -> list[str]:
    """Take over what a supplier counted; an older count than the known one changes nothing.

    Units that left the shelf after the count by shipment notices, came back onto it or were brought in by a
    purchase order are reckoned in: the count cannot know them. The newest count also says whether it is
    known where the units lie.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        supplier_id: Whose stock.
        reports: At most one a sku.
        now: Business time of the movements that result.

    Returns:
        Skus whose report was taken over.

    Raises:
        InvalidRequestError: The parts do not add up, or a warehouse is not one that the supplier ships from.
    """
    wanted = sorted(reports, key=lambda report: report.sku_id)
    _require_parts(conn, tenant_id, supplier_id, wanted)
    conn.execute(
        "insert into orders.stock (tenant_id, supplier_id, sku_id, on_hand_qty, source_at)"
        " select %(tenant)s, %(supplier)s, sku_id, 0, '-infinity'"
        " from unnest(%(skus)s::text[]) as n (sku_id) order by sku_id on conflict do nothing",
        {"tenant": tenant_id, "supplier": supplier_id, "skus": [report.sku_id for report in wanted]},
    )
    locks.stock(conn, tenant_id, [(supplier_id, report.sku_id) for report in wanted])
    rows = conn.execute(
        "with report as (select * from unnest(%(skus)s::text[], %(on_hand)s::bigint[], %(buffer)s::bigint[],"
        " %(source_at)s::timestamptz[], %(parted)s::boolean[])"
        " as r (sku_id, on_hand_qty, buffer_qty, source_at, is_by_warehouse)),"
        " locked as materialized (select s.sku_id, s.on_hand_qty as before_qty, r.buffer_qty, r.source_at,"
        " r.is_by_warehouse,"
        " greatest(0, r.on_hand_qty + coalesce((select sum(m.qty_delta) from orders.stock_movement m"
        " where m.tenant_id = s.tenant_id and m.supplier_id = s.supplier_id and m.sku_id = s.sku_id"
        f" and {_UNKNOWN_TO_COUNTS} and m.occurred_at > r.source_at), 0)::bigint) as after_qty"
        " from orders.stock s join report r using (sku_id)"
        " where s.tenant_id = %(tenant)s and s.supplier_id = %(supplier)s and s.source_at < r.source_at"
        " order by s.sku_id),"
        " moved as (insert into orders.stock_movement (tenant_id, supplier_id, sku_id, qty_delta, reason,"
        " occurred_at) select %(tenant)s, %(supplier)s, sku_id, after_qty - before_qty,"
        " case when after_qty > before_qty then 'inbound' else 'adjust' end, %(now)s from locked"
        " where after_qty <> before_qty)"
        " update orders.stock s set on_hand_qty = l.after_qty, buffer_qty = l.buffer_qty,"
        " source_at = l.source_at, is_by_warehouse = l.is_by_warehouse"
        " from locked l where s.tenant_id = %(tenant)s"
        " and s.supplier_id = %(supplier)s and s.sku_id = l.sku_id returning s.sku_id",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "skus": [report.sku_id for report in wanted],
            "on_hand": [report.on_hand_qty for report in wanted],
            "buffer": [report.buffer_qty for report in wanted],
            "source_at": [report.source_at for report in wanted],
            "parted": [report.by_warehouse is not None for report in wanted],
            "now": now,
        },
    ).fetchall()
    accepted = {sku_id for (sku_id,) in rows}
    _put_parts(conn, tenant_id, supplier_id, [report for report in wanted if report.sku_id in accepted])
    return sorted(accepted)


def levels(conn: Connection, tenant_id: str, supplier_id: str, *, after: str, limit: int) -> list[StockLevel]:
    """Stock of a supplier by sku, beginning after a sku."""
    rows = conn.execute(
        "select sku_id, on_hand_qty, reserved_qty, buffer_qty,"
        " greatest(0, on_hand_qty - reserved_qty - buffer_qty), source_at,"
        f" (select jsonb_agg(jsonb_build_array(w.warehouse_id, w.on_hand_qty, {shelves.FREE})"
        "   order by w.warehouse_id) from orders.warehouse_stock w where s.is_by_warehouse"
        "  and (w.tenant_id, w.supplier_id, w.sku_id) = (s.tenant_id, s.supplier_id, s.sku_id))"
        " from orders.stock s where tenant_id = %(tenant)s and supplier_id = %(supplier)s"
        " and sku_id > %(after)s and source_at > '-infinity' order by sku_id limit %(limit)s",
        {
            "tenant": tenant_id,
            "supplier": supplier_id,
            "after": after,
            "limit": limit,
            "moving_order": None,
            "moving_line": None,
        },
    ).fetchall()
    found = []
    for sku, on_hand, reserved, buffer, available, source_at, parts in rows:
        lies = [ShelfLevel(*part) for part in parts or ()]
        found.append(StockLevel(sku, on_hand, reserved, buffer, available, source_at, lies))
    return found


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
    conn: Connection, tenant_id: str, order_id: str, shipped: Mapping[PlacedKey, int], now: datetime
) -> None:
    """Take reserved units off the shelf, with a movement for each place that they leave.

    What a supplier ships is gone even when its own count said there was less: on hand stops at 0. A warehouse
    that lacks units of its lines takes them from the fullest other one: they left from somewhere.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        order_id: The order.
        shipped: Units by supplier, sku and the warehouse of their line.
        now: When they left.
    """
    totals: Counter[StockKey] = Counter()
    wanted: dict[StockKey, dict[str | None, int]] = defaultdict(dict)
    for (supplier, sku, house), qty in shipped.items():
        totals[supplier, sku] += qty
        wanted[supplier, sku][house] = qty
    locks.stock(conn, tenant_id, totals)
    held = shelves.held_of(conn, tenant_id, totals)
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
        {"tenant": tenant_id, **_columns(totals)},
    ).fetchall()
    gone: dict[PlacedKey, int] = {}
    for supplier, sku, qty in rows:
        key = supplier, sku
        if key not in held:
            gone |= {(supplier, sku, None): qty} if qty else {}
            continue
        out = shelves.taken(held[key], wanted[key])
        gone |= {(supplier, sku, house): units for house, units in out.items()}
        held[key] = {house: units - out.get(house, 0) for house, units in held[key].items()}
    shelves.put(conn, tenant_id, held)
    _note(conn, tenant_id, {key: -qty for key, qty in gone.items()}, "sale", now, order_id=order_id)


def take_back(
    conn: Connection,
    tenant_id: str,
    order_id: str,
    key: StockKey,
    qty: int,
    now: datetime,
    warehouse_id: str | None = None,
) -> None:
    """Put units that came back on the shelf of their warehouse, with a movement; the stock is locked."""
    placed = _put_in(conn, tenant_id, {key: qty}, warehouse_id)
    _note(conn, tenant_id, placed, "return", now, order_id=order_id)


def bring_in(
    conn: Connection,
    tenant_id: str,
    purchase_order_id: str,
    arrived: Mapping[StockKey, int],
    now: datetime,
    warehouse_id: str | None = None,
) -> None:
    """Put units of a purchase order on the shelf, with a movement each.

    Args:
        conn: Inside a transaction of the tenant.
        tenant_id: The tenant.
        purchase_order_id: The purchase order.
        arrived: Units by supplier and sku.
        now: Business time.
        warehouse_id: Where they arrived; None: in the fullest, of skus that are counted by warehouse.
    """
    columns = _columns(arrived)
    conn.execute(
        "insert into orders.stock (tenant_id, supplier_id, sku_id, on_hand_qty, source_at)"
        " select %(tenant)s, supplier_id, sku_id, 0, '-infinity'"
        " from unnest(%(suppliers)s::text[], %(skus)s::text[]) as n (supplier_id, sku_id)"
        " order by supplier_id, sku_id on conflict do nothing",
        {"tenant": tenant_id, **columns},
    )
    locks.stock(conn, tenant_id, arrived)
    placed = _put_in(conn, tenant_id, arrived, warehouse_id)
    _note(conn, tenant_id, placed, "inbound", now, purchase_order_id=purchase_order_id)


def unreserved(conn: Connection, tenant_id: str, key: StockKey) -> int:
    """Units on hand that no line reserves, the buffer included; the stock is locked."""
    row = conn.execute(
        "select greatest(0, on_hand_qty - reserved_qty) from orders.stock"
        " where tenant_id = %s and supplier_id = %s and sku_id = %s",
        (tenant_id, *key),
    ).fetchone()
    return 0 if row is None else int(row[0])


def move_out(
    conn: Connection,
    tenant_id: str,
    transfer_id: str,
    key: StockKey,
    qty: int,
    warehouse_id: str,
    now: datetime,
) -> None:
    """Take units off the shelf of a warehouse for a transfer; the stock is locked and they are there."""
    held = shelves.held_of(conn, tenant_id, [key])
    if key in held:
        held[key][warehouse_id] -= qty
        shelves.put(conn, tenant_id, held)
    _change(conn, tenant_id, {key: qty}, "on_hand_qty = s.on_hand_qty - n.qty", "true")
    _note(conn, tenant_id, {(*key, warehouse_id): -qty}, "transfer", now, transfer_id=transfer_id)


def move_in(
    conn: Connection,
    tenant_id: str,
    transfer_id: str,
    key: StockKey,
    qty: int,
    warehouse_id: str,
    now: datetime,
) -> None:
    """Put units of a transfer on the shelf of a warehouse; the stock is locked."""
    placed = _put_in(conn, tenant_id, {key: qty}, warehouse_id)
    _note(conn, tenant_id, placed, "transfer", now, transfer_id=transfer_id)


def require_house(
    conn: Connection, tenant_id: str, supplier_id: str, warehouse_ids: Iterable[str], parameter: str
) -> None:
    """Refuse a warehouse in which a supplier's goods cannot lie: only its own and the platform's can.

    Raises:
        InvalidRequestError: One is unknown, or of another supplier.
    """
    wanted = sorted(set(warehouse_ids))
    rows = conn.execute(
        "select warehouse_id from supply.warehouse where tenant_id = %s and warehouse_id = any(%s)"
        " and coalesce(supplier_id, %s) = %s",
        (tenant_id, wanted, supplier_id, supplier_id),
    ).fetchall()
    unknown = sorted(set(wanted) - {house for (house,) in rows})
    if unknown:
        raise InvalidRequestError(
            parameter,
            f"{', '.join(map(repr, unknown))} is no warehouse of supplier {supplier_id!r} or of the platform;"
            " warehouses are stated by the table `warehouses`",
        )


_UNKNOWN_TO_COUNTS = "(m.reason in ('sale', 'return', 'transfer') or m.purchase_order_id is not null)"
"""Movements `m` that a count taken before them cannot know."""


def _require_parts(
    conn: Connection, tenant_id: str, supplier_id: str, reports: Sequence[StockReport]
) -> None:
    parted = {report.sku_id: report for report in reports if report.by_warehouse is not None}
    for sku_id, report in parted.items():
        units = sum((report.by_warehouse or {}).values())
        if not report.by_warehouse or units != report.on_hand_qty:
            raise InvalidRequestError(
                "stock",
                f"sku {sku_id!r}: the warehouses have {units} units, on_hand_qty is {report.on_hand_qty};"
                " state every warehouse, or none",
            )
    houses = {house for report in parted.values() for house in report.by_warehouse or ()}
    if houses:
        require_house(conn, tenant_id, supplier_id, houses, "stock")


def _put_parts(conn: Connection, tenant_id: str, supplier_id: str, reports: Sequence[StockReport]) -> None:
    """Write where the units of taken-over counts lie, with what moved since each count."""
    parted = [report for report in reports if report.by_warehouse is not None]
    if not parted:
        return
    since: dict[str, list[tuple[str | None, int]]] = defaultdict(list)
    for sku_id, house, qty in conn.execute(
        "select m.sku_id, m.warehouse_id, m.qty_delta from orders.stock_movement m"
        " join unnest(%s::text[], %s::timestamptz[]) as r (sku_id, source_at) using (sku_id)"
        f" where m.tenant_id = %s and m.supplier_id = %s and {_UNKNOWN_TO_COUNTS}"
        " and m.occurred_at > r.source_at order by m.movement_id".encode(),
        (
            [report.sku_id for report in parted],
            [report.source_at for report in parted],
            tenant_id,
            supplier_id,
        ),
    ):
        since[sku_id].append((house, qty))
    # A warehouse that the count leaves out has none.
    emptied = {
        sku_id: dict.fromkeys(houses, 0)
        for sku_id, houses in conn.execute(
            "select sku_id, array_agg(warehouse_id) from orders.warehouse_stock"
            " where tenant_id = %s and supplier_id = %s and sku_id = any(%s) group by 1",
            (tenant_id, supplier_id, [report.sku_id for report in parted]),
        )
    }
    shelves.put(
        conn,
        tenant_id,
        {
            (supplier_id, report.sku_id): emptied.get(report.sku_id, {})
            | shelves.counted(report.by_warehouse or {}, since[report.sku_id])
            for report in parted
        },
    )


def _put_in(
    conn: Connection, tenant_id: str, arrived: Mapping[StockKey, int], warehouse_id: str | None
) -> dict[PlacedKey, int]:
    """Add units to the shelf, and where they lie; the stock is locked."""
    held = shelves.held_of(conn, tenant_id, arrived)
    placed: dict[PlacedKey, int] = {}
    for key, qty in arrived.items():
        house = warehouse_id
        if key in held:
            house = shelves.stays_at(held[key], warehouse_id)
            held[key][house] = held[key].get(house, 0) + qty
        placed[*key, house] = qty
    shelves.put(conn, tenant_id, held)
    _change(conn, tenant_id, arrived, "on_hand_qty = s.on_hand_qty + n.qty", "true")
    return placed


def _note(
    conn: Connection,
    tenant_id: str,
    moved: Mapping[PlacedKey, int],
    reason: str,
    now: datetime,
    *,
    order_id: str | None = None,
    purchase_order_id: str | None = None,
    transfer_id: str | None = None,
) -> None:
    """Write a movement for each place."""
    conn.execute(
        "insert into orders.stock_movement (tenant_id, supplier_id, sku_id, warehouse_id, qty_delta, reason,"
        " order_id, purchase_order_id, transfer_id, occurred_at) select %(tenant)s, n.*, %(reason)s,"
        " %(order)s, %(purchase)s, %(transfer)s, %(now)s from unnest(%(suppliers)s::text[], %(skus)s::text[],"
        " %(houses)s::text[], %(quantities)s::bigint[]) as n",
        {
            "tenant": tenant_id,
            "reason": reason,
            "order": order_id,
            "purchase": purchase_order_id,
            "transfer": transfer_id,
            "now": now,
            "suppliers": [supplier for supplier, _, _ in moved],
            "skus": [sku for _, sku, _ in moved],
            "houses": [house for _, _, house in moved],
            "quantities": list(moved.values()),
        },
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
