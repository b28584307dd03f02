"""The embedded household panel (Complete Journey) as purchases: merchandise that sold before the cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.data import Purchases
from models.metrics import ndcg_at_k, recall_at_k
from models.protocol import Ranker
from pipelines.sources.panel.complete_journey import CompleteJourney

K, HORIZON, LEAST_BASKETS = 10, timedelta(days=14), 10


@dataclass(frozen=True)
class Measured:
    """One system's lists on one cut.

    Attributes:
        recall: float64 (n,), Recall@10 of each household with something to find, by id.
        ndcg: float64 (n,), truncated NDCG@10.
        coverage: Share of the skus before the cut that occur in some list.
    """

    recall: npt.NDArray[np.float64]
    ndcg: npt.NDArray[np.float64]
    coverage: float


def read_purchases() -> Purchases:
    """Lines of merchandise with units; the category is that of the second level."""
    panel = CompleteJourney()

    def table(name: str) -> pl.DataFrame:
        return pl.concat(chunk.frame for chunk in panel.read(name))

    lines, orders, products, categories = map(table, ("order_lines", "orders", "products", "categories"))
    kinds = categories.select("category_id", "role", parent="parent_category_id")
    goods = products.join(kinds, on="category_id").filter(pl.col("role").is_null())
    frame = (
        lines.filter(pl.col("qty_milli") > 0)
        .join(goods.select("sku_id", category_id="parent"), on="sku_id")
        .join(orders.select("order_id", "consumer_id", "placed_at"), on="order_id")
        .with_columns(quantity=pl.col("qty_milli") / 1000)
    )
    return Purchases.from_frame(frame, {"item_id": "sku_id", "basket_id": "order_id", "at": "placed_at"})


def at_a_cut(purchases: Purchases, origin: datetime) -> Purchases:
    """Skus with ten baskets or more until the cut, until the end of its window."""
    baskets = purchases.until(origin).frame.group_by("item_id").agg(n=pl.col("basket_id").n_unique())
    enough = baskets.filter(pl.col("n") >= LEAST_BASKETS).select("item_id")
    return Purchases(
        purchases.until(origin + HORIZON).frame.join(enough, on="item_id", how="semi", maintain_order="left")
    )


def truth_of(purchases: Purchases, origin: datetime, *, new_only: bool) -> dict[str, set[str]]:
    """What each household with history bought after the cut; with `new_only` what it had never bought."""
    before = purchases.until(origin).frame.select("consumer_id", "item_id").unique()
    after = purchases.between(origin, origin + HORIZON).frame.select("consumer_id", "item_id").unique()
    after = after.join(before, on="consumer_id", how="semi")
    if new_only:
        after = after.join(before, on=["consumer_id", "item_id"], how="anti")
    rows = after.group_by("consumer_id").agg("item_id").sort("consumer_id")
    return {user: set(items) for user, items in rows.iter_rows()}


def measured(ranker: Ranker, truth: Mapping[str, set[str]], n_items: int) -> Measured:
    """Lists of ten for everybody who is asked."""
    lists: Sequence[list[str]] = ranker.rank(list(truth), K)
    hits = np.zeros((len(truth), K), dtype=np.bool_)
    for row, (items, ranked) in enumerate(zip(truth.values(), lists, strict=True)):
        hits[row, : len(ranked)] = [item in items for item in ranked]
    size = np.array([len(items) for items in truth.values()], dtype=np.int64)
    shown = {item for ranked in lists for item in ranked}
    return Measured(recall_at_k(hits, size), ndcg_at_k(hits, size, truncate_ideal=True), len(shown) / n_items)
