"""One backtest for every family: fit at each cut, measure on what came after, compare with simple rules.

The same rows judge every system, units are drawn in pairs, and the gate decides. What is measured lives in
`measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.contracts import GateDecision
from models.data import Panel, Purchases
from models.errors import InsufficientDataError
from models.gate import Keeps, UnitMetric, decide
from models.protocol import Family

UNIT = "unit"
"""Column of the exchangeable units (consumers, series) in what a metric observed."""

Cut = Any
"""Anything with `origin`, what is known, and `end`, where the window that is predicted ends."""


@dataclass(frozen=True)
class Metric:
    """How a fitted model is measured.

    Attributes:
        name: E.g. `ndcg_at_10`.
        higher_is_better: Direction.
        observe: Fitted model, data and cut to rows: `unit` (text) and what `total` reads. Which rows there
            are must not depend on the model.
        total: Rows to the metric.
        tolerance: By so much, in the unit of the metric, the family may be worse than the best rule where
            another metric decides.
    """

    name: str
    higher_is_better: bool
    observe: Callable[[Any, Any, Cut], pl.DataFrame]
    total: Callable[[pl.DataFrame], float]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Backtest:
    """What a backtest found.

    Attributes:
        leaderboard: system, metric, value, low, high (95% interval over drawn units), units, cuts; the family
            first, then the rules.
        decision: The gate's: the first metric decides, in the others the family may not fall behind by
            more than their tolerance.
    """

    leaderboard: pl.DataFrame
    decision: GateDecision


def backtest(
    family: Family[Any, Any],
    data: Any,
    cuts: Sequence[Cut],
    metrics: Sequence[Metric],
    rules: Mapping[str, Family[Any, Any]],
    *,
    draws: int = 300,
    seed: int = 0,
) -> Backtest:
    """Fit a family and the simple rules at every cut and compare what they say of the time after it.

    Args:
        family: The model on trial.
        data: Purchases, or a panel; the models get it as it was known at each origin.
        cuts: Where to fit and until when to measure, e.g. from `models.splits`; at least one.
        metrics: The first decides.
        rules: Simple rules by name; at least one.
        draws: Bootstrap draws an interval.
        seed: Seed of the draws.

    Returns:
        Leaderboard and decision.

    Raises:
        InsufficientDataError: There was nothing to measure in any cut.
        ValueError: No cut, metric or rule was given, or a metric has other rows for one system than for
            another.
    """
    if not cuts or not metrics or not rules:
        raise ValueError("backtest: at least one cut, one metric and one simple rule are needed")
    systems = {family.name: family, **rules}
    rows = {name: _observed(system, data, cuts, metrics) for name, system in systems.items()}
    units = [_units(rows, number, metric) for number, metric in enumerate(metrics)]
    measured = {
        name: [_on_drawn(frames[number], units[number], metric) for number, metric in enumerate(metrics)]
        for name, frames in rows.items()
    }
    return Backtest(
        _leaderboard(measured, units, metrics, len(cuts), draws, seed),
        _decision(family.name, measured, units, metrics, draws, seed),
    )


def _observed(
    system: Family[Any, Any], data: Any, cuts: Sequence[Cut], metrics: Sequence[Metric]
) -> list[pl.DataFrame]:
    """What each metric observed of a system over all cuts."""
    parts: list[list[pl.DataFrame]] = [[] for _ in metrics]
    for cut in cuts:
        fitted = system.fit(_known(data, cut.origin), cut.origin)
        for found, metric in zip(parts, metrics, strict=True):
            found.append(metric.observe(fitted, data, cut))
    return [pl.concat(found) for found in parts]


def _known(data: Any, origin: Any) -> Any:
    """What a model may see at an origin: nothing of what came later is handed over."""
    if isinstance(data, Purchases):
        return data.until(origin)
    return data.seen_at(origin) if isinstance(data, Panel) else data


def _units(rows: Mapping[str, list[pl.DataFrame]], number: int, metric: Metric) -> list[str]:
    """The units of a metric, sorted; the same for every system."""
    first, *others = (frames[number][UNIT] for frames in rows.values())
    if not len(first):
        raise InsufficientDataError(
            f"backtest: {metric.name} has nothing to measure after any cut; give later data or earlier cuts"
        )
    for name, other in zip(list(rows)[1:], others, strict=True):
        if not first.sort().equals(other.sort()):
            raise ValueError(f"backtest: {metric.name} has other rows for {name} than for {next(iter(rows))}")
    return first.unique().sort().to_list()


def _on_drawn(rows: pl.DataFrame, units: list[str], metric: Metric) -> UnitMetric:
    """The metric on the rows of drawn units, each as often as it was drawn."""
    ordered = rows.sort(UNIT, maintain_order=True)
    place = np.searchsorted(np.array(units), ordered[UNIT].to_numpy())
    size = np.bincount(place, minlength=len(units))
    begin = np.concatenate([[0], np.cumsum(size)[:-1]])
    has_one_each = bool((size == 1).all())

    def value(drawn: npt.NDArray[np.int64]) -> float:
        if has_one_each:
            return metric.total(ordered[drawn])
        taken = size[drawn]
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        return metric.total(ordered[np.repeat(begin[drawn], taken) + within])

    return value


def _leaderboard(
    measured: Mapping[str, list[UnitMetric]],
    units: Sequence[Sequence[str]],
    metrics: Sequence[Metric],
    n_cuts: int,
    draws: int,
    seed: int,
) -> pl.DataFrame:
    rows = []
    for system, values in measured.items():
        for metric, value, ids in zip(metrics, values, units, strict=True):
            rng = np.random.default_rng(seed)
            drawn = [value(rng.integers(0, len(ids), len(ids))) for _ in range(draws)]
            low, high = np.nanquantile(drawn, [0.025, 0.975])
            everyone = value(np.arange(len(ids)))
            rows.append((system, metric.name, everyone, float(low), float(high), len(ids), n_cuts))
    names = ["system", "metric", "value", "low", "high", "units", "cuts"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _decision(
    name: str,
    measured: Mapping[str, list[UnitMetric]],
    units: Sequence[Sequence[str]],
    metrics: Sequence[Metric],
    draws: int,
    seed: int,
) -> GateDecision:
    def rules(number: int) -> dict[str, UnitMetric]:
        return {system: values[number] for system, values in measured.items() if system != name}

    keeps = [
        Keeps(
            one.name, measured[name][k], rules(k), one.higher_is_better, one.tolerance, n_units=len(units[k])
        )
        for k, one in enumerate(metrics)
        if k
    ]
    return decide(
        metrics[0].name,
        len(units[0]),
        measured[name][0],
        rules(0),
        higher_is_better=metrics[0].higher_is_better,
        keeps=keeps,
        draws=draws,
        seed=seed,
    )
