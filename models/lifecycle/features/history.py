"""Order lines as the two tables that lists and rebuy features need, with integer codes for ids.

One row an order and state, and one row a consumer, product type, order and state: an order that was
corrected, cancelled or received late is there in every state that was known at some time. Nothing here knows
an origin or a label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import polars as pl

from models.errors import ModelError

COLUMNS = (
    "order_id", "consumer_id", "merchant_id", "category_l3_id", "placed_at", "qty", "net_paid_cents",
    "is_merchandise", "received_at", "superseded_at",
)  # fmt: skip
MICROS_A_DAY = 86_400_000_000.0


@dataclass(frozen=True)
class History:
    """What was known at any moment up to `as_of`.

    Attributes:
        as_of: Moment of knowledge.
        orders: `consumer` (int32 code), `at` (UTC), `merchant` (int32 code), `net_cents`, all lines; ordered
            by (consumer, at, order).
        purchases: `consumer`, `kind` (int32 code of the third-level category), `at`, `qty`; merchandise of
            known product types only, one row an order, ordered by (consumer, kind, at).
        consumers: Consumer ids, ascending; the code is the place.
        kinds: Third-level category ids, ascending; the code is the place.
        merchants: Merchant ids, ascending; the code is the place.
        line_count: Order lines read.

    Both tables also have `received` and `superseded`: a state of an order was known from the one until the
    other (null: it stands).
    """

    as_of: datetime
    orders: pl.DataFrame
    purchases: pl.DataFrame
    consumers: pl.Series
    kinds: pl.Series
    merchants: pl.Series
    line_count: int

    @property
    def earliest(self) -> datetime | None:
        """Time of the first order, None without orders."""
        found = self.orders["at"].min()
        return found if isinstance(found, datetime) else None

    def known(self, moment: datetime) -> History:
        """The orders up to a moment as they were known then: one state an order."""
        return self.between(None, moment, moment)

    def between(self, since: datetime | None, until: datetime, known: datetime) -> History:
        """The orders of `(since, until]` as they were known at `known`; the tables alone are cut."""
        kept = (
            (pl.col("at") <= until)
            & (pl.col("received") <= known)
            & (pl.col("superseded").is_null() | (pl.col("superseded") > known))
        )
        if since is not None:
            kept = kept & (pl.col("at") > since)
        return replace(self, orders=self.orders.filter(kept), purchases=self.purchases.filter(kept))


def read_history(lines: pl.DataFrame, as_of: datetime) -> History:
    """Sum order lines up to a moment.

    Args:
        lines: Sale lines in every state that was known at some time, non-merchandise included: a visit for
            fuel is a visit. The lines of a state of an order share `received_at` and `superseded_at`.
        as_of: Moment of knowledge, tz-aware UTC; what was placed or received later is dropped first.

    Returns:
        The history; zero rows give zero rows.

    Raises:
        ModelError: A required column is missing.
        ValueError: `as_of` has no time zone.
    """
    if missing := [name for name in COLUMNS if name not in lines.columns]:
        raise ModelError(
            f"lifecycle: order lines lack the columns {', '.join(missing)}; rebuild the warehouse"
        )
    if as_of.tzinfo is None:
        raise ValueError(f"as_of {as_of.isoformat()} has no time zone; times are UTC here")
    up_to = (pl.col("placed_at") <= as_of) & (pl.col("received_at") <= as_of)
    known = lines.lazy().select(COLUMNS).filter(up_to).collect()
    consumers, kinds, merchants = (
        known[name].drop_nulls().unique().sort() for name in ("consumer_id", "category_l3_id", "merchant_id")
    )
    coded = known.select(
        "order_id",
        "is_merchandise",
        "qty",
        _code("consumer_id", consumers, "consumer"),
        _code("merchant_id", merchants, "merchant"),
        _code("category_l3_id", kinds, "kind"),
        at=pl.col("placed_at"),
        received=pl.col("received_at"),
        superseded=pl.col("superseded_at"),
        net_cents=pl.col("net_paid_cents"),
    ).filter(pl.col("consumer").is_not_null())
    state = ("at", "order_id", "received", "superseded")
    orders = (
        coded.group_by("consumer", *state)
        .agg(pl.col("merchant").min(), pl.col("net_cents").sum())
        .sort("consumer", *state)
        .drop("order_id")
    )
    purchases = (
        coded.filter(pl.col("is_merchandise").fill_null(False) & pl.col("kind").is_not_null())
        .group_by("consumer", "kind", *state)
        .agg(pl.col("qty").sum())
        .sort("consumer", "kind", *state)
        .drop("order_id")
    )
    return History(as_of, orders, purchases, consumers, kinds, merchants, known.height)


def age_days(origin: datetime) -> pl.Expr:
    """Days from `at` to `origin` as float64."""
    return (pl.lit(origin) - pl.col("at")).dt.total_microseconds() / MICROS_A_DAY


def _code(column: str, names: pl.Series, alias: str) -> pl.Expr:
    if len(names) == 0:
        return pl.lit(None, dtype=pl.Int32).alias(alias)
    codes = pl.Series(range(len(names)), dtype=pl.Int32)
    return pl.col(column).replace_strict(names, codes, default=None).alias(alias)
