"""Purchases as numbered histories, and the parts of them that are held out to learn from.

Baskets are counted back from the newest, ages in days back from the moment that is predicted from. No model
lives here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.data import Purchases
from models.recommendation.config import TifuParams
from models.recommendation.interactions import Floats, Indices
from models.recommendation.rankers.repeat import basket_weights

_MICROS_A_DAY = 86_400_000_000.0


@dataclass(frozen=True)
class Catalogue:
    """Numbered purchases; every id list is sorted, so equal data gives equal numbers.

    Attributes:
        users: Consumer ids.
        items: Item ids.
        category: int64 (n_items,), number of each item's category; all 0 where none was given.
        rows: `user`, `item`, `basket` (int64, baskets in order of time), `at` and `gone` (UTC; from when on
            nothing of it was kept, null where something is); one row a basket and item.
    """

    users: list[str]
    items: list[str]
    category: Indices
    rows: pl.DataFrame

    @classmethod
    def of(cls, purchases: Purchases, until: datetime) -> Catalogue:
        """Number what was known at a moment, and before it."""
        kept = purchases.until(until).states()
        users, items = (sorted(kept[name].unique().to_list()) for name in ("consumer_id", "item_id"))
        baskets = (
            kept.group_by("consumer_id", "basket_id")
            .agg(start=pl.col("at").min())
            .sort("start", "consumer_id", "basket_id")
            .with_columns(basket=pl.int_range(pl.len(), dtype=pl.Int64))
        )
        stands = pl.col("superseded_at").is_null().any()
        rows = (
            kept.join(baskets, on=["consumer_id", "basket_id"])
            .group_by(
                user=pl.col("consumer_id").cast(pl.Enum(users)).to_physical().cast(pl.Int64),
                item=pl.col("item_id").cast(pl.Enum(items)).to_physical().cast(pl.Int64),
                basket="basket",
                at="start",
            )
            .agg(gone=pl.when(~stands).then(pl.col("superseded_at").max()))
            .sort("user", "item", "basket")
        )
        return cls(users, items, _categories(kept), rows)

    def kept(self) -> Catalogue:
        """What is not sent back, numbered anew: whom and what nothing is kept of is not in it."""
        rows = self.rows.filter(pl.col("gone").is_null()).drop("gone")
        users, items = (np.unique(rows[name].to_numpy()) for name in ("user", "item"))
        numbered = rows.with_columns(
            user=pl.Series(np.searchsorted(users, rows["user"].to_numpy()), dtype=pl.Int64),
            item=pl.Series(np.searchsorted(items, rows["item"].to_numpy()), dtype=pl.Int64),
            basket=pl.col("basket").rank("dense").cast(pl.Int64) - 1,
        )
        return Catalogue(
            [self.users[user] for user in users.tolist()],
            [self.items[item] for item in items.tolist()],
            self.category[items],
            numbered,
        )

    def history(self, rows: pl.DataFrame, moment: datetime | None) -> History:
        """Some of the rows as histories.

        Args:
            rows: A part of `rows`, in its order.
            moment: Ages count back from here; None: from each consumer's last basket.
        """
        placed = rows.with_columns(
            place=pl.col("basket").rank("dense", descending=True).over("user").cast(pl.Int64) - 1,
            total=pl.col("basket").n_unique().over("user").cast(pl.Int64),
            end=pl.col("at").max().over("user") if moment is None else pl.lit(moment),
        ).with_columns(age=(pl.col("end") - pl.col("at")).dt.total_microseconds() / _MICROS_A_DAY)
        return History(
            len(self.users),
            len(self.items),
            self.category,
            *(placed[name].to_numpy() for name in ("user", "item", "place", "total", "age")),
        )

    def without_last(self) -> tuple[pl.DataFrame, sp.csr_matrix]:
        """Rows without each consumer's last basket, and that basket as 0/1 CSR (n_users, n_items).

        What was sent back when the last basket came, or later, is a part of the history, and never of that
        basket. A consumer with one basket keeps it and has nothing held out.
        """
        stands = pl.col("gone").is_null()
        columns = self.rows.columns
        flagged = (
            self.rows.with_columns(last=pl.col("basket").filter(stands).max().over("user"))
            .with_columns(came=pl.col("at").filter(pl.col("basket") == pl.col("last")).first().over("user"))
            .with_columns(
                is_before=(pl.col("basket") < pl.col("last")) & (stands | (pl.col("gone") >= pl.col("came")))
            )
            .with_columns(has_before=pl.col("is_before").any().over("user"))
        )
        held_out = flagged.filter(stands & (pl.col("basket") == pl.col("last")) & pl.col("has_before"))
        before = flagged.filter(pl.col("is_before") | (stands & ~pl.col("has_before")))
        return before.select(columns), self._flags(held_out)

    def window(self, origin: datetime, days: float) -> tuple[pl.DataFrame, sp.csr_matrix]:
        """Rows as they were known at an origin, and what was kept of the days after it as 0/1 CSR."""
        end, stands = origin + timedelta(days=days), pl.col("gone").is_null()
        before = self.rows.filter((pl.col("at") <= origin) & (stands | (pl.col("gone") > origin)))
        after = (pl.col("at") > origin) & (pl.col("at") <= end)
        return before, self._flags(self.rows.filter(after & stands))

    def _flags(self, rows: pl.DataFrame) -> sp.csr_matrix:
        shape = (len(self.users), len(self.items))
        places = rows["user"].to_numpy(), rows["item"].to_numpy()
        out = sp.csr_matrix((np.ones(rows.height, np.float32), places), shape=shape)
        out.sum_duplicates()
        out.data[:] = 1
        return out


@dataclass(frozen=True)
class History:
    """What everybody bought before a moment; arrays of one length, ordered by (user, item, basket).

    Attributes:
        n_users: Number of consumers.
        n_items: Number of items.
        category: int64 (n_items,), category of each item.
        user: int64.
        item: int64.
        place: int64, baskets of the consumer after this one.
        total: int64, baskets of the consumer.
        age: float64, days.
    """

    n_users: int
    n_items: int
    category: Indices
    user: Indices
    item: Indices
    place: Indices
    total: Indices
    age: npt.NDArray[np.float64]

    @property
    def n_categories(self) -> int:
        """Number of categories."""
        return int(self.category.max(initial=0)) + 1

    def matrix(self, value: npt.NDArray[np.float64]) -> sp.csr_matrix:
        """A value a row as float32 CSR (n_users, n_items), equal places added up."""
        shape = (self.n_users, self.n_items)
        out = sp.csr_matrix((value.astype(np.float32), (self.user, self.item)), shape=shape)
        out.sum_duplicates()
        return out

    def counts(self) -> sp.csr_matrix:
        """Baskets with the item: float32 CSR (n_users, n_items)."""
        return self.matrix(np.ones(len(self.user)))

    def tifu(self, params: TifuParams) -> sp.csr_matrix:
        """TIFU vectors: float32 CSR (n_users, n_items)."""
        return self.matrix(basket_weights(self.total - 1 - self.place, self.total, params))

    def shares(self, recency: int) -> sp.csr_matrix:
        """Share of the last `recency` baskets with the item: float32 CSR (n_users, n_items)."""
        weight = (self.place < recency) / np.minimum(self.total, recency)
        out = self.matrix(weight)
        out.eliminate_zeros()
        return out


def _categories(kept: pl.DataFrame) -> Indices:
    if "category_id" not in kept.columns:
        return np.zeros(kept["item_id"].n_unique(), np.int64)
    names = kept.group_by("item_id").agg(pl.col("category_id").max()).sort("item_id")["category_id"]
    return (names.fill_null("").rank("dense").cast(pl.Int64) - 1).to_numpy()


def popularity_of(counts: sp.csr_matrix) -> Floats:
    """Baskets with the item over all consumers: float32 (n_items,)."""
    return np.asarray(counts.sum(axis=0), dtype=np.float32).ravel()
