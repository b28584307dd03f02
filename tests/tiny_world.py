"""A user's folder of contract files, small enough to run the whole graph on in a minute.

Half a year, three merchants, sixty consumers, forty skus, every table of the contract; the same bytes every
time. Weekend peaks, a yearly wave, consumers who fade, weekly price promotions that move demand. A handful of
bad rows is planted; `PLANTED` says where each must end up in the quarantine. One day also has what real shops
have, written by hand: `DAY_OF_LIFE`. Nothing here runs the graph.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST_DAY = dt.date(2025, 1, 1)
AS_OF = dt.datetime(2025, 6, 30, 12, tzinfo=dt.UTC)
REPLAY_DAYS = 40
_DAYS = 180
_MERCHANTS = ("m-1", "m-2", "m-3")
_SUPPLIERS = ("s-1", "s-2", "s-3", "s-4")
_LEAVES = ("milk", "yoghurt", "bread", "cake", "apples", "pears", "soap", "paper")
_GROUPS = {"milk": "dairy", "yoghurt": "dairy", "bread": "bakery", "cake": "bakery",
           "apples": "fruit", "pears": "fruit", "soap": "household", "paper": "household"}  # fmt: skip
_ROOTS = {"dairy": "food", "bakery": "food", "fruit": "food", "household": "nonfood"}
_SKUS = tuple(f"{leaf}-{number}" for leaf in _LEAVES for number in range(1, 6))
_CONSUMERS = tuple(f"c-{number:02d}" for number in range(1, 61))

Row = dict[str, Any]

DAY_OF_LIFE = "2025-01-15"
"""A guest, orders cancelled, unpaid and refunded, one that came in late, and a return, all of this day."""
LATE_AT = "2025-06-29T00:00:00Z"
"""When the late order was received."""
MEMBERS = {"c-61": "m-2", "c-62": "m-3", "c-63": "m-1"}
"""A member who never bought, one whose orders came to nothing but for the late one, and one who gave half of
it back, with their home merchants."""
_LIFE = (
    # order, consumer, hour, status, quantity, list and net amount of its one line, received, line given back
    ("x-guest", "", 2, "completed", 1, 340, 340, "", ""),
    ("x-cancelled", "c-62", 3, "cancelled", 1, 500, 500, "", ""),
    ("x-unpaid", "c-62", 4, "unpaid", 2, 800, 760, "", ""),
    ("x-refunded", "c-62", 5, "refunded", 1, 600, 600, "", ""),
    ("x-late", "c-62", 6, "completed", 2, 800, 740, LATE_AT, ""),
    ("x-bought", "c-63", 7, "completed", 2, 1000, 1000, "", ""),
    ("x-returned", "c-63", 9, "completed", -1, -500, -500, "", "x-bought"),
)


@dataclass(frozen=True)
class BadRow:
    """One planted row that must be in the quarantine.

    Attributes:
        table: Contract table.
        row: The row as written; columns that it does not name are copied from the first good row.
        column: The column that the quarantine must name.
        reason: The reason it must give.
    """

    table: str
    row: Row
    column: str
    reason: str

    @property
    def value(self) -> str:
        """The offending text as written."""
        return str(self.row[self.column])


PLANTED: tuple[BadRow, ...] = (
    BadRow("orders", {"order_id": "bad-time", "placed_at": "yesterday"}, "placed_at", "not a"),
    BadRow(
        "orders",
        {"order_id": "bad-future", "placed_at": "2031-01-01T00:00:00Z", "paid_at": ""},
        "placed_at",
        "in the future",
    ),
    BadRow(
        "orders", {"order_id": "bad-consumer", "consumer_id": "nobody"}, "consumer_id", "not in consumers"
    ),
    BadRow("orders", {"order_id": "bad-money", "freight_cents": "-1"}, "freight_cents", "negative"),
    BadRow("orders", {"order_id": "bad-channel", "channel": "pigeon"}, "channel", "not one of"),
    BadRow("orders", {"order_id": "o-00001"}, "order_id", "duplicate key"),
    BadRow("order_lines", {"order_id": "o-99999", "line_no": "1"}, "order_id", "not in orders"),
    BadRow("order_lines", {"line_no": "90", "sku_id": "no-such"}, "sku_id", "not in products"),
    BadRow("order_lines", {"line_no": "91", "qty": "two"}, "qty", "not a"),
    BadRow("order_lines", {"line_no": "92", "qty": "0"}, "qty", "a line of nothing"),
    BadRow("products", {"sku_id": "bad-title", "title": ""}, "title", "missing value"),
    BadRow("consumers", {"consumer_id": "bad-home", "merchant_id": "m-9"}, "merchant_id", "not in merchants"),
    BadRow(
        "offers", {"supplier_id": "s-1", "sku_id": "milk-1", "lead_time_days": "x"}, "lead_time_days", "not a"
    ),
    BadRow("events", {"event_id": "bad-event", "event_type": "teleport"}, "event_type", "not one of"),
    BadRow("competitor_prices", {"competitor": "rival-b", "price_cents": "-5"}, "price_cents", "negative"),
)


def write_world(folder: Path) -> Path:
    """Write every table as CSV, the planted rows last; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in world().items():
        planted = [bad.row for bad in PLANTED if bad.table == table]
        write_table(folder, table, [*rows, *({**rows[0], **row} for row in planted)])
    return folder


