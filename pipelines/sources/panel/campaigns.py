"""Campaigns of the embedded panel: who was mailed, which coupons that granted, and where they were used.

What lives here: touches, coupons and redemptions. What does not: everything else of the panel
(`complete_journey`).
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from pipelines.sources.protocol import LINE_COLUMN, REFUSED_SCHEMA, Chunk
from pipelines.sources.refused.quarantine import row_json

UTC_OFFSET_HOURS = -5
"""Local time of the shops; source weeks and campaign days are local."""

Scan = Callable[[str], pl.LazyFrame]
"""Reader of a source file by name."""


def _campaign_households(scan: Scan) -> pl.LazyFrame:
    days = scan("campaign_descriptions").select(
        "campaign_id",
        "campaign_type",
        starts_at=_midnight_of(pl.col("start_date")),
        ends_at=_midnight_of(pl.col("end_date") + pl.duration(days=1)),
    )
    return (
        scan("campaigns")
        .with_row_index(LINE_COLUMN, offset=1)
        .join(days, on="campaign_id", how="left", maintain_order="left")
    )


def touches(scan: Scan) -> Chunk:
    """One touch per household mailed by a campaign, at the local start of the campaign."""
    campaign = pl.col("campaign_id").cast(pl.String)
    frame = (
        _campaign_households(scan)
        .select(
            pl.col(LINE_COLUMN).cast(pl.Int64),
            touch_id=pl.concat_str(pl.lit("c"), campaign, pl.lit("-"), "household_id"),
            consumer_id=pl.col("household_id").cast(pl.String),
            channel=pl.lit("mail"),
            campaign=pl.concat_str(
                pl.lit("campaign-"), campaign, pl.lit("-"),
                pl.col("campaign_type").str.to_lowercase().str.replace_all(" ", "-", literal=True),
            ),
            occurred_at=pl.col("starts_at"),
            received_at=pl.col("starts_at"),
        )
        .collect()
    )  # fmt: skip
    return Chunk(frame, "campaigns.parquet")


def coupons(scan: Scan) -> tuple[Chunk, str]:
    """One grant per coupon of a campaign and household in it, and a note for the report."""
    covered = scan("coupons").select("campaign_id", "coupon_upc")
    frame = (
        _campaign_households(scan)
        .join(covered.unique().sort("campaign_id", "coupon_upc"), on="campaign_id")
        .select(
            pl.col(LINE_COLUMN).cast(pl.Int64),
            coupon_id=_coupon_id(),
            consumer_id=pl.col("household_id").cast(pl.String),
            kind=pl.col("campaign_type").str.to_lowercase().str.replace_all(" ", "-", literal=True),
            starts_at=pl.col("starts_at"),
            ends_at=pl.col("ends_at"),
            received_at=pl.col("starts_at"),
        )
        .sort(LINE_COLUMN, "coupon_id")
        .collect()
    )
    unique = pl.struct(pl.all()).n_unique()
    rows = covered.select(pl.len(), unique.alias("unique")).collect().row(0)
    note = (
        f"{rows[0]} coupon-product rows are {rows[1]} coupons of campaigns; each is granted to every "
        f"household of its campaign, {frame.height} grants; face values are not observed; the "
        f"products of a coupon have no contract table"
    )
    return Chunk(frame, "campaigns.parquet"), note


def coupon_redemptions(scan: Scan, baskets: pl.DataFrame) -> tuple[Chunk, str]:
    """Redemptions with the basket they belong to, and a note; those without a basket are refused.

    Args:
        scan: Reader of a source file by name.
        baskets: basket_id and placed_at (UTC) of every basket.
    """
    redemptions = scan("coupon_redemptions").with_row_index(LINE_COLUMN, offset=1).collect()
    used = (
        scan("transactions")
        .filter((pl.col("coupon_disc") > 0) | (pl.col("coupon_match_disc") > 0))
        .select(
            "household_id", "basket_id", "product_id",
            day=local_day(pl.col("transaction_timestamp")),
        )
        .collect()
    )  # fmt: skip
    covered = scan("coupons").with_columns(is_covered=pl.lit(True)).unique().collect()
    matched = (
        redemptions.with_columns(day=pl.col("redemption_date").dt.date())
        .join(used, on=["household_id", "day"], how="inner")
        .join(covered, on=["coupon_upc", "product_id", "campaign_id"], how="left")
        .sort(
            pl.col(LINE_COLUMN),
            pl.col("is_covered").fill_null(False),
            "basket_id",
            descending=[False, True, False],
        )
        .group_by(LINE_COLUMN, maintain_order=True)
        .agg(pl.col("basket_id").first())
        .join(baskets.select("basket_id", "placed_at"), on="basket_id", how="left")
    )
    rows = redemptions.join(matched, on=LINE_COLUMN, how="left", maintain_order="left")
    frame = rows.filter(pl.col("basket_id").is_not_null()).select(
        pl.col(LINE_COLUMN).cast(pl.Int64),
        coupon_id=_coupon_id(),
        order_id=pl.col("basket_id").cast(pl.String),
        redeemed_at=pl.col("placed_at"),
        received_at=pl.col("placed_at"),
    )
    lost = rows.filter(pl.col("basket_id").is_null())
    refused = pl.DataFrame(
        {
            "line": lost[LINE_COLUMN].cast(pl.Int64),
            "column": pl.Series(["order_id"] * lost.height, dtype=pl.String),
            "value": lost["redemption_date"].dt.date().cast(pl.String),
            "reason": pl.Series(
                ["no order of this household used a coupon on this local day"] * lost.height,
                dtype=pl.String,
            ),
            "row_json": row_json(lost.select("household_id", "coupon_upc", "campaign_id", "redemption_date")),
        },
        schema=REFUSED_SCHEMA,
    )
    note = (
        "the source names a day, not a basket: a redemption belongs to the household's basket of that "
        "local day that used a coupon, first one with a product the coupon covers, then the lowest "
        "basket id"
    )
    return Chunk(frame, "coupon_redemptions.parquet", refused=refused), note


def _coupon_id() -> pl.Expr:
    return pl.concat_str("campaign_id", pl.lit("-"), "coupon_upc", pl.lit("-"), "household_id")


def _midnight_of(day: pl.Expr) -> pl.Expr:
    return (day.cast(pl.Datetime("us")) - pl.duration(hours=UTC_OFFSET_HOURS)).dt.replace_time_zone("UTC")


def local_day(time: pl.Expr) -> pl.Expr:
    """Calendar day of a naive or UTC time at the shops."""
    return (time + pl.duration(hours=UTC_OFFSET_HOURS)).dt.date()
