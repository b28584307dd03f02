"""Where stock lies, of skus that a supplier counts by warehouse: the parts of one total, which guards sales.

Whoever changes a part holds the row of the total. A line takes the units of its warehouse by being reserved
there (`order_line.reserved_qty`), and a transfer by being planned: there is no counter beside them that could
go wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, LiteralString

import psycopg

Connection = psycopg.Connection[Any]
StockKey = tuple[str, str]
"""(supplier_id, sku_id)."""
Held = dict[str, int]
"""Units by warehouse."""

FREE: Final[LiteralString] = (
    "greatest(0, least(w.on_hand_qty, w.on_hand_qty"
    " - coalesce((select sum(l.reserved_qty) from orders.order_line l"
    " where l.tenant_id = w.tenant_id and l.sku_id = w.sku_id and l.supplier_id = w.supplier_id"
    " and l.warehouse_id = w.warehouse_id and l.reserved_qty > 0"
    " and (l.order_id, l.line_no) is distinct from (%(moving_order)s::text, %(moving_line)s::integer)), 0)"
    " + coalesce((select sum(case when t.from_warehouse_id = w.warehouse_id then -t.planned_qty"
    " when t.status = 'planned' then t.planned_qty else t.shipped_qty end) from transfers.transfer t"
    " where t.tenant_id = w.tenant_id and t.sku_id = w.sku_id and t.supplier_id = w.supplier_id"
    " and ((t.from_warehouse_id = w.warehouse_id and t.status = 'planned')"
    " or (t.to_warehouse_id = w.warehouse_id and t.cause = 'alarm' and t.status in ('planned', 'shipped')))"
    "), 0)))::bigint"
)
"""Units of a row `w` of `orders.warehouse_stock` that no line (but one that moves) and no transfer keeps.

A line whose units an alarm has brought here waits for those, and takes none of what lies here."""


def taken(held: Mapping[str, int], wanted: Mapping[str | None, int]) -> Held:
    """Units that leave each warehouse: those named first, what they lack from the fullest others.

    Args:
        held: Units by warehouse.
        wanted: Units by the warehouse they are said to leave; None where nobody said.

    Returns:
        Units above 0 by warehouse; all that there are where more are wanted.

    >>> taken({"east": 5, "west": 9}, {"east": 7, None: 1})
    {'east': 5, 'west': 3}
    >>> taken({"east": 1}, {"gone": 4})
    {'east': 1}
    """
    left = dict(held)
    out: dict[str, int] = defaultdict(int)
    rest = 0
    for house, qty in wanted.items():
        units = 0 if house is None else min(left.get(house, 0), qty)
        if house is not None and units:
            left[house] -= units
            out[house] += units
        rest += qty - units
    for house in _fullest_first(left):
        units = min(left[house], rest)
        if units:
            out[house] += units
            rest -= units
    return dict(sorted(out.items()))


def stays_at(held: Mapping[str, int], said: str | None) -> str:
    """Where units that came in lie: where it is said, else in the fullest warehouse.

    >>> stays_at({"east": 5, "west": 9}, None), stays_at({"east": 5}, "north")
    ('west', 'north')
    """
    return said if said is not None else _fullest_first(held)[0]


def counted(stated: Mapping[str, int], since: Iterable[tuple[str | None, int]]) -> Held:
    """Units by warehouse from a count and the movements after it; never below 0.

    Args:
        stated: What was counted.
        since: Movements after the count: warehouse, or None where nobody said, and units.

    >>> counted({"east": 5, "west": 2}, [("west", -4), (None, 3)])
    {'east': 6, 'west': 0}
    """
    held, gone = dict(stated), defaultdict[str | None, int](int)
    moves = list(since)
    for house, qty in moves:
        if qty > 0:
            place = stays_at(held, house)
            held[place] = held.get(place, 0) + qty
        else:
            gone[house] -= qty
    for house, qty in taken(held, gone).items():
        held[house] -= qty
    return held


def held_of(conn: Connection, tenant_id: str, keys: Iterable[StockKey]) -> dict[StockKey, Held]:
    """Units on the shelves of skus that are counted by warehouse, with all their warehouses.

    Whoever goes on to change them holds the rows of their totals.
    """
    wanted = sorted(set(keys))
    rows = conn.execute(
        "select s.supplier_id, s.sku_id, w.warehouse_id, w.on_hand_qty from orders.stock s"
        " join unnest(%s::text[], %s::text[]) as n (supplier_id, sku_id) using (supplier_id, sku_id)"
        " join orders.warehouse_stock w using (tenant_id, supplier_id, sku_id)"
        " where s.tenant_id = %s and s.is_by_warehouse order by 1, 2, 3",
        ([supplier for supplier, _ in wanted], [sku for _, sku in wanted], tenant_id),
    )
    held: dict[StockKey, Held] = defaultdict(dict)
    for supplier, sku, house, qty in rows:
        held[supplier, sku][house] = qty
    return dict(held)


def put(conn: Connection, tenant_id: str, shelves: Mapping[StockKey, Mapping[str, int]]) -> None:
    """Write what lies where; the total of each sku has to be written in the same transaction."""
    rows = [
        (supplier, sku, house, qty)
        for (supplier, sku), held in sorted(shelves.items())
        for house, qty in sorted(held.items())
    ]
    if rows:
        conn.execute(
            "insert into orders.warehouse_stock as w (tenant_id, supplier_id, sku_id, warehouse_id,"
            " on_hand_qty) select %s, n.* from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) as n"
            " on conflict (tenant_id, supplier_id, sku_id, warehouse_id) do update"
            " set on_hand_qty = excluded.on_hand_qty where w.on_hand_qty <> excluded.on_hand_qty",
            (tenant_id, *(list(column) for column in zip(*rows, strict=True))),
        )


def free_of(
    conn: Connection, tenant_id: str, sku_ids: Iterable[str], moving: tuple[str, int] | None = None
) -> dict[StockKey, Held]:
    """Units by warehouse that no line and no transfer keeps, of skus that are counted by warehouse.

    Args:
        conn: Inside a transaction of the tenant; it holds the stock where it goes on to sell.
        tenant_id: The tenant.
        sku_ids: The skus.
        moving: Order and number of a line that leaves its warehouse: its units are free.
    """
    order_id, line_no = moving or (None, None)
    rows = conn.execute(
        f"select s.supplier_id, s.sku_id, w.warehouse_id, {FREE}"
        " from orders.stock s join orders.warehouse_stock w using (tenant_id, supplier_id, sku_id)"
        " where s.tenant_id = %(tenant)s and s.sku_id = any(%(skus)s) and s.is_by_warehouse"
        " order by 1, 2, 3",
        {
            "tenant": tenant_id,
            "skus": sorted(set(sku_ids)),
            "moving_order": order_id,
            "moving_line": line_no,
        },
    )
    free: dict[StockKey, Held] = defaultdict(dict)
    for supplier, sku, house, qty in rows:
        free[supplier, sku][house] = qty
    return dict(free)


def _fullest_first(held: Mapping[str, int]) -> list[str]:
    return sorted(held, key=lambda house: (-held[house], house))
