"""A made-up panel with planted elasticities, as order lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

MONDAY = date(2017, 1, 2)

LineMaker = Callable[..., pl.DataFrame]


def make_lines(
    elasticities: list[float],
    *,
    merchants: int = 6,
    weeks: int = 26,
    units: float = 3.0,
    seed: int = 0,
    own_prices: bool = False,
) -> pl.DataFrame:
    """Weekly Poisson sales of each sku and merchant at a sku's common (or the merchant's own) price."""
    rng = np.random.default_rng(seed)
    shape = (len(elasticities), merchants if own_prices else 1, weeks)
    log_price = np.broadcast_to(
        rng.choice([0.0, -0.1, -0.2, -0.35], shape), (len(elasticities), merchants, weeks)
    )
    level = units * np.exp(0.3 * rng.standard_normal((len(elasticities), merchants, 1)))
    rate = level * np.exp(np.array(elasticities)[:, None, None] * log_price)
    qty = rng.poisson(rate)
    sku, merchant, week = np.nonzero(qty)
    sold = qty[sku, merchant, week]
    unit_price = np.rint(2000 * np.exp(log_price[sku, merchant, week])).astype(np.int64)
    day = [MONDAY + timedelta(weeks=int(w)) for w in week]
    # One line on the last Sunday completes the last week.
    return pl.DataFrame(
        {
            "sku_id": [f"p{s:04d}" for s in sku],
            "merchant_id": [f"m{m}" for m in merchant],
            "week_start_on": day,
            "placed_on": [d + timedelta(days=6) for d in day],
            "placed_at": [datetime(d.year, d.month, d.day, 12, tzinfo=UTC) + timedelta(days=6) for d in day],
            "qty": sold.astype(np.int64),
            "list_price_cents": 2000 * sold.astype(np.int64),
            "promo_discount_cents": (2000 - unit_price) * sold.astype(np.int64),
            "is_on_display": np.zeros(len(sku), dtype=bool),
            "is_on_mailer": np.zeros(len(sku), dtype=bool),
            "is_merchandise": np.ones(len(sku), dtype=bool),
            "category_l3_id": [f"l3-{s % 4}" for s in sku],
            "category_l2_id": [f"l2-{s % 2}" for s in sku],
        },
        schema_overrides={"placed_at": pl.Datetime("us", "UTC")},
    )


@pytest.fixture
def lines_of() -> LineMaker:
    return make_lines
