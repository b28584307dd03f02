"""A category's units over the horizon: the mean of smoothing and of a regression pooled over categories.

Noise averages out in a category's total, so its level tells drift, promotions and the pay cycle better than
the sum of its series' forecasts. Which of the two is better changes by chance from week to week: one alone is
taken only where it was clearly better at earlier origins. Missing weeks are filled; of weeks that are missing
of a whole category nothing is learnt, and nobody is judged by them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.demand.judging.reconcile import category_totals
from models.demand.panel.series import Panel
from models.demand.weekly.baselines import CYCLE_WEEKS, exponential_smoothing
from models.metrics import FloatArray

SMOOTHING, REGRESSION, BOTH = "smoothing", "regression", "both"
SCALE_WEEKS = 8
LAGS = 8
MEANS = (1, 2, 4, 13, 26)
FIRST_ORIGIN = 8
"""A regression learns from origins with so many weeks before them."""

FEWEST_ORIGINS = 8
"""With fewer of them to learn from there is no regression."""

CHECKS = 8
"""So many origins whose weeks are over tell whether one of the two is clearly better."""

CLEARLY = 0.9
"""One is when its error is below so much of their mean's."""

FEWEST_ROWS = 40
RIDGE = 1e-3
UNIT = 1.0
"""Added to units before logarithms and divisions."""


