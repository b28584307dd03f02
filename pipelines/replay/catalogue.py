"""Products, offers and listings of the lake in the operational database, as they stand at a moment."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import psycopg

from pipelines.lake.tables import Lake
from pipelines.replay.bulk import insert


def load_catalogue(connection: psycopg.Connection, lake: Lake, as_of: datetime) -> int:
    """Write products, offers, what suppliers may offer, and listings; the newer of two versions stays."""
    offers = current(lake, "offers", ("supplier_id", "sku_id"), as_of).select(
        "supplier_id",
        "sku_id",
        "supply_price_cents",
        "lead_time_days",
        pl.max_horizontal(pl.col("min_order_qty"), 1).alias("min_order_qty"),
        "ship_from_region",
        pl.col("is_active").fill_null(True),
        pl.col("valid_from").alias("source_at"),
    )
    listings = current(lake, "listings", ("merchant_id", "sku_id"), as_of).select(
        "merchant_id", "sku_id", "list_price_cents", "is_listed"
    )
    return (
        insert(connection, "orders.product", _products(lake))
        + insert(connection, "orders.supplier_sku", offers.select("supplier_id", "sku_id"))
        + insert(
            connection,
            "orders.offer",
            offers,
            "(tenant_id, supplier_id, sku_id) do update set supply_price_cents = excluded.supply_price_cents,"
            " lead_time_days = excluded.lead_time_days, min_order_qty = excluded.min_order_qty,"
            " ship_from_region = excluded.ship_from_region, is_active = excluded.is_active,"
            " source_at = excluded.source_at,"
            " reference_price_cents = null, reference_freight_cents = null, reference_at = null,"
            " in_force_at = null"
            # What was stated here comes back with the moment at which it was taken over.
            " where greatest(t.source_at, t.in_force_at) < excluded.source_at",
        )
        + insert(
            connection,
            "orders.listing",
            listings,
            "(tenant_id, merchant_id, sku_id) do update set list_price_cents = excluded.list_price_cents,"
            " is_listed = excluded.is_listed where (t.list_price_cents, t.is_listed)"
            " is distinct from (excluded.list_price_cents, excluded.is_listed)",
        )
    )


def _products(lake: Lake) -> pl.DataFrame:
    """Skus with the chain of their categories, the lowest first."""
    parents = dict(lake.read("categories", ("category_id", "parent_category_id")).iter_rows())
    products = lake.read("products", ("sku_id", "title", "category_id"))
    chains = {}
    for category in products["category_id"].unique():
        chain: list[str] = []
        at = category
        while at is not None and at not in chain:
            chain.append(at)
            at = parents.get(at)
        chains[category] = chain
    levels = pl.DataFrame(
        {"category_id": list(chains), "category_ids": list(chains.values())},
        schema={"category_id": pl.String, "category_ids": pl.List(pl.String)},
    )
    return products.join(levels, on="category_id", how="left").select("sku_id", "title", "category_ids")


def current(
    lake: Lake, table: str, key: tuple[str, ...], as_of: datetime, *, stated: str = "valid_from"
) -> pl.DataFrame:
    """The version of each key in force at a moment; the newest of those that state a column."""
    said = pl.col(stated).is_not_null() & (pl.col("valid_from") <= as_of)
    frame = lake.scan(table).filter(said).sort("valid_from")
    return frame.unique(key, keep="last", maintain_order=True).collect().sort(key)
