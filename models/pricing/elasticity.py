"""Elasticities by hierarchical shrinkage: sku -> category level 3 -> level 2 -> all, sign-constrained.

The model of one change: of n units sold by a merchant in two neighbouring weeks, the share sold in the second
is logistic in b * (change of log price) + display + mailer + week. This is the log change of quantity, with
weeks without a sale kept at their proper weight, and everything constant about a sku and merchant cancels.
Evaluation lives in `evaluation`, storage in `training`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import InsufficientDataError
from models.pricing.changes import Changes, FloatArray, IntArray
from models.pricing.config import ElasticityConfig

BoolArray = npt.NDArray[np.bool_]

_LARGEST_LOGIT = 30.0
_SMALLEST_PASS_THROUGH = 0.2
_CONVERGED = 1e-4


@dataclass(frozen=True)
class Posterior:
    """Normal posteriors of one level of the tree.

    Attributes:
        mean: float64 (n,), elasticity.
        variance: float64 (n,), of the elasticity.
        spread: Standard deviation of this level round its parent (the empirical-Bayes prior).
    """

    mean: FloatArray
    variance: FloatArray
    spread: float


@dataclass(frozen=True)
class ElasticityModel:
    """A fitted tree of elasticities.

    Attributes:
        overall: One entry.
        l2: One entry a level 2 category.
        l3: One entry a level 3 category.
        sku: One entry a sku.
        display: Effect of display on log quantity.
        mailer: Effect of the mailer on log quantity.
        pass_through: How much of the price change used is found in the merchant's own price; 1 when it is
            the own price. Elasticity = slope on the price used / pass_through.
        dispersion: Variance of the score over its Poisson value, clustered by sku and week.
        overdispersion: rho of the working variance n p (1-p) (1 + rho (n-1)).
        max_elasticity: The sign constraint.
    """

    overall: Posterior
    l2: Posterior
    l3: Posterior
    sku: Posterior
    display: float
    mailer: float
    pass_through: float
    dispersion: float
    overdispersion: float
    max_elasticity: float

    def constrained(self, level: Posterior) -> FloatArray:
        """Elasticities of a level under the sign constraint, float64."""
        return np.minimum(level.mean, self.max_elasticity)


@dataclass(frozen=True)
class PooledFit:
    """The fit with one slope for everything.

    Attributes:
        slopes: float64 (3,): log price (0 when left out), display, mailer.
        week_effect: float64 (n_weeks,), 0 for weeks without rows.
        overdispersion: rho of the working variance.
    """

    slopes: FloatArray
    week_effect: FloatArray
    overdispersion: float


def second_week_share(logit: FloatArray) -> FloatArray:
    """Share of the units of two weeks that falls into the second, from the log change of quantity."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -_LARGEST_LOGIT, _LARGEST_LOGIT))))


def controls(changes: Changes) -> FloatArray:
    """Design matrix float64 (n, 3): log price, display, mailer."""
    return np.column_stack([changes.log_price, changes.display, changes.mailer])


def fit_pooled(
    changes: Changes,
    rows: BoolArray,
    steps: int,
    *,
    with_price: bool = True,
    start: PooledFit | None = None,
) -> PooledFit:
    """Fit one price slope, display, mailer and week effects by Newton steps.

    Args:
        changes: All changes.
        rows: bool (n,), the rows to learn from.
        steps: Largest number of Newton steps.
        with_price: False leaves price out (the rule "no response").
        start: A fit to start from.

    Returns:
        The fit. Columns without variation get slope 0.
    """
    first_column = 0 if with_price else 1
    design = controls(changes)[rows, first_column:]
    week = changes.week[rows]
    units = (changes.before_qty + changes.after_qty)[rows]
    after = changes.after_qty[rows]
    slopes = np.zeros(3)
    week_effect = np.zeros(changes.n_weeks)
    rho = 0.0
    if start is not None:
        slopes, week_effect, rho = start.slopes.copy(), start.week_effect.copy(), start.overdispersion
        slopes[:first_column] = 0.0
    for _ in range(steps):
        share = second_week_share(design @ slopes[first_column:] + week_effect[week])
        binomial = units * share * (1.0 - share)
        weight = 1.0 / (1.0 + rho * (units - 1.0))
        score, information = weight * (after - units * share), weight * binomial
        week_information = _sums(week, information, changes.n_weeks)
        # Week effects have a diagonal information matrix, so they are eliminated rather than solved for.
        week_mean = _week_means(design, information, week, week_information)
        centred = design - week_mean[week]
        matrix = (centred * information[:, None]).T @ centred
        step = np.linalg.lstsq(matrix, centred.T @ score, rcond=1e-10)[0]
        slopes[first_column:] += step
        converged = bool(np.abs(step).max() < _CONVERGED)
        known = week_information > 0
        shift = _sums(week, score, changes.n_weeks) / np.where(known, week_information, 1.0)
        week_effect += np.where(known, shift - week_mean @ step, 0.0)
        many = units > 1
        excess = float(((after - units * share)[many] ** 2 / np.maximum(binomial[many], 1e-12) - 1.0).sum())
        rho = float(np.clip(excess / max(float((units[many] - 1.0).sum()), 1.0), 0.0, 1.0))
        if converged:
            break
    return PooledFit(slopes, week_effect, rho)


