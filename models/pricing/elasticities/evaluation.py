"""Does the shrunken elasticity predict quantity changes better? A backtest at rolling origins.

Only price moves of held-out weeks are judged. The rules stand on the same rows: no response to price, and one
elasticity for everything. The decision itself is the gate's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.contracts import GateDecision
from models.errors import InsufficientDataError
from models.gate import decide
from models.metrics import IntArray
from models.pricing.config import ElasticityConfig
from models.pricing.elasticities.changes import Changes, FloatArray
from models.pricing.elasticities.elasticity import fit
from models.pricing.elasticities.pooled import BoolArray, controls, fit_pooled, second_week_share

METRIC = "quantity_change_log_loss"
SECOND_METRIC = "log_quantity_change_r2"
SECOND_LEVEL = "sku x week over its merchants, at least 10 units, the same price moves"
SHRUNKEN = "shrunken_elasticity"
POOLED = "pooled_elasticity"
NO_RESPONSE = "no_response"
CHAMPION = "champion"


@dataclass(frozen=True)
class Backtest:
    """What the backtest found.

    Attributes:
        decision: The gate's decision.
        leaderboard: One dict a system and metric.
        metrics: Flat names to values.
    """

    decision: GateDecision
    leaderboard: list[dict[str, Any]]
    metrics: dict[str, float]


def origins(n_weeks: int, config: ElasticityConfig) -> list[int]:
    """Last training week (exclusive) of each rolling origin, oldest first.

    Raises:
        InsufficientDataError: The data are too short for the origins asked for.
    """
    first = n_weeks - config.origins * config.test_weeks
    if first < config.min_train_weeks:
        needed = config.min_train_weeks + config.origins * config.test_weeks
        raise InsufficientDataError(f"elasticities: {n_weeks} complete weeks of orders; {needed} are needed")
    return [first + index * config.test_weeks for index in range(config.origins)]


def backtest(
    changes: Changes,
    config: ElasticityConfig,
    champion: ElasticityConfig | None = None,
    *,
    known: Callable[[int], Changes],
) -> Backtest:
    """Judge the procedure on held-out price moves.

    Args:
        changes: All changes as they stand at the moment of training: what judges.
        config: The candidate's settings.
        known: Takes the week of an origin, gives the changes as they were known at its begin, over the skus
            and weeks of `changes`: what is learnt from there.
        champion: The standing champion's settings; compared only where they differ.

    Returns:
        Decision, leaderboard and metrics. The deciding metric is the mean log loss per unit sold of "which
        of the two weeks was this unit sold in", the likelihood of the log quantity change; lower is better.
        Beside it stands R2 of the log change of a sku's weekly units over all merchants.

    Raises:
        InsufficientDataError: Too few weeks, changes or held-out moves.

    Note:
        Week effects of held-out weeks are unknown and 0 for every system. Units of the bootstrap are skus.
    """
    systems = [NO_RESPONSE, POOLED, SHRUNKEN]
    if champion is not None and champion != config:
        systems.append(CHAMPION)
    logits: dict[str, list[FloatArray]] = {system: [] for system in systems}
    tested: list[BoolArray] = []
    start = start_flat = None
    for origin in origins(changes.n_weeks, config):
        told = known(origin)
        train = told.week < origin
        test = (
            (changes.week >= origin)
            & (changes.week < origin + config.test_weeks)
            & (np.abs(changes.log_price) > np.log1p(config.min_move))
        )
        model, start = fit(told, config, train, start)
        start_flat = fit_pooled(told, train, config.newton_steps, with_price=False, start=start_flat)
        tested_controls = controls(changes)[test]
        logits[NO_RESPONSE].append(tested_controls @ start_flat.slopes)
        logits[POOLED].append(tested_controls @ start.slopes)
        logits[SHRUNKEN].append(model.log_change(changes, test))
        if CHAMPION in logits and champion is not None:
            other, _ = fit(told, champion, train, start)
            logits[CHAMPION].append(other.log_change(changes, test))
        tested.append(test)
    moves = np.concatenate([np.flatnonzero(test) for test in tested])
    if len(moves) < config.min_moves:
        raise InsufficientDataError(
            f"elasticities: {len(moves)} held-out price moves above {config.min_move:.0%}; "
            f"at least {config.min_moves} are needed"
        )
    together = {name: np.concatenate(parts) for name, parts in logits.items()}
    return _judge(changes, moves, together, config, champion_is_same=champion == config)


def _judge(
    changes: Changes,
    moves: IntArray,
    logits: dict[str, FloatArray],
    config: ElasticityConfig,
    *,
    champion_is_same: bool,
) -> Backtest:
    """Turn predictions on the moves into a decision and a leaderboard."""
    before, after = changes.before_qty[moves], changes.after_qty[moves]
    skus, unit = np.unique(changes.sku[moves], return_inverse=True)
    sold = np.bincount(unit, before + after)

    def unit_metric(logit: FloatArray) -> Callable[[IntArray], float]:
        share = second_week_share(logit)
        loss = np.bincount(unit, -(after * np.log(share) + before * np.log(1.0 - share)))
        return lambda chosen: float(loss[chosen].sum() / sold[chosen].sum())

    metrics = {name: unit_metric(logit) for name, logit in logits.items()}
    decision = decide(
        METRIC,
        len(skus),
        metrics[SHRUNKEN],
        {NO_RESPONSE: metrics[NO_RESPONSE], POOLED: metrics[POOLED]},
        higher_is_better=False,
        champion=metrics.get(CHAMPION),
        champion_is_same=champion_is_same,
        seed=config.seed,
    )
    level = f"sku x merchant x week, price moves over {config.min_move:.0%}, {config.origins} origins"
    everyone = np.arange(len(skus))
    leaderboard: list[dict[str, Any]] = []
    flat: dict[str, float] = {"held_out_moves": float(len(moves)), "held_out_skus": float(len(skus))}
    for name, metric in metrics.items():
        value = metric(everyone)
        r2, n_sku_weeks = _sku_week_r2(changes, moves, logits[name])
        leaderboard.append({"system": name, "metric": METRIC, "value": value, "level": level})
        if n_sku_weeks > 1:
            leaderboard.append({"system": name, "metric": SECOND_METRIC, "value": r2, "level": SECOND_LEVEL})
            flat[f"{name}_{SECOND_METRIC}"] = r2
        flat[f"{name}_{METRIC}"] = value
    return Backtest(decision, leaderboard, flat)


def _sku_week_r2(changes: Changes, moves: IntArray, logit: FloatArray) -> tuple[float, int]:
    """R2 of the log change of a sku's weekly units over its merchants, where at least 10 units were sold."""
    _, cell = np.unique(changes.sku[moves] * changes.n_weeks + changes.week[moves], return_inverse=True)
    before = np.bincount(cell, changes.before_qty[moves])
    after = np.bincount(cell, changes.after_qty[moves])
    units = (changes.before_qty + changes.after_qty)[moves]
    expected_after = np.bincount(cell, units * second_week_share(logit))
    enough = before + after >= 10
    # Half a unit on both sides keeps a sold-out side finite.
    actual = np.log((after[enough] + 0.5) / (before[enough] + 0.5))
    expected_before = (before + after)[enough] - expected_after[enough]
    predicted = np.log((expected_after[enough] + 0.5) / (expected_before + 0.5))
    if len(actual) < 2 or float(np.var(actual)) == 0.0:
        return float("nan"), int(enough.sum())
    residual = float(((actual - predicted) ** 2).sum())
    return 1.0 - residual / float(((actual - actual.mean()) ** 2).sum()), int(enough.sum())
