"""A small healthy folder of files: two products, three orders of one line each."""

import csv
import datetime as dt
from pathlib import Path

AS_OF = dt.datetime(2026, 11, 10, tzinfo=dt.UTC)
LOADED_AT = dt.datetime(2026, 11, 11, tzinfo=dt.UTC)

PRODUCTS = [
    {"sku_id": "a", "title": "Apple", "category_id": "fruit", "received_at": "2026-01-01"},
    {"sku_id": "b", "title": "Bread", "category_id": "bakery", "received_at": "2026-01-01"},
]
ORDERS = [
    {
        "order_id": f"o{number}",
        "consumer_id": f"c{number % 2}",
        "merchant_id": "m1",
        "channel": "store",
        "placed_at": f"2026-11-0{number}T10:00:00Z",
        "status": "completed",
        "coupon_discount_cents": "0",
        "freight_cents": "0",
    }
    for number in (1, 2, 3)
]
LINES = [
    {
        "order_id": f"o{number}",
        "line_no": "1",
        "sku_id": sku,
        "qty": "2",
        "list_price_cents": "500",
        "promo_discount_cents": "100",
        "net_paid_cents": "400",
    }
    for number, sku in ((1, "a"), (2, "b"), (3, "a"))
]


def add_lines(folder: Path, *orders: str) -> None:
    """Adds one line to each of some orders."""
    write_csv(folder / "order_lines.csv", [*LINES, *({**LINES[0], "order_id": order} for order in orders)])


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    """Writes rows as the csv module does, header first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
