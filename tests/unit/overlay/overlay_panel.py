"""A small seeded observed panel for the overlay tests; as a script it prints digests of the overlay."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from pipelines.sources.overlay import OVERLAY_ORDER, ObservedTables, generate

AS_OF = datetime(2018, 1, 3, 12, 30, tzinfo=UTC)
OFFSET = -5
START = datetime(2017, 1, 2, 9, 0, tzinfo=UTC)
DAYS = 364


def panel(
    *,
    orders: int = 16_000,
    skus: int = 600,
    suppliers: int = 40,
    consumers: int = 400,
    merchants: int = 12,
    seed: int = 3,
) -> ObservedTables:
    """Return a panel with five departments, a tenth of the skus discontinued, habits by consumer."""
    rng = np.random.default_rng(seed)
    sku = np.arange(skus)
    category = sku % 10
    price = np.round(np.exp(rng.normal(5.6, 0.5, skus))).astype(np.int64).clip(40)
    ends = np.where(rng.random(skus) < 0.35, rng.uniform(0.5, 0.97, skus), 2.0)
    weight = 1.0 / (1.0 + sku) ** 0.5

    consumer = rng.integers(0, consumers, orders)
    # Habits differ: some consumers stay away for a month and more.
    rate = np.exp(rng.normal(0, 1.0, consumers))
    consumer = rng.choice(consumers, size=orders, p=rate / rate.sum())
    when = np.sort(rng.random(orders))
    size = rng.integers(1, 9, orders)
    order = np.repeat(np.arange(orders), size)
    bought = rng.choice(skus, size=len(order), p=weight / weight.sum())
    alive = when[order] < ends[bought]
    lines = (
        pl.DataFrame({"order": order[alive], "sku": bought[alive], "qty": rng.integers(1, 4, alive.sum())})
        .unique(["order", "sku"], keep="first", maintain_order=True)
        .sort("order", "sku")
    )
    gross = price[lines["sku"].to_numpy()] * lines["qty"].to_numpy()
    promo = np.where(rng.random(lines.height) < 0.2, gross // 10, 0)
    lines = lines.select(
        order_id=pl.lit("o") + pl.col("order").cast(pl.String),
        line_no=(pl.int_range(pl.len()).over("order") + 1).cast(pl.Int32),
        sku_id=pl.lit("k") + pl.col("sku").cast(pl.String),
        supplier_id=pl.lit("s-") + (pl.col("sku") % suppliers).cast(pl.String),
        qty_milli=pl.col("qty").cast(pl.Int64) * 1000,
        list_price_cents=pl.Series(gross),
        promo_discount_cents=pl.Series(promo),
        net_paid_cents=pl.Series(gross - promo),
    )
    placed = pl.Series([START] * orders, dtype=pl.Datetime("us", "UTC")) + pl.Series(
        (when * DAYS * 86_400).astype(np.int64) * 1_000_000
    ).cast(pl.Duration("us"))
    return ObservedTables(
        orders=pl.DataFrame(
            {
                "order_id": [f"o{i}" for i in range(orders)],
                "consumer_id": [f"c{i}" for i in consumer],
                "merchant_id": [f"m{i}" for i in consumer % merchants],
                "placed_at": placed,
            },
            schema_overrides={"order_id": pl.String, "consumer_id": pl.String, "merchant_id": pl.String},
        ),
        order_lines=lines,
        products=pl.DataFrame(
            {
                "sku_id": [f"k{i}" for i in sku],
                "category_id": [f"l3-{c}" for c in category],
                "brand_id": [f"b{i % suppliers}" for i in sku],
                "manufacturer_id": [f"s-{i % suppliers}" for i in sku],
                "role": [None for _ in sku],
            },
            schema_overrides={"role": pl.String},
        ),
        consumers=pl.DataFrame(
            {
                "consumer_id": [f"c{i}" for i in range(consumers)],
                "consent_marketing": [i % 10 != 9 for i in range(consumers)],
            }
        ),
        merchants=pl.DataFrame(
            {"merchant_id": [f"m{i}" for i in range(merchants)], "region_code": ["unknown"] * merchants}
        ),
        suppliers=pl.DataFrame(
            {"supplier_id": [f"s-{i}" for i in range(suppliers)], "region_code": ["unknown"] * suppliers}
        ),
        categories=pl.DataFrame(
            [
                *(
                    {"category_id": f"l1-{d}", "parent_category_id": None, "name": f"Dept {d}"}
                    for d in range(5)
                ),
                *(
                    {"category_id": f"l2-{d}", "parent_category_id": f"l1-{d}", "name": f"Mid {d}"}
                    for d in range(5)
                ),
                *(
                    {"category_id": f"l3-{c}", "parent_category_id": f"l2-{c % 5}", "name": f"Type {c}"}
                    for c in range(10)
                ),
            ],
            schema={"category_id": pl.String, "parent_category_id": pl.String, "name": pl.String},
        ).with_columns(role=pl.lit(None, dtype=pl.String)),
    )


def digest(frame: pl.DataFrame) -> str:
    """Return a digest of columns, types, values and row order."""
    return hashlib.sha256((str(frame.schema) + frame.write_csv()).encode()).hexdigest()


def overlay_of(
    observed: ObservedTables, *, seed: int = 11, as_of: datetime = AS_OF
) -> dict[str, pl.DataFrame]:
    """Return every overlay table of a panel."""
    return {
        table: generate(table, observed, seed=seed, as_of=as_of, utc_offset_hours=OFFSET)
        for table in OVERLAY_ORDER
    }


def days(count: float) -> timedelta:
    """Return a duration in days."""
    return timedelta(days=count)


if __name__ == "__main__":
    for name, rows in overlay_of(panel(orders=1_500)).items():
        sys.stdout.write(f"{name} {digest(rows)}\n")
