"""Overlay tables `licences` and `batches`: what suppliers and merchants may do, what their goods are of."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import DAY, MINUTE, finish, micros_of, moments
from pipelines.sources.overlay.supply.truths import batch_number, batched_skus

_LICENSED_YEARS = timedelta(days=5 * 365)
_EXPIRED_SINCE = timedelta(days=20)


def licences(context: Context) -> pl.DataFrame:
    """One business licence per supplier, and the brand authorisations around the planted counterfeits.

    Of the brands that a planted counterfeit copies, every other merchant who sold it holds an authorisation.
    The copied number is stated a day before the newest order, the others before the first.
    """
    rng = context.rng("licences")
    placed = context.observed.lines["placed_at"]
    first, last = placed.head(1)[0], placed.tail(1)[0]
    truths = context.truths.supply
    suppliers = context.observed.suppliers.select("supplier_id").unique().sort("supplier_id")
    ends = (pl.lit(last) + _LICENSED_YEARS).dt.date()
    held = suppliers.with_columns(
        licence_no=pl.lit("BL-") + pl.col("supplier_id"),
        merchant_id=pl.lit(None, pl.String),
        brand_id=pl.lit(None, pl.String),
        kind=pl.lit("business"),
        starts_on=_started(rng, first, suppliers.height),
        ends_on=pl.when(pl.col("supplier_id").is_in(list(truths.expired_licences)))
        .then((pl.lit(last) - _EXPIRED_SINCE).dt.date())
        .otherwise(ends),
        received_at=pl.lit(first - timedelta(minutes=1)),
    )
    parts = [held]
    if truths.copied_licence is not None:
        owner, copier = truths.copied_licence
        parts.append(
            held.filter(pl.col("supplier_id") == owner).with_columns(
                supplier_id=pl.lit(copier), received_at=pl.lit(last - timedelta(days=1))
            )
        )
    authorised = _authorised(context)
    parts.append(
        authorised.with_columns(
            licence_no=pl.format("BA-{}-{}", "brand_id", "merchant_id"),
            supplier_id=pl.lit(None, pl.String),
            kind=pl.lit("brand_authorisation"),
            starts_on=_started(rng, first, authorised.height),
            ends_on=ends,
            received_at=pl.lit(first - timedelta(minutes=1)),
        ).select(held.columns)
    )
    rows = pl.concat(parts).with_columns(status=pl.lit("valid"))
    return finish(
        "licences",
        rows,
        as_of=context.as_of,
        order_by=["received_at", "licence_no", "supplier_id"],
        key="licence_id",
        key_prefix="lic",
    )


def batches(context: Context) -> pl.DataFrame:
    """One row per told sku and 28 days with a sale of it; received just before the first sale of it."""
    observed = context.observed
    end = observed.lines["placed_at"].tail(1)[0]
    rows = (
        observed.lines.join(batched_skus(observed), on=["sku_id", "supplier_id"])
        .with_columns(number=batch_number(pl.col("placed_at"), end))
        .group_by("sku_id", "supplier_id", "number")
        .agg(first_at=pl.col("placed_at").min(), qty=pl.col("qty").sum())
        .sort("sku_id", "number")
    )
    n = rows.height
    rng = context.rng("batches")
    first = micros_of(rows["first_at"])
    made = first - (rng.uniform(5, 25, n) * DAY).astype(np.int64)
    rows = rows.with_columns(
        batch_id=pl.format("{}-b{}", "sku_id", "number"),
        produced_on=moments(made).dt.date(),
        expires_on=(moments(made) + timedelta(days=300)).dt.date(),
        qty=(pl.col("qty") * 1.1).ceil().cast(pl.Int64),
        received_at=moments(first - MINUTE),
    )
    return finish("batches", rows, as_of=context.as_of, order_by=["sku_id", "produced_on", "batch_id"])


def _authorised(context: Context) -> pl.DataFrame:
    """Return brand_id, merchant_id of everybody who sold a copied brand, without the copiers."""
    brands = context.observed.products.select("sku_id", "brand_id").drop_nulls()
    copies = pl.DataFrame(
        list(context.truths.supply.counterfeit_listings),
        schema={"merchant_id": pl.String, "sku_id": pl.String},
        orient="row",
    ).join(brands, on="sku_id")
    sold = context.observed.lines.select("merchant_id", "sku_id").unique().join(brands, on="sku_id")
    return (
        sold.select("brand_id", "merchant_id")
        .unique()
        .join(copies, on="brand_id", how="semi")
        .join(copies, on=["brand_id", "merchant_id"], how="anti")
        .sort("brand_id", "merchant_id")
    )


def _started(rng: np.random.Generator, first: datetime, n: int) -> pl.Series:
    """Return first days (n,) one to four years before the first order."""
    back = rng.integers(365, 4 * 365, n)
    return pl.Series([first.date() - timedelta(days=int(days)) for days in back], dtype=pl.Date)
