"""Order lines as indexed purchases: who bought what, in which basket, where and when.

Here: validation of the input frame, stable integer ids, time slices, sparse counts. No model lives here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from models.errors import ModelError
from models.states import STATE_COLUMNS, known_at, with_states

REQUIRED_COLUMNS = (
    "order_id",
    "consumer_id",
    "merchant_id",
    "sku_id",
    "category_l2_id",
    "category_l3_id",
    "placed_at",
    "qty",
)
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Interactions:
    """Purchases with integer ids; every id list is sorted, so equal data gives equal ids.

    Attributes:
        consumers: Sorted consumer ids.
        skus: Sorted sku ids.
        merchants: Sorted merchant ids.
        frame: `user`, `item`, `merchant`, `basket`, `category` (number as in `item_l3`), `qty` (float64),
            `at`, `received` and `superseded` (UTC); one row per basket, sku and state, ordered by
            (at, basket, item). Baskets are numbered by (time, order id). A state was known from `received`
            until `superseded` (null: it stands).
        item_l2: Sku index to second-level category name.
        item_l3: Sku index to third-level category number; equal number, equal category.
    """

    consumers: list[str]
    skus: list[str]
    merchants: list[str]
    frame: pl.DataFrame
    item_l2: list[str]
    item_l3: Indices

    @property
    def n_users(self) -> int:
        """Number of consumers."""
        return len(self.consumers)

    @property
    def n_items(self) -> int:
        """Number of skus."""
        return len(self.skus)

    def until(self, moment: datetime) -> pl.DataFrame:
        """Rows at or before `moment`, as they were known then."""
        return self._placed(None, moment).filter(_known_at(moment))

    def between(self, start: datetime, end: datetime, known: datetime | None = None) -> pl.DataFrame:
        """Rows in `(start, end]` as they were known at `known`, by default as they stand."""
        standing = pl.col("superseded").is_null()
        return self._placed(start, end).filter(standing if known is None else _known_at(known))

    def _placed(self, start: datetime | None, end: datetime) -> pl.DataFrame:
        at = self.frame["at"]
        first = 0 if start is None else int(at.search_sorted(start, side="right"))
        last = int(at.search_sorted(end, side="right"))
        return self.frame.slice(first, max(last - first, 0))

    def counts(self, rows: pl.DataFrame) -> sp.csr_matrix:
        """Baskets with the sku: float32 CSR (n_users, n_items)."""
        return self.matrix(rows["user"].to_numpy(), rows["item"].to_numpy(), np.ones(rows.height, np.float32))

    def matrix(self, user: Indices, item: Indices, value: Floats) -> sp.csr_matrix:
        """Sparse (n_users, n_items) with equal places added up, columns sorted."""
        out = sp.csr_matrix((value, (user, item)), shape=(self.n_users, self.n_items), dtype=np.float32)
        out.sum_duplicates()
        return out

    def buyers(self, moment: datetime, days: int) -> Floats:
        """Distinct consumers that bought each sku in the `days` up to `moment`: float32 (n_items,)."""
        recent = self.until(moment).filter(pl.col("at") > moment - timedelta(days=days))
        rows = recent.select("user", "item").unique()
        return np.bincount(rows["item"].to_numpy(), minlength=self.n_items).astype(np.float32)


def merchandise(lines: pl.DataFrame) -> pl.DataFrame:
    """The columns that recommendations need, merchandise only, complete keys only.

    Args:
        lines: `core.fct_order_lines`; `is_merchandise` and `STATE_COLUMNS` are honoured where they are
            present.

    Returns:
        Frame of `REQUIRED_COLUMNS` and `STATE_COLUMNS`; unknown categories are `unknown`.

    Raises:
        ModelError: A required column is missing.
    """
    missing = [name for name in REQUIRED_COLUMNS if name not in lines.columns]
    if missing:
        raise ModelError(f"order lines lack {', '.join(missing)}; pass core.fct_order_lines")
    if "is_merchandise" in lines.columns:
        lines = lines.filter(pl.col("is_merchandise"))
    return (
        with_states(lines)
        .select(*REQUIRED_COLUMNS, *STATE_COLUMNS)
        .drop_nulls(["order_id", "merchant_id", "sku_id", "placed_at"])
        .with_columns(
            pl.col("placed_at", *STATE_COLUMNS).cast(pl.Datetime("us", "UTC")),
            pl.col("category_l2_id", "category_l3_id").fill_null("unknown"),
            pl.col("qty").cast(pl.Float64).fill_null(1),
        )
    )


def index_lines(lines: pl.DataFrame, as_of: datetime) -> Interactions:
    """Index the lines of known consumers up to `as_of`; guest orders (no consumer) are left out.

    Args:
        lines: See `merchandise`.
        as_of: Rows placed or received later are dropped before anything is counted, numbered or named.

    Returns:
        The purchases. Works on zero rows.
    """
    moment = as_of.astimezone(UTC)
    rows = (
        merchandise(lines)
        .filter(
            (pl.col("placed_at") <= moment)
            & (pl.col("received_at") <= moment)
            & pl.col("consumer_id").is_not_null()
        )
        .with_columns(superseded=pl.when(pl.col("superseded_at") <= moment).then("superseded_at"))
    )
    consumers, skus, merchants = (
        sorted(rows[name].unique().to_list()) for name in ("consumer_id", "sku_id", "merchant_id")
    )
    baskets = (
        rows.group_by("order_id")
        .agg(at=pl.col("placed_at").min())
        .sort("at", "order_id")
        .with_columns(basket=pl.int_range(pl.len(), dtype=pl.Int64))
    )
    categories = rows.group_by("sku_id").agg(pl.col("category_l2_id", "category_l3_id").max()).sort("sku_id")
    l3 = categories["category_l3_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    frame = (
        rows.with_columns(
            user=_number("consumer_id", consumers),
            item=_number("sku_id", skus),
            merchant=_number("merchant_id", merchants),
        )
        .join(baskets, on="order_id")
        .rename({"received_at": "received"})
        .group_by("user", "item", "basket", "received", "superseded")
        .agg(pl.col("merchant", "at").min(), pl.col("qty").sum())
        .sort("at", "basket", "item", "user", "received")
    )
    frame = frame.with_columns(category=pl.Series(l3[frame["item"].to_numpy()], dtype=pl.Int64))
    return Interactions(consumers, skus, merchants, frame, categories["category_l2_id"].to_list(), l3)


def _known_at(moment: datetime) -> pl.Expr:
    """Whether a state was known at a moment."""
    return known_at(moment, received="received", superseded="superseded")


def _number(column: str, names: list[str]) -> pl.Expr:
    return pl.col(column).cast(pl.Enum(names)).to_physical().cast(pl.Int64)
