"""Small order lines for the tests: typed by hand, or simulated with habits under a seed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

START = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = {
    "order_id": pl.String,
    "consumer_id": pl.String,
    "merchant_id": pl.String,
    "sku_id": pl.String,
    "category_l2_id": pl.String,
    "category_l3_id": pl.String,
    "placed_at": pl.Datetime("us", "UTC"),
    "qty": pl.Int64,
}
NO_LISTINGS = pl.DataFrame(schema={"merchant_id": pl.String, "sku_id": pl.String})


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def lines(baskets: Sequence[tuple[str, str, float, str]]) -> pl.DataFrame:
    """Baskets as (consumer, merchant, day, "sku sku ..."); a sku's first letter is its category."""
    rows = [
        (f"o{number}", consumer, merchant, sku, f"l2-{sku[0]}", f"l3-{sku[0]}", at(day), 1)
        for number, (consumer, merchant, day, skus) in enumerate(baskets)
        for sku in skus.split()
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def simulated(consumers: int = 60, skus: int = 90, days: int = 150, seed: int = 3) -> pl.DataFrame:
    """Consumers with ten habits each out of a third of the skus; two merchants; a basket every five days."""
    rng = np.random.default_rng(seed)
    names = [f"{'abcdef'[item % 6]}{item:03d}" for item in range(skus)]
    baskets = []
    for consumer in range(consumers):
        taste = np.arange(skus)[np.arange(skus) % 3 == consumer % 3]
        habits = rng.choice(taste, 10, replace=False)
        day = rng.uniform(0, 5)
        while day < days:
            chosen = set(rng.choice(habits, 4, replace=False)) | set(rng.choice(taste, 2))
            merchant = f"m{consumer % 2}"
            baskets.append((f"c{consumer:02d}", merchant, day, " ".join(names[i] for i in sorted(chosen))))
            day += rng.uniform(2, 8)
    return lines(baskets)
