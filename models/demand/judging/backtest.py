"""Rolling origins: forecasts of every system, calibrated on origins that were over, beside the actuals.

At an origin everything reads the panel as it was known then (`vintages`); what judges is what stands.

The learned models are fitted once, on weeks before the earliest forecast origin, and rolled forward without
refit (but see `refit_weeks`), which is harder than their use (refit on everything). No metric is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from models.demand.config import QUANTILES, DemandConfig
from models.demand.judging import conformal
from models.demand.judging.reconcile import towards_category_level
from models.demand.panel.series import Panel
from models.demand.panel.vintages import Vintages
from models.demand.weekly.baselines import RULES, Rule
from models.demand.weekly.forecasts import Forecast, count_crossings, repaired
from models.errors import InsufficientDataError
from models.metrics import FloatArray

LEVELLED = "tsb_levelled"
"""The rule TSB whose series meet their category's level, as those of the learned models do."""

Predict = Callable[[int, int], Forecast]
"""Origin and moment (a week index, at or after it) to the forecast of that origin by what the procedure had
learnt at that moment. Most procedures learn nothing on the way, and the moment changes nothing."""


@dataclass(frozen=True)
class Origins:
    """Week indices of a backtest.

    Attributes:
        fit_cut: The models see targets before this week only; it is the first forecast origin.
        all: Forecast origins, ascending: first those that only calibrate, then the tested ones.
        tested: Origins that are scored.
    """

    fit_cut: int
    all: tuple[int, ...]
    tested: tuple[int, ...]


@dataclass(frozen=True)
class Rolled:
    """One system's forecasts at every tested origin, after calibration.

    Attributes:
        point: float64 (O, n, h), the rule's number, or the model's calibrated median.
        mean: float64 (O, n, h).
        quantiles: float64 (O, n, h, Q).
        wide: float64 (O, n, h, 2), the 95% interval.
        raw_crossings: Crossing points before the repair.
        calibration: Learnt on all origins, tested ones included: for use after `as_of` only.
    """

    point: FloatArray
    mean: FloatArray
    quantiles: FloatArray
    wide: FloatArray
    raw_crossings: int
    calibration: conformal.Calibration


def plan_origins(n_weeks: int, config: DemandConfig) -> Origins:
    """Lay out the origins at the end of the history; fewer and denser ones where it is short.

    Args:
        n_weeks: Complete weeks of history.
        config: Settings.

    Returns:
        The origins; at least three are tested.

    Raises:
        InsufficientDataError: Not even three weekly origins fit.
    """
    horizon = config.horizon
    shortest = config.min_history + 2 * horizon
    for count, stride in ((config.origins, config.origin_stride), (config.origins, 1), (3, 1)):
        last = n_weeks - horizon
        tested = tuple(last - stride * k for k in reversed(range(count)))
        first = tested[0] - horizon
        if first >= shortest:
            return Origins(first, (*range(first, tested[0], stride), *tested), tested)
    raise InsufficientDataError(
        f"demand: {n_weeks} complete weeks are too few for a backtest; "
        f"{shortest + 2 * horizon + 2} are needed, the simple rule serves until then"
    )


def actuals(panel: Panel, origins: tuple[int, ...], horizon: int) -> FloatArray:
    """Units sold, float64 (O, n, h); NaN in a missing week, which nobody is judged by."""
    return np.stack([panel.qty[:, o : o + horizon] for o in origins]).astype(np.float64)


def rule_forecast(rule: Rule, panel: Panel, origin: int, horizon: int) -> Forecast:
    """A rule's forecast at an origin; its quantiles all equal its number until they are calibrated."""
    begun = np.minimum(panel.start, max(origin - 1, 0))
    value = rule(panel.qty[:, :origin].astype(np.float64), begun, horizon)
    return Forecast(value, np.repeat(value[:, :, None], len(QUANTILES), axis=2))


def roll(predict: Predict, panels: Vintages, origins: Origins, horizon: int, *, is_rule: bool) -> Rolled:
    """Forecast at every origin and calibrate each on the origins whose weeks were over by then.

    Args:
        predict: Must not read weeks at or after the moment other than known inputs. Each origin is forecast,
            and calibrated, as at its own moment.
        panels: The panel as it was known at each origin: what a calibration there compares with.
        origins: Layout.
        horizon: Weeks ahead.
        is_rule: The point forecast is then the rule's own number, not the calibrated median.

    Returns:
        The forecasts at the tested origins.
    """
    forecasts = {o: predict(o, o) for o in origins.tested}
    crossings = sum(count_crossings(forecasts[o].quantiles) for o in origins.tested)
    fixed = {o: repaired(f) for o, f in forecasts.items()}
    own = ~panels.standing.is_pooled
    chosen = own if own.any() else ~own

    def learn(moment: int, told: Panel) -> conformal.Calibration:
        over = tuple(o for o in origins.all if o + horizon <= moment)
        if not over:
            return conformal.unshifted()
        then = [repaired(predict(o, moment)).quantiles[chosen] for o in over]
        return conformal.calibrate(actuals(told, over, horizon)[:, chosen], np.stack(then))

    learnt = {o: learn(o, panels.known[o]) for o in origins.tested}
    served = [conformal.apply(learnt[o], fixed[o]) for o in origins.tested]
    wide = [conformal.wide_interval(learnt[o], f) for o, f in zip(origins.tested, served, strict=True)]
    quantiles = np.stack([f.quantiles for f in served])
    mean = np.stack([f.mean for f in served])
    return Rolled(
        point=mean if is_rule else quantiles[..., len(QUANTILES) // 2],
        mean=mean,
        quantiles=quantiles,
        wide=np.stack(wide),
        raw_crossings=crossings,
        calibration=learn(panels.standing.n_weeks, panels.standing),
    )


def levelled_forecast(panel: Panel, origin: int, horizon: int, level: FloatArray) -> Forecast:
    """What `LEVELLED` says at an origin; the level, float64 (categories,), is of the same weeks."""
    return towards_category_level(rule_forecast(RULES["tsb"], panel, origin, horizon), panel, level, 1.0)


def roll_rules(
    panels: Vintages,
    origins: Origins,
    horizon: int,
    rules: Mapping[str, Rule] = RULES,
    *,
    levels: Mapping[int, FloatArray] | None = None,
) -> dict[str, Rolled]:
    """Roll every simple rule; with the categories' levels by origin `LEVELLED` as well."""
    told = {
        name: {origin: rule_forecast(rule, known, origin, horizon) for origin, known in panels.known.items()}
        for name, rule in rules.items()
    }
    if levels is not None:
        told[LEVELLED] = {
            origin: levelled_forecast(known, origin, horizon, levels[origin])
            for origin, known in panels.known.items()
        }

    def predictor(forecasts: Mapping[int, Forecast]) -> Predict:
        return lambda origin, _moment: forecasts[origin]

    return {
        name: roll(predictor(forecasts), panels, origins, horizon, is_rule=True)
        for name, forecasts in told.items()
    }
