"""A small platform for matching: two kinds of shops, and what each takes in next is known."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from models.supply.assortment.history import World

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def lines(*rows):
    """(merchant, sku, consumer, days before NOW[, qty]); each is an order of its own."""
    full = [(*row, 1.0) if len(row) == 4 else row for row in rows]
    return pl.DataFrame(
        [
            (merchant, sku, consumer, f"o{n:06d}", NOW - DAY * float(ago), float(qty), round(qty * 500))
            for n, (merchant, sku, consumer, ago, qty) in enumerate(full)
        ],
        schema={
            "merchant_id": pl.String,
            "sku_id": pl.String,
            "consumer_id": pl.String,
            "order_id": pl.String,
            "placed_at": pl.Datetime("us", "UTC"),
            "qty": pl.Float64,
            "net_paid_cents": pl.Int64,
        },
        orient="row",
    )


def products(skus, category=lambda sku: sku[0]):
    return pl.DataFrame(
        {
            "sku_id": list(skus),
            "category_l2_id": [category(sku) for sku in skus],
            "category_l3_id": [category(sku) for sku in skus],
            "brand_id": [f"b-{category(sku)}" for sku in skus],
            "title": [f"{category(sku)} {sku}" for sku in skus],
        }
    )


def merchants(**scenes):
    return pl.DataFrame({"merchant_id": list(scenes), "scene": list(scenes.values())})


def two_kinds(windows=5, shops=16, kinds=("a", "b"), goods=120, seed=0):
    """Shops of two kinds; each starts skus of its own kind, a kind's next ones in an order of their own.

    Some shops are a window or two ahead: what they have, the others of their kind take in next.
    """
    rng = np.random.default_rng(seed)
    rows, scenes = [], {}
    for shop in range(shops):
        kind = kinds[shop % 2]
        scenes[f"{kind}-shop{shop:02d}"] = "general"
        own = [f"{kind}{n:03d}" for n in range(goods)]
        order = rng.permutation(goods // 4)
        for window in range(windows + 1):
            begin = 24 + (window + shop // 2 % 3) * 10
            known = own[:begin] if window == 0 else own[begin - 10 : begin]
            for place in range(len(known)):
                sku = known[place]
                for _ in range(1 + int(rng.integers(2))):
                    ago = (windows - window) * 56 + float(rng.uniform(0.1, 55.0))
                    rows.append((f"{kind}-shop{shop:02d}", sku, f"{kind}{int(rng.integers(30))}", ago))
            for n in order[: 20 + window]:
                ago = (windows - window) * 56 + float(rng.uniform(0.1, 55.0))
                rows.append((f"{kind}-shop{shop:02d}", own[int(n)], f"{kind}{int(rng.integers(30))}", ago))
    pool = [f"{kind}{n:03d}" for kind in kinds for n in range(goods)]
    return World.of(lines(*rows), products(pool), merchants(**scenes))
