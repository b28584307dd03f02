"""A generated platform for matching: merchants with tastes and price bands, skus with a long tail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from models.supply.assortment.history import World
from models.supply.assortment.suggestions import Supply

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
SCENES = ("enterprise_welfare", "mother_baby", "community", "general")
BANDS = 5
WEEKS = 45
_TAIL = 3.0
_CONSUMERS = 200
_NEW = 0.02
"""Share of the pool, newest in each cell, that nobody can have sold."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """How large.

    Attributes:
        merchants: Merchants.
        skus: Skus of the pool.
        categories: Categories, each in five price bands.
        lines: Order lines over 45 weeks.
    """

    merchants: int
    skus: int
    categories: int
    lines: int


@dataclass(frozen=True)
class Made:
    """Frames as a warehouse holds them."""

    lines: pl.DataFrame
    products: pl.DataFrame
    merchants: pl.DataFrame
    supply: Supply

    def world(self) -> World:
        """Indexed, as a night does it."""
        return World.of(self.lines, self.products, self.merchants)


def made(size: Size, seed: int) -> Made:
    """Draw a platform: each merchant buys from the categories and price bands of its taste and its scene's.

    Inside a category and band skus sell by a power law of their place, the same for all, so that a merchant
    comes to ever further skus of what it likes.
    """
    rng = np.random.default_rng(seed)
    cells = size.categories * BANDS
    sku = np.arange(size.skus)
    cell, place = sku % cells, sku // cells
    depth = size.skus // cells
    scene = rng.integers(len(SCENES), size=size.merchants)
    of_scene = rng.dirichlet(np.full(size.categories, 0.15), len(SCENES))
    own = rng.dirichlet(np.full(size.categories, 0.08), size.merchants)
    taste = 0.4 * of_scene[scene] + 0.6 * own
    middle = rng.uniform(0, BANDS - 1, size.merchants)
    fits = np.exp(-((np.arange(BANDS)[None, :] - middle[:, None]) ** 2))
    fits /= fits.sum(axis=1, keepdims=True)
    share = rng.pareto(1.5, size.merchants) + 0.3
    merchant = np.sort(rng.choice(size.merchants, size.lines, p=share / share.sum()))
    drawn = np.empty(size.lines, np.int64)
    begins = np.searchsorted(merchant, np.arange(size.merchants + 1))
    for one in range(size.merchants):
        count = begins[one + 1] - begins[one]
        category = rng.choice(size.categories, count, p=taste[one])
        band = rng.choice(BANDS, count, p=fits[one])
        drawn[begins[one] : begins[one + 1]] = category * BANDS + band
    sellable = max(1, int(depth * (1 - _NEW)))
    rank = (sellable * rng.random(size.lines) ** _TAIL).astype(np.int64)
    bought = rank * cells + drawn
    price = np.round(300 * 1.8 ** (cell % BANDS) * rng.uniform(0.8, 1.25, size.skus)).astype(np.int64)
    qty = rng.integers(1, 4, size.lines)
    ago = rng.uniform(0, WEEKS * 7 * 86_400, size.lines).astype(np.int64)
    start = int(AS_OF.timestamp())
    names = pl.Series([f"s{number:07d}" for number in range(size.skus)])
    lines = pl.DataFrame(
        {
            "merchant_id": _named("m", merchant),
            "sku_id": names.gather(bought),
            "consumer_id": _named("c", merchant * _CONSUMERS + rng.integers(_CONSUMERS, size=size.lines)),
            "order_id": _named("o", np.arange(size.lines)),
            "placed_at": pl.Series((start - ago) * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "qty": qty.astype(np.float64),
            "net_paid_cents": price[bought] * qty,
        }
    )
    category = cell // BANDS
    products = pl.DataFrame(
        {
            "sku_id": names,
            "category_l2_id": _named("k", category),
            "category_l3_id": _named("t", category * 3 + place % 3),
            "brand_id": _named("b", cell * 4 + place % 4),
            "title": pl.select(
                pl.concat_str(pl.lit("word"), pl.Series(category % 97), pl.lit(" word"), pl.Series(cell % 89))
            ).to_series(),
            "list_price_cents": price,
        }
    )
    merchants = pl.DataFrame(
        {
            "merchant_id": _named("m", np.arange(size.merchants)),
            "scene": pl.Series(SCENES).gather(scene),
        }
    )
    return Made(lines, products, merchants, _supply(products, rng))


def _supply(products: pl.DataFrame, rng: np.random.Generator) -> Supply:
    """A supplier for every sku, a second one for a third of them; what each can spare is scarce for some."""
    count = products.height
    price = products["list_price_cents"].to_numpy()
    first = _offers(products, np.arange(count), price * rng.uniform(0.55, 0.85, count), rng)
    second = np.flatnonzero(rng.random(count) < 1 / 3)
    others = _offers(products, second, price[second] * rng.uniform(0.6, 0.95, len(second)), rng)
    return Supply(
        pl.concat([first, others]).unique(["supplier_id", "sku_id"], keep="first", maintain_order=True),
        products.select("sku_id", pl.col("list_price_cents").cast(pl.Float64)),
    )


def _offers(
    products: pl.DataFrame, rows: Ints, cost: npt.NDArray[np.float64], rng: np.random.Generator
) -> pl.DataFrame:
    return products[rows].select(
        "sku_id",
        category_id="category_l2_id",
        supplier_id=_named("p", rng.integers(20_000, size=len(rows))),
        unit_cents=pl.Series(np.round(cost).astype(np.int64)),
        lead_time_days=pl.Series(rng.integers(1, 15, len(rows))),
        grade=pl.Series(np.array(["A", "B", "C"])[rng.integers(3, size=len(rows))]),
        spare_qty=pl.Series(rng.exponential(20, len(rows))),
    )


def _named(prefix: str, numbers: Ints) -> pl.Series:
    return pl.select(pl.concat_str(pl.lit(prefix), pl.Series(numbers))).to_series()
