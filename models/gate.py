"""The promotion gate: a version may serve only if it beats the best simple rule and the champion.

What is compared is the procedure, backtested on the same rolling origins: the candidate's, each simple
rule's, and the standing champion's when its settings differ. The families measure; the decision is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from models.contracts import GateDecision, Interval
from models.metrics import IntArray, paired_bootstrap

UnitMetric = Callable[[IntArray], float]


def decide(
    metric: str,
    n_units: int,
    candidate: UnitMetric,
    rules: Mapping[str, UnitMetric],
    *,
    higher_is_better: bool,
    champion: UnitMetric | None = None,
    draws: int = 500,
    seed: int = 0,
) -> GateDecision:
    """Decide whether the candidate may become champion.

    Args:
        metric: Name of the metric, e.g. `ndcg_at_10`.
        n_units: Number of paired units (users, series).
        candidate: Candidate's metric on drawn unit indices.
        rules: Simple rules by name, measured on the same units; at least one.
        higher_is_better: Direction of the metric.
        champion: The standing champion's procedure on the same units, if its settings differ.
        draws: Bootstrap draws.
        seed: Seed of the draws.

    Returns:
        The decision with its evidence. Refused when the interval against the best rule, or against the
        champion, does not lie above 0.

    Raises:
        ValueError: `rules` is empty: nothing may be promoted without a rule to beat.
    """
    if not rules:
        raise ValueError(f"gate for {metric}: at least one simple rule is needed")
    everyone = np.arange(n_units)
    values = {name: rule(everyone) for name, rule in rules.items()}
    pick = max if higher_is_better else min
    best = pick(sorted(values), key=lambda name: values[name])
    value = candidate(everyone)
    lift = paired_bootstrap(
        n_units, candidate, rules[best], higher_is_better=higher_is_better, draws=draws, seed=seed
    )
    champion_lift: Interval | None = None
    if champion is not None:
        champion_lift = paired_bootstrap(
            n_units, candidate, champion, higher_is_better=higher_is_better, draws=draws, seed=seed
        )
    beats_rule = lift.low > 0
    beats_champion = champion_lift is None or champion_lift.low > 0
    if not beats_rule:
        reason = f"refused: does not beat {best} with an interval above 0 (low end {lift.low:.4f})"
    elif not beats_champion and champion_lift is not None:
        reason = (
            "refused: does not beat the standing champion with an interval above 0 "
            f"(low end {champion_lift.low:.4f})"
        )
    else:
        reason = f"promoted: beats {best} by {lift.mean:.4f} [{lift.low:.4f}, {lift.high:.4f}]"
    return GateDecision(
        promoted=beats_rule and beats_champion,
        metric=metric,
        value=value,
        baseline=best,
        baseline_value=values[best],
        lift=lift,
        champion_lift=champion_lift,
        reason=reason,
    )
