"""A lake of a few hundred rows that holds every contract table, for the warehouse tests.

Local time is UTC-5 and the build moment is 2017-03-31 12:00 UTC. Hand-made rows carry the cases whose
answers stand in the tests; seeded rows give the oracles something to count. Nothing here calls dbt.
"""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path
from typing import Any

import polars as pl
import tiny_books

from pipelines.sources.contract import INGEST_ORDER, contract_table

AS_OF = dt.datetime(2017, 3, 31, 12, tzinfo=dt.UTC)
UTC_OFFSET_HOURS = -5
SKUS = {"milk-1": "s-1", "milk-2": "s-1", "bread-1": "s-2", "fuel-1": "s-2", "flyer-1": "s-2"}
ODD_SKUS = {"apples-kg": "s-2", "postage": "s-2"}
_LOCAL_MIDNIGHT_HOUR = 5


def at(
    month: int, day: int, hour: int = 12, minute: int = 0, second: int = 0, year: int = 2017
) -> dt.datetime:
    """A UTC time in 2017."""
    return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)


def tables() -> dict[str, list[dict[str, Any]]]:
    """The rows of every table that has any; missing columns are null."""
    orders, lines = _orders_and_lines()
    legs, entries = tiny_books.legs_and_entries(orders, lines, SKUS)
    odd_orders, odd_lines = _odd_orders_and_lines()
    orders, lines = orders + odd_orders, lines + odd_lines
    return {
        "settlement_legs": legs,
        "ledger_entries": entries,
        "suppliers": [_supplier("s-1", "dairy"), _supplier("s-2", "bakery"), _supplier("s-3", "sleeping")],
        "categories": _categories(),
        "products": [_product(sku, maker) for sku, maker in (SKUS | ODD_SKUS).items()],
        "merchants": [
            {
                "merchant_id": m,
                "name": m,
                "scene": "community",
                "region_code": "east",
                "joined_on": dt.date(2017, 1, 1),
            }
            for m in ("m-1", "m-2")
        ],
        "agents": [
            {
                "agent_id": "a-1",
                "merchant_id": "m-1",
                "tier": "gold",
                "region_code": "east",
                "joined_on": dt.date(2017, 1, 1),
                "is_active": True,
            },
            {
                "agent_id": "a-gone",
                "merchant_id": "m-2",
                "tier": "gold",
                "region_code": "east",
                "joined_on": dt.date(2017, 1, 1),
                "is_active": False,
            },
        ],
        "consumers": [_consumer(c) for c in ("c-1", "c-2", "c-3", "c-quiet", "c-silent")],
        "consents": [
            {"consumer_id": "c-1", "purpose": "marketing", "stated_at": at(2, 1), "is_granted": False},
            {"consumer_id": "c-1", "purpose": "marketing", "stated_at": at(3, 1), "is_granted": True},
            {"consumer_id": "c-2", "purpose": "profiling", "stated_at": at(3, 1), "is_granted": False},
        ],
        "identity_edges": [
            {
                "anonymous_id": "d-elsewhere",
                "consumer_id": "c-1",
                "valid_from": at(3, 1),
                "evidence": "login",
            },
        ],
        "orders": orders,
        "order_lines": lines,
        "offers": [
            _offer("s-1", "milk-1", at(1, 1, 0), price=60, stock=500),
            _offer("s-1", "milk-1", at(3, 1, 0), price=70, stock=120),
            _offer("s-1", "milk-2", at(1, 1, 0), price=90, stock=900),
            _offer("s-2", "bread-1", at(2, 1, 0), price=40, stock=0),
        ],
        "listings": [
            _listing("m-1", "milk-1", at(1, 1), 120),
            _listing("m-1", "milk-1", at(2, 1), 125),
            _listing("m-2", "bread-1", at(1, 1), 80),
        ],
        "price_changes": [
            _price_change("m-1", "milk-1", at(1, 20), 114),
            _price_change("m-1", "milk-1", at(3, 1), 131),
            _price_change("m-1", "milk-1", at(3, 20), 125),
            _price_change("m-2", "bread-1", at(1, 1), 82),
        ],
        "inventory_movements": [
            _movement("v-1", "milk-1", 50, "inbound", at(2, 28)),
            _movement("v-2", "milk-1", 10, "inbound", at(3, 1, 0)),
            _movement("v-3", "milk-1", -30, "sale", at(3, 2)),
        ],
        "shipments": [
            _shipment("p-1", "o-day-1", at(1, 4, 5), at(1, 3)),
            _shipment("p-2", "o-day-2", at(1, 4, 5), at(1, 6)),
            _shipment("p-3", "o-march", at(3, 30), None),
        ],
        "after_sales": [
            {
                "case_id": "k-1",
                "order_id": "o-day-1",
                "line_no": 1,
                "kind": "refund",
                "reason_code": "sour",
                "opened_at": at(1, 3),
                "resolved_at": at(1, 5),
                "refund_cents": 100,
            },
            {
                "case_id": "k-2",
                "order_id": "o-march",
                "line_no": 1,
                "kind": "complaint",
                "reason_code": "late",
                "opened_at": at(3, 31, 1),
            },
        ],
        "events": _events(),
        "promotions": _promotions(),
        "coupons": [
            {
                "coupon_id": "g-1",
                "consumer_id": "c-1",
                "kind": "mail",
                "threshold_cents": 100,
                "value_cents": 50,
                "starts_at": at(1, 1),
                "ends_at": at(2, 1),
            }
        ],
        "coupon_redemptions": [
            {"coupon_id": "g-1", "order_id": "o-day-1", "redeemed_at": at(1, 2, 4, 59, 59)}
        ],
        "competitor_prices": [
            {"sku_id": "milk-1", "competitor": "rival", "observed_at": at(3, 20), "price_cents": 110},
            {"sku_id": "milk-1", "competitor": "rival", "observed_at": at(3, 27), "price_cents": 90},
        ],
        "messages": [
            {
                "message_id": "n-1",
                "consumer_id": "c-1",
                "journey": "wake_up",
                "channel": "wecom",
                "sent_at": at(3, 1),
                "outcome": "clicked",
            },
            {
                "message_id": "n-failed",
                "consumer_id": "c-2",
                "journey": "wake_up",
                "channel": "push",
                "sent_at": at(3, 1),
                "outcome": "failed",
            },
        ],
        "touches": [
            {
                "touch_id": "t-1",
                "consumer_id": "c-1",
                "channel": "mail",
                "campaign": "spring",
                "occurred_at": at(3, 1),
            }
        ],
        "feedback": [
            _text(1, "milk-1", "quality", "negative", at(2, 10), answered_at=at(2, 11)),
            _text(2, "milk-2", "quality", "negative", at(3, 2)),
            _text(3, "milk-1", "quality", "positive", at(3, 5), is_verified=True),
            _text(4, "milk-1", "price", "negative", at(3, 6)),
            # The last evening of February by the shop's clock.
            _text(5, None, "service", "negative", at(3, 1, 4, 59)),
            _text(6, "milk-1", None, None, at(3, 7)),
            _text(7, "milk-1", "quality", "negative", at(3, 8), merchant_id="m-2"),
        ],
        "points_ledger": [
            {
                "entry_id": "e-1",
                "consumer_id": "c-1",
                "points_delta": 10,
                "reason": "order",
                "occurred_at": at(1, 2),
            }
        ],
        "level_changes": [
            _levelled(1, "joined", "ordinary", 10, at(1, 2)),
            _levelled(2, "growth", "ordinary", 20, at(1, 3)),
            _levelled(9, "up", "silver", 600, at(3, 1)),
            # A second close at the same moment: the later one stands.
            _levelled(10, "up", "gold", 2_500, at(3, 1)),
        ],
        "purchase_lines": [
            _purchase("in-time", "received", 10, 10, 10, due=10, arrived_at=at(3, 11, 4, 59, 59)),
            _purchase("a-day-late", "received", 10, 10, 8, due=10, arrived_at=at(3, 11, 5)),
            _purchase("nothing-came", "received", 10, 10, 0, due=10),
            _purchase("passed", "shipped", 10, 10, 4, due=30, arrived_at=at(3, 20)),
            _purchase("due-today", "confirmed", 10, 10, 0, due=31),
            _purchase("unanswered", "placed", 10, None, 0, expected=30),
            _purchase("less", "changed", 10, 5, 0, due=1),
            _purchase("none-of-it", "confirmed", 10, 0, 0, expected=1),
            _purchase("declined", "declined", 10, None, 0, expected=1),
            _purchase("taken-back", "cancelled", 10, 5, 0, due=1),
        ],
        "supply_answers": [
            _answer(1, "s-1", "milk-1", 4, 4),
            _answer(1, "s-2", "bread-1", 4, 1),
            _answer(2, "s-2", "bread-1", 2, 0),
        ],
        "grade_changes": [
            _graded(1, "s-1", None, "B", at(3, 1)),
            _graded(2, "s-1", "l2-grocery/milk", "C", at(3, 1)),
            _graded(3, "s-2", None, "A", at(3, 1)),
            _graded(9, "s-1", None, "C", at(3, 20)),
            # Corrected at the same moment: the later one stands.
            _graded(10, "s-1", None, "D", at(3, 20), gate="licence_expired"),
            # A channel that is graded no more.
            _graded(11, "s-2", "l2-grocery/milk", "D", at(3, 1)),
            _graded(12, "s-2", "l2-grocery/milk", None, at(3, 25)),
            _graded(13, "s-2", None, "D", at(3, 28)),
            # A channel that is graded later than the supplier as a whole.
            _graded(14, "s-3", None, "B", at(3, 1)),
            _graded(15, "s-3", "l2-grocery/milk", "A", at(3, 10)),
        ],
        "assortment_decisions": [
            _decision("milk-1", "v-1", None, at(1, 2)),
            _decision("bread-1", "v-1", "too_expensive", at(1, 3)),
            _decision("bread-1", "v-2", None, at(3, 30)),
        ],
        "warehouses": [
            _warehouse("w-1", latitude=31.2, longitude=121.5),
            _warehouse("w-nowhere"),
        ],
        "warehouse_closures": [{"warehouse_id": "w-1", "closed_on": dt.date(2017, 4, 5)}],
        "licences": [
            _licence("alone", "N-1", "s-1"),
            _licence("first", "N-2", "s-1", received_at=at(2, 1)),
            _licence("copied", "N-2", "s-2", received_at=at(2, 2)),
            _licence("same-moment-1", "N-3", "s-1", received_at=at(2, 1)),
            _licence("same-moment-2", "N-3", "s-2", received_at=at(2, 1)),
            _licence("renewed", "N-1", "s-1", ends_on=None),
            _licence("another-kind", "N-2", "s-2", kind="business"),
            _licence("last-day", "N-4", "s-1", ends_on=dt.date(2017, 3, 31)),
            _licence("over", "N-5", "s-1", ends_on=dt.date(2017, 3, 30)),
            _licence("not-yet", "N-6", "s-1", starts_on=dt.date(2017, 4, 1)),
            _licence("suspended", "N-7", "s-1", status="suspended"),
        ],
        "batches": [
            {"batch_id": "b-1", "sku_id": "milk-1", "supplier_id": "s-1", "produced_on": dt.date(2017, 3, 1)}
        ],
        "supply_observations": [
            {
                "observation_id": "ob-1",
                "kind": "capacity",
                "supplier_id": "s-1",
                "qty": 40,
                "occurred_at": at(3, 20, 4, 59, 59),
            }
        ],
    }


