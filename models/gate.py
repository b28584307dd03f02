"""The promotion gate: a version may serve only if it beats the best simple rule and the champion.

What is compared is the procedure, backtested on the same rolling origins: the candidate's, each simple
rule's, and the standing champion's when its settings differ. The families measure; the decision is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.contracts import GateDecision, Interval, Judged
from models.metrics import IntArray, paired_bootstrap

UnitMetric = Callable[[IntArray], float]


@dataclass(frozen=True)
class Keeps:
    """A further metric in which a candidate may not fall behind.

    Attributes:
        metric: Its name, with the level where that matters.
        candidate: The candidate's metric on drawn unit indices.
        rules: Simple rules by name; at least one. The best of them is the one to keep up with.
        higher_is_better: Direction of the metric.
        tolerance: By so much, in the unit of the metric, the candidate may be worse than the best rule.
        n_units: Units of this metric, where they are others than those of the deciding one.
    """

    metric: str
    candidate: UnitMetric
    rules: Mapping[str, UnitMetric]
    higher_is_better: bool
    tolerance: float = 0.0
    n_units: int | None = None


@dataclass(frozen=True)
class Bound:
    """A number of the candidate that must lie inside a bound, e.g. a bias.

    Attributes:
        metric: Its name.
        value: The candidate's value.
        limit: Largest absolute value.
    """

    metric: str
    value: float
    limit: float


def decide(
    metric: str,
    n_units: int,
    candidate: UnitMetric,
    rules: Mapping[str, UnitMetric],
    *,
    higher_is_better: bool,
    champion: UnitMetric | None = None,
    champion_is_same: bool = False,
    keeps: Sequence[Keeps] = (),
    bounds: Sequence[Bound] = (),
    draws: int = 500,
    seed: int = 0,
) -> GateDecision:
    """Decide whether the candidate may become champion.

    Args:
        metric: Name of the deciding metric, e.g. `ndcg_at_10`.
        n_units: Number of paired units (users, series).
        candidate: Candidate's metric on drawn unit indices.
        rules: Simple rules by name, measured on the same units; at least one.
        higher_is_better: Direction of the metric.
        champion: The procedure of the standing champion of this very model on the same units, if its settings
            differ.
        champion_is_same: A champion stands and its settings are the candidate's: what is found of the one
            holds of the other.
        keeps: Further metrics in which the candidate may not fall behind the best rule.
        bounds: Numbers that must lie inside their bound.
        draws: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        The decision with its evidence. Refused when the interval against the best rule, or against the
        champion, does not lie above 0, or one of `keeps` or `bounds` does not hold. A champion whose own
        procedure is behind the best rule is to be demoted, unless the candidate takes its place.

    Raises:
        ValueError: `rules` is empty: nothing may be promoted without a rule to beat.
    """
    best, best_value = _best(metric, rules, n_units, higher_is_better)
    rule = rules[best]

    def lift_of(one: UnitMetric, other: UnitMetric) -> Interval:
        return paired_bootstrap(
            n_units, one, other, higher_is_better=higher_is_better, draws=draws, seed=seed
        )

    lift = lift_of(candidate, rule)
    champion_lift = None if champion is None else lift_of(candidate, champion)
    if champion is not None:
        standing: Interval | None = lift_of(champion, rule)
    else:
        standing = lift if champion_is_same else None
    judged = (*(_kept(one, n_units) for one in keeps), *(_bounded(one) for one in bounds))
    refusal = _refusal(best, lift, champion_lift, judged)
    return GateDecision(
        promoted=not refusal,
        metric=metric,
        value=candidate(np.arange(n_units)),
        baseline=best,
        baseline_value=best_value,
        lift=lift,
        champion_lift=champion_lift,
        reason=refusal or f"promoted: beats {best} by {lift.mean:.4f} [{lift.low:.4f}, {lift.high:.4f}]",
        champion_rule_lift=standing,
        judged=judged,
    )


def _refusal(best: str, lift: Interval, champion_lift: Interval | None, judged: Sequence[Judged]) -> str:
    """Why the candidate is refused; empty when it is not."""
    if not lift.low > 0:
        return f"refused: does not beat {best} with an interval above 0 (low end {lift.low:.4f})"
    if champion_lift is not None and not champion_lift.low > 0:
        return (
            "refused: does not beat the standing champion with an interval above 0 "
            f"(low end {champion_lift.low:.4f})"
        )
    broken = [one for one in judged if not one.holds]
    return f"refused: {'; '.join(one.words for one in broken)}" if broken else ""


def _best(
    metric: str, rules: Mapping[str, UnitMetric], n_units: int, higher_is_better: bool
) -> tuple[str, float]:
    """The best rule on all units, equal ones by name, and its value."""
    if not rules:
        raise ValueError(f"gate for {metric}: at least one simple rule is needed")
    everyone = np.arange(n_units)
    values = {name: rule(everyone) for name, rule in rules.items()}
    pick = max if higher_is_better else min
    best = pick(sorted(values), key=lambda name: values[name])
    return best, values[best]


def _kept(one: Keeps, n_units: int) -> Judged:
    units = n_units if one.n_units is None else one.n_units
    best, best_value = _best(one.metric, one.rules, units, one.higher_is_better)
    value = one.candidate(np.arange(units))
    behind = best_value - value if one.higher_is_better else value - best_value
    return Judged(
        one.metric,
        value,
        best,
        best_value,
        behind <= one.tolerance,
        f"{one.metric} is {value:.4f} where {best} has {best_value:.4f} (tolerance {one.tolerance:.4f})",
    )


def _bounded(one: Bound) -> Judged:
    return Judged(
        one.metric,
        one.value,
        "bound",
        one.limit,
        abs(one.value) <= one.limit,
        f"{one.metric} is {one.value:.4f}, its bound {one.limit:.4f}",
    )
