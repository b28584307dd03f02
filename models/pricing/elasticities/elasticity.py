"""Elasticities by hierarchical shrinkage: sku -> category level 3 -> level 2 -> all, sign-constrained.

The model of one change: of n units sold by a merchant in two neighbouring weeks, the share sold in the second
is logistic in b * (change of log price) + display + mailer + week, with a steeper b while promoted and the
prices of the category's other skus beside it. This is the log change of quantity, with weeks without a sale
kept at their proper weight, and everything constant about a sku and merchant cancels. Where every week sells
by the dozen, the log change itself is the outcome.
Evaluation lives in `evaluation`, storage in `training`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.errors import InsufficientDataError
from models.pricing.config import ElasticityConfig
from models.pricing.elasticities.changes import Changes, FloatArray, IntArray
from models.pricing.elasticities.pooled import (
    CATEGORY_PRICE,
    DISPLAY,
    MAILER,
    OWN_SHARE,
    PRICE,
    PROMOTED_PRICE,
    BoolArray,
    PooledFit,
    Sales,
    controls,
    fit_pooled,
    sales_of,
    sums,
    week_means,
)

_SMALLEST_PASS_THROUGH = 0.2


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
        promoted: What is added to the slope on the price used while a sku is on display or mailer.
        promoted_share: Share of units in changes with a promotion.
        category: Cross-price elasticity: answer to the mean price of the other skus of the category; 0 beside
            prices of other merchants.
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
    promoted: float
    promoted_share: float
    category: float
    pass_through: float
    dispersion: float
    overdispersion: float
    max_elasticity: float

    def constrained(self, level: Posterior) -> FloatArray:
        """Elasticities of a level under the sign constraint, float64."""
        return np.minimum(level.mean, self.max_elasticity)

    def usual(self, level: Posterior) -> FloatArray:
        """Elasticities of a level as often promoted as sales are, under the sign constraint, float64.

        That is how sales answer a price that stands for weeks; `constrained` is the answer without promotion.
        """
        shift = self.promoted * self.promoted_share / self.pass_through
        return np.minimum(level.mean + shift, self.max_elasticity)

    def log_change(self, changes: Changes, rows: BoolArray) -> FloatArray:
        """Expected change of the log quantity of some rows of `changes`, whose skus are the model's."""
        slope = self.constrained(self.sku)[changes.sku[rows]] * self.pass_through
        slope = np.minimum(
            slope + self.promoted * changes.promoted[rows], self.max_elasticity * self.pass_through
        )
        return np.asarray(
            slope * changes.log_price[rows]
            + self.display * changes.display[rows]
            + self.mailer * changes.mailer[rows]
            + self.category * changes.category_log_price[rows]
        )


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
    pooled = fit_pooled(changes, used, config.newton_steps, start=start)
    scored = _score_rows(changes, used, pooled)
    top = float(pooled.slopes[PRICE])
    # Where skus differ, the pooled slope makes residuals look noisier than they are, so the noise is measured
    # a second time round the skus' own slopes.
    dispersion = _dispersion(scored, np.zeros(len(changes.sku_ids)))
    tree = _tree(scored, changes, top, dispersion, config.group_steps)
    dispersion = _dispersion(scored, tree[-1].mean - top)
    tree = _tree(scored, changes, top, dispersion, config.group_steps)
    ratio = _pass_through(changes, used)
    overall, l2, l3, sku = (
        Posterior(level.mean / ratio, level.variance / ratio**2, level.spread / ratio) for level in tree
    )
    model = ElasticityModel(
        overall=overall,
        l2=l2,
        l3=l3,
        sku=sku,
        display=float(pooled.slopes[DISPLAY]),
        mailer=float(pooled.slopes[MAILER]),
        promoted=float(pooled.slopes[PROMOTED_PRICE]),
        promoted_share=_promoted_share(changes, used),
        category=float(pooled.slopes[CATEGORY_PRICE]),
        pass_through=ratio,
        dispersion=dispersion,
        overdispersion=pooled.overdispersion,
        max_elasticity=config.max_elasticity,
    )
    return model, pooled


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


@dataclass(frozen=True)
class _Scored:
    """The rows in use, ready to be scored: float64 (n,) unless said otherwise.

    Attributes:
        base: Log change of quantity by the pooled fit.
        price: Price change freed of display, mailer and week.
        sales: What sold.
        overdispersion: Of the pooled fit.
        information: Working information of the log change.
        sku: int64 (n,).
        cluster: int64 (n,), sku and second week.
        cluster_sku: int64 (n_clusters,).
        follows: bool (n_clusters,), True where the cluster before is the same sku's week before.
    """

    base: FloatArray
    price: FloatArray
    sales: Sales
    overdispersion: float
    information: FloatArray
    sku: IntArray
    cluster: IntArray
    cluster_sku: IntArray
    follows: BoolArray