def write_table(folder: Path, table: str, rows: list[Row]) -> Path:
    """Write one table's rows as `<table>.csv`; a column that a row does not name is empty there."""
    path = folder / f"{table}.csv"
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def planted_line(folder: Path, bad: BadRow) -> int:
    """Line of a planted row in its file, counted from 1 with the header."""
    lines = (folder / f"{bad.table}.csv").read_text(encoding="utf-8").splitlines()
    position = [other for other in PLANTED if other.table == bad.table].index(bad)
    return len(lines) - sum(other.table == bad.table for other in PLANTED) + position + 1


def world() -> dict[str, list[Row]]:
    """The good rows of every table."""
    rng = random.Random(20250630)
    orders, lines = _sales(rng)
    around = _around_orders(rng, orders, lines)
    life, life_lines = _life()
    return {
        "suppliers": [
            {"supplier_id": s, "name": s.upper(), "channel": "factory", "region_code": "east",
             "joined_on": "2024-01-01", "is_active": "true", "received_at": "2024-01-01"}
            for s in _SUPPLIERS
        ],
        "categories": _categories(),
        "products": [
            {"sku_id": sku, "title": sku.replace("-", " ").title(), "category_id": f"l3-{_leaf(sku)}",
             "brand_id": f"b-{index % 5}", "manufacturer_id": _supplier(sku), "pack_size": "1",
             "launched_on": "2024-06-01", "received_at": "2024-06-01"}
            for index, sku in enumerate(_SKUS)
        ],
        "merchants": [
            {"merchant_id": m, "name": m.upper(), "scene": "community", "region_code": "east",
             "joined_on": "2024-01-01"}
            for m in _MERCHANTS
        ],
        "agents": [
            {"agent_id": f"a-{n}", "merchant_id": m, "inviter_agent_id": "a-1" if n > 1 else "",
             "tier": "gold", "region_code": "east", "joined_on": "2024-02-01", "is_active": "true"}
            for n, m in enumerate(_MERCHANTS, start=1)
        ],
        "consumers": [
            {"consumer_id": c, "merchant_id": _home(c), "inviter_id": "" if n % 4 else "c-01",
             "registered_at": "2024-12-01T08:00:00Z", "acquisition_channel": "wecom",
             "birthday": f"19{70 + n % 25}-05-01", "gender": "female" if n % 2 else "male", "city": "Kunming",
             "household_size": 1 + n % 5, "income_band": f"band-{n % 3}",
             "consent_marketing": "true" if n % 5 else "false", "consent_profiling": "true",
             "received_at": "2024-12-01T08:00:00Z"}
            for n, c in enumerate((*_CONSUMERS, *MEMBERS), start=1)
        ],
        "orders": [*orders, *life],
        "order_lines": [*lines, *life_lines],
        "offers": _offers(),
        "listings": [
            {"merchant_id": m, "sku_id": sku, "valid_from": "2024-12-15T00:00:00Z",
             "list_price_cents": _price(sku), "pricing_mode": ("auto", "approve", "fixed")[n % 3],
             "is_listed": "true"}
            for m in _MERCHANTS
            for n, sku in enumerate(_SKUS)
        ],
        "inventory_movements": [
            {"movement_id": f"v-{n}", "warehouse_id": "w-1", "sku_id": sku, "supplier_id": _supplier(sku),
             "qty_delta": 100, "reason": "inbound", "occurred_at": f"2025-06-{1 + n % 20:02d}T06:00:00Z"}
            for n, sku in enumerate(_SKUS)
        ],
        **around,
        "promotions": _promotions(),
        "competitor_prices": [
            {"sku_id": sku, "competitor": "rival-a", "observed_at": f"{day}T03:00:00Z",
             "price_cents": round(_price(sku) * rng.uniform(0.9, 1.1))}
            for sku in _SKUS[::2]
            for day in (AS_OF.date() - dt.timedelta(days=back) for back in (2, 9, 16))
        ],
    }  # fmt: skip


def _leaf(sku: str) -> str:
    return sku.rsplit("-", 1)[0]


