"""Overlay table `agents`: a tree of at most three levels per merchant, sized by the merchant's orders."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import DAY, MINUTE, arrivals, finish, local_day_start, moments, picks
from pipelines.sources.overlay.stock import calendar
from pipelines.sources.overlay.truths import regions

_MAX_AGENTS = 2_900
_LEVEL_ROOTS, _LEVEL_SECOND = 0.30, 0.45
"""Shares of a merchant's agents on the first and second level; the rest stands on the third."""


def agents(context: Context) -> pl.DataFrame:
    """One row per agent; an inviter has the same merchant, stands one level higher and joined no later."""
    observed = context.observed
    merchants = (
        observed.merchants.select("merchant_id")
        .unique()
        .join(observed.sorted_orders.group_by("merchant_id").len("orders"), on="merchant_id")
        .sort(["orders", "merchant_id"], descending=[True, False])
        .head(_MAX_AGENTS)
    )
    wanted = 1 + np.sqrt(merchants["orders"].to_numpy()).astype(np.int64) // 2
    shrink = min(1.0, (_MAX_AGENTS - merchants.height) / max(int(wanted.sum()), 1))
    counts = 1 + np.floor(wanted * shrink).astype(np.int64)
    merchant = np.repeat(np.arange(merchants.height), counts)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(merchant)) - starts[merchant]
    roots = np.maximum(1, np.round(counts * _LEVEL_ROOTS).astype(np.int64))
    second = np.minimum(np.round(counts * _LEVEL_SECOND).astype(np.int64), counts - roots)
    level = 1 + (place >= roots[merchant]) + (place >= (roots + second)[merchant])

    rng = context.rng("agents")
    n = len(merchant)
    draw = rng.random(n)
    of_root = np.floor(draw * roots[merchant]).astype(np.int64)
    of_second = (roots[merchant] + np.floor(draw * np.maximum(second[merchant], 1))).astype(np.int64)
    inviter = starts[merchant] + np.where(level == 2, of_root, of_second)
    inviter = np.where(level == 1, 0, inviter)

    first_week, _, _ = calendar(context)
    joined = np.where(level == 1, first_week - rng.integers(30, 365, n) * DAY, 0)
    gap = rng.integers(5, 120, n) * DAY
    for depth in (2, 3):  # inviters first
        joined = np.where(level == depth, joined[inviter] + gap, joined)
    latest = int(local_day_start(np.array([context.end - DAY]), 0)[0])
    joined = np.minimum(local_day_start(joined, 0), latest)
    home = regions(
        context.seed, "merchants", observed.merchants["merchant_id"], observed.merchants["region_code"]
    )
    frame = pl.DataFrame({"merchant_id": merchants["merchant_id"].gather(merchant), "place": place})
    agent_id = frame.select(
        pl.lit("agt-") + pl.col("merchant_id") + "-" + (pl.col("place") + 1).cast(pl.String)
    ).to_series()
    rows = frame.with_columns(
        agent_id=agent_id,
        inviter=agent_id.gather(inviter),
        level=pl.Series(level),
        tier=picks(rng, dict(context.truths.agent_tier_shares), n),
        is_active=pl.Series(rng.random(n) < context.truths.agent_active_share),
        joined_on=moments(joined).dt.date(),
        received_at=moments(arrivals(rng, joined, 10 * MINUTE)),
    ).with_columns(inviter_agent_id=pl.when(pl.col("level") > 1).then("inviter"))
    # Agents are few and a child must not lose its inviter to a late row: all of them have arrived by as_of.
    rows = rows.with_columns(pl.min_horizontal("received_at", pl.lit(context.as_of)).alias("received_at"))
    rows = rows.join(
        home.rename({"id": "merchant_id", "region": "region_code"}), on="merchant_id", how="left"
    )
    return finish("agents", rows, as_of=context.as_of, order_by=["agent_id"])
