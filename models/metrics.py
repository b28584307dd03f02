"""Metrics shared by the families, and the paired bootstrap that turns a difference into an interval.

Ranking metrics work on a boolean relevance matrix, so that every family ranks the full catalogue and then
hands over what it ranked. Family-specific metrics live with the family.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.contracts import Interval

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def recall_at_k(hits: BoolArray, n_relevant: IntArray) -> FloatArray:
    """Share of a user's relevant items that were ranked.

    Args:
        hits: bool (n_users, k); True where the item at that rank is relevant.
        n_relevant: int (n_users,); number of relevant items of the user, at least 1.

    Returns:
        float64 (n_users,), 0-1.

    Raises:
        ValueError: A user has no relevant item; such users must be left out before.
    """
    if (n_relevant < 1).any():
        raise ValueError("recall_at_k: every user needs at least one relevant item; leave the others out")
    return np.asarray(hits.sum(axis=1) / n_relevant, dtype=np.float64)


def ndcg_at_k(hits: BoolArray, n_relevant: IntArray, *, truncate_ideal: bool) -> FloatArray:
    """Normalised discounted cumulative gain with binary relevance.

    Args:
        hits: bool (n_users, k); True where the item at that rank is relevant.
        n_relevant: int (n_users,); number of relevant items of the user, at least 1.
        truncate_ideal: True: the ideal list has min(k, n_relevant) items (the usual form). False: it holds
            all relevant items (the form of the Ta-Feng protocol, which is never above the usual one).

    Returns:
        float64 (n_users,), 0-1.

    Source:
        Jarvelin & Kekalainen 2002; "Next Basket Reality Check" for the form without truncation.
    """
    k = hits.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    gains = hits @ discounts
    longest = k if truncate_ideal else int(max(k, n_relevant.max(initial=1)))
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, longest + 2)))
    length = np.minimum(n_relevant, longest)
    return np.asarray(gains / ideal[length - 1], dtype=np.float64)


def wape(actual: FloatArray, forecast: FloatArray) -> float:
    """Weighted absolute percentage error, sum |a - f| / sum |a|.

    Returns:
        The ratio (0 is perfect); NaN when nothing sold.
    """
    total = float(np.abs(actual).sum())
    return float(np.abs(actual - forecast).sum()) / total if total > 0 else float("nan")


def pinball(actual: FloatArray, forecast: FloatArray, quantile: float) -> FloatArray:
    """Quantile (pinball) loss of each point, in the unit of the series.

    Args:
        actual: float (n,).
        forecast: float (n,), the forecast of `quantile`.
        quantile: In (0, 1).

    Returns:
        float64 (n,), never negative.
    """
    error = actual - forecast
    return np.asarray(np.maximum(quantile * error, (quantile - 1) * error), dtype=np.float64)


def auc(label: BoolArray, score: FloatArray) -> float:
    """Area under the ROC curve, ties counted half (the Mann-Whitney form).

    Returns:
        0-1; NaN when only one class is present.
    """
    from scipy.stats import rankdata

    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[label].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(label: BoolArray, score: FloatArray) -> float:
    """Area under the precision-recall steps; equal scores form one step.

    Returns:
        0-1; NaN when there is no positive.
    """
    positives = int(label.sum())
    if positives == 0:
        return float("nan")
    order = np.argsort(-score, kind="stable")
    sorted_score, sorted_label = score[order], label[order]
    last_of_step = np.append(np.flatnonzero(np.diff(sorted_score)), len(score) - 1)
    true_positives = np.cumsum(sorted_label)[last_of_step]
    precision = true_positives / (last_of_step + 1)
    recall = true_positives / positives
    return float(np.sum(np.diff(np.append(0.0, recall)) * precision))


def expected_calibration_error(label: BoolArray, probability: FloatArray, bins: int = 10) -> float:
    """Mean gap between promised and observed frequency over equally filled bins.

    Args:
        label: bool (n,).
        probability: float (n,), 0-1.
        bins: Number of equally filled bins.

    Returns:
        0-1, weighted by bin size.
    """
    order = np.argsort(probability, kind="stable")
    gaps = 0.0
    for part in np.array_split(order, bins):
        if len(part):
            gaps += len(part) * abs(float(label[part].mean()) - float(probability[part].mean()))
    return gaps / len(label)


def paired_bootstrap(
    n_units: int,
    candidate: Callable[[IntArray], float],
    rule: Callable[[IntArray], float],
    *,
    higher_is_better: bool,
    draws: int = 500,
    seed: int = 0,
) -> Interval:
    """Interval of "candidate minus rule" when the same units are drawn for both.

    Args:
        n_units: Number of exchangeable units (users, series), not of single rows.
        candidate: Metric of the candidate on the drawn unit indices, int64 (n_units,).
        rule: The same for the rule.
        higher_is_better: False flips the sign, so that above 0 always means better.
        draws: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        The difference on all units, with the 2.5% and 97.5% points of the draws.

    Raises:
        ValueError: There are no units.
    """
    if n_units < 1:
        raise ValueError("paired_bootstrap: no units to draw from")
    sign = 1.0 if higher_is_better else -1.0
    everyone = np.arange(n_units)
    mean = sign * (candidate(everyone) - rule(everyone))
    rng = np.random.default_rng(seed)
    differences = np.empty(draws)
    for draw in range(draws):
        chosen = rng.integers(0, n_units, n_units)
        differences[draw] = sign * (candidate(chosen) - rule(chosen))
    low, high = np.nanquantile(differences, [0.025, 0.975])
    return Interval(float(mean), float(low), float(high))
