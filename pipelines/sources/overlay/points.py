"""Overlay table `points_ledger`: points earned on observed orders, redeemed from what was earned before."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import MINUTE, arrivals, finish, micros_of, moments

_CENTS_PER_POINT = 100
_VALID_DAYS = 365
_SIGNUP_POINTS = 50
_REDEEMED_SHARE = 0.6
"""Part of the points earned since the last redemption that one spends: no balance is ever negative."""


def points_ledger(context: Context) -> pl.DataFrame:
    """One row per movement: a welcome, one point per 100 cents paid, redemptions after orders."""
    paid = context.observed.order_lines.group_by("order_id").agg(paid=pl.col("net_paid_cents").sum())
    orders = (
        context.observed.sorted_orders.join(paid, on="order_id", how="left")
        .with_columns(points=(pl.col("paid").fill_null(0) // _CENTS_PER_POINT))
        .sort("consumer_id", "placed_at", "order_id")
    )
    rng = context.rng("points_ledger")
    orders = orders.with_columns(redeems=pl.Series(rng.random(orders.height) < context.truths.redeem_share))
    block = pl.col("redeems").cast(pl.Int64).cum_sum().over("consumer_id") - pl.col("redeems").cast(pl.Int64)
    orders = orders.with_columns(block=block).with_columns(
        spend=(pl.col("points").sum().over("consumer_id", "block") * _REDEEMED_SHARE).floor().cast(pl.Int64)
    )
    earned = orders.filter(pl.col("points") > 0).select(
        "consumer_id", "order_id", "placed_at", points_delta="points", reason=pl.lit("order")
    )
    welcome = (
        orders.group_by("consumer_id", maintain_order=True)
        .first()
        .select(
            "consumer_id",
            "order_id",
            "placed_at",
            points_delta=pl.lit(_SIGNUP_POINTS, pl.Int64),
            reason=pl.lit("sign_up"),
        )
    )
    redeemed = orders.filter(pl.col("redeems") & (pl.col("spend") > 0)).select(
        "consumer_id", "order_id", "placed_at", points_delta=-pl.col("spend"), reason=pl.lit("redeem")
    )
    rows = pl.concat([earned, welcome, redeemed]).sort("placed_at", "order_id", "reason")
    # A redemption follows its order's own points, a welcome coincides with the first order.
    at = micros_of(rows["placed_at"]) + np.where((rows["reason"] == "redeem").to_numpy(), 5 * MINUTE, 0)
    occurred = moments(at)
    rows = rows.with_columns(
        occurred_at=occurred,
        expires_on=pl.when(pl.col("points_delta") > 0).then(
            occurred.dt.offset_by(f"{context.utc_offset_hours}h").dt.date().dt.offset_by(f"{_VALID_DAYS}d")
        ),
        received_at=moments(arrivals(rng, at)),
    )
    return finish(
        "points_ledger",
        rows,
        as_of=context.as_of,
        order_by=["occurred_at", "order_id", "reason"],
        key="entry_id",
        key_prefix="pts",
    )
