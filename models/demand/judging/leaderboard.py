"""Numbers of a backtest: WAPE by level, quantile loss, coverage, crossings, and the promotion gate.

Every number carries its level and horizon. No forecast is made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from models.contracts import GateDecision
from models.demand.config import QUANTILES
from models.demand.judging.backtest import LEVELLED, Rolled
from models.demand.judging.reconcile import category_totals
from models.demand.panel.series import Panel
from models.demand.weekly.forecasts import count_crossings
from models.gate import Bound, Keeps, UnitMetric, decide
from models.metrics import FloatArray, IntArray, pinball, wape

SERIES_LEVEL = "merchant x category x week, horizon 1-{h}"
CATEGORY_LEVEL = "category x week, horizon 1-{h}, all series summed"
MONTH_LEVEL = "category x {h} weeks, all series summed"
REFERENCE = "seasonal_naive"
MEDIAN_SUFFIX = "_median"


def quantile_loss(actual: FloatArray, quantiles: FloatArray) -> float:
    """Weighted quantile loss: 2 x pinball loss, mean over `QUANTILES`, over units sold.

    Args:
        actual: float64 (...,).
        quantiles: float64 (..., Q).

    Returns:
        The ratio; NaN when nothing sold.
    """
    total = float(actual.sum())
    losses = [
        float(pinball(actual.ravel(), quantiles[..., q].ravel(), level).sum())
        for q, level in enumerate(QUANTILES)
    ]
    return 2 * float(np.mean(losses)) / total if total > 0 else float("nan")


def coverage(actual: FloatArray, quantiles: FloatArray) -> float:
    """Share of points within the outermost values of the last axis, ends included, of those not missing."""
    inside = (actual >= quantiles[..., 0]) & (actual <= quantiles[..., -1])
    return float(inside[~np.isnan(actual)].mean())


def judged(actual: FloatArray, rolled: Rolled) -> tuple[FloatArray, Rolled]:
    """Both with 0 in missing weeks (NaN in `actual`, float64 (O, n, h)): they bring no units and no error."""
    seen = ~np.isnan(actual)
    if seen.all():
        return actual, rolled
    return np.where(seen, actual, 0.0), replace(
        rolled,
        point=np.where(seen, rolled.point, 0.0),
        mean=np.where(seen, rolled.mean, 0.0),
        quantiles=np.where(seen[..., None], rolled.quantiles, 0.0),
    )


def scores(actual: FloatArray, rolled: Rolled, panel: Panel, name: str) -> list[dict[str, Any]]:
    """Leaderboard rows of one system.

    Args:
        actual: float64 (O, n, h); NaN in missing weeks.
        rolled: The system's forecasts.
        panel: The panel; series-level numbers leave the pools out.
        name: System name.

    Returns:
        `{"system", "metric", "value", "level"}` rows.
    """
    own = ~panel.is_pooled
    horizon = actual.shape[2]
    covered = [coverage(actual[:, own], ends[:, own]) for ends in (rolled.quantiles, rolled.wide)]
    actual, rolled = judged(actual, rolled)
    truth, quantiles, point = actual[:, own], rolled.quantiles[:, own], rolled.point[:, own]
    level = SERIES_LEVEL.format(h=horizon)
    rows = [
        ("wape", wape(truth, point), level),
        ("wape_of_median", wape(truth, quantiles[..., len(QUANTILES) // 2]), level),
        ("bias_of_mean", _bias(truth, rolled.mean[:, own]), level),
        ("quantile_loss", quantile_loss(truth, quantiles), level),
        ("coverage_80", covered[0], level),
        ("coverage_95", covered[1], level),
        ("crossings", float(count_crossings(quantiles)), level),
        ("crossings_before_repair", float(rolled.raw_crossings), level),
    ]
    rows += [
        ("wape", wape(truth[..., k], point[..., k]), f"merchant x category x week, horizon {k + 1}")
        for k in range(horizon)
    ]
    by_category = np.stack([category_totals(values, panel) for values in actual])
    mean = np.stack([category_totals(values, panel) for values in rolled.mean])
    rows.append(("wape", wape(by_category, mean), CATEGORY_LEVEL.format(h=horizon)))
    month = MONTH_LEVEL.format(h=horizon)
    rows.append(("wape", wape(by_category.sum(axis=2), mean.sum(axis=2)), month))
    rows.append(("bias_of_mean", _bias(by_category, mean), month))
    return [
        {"system": name, "metric": metric, "value": value, "level": where} for metric, value, where in rows
    ]


def with_ratios(rows: list[dict[str, Any]], horizon: int) -> list[dict[str, Any]]:
    """Append each system's WAPE and quantile loss over those of `seasonal_naive`, at series level."""
    level = SERIES_LEVEL.format(h=horizon)
    extended = list(rows)
    for metric in ("wape", "quantile_loss"):
        at_level = {r["system"]: r["value"] for r in rows if r["metric"] == metric and r["level"] == level}
        extended += [
            {
                "system": system,
                "metric": f"{metric}_ratio_to_{REFERENCE}",
                "value": value / at_level[REFERENCE] if at_level[REFERENCE] > 0 else float("nan"),
                "level": level,
            }
            for system, value in at_level.items()
        ]
    return extended