def fit(
    changes: Changes, config: ElasticityConfig, rows: BoolArray | None = None, start: PooledFit | None = None
) -> tuple[ElasticityModel, PooledFit]:
    """Fit the tree of elasticities.

    Args:
        changes: All changes.
        config: Settings.
        rows: bool (n,), the rows to learn from; all when absent.
        start: A pooled fit to start from.

    Returns:
        The model, and its pooled fit for a later warm start.

    Raises:
        InsufficientDataError: Fewer than `config.min_changes` rows, or prices that never move.

    Source:
        Method-of-moments empirical Bayes for the spread of each level; the price change is freed of display,
        mailer and week before it is scored (Neyman orthogonal, as in double machine learning with a linear
        first stage).
    """
    used = np.ones(len(changes.sku), dtype=np.bool_) if rows is None else rows
    if int(used.sum()) < config.min_changes:
        raise InsufficientDataError(
            f"elasticities: {int(used.sum())} week-to-week changes; at least {config.min_changes} are needed"
        )
    if float(np.std(changes.log_price[used])) < 1e-6:
        raise InsufficientDataError("elasticities: prices never change in the data; nothing to learn")
    units = (changes.before_qty + changes.after_qty)[used]
    after = changes.after_qty[used]
    design, week, sku = controls(changes)[used], changes.week[used], changes.sku[used]
    # A shock hits all merchants of a sku in the same week, so rows of a sku and week are one cluster.
    cluster, cluster_sku = changes.cluster[used], changes.cluster_sku
    follows = (np.diff(changes.cluster_week, prepend=-1) == 1) & (np.diff(cluster_sku, prepend=-1) == 0)
    pooled = fit_pooled(changes, used, config.newton_steps, start=start)
    weight = 1.0 / (1.0 + pooled.overdispersion * (units - 1.0))
    base = design @ pooled.slopes + pooled.week_effect[week]
    share = second_week_share(base)
    information = weight * units * share * (1.0 - share)
    price = _residual_price(design, information, week, changes.n_weeks)
    total = float((information * price**2).sum())
    score = weight * (after - units * share) * price
    cluster_score = _sums(cluster, score, len(cluster_sku))
    dispersion = max(float(_noise(cluster_score, follows).sum()) / total, 1e-6)
    pass_through = _pass_through(changes, used)

    def deviations(
        group_of_sku: IntArray, n_groups: int, slope: FloatArray
    ) -> tuple[FloatArray, FloatArray, float]:
        """Shrunken deviations from the parent's slope, their variances and the level's spread."""
        level = group_of_sku[sku]
        shift = np.zeros(n_groups)
        spread = 0.0
        for step in range(config.group_steps):
            current = second_week_share(base + (slope + shift[level]) * price)
            gradient = np.bincount(level, weight * (after - units * current) * price, n_groups) / dispersion
            curvature = (
                np.bincount(level, weight * units * current * (1 - current) * price**2, n_groups) / dispersion
            )
            if step == 0:
                residual = weight * (after - units * current) * price
                spread = _between_groups_spread(
                    _sums(cluster, residual, len(cluster_sku)),
                    _sums(cluster, information * price**2, len(cluster_sku)),
                    group_of_sku[cluster_sku],
                    follows,
                )
            if spread == 0.0:
                return np.zeros(n_groups), np.zeros(n_groups), 0.0
            precision = 1.0 / spread**2
            shift = shift + (gradient - shift * precision) / (curvature + precision)
            variance = 1.0 / (curvature + precision)
        return shift, variance, spread

    l2_of_sku = changes.l2_of_l3[changes.l3_of_sku]
    groups = (l2_of_sku, changes.l3_of_sku, np.arange(len(changes.sku_ids)))
    levels = []
    mean = np.array([pooled.slopes[0]])
    variance = np.array([dispersion / total])
    levels.append(Posterior(mean / pass_through, variance / pass_through**2, 0.0))
    parents = (np.zeros(len(changes.l2_ids), np.int64), changes.l2_of_l3, changes.l3_of_sku)
    for parent, group in zip(parents, groups, strict=True):
        inherited = mean[parent]
        shift, own_variance, spread = deviations(group, len(parent), inherited[group[sku]] - pooled.slopes[0])
        kept = own_variance / spread**2 if spread > 0 else np.ones(len(parent))
        mean = inherited + shift
        variance = own_variance + kept**2 * variance[parent]
        levels.append(Posterior(mean / pass_through, variance / pass_through**2, spread / pass_through))
    return (
        ElasticityModel(
            overall=levels[0],
            l2=levels[1],
            l3=levels[2],
            sku=levels[3],
            display=float(pooled.slopes[1]),
            mailer=float(pooled.slopes[2]),
            pass_through=pass_through,
            dispersion=dispersion,
            overdispersion=pooled.overdispersion,
            max_elasticity=config.max_elasticity,
        ),
        pooled,
    )


