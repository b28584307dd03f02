"""What merchants sold until a moment, by index: the one reading that rules, vectors and features share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.states import known_at, with_states
from models.supply.assortment.config import AssortmentConfig

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

LEVELS = ("category_l2_id", "category_l3_id", "brand_id")
"""What groups skus, the middle level of categories first."""
_PLACES = ["merchant", "sku"]


@dataclass(frozen=True)
class World:
    """Everything that is read, whatever the moment.

    Attributes:
        lines: Sale lines with merchant_id, sku_id, consumer_id (null for guests), order_id, placed_at, qty,
            net_paid_cents, and, where states change, received_at and superseded_at.
        products: The pool: sku_id and any of category_l1_id, `LEVELS`, title, list_price_cents; one row a
            sku, in order of sku.
        merchants: merchant_id, scene; one row a merchant, in order of merchant.
        listings: merchant_id, sku_id, first_listed_at: what a merchant has or had on sale.
    """

    lines: pl.DataFrame
    products: pl.DataFrame
    merchants: pl.DataFrame
    listings: pl.DataFrame

    @classmethod
    def of(
        cls,
        lines: pl.DataFrame,
        products: pl.DataFrame,
        merchants: pl.DataFrame,
        listings: pl.DataFrame | None = None,
    ) -> World:
        """Frames in the order and with the numbers that indices need; lines outside the pool are left out."""
        if listings is None:
            listings = lines.select("merchant_id", "sku_id", first_listed_at="placed_at").clear()
        products = products.unique("sku_id", keep="first").sort("sku_id").with_row_index("sku")
        merchants = merchants.unique("merchant_id", keep="first").sort("merchant_id")
        merchants = merchants.with_row_index("merchant").with_columns(pl.col("scene").fill_null("general"))
        keys = (
            (products.select("sku_id", "sku"), "sku_id"),
            (
                merchants.select("merchant_id", "merchant"),
                "merchant_id",
            ),
        )
        lines = with_states(lines)
        for frame, key in keys:
            lines = lines.join(frame, on=key, maintain_order="left")
            listings = listings.join(frame, on=key, maintain_order="left")
        lines = lines.with_columns(consumer=pl.col("consumer_id").rank("dense").cast(pl.Int64) - 1).sort(
            "placed_at", "order_id", *_PLACES
        )
        return cls(lines, products, merchants, listings)

    def groups(self, level: str) -> Ints:
        """Number of the group of each sku, int64 (n_skus,); skus that state none are one group."""
        if level not in self.products.columns:
            return np.zeros(self.products.height, np.int64)
        ranks = self.products[level].fill_null("").rank("dense").cast(pl.Int64)
        return ranks.to_numpy() - 1


@dataclass(frozen=True)
class History:
    """What was known at a moment.

    Attributes:
        world: What it was taken from.
        at: The moment.
        rows: merchant, sku, consumer (null for guests), order_id, age_days, qty, cents; oldest first.
        asked: int64 (n_asked,), merchants that get a list.
        started: CSR (n_merchants, n_skus), 1 where the merchant sold the sku ever, or had it on sale.
    """

    world: World
    at: datetime
    rows: pl.DataFrame
    asked: Ints
    started: sp.csr_matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Merchants and skus."""
        return self.world.merchants.height, self.world.products.height

    def recent(self, days: float) -> pl.DataFrame:
        """Rows younger than so many days."""
        return self.rows.filter(pl.col("age_days") < days)

    def table(self, rows: pl.DataFrame, value: str | None = None) -> sp.csr_matrix:
        """Sums of a column, or counts, by merchant and sku: float32 CSR (n_merchants, n_skus)."""
        amount = pl.len() if value is None else pl.col(value).sum()
        summed = rows.group_by(_PLACES).agg(amount=amount.cast(pl.Float32)).sort(_PLACES)
        return _sparse(summed["merchant"], summed["sku"], summed["amount"].to_numpy(), self.shape)

    def pairs(self, rows: pl.DataFrame) -> sp.csr_matrix:
        """1 where the merchant sold the sku: float32 CSR (n_merchants, n_skus)."""
        found = rows.select(_PLACES).unique().sort(_PLACES)
        return _sparse(found["merchant"], found["sku"], np.ones(found.height, np.float32), self.shape)


def history(world: World, at: datetime, config: AssortmentConfig) -> History:
    """What was known at a moment.

    Args:
        world: What is read.
        at: Aware; lines placed or received later, and states that were superseded by then, are not seen.
        config: Settings; merchants with fewer than `least_skus` skus within the window are not asked.
    """
    age = (pl.lit(at) - pl.col("placed_at")).dt.total_microseconds() / 86_400_000_000
    rows = world.lines.filter((pl.col("placed_at") <= at) & known_at(at)).select(
        *_PLACES, "consumer", "order_id", age_days=age, qty=pl.col("qty").cast(pl.Float64),
        cents=pl.col("net_paid_cents").cast(pl.Float64),
    )  # fmt: skip
    listed = world.listings.filter(pl.col("first_listed_at") <= at).select(_PLACES)
    started = pl.concat([rows.select(_PLACES), listed]).unique().sort(_PLACES)
    shape = (world.merchants.height, world.products.height)
    active = (
        rows.filter(pl.col("age_days") < config.window_days)
        .group_by("merchant")
        .agg(skus=pl.col("sku").n_unique())
        .filter(pl.col("skus") >= config.least_skus)
    )
    return History(
        world,
        at,
        rows,
        active["merchant"].cast(pl.Int64).sort().to_numpy(),
        _sparse(started["merchant"], started["sku"], np.ones(started.height, np.float32), shape),
    )


def _sparse(merchant: pl.Series, sku: pl.Series, values: Floats, shape: tuple[int, int]) -> sp.csr_matrix:
    return sp.csr_matrix((values, (merchant.to_numpy(), sku.to_numpy())), shape=shape, dtype=np.float32)
