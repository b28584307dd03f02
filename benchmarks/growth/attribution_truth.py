"""Attribution: how near each way of sharing revenue comes to what channels truly brought, and to the fen."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import OURS, Row, report
from models.attribution.config import AttributionConfig
from models.attribution.credits import MODELS, UNATTRIBUTED, credits_of
from models.attribution.effects import holdout
from models.attribution.paths import paths
from serving.settings import Settings

SEEDS = range(20)
CONSUMERS = 200_000
OFF_SHARE = 0.2
CHANNELS = ("feed_ads", "mail", "qr_store", "retargeting", "video")
REACH = np.array([0.35, 0.25, 0.15, 0.30, 0.20])
"""Share of consumers whom a channel touches, on average."""
FOLLOWS = np.array([0.2, 0.5, 0.3, 2.0, 0.0])
"""How much a channel follows who would buy anyway: retargeting does, video does not."""
LIFT = np.array([0.10, 0.06, 0.12, 0.02, 0.14])
"""Chance by which one touch makes an order that would not have been."""
BASKET_CENTS = 8_000
BEGIN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
DAYS = 28
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Market:
    """A month of a market with hold-outs.

    Attributes:
        is_off: Whether a consumer is held out from a channel, (n, k).
        is_touched: Whether the channel touched the consumer, (n, k).
        before: Spend of the month before, cents, (n,).
        spend: Spend of the month, cents, (n,).
        truth: Expected revenue that each channel brings of all consumers, cents, (k,).
    """

    is_off: Flags
    is_touched: Flags
    before: Floats
    spend: Floats
    truth: Floats


def main() -> int:
    """Run it."""
    started = time.perf_counter()
    distances: dict[str, list[float]] = {name: [] for name in ("holdout", *MODELS)}
    wrong = 0
    for seed in SEEDS:
        made = market(seed)
        told = {"holdout": _by_holdout(made)}
        shares, error = _by_models(made, seed)
        told |= shares
        wrong += error
        for name, found in told.items():
            distances[name].append(variation(found, made.truth))
    rows = [
        Row(
            OURS if name == "holdout" else name,
            "tvd_holdout" if name == "holdout" else "tvd",
            float(np.mean(found)),
            "0..1",
            (min(found), max(found)),
        )
        for name, found in distances.items()
    ]
    rows.append(Row(OURS, "credit_error_fen", wrong, "fen"))
    target = report(
        Settings().home,
        name="attribution_truth",
        protocol=(
            f"{len(SEEDS)} seeds, each a month of {CONSUMERS:,} generated consumers, {len(CHANNELS)} channels"
            " that follow those who buy anyway, retargeting most; what each channel brings is known. Each"
            f" channel holds {OFF_SHARE:.0%} of the consumers out, by lot. `tvd`: total variation between"
            " the channels' shares as told and their shares of what they truly bring; mean of the seeds, and"
            " the range. The models see the touches and orders of those months, and credit what was touched."
            " `credit_error_fen`: fen between credits and revenue, all orders, models and seeds together."
        ),
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    return 0 if target.exists() else 1


def market(seed: int, consumers: int = CONSUMERS) -> Market:
    """Make a month."""
    rng = np.random.default_rng(seed)
    intent = rng.beta(1.2, 8, consumers)
    rank = intent / intent.mean()
    weight = rank[:, None] ** FOLLOWS
    chance = np.minimum(0.95, REACH * weight / weight.mean(axis=0))
    would_touch = rng.random(chance.shape) < chance
    is_off = rng.random(chance.shape) < OFF_SHARE
    is_touched = would_touch & ~is_off
    basket = BASKET_CENTS * rng.lognormal(-0.08, 0.4, consumers)
    before = (rng.random(consumers) < intent) * basket
    missed = (1 - intent) * np.prod(1 - LIFT * is_touched, axis=1)
    is_order = rng.random(consumers) >= missed
    # All channels on, less one of them: expected, over all consumers.
    all_on = (1 - intent) * np.prod(1 - LIFT * chance, axis=1)
    truth = np.array(
        [
            float((basket * all_on * LIFT[k] * chance[:, k] / (1 - LIFT[k] * chance[:, k])).sum())
            for k in range(len(CHANNELS))
        ]
    )
    return Market(is_off, is_touched, before, np.round(is_order * basket), truth)


def _by_holdout(made: Market) -> Floats:
    found = []
    for k in range(len(CHANNELS)):
        off = made.is_off[:, k]
        effect = holdout(
            (made.before[~off], made.spend[~off]), (made.before[off], made.spend[off]), OFF_SHARE
        )
        assert effect.incremental_cents is not None
        found.append(max(0.0, effect.incremental_cents))
    return np.array(found)


def _by_models(made: Market, seed: int) -> tuple[dict[str, Floats], int]:
    """What each model gives each channel, and the fen by which credits miss revenue."""
    rng = np.random.default_rng([seed, 1])
    who, which = np.nonzero(made.is_touched)
    at = rng.random(len(who)) * (DAYS - 1)
    touches = pl.DataFrame(
        {
            "consumer_id": who.astype(str),
            "channel": np.array(CHANNELS)[which],
            "occurred_at": _times(at),
        }
    )
    buyers = np.flatnonzero(made.spend)
    orders = pl.DataFrame(
        {
            "order_id": buyers.astype(str),
            "consumer_id": buyers.astype(str),
            "placed_at": _times(np.full(len(buyers), DAYS)),
            "revenue_cents": made.spend[buyers].astype(np.int64),
        }
    )
    config = AttributionConfig()
    told = credits_of(paths(touches, orders, config), orders, config)
    revenue = int(orders["revenue_cents"].sum())
    sums = told.group_by("model").agg(pl.col("credit_cents").sum())
    error = int((sums["credit_cents"] - revenue).abs().sum()) + revenue * (len(MODELS) - sums.height)
    shares = {}
    for model in MODELS:
        of_model = told.filter(pl.col("model") == model, pl.col("channel") != UNATTRIBUTED)
        by_channel = dict(of_model.group_by("channel").agg(pl.col("credit_cents").sum()).iter_rows())
        shares[model] = np.array([float(by_channel.get(channel, 0)) for channel in CHANNELS])
    return shares, error


def _times(days: Floats) -> pl.Series:
    return pl.Series((days * 86_400e6).astype(np.int64)).cast(pl.Duration("us")) + BEGIN


def variation(told: Floats, truth: Floats) -> float:
    """Total variation between two ways of sharing: 0 the same, 1 nothing in common."""
    return float(np.abs(told / told.sum() - truth / truth.sum()).sum() / 2)


if __name__ == "__main__":
    raise SystemExit(main())
