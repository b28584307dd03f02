"""Offers of a sku that was accepted to be another product's stand under that one when they are loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from pipelines.lake.tables import Lake
from pipelines.sources.protocol import Chunk, Source

MATCHED = "operations/matched_products"
"""Where accepted matches lie in the lake."""
MATCHED_SCHEMA = {"sku_id": pl.String(), "stands_for_id": pl.String()}


def matched_in(lake: Lake) -> dict[str, str]:
    """Sku to the sku that its offers stand under; empty where nobody accepted any."""
    if not lake.derived_path(MATCHED).exists():
        return {}
    return dict(lake.get(MATCHED).select("sku_id", "stands_for_id").iter_rows())


class WithMatched:
    """A source whose offers stand under the skus that they were matched with.

    Args:
        source: The feed.
        matched: See `matched_in`.
    """

    def __init__(self, source: Source, matched: Mapping[str, str]) -> None:
        self._source = source
        self._matched = dict(matched)
        self.name, self.origin = source.name, source.origin
        self.received_at_rule = source.received_at_rule
        self.tables, self.reading, self.notes = source.tables, source.reading, source.notes
        self.fingerprint, self.history, self.as_of = source.fingerprint, source.history, source.as_of

    def read(self, table: str) -> Iterator[Chunk]:
        """Rows of the feed."""
        chunks = self._source.read(table)
        return map(self._under, chunks) if table == "offers" and self._matched else chunks

    def _under(self, chunk: Chunk) -> Chunk:
        if "sku_id" not in chunk.frame.columns:
            return chunk
        skus = chunk.frame["sku_id"].cast(pl.String).str.strip_chars().replace(self._matched)
        return replace(chunk, frame=chunk.frame.with_columns(skus.alias("sku_id")))


def offered_skus(lake: Lake) -> pl.DataFrame:
    """Skus with an offer, as matching wants them.

    Returns:
        `sku_id`, `title`, `pack_size`, `brand_id`, `price_cents` (the median of the newest offers),
        `suppliers` and `lines` (order lines that name it).
    """
    offers = (
        lake.read("offers", ["sku_id", "supplier_id", "valid_from", "supply_price_cents"])
        .sort("sku_id", "supplier_id", "valid_from")
        .unique(["sku_id", "supplier_id"], keep="last", maintain_order=True)
        .group_by("sku_id", maintain_order=True)
        .agg(
            suppliers=pl.col("supplier_id"),
            price_cents=pl.col("supply_price_cents").cast(pl.Float64).median(),
        )
    )
    lines = lake.scan("order_lines").group_by("sku_id").agg(lines=pl.len().cast(pl.Int64)).collect()
    products = lake.read("products", ["sku_id", "title", "pack_size", "brand_id"])
    return (
        products.join(offers, on="sku_id")
        .join(lines, on="sku_id", how="left")
        .with_columns(pl.col("lines").fill_null(0))
        .sort("sku_id")
    )
