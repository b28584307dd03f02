"""Anybody's purchases as the order lines of this family, and their tags by the feature store's definitions.

The tags come from a DuckDB in this process; nothing is written to disk.
"""

from __future__ import annotations

import duckdb
import polars as pl

from feature_store.point_in_time import training_set
from feature_store.registry import load_registry
from models.data import Purchases
from models.lifecycle.features.churn_features import TagReader
from models.states import STATE_COLUMNS

_ORDERS = "intermediate.int_orders_known"
_STATE = ("order_id", *STATE_COLUMNS)


def order_lines(purchases: Purchases) -> pl.DataFrame:
    """Purchases as the lines that `read_history` reads.

    Args:
        purchases: A basket is an order. Without categories each item is a product type of its own, without
            values every line is worth nothing.

    Returns:
        `history.COLUMNS`. An order of which something came back is there as it was until then and as it was
        since; one that came back wholly has no state since.
    """
    lines = purchases.states()
    named = lines.select(
        pl.col("basket_id").alias("order_id"),
        "consumer_id",
        (pl.col("merchant_id") if "merchant_id" in lines.columns else pl.lit("")).alias("merchant_id"),
        pl.col("category_id" if "category_id" in lines.columns else "item_id").alias("category_l3_id"),
        pl.col("at").alias("placed_at"),
        pl.col("quantity").alias("qty"),
        (pl.col("value_cents") if "value_cents" in lines.columns else pl.lit(0.0))
        .round()
        .cast(pl.Int64)
        .alias("net_paid_cents"),
        pl.lit(value=True).alias("is_merchandise"),
        *STATE_COLUMNS,
    )
    return _states_of_orders(named)


def _states_of_orders(lines: pl.DataFrame) -> pl.DataFrame:
    """Cut the lines of an order at the moments at which any of them changed: they share their states then."""
    begin, end = STATE_COLUMNS
    changed = lines.filter(pl.col(end).is_not_null())["order_id"].unique()
    touched = lines.filter(pl.col("order_id").is_in(changed.implode()))
    if touched.is_empty():
        return lines
    moments = pl.concat(
        [touched.select("order_id", at=begin), touched.select("order_id", at=end).drop_nulls()]
    )
    pieces = (
        moments.unique()
        .sort("order_id", "at")
        .select("order_id", since="at", until=pl.col("at").shift(-1).over("order_id"))
    )
    holds = (pl.col(begin) <= pl.col("since")) & (pl.col(end).is_null() | (pl.col(end) > pl.col("since")))
    cut = (
        touched.join(pieces, on="order_id", maintain_order="left")
        .filter(holds)
        .with_columns(pl.col("since").alias(begin), pl.col("until").alias(end))
        .select(lines.columns)
    )
    rest = lines.filter(~pl.col("order_id").is_in(changed.implode()))
    return pl.concat([rest, cut]).sort("placed_at", "order_id", begin, maintain_order=True)


def tags_of_orders(lines: pl.DataFrame, time_zone: str = "UTC") -> TagReader:
    """The store's reader of the tags that orders alone define.

    Args:
        lines: As for `read_history`; an order in each of its states.
        time_zone: IANA zone of local hours and days.
    """
    connection = warehouse_of_orders(lines)
    return lambda moments, names: training_set(connection, moments, names, time_zone=time_zone).select(names)


def warehouse_of_orders(lines: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory in which the orders of some lines stand where tags read them.

    Args:
        lines: As for `tags_of_orders`.
    """
    orders = lines.group_by(_STATE, maintain_order=True).agg(
        pl.col("consumer_id", "merchant_id", "placed_at").first(),
        is_counted=pl.lit(value=True),
        is_sale=pl.lit(value=True),
        sold_cents=pl.col("net_paid_cents").sum(),
        net_sales_cents=pl.col("net_paid_cents").sum(),
        has_coupon=pl.lit(value=False),
    )
    # Tags that no model reads may ask for more columns: they are there, and empty.
    absent = {
        name: kind
        for source in load_registry().sources.values()
        if source.table == _ORDERS
        for name, kind in source.columns.items()
        if name not in orders.columns
    }
    nulls = "".join(f", cast(null as {kind}) as {name}" for name, kind in absent.items())
    connection = duckdb.connect()
    connection.execute("set timezone='UTC'; set threads=1; create schema intermediate")
    connection.register("orders", orders)
    connection.execute(f"create table {_ORDERS} as select *{nulls} from orders")
    connection.unregister("orders")
    return connection
