"""Small order lines for the lifecycle tests: typed by hand, or simulated with rhythms under a seed."""

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
    "category_l3_id": pl.String,
    "placed_at": pl.Datetime("us", "UTC"),
    "qty": pl.Int64,
    "net_paid_cents": pl.Int64,
    "is_merchandise": pl.Boolean,
    "received_at": pl.Datetime("us", "UTC"),
    "superseded_at": pl.Datetime("us", "UTC"),
}
CONSUMER_SCHEMA = {
    "consumer_id": pl.String,
    "merchant_id": pl.String,
    "registered_at": pl.Datetime("us", "UTC"),
    "consent_marketing": pl.Boolean,
}


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def lines(orders: Sequence[tuple[str, float, str, int]], merchant: str = "m1") -> pl.DataFrame:
    """Orders as (consumer, day, "kind kind ...", net cents a line); kind `fuel` is no merchandise."""
    rows = []
    for number, (consumer, day, kinds, net) in enumerate(orders):
        for kind in kinds.split():
            ids = (f"o{number:05d}", consumer, merchant, f"l3-{kind}")
            rows.append((*ids, at(day), 1, net, kind != "fuel", at(day), None))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def people(*rows: tuple[str, str | None, bool | None]) -> pl.DataFrame:
    full = [(consumer, merchant, START, consent) for consumer, merchant, consent in rows]
    return pl.DataFrame(full, schema=CONSUMER_SCHEMA, orient="row")


def simulated(consumers: int = 150, days: int = 330, seed: int = 5) -> pl.DataFrame:
    """Consumers with their own rhythm of 3 to 40 days who come and stay away for a while.

    The recency alone misleads: 20 days are nothing for a slow consumer and a farewell for a fast one. Each
    buys two steady product types at nearly every visit and one of eight others at random.
    """
    rng = np.random.default_rng(seed)
    orders: list[tuple[str, float, str, int]] = []
    for consumer in range(consumers):
        gap = float(np.exp(rng.uniform(np.log(3), np.log(40))))
        day = float(rng.uniform(0, gap))
        while day < days:
            steady = [f"{'ab'[k]}{consumer % 4}" for k in range(2) if rng.random() < (0.9, 0.5)[k]]
            kinds = " ".join(dict.fromkeys([*steady, f"x{rng.integers(8)}"]))
            orders.append((f"c{consumer:03d}", day, kinds, int(rng.integers(200, 900))))
            day += gap * float(rng.uniform(0.6, 1.4))
            if rng.random() < gap / 150:
                day += float(rng.uniform(60, 150))
    return lines(orders)
