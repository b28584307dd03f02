"""A generated platform of 100,000 channels whose true rates are known, and the peers that rank them too."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.supply.grading.config import SIGNALS, GradingConfig
from models.supply.grading.estimates import ESTIMATES
from models.supply.grading.evidence import CHANNEL, DELIVERIES, LINES, MARKET, OFFERS, Happened
from models.supply.grading.scores import channel_scores, points_of

AS_OF = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
CATEGORIES = 400
SUPPLIERS_EACH = 250
DAYS = 91
SKUS_EACH = 60
PLAYED = tuple(signal for signal in SIGNALS if signal.name not in {"held", "short", "declined"})
"""Signals that this world plays; of the others nobody has evidence, which leaves their weight to the rest."""
Floats = npt.NDArray[np.float64]
Z = 1.6448536269514722


@dataclass(frozen=True)
class World:
    """What happened in a quarter, what is true of every channel, and what the next quarter brings.

    Attributes:
        happened: What a grading sees.
        truth: supplier_id, category_id, score: the score that the true values would have.
        next_late: supplier_id, category_id, due, late: parcels of the next quarter.
    """

    happened: Happened
    truth: pl.DataFrame
    next_late: pl.DataFrame


def world(seed: int, categories: int = CATEGORIES) -> World:
    """Channels of every size: half have fewer than 15 lines a quarter, a few have thousands.

    Rates are Beta around their category's mean, which differs by category; logs are normal. Nothing of the
    platform's estimates is used to draw.
    """
    rng = np.random.default_rng(seed)
    n = categories * SUPPLIERS_EACH
    category = np.repeat(np.arange(categories), SUPPLIERS_EACH)
    channels = pl.DataFrame(
        {
            "supplier_id": [
                f"s{(7 * one + 31 * place) % 25_000}-{place}"
                for one in range(categories)
                for place in range(SUPPLIERS_EACH)
            ],
            "category_id": [f"c{c}" for c in category.tolist()],
        }
    )
    fault = _rates(rng, rng.uniform(0.01, 0.06, categories)[category], 15.0)
    late = _rates(rng, rng.uniform(0.04, 0.22, categories)[category], 8.0)
    slow = rng.normal(rng.normal(0.9, 0.2, categories)[category], 0.3)
    dear = rng.normal(0.0, 0.08, n)
    moving = _rates(rng, np.full(n, 0.1), 10.0)
    sold = np.ceil(rng.lognormal(2.7, 1.3, n)).astype(np.int64)
    sent = rng.binomial(sold, 0.6)
    offers, market = _offers(rng, channels, category, dear, moving)
    happened = Happened(
        _lines(rng, channels, sold, fault), _deliveries(rng, channels, sent, late, slow), offers, market
    )
    values = {
        "fault": fault,
        "late": late,
        "days_late": slow,
        "offers": dear,
        "market": dear,
        "moves": moving,
    }
    # A supplier's lateness drifts a little from quarter to quarter.
    later = 1 / (1 + np.exp(-(np.log(late / (1 - late)) + rng.normal(0, 0.25, n))))
    due = rng.binomial(np.ceil(sold * rng.lognormal(0, 0.3, n)).astype(np.int64), 0.6)
    next_late = channels.with_columns(due=pl.Series(due), late=pl.Series(rng.binomial(due, later)))
    return World(happened, _truth(channels, values), next_late)


def _rates(rng: np.random.Generator, mean: Floats, strength: float) -> Floats:
    return np.clip(rng.beta(mean * strength, (1 - mean) * strength), 1e-4, 1 - 1e-4)


def _moments(rng: np.random.Generator, n: int) -> pl.Series:
    back = (rng.random(n) * DAYS * 86_400_000_000).astype(np.int64)
    return pl.Series([AS_OF], dtype=pl.Datetime("us", "UTC")).new_from_index(0, n) - pl.Series(back).cast(
        pl.Duration("us")
    )


def _lines(
    rng: np.random.Generator, channels: pl.DataFrame, sold: npt.NDArray[np.int64], fault: Floats
) -> pl.DataFrame:
    row = np.repeat(np.arange(channels.height), sold)
    return (
        channels[row]
        .select(
            *CHANNEL,
            placed_at=_moments(rng, len(row)),
            is_fault=pl.Series(rng.random(len(row)) < fault[row]),
        )
        .select(pl.col(name).cast(kind) for name, kind in LINES.items())
    )


def _deliveries(
    rng: np.random.Generator, channels: pl.DataFrame, sent: npt.NDArray[np.int64], late: Floats, slow: Floats
) -> pl.DataFrame:
    row = np.repeat(np.arange(channels.height), sent)
    is_late = rng.random(len(row)) < late[row]
    days = np.expm1(np.abs(rng.normal(slow[row], 0.5)))
    return (
        channels[row]
        .select(
            *CHANNEL,
            due_at=_moments(rng, len(row)),
            is_late=pl.Series(is_late),
            days_late=pl.when(pl.Series(is_late)).then(pl.Series(days)),
        )
        .select(pl.col(name).cast(kind) for name, kind in DELIVERIES.items())
    )


def _offers(
    rng: np.random.Generator,
    channels: pl.DataFrame,
    category: npt.NDArray[np.int64],
    dear: Floats,
    moving: Floats,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Three skus a channel, each offered by about a dozen others, in two versions."""
    row = np.repeat(np.arange(channels.height), 3)
    sku = category[row] * SKUS_EACH + rng.integers(0, SKUS_EACH, len(row))
    worth = np.exp(rng.normal(7, 1, (int(category.max()) + 1) * SKUS_EACH))
    price = worth[sku] * np.exp(dear[row] + rng.normal(0, 0.03, len(row)))
    moved = np.where(rng.random(len(row)) < moving[row], np.exp(rng.choice([-1, 1], len(row)) * 0.08), 1.0)
    frame = channels[row].with_columns(sku_id=pl.Series([f"k{one}" for one in sku.tolist()]))
    versions = [
        frame.with_columns(
            valid_from=pl.lit(AS_OF - dt.timedelta(days=days)).cast(pl.Datetime("us", "UTC")),
            supply_price_cents=pl.Series(np.maximum(1, np.round(price * factor)).astype(np.int64)),
            is_current=pl.lit(days == 20),
        )
        for days, factor in ((80, moved), (20, np.ones(len(row))))
    ]
    offers = pl.concat(versions).unique(
        ["supplier_id", "sku_id", "valid_from"], keep="first", maintain_order=True
    )
    rivals = worth * np.exp(rng.normal(0.3, 0.05, len(worth)))
    market = pl.DataFrame(
        {"sku_id": [f"k{one}" for one in range(len(worth))], "price_cents": rivals}, schema=MARKET
    )
    return offers.select(pl.col(name).cast(kind) for name, kind in OFFERS.items()), market


