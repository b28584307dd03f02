"""The target price: the best expected profit on a ladder of prices round the anchor.

Demand answers price by a constant elasticity e with a normal posterior on log |e|, so that no draw has the
wrong sign. `greedy` takes the mean profit over the posterior, `thompson` the profit under one draw of it,
tempered and tilted to where more profit is at stake. Guard rails come after, in `guards`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from models.pricing.config import PolicyConfig

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WIDEST = 1.0
"""Largest deviation of log |e| that beliefs begin with."""
LARGEST = 20.0
"""Largest |e| that is ever drawn."""

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Beliefs:
    """What is believed of each listing's demand.

    Attributes:
        log_size: float64 (n,), posterior mean of log |e|.
        log_deviation: float64 (n,), posterior standard deviation of log |e|, not negative.
        max_elasticity: The sign constraint.
    """

    log_size: FloatArray
    log_deviation: FloatArray
    max_elasticity: float

    @property
    def elasticity(self) -> FloatArray:
        """The posterior median of e, float64 (n,), at most `max_elasticity`."""
        return np.minimum(-np.exp(self.log_size), self.max_elasticity)


@dataclass(frozen=True)
class Choice:
    """What the policy asks for.

    Attributes:
        target_cents: int64 (n,), before guard rails.
        gain_cents: float64 (n,), expected profit over the demand window against keeping the price.
    """

    target_cents: IntArray
    gain_cents: FloatArray


def log_beliefs(elasticity: FloatArray, deviation: FloatArray, max_elasticity: float) -> Beliefs:
    """Beliefs from means and deviations of e itself.

    Args:
        elasticity: float64 (n,), negative or held at the sign constraint.
        deviation: float64 (n,), standard deviation of e.
        max_elasticity: The sign constraint, below 0.

    Returns:
        Median |e| and, by the delta method, its relative deviation, at most `WIDEST`.
    """
    size = np.maximum(-elasticity, -max_elasticity)
    return Beliefs(np.log(size), np.minimum(deviation / size, WIDEST), max_elasticity)


def elasticity_quantile(
    beliefs: Beliefs, level: FloatArray, *, tilt: float = 0.0, temper: float = 1.0
) -> FloatArray:
    """Quantile of the posterior of e, with log |e| tilted and tempered.

    Args:
        beliefs: Posterior of each row.
        level: float64 (n,), in (0, 1).
        tilt: k of a posterior weighted with |e|^-k: the mean of log |e| moves by -k * variance.
        temper: Factor of the deviation.

    Returns:
        float64 (n,), at most `beliefs.max_elasticity`, at least -`LARGEST`.
    """
    from scipy.special import ndtri

    spread = beliefs.log_deviation
    drawn = beliefs.log_size - tilt * spread**2 + temper * spread * ndtri(level)
    return -np.clip(np.exp(drawn), -beliefs.max_elasticity, LARGEST)


def uniform_of(week: date, merchant_ids: list[str], sku_ids: list[str]) -> FloatArray:
    """A number in (0, 1) for each listing, the same in every run of a week.

    Args:
        week: First day of the week.
        merchant_ids: Merchant of each row.
        sku_ids: Sku of each row.

    Returns:
        float64 (n,).
    """
    checksums: dict[str, int] = {}

    def checksum(text: str) -> int:
        found = checksums.get(text)
        if found is None:
            found = checksums[text] = zlib.crc32(text.encode())
        return found

    merchant = np.fromiter(map(checksum, merchant_ids), np.uint64, len(merchant_ids))
    sku = np.fromiter(map(checksum, sku_ids), np.uint64, len(sku_ids))
    # splitmix64 over the three checksums; wrapping is meant.
    state = (merchant << np.uint64(32)) | sku
    with np.errstate(over="ignore"):
        state = state + _GOLDEN * np.uint64(zlib.crc32(week.isoformat().encode()) + 1)
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
    state = state ^ (state >> np.uint64(31))
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def choose(
    anchor: FloatArray,
    cost: FloatArray,
    current: FloatArray,
    base_qty: FloatArray,
    beliefs: Beliefs,
    config: PolicyConfig,
    draw: FloatArray,
) -> Choice:
    """Pick the price with the best expected profit among the ladder and the current price.

    Args:
        anchor: float64 (n,), cents, positive.
        cost: float64 (n,), cents.
        current: float64 (n,), cents, positive; demand is known here.
        base_qty: float64 (n,), units sold over the demand window at the current price.
        beliefs: Elasticity posterior.
        config: Ladder and learning mode.
        draw: float64 (n,), in (0, 1); the quantile that Thompson sampling uses.

    Returns:
        Targets and gains. The current price wins ties, then the lower rung.
    """
    nodes = _nodes(beliefs, config, draw)
    best = current.copy()
    best_profit = standing = current - cost
    for multiple in np.linspace(1.0 - config.ladder_width, 1.0 + config.ladder_width, config.ladder_rungs):
        price = np.maximum(np.rint(anchor * multiple), 1.0)
        log_change = np.log(price / current)
        response = np.zeros(len(price))
        for node in nodes:
            response += np.exp(np.clip(node * log_change, -50.0, 50.0))
        profit = (price - cost) * response / len(nodes)
        better = profit > best_profit
        best = np.where(better, price, best)
        best_profit = np.where(better, profit, best_profit)
    return Choice(np.rint(best).astype(np.int64), (best_profit - standing) * base_qty)


def _nodes(beliefs: Beliefs, config: PolicyConfig, draw: FloatArray) -> list[FloatArray]:
    """Elasticities to average profit over."""
    if config.learning == "thompson":
        return [elasticity_quantile(beliefs, draw, tilt=config.stakes, temper=config.temper)]
    count = config.posterior_nodes
    return [elasticity_quantile(beliefs, np.full(len(draw), (k + 0.5) / count)) for k in range(count)]
