"""Calibration curves: from a raw score to a frequency, fitted on predictions made out of time.

Both kinds are plain arrays, so that a bundle needs no pickle. Curves never fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.metrics import BoolArray, FloatArray

Kind = Literal["platt", "isotonic"]
_EDGE = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A curve from a raw value to a probability.

    Attributes:
        kind: `platt`: `knots` is the logit's slope and intercept, `values` is empty. `isotonic`: `knots` are
            raw values, ascending, and `values` their probabilities; straight lines between, flat outside.
        knots: float64 (n,).
        values: float64 (n,) or (0,).
    """

    kind: Kind
    knots: FloatArray
    values: FloatArray

    def apply(self, raw: FloatArray) -> FloatArray:
        """Probabilities, float64 (n,), 0-1; `platt` takes raw probabilities, `isotonic` any value."""
        if self.kind == "platt":
            slope, intercept = self.knots
            return np.asarray(1 / (1 + np.exp(-(slope * _logit(raw) + intercept))), dtype=np.float64)
        return np.asarray(np.interp(raw, self.knots, self.values), dtype=np.float64)


def fit_platt(raw: FloatArray, label: BoolArray) -> Calibration:
    """Slope and intercept on the logit, by Newton's method with Platt's smoothed targets.

    Args:
        raw: float (n,), raw probabilities.
        label: bool (n,), both classes present.

    Source:
        Platt 1999; Lin, Lin & Weng 2007 for the targets.
    """
    positives = int(label.sum())
    negatives = len(label) - positives
    target = np.where(label, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([_logit(raw), np.ones(len(raw))])
    coefficients = np.array([1.0, 0.0])
    for _ in range(25):
        probability = 1 / (1 + np.exp(-(coefficients @ design)))
        gradient = design @ (probability - target)
        weight = np.clip(probability * (1 - probability), _EDGE, None)
        # A hundredth of a row pulls the slope to 1: constant raw values leave it undetermined.
        hessian = (design * weight) @ design.T + np.diag([0.01, 0.0])
        gradient[0] += 0.01 * (coefficients[0] - 1)
        step = np.linalg.solve(hessian, gradient)
        coefficients = coefficients - step
        if np.abs(step).max() < 1e-9:
            break
    coefficients[0] = max(coefficients[0], 0.0)
    return Calibration("platt", coefficients, np.zeros(0))


def fit_isotonic(raw: FloatArray, label: BoolArray, *, increasing: bool = True) -> Calibration:
    """Monotone curve by pooling adjacent violators; each pooled block is one knot at its mean raw value.

    Args:
        raw: float (n,), n at least 1; any scale.
        label: bool (n,).
        increasing: False for a value whose rise makes the label rarer.

    Returns:
        A curve through the block means. Blocks are shrunk by one row of the overall frequency, so that an
        end block of few rows never promises 0 or 1.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(raw, kind="stable")
    value, starts = np.unique(raw[order], return_index=True)
    rows = np.diff(np.append(starts, len(raw)))
    hits = np.add.reduceat(label[order].astype(np.float64), starts)
    fit = isotonic_regression(hits / rows, weights=rows, increasing=increasing)
    first = np.asarray(fit.blocks[:-1], dtype=np.int64)
    block_rows = np.add.reduceat(rows, first)
    knots = np.add.reduceat(value * rows, first) / block_rows
    overall = hits.sum() / len(raw)
    values = (np.add.reduceat(hits, first) + overall) / (block_rows + 1)
    # The shrinkage pulls small blocks harder than large ones and may undo the order by a little.
    ordered = np.maximum.accumulate(values) if increasing else np.minimum.accumulate(values)
    return Calibration("isotonic", knots, ordered)


def fit_calibration(kind: Kind, raw: FloatArray, label: BoolArray) -> Calibration:
    """The curve of a kind."""
    return fit_platt(raw, label) if kind == "platt" else fit_isotonic(raw, label)


def _logit(probability: FloatArray) -> FloatArray:
    inside = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)