def _truth(channels: pl.DataFrame, values: dict[str, Floats]) -> pl.DataFrame:
    """The score of the true values, by the platform's own weights."""
    return _scored(
        pl.concat(
            [
                _belief(channels, signal.name, values[signal.name], np.zeros(channels.height))
                for signal in PLAYED
            ]
        )
    )


def peer(evidence: pl.DataFrame, channels: pl.DataFrame, *, wilson: bool) -> pl.DataFrame:
    """Channels by raw rates and means, or by the Wilson bound of the rates; what was never seen counts as 0.

    Returns:
        supplier_id, category_id, score.
    """
    parts = []
    for signal in PLAYED:
        own = channels.join(
            evidence.filter(pl.col("signal") == signal.name), on=CHANNEL, how="left", maintain_order="left"
        ).with_columns(pl.col("n", "total").fill_null(0.0))
        n, total = own["n"].to_numpy(), own["total"].to_numpy()
        mean = np.divide(total, n, out=np.zeros_like(n), where=n > 0)
        if wilson and signal.kind == "rate":
            middle, spread = (
                mean + Z**2 / (2 * np.maximum(n, 1e-9)),
                Z
                * np.sqrt(
                    np.maximum(mean * (1 - mean), 0) / np.maximum(n, 1e-9)
                    + Z**2 / (4 * np.maximum(n, 1e-9) ** 2)
                ),
            )
            mean = np.where(n > 0, (middle + spread) / (1 + Z**2 / np.maximum(n, 1e-9)), 1.0)
        parts.append(_belief(channels, signal.name, mean, np.zeros(channels.height)))
    return _scored(pl.concat(parts))


def _belief(channels: pl.DataFrame, signal: str, mean: Floats, sd: Floats) -> pl.DataFrame:
    filled = {"signal": pl.lit(signal), "count": pl.lit(1), "n": pl.lit(1.0), "prior_of": pl.lit("")}
    frame = channels.with_columns(
        mean=pl.Series(mean), sd=pl.Series(sd), low=pl.Series(mean), high=pl.Series(mean)
    )
    return frame.with_columns(**filled, prior_mean=pl.col("mean").mean().over("category_id")).select(
        pl.col(name).cast(kind) for name, kind in ESTIMATES.items()
    )


def _scored(beliefs: pl.DataFrame) -> pl.DataFrame:
    config = GradingConfig()
    return channel_scores(points_of(beliefs, config), config).select(*CHANNEL, "score")