def elasticity_without_zero_weeks(changes: Changes, rows: BoolArray | None = None) -> float:
    """Plain least squares on changes with sales in both weeks: the estimate that drops zero weeks.

    Args:
        changes: All changes.
        rows: bool (n,), the rows to use; all when absent.

    Returns:
        The slope, shown beside the model's to say what dropping zero weeks does; NaN without such rows.
    """
    both = np.isfinite(changes.own_log_price)
    if rows is not None:
        both &= rows
    if int(both.sum()) < 4:
        return float("nan")
    design = np.column_stack(
        [changes.own_log_price[both], changes.display[both], changes.mailer[both], np.ones(int(both.sum()))]
    )
    outcome = np.log(changes.after_qty[both] / changes.before_qty[both])
    return float(np.linalg.lstsq(design, outcome, rcond=None)[0][0])


def _sums(group: IntArray, values: FloatArray, n_groups: int) -> FloatArray:
    """Sum of the values in each group, float64 (n_groups,)."""
    return np.asarray(np.bincount(group, values, n_groups), dtype=np.float64)


def _week_means(design: FloatArray, information: FloatArray, week: IntArray, total: FloatArray) -> FloatArray:
    """Weighted mean of each column in each week, float64 (n_weeks, n_columns)."""
    safe = np.where(total > 0, total, 1.0)
    columns = [_sums(week, information * design[:, j], len(total)) / safe for j in range(design.shape[1])]
    return np.column_stack(columns)


def _residual_price(design: FloatArray, information: FloatArray, week: IntArray, n_weeks: int) -> FloatArray:
    """Price change after display, mailer and week are taken out of it."""
    total = _sums(week, information, n_weeks)
    week_mean = _week_means(design, information, week, total)
    centred = design - week_mean[week]
    others = centred[:, 1:]
    weighted = others * information[:, None]
    slopes = np.linalg.lstsq(weighted.T @ others, weighted.T @ centred[:, 0], rcond=1e-10)[0]
    return np.asarray(centred[:, 0] - others @ slopes)


def _pass_through(changes: Changes, rows: BoolArray) -> float:
    """Slope of the own price change on the price change used, from rows with sales in both weeks."""
    if changes.price_source == "own":
        return 1.0
    both = rows & np.isfinite(changes.own_log_price)
    market = changes.log_price[both]
    if len(market) < 2 or float(np.var(market)) < 1e-12:
        return 1.0
    design = np.column_stack([market, changes.display[both], changes.mailer[both], np.ones(len(market))])
    slope = float(np.linalg.lstsq(design, changes.own_log_price[both], rcond=None)[0][0])
    # Below this the others' prices say too little about the own price for a ratio to be trusted.
    return min(max(slope, _SMALLEST_PASS_THROUGH), 1.0)


def _noise(score: FloatArray, follows: BoolArray) -> FloatArray:
    """Each cluster's squared score and its products with the week before, which shares a week of sales."""
    noise = score**2
    noise[1:] += 2.0 * score[1:] * score[:-1] * follows[1:]
    return noise


def _between_groups_spread(
    score: FloatArray, information: FloatArray, group: IntArray, follows: BoolArray
) -> float:
    """Standard deviation of group slopes round 0, by moments.

    The product of the scores of two different weeks of a group has mean spread^2 times the product of their
    information, however noisy the weeks are; neighbouring weeks are left out because they share sales.

    Args:
        score: float64 (n_clusters,), score of a sku and week, ordered by sku and week.
        information: float64 (n_clusters,).
        group: int64 (n_clusters,).
        follows: bool (n_clusters,), True where the cluster before is the same sku's week before.
    """
    n_groups = int(group.max()) + 1
    total = _sums(group, information, n_groups)
    products = _sums(group, score, n_groups) ** 2 - _sums(group, _noise(score, follows), n_groups)
    expected = total**2 - _sums(group, _noise(information, follows), n_groups)
    # Dividing by the information keeps the few largest groups from deciding alone.
    scale = np.where(total > 0, total, 1.0)
    bottom = float((expected / scale).sum())
    if bottom <= 0.0:
        return 0.0
    return float(np.sqrt(max(float((products / scale).sum()) / bottom, 0.0)))
