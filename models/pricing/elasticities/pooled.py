"""The fit with one price slope for everything: the top of the tree, and the rule it must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.pricing.elasticities.changes import Changes, FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

# A column with less than this share of its information left beside the others says nothing of its own.
OWN_SHARE = 1e-8

_LARGEST_LOGIT = 30.0
_CONVERGED = 1e-4


@dataclass(frozen=True)
class PooledFit:
    """The fit with one slope for everything.

    Attributes:
        slopes: float64 (5,), as the columns of `controls`; those of prices are 0 when left out.
        week_effect: float64 (n_weeks,), 0 for weeks without rows.
        overdispersion: rho of the working variance.
    """

    slopes: FloatArray
    week_effect: FloatArray
    overdispersion: float


def second_week_share(logit: FloatArray) -> FloatArray:
    """Share of the units of two weeks that falls into the second, from the log change of quantity."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -_LARGEST_LOGIT, _LARGEST_LOGIT))))


PRICE, DISPLAY, MAILER, PROMOTED_PRICE, CATEGORY_PRICE = range(5)
"""Columns of `controls`."""


def controls(changes: Changes) -> FloatArray:
    """Design matrix float64 (n, 5): log price, display, mailer, log price while promoted, the category's."""
    return np.column_stack(
        [
            changes.log_price,
            changes.display,
            changes.mailer,
            changes.log_price * changes.promoted,
            changes.category_log_price,
        ]
    )


@dataclass(frozen=True)
class Sales:
    """What sold in two weeks, and how likely it is; float64 (n,).

    Attributes:
        before: Units of the first week.
        after: Units of the second week.
        is_bulk: Log changes are normal with variance rho + 1/before + 1/after; else the units of the second
            week are binomial among those of both, with variance n p (1-p) (1 + rho (n-1)).
    """

    before: FloatArray
    after: FloatArray
    is_bulk: bool

    def terms(self, logit: FloatArray, rho: float) -> tuple[FloatArray, FloatArray]:
        """Score and information of the log change of quantity, each float64 (n,)."""
        if self.is_bulk:
            weight = 1.0 / (rho + 1.0 / self.before + 1.0 / self.after)
            return weight * (np.log(self.after / self.before) - logit), weight
        units = self.before + self.after
        share = second_week_share(logit)
        weight = 1.0 / (1.0 + rho * (units - 1.0))
        return weight * (self.after - units * share), weight * units * share * (1.0 - share)

    def overdispersion(self, logit: FloatArray) -> float:
        """The rho that makes the variance what it is, by moments."""
        if self.is_bulk:
            left = (np.log(self.after / self.before) - logit) ** 2 - 1.0 / self.before - 1.0 / self.after
            return max(float(left.mean()), 1e-6)
        units = self.before + self.after
        share = second_week_share(logit)
        binomial = units * share * (1.0 - share)
        many = units > 1
        excess = ((self.after - units * share)[many] ** 2 / np.maximum(binomial[many], 1e-12) - 1.0).sum()
        return float(np.clip(float(excess) / max(float((units[many] - 1.0).sum()), 1.0), 0.0, 1.0))


def sales_of(changes: Changes, rows: BoolArray) -> Sales:
    """The sales of some rows."""
    return Sales(changes.before_qty[rows], changes.after_qty[rows], changes.sells_in_bulk)


def fit_pooled(
    changes: Changes,
    rows: BoolArray,
    steps: int,
    *,
    with_price: bool = True,
    start: PooledFit | None = None,
) -> PooledFit:
    """Fit one slope for each control, and week effects, by Newton steps.

    Args:
        changes: All changes.
        rows: bool (n,), the rows to learn from.
        steps: Largest number of Newton steps.
        with_price: False leaves prices out (the rule "no response").
        start: A fit to start from.

    Returns:
        The fit. Columns without variation get slope 0.
    """
    columns = np.arange(5) if with_price else np.array([DISPLAY, MAILER])
    design = controls(changes)[rows][:, columns]
    week = changes.season[rows]
    sales = sales_of(changes, rows)
    slopes = np.zeros(5)
    week_effect = np.zeros(changes.n_weeks)
    rho = 1.0 if sales.is_bulk else 0.0
    if start is not None:
        slopes[columns] = start.slopes[columns]
        week_effect, rho = start.week_effect.copy(), start.overdispersion
    for _ in range(steps):
        score, information = sales.terms(design @ slopes[columns] + week_effect[week], rho)
        week_information = sums(week, information, changes.n_weeks)
        # Week effects have a diagonal information matrix, so they are eliminated rather than solved for.
        week_mean = week_means(design, information, week, week_information)
        centred = design - week_mean[week]
        matrix = (centred * information[:, None]).T @ centred
        # A column that week effects explain (one sku at one price a week) carries nothing of its own.
        raw = information @ design**2
        usable = np.diag(matrix) > OWN_SHARE * np.where(raw > 0, raw, np.inf)
        step = np.zeros(len(raw))
        step[usable] = np.linalg.lstsq(
            matrix[np.ix_(usable, usable)], centred[:, usable].T @ score, rcond=1e-10
        )[0]
        # Of the state before the step: one state later makes no difference at the end.
        rho = sales.overdispersion(design @ slopes[columns] + week_effect[week])
        slopes[columns] += step
        converged = bool(np.abs(step).max() < _CONVERGED)
        known = week_information > 0
        shift = sums(week, score, changes.n_weeks) / np.where(known, week_information, 1.0)
        week_effect += np.where(known, shift - week_mean @ step, 0.0)
        if converged:
            break
    return PooledFit(slopes, week_effect, rho)


def sums(group: IntArray, values: FloatArray, n_groups: int) -> FloatArray:
    """Sum of the values in each group, float64 (n_groups,)."""
    return np.asarray(np.bincount(group, values, n_groups), dtype=np.float64)


def week_means(design: FloatArray, information: FloatArray, week: IntArray, total: FloatArray) -> FloatArray:
    """Weighted mean of each column in each week, float64 (n_weeks, n_columns)."""
    safe = np.where(total > 0, total, 1.0)
    columns = [sums(week, information * design[:, j], len(total)) / safe for j in range(design.shape[1])]
    return np.column_stack(columns)
