"""Overlay table `listings`: each merchant's shelf, hung on what it sold in the last 180 days."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    MINUTE,
    arrivals,
    finish,
    local_day_start,
    micros_of,
    moments,
    picks,
)
from pipelines.sources.overlay.supply.truths import pictured_skus

_WINDOW = timedelta(days=180)
_MAX_LISTINGS = 255_000
_QUIET = timedelta(days=120)
_PICTURE = pl.format("img-{}", "sku_id")
_DELISTED_SHARE = 0.25
"""Share of pairs without a sale for `_QUIET` that are no longer on sale."""


def listings(context: Context) -> pl.DataFrame:
    """One row per merchant and sku sold in the last 180 days of the observed data, the most sold pairs first.

    Beside them the planted counterfeits: goods that the merchant never sold, far below their shelf price, and
    the planted look-alikes: goods with the picture and the name of another brand.

    The price is the latest observed list price per unit; `valid_from` is the local midnight of the first day
    in the window on which the pair sold at that price, so no reader sees a price before it was on a shelf.
    """
    lines = context.observed.lines
    end = pl.col("placed_at").max()
    recent = lines.filter(pl.col("placed_at") > end - _WINDOW).with_columns(
        list_price_cents=pl.col("unit_price_cents").round().cast(pl.Int64).clip(lower_bound=1)
    )
    pair = ["merchant_id", "sku_id"]
    latest = recent.group_by(pair).agg(
        list_price_cents=pl.col("list_price_cents").sort_by("placed_at", "order_id", "line_no").last(),
        last_sold_at=pl.col("placed_at").max(),
        line_count=pl.len(),
    )
    since = (
        recent.join(latest.select(*pair, "list_price_cents"), on=[*pair, "list_price_cents"])
        .group_by(pair)
        .agg(since=pl.col("placed_at").min())
    )
    rows = (
        latest.join(since, on=pair)
        .sort(["line_count", "last_sold_at", *pair], descending=[True, True, False, False])
        .head(_MAX_LISTINGS)
        .sort(pair)
    )
    rng = context.rng("listings")
    start = local_day_start(micros_of(rows["since"]), context.utc_offset_hours)
    quiet = pl.col("last_sold_at") < pl.lit(lines["placed_at"]).max() - _QUIET
    rows = rows.with_columns(
        pricing_mode=picks(rng, dict(context.truths.pricing_mode_shares), rows.height),
        chance=pl.Series(rng.random(rows.height)),
        valid_from=moments(start),
        received_at=moments(arrivals(rng, start, 5 * MINUTE)),
    ).with_columns(is_listed=~(quiet & (pl.col("chance") < _DELISTED_SHARE)))
    rows = pl.concat(
        [_pictured(context, rows), _pictured(context, _counterfeits(context)), _lookalikes(context)],
        how="diagonal",
    )
    return finish("listings", rows, as_of=context.as_of, order_by=["merchant_id", "sku_id"])


def _pictured(context: Context, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the picture of their goods, where those have one, and no title of their own."""
    shown = pictured_skus(context.observed).select("sku_id", image_hash=_PICTURE)
    return rows.join(shown, on="sku_id", how="left", maintain_order="left").with_columns(
        title=pl.lit(None, pl.String)
    )


def _counterfeits(context: Context) -> pl.DataFrame:
    """Return the planted listings far below the shelf price."""
    truths = context.truths.supply
    pairs = pl.DataFrame(
        list(truths.counterfeit_listings),
        schema={"merchant_id": pl.String, "sku_id": pl.String},
        orient="row",
    )
    return _planted(context, pairs, truths.counterfeit_price_share)


def _lookalikes(context: Context) -> pl.DataFrame:
    """Return the planted listings with the picture and the name of another brand, at nine tenths."""
    brands = pictured_skus(context.observed)
    pairs = pl.DataFrame(
        list(context.truths.supply.lookalike_listings),
        schema={"merchant_id": pl.String, "sku_id": pl.String, "of": pl.String},
        orient="row",
    ).join(brands.select(of="sku_id", image_hash=_PICTURE, brand="brand_id"), on="of", maintain_order="left")
    named = pairs.with_columns(title=pl.format("{} {}", "brand", "sku_id"))
    return _planted(context, named.drop("of", "brand"), 0.9)


def _planted(context: Context, pairs: pl.DataFrame, share: float) -> pl.DataFrame:
    """Return pairs at a share of the shelf price, since a local midnight 40 days before the newest order."""
    shelf = context.observed.skus.select("sku_id", "shelf_price_cents")
    pairs = pairs.join(shelf, on="sku_id", how="left", maintain_order="left")
    since = micros_of(context.observed.lines["placed_at"].tail(1)) - 40 * DAY
    start = np.full(pairs.height, local_day_start(since, context.utc_offset_hours)[0], dtype=np.int64)
    price = (pl.col("shelf_price_cents") * share).round().cast(pl.Int64)
    return pairs.with_columns(
        list_price_cents=price.clip(lower_bound=1),
        pricing_mode=pl.lit("fixed"),
        is_listed=pl.lit(True),
        valid_from=moments(start),
        received_at=moments(start + 5 * MINUTE),
    ).drop("shelf_price_cents")
