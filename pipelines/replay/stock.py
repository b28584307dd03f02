"""Stock of the lake in the operational database: how much there is, and in which warehouse it lies."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import psycopg

from pipelines.lake.tables import Lake
from pipelines.replay.bulk import insert, tenant_of
from pipelines.replay.catalogue import current
from pipelines.replay.selection import UTC_US, Selection
from pipelines.sources.recorded.streams import MOVEMENT_PREFIX
from serving.db import locks

_KEY = ("supplier_id", "sku_id")


def load_stock(connection: psycopg.Connection, lake: Lake, selection: Selection, as_of: datetime) -> int:
    """Write stock on hand, where it lies, and what orders reserve that are not shipped yet.

    On hand is what the offer stated plus what moved since, as the warehouse of facts reckons it. It lies
    where all movements have brought it, if they add up to that in warehouses that the supplier can ship from;
    else it is not known where it lies. Stock that the database knows keeps what is reserved, and stays as it
    is where its count is as new as the feed, or where units moved after `as_of`: the next run sees them.

    Args:
        connection: Inside a transaction of the tenant.
        lake: The accepted tables.
        selection: The orders that are replayed.
        as_of: Business time (UTC).

    Returns:
        Stock rows written.
    """
    counted = _newer(connection, _counted(lake, as_of), as_of)
    lies = _where_it_lies(connection, lake, counted, as_of)
    waiting = (
        selection.lines.join(
            selection.sub_orders.filter(pl.col("shipped_at").is_null()),
            on=["order_id", "supplier_id"],
        )
        .group_by(_KEY)
        .agg(pl.col("qty").sum().alias("reserved_qty"))
    )
    rows = (
        counted.join(lies.select(*_KEY, is_by_warehouse=True).unique(), on=_KEY, how="left")
        .join(waiting, on=_KEY, how="left")
        .with_columns(pl.col("is_by_warehouse").fill_null(False), pl.col("reserved_qty").fill_null(0))
    )
    written = insert(
        connection,
        "orders.stock",
        rows,
        "(tenant_id, supplier_id, sku_id) do update set on_hand_qty = excluded.on_hand_qty,"
        " is_by_warehouse = excluded.is_by_warehouse, source_at = excluded.source_at",
    )
    emptied = (
        _known_parts(connection)
        .join(lies, on=_KEY, how="semi")
        .join(lies, on=[*_KEY, "warehouse_id"], how="anti")
    )
    insert(
        connection,
        "orders.warehouse_stock",
        pl.concat([lies, emptied.with_columns(on_hand_qty=pl.lit(0, pl.Int64))]),
        "(tenant_id, supplier_id, sku_id, warehouse_id) do update set on_hand_qty = excluded.on_hand_qty",
    )
    return written


def _counted(lake: Lake, as_of: datetime) -> pl.DataFrame:
    """Units on hand by supplier and sku, and how new the feed's own word of them is."""
    offers = current(lake, "offers", _KEY, as_of, stated="stock_qty")
    is_of_feed = ~pl.col("movement_id").str.starts_with(MOVEMENT_PREFIX)
    moved = (
        lake.scan("inventory_movements")
        .join(offers.lazy().select(*_KEY, "valid_from"), on=_KEY)
        .filter((pl.col("occurred_at") >= pl.col("valid_from")) & (pl.col("occurred_at") <= as_of))
        .group_by(_KEY)
        .agg(pl.col("qty_delta").sum(), pl.col("occurred_at").filter(is_of_feed).max())
        .collect()
    )
    return offers.join(moved, on=_KEY, how="left").select(
        *_KEY,
        pl.max_horizontal(pl.col("stock_qty") + pl.col("qty_delta").fill_null(0), 0).alias("on_hand_qty"),
        pl.max_horizontal("valid_from", "occurred_at").alias("source_at"),
    )


def _newer(connection: psycopg.Connection, counted: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Counts that are to be written; the rows of those that the database knows are locked."""
    known = counted.join(_known(connection, as_of), on=_KEY)
    stale = known.filter(pl.col("known_at") < pl.col("source_at"))
    if stale.height:
        locks.stock(connection, tenant_of(connection), stale.select(_KEY).iter_rows())
    stays = counted.join(_known(connection, as_of), on=_KEY).filter(
        (pl.col("known_at") >= pl.col("source_at")) | pl.col("has_moved_since")
    )
    return counted.join(stays, on=_KEY, how="anti")


def _known(connection: psycopg.Connection, as_of: datetime) -> pl.DataFrame:
    rows = connection.execute(
        "select supplier_id, sku_id, source_at, exists(select from orders.stock_movement m"
        "  where (m.tenant_id, m.supplier_id, m.sku_id) = (s.tenant_id, s.supplier_id, s.sku_id)"
        "  and m.occurred_at > %s) from orders.stock s where source_at > '-infinity'",
        (as_of,),
    ).fetchall()
    return pl.DataFrame(
        rows,
        schema={
            "supplier_id": pl.String,
            "sku_id": pl.String,
            "known_at": UTC_US,
            "has_moved_since": pl.Boolean,
        },
        orient="row",
    )


def _known_parts(connection: psycopg.Connection) -> pl.DataFrame:
    rows = connection.execute(
        "select supplier_id, sku_id, warehouse_id from orders.warehouse_stock"
    ).fetchall()
    return pl.DataFrame(rows, schema=dict.fromkeys((*_KEY, "warehouse_id"), pl.String), orient="row")


def _where_it_lies(
    connection: psycopg.Connection, lake: Lake, counted: pl.DataFrame, as_of: datetime
) -> pl.DataFrame:
    """Units by supplier, sku and warehouse, of skus whose movements add up to what was counted."""
    houses = pl.DataFrame(
        connection.execute("select warehouse_id, supplier_id, true from supply.warehouse").fetchall(),
        schema={"warehouse_id": pl.String, "owner_id": pl.String, "is_known": pl.Boolean},
        orient="row",
    )
    is_own = pl.col("owner_id").is_null() | (pl.col("owner_id") == pl.col("supplier_id"))
    adds_up = [
        pl.col("on_hand_qty").sum() == pl.col("counted_qty").first(),
        pl.col("on_hand_qty").min() >= 0,
        (pl.col("is_known") & is_own).fill_null(False).all(),
    ]
    return (
        lake.scan("inventory_movements")
        .filter(pl.col("occurred_at") <= as_of)
        .group_by(*_KEY, "warehouse_id")
        .agg(pl.col("qty_delta").sum().alias("on_hand_qty"))
        .collect()
        .join(counted.select(*_KEY, counted_qty="on_hand_qty"), on=_KEY)
        .join(houses, on="warehouse_id", how="left")
        .filter(pl.all_horizontal(*(condition.over(_KEY) for condition in adds_up)))
        .select(*_KEY, "warehouse_id", "on_hand_qty")
    )
