"""`muyun template`: an example folder that loads, with a `muyun.yaml` that explains every key."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.sources.contract import SourceError
from pipelines.sources.mapping.document import FILE_NAME

_FIRST_DAY = dt.datetime(2025, 3, 1, 9, 0, tzinfo=dt.UTC)
_DAYS = 60
_GOODS = (
    ("milk-1l", "Whole milk 1 l", "dairy", "piece", 850),
    ("yoghurt", "Yoghurt 150 g", "dairy", "piece", 420),
    ("bread", "Rye bread", "bakery", "piece", 1280),
    ("cake", "Sponge cake", "bakery", "piece", 2600),
    ("apples", "Apples, loose", "fruit", "kg", 998),
    ("pears", "Pears, loose", "fruit", "kg", 1180),
    ("delivery", "Delivery to the door", "services", "piece", 500),
)
"""sku, title, category, unit and price in minor units of a unit."""
_DELIVERY = len(_GOODS) - 1

_DOCUMENT = """\
# How Muyun reads the files of this folder. Every key is optional; what is commented out can be said too.
# docs/bring-your-own-data.md explains them, docs/data-contract.md lists the columns of every table.

currency: CNY              # ISO code of every amount
money: major               # amounts are written in units with decimals (12.80); minor: without (1280)
time_zone: Asia/Shanghai   # IANA name, for times without an offset
# time_zones: {m-london: Europe/London}   # merchants with a zone of their own
# day_first: true          # 02/11/2026 is the second of November
# encoding: gbk            # encoding, delimiter and header_line are found out; say them where that fails
# delimiter: semicolon
# header_line: 3
guests: ["", "0", guest]   # values of a consumer column that mean nobody

# What among the skus is no merchandise. Roles: service, fuel, coupon, deposit.
not_merchandise:
  - {role: service, skus: [delivery]}
  # - {role: deposit, sku_pattern: "^deposit-"}
  # - {role: coupon, categories: [vouchers]}
# themes: {mother_baby: [baby-care], pet: [dog-food]}   # theme to ids of categories
# private_label: {brands: [own]}                         # or skus, or sku_pattern

# Each table may be told which files feed it and what their columns are called.
orders:
  # file: "sales-*.csv"            # a name, a pattern or a list; without it orders.csv or the folder orders/
  # one_row_per: order_id          # the file repeats an order in every line: make one row of them
  columns: {placed_at: ordered_at} # column of the contract: column of the file
  # constants: {merchant_id: m-1}  # every row gets it
  defaults: {channel: store}       # rows without a value get it
  values:
    status: {handed over: paid, sent back: refunded}   # words of the file: unpaid, paid, cancelled, refunded
  # changed_at: updated_at         # the newest version of a row wins
  # deleted_when: {is_deleted: ["1", "true"]}

order_lines:
  columns:
    net_paid_cents: paid
    # net_paid_cents: {product: [qty, unit_price]}        # computed: a product of columns
    # sku_id: {first_of: [barcode, item_number]}          # or the first that is filled

offers:
  columns: {supply_price_cents: supply_price}
"""


def write_template(folder: Path) -> tuple[Path, ...]:
    """Writes the example.

    Args:
        folder: Where; it must be empty or not exist.

    Returns:
        The files written.

    Raises:
        SourceError: The folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SourceError(f"{folder} is not empty; name a new folder for the example")
    folder.mkdir(parents=True, exist_ok=True)
    orders, lines = _trade()
    written = [
        _write(folder / f"{table}.csv", rows)
        for table, rows in {
            "suppliers": _suppliers(),
            "products": _products(),
            "consumers": _consumers(),
            "offers": _offers(),
            "orders": orders,
            "order_lines": lines,
        }.items()
    ]
    (folder / FILE_NAME).write_text(_DOCUMENT, encoding="utf-8")
    return (*written, folder / FILE_NAME)


Rows = Sequence[Mapping[str, object]]


def _write(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _suppliers() -> Rows:
    return [
        {
            "supplier_id": f"s-{number}",
            "name": name,
            "channel": "factory",
            "region_code": "east",
            "joined_on": "2025-01-01",
            "is_active": "true",
        }
        for number, name in enumerate(("Northern Dairy", "Old Mill Bakery", "Orchard Growers"), 1)
    ]


def _products() -> Rows:
    return [
        {"sku_id": sku, "title": title, "category_id": category, "unit": unit}
        for sku, title, category, unit, _ in _GOODS
    ]


def _consumers() -> Rows:
    return [
        {
            "consumer_id": f"c-{number:03}",
            "merchant_id": "m-1",
            "registered_at": "2025-02-01 10:00",
            "consent_marketing": "true" if number % 3 else "false",
            "consent_profiling": "true",
        }
        for number in range(1, 13)
    ]


def _offers() -> Rows:
    return [
        {
            "supplier_id": f"s-{1 + position // 2}",
            "sku_id": sku,
            "valid_from": "2025-02-15 00:00",
            "supply_price": f"{price * 6 // 10 / 100:.2f}",
            "stock_qty": 200,
            "capacity_per_day": 100,
            "lead_time_days": 2,
            "min_order_qty": 10,
            "ship_from_region": "east",
        }
        for position, (sku, _, _, _, price) in enumerate(_GOODS[:_DELIVERY])
    ]


def _trade() -> tuple[Rows, Rows]:
    """Orders of sixty days and their lines, with a guest, an unpaid, a cancelled and a returned one."""
    orders: list[dict[str, object]] = []
    lines: list[dict[str, object]] = []
    for number in range(2 * _DAYS):
        order_id = f"{number + 1:05}"
        placed = _FIRST_DAY + dt.timedelta(days=number // 2, minutes=7 * number % 600)
        status = "unpaid" if number % 40 == 13 else "cancelled" if number % 40 == 29 else "handed over"
        orders.append(
            {
                "order_id": order_id,
                "consumer_id": "guest" if number % 9 == 4 else f"c-{1 + number * 5 % 11:03}",
                "merchant_id": "m-1",
                "channel": "mini_program" if number % 3 else "",
                "ordered_at": f"{placed:%Y-%m-%d %H:%M}",
                "status": status,
            }
        )
        for line in range(1 + number % 3):
            position = (number * 2 + line * 3) % _DELIVERY
            thousandths = (
                1000 * (1 + number % 2) if _GOODS[position][3] == "piece" else 350 + 45 * (number % 20)
            )
            lines.append(_line(order_id, line + 1, position, thousandths))
        if number % 10 == 0:
            lines.append(_line(order_id, 2 + number % 3, _DELIVERY, 1000))
        if number % 30 == 17:
            lines.append(_line(order_id, 2 + number % 3, 2, -1000))
    return orders, lines


def _line(order_id: str, line_no: int, position: int, thousandths: int) -> dict[str, object]:
    sku, _, _, _, price = _GOODS[position]
    amount = round(price * thousandths / 1000)
    return {
        "order_id": order_id,
        "line_no": line_no,
        "sku_id": sku,
        "qty": f"{thousandths / 1000:g}",
        "paid": f"{amount / 100:.2f}",
    }
