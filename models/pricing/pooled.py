"""The fit with one price slope for everything: the top of the tree, and the rule it must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.pricing.changes import Changes, FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

# A column with less than this share of its information left beside the others says nothing of its own.
OWN_SHARE = 1e-8

_LARGEST_LOGIT = 30.0
_CONVERGED = 1e-4


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
        slopes[first_column:] += step
        converged = bool(np.abs(step).max() < _CONVERGED)
        known = week_information > 0
        shift = sums(week, score, changes.n_weeks) / np.where(known, week_information, 1.0)
        week_effect += np.where(known, shift - week_mean @ step, 0.0)
        many = units > 1
        excess = float(((after - units * share)[many] ** 2 / np.maximum(binomial[many], 1e-12) - 1.0).sum())
        rho = float(np.clip(excess / max(float((units[many] - 1.0).sum()), 1.0), 0.0, 1.0))
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
