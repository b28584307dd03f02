"""A documented subset of tags by pandas and by Polars, as a careful analyst would write them; untimed.

Both take the same frames (`orders`, `lines`, `events` of the registry's tables) and give one row a consumer,
sorted by id, with the columns `SUBSET`. Rows count when they happened and were received by the moment and
were not superseded by then; a window is `(moment - days, moment]`; money is in minor units.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

Frames = Mapping[str, Any]

_SPANS = (7, 30, 60, 90, 180, 365)
_YEAR_AND_QUARTER = (90, 365)
_ACTIONS = {"search_count": "search", "add_to_cart": "add_to_cart", "product_views": "view"}
COUNTED = (
    *(f"orders_{days}d" for days in _SPANS),
    *(f"net_spend_{days}d" for days in _SPANS),
    *(f"{name}_{days}d" for days in _YEAR_AND_QUARTER for name in ("purchase_days", "units", "skus")),
    "list_spend_365d",
    *(f"sessions_{days}d" for days in (7, 30, 90)),
    *(f"days_visited_{days}d" for days in (30, 90)),
    *(f"{name}_30d" for name in _ACTIONS),
    "events_30d",
    "distinct_products_viewed_30d",
)
"""Tags that are 0 where there is no row."""
SUBSET = (
    *COUNTED,
    "recency_days",
    "order_value_median_365d",
    "min_order_value_365d",
    "coupon_order_share_365d",
    "weekend_share",
    "lines_per_order_365d",
    "top_category_l1_365d",
    "top_category_l2_365d",
)


def by_polars(frames: Frames, consumers: pl.DataFrame, as_of: datetime, offset: timedelta) -> pl.DataFrame:
    """The tags by lazy Polars: one grouping a table, one more a category level.

    Args:
        frames: Polars frames by name.
        consumers: `consumer_id`, sorted.
        as_of: The moment, UTC.
        offset: Local time minus UTC.
    """

    def known(name: str, time: str, mask: pl.Expr) -> pl.LazyFrame:
        frame = frames[name].lazy()
        told = (pl.col(time) <= as_of) & (pl.col("received_at") <= as_of) & mask
        if "superseded_at" in frames[name].columns:
            until = pl.col("superseded_at")
            told &= until.is_null() | (until > as_of)
        return frame.filter(told)

    def within(time: str, days: int) -> pl.Expr:
        return pl.col(time) > as_of - timedelta(days=days)

    def day(time: str) -> pl.Expr:
        return (pl.col(time) + offset).dt.date()

    sale, in_year = pl.col("is_sale"), within("placed_at", 365)
    orders = known("orders", "placed_at", pl.lit(value=True)).group_by("consumer_id").agg(
        *((sale & within("placed_at", d)).sum().alias(f"orders_{d}d") for d in _SPANS),
        *(
            pl.col("net_sales_cents").filter(pl.col("is_counted") & within("placed_at", d)).sum()
            .alias(f"net_spend_{d}d")
            for d in _SPANS
        ),
        *(
            day("placed_at").filter(sale & within("placed_at", d)).n_unique().alias(f"purchase_days_{d}d")
            for d in _YEAR_AND_QUARTER
        ),
        recency_days=(pl.lit(as_of) - pl.col("placed_at").filter(sale).max()).dt.total_days(),
        order_value_median_365d=(pl.col("sold_cents").filter(sale & in_year).median() + 0.5).floor(),
        min_order_value_365d=pl.col("sold_cents").filter(sale & in_year).min(),
        coupon_order_share_365d=pl.col("has_coupon").filter(sale & in_year).mean(),
        weekend_share=((pl.col("placed_at") + offset).dt.weekday() >= 6).filter(sale & in_year).mean(),
    )  # fmt: skip
    bought = known("lines", "placed_at", sale & in_year)
    goods = pl.col("is_merchandise")
    lines = bought.group_by("consumer_id").agg(
        *(
            pl.col("qty").filter(goods & within("placed_at", d)).sum().alias(f"units_{d}d")
            for d in _YEAR_AND_QUARTER
        ),
        *(
            pl.col("sku_id").filter(goods & within("placed_at", d)).n_unique().alias(f"skus_{d}d")
            for d in _YEAR_AND_QUARTER
        ),
        list_spend_365d=pl.col("list_price_cents").sum(),
        lines_per_order_365d=pl.when(goods.any()).then(
            goods.sum() / pl.col("order_id").filter(goods).n_unique()
        ),
    )
    tops = []
    for level in ("l1", "l2"):
        category = f"category_{level}_id"
        net = bought.filter(goods).group_by("consumer_id", category).agg(pl.col("net_paid_cents").sum())
        best = net.filter(pl.col("net_paid_cents") > 0).sort(
            "consumer_id", "net_paid_cents", category, descending=[False, True, False]
        )
        first = best.group_by("consumer_id", maintain_order=True).first()
        tops.append(first.select("consumer_id", pl.col(category).alias(f"top_category_{level}_365d")))
    month = within("occurred_at", 30)
    events = known("events", "occurred_at", within("occurred_at", 90)).group_by("consumer_id").agg(
        *(
            pl.col("session_id").filter(within("occurred_at", d)).n_unique().alias(f"sessions_{d}d")
            for d in (7, 30, 90)
        ),
        *(
            day("occurred_at").filter(within("occurred_at", d)).n_unique().alias(f"days_visited_{d}d")
            for d in (30, 90)
        ),
        *(
            (month & (pl.col("event_type") == kind)).sum().alias(f"{name}_30d")
            for name, kind in _ACTIONS.items()
        ),
        events_30d=month.sum(),
        distinct_products_viewed_30d=pl.col("sku_id")
        .filter(month & (pl.col("event_type") == "view"))
        .drop_nulls()
        .n_unique(),
    )  # fmt: skip
    joined = consumers.lazy()
    for part in (orders, lines, *tops, events):
        joined = joined.join(part, on="consumer_id", how="left")
    return (
        joined.select("consumer_id", *(pl.col(n).fill_null(0) if n in COUNTED else n for n in SUBSET))
        .sort("consumer_id")
        .collect()
    )


def by_pandas(frames: Frames, consumers: pl.DataFrame, as_of: datetime, offset: timedelta) -> pl.DataFrame:
    """The tags by pandas: one mask a window, grouped by the built-in aggregations (no `apply`).

    Args:
        frames: pandas frames by name.
        consumers: `consumer_id`, sorted.
        as_of: The moment, UTC.
        offset: Local time minus UTC.
    """
    moment = pd.Timestamp(as_of)

    def known(name: str, time: str) -> pd.DataFrame:
        frame = frames[name]
        told = (frame[time] <= moment) & (frame["received_at"] <= moment)
        if "superseded_at" in frame:
            told &= frame["superseded_at"].isna() | (frame["superseded_at"] > moment)
        return frame[told]

    def since(frame: pd.DataFrame, time: str, days: int) -> pd.DataFrame:
        return frame[frame[time] > moment - timedelta(days=days)]

    found: dict[str, pd.Series] = {}
    everything = known("orders", "placed_at")
    money, orders = everything[everything["is_counted"]], everything[everything["is_sale"]]
    local = orders["placed_at"] + offset
    orders = orders.assign(day=local.dt.floor("D"), weekend=local.dt.dayofweek >= 5)
    for days in _SPANS:
        found[f"orders_{days}d"] = since(orders, "placed_at", days).groupby("consumer_id").size()
        window = since(money, "placed_at", days).groupby("consumer_id")
        found[f"net_spend_{days}d"] = window["net_sales_cents"].sum()
    newest = orders.groupby("consumer_id")["placed_at"].max()
    found["recency_days"] = (moment - newest).dt.days
    year = since(orders, "placed_at", 365).groupby("consumer_id")
    found["order_value_median_365d"] = np.floor(year["sold_cents"].median() + 0.5)
    found["min_order_value_365d"] = year["sold_cents"].min()
    found["coupon_order_share_365d"] = year["has_coupon"].mean()
    found["weekend_share"] = year["weekend"].mean()
    lines = known("lines", "placed_at")
    lines = since(lines[lines["is_sale"]], "placed_at", 365)
    goods = lines[lines["is_merchandise"]]
    for days in _YEAR_AND_QUARTER:
        window = since(orders, "placed_at", days).groupby("consumer_id")
        found[f"purchase_days_{days}d"] = window["day"].nunique()
        window = since(goods, "placed_at", days).groupby("consumer_id")
        found[f"units_{days}d"], found[f"skus_{days}d"] = window["qty"].sum(), window["sku_id"].nunique()
    found["list_spend_365d"] = lines.groupby("consumer_id")["list_price_cents"].sum()
    by_consumer = goods.groupby("consumer_id")
    found["lines_per_order_365d"] = by_consumer.size() / by_consumer["order_id"].nunique()
    for level in ("l1", "l2"):
        category = f"category_{level}_id"
        net = goods.groupby(["consumer_id", category], as_index=False)["net_paid_cents"].sum()
        best = net[net["net_paid_cents"] > 0].sort_values(
            ["consumer_id", "net_paid_cents", category], ascending=[True, False, True]
        )
        found[f"top_category_{level}_365d"] = best.groupby("consumer_id")[category].first()
    events = since(known("events", "occurred_at"), "occurred_at", 90)
    events = events.assign(day=(events["occurred_at"] + offset).dt.floor("D"))
    for days in (7, 30, 90):
        window = since(events, "occurred_at", days).groupby("consumer_id")
        found[f"sessions_{days}d"] = window["session_id"].nunique()
        if days > 7:
            found[f"days_visited_{days}d"] = window["day"].nunique()
    month = since(events, "occurred_at", 30)
    found["events_30d"] = month.groupby("consumer_id").size()
    for name, kind in _ACTIONS.items():
        found[f"{name}_30d"] = month[month["event_type"] == kind].groupby("consumer_id").size()
    viewed = month[month["event_type"] == "view"].groupby("consumer_id")
    found["distinct_products_viewed_30d"] = viewed["sku_id"].nunique()
    joined = pd.DataFrame(found, index=pd.Index(consumers["consumer_id"].to_list(), name="consumer_id"))
    joined[list(COUNTED)] = joined[list(COUNTED)].fillna(0)
    return pl.from_pandas(joined.reset_index()).select("consumer_id", *SUBSET)