def _score_rows(changes: Changes, used: BoolArray, pooled: PooledFit) -> _Scored:
    """Prepare the rows; raises InsufficientDataError where price cannot be told from week."""
    sales = sales_of(changes, used)
    design, week = controls(changes)[used], changes.season[used]
    base = design @ pooled.slopes + pooled.week_effect[week]
    _, information = sales.terms(base, pooled.overdispersion)
    price = _residual_price(design, information, week, changes.n_weeks)
    if float(information @ price**2) <= OWN_SHARE * float(information @ design[:, 0] ** 2):
        raise InsufficientDataError(
            "elasticities: all prices move in step, so weeks and prices cannot be told apart"
        )
    same_sku = np.diff(changes.cluster_sku, prepend=-1) == 0
    return _Scored(
        base=base,
        price=price,
        sales=sales,
        overdispersion=pooled.overdispersion,
        information=information,
        sku=changes.sku[used],
        cluster=changes.cluster[used],
        cluster_sku=changes.cluster_sku,
        follows=same_sku & (np.diff(changes.cluster_week, prepend=-1) == 1),
    )


def _dispersion(scored: _Scored, shift: FloatArray) -> float:
    """Variance of the score over its Poisson value, at each sku's slope of pooled + shift.

    A shock hits all merchants of a sku in the same week, so rows of a sku and week count as one.
    """
    score, _ = scored.sales.terms(scored.base + shift[scored.sku] * scored.price, scored.overdispersion)
    score = score * scored.price
    noise = _noise(sums(scored.cluster, score, len(scored.cluster_sku)), scored.follows)
    return max(float(noise.sum()) / float(scored.information @ scored.price**2), 1e-6)


def _tree(scored: _Scored, changes: Changes, top: float, dispersion: float, steps: int) -> list[Posterior]:
    """Posteriors of the slopes from all skus down to each sku."""
    nobody = np.zeros(len(changes.l2_ids), dtype=np.int64)
    parents = (nobody, changes.l2_of_l3, changes.l3_of_sku)
    groups = (changes.l2_of_l3[changes.l3_of_sku], changes.l3_of_sku, np.arange(len(changes.sku_ids)))
    total = float(scored.information @ scored.price**2)
    levels = [Posterior(np.array([top]), np.array([dispersion / total]), 0.0)]
    for parent, group in zip(parents, groups, strict=True):
        inherited = levels[-1].mean[parent]
        above = inherited[group[scored.sku]] - top
        shift, own, spread = _deviations(scored, group, len(parent), above, dispersion, steps)
        kept = own / spread**2 if spread > 0 else np.ones(len(parent))
        variance = own + kept**2 * levels[-1].variance[parent]
        levels.append(Posterior(inherited + shift, variance, spread))
    return levels


def _deviations(
    scored: _Scored, group_of_sku: IntArray, n_groups: int, above: FloatArray, dispersion: float, steps: int
) -> tuple[FloatArray, FloatArray, float]:
    """Shrunken deviations of the groups from their parent, their variances and the level's spread.

    Args:
        scored: The rows.
        group_of_sku: int64 (n_skus,).
        n_groups: Number of groups.
        above: float64 (n,), the parent's slope less the pooled one.
        dispersion: Noise of the scores.
        steps: Newton steps.
    """
    group = group_of_sku[scored.sku]
    shift, variance, spread = np.zeros(n_groups), np.zeros(n_groups), 0.0
    for step in range(steps):
        score, curvature = scored.sales.terms(
            scored.base + (above + shift[group]) * scored.price, scored.overdispersion
        )
        score, curvature = score * scored.price, curvature * scored.price**2
        if step == 0:
            n_clusters = len(scored.cluster_sku)
            spread = _between_groups_spread(
                sums(scored.cluster, score, n_clusters),
                sums(scored.cluster, curvature, n_clusters),
                group_of_sku[scored.cluster_sku],
                scored.follows,
            )
            if spread == 0.0:
                break
        precision = 1.0 / spread**2
        variance = 1.0 / (sums(group, curvature, n_groups) / dispersion + precision)
        shift = shift + (sums(group, score, n_groups) / dispersion - shift * precision) * variance
    return shift, variance, spread


def _residual_price(design: FloatArray, information: FloatArray, week: IntArray, n_weeks: int) -> FloatArray:
    """Price change after display, mailer, the category's prices and week are taken out of it.

    Not the price while promoted: how a sku's sales answer there says much of the sku.
    """
    total = sums(week, information, n_weeks)
    week_mean = week_means(design, information, week, total)
    centred = design - week_mean[week]
    others = centred[:, [DISPLAY, MAILER, CATEGORY_PRICE]]
    weighted = others * information[:, None]
    slopes = np.linalg.lstsq(weighted.T @ others, weighted.T @ centred[:, 0], rcond=1e-10)[0]
    return np.asarray(centred[:, 0] - others @ slopes)


def _promoted_share(changes: Changes, rows: BoolArray) -> float:
    """Mean of `promoted` over the units of some rows."""
    units = (changes.before_qty + changes.after_qty)[rows]
    return float(units @ changes.promoted[rows] / units.sum())


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
    total = sums(group, information, n_groups)
    products = sums(group, score, n_groups) ** 2 - sums(group, _noise(score, follows), n_groups)
    expected = total**2 - sums(group, _noise(information, follows), n_groups)
    # Dividing by the information keeps the few largest groups from deciding alone.
    scale = np.where(total > 0, total, 1.0)
    bottom = float((expected / scale).sum())
    if bottom <= 0.0:
        return 0.0
    return float(np.sqrt(max(float((products / scale).sum()) / bottom, 0.0)))
