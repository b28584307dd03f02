"""Ranks with intervals: a place is told as the places that it could be.

A party's sales of a month are the sum over its buyers, whose number is Poisson: the variance of the sum is
the sum of the squares of what each buyer brought. A party is above another one where their difference is
further from 0 than chance brings, for all comparisons of the party together (Bonferroni).

Source: Mogstad, Romano, Shaikh, Wilhelm (2024), Inference for Ranks, Review of Economic Studies 91(1).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Places(NamedTuple):
    """Ranks of parties, 1 is the largest.

    Attributes:
        rank: By value; equal values share the better rank.
        low: Best rank that the party could have.
        high: Worst rank that the party could have.
    """

    rank: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def places(values: NDArray[np.float64], errors: NDArray[np.float64], confidence: float = 0.95) -> Places:
    """Rank parties by value, each with the interval of its rank.

    Args:
        values: Shape (n,), n >= 2: what parties are ranked by.
        errors: Shape (n,): standard errors of the values.
        confidence: Chance with which the interval of a party holds its rank.

    Raises:
        ValueError: There are fewer than two parties.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"a ranking needs two parties, not {n}")
    reach = NormalDist().inv_cdf(1 - (1 - confidence) / (2 * (n - 1)))
    ahead = values[None, :] - values[:, None]  # of the column's party before the row's
    least = reach * np.sqrt(errors[None, :] ** 2 + errors[:, None] ** 2)
    return Places(
        1 + (ahead > 0).sum(axis=1),
        1 + (ahead > least).sum(axis=1),
        n - (-ahead > least).sum(axis=1),
    )