OVERLAY = frozenset(
    {
        "offers",
        "listings",
        "agents",
        "events",
        "shipments",
        "after_sales",
        "competitor_prices",
        "inventory_movements",
    }
)


def write(home: Path, rows: dict[str, list[dict[str, Any]]]) -> Path:
    """Write every contract table under `home`/accepted, empty where `rows` has none; return `home`."""
    placed = {row["order_id"]: row["placed_at"] for row in rows.get("orders", [])}
    for name in INGEST_ORDER:
        table = contract_table(name)
        columns = dict(table.dtypes)
        records = [
            dict.fromkeys(columns)
            | {"received_at": AS_OF, "origin": "overlay" if name in OVERLAY else "observed"}
            | row
            for row in rows.get(name, [])
        ]
        frame = pl.DataFrame(records, schema=columns)
        folder = home / "accepted" / name
        if not table.is_partitioned or not records:
            _write(frame, folder / "part-0.parquet")
            continue
        times = [placed[r["order_id"]] if table.time_parent else r[str(table.time_column)] for r in records]
        key = "week" if table.is_weekly else "day"
        for day in sorted({time.date() for time in times}):
            part = frame.filter(pl.Series([time.date() == day for time in times]))
            _write(part, folder / f"{key}={day}" / "part-0.parquet")
    return home