def _supplier(sku: str) -> str:
    return _SUPPLIERS[_LEAVES.index(_leaf(sku)) // 2]


def _home(consumer: str) -> str:
    return _MERCHANTS[int(consumer[2:]) % 3]


def _life() -> tuple[list[Row], list[Row]]:
    """Orders and lines of `DAY_OF_LIFE`; a sale of bread-1, whose list price does not matter here."""
    orders, lines = [], []
    for order, consumer, hour, status, qty, listed, net, received, returned in _LIFE:
        placed = f"{DAY_OF_LIFE}T{hour:02d}:00:00Z"
        orders.append(
            {"order_id": order, "consumer_id": consumer, "merchant_id": MEMBERS.get(consumer, "m-1"),
             "agent_id": "", "channel": "mini_program", "placed_at": placed,
             "paid_at": "" if status == "unpaid" else placed, "status": status, "coupon_discount_cents": 0,
             "freight_cents": 0, "received_at": received}
        )  # fmt: skip
        lines.append(
            {"order_id": order, "line_no": 1, "sku_id": "bread-1", "supplier_id": _supplier("bread-1"),
             "qty": qty, "list_price_cents": listed, "promo_discount_cents": 0, "net_paid_cents": net,
             "returned_order_id": returned, "returned_line_no": 1 if returned else ""}
        )  # fmt: skip
    return orders, lines


def _price(sku: str) -> int:
    return 300 + 100 * _LEAVES.index(_leaf(sku)) + 40 * int(sku[-1])


def _discount(sku: str, day: dt.date) -> float:
    """The share taken off a sku in the week of a day: every sku has a promotion every fifth week."""
    week = (day - FIRST_DAY).days // 7
    return 0.2 + 0.1 * (_SKUS.index(sku) % 2) if (week + _SKUS.index(sku)) % 5 == 0 else 0.0


def _categories() -> list[Row]:
    tree: dict[str, tuple[str, int]] = {f"l1-{root}": ("", 1) for root in sorted(set(_ROOTS.values()))}
    tree |= {f"l2-{group}": (f"l1-{root}", 2) for group, root in _ROOTS.items()}
    tree |= {f"l3-{leaf}": (f"l2-{group}", 3) for leaf, group in _GROUPS.items()}
    return [
        {"category_id": c, "parent_category_id": parent, "name": c[3:].title(), "level": level}
        for c, (parent, level) in tree.items()
    ]


def _sales(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Orders and lines: each consumer has favourites, a rhythm, and every sixth one fades in spring."""
    favourites = {c: rng.sample(_SKUS, 6) for c in _CONSUMERS}
    rhythm = {c: rng.uniform(0.1, 0.32) for c in _CONSUMERS}
    orders: list[Row] = []
    lines: list[Row] = []
    for offset in range(_DAYS):
        day = FIRST_DAY + dt.timedelta(days=offset)
        season = (1.4 if day.weekday() >= 5 else 0.9) * (1 + 0.2 * math.sin(offset / 29))
        for number, consumer in enumerate(_CONSUMERS):
            fades = number % 6 == 0 and offset > 110
            if rng.random() > rhythm[consumer] * season * (0.05 if fades else 1):
                continue
            placed = dt.datetime.combine(day, dt.time(rng.randint(1, 13), rng.randint(0, 59)), dt.UTC)
            order = f"o-{len(orders) + 1:05d}"
            basket = _basket(rng, favourites[consumer], day)
            lines += [_line(order, n, sku, qty, day) for n, (sku, qty) in enumerate(basket.items(), start=1)]
            orders.append(
                {"order_id": order, "consumer_id": consumer,
                 "merchant_id": _home(consumer) if rng.random() < 0.9 else rng.choice(_MERCHANTS),
                 "agent_id": "a-1" if number % 7 == 0 else "", "channel": "mini_program",
                 "placed_at": f"{placed:%Y-%m-%dT%H:%M:%SZ}", "paid_at": f"{placed:%Y-%m-%dT%H:%M:%SZ}",
                 "status": "completed", "coupon_discount_cents": 0, "freight_cents": 0}
            )  # fmt: skip
    return orders, lines


def _basket(rng: random.Random, favourites: list[str], day: dt.date) -> dict[str, int]:
    chosen = set(rng.sample(favourites, rng.randint(1, 3)))
    chosen |= {sku for sku in rng.sample(_SKUS, 4) if rng.random() < 0.15 + 1.5 * _discount(sku, day)}
    return {sku: 1 + (rng.random() < 0.3) + 2 * (_discount(sku, day) > 0) for sku in sorted(chosen)}


def _line(order: str, number: int, sku: str, qty: int, day: dt.date) -> Row:
    listed = qty * _price(sku)
    promo = round(listed * _discount(sku, day))
    return {"order_id": order, "line_no": number, "sku_id": sku, "supplier_id": _supplier(sku), "qty": qty,
            "list_price_cents": listed, "promo_discount_cents": promo,
            "net_paid_cents": listed - promo}  # fmt: skip


def _offers() -> list[Row]:
    return [
        {"supplier_id": _supplier(sku), "sku_id": sku, "valid_from": f"{start}T00:00:00Z",
         "supply_price_cents": round(_price(sku) * share), "stock_qty": 40 + 10 * (n % 6),
         "capacity_per_day": 50, "lead_time_days": 3 + n % 5, "min_order_qty": 6,
         "ship_from_region": "east", "received_at": f"{start}T00:00:00Z"}
        for start, share in (("2024-12-20", 0.55), ("2025-04-01", 0.6))
        for n, sku in enumerate(_SKUS)
    ]  # fmt: skip


def _promotions() -> list[Row]:
    weeks = [FIRST_DAY + dt.timedelta(days=7 * week) for week in range(_DAYS // 7)]
    return [
        {"promotion_id": f"q-{start}-{sku}", "merchant_id": "", "sku_id": sku, "kind": "discount",
         "discount_bps": round(_discount(sku, start) * 10_000), "starts_at": f"{start}T00:00:00Z",
         "ends_at": f"{start + dt.timedelta(days=7)}T00:00:00Z"}
        for start in weeks
        for sku in _SKUS
        if _discount(sku, start) > 0
    ]  # fmt: skip


def _around_orders(rng: random.Random, orders: list[Row], lines: list[Row]) -> dict[str, list[Row]]:
    """What hangs on orders: parcels, cases, visits, coupons, messages, touches, points."""
    first_line = {line["order_id"]: line for line in reversed(lines)}
    recent = orders[-400:]

    def after(order: Row, **more: float) -> str:
        moment = dt.datetime.fromisoformat(order["placed_at"]) + dt.timedelta(**more)
        return f"{min(moment, AS_OF):%Y-%m-%dT%H:%M:%SZ}"

    visits = []
    for order in recent:
        for step, (kind, minutes) in enumerate((("view", -20), ("add_to_cart", -10), ("checkout", -1))):
            visits.append(
                {"event_id": f"e-{order['order_id']}-{step}", "consumer_id": order["consumer_id"],
                 "session_id": f"t-{order['order_id']}", "event_type": kind,
                 "sku_id": first_line[order["order_id"]]["sku_id"], "dwell_ms": rng.randint(500, 60_000),
                 "occurred_at": after(order, minutes=minutes), "received_at": after(order, minutes=minutes)}
            )  # fmt: skip
    holders = [(n, order) for n, order in enumerate(recent) if n % 10 == 0]
    return {
        "shipments": [
            {"shipment_id": f"p-{order['order_id']}", "order_id": order["order_id"],
             "supplier_id": first_line[order["order_id"]]["supplier_id"], "from_region": "east",
             "to_region": "west", "promised_at": after(order, days=3), "shipped_at": after(order, days=1),
             "delivered_at": after(order, days=2 + rng.random() * 2)}
            for order in recent
            if order["placed_at"] < "2025-06-25"
        ],
        "after_sales": [
            {"case_id": f"k-{order['order_id']}", "order_id": order["order_id"], "line_no": 1,
             "kind": "refund", "reason_code": "damaged", "opened_at": after(order, days=2),
             "resolved_at": after(order, days=4), "refund_cents": 100}
            for n, order in holders
            if n % 20 == 0
        ],
        "events": visits,
        "coupons": [
            {"coupon_id": f"g-{n}", "consumer_id": order["consumer_id"], "kind": "mail",
             "threshold_cents": 1000, "value_cents": 100, "starts_at": after(order, days=-3),
             "ends_at": after(order, days=10)}
            for n, order in holders
        ],
        "coupon_redemptions": [
            {"coupon_id": f"g-{n}", "order_id": order["order_id"], "redeemed_at": after(order)}
            for n, order in holders
            if n % 20 == 0
        ],
        "messages": [
            {"message_id": f"n-{n}", "consumer_id": order["consumer_id"], "journey": "welcome",
             "channel": "wecom", "sent_at": after(order, days=-1), "outcome": "opened"}
            for n, order in holders
        ],
        "touches": [
            {"touch_id": f"t-{n}", "consumer_id": order["consumer_id"], "channel": "wecom",
             "campaign": "spring", "cost_cents": 10, "occurred_at": after(order, days=-1)}
            for n, order in holders
        ],
        "points_ledger": [
            {"entry_id": f"x-{n}", "consumer_id": order["consumer_id"], "points_delta": 5, "reason": "order",
             "expires_on": "2026-06-30", "occurred_at": after(order)}
            for n, order in holders
        ],
    }  # fmt: skip
