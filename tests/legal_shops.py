"""Accepted tables of shops that differ as much as legal shops do, and what disasters make of them."""

from __future__ import annotations

import datetime as dt
import random

import polars as pl

FIRST_DAY = dt.date(2025, 1, 1)
Frames = dict[str, pl.DataFrame]


def shop(
    orders: int,
    price: tuple[int, int],
    quantity: tuple[int, int] = (1000, 3000),
    *,
    skus: int = 40,
    days: int = 90,
    lines_per_order: int = 3,
    guests: float = 0.0,
    free: float = 0.0,
    returned: float = 0.0,
    with_suppliers: bool = True,
    seed: int = 1,
) -> Frames:
    """Orders, order lines, products and consumers as the lake holds them.

    Args:
        orders: Number of orders.
        price: Lowest and highest unit price of a sku, minor units.
        quantity: Lowest and highest quantity of a line, thousandths.
        skus: Number of skus.
        days: Days over which the orders are spread.
        lines_per_order: Lines of each order.
        guests: Share of orders without a consumer.
        free: Share of lines at net 0.
        returned: Share of lines that are returns: negative quantity and amounts.
        with_suppliers: Whether lines name a supplier.
        seed: Of everything random.
    """
    rng = random.Random(seed)
    prices = {f"sku-{n}": rng.randint(*price) for n in range(skus)}
    consumers = [f"c-{n}" for n in range(max(1, orders // 4))] if guests < 1 else []
    heads, lines = [], []
    for number in range(orders):
        day = FIRST_DAY + dt.timedelta(days=number * days // orders)
        heads.append(
            {
                "order_id": f"o-{number}",
                "consumer_id": None if rng.random() < guests else rng.choice(consumers),
                "merchant_id": "shop",
                "channel": "other",
                "state": "paid",
                "day": day,
            }
        )
        for line in range(lines_per_order):
            sku = rng.choice(list(prices))
            qty = rng.randint(*quantity)
            sign = -1 if rng.random() < returned else 1
            listed = round(prices[sku] * qty / 1000)
            net = 0 if rng.random() < free else listed
            lines.append(
                {
                    "order_id": f"o-{number}",
                    "line_no": line + 1,
                    "sku_id": sku,
                    "supplier_id": "s-1" if with_suppliers else None,
                    "qty_milli": sign * qty,
                    "list_price_cents": sign * listed,
                    "promo_discount_cents": sign * (listed - net),
                    "net_paid_cents": sign * net,
                    "day": day,
                }
            )
    return {
        "orders": pl.DataFrame(heads, schema_overrides={"consumer_id": pl.String}),
        "order_lines": pl.DataFrame(lines, schema_overrides={"supplier_id": pl.String}),
        "products": pl.DataFrame(
            {"sku_id": list(prices), "title": list(prices), "category_id": ["uncategorised"] * skus}
        ),
        "consumers": pl.DataFrame(
            {"consumer_id": consumers, "merchant_id": ["shop"] * len(consumers)},
            schema_overrides={"consumer_id": pl.String},
        ),
    }


def wholesale() -> Frames:
    """Pallets: a line of 80,995 units, and one of 168,469.60."""
    frames = shop(600, (50, 20_000), (1000, 5_000_000))
    lines = frames["order_lines"]
    row = pl.int_range(pl.len())
    frames["order_lines"] = lines.with_columns(
        qty_milli=pl.when(row == 0).then(80_995_000).otherwise("qty_milli"),
        list_price_cents=pl.when(row == 1).then(16_846_960).otherwise("list_price_cents"),
        net_paid_cents=pl.when(row == 1).then(16_846_960).otherwise("net_paid_cents"),
    )
    return frames


LEGAL = {
    "a corner shop": lambda: shop(1500, (200, 3000)),
    "wholesale": wholesale,
    "fresh produce by weight": lambda: shop(1500, (300, 9000), (35, 4850)),
    "a jeweller": lambda: shop(40, (1_000_000, 900_000_000), (1000, 1000), lines_per_order=1, skus=38),
    "a coupon farm": lambda: shop(1500, (500, 5000), free=0.9),
    "twelve orders": lambda: shop(12, (500, 5000), lines_per_order=2),
    "no supplier at all": lambda: shop(1500, (500, 5000), with_suppliers=False),
    "only guests": lambda: shop(1500, (500, 5000), guests=1.0),
    "many returns": lambda: shop(1500, (500, 5000), returned=0.4),
    "only returns": lambda: shop(60, (500, 5000), returned=1.0),
}