def _write(frame: pl.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(file)


def _purchase(
    name: str,
    status: str,
    ordered: int,
    confirmed: int | None,
    received: int,
    *,
    due: int | None = None,
    expected: int | None = None,
    arrived_at: dt.datetime | None = None,
) -> dict[str, Any]:
    """A line at the baker, due and expected on days of March."""
    return {
        "purchase_order_id": name,
        "sku_id": "bread-1",
        "supplier_id": "s-2",
        "status": status,
        "ordered_qty": ordered,
        "confirmed_qty": confirmed,
        "received_qty": received,
        "placed_at": at(2, 20),
        "expected_on": expected and dt.date(2017, 3, expected),
        "promised_on": due and dt.date(2017, 3, due),
        "arrived_at": arrived_at,
    }


def _answer(line_no: int, supplier_id: str, sku_id: str, ordered: int, confirmed: int) -> dict[str, Any]:
    return {
        "order_id": "o-day-1",
        "line_no": line_no,
        "supplier_id": supplier_id,
        "sku_id": sku_id,
        "ordered_qty": ordered,
        "confirmed_qty": confirmed,
        "answered_at": at(3, 2),
    }


def _text(
    number: int, sku_id: str | None, topic: str | None, sentiment: str | None, when: dt.datetime, **more: Any
) -> dict[str, Any]:
    return {
        "feedback_id": f"fb-{number}",
        "merchant_id": "m-1",
        "sku_id": sku_id,
        "is_verified": False,
        "topic": topic,
        "sentiment": sentiment,
        "occurred_at": when,
        **more,
    }


def _levelled(number: int, cause: str, level: str, growth: int, when: dt.datetime) -> dict[str, Any]:
    return {
        "change_id": f"lv-{number}",
        "consumer_id": "c-1",
        "cause": cause,
        "level": level,
        "growth": growth,
        "growth_to_next": None,
        "is_at_risk": False,
        "changed_at": when,
        "received_at": when,
    }


def _graded(
    number: int,
    supplier_id: str,
    category_id: str | None,
    grade: str | None,
    when: dt.datetime,
    gate: str | None = None,
) -> dict[str, Any]:
    return {
        "change_id": f"g-{number}",
        "supplier_id": supplier_id,
        "category_id": category_id,
        "grade": grade,
        "gate": gate,
        "score_low": grade and 0.5,
        "graded_at": when,
        "received_at": when,
    }


def _decision(sku_id: str, version: str, reason: str | None, when: dt.datetime) -> dict[str, Any]:
    return {
        "merchant_id": "m-1",
        "sku_id": sku_id,
        "version": version,
        "is_taken": reason is None,
        "reason_code": reason,
        "decided_at": when,
        "until_at": reason and when + dt.timedelta(days=90),
        "rank": 1,
        "basis": "supply_assortment",
        "propensity": 1.0,
        "category_id": "l2-grocery/milk",
        "supplier_id": "s-1",
        "expected_qty": 3.0,
        "list_price_cents": None if reason else 500,
    }


def _warehouse(warehouse_id: str, **place: float) -> dict[str, Any]:
    return {
        "warehouse_id": warehouse_id,
        "name": "Hub",
        "region_code": "east",
        "working_days": "12345",
        **place,
    }


def _licence(licence_id: str, licence_no: str, supplier_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "licence_id": licence_id,
        "licence_no": licence_no,
        "kind": "food",
        "supplier_id": supplier_id,
        "starts_on": dt.date(2017, 1, 1),
        "ends_on": dt.date(2017, 12, 31),
        "status": "valid",
        **changes,
    }


def _supplier(supplier_id: str, name: str) -> dict[str, Any]:
    return {
        "supplier_id": supplier_id,
        "name": name,
        "channel": "factory",
        "region_code": "east",
        "joined_on": dt.date(2017, 1, 1),
        "is_active": True,
    }


def _categories() -> list[dict[str, Any]]:
    tree = {
        "l1-grocery": (None, "Grocery", 1),
        "l2-grocery/milk": ("l1-grocery", "Milk", 2),
        "l3-grocery/milk/whole": ("l2-grocery/milk", "Whole milk", 3),
        "l2-grocery/bread": ("l1-grocery", "Bread", 2),
        "l1-fuel": (None, "Fuel", 1),
        "l2-fuel/fuel": ("l1-fuel", "Fuel", 2),
        "l3-fuel/fuel/fuel": ("l2-fuel/fuel", "Fuel", 3),
        "l1-coupon": (None, "Coupon", 1),
        "l2-coupon/paper": ("l1-coupon", "Paper", 2),
    }
    roles = {"l1-fuel": "fuel", "l1-coupon": "coupon"}
    return [
        {
            "category_id": c,
            "parent_category_id": parent,
            "name": name,
            "level": level,
            "role": roles.get(c),
        }
        for c, (parent, name, level) in tree.items()
    ]


CATEGORY_OF = {
    "milk-1": "l3-grocery/milk/whole",
    "milk-2": "l3-grocery/milk/whole",
    "bread-1": "l2-grocery/bread",
    "fuel-1": "l3-fuel/fuel/fuel",
    "flyer-1": "l2-coupon/paper",
    "apples-kg": "l1-grocery",
    "postage": "l2-grocery/bread",
}


def _product(sku: str, maker: str) -> dict[str, Any]:
    return {
        "sku_id": sku,
        "title": sku.upper(),
        "category_id": CATEGORY_OF[sku],
        "manufacturer_id": maker,
        "unit": "kg" if sku == "apples-kg" else "piece",
        "role": "service" if sku == "postage" else None,
    }


def _consumer(consumer_id: str) -> dict[str, Any]:
    return {
        "consumer_id": consumer_id,
        "merchant_id": "m-1",
        "registered_at": at(1, 1),
        "gender": "unknown",
        "consent_marketing": True,
        "consent_profiling": True,
    }


def _offer(supplier: str, sku: str, start: dt.datetime, *, price: int, stock: int) -> dict[str, Any]:
    return {
        "supplier_id": supplier,
        "sku_id": sku,
        "valid_from": start,
        "supply_price_cents": price,
        "stock_qty": stock,
        "capacity_per_day": 10,
        "lead_time_days": 7,
        "min_order_qty": 6,
        "ship_from_region": "east",
    }


def _listing(merchant: str, sku: str, start: dt.datetime, price: int) -> dict[str, Any]:
    return {
        "merchant_id": merchant,
        "sku_id": sku,
        "valid_from": start,
        "list_price_cents": price,
        "pricing_mode": "auto",
        "is_listed": True,
    }


def _price_change(merchant: str, sku: str, when: dt.datetime, price: int) -> dict[str, Any]:
    return {"merchant_id": merchant, "sku_id": sku, "changed_at": when, "price_cents": price}


def _movement(movement: str, sku: str, delta: int, reason: str, when: dt.datetime) -> dict[str, Any]:
    return {
        "movement_id": movement,
        "warehouse_id": "w",
        "sku_id": sku,
        "supplier_id": "s-1",
        "qty_delta": delta,
        "reason": reason,
        "occurred_at": when,
    }


def _shipment(
    shipment: str, order: str, promised: dt.datetime, delivered: dt.datetime | None
) -> dict[str, Any]:
    return {
        "shipment_id": shipment,
        "order_id": order,
        "supplier_id": "s-1",
        "from_region": "east",
        "to_region": "west",
        "promised_at": promised,
        "shipped_at": at(1, 2, 6),
        "delivered_at": delivered,
    }


def _promotions() -> list[dict[str, Any]]:
    week = {"starts_at": at(1, 2, _LOCAL_MIDNIGHT_HOUR), "ends_at": at(1, 9, _LOCAL_MIDNIGHT_HOUR)}
    rows: list[dict[str, Any]] = [
        {
            "promotion_id": "q-1",
            "merchant_id": "m-1",
            "sku_id": "milk-1",
            "kind": "display",
            "display_location": "end aisle",
            **week,
        },
        {
            "promotion_id": "q-2",
            "merchant_id": "m-1",
            "sku_id": "milk-1",
            "kind": "mailer",
            "mailer_location": "A",
            **week,
        },
        {"promotion_id": "q-3", "merchant_id": None, "sku_id": "bread-1", "kind": "mailer", **week},
        {
            "promotion_id": "q-4",
            "merchant_id": "m-1",
            "sku_id": "milk-2",
            "kind": "flash",
            "discount_bps": 1000,
            **week,
        },
        {
            "promotion_id": "q-5",
            "merchant_id": "m-1",
            "sku_id": "milk-2",
            "kind": "display",
            "starts_at": at(2, 1),
            "ends_at": at(2, 20),
        },
    ]
    return rows


def _events() -> list[dict[str, Any]]:
    visit = [("impression", 58), ("view", 50), ("add_to_cart", 40), ("checkout", 30)]
    rows: list[dict[str, Any]] = []
    for session, consumer, day, depth in (("v-1", "c-1", 30, 4), ("v-2", "c-2", 30, 2), ("v-3", None, 29, 2)):
        for event, minutes in visit[:depth]:
            rows.append(
                {
                    "event_id": f"{session}-{event}",
                    "consumer_id": consumer,
                    "session_id": session,
                    "anonymous_id": None if consumer else "x-1",
                    "event_type": event,
                    "sku_id": "milk-1",
                    "occurred_at": at(3, day, 15) - dt.timedelta(minutes=minutes),
                }
            )
    return rows


def _order(
    order: str, consumer: str | None, merchant: str, placed: dt.datetime, **more: Any
) -> dict[str, Any]:
    row = {
        "order_id": order,
        "consumer_id": consumer,
        "merchant_id": merchant,
        "channel": "store",
        "placed_at": placed,
        "paid_at": placed,
        "status": "completed",
        "state": "paid",
        "coupon_discount_cents": 0,
        "freight_cents": 0,
    }
    return row | more


def _line(
    order: str, number: int, sku: str, qty: float, unit: int, *, promo: int = 0, coupon: int = 0
) -> dict[str, Any]:
    return {
        "order_id": order,
        "line_no": number,
        "sku_id": sku,
        "qty_milli": round(qty * 1000),
        "list_price_cents": round(qty * unit),
        "promo_discount_cents": promo,
        "net_paid_cents": round(qty * unit) - promo - coupon,
    }


def _orders_and_lines() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    orders = [
        # One second apart: the last second of Sunday 1 January and the first of Monday 2 January, local time.
        _order("o-day-1", "c-1", "m-1", at(1, 2, 4, 59, 59), coupon_discount_cents=50, freight_cents=600),
        _order("o-day-2", "c-1", "m-1", at(1, 2, 5)),
        _order("o-march", "c-2", "m-2", at(3, 30, 15), channel="live", agent_id="a-1"),
        _order("o-visit", "c-1", "m-1", at(3, 30, 15, 5)),
        _order("o-quiet", "c-quiet", "m-2", at(1, 20), agent_id="a-gone"),
    ]
    lines = [
        _line("o-day-1", 1, "milk-1", 2, 120, promo=40, coupon=50),
        _line("o-day-1", 2, "fuel-1", 8000, 1),
        _line("o-day-2", 1, "milk-1", 3, 120),
        _line("o-day-2", 2, "bread-1", 1, 80),
        _line("o-march", 1, "milk-1", 1, 125) | {"supplier_id": "s-1", "supply_price_cents": 66},
        _line("o-visit", 1, "milk-1", 4, 125),
        _line("o-quiet", 1, "milk-2", 5, 199),
        _line("o-quiet", 2, "fuel-1", 90_000, 1),
    ]
    draw = random.Random(20170331)
    for number in range(120):
        order = f"o-{number:03}"
        placed = at(1, 2) + dt.timedelta(minutes=draw.randrange(88 * 24 * 60))
        orders.append(_order(order, f"c-{draw.randint(1, 3)}", f"m-{draw.randint(1, 2)}", placed))
        for line_no, sku in enumerate(draw.sample(sorted(SKUS), draw.randint(1, 4)), start=1):
            qty, unit = draw.randint(1, 5), draw.choice((80, 120, 199))
            lines.append(
                _line(
                    order, line_no, sku, qty, unit, promo=draw.choice((0, 0, 15)), coupon=draw.choice((0, 10))
                )
            )
    return orders, lines


def _odd_orders_and_lines() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What real shops have besides sales to members; the books of settlement know none of it."""
    orders = [
        _order("o-guest", None, "m-1", at(2, 1), channel="other"),
        _order("o-cancelled", "c-1", "m-1", at(3, 31, 11), status="\u5df2\u53d6\u6d88", state="cancelled"),
        _order("o-unpaid", "c-3", "m-1", at(3, 31, 10), status="pending", state="unpaid", paid_at=None),
        _order("o-refunded", "c-3", "m-2", at(3, 31, 9), status="refunded", state="refunded"),
        _order("o-credit", "c-2", "m-2", at(3, 29, 16)),
        _order("o-exchange", "c-2", "m-2", at(3, 29, 17)),
        _order("o-weight", "c-3", "m-1", at(2, 2)),
    ]
    lines = [
        _line("o-guest", 1, "milk-1", 3, 120),
        _line("o-cancelled", 1, "milk-1", 9, 120),
        _line("o-unpaid", 1, "milk-1", 9, 120),
        _line("o-refunded", 1, "bread-1", 9, 80),
        _line("o-credit", 1, "milk-1", -2, 120) | {"returned_order_id": "o-march", "returned_line_no": 1},
        _line("o-exchange", 1, "milk-2", -1, 199),
        _line("o-exchange", 2, "bread-1", 2, 80),
        _line("o-exchange", 3, "milk-1", 1, 120, promo=120),
        _line("o-exchange", 4, "postage", 1, 600),
        _line("o-weight", 1, "apples-kg", 0.345, 398),
        _line("o-weight", 2, "apples-kg", 1.2, 398),
    ]
    return orders, lines