def _bias(actual: FloatArray, mean: FloatArray) -> float:
    """Forecast minus sold over sold."""
    return float((mean - actual).sum() / max(actual.sum(), 1.0))


def _unit_wape(actual: FloatArray, point: FloatArray) -> UnitMetric:
    """WAPE on drawn series, from each series' summed errors and units."""
    errors = np.abs(actual - point).sum(axis=(0, 2))
    units = actual.sum(axis=(0, 2))

    def metric(drawn: IntArray) -> float:
        total = float(units[drawn].sum())
        return float(errors[drawn].sum()) / total if total > 0 else float("nan")

    return metric


def gate(
    actual: FloatArray,
    candidate: Rolled,
    rules: Mapping[str, Rolled],
    panel: Panel,
    *,
    champion: Rolled | None = None,
    champion_is_same: bool = False,
    max_bias: float,
    seed: int = 0,
) -> GateDecision:
    """Decide on one candidate: WAPE at series level, paired over series, and what orders are made by.

    At category x horizon, which replenishment pools to, the mean may not be behind the best rule's, and its
    bias may not be above `max_bias`. There `LEVELLED` does not count: it has the candidate's own level. At
    series level each rule stands twice, with its own number and with its calibrated median, so that a model
    is not promoted merely because a median has a lower WAPE than a mean.

    Args:
        actual: float64 (O, n, h); NaN in missing weeks.
        candidate: The candidate's forecasts.
        rules: The simple rules' forecasts.
        panel: The panel; pools are not units.
        champion: The standing champion's procedure on the same origins, if it differs.
        champion_is_same: A champion stands and its procedure is the candidate's.
        max_bias: Largest bias of the mean at category x horizon, as a share of what was sold.
        seed: Seed of the bootstrap.

    Returns:
        The decision.
    """
    own = ~panel.is_pooled
    rules = {name: judged(actual, rolled)[1] for name, rolled in rules.items()}
    champion = None if champion is None else judged(actual, champion)[1]
    actual, candidate = judged(actual, candidate)
    truth = actual[:, own]
    middle = len(QUANTILES) // 2
    simple = {name: _unit_wape(truth, rolled.point[:, own]) for name, rolled in rules.items()}
    simple |= {
        name + MEDIAN_SUFFIX: _unit_wape(truth, rolled.quantiles[:, own][..., middle])
        for name, rolled in rules.items()
    }
    totals = {name: _totals(rolled.mean, panel) for name, rolled in rules.items() if name != LEVELLED}
    sold, mean = _totals(actual, panel), _totals(candidate.mean, panel)
    month = MONTH_LEVEL.format(h=actual.shape[2])
    keeps = Keeps(
        f"wape of the mean, {month}",
        _unit_wape(sold, mean),
        {name: _unit_wape(sold, total) for name, total in totals.items()},
        higher_is_better=False,
        n_units=sold.shape[1],
    )
    return decide(
        "wape",
        int(own.sum()),
        _unit_wape(truth, candidate.point[:, own]),
        simple,
        higher_is_better=False,
        champion=None if champion is None else _unit_wape(truth, champion.point[:, own]),
        champion_is_same=champion_is_same,
        keeps=[keeps],
        bounds=[Bound(f"bias of the mean, {month}", _bias(sold, mean), max_bias)],
        seed=seed,
    )


def _totals(values: FloatArray, panel: Panel) -> FloatArray:
    """Units of categories over the horizon, float64 (O, categories, 1), from (O, n, h)."""
    return np.stack([category_totals(one, panel).sum(axis=1, keepdims=True) for one in values])


def best_rule(actual: FloatArray, rules: Mapping[str, Rolled], panel: Panel) -> str:
    """Name of the rule that serves without a model: the least WAPE of the mean where orders are made.

    That is at category x horizon, where the gate judges a model as well; equal ones by quantile loss at
    series level, then by name.
    """
    own = ~panel.is_pooled
    chosen = own if own.any() else ~own
    rules = {name: judged(actual, rolled)[1] for name, rolled in rules.items()}
    actual = np.nan_to_num(actual)
    sold = _totals(actual, panel)
    losses = {
        name: (
            wape(sold, _totals(rolled.mean, panel)),
            quantile_loss(actual[:, chosen], rolled.quantiles[:, chosen]),
        )
        for name, rolled in rules.items()
    }
    return min(sorted(losses), key=lambda name: losses[name])
