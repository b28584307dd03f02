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

_WINDOW = timedelta(days=180)
_MAX_LISTINGS = 255_000
_QUIET = timedelta(days=120)
_DELISTED_SHARE = 0.25
"""Share of pairs without a sale for `_QUIET` that are no longer on sale."""


def listings(context: Context) -> pl.DataFrame:
    """One row per merchant and sku sold in the last 180 days of the observed data, the most sold pairs first.

    Beside them the planted counterfeits: goods that the merchant never sold, far below their shelf price.

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
    rows = pl.concat([rows, _counterfeits(context)], how="diagonal")
    return finish("listings", rows, as_of=context.as_of, order_by=["merchant_id", "sku_id"])


def _counterfeits(context: Context) -> pl.DataFrame:
    """Return the planted listings, on sale since a local midnight 40 days before the newest order."""
    truths = context.truths.supply
    pairs = pl.DataFrame(
        list(truths.counterfeit_listings),
        schema={"merchant_id": pl.String, "sku_id": pl.String},
        orient="row",
    ).join(context.observed.skus.select("sku_id", "shelf_price_cents"), on="sku_id", maintain_order="left")
    since = micros_of(context.observed.lines["placed_at"].tail(1)) - 40 * DAY
    start = np.full(pairs.height, local_day_start(since, context.utc_offset_hours)[0], dtype=np.int64)
    price = (pl.col("shelf_price_cents") * truths.counterfeit_price_share).round().cast(pl.Int64)
    return pairs.select(
        "merchant_id",
        "sku_id",
        list_price_cents=price.clip(lower_bound=1),
        pricing_mode=pl.lit("fixed"),
        is_listed=pl.lit(True),
        valid_from=moments(start),
        received_at=moments(start + 5 * MINUTE),
    )
