"""The repurchase kernel: how long after a purchase an item is bought again.

k_i(dt) = (1 - pi) Exp(dt; 1 / beta) + pi N(dt; mu, sigma), fitted to the gaps of all consumers and shrunk to
those of its category where an item has few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.recommendation.interactions import Indices

Vector = npt.NDArray[np.float64]
_LEAST = 1e-9


@dataclass(frozen=True)
class Kernel:
    """A kernel an item.

    Attributes:
        share: pi, float64 (n_items,), weight of the bell.
        beta: Mean of the exponential, days, float64 (n_items,).
        mu: Mean of the bell, days, float64 (n_items,).
        sigma: Its standard deviation, days, float64 (n_items,).
    """

    share: Vector
    beta: Vector
    mu: Vector
    sigma: Vector

    def due(self, item: Indices, age: Vector, window: float) -> Vector:
        """Share of the gaps longer than `age` that end within `window` days: float64 (n,), 0-1.

        Args:
            item: int64 (n,).
            age: Days since the last purchase, float64 (n,).
            window: Days ahead.
        """
        open_gaps = 1 - self._ended(item, age)
        return np.clip(
            (self._ended(item, age + window) - (1 - open_gaps)) / np.maximum(open_gaps, _LEAST), 0, 1
        )

    def _ended(self, item: Indices, dt: Vector) -> Vector:
        from scipy.special import ndtr

        exponential = -np.expm1(-dt / self.beta[item])
        bell = ndtr((dt - self.mu[item]) / self.sigma[item])
        return (1 - self.share[item]) * exponential + self.share[item] * bell


def fit_kernel(
    item: Indices, gap: Vector, category: Indices, *, strength: float = 20.0, rounds: int = 15
) -> Kernel:
    """Fit by expectation and maximisation: everything, then categories, then items.

    Args:
        item: int64 (n_gaps,), whose gap.
        gap: Days between two purchases of an item by a consumer, float64 (n_gaps,), above 0.
        category: int64 (n_items,), number of each item's category.
        strength: An item's sums are joined by so many gaps shaped like its category's, a category's by as
            many shaped like everything's.
        rounds: Rounds of a fit.

    Returns:
        The kernels of the items; without any gap, a week's exponential.
    """
    if len(gap) == 0:
        week = np.full(len(category), 7.0)
        return Kernel(np.zeros(len(category)), week, week, week)
    middle = np.array([float(np.median(gap))])
    start = Kernel(np.array([0.5]), np.array([float(gap.mean())]), middle, np.maximum(middle / 2, 0.5))
    nothing = np.zeros(len(gap), np.int64)
    everything = _fitted(nothing, gap, start, 0.0, 2 * rounds)
    n_categories = int(category.max()) + 1
    of_categories = _fitted(
        category[item], gap, _taken(everything, np.zeros(n_categories, np.int64)), strength, rounds
    )
    return _fitted(item, gap, _taken(of_categories, category), strength, rounds)


def _taken(kernel: Kernel, place: Indices) -> Kernel:
    return Kernel(kernel.share[place], kernel.beta[place], kernel.mu[place], kernel.sigma[place])


def _medians(item: Indices, gap: Vector, prior: Vector, strength: float) -> Vector:
    """Median gap of each item, drawn to the prior: where the bell is looked for first."""
    order = np.lexsort((gap, item))
    size = np.bincount(item, minlength=len(prior))
    start = np.cumsum(size) - size
    middle = np.where(size > 0, gap[order[np.minimum(start + size // 2, len(gap) - 1)]], prior)
    return np.asarray((size * middle + strength * prior) / np.maximum(size + strength, _LEAST))


def _sums(item: Indices, value: Vector, n_items: int) -> Vector:
    return np.asarray(np.bincount(item, value, n_items), dtype=np.float64)


def _fitted(item: Indices, gap: Vector, prior: Kernel, strength: float, rounds: int) -> Kernel:
    n_items = len(prior.share)
    pi, beta, sigma = prior.share, prior.beta, prior.sigma
    mu = _medians(item, gap, prior.mu, strength)
    least_sigma = np.maximum(0.05 * prior.mu, 0.25)
    total = np.bincount(item, minlength=n_items) + strength
    for _ in range(rounds):
        tail = (1 - pi[item]) * np.exp(-gap / beta[item]) / beta[item]
        z = (gap - mu[item]) / sigma[item]
        peak = pi[item] * np.exp(-0.5 * z * z) / (sigma[item] * np.sqrt(2 * np.pi))
        bell = peak / np.maximum(tail + peak, _LEAST)
        in_bell = _sums(item, bell, n_items) + strength * prior.share
        in_tail = np.maximum(total - in_bell, _LEAST)
        pi = np.clip(in_bell / np.maximum(total, _LEAST), 0.01, 0.99)
        beta = _sums(item, (1 - bell) * gap, n_items) + strength * (1 - prior.share) * prior.beta
        beta = np.maximum(beta / in_tail, 0.25)
        in_bell = np.maximum(in_bell, _LEAST)
        mu = (_sums(item, bell * gap, n_items) + strength * prior.share * prior.mu) / in_bell
        spread = _sums(item, bell * (gap - mu[item]) ** 2, n_items)
        spread = spread + strength * prior.share * (prior.sigma**2 + (prior.mu - mu) ** 2)
        sigma = np.maximum(np.sqrt(spread / in_bell), least_sigma)
    return Kernel(pi, beta, mu, sigma)
