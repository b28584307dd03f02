"""A small shop's folder: the three tables that a folder must have, the same rows at every writing."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

PRODUCTS, CONSUMERS, DAYS, ORDERS_A_DAY = 40, 120, 180, 12
SIZE = (
    f"{DAYS} days of {ORDERS_A_DAY} orders with 1 to 4 lines, {CONSUMERS} consumers, {PRODUCTS} products: "
    "products.csv, orders.csv, order_lines.csv"
)
_SEED = 7


def write_shop(folder: Path, last: datetime) -> Path:
    """Write the folder.

    Args:
        folder: A folder that does not exist.
        last: Time of the newest order (UTC).

    Returns:
        The folder.
    """
    random = Random(_SEED)
    folder.mkdir(parents=True)
    _write(
        folder / "products.csv",
        ("sku_id", "title"),
        [(f"sku-{n:03d}", f"Product {n}") for n in range(PRODUCTS)],
    )
    orders, lines = [], []
    for day in range(DAYS):
        for number in range(ORDERS_A_DAY):
            placed = last - timedelta(days=DAYS - 1 - day, minutes=17 * number)
            order_id = f"o-{day:03d}-{number:02d}"
            orders.append((order_id, f"c-{random.randrange(CONSUMERS):03d}", placed.isoformat()))
            for line in range(random.randint(1, 4)):
                sku = random.randrange(PRODUCTS)
                qty = random.randint(1, 3)
                lines.append((order_id, line + 1, f"sku-{sku:03d}", qty, qty * (300 + 37 * sku)))
    _write(folder / "orders.csv", ("order_id", "consumer_id", "placed_at"), orders)
    _write(folder / "order_lines.csv", ("order_id", "line_no", "sku_id", "qty", "net_paid_cents"), lines)
    return folder


def add_one_order(folder: Path, placed: datetime) -> None:
    """Append an order of one line to the files."""
    with (folder / "orders.csv").open("a", newline="") as file:
        csv.writer(file).writerow(("o-new", "c-001", placed.isoformat()))
    with (folder / "order_lines.csv").open("a", newline="") as file:
        csv.writer(file).writerow(("o-new", 1, "sku-001", 1, 337))


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
