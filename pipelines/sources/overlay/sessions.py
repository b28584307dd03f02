"""The visits behind overlay table `events`: who came when, what was looked at, how far each sku went.

Lives here: sessions, (session, sku) pairs and the slates shown, as integer codes. Does not live here: event
rows, clock times inside a visit (see `events`). Whatever a visit without an order looks at was sold BEFORE
the visit, and the visit itself follows an earlier order: behaviour tells a model nothing of the observed
future except in the minutes before an order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.sources.overlay.context import Context
from pipelines.sources.overlay.draws import (
    DAY,
    HOUR,
    MINUTE,
    Floats,
    Ints,
    micros_of,
)

_ORDER_SHARE, _MAX_ORDER_SESSIONS = 0.35, 55_000
"""Share of orders preceded by a visit we saw (the others were placed on site), and its limit."""
_LINE_SHARE = 0.33
"""Share of the lines of such an order that were looked up during the visit (at least one)."""
_MAX_ORDERED_PAIRS = 200_000
_SLATE_SHARE = 0.40
_POOL = 20
_POOL_DAYS = 60
"""The slate's candidates are the best sellers of the merchant's first 60 days: known to every later visit."""
POLICIES = {"pop-v1": 0.85, "pop-v2": 0.93}
"""Policy version to the factor from one rank's weight to the next; v2 is flatter and replaces v1 half-way."""


@dataclass(frozen=True)
class Sessions:
    """Visits (n): order_row points into `observed.sorted_orders`; visits without order follow that order.

    Args:
        order_row: int64 (n,).
        is_order: bool (n,), the visit ends in that order.
        start: UTC microseconds (n,).
        length: microseconds (n,).
    """

    order_row: Ints
    is_order: np.ndarray
    start: Ints
    length: Ints


def sessions(context: Context, ordered: Ints, rng: np.random.Generator) -> Sessions:
    """Return order visits for the given order rows, and visits without order at the planted ratio.

    A visit without order starts hours to days after an observed order and ends before `as_of`.
    """
    placed = micros_of(context.observed.sorted_orders["placed_at"])
    share = context.truths.order_session_share
    wanted = int(rng.negative_binomial(len(ordered), share)) if len(ordered) else 0
    # Some would begin after as_of and are not made: draw more, keep the wanted number.
    # An order without goods (fuel alone) leaves nothing to browse: it is followed by no visit.
    with_goods = context.observed.coded_lines["order_row"].unique().sort().to_numpy()
    anchor = with_goods[rng.integers(0, max(len(with_goods), 1), int(wanted * 1.2) + 10)]
    start = placed[anchor] + HOUR + (rng.exponential(4.0, len(anchor)) * DAY).astype(np.int64)
    keep = np.nonzero(start + 2 * HOUR <= context.end)[0][:wanted]
    n = len(ordered) + len(keep)
    length = (np.clip(rng.lognormal(2.3, 0.6, n), 5.0, 60.0) * MINUTE).astype(np.int64)
    return Sessions(
        order_row=np.concatenate([ordered, anchor[keep]]),
        is_order=np.arange(n) < len(ordered),
        start=np.concatenate([placed[ordered] - length[: len(ordered)], start[keep]]),
        length=length,
    )


def looked_up_lines(context: Context, rng: np.random.Generator) -> pl.DataFrame:
    """Return order_row, sku for the lines that a visit looked up before its order, sorted by both."""
    lines = context.observed.coded_lines
    orders = lines["order_row"].unique().sort()
    share = min(_ORDER_SHARE, _MAX_ORDER_SESSIONS / max(orders.len(), 1))
    seen = orders.filter(pl.Series(rng.random(orders.len()) < share))
    pairs = lines.join(seen.to_frame(), on="order_row", how="semi").select("order_row", "sku").unique()
    pairs = pairs.sort("order_row", "sku")
    line_share = min(_LINE_SHARE, _MAX_ORDERED_PAIRS / max(pairs.height, 1))
    draw = rng.random(pairs.height)
    pairs = pairs.with_columns(draw=pl.Series(draw))
    least = pl.col("draw").min().over("order_row")
    return pairs.filter((pl.col("draw") < line_share) | (pl.col("draw") == least)).select("order_row", "sku")


def browsed_pairs(
    context: Context, visits: Sessions, taken: pl.DataFrame, wanted: int, rng: np.random.Generator
) -> pl.DataFrame:
    """Return up to `wanted` distinct (session, sku) pairs outside `taken`.

    Half come from the consumer's own history, half from the merchant's. Every visit without order gets one
    first; the rest falls on visits at random. A candidate is a line that
    precedes the visit's order (or, after an order, includes it), so nothing of the future is looked at.
    """
    if wanted == 0 or len(visits.start) == 0:
        return pl.DataFrame(schema={"session": pl.Int64, "sku": pl.Int64})
    lines = context.observed.coded_lines
    browsing = np.nonzero(~visits.is_order)[0]
    extra = rng.integers(0, len(visits.start), int(wanted * 1.8) + 20)
    session = np.concatenate([browsing, extra])
    row = visits.order_row[session] + ~visits.is_order[session]
    own = rng.random(len(session)) < 0.5
    draw = rng.random(len(session))
    sku = np.full(len(session), -1, dtype=np.int64)
    for column, use in (("consumer", own), ("merchant", ~own)):
        sku[use] = _past_sku(lines, column, visits.order_row[session[use]], row[use], draw[use])
    pairs = pl.DataFrame({"session": session.astype(np.int64), "sku": sku}).filter(pl.col("sku") >= 0)
    return (
        pairs.unique(["session", "sku"], keep="first", maintain_order=True)
        .join(taken, on=["session", "sku"], how="anti", maintain_order="left")
        .head(wanted)
    )