class CategoryLevels:
    """Levels of one panel's categories; what does not depend on the origin is laid out once.

    Args:
        panel: The panel. Nothing at or after an origin is read but the promotion plan.
        horizon: Weeks ahead.
    """

    def __init__(self, panel: Panel, horizon: int) -> None:
        self.horizon = horizon
        self.units = category_totals(panel.filled.astype(np.float64), panel)
        missing, begun = np.isnan(panel.qty), np.arange(panel.n_weeks)[None, :] >= panel.start[:, None]
        series = np.maximum(category_totals(begun.astype(np.float64), panel), 1)
        self.is_missing = category_totals(missing.astype(np.float64), panel) == series
        self.begun = np.argmax(self.units > 0, axis=1).astype(np.int64)
        counts = [category_totals(np.expm1(panel.promo[:, :, k].astype(np.float64)), panel) for k in (0, 1)]
        self.promo = np.log1p(np.stack(counts, axis=2))
        self.plan_known = panel.plan_known
        self._features: dict[tuple[int, bool], FloatArray] = {}
        self._found: dict[tuple[int, bool], dict[str, FloatArray]] = {}

    def at(self, origin: int, *, hide_plan: bool = False) -> FloatArray:
        """Units over the `horizon` weeks from an origin on.

        Args:
            origin: Index of the first week to forecast.
            hide_plan: Pretend that the promotion plan ahead is not known.

        Returns:
            float64 (categories,), in sorted order of the categories.
        """
        plan = not hide_plan and bool(self.plan_known[origin : origin + self.horizon].all())
        ways = self._ways(origin, plan)
        past = [t for t in range(origin - self.horizon, FIRST_ORIGIN, -1) if len(self._ways(t, plan)) > 1]
        if len(ways) == 1 or not past:
            return ways[SMOOTHING]
        errors = dict.fromkeys(ways, 0.0)
        for t in past[:CHECKS]:
            truth, judged = self._sold(t), self._is_judged(t)
            for name, value in self._ways(t, plan).items():
                errors[name] += float(np.abs(truth - value)[judged].sum())
        best = min(errors, key=lambda name: errors[name])
        return ways[best if errors[best] < CLEARLY * errors[BOTH] else BOTH]

    def _sold(self, origin: int) -> FloatArray:
        return np.asarray(self.units[:, origin : origin + self.horizon].sum(axis=1))

    def _is_judged(self, origin: int) -> npt.NDArray[np.bool_]:
        """Bool (categories,), False where a week is missing of all series of a category."""
        return ~self.is_missing[:, origin : origin + self.horizon].any(axis=1)

    def _ways(self, origin: int, plan: bool) -> dict[str, FloatArray]:
        """Each way's units over the horizon; smoothing alone where there is too little to learn from."""
        if (origin, plan) not in self._found:
            begun = np.minimum(self.begun, origin - 1)
            smoothing = exponential_smoothing(self.units[:, :origin], begun, self.horizon).sum(axis=1)
            regression = self._regression(origin, plan)
            ways = {SMOOTHING: smoothing}
            if regression is not None:
                ways |= {REGRESSION: regression, BOTH: (smoothing + regression) / 2}
            self._found[origin, plan] = ways
        return self._found[origin, plan]

    def _regression(self, origin: int, plan: bool) -> FloatArray | None:
        """Ridge regression of log ratios to the newest weeks' mean, pooled over categories and origins."""
        earlier = [
            t
            for t in range(FIRST_ORIGIN, origin - self.horizon + 1)
            if not plan or self.plan_known[t : t + self.horizon].all()
        ]
        judged = [self._is_judged(t) for t in earlier]
        if len(earlier) < FEWEST_ORIGINS or np.sum(judged) < FEWEST_ROWS:
            return None
        rows = np.concatenate([self._inputs(t, plan)[seen] for t, seen in zip(earlier, judged, strict=True)])
        scale = np.concatenate([self._scale(t)[seen] for t, seen in zip(earlier, judged, strict=True)])
        sold = np.concatenate([self._sold(t)[seen] for t, seen in zip(earlier, judged, strict=True)])
        ratio = sold / self.horizon / scale
        centre, width = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6)
        # Large categories tell more: their ratios vary less.
        weight = np.sqrt(scale)
        design = _with_constant((rows - centre) / width)
        gram = (design * weight[:, None]).T @ design + RIDGE * weight.sum() * np.eye(design.shape[1])
        beta = np.linalg.solve(gram, (design * weight[:, None]).T @ np.log(ratio + UNIT / scale))
        fitted = np.exp(design @ beta)
        unbiased = float((scale * ratio).sum() / max((scale * fitted).sum(), 1e-9))
        ahead = np.exp(_with_constant((self._inputs(origin, plan) - centre) / width) @ beta)
        return np.asarray(self._scale(origin) * ahead * unbiased * self.horizon)

    def _scale(self, origin: int) -> FloatArray:
        return np.asarray(self._mean(origin, SCALE_WEEKS) + UNIT)

    def _mean(self, origin: int, weeks: int) -> FloatArray:
        return np.asarray(self.units[:, max(0, origin - weeks) : origin].mean(axis=1))

    def _inputs(self, origin: int, plan: bool) -> FloatArray:
        """float64 (categories, inputs): lags and means over scale, promotions against before, all goods."""
        if (origin, plan) not in self._features:
            scale = self._scale(origin)
            columns = [np.log((self._mean(origin, k) + UNIT) / scale) for k in MEANS]
            columns += [np.log((self.units[:, origin - k] + UNIT) / scale) for k in range(1, LAGS + 1)]
            columns.append(np.log(scale))
            for kind in (0, 1):
                promo = self.promo[:, :, kind]
                usual = promo[:, max(0, origin - 13) : origin].mean(axis=1)
                recent = promo[:, max(0, origin - CYCLE_WEEKS) : origin].mean(axis=1)
                if plan:
                    ahead = promo[:, origin : origin + self.horizon].mean(axis=1)
                    columns += [ahead - recent, ahead - usual]
                else:
                    columns.append(promo[:, origin - 1] - usual)
            whole = self.units.sum(axis=0)
            trend = [whole[max(0, origin - k) : origin].mean() + UNIT for k in (1, CYCLE_WEEKS, 13)]
            for shorter, longer in ((0, 1), (1, 2)):
                columns.append(np.full(len(scale), np.log(trend[shorter] / trend[longer])))
            self._features[origin, plan] = np.stack(columns, axis=1)
        return self._features[origin, plan]


def _with_constant(rows: npt.NDArray[np.float64]) -> FloatArray:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
