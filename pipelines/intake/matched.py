"""Offers of a sku that was accepted to be another product's stand under that one when they are loaded.

Two skus of one supplier are two products, whatever pairs of them with a third were accepted: they keep their
names, or one of the two offers would be lost and the other be sent for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
        self._apart: dict[str, int] = {}
        self.name, self.origin = source.name, source.origin
        self.received_at_rule = source.received_at_rule
        self.tables, self.reading = source.tables, source.reading
        self.fingerprint, self.history, self.as_of = source.fingerprint, source.history, source.as_of

    def read(self, table: str) -> Iterator[Chunk]:
        """Rows of the feed."""
        if table != "offers" or not self._matched:
            return self._source.read(table)
        matched = apart(self._matched, _offered_in(self._source.read(table)))
        self._apart[table] = len(self._matched) - len(matched)
        return (_under(chunk, matched) for chunk in self._source.read(table))

    def notes(self, table: str) -> tuple[str, ...]:
        """Notes of the feed, and how many skus keep their name although a match of theirs was accepted."""
        kept = self._apart.get(table, 0)
        said = f"{kept:,} matched skus keep their names: a supplier of theirs offers two of one product"
        return (*self._source.notes(table), *([said] if kept else ()))


def apart(matched: Mapping[str, str], offered: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Matches without those of skus of which one supplier offers several that would be one.

    Args:
        matched: Sku to the sku that its offers stand under.
        offered: Suppliers with the skus that they call what they offer.
    """
    held: dict[tuple[str, str], set[str]] = {}
    for supplier, sku in offered:
        held.setdefault((supplier, matched.get(sku, sku)), set()).add(sku)
    several = {sku for skus in held.values() if len(skus) > 1 for sku in skus}
    return {sku: other for sku, other in matched.items() if sku not in several}


def _offered_in(chunks: Iterator[Chunk]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for chunk in chunks:
        if {"supplier_id", "sku_id"} <= set(chunk.frame.columns):
            pairs = chunk.frame.select(_plain("supplier_id"), _plain("sku_id")).drop_nulls().unique()
            found.update(pairs.iter_rows())
    return found


def _under(chunk: Chunk, matched: Mapping[str, str]) -> Chunk:
    if "sku_id" not in chunk.frame.columns:
        return chunk
    skus = chunk.frame.select(_plain("sku_id").replace(dict(matched)))["sku_id"]
    return replace(chunk, frame=chunk.frame.with_columns(skus))


def _plain(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.strip_chars()


def offered_skus(lake: Lake) -> pl.DataFrame:
    """Skus with an offer, as matching wants them.

    Returns:
        `sku_id`, `title`, `pack_size`, `gtin`, `brand_id`, `price_cents` (the median of the newest
        offers), `suppliers` and `lines` (order lines that name it).
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
    products = lake.read("products", ["sku_id", "title", "pack_size", "gtin", "brand_id"])
    return (
        products.join(offers, on="sku_id")
        .join(lines, on="sku_id", how="left")
        .with_columns(pl.col("lines").fill_null(0))
        .sort("sku_id")
    )