def _past_sku(lines: pl.DataFrame, by: str, order_row: Ints, before: Ints, draw: Floats) -> Ints:
    """Return the sku of a random earlier line (order_row < before) of the same consumer or merchant.

    -1 where there is none. Lines are sorted by group, then time, so a group's past is one index range.
    """
    ordered = lines.sort(by, "order_row", maintain_order=True)
    group, rows = ordered[by].to_numpy(), ordered["order_row"].to_numpy()
    span = int(rows.max()) + 2
    keyed = group * span + rows  # ascending: group major, time minor
    of_order = lines.unique("order_row", keep="first", maintain_order=True)
    place = np.searchsorted(of_order["order_row"].to_numpy(), order_row).clip(max=of_order.height - 1)
    known = of_order["order_row"].to_numpy()[place] == order_row
    wanted = of_order[by].to_numpy()[place]
    low = np.searchsorted(keyed, wanted * span)
    high = np.searchsorted(keyed, wanted * span + before)
    at = low + np.floor(draw * (high - low)).astype(np.int64)
    found = ordered["sku"].to_numpy()[at.clip(max=len(rows) - 1)]
    return np.where(known & (high > low), found, -1)


@dataclass(frozen=True)
class Slates:
    """Impressions (n,): session, sku code, position from 1, propensity, policy number, viewed."""

    session: Ints
    sku: Ints
    position: Ints
    propensity: Floats
    policy: Ints
    viewed: np.ndarray


def slates(context: Context, visits: Sessions, rng: np.random.Generator) -> Slates:
    """Show a slate in a share of the visits: Plackett-Luce over the merchant's pool, exact propensities.

    The propensity is the chance of this sku at this position given the skus shown above it:
    w_i / (sum of the weights not yet shown), with w falling by the policy's factor from rank to rank.
    """
    rate = np.array(context.truths.view_rate_by_position)
    depth = len(rate)
    pool, of_order = _pools(context)
    chosen = np.nonzero(rng.random(len(visits.start)) < _SLATE_SHARE)[0]
    chosen = chosen[of_order[visits.order_row[chosen]] >= 0]
    middle = (visits.start.min() + visits.start.max()) // 2 if len(visits.start) else 0
    policy = (visits.start[chosen] >= middle).astype(np.int64)
    factor = np.array(list(POLICIES.values()))[policy]
    weight = factor[:, None] ** np.arange(_POOL)
    # Plackett-Luce by Gumbel-top-k: ranking log-weights plus Gumbel noise draws without replacement.
    rank = np.argsort(-(np.log(weight) + rng.gumbel(size=weight.shape)), axis=1, kind="stable")[:, :depth]
    shown = np.take_along_axis(weight, rank, axis=1)
    left = weight.sum(axis=1, keepdims=True) - np.concatenate(
        [np.zeros((len(chosen), 1)), shown.cumsum(axis=1)[:, :-1]], axis=1
    )
    sku = np.take_along_axis(pool[of_order[visits.order_row[chosen]]], rank, axis=1)
    viewed = rng.random(sku.shape) < rate
    return Slates(
        session=np.repeat(chosen, depth).astype(np.int64),
        sku=sku.reshape(-1),
        position=np.tile(np.arange(1, depth + 1), len(chosen)),
        propensity=(shown / left).reshape(-1),
        policy=np.repeat(policy, depth),
        viewed=viewed.reshape(-1),
    )


def _pools(context: Context) -> tuple[Ints, Ints]:
    """Return pools of sku codes (merchants, _POOL), and the pool number of each order row or -1."""
    lines = context.observed.coded_lines
    orders = context.observed.sorted_orders
    placed = micros_of(orders["placed_at"])
    times = lines.with_columns(at=pl.Series(placed[lines["order_row"].to_numpy()]))
    first = pl.col("at").min().over("merchant")
    counts = (
        times.filter(pl.col("at") < first + _POOL_DAYS * DAY)
        .group_by("merchant", "sku")
        .len("n")
        .sort(["merchant", "n", "sku"], descending=[False, True, False])
        .filter(pl.int_range(pl.len()).over("merchant") < _POOL, pl.len().over("merchant") >= _POOL)
    )
    number = counts.select("merchant").unique(maintain_order=True).with_row_index("pool")
    opened = times.group_by("merchant").agg(opened=pl.col("at").min() + _POOL_DAYS * DAY)
    per_order = (
        times.unique("order_row", keep="first", maintain_order=True)
        .join(number, on="merchant")
        .join(opened, on="merchant")
        .filter(pl.col("at") >= pl.col("opened"))
    )
    of_order = np.full(orders.height, -1, dtype=np.int64)
    of_order[per_order["order_row"].to_numpy()] = per_order["pool"].to_numpy()
    return counts["sku"].to_numpy().reshape(-1, _POOL), of_order
