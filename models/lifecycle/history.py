"""Order lines as the two tables that the lifecycle features need, with integer codes for ids.

One row an order, and one row a consumer, product type and order. Nothing here knows an origin or a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from models.errors import ModelError

COLUMNS = (
    "order_id", "consumer_id", "merchant_id", "category_l2_id", "category_l3_id", "placed_at", "qty",
    "list_price_cents", "promo_discount_cents", "coupon_discount_cents", "net_paid_cents", "is_merchandise",
)  # fmt: skip
MICROS_A_DAY = 86_400_000_000.0


@dataclass(frozen=True)
class History:
    """What is known up to a moment.

    Attributes:
        orders: `consumer` (int32 code), `at` (UTC), `merchant` (int32 code), `net_cents`, `list_cents`,
            `promo_cents`, `coupon_cents`, `qty`, `lines`, `kinds` (product types), `groups` (second-level
            categories), `is_goods` (any merchandise); all lines, ordered by (consumer, at, order).
        purchases: `consumer`, `kind` (int32 code of the third-level category), `at`, `qty`, `net_cents`;
            merchandise of known product types only, one row an order, ordered by (consumer, kind, at).
        consumers: Consumer ids, ascending; the code is the place.
        kinds: Third-level category ids, ascending; the code is the place.
        merchants: Merchant ids, ascending; the code is the place.
        line_count: Order lines read.
    """

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


def read_history(lines: pl.DataFrame, as_of: datetime) -> History:
    """Sum order lines up to a moment.

    Args:
        lines: Lines of `core.fct_order_lines`, non-merchandise included: a visit for fuel is a visit.
        as_of: Moment of knowledge, tz-aware UTC; later rows are dropped first.

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
    known = lines.lazy().select(COLUMNS).filter(pl.col("placed_at") <= as_of).collect()
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
        group=pl.col("category_l2_id").rank("dense"),
        at=pl.col("placed_at"),
        net_cents=pl.col("net_paid_cents"),
        list_cents=pl.col("list_price_cents"),
        promo_cents=pl.col("promo_discount_cents"),
        coupon_cents=pl.col("coupon_discount_cents"),
    ).filter(pl.col("consumer").is_not_null())
    goods = pl.col("is_merchandise").fill_null(False)
    orders = (
        coded.group_by("consumer", "at", "order_id")
        .agg(
            pl.col("merchant").min(),
            pl.col("net_cents", "list_cents", "promo_cents", "coupon_cents").sum(),
            # Quantities of fuel and coupon lines are not units.
            qty=pl.col("qty").filter(goods).sum(),
            lines=pl.len(),
            kinds=pl.col("kind").filter(goods).n_unique(),
            groups=pl.col("group").filter(goods).n_unique(),
            is_goods=goods.any(),
        )
        .sort("consumer", "at", "order_id")
        .drop("order_id")
    )
    purchases = (
        coded.filter(goods & pl.col("kind").is_not_null())
        .group_by("consumer", "kind", "at", "order_id")
        .agg(pl.col("qty", "net_cents").sum())
        .sort("consumer", "kind", "at", "order_id")
        .drop("order_id")
    )
    return History(orders, purchases, consumers, kinds, merchants, known.height)


def age_days(origin: datetime) -> pl.Expr:
    """Days from `at` to `origin` as float64."""
    return (pl.lit(origin) - pl.col("at")).dt.total_microseconds() / MICROS_A_DAY


def _code(column: str, names: pl.Series, alias: str) -> pl.Expr:
    if len(names) == 0:
        return pl.lit(None, dtype=pl.Int32).alias(alias)
    codes = pl.Series(range(len(names)), dtype=pl.Int32)
    return pl.col(column).replace_strict(names, codes, default=None).alias(alias)
