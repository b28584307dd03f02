"""What is right for each folder of own data, counted by the csv and decimal modules alone; no code of ours.

Each count says its rule in words. Revenue is in minor units.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path

MOST = 10**13
CHANNELS = ("mini_program", "wecom", "live", "store", "other")

CONTRACT_RULE = (
    "An order is taken when its id is new, its time is a date from 1971 to now, its channel is known, its "
    "freight is not negative, and its consumer is nobody or a row of consumers.csv whose id has no "
    "control character and whose inviter is taken too. A line is taken when its order is, its sku exists, "
    "its quantity is a number other than 0, its amounts are below 10^13 with the sign of the quantity, "
    "and it costs no more than list less promotion. Only completed orders count: revenue is the net "
    "amount of their lines, returns taken off; an order counts when it has a line with a positive "
    "quantity."
)
WHOLESALE_RULE = (
    "Every invoice is an order at the first time it names. A line is quantity times unit price, rounded "
    "to the penny, half away from zero. A line whose amount contradicts its quantity is refused, and an "
    "invoice left without a line with it. Revenue is the sum of the lines; an invoice counts as an order "
    "when it has a line with a positive quantity."
)


@dataclass(frozen=True)
class Counted:
    """What is right.

    Attributes:
        revenue: Net revenue in minor units.
        orders: Orders that count.
        rows: Rows that each table's file holds.
    """

    revenue: int
    orders: int
    rows: Mapping[str, int]


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file, plain or gzipped."""
    with path.open("rb") as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        yield from csv.DictReader(io.TextIOWrapper(unpacked, encoding="utf-8", newline=""))


def count_contract_folder(folder: Path, now: str) -> Counted:
    """Counts a folder of contract files by `CONTRACT_RULE`.

    Args:
        folder: Files named after the tables.
        now: Later times are refused, ISO 8601 in UTC.
    """
    files = {path.stem: list(rows_of(path)) for path in sorted(folder.glob("*.csv"))}
    consumers = _consumers(files["consumers"]) if "consumers" in files else None
    skus = {row["sku_id"] for row in files["products"]}
    taken: dict[str, str] = {}
    for row in files["orders"]:
        buyer = row["consumer_id"]
        fits = (
            row["order_id"] not in taken
            and "1971" <= row["placed_at"] <= now
            and row["channel"] in CHANNELS
            and int(row["freight_cents"]) >= 0
            and _is_clean(buyer)
            and (consumers is None or not buyer or buyer in consumers)
        )
        if fits:
            taken[row["order_id"]] = row["status"]
    revenue, selling = 0, set()
    for row in files["order_lines"]:
        quantity = _number(row["qty"])
        amounts = [int(row[name]) for name in ("list_price_cents", "promo_discount_cents", "net_paid_cents")]
        listed, promotion, net = map(abs, amounts)
        fits = (
            taken.get(row["order_id"]) == "completed"
            and row["sku_id"] in skus
            and quantity is not None
            and quantity != 0
            and all(abs(amount) < MOST and amount * quantity >= 0 for amount in amounts)
            and net <= listed - promotion
        )
        if fits and quantity is not None:
            revenue += amounts[2]
            if quantity > 0:
                selling.add(row["order_id"])
    return Counted(revenue, len(selling), {table: len(rows) for table, rows in files.items()})


def count_wholesale(path: Path) -> Counted:
    """Counts the wholesaler's file by `WHOLESALE_RULE`."""
    revenue, lines = 0, 0
    selling: set[str] = set()
    invoices: set[str] = set()
    skus: set[str] = set()
    for row in rows_of(path):
        lines += 1
        invoices.add(row["InvoiceNo"])
        skus.add(row["StockCode"])
        quantity = int(row["Quantity"])
        amount = int((quantity * Decimal(row["UnitPrice"]) * 100).quantize(Decimal(1), ROUND_HALF_UP))
        if quantity * amount < 0 or not quantity:
            continue
        revenue += amount
        if quantity > 0:
            selling.add(row["InvoiceNo"])
    rows = {"orders": len(invoices), "order_lines": lines, "products": len(skus)}
    return Counted(revenue, len(selling), rows)


def _consumers(rows: list[dict[str, str]]) -> set[str]:
    """Consumers that are taken; refusing an inviter refuses those who came through it."""
    taken = {row["consumer_id"]: row["inviter_id"] for row in rows if _is_clean(row["consumer_id"])}
    while lost := [one for one, inviter in taken.items() if inviter and inviter not in taken]:
        for one in lost:
            del taken[one]
    return set(taken)


def _is_clean(text: str) -> bool:
    return all(character >= " " for character in text)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
