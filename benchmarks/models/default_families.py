"""What a stranger gets: families with their default settings on public data, through `backtest` and its gate.

Orange juice by store and brand (left out, and said, where the file is missing), and the embedded household
panel. What serves is the family where the gate takes it, else the best simple rule.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models import orange_juice
from benchmarks.models.basket_panel import read_purchases
from benchmarks.models.public_data import MissingDataError, public_file
from models.backtest import Backtest, Cut, Metric, backtest
from models.demand.families.boosted import Boosted
from models.demand.families.intermittent import Intermittent
from models.demand.families.smoothing import Smoothing
from models.lifecycle.families import Churn, OwnRate, Rebuy, Recency, bought_again, no_order
from models.measures import auc_of, ece_of, ndcg_at, quantile_loss, recall_at, wape
from models.protocol import Family
from models.recommendation.nextbasket.family import NextBasket, TopFrequency
from models.splits import rolling_cuts, rolling_steps

NAME, SERVED = "default_families", "served"
CUTS = int(os.environ.get("MUYUN_BENCH_CUTS", "3"))
_PROTOCOL = (
    "Each family with its default settings at {cuts} cuts whose windows do not overlap and end with the "
    "data, fitted on what was known there; muyun is the family, the others are simple rules of the same "
    "run; 95% intervals over drawn series or consumers. promoted: 1 where the gate of models.backtest takes "
    "the family. served: the family where it was promoted, else the rule that is best in the first metric. "
    "juice: units of store x brand in the next 3 weeks, their prices and deals known; basket: what a "
    "household buys in 14 days; churn: no order in 28 days; rebuy: a category bought twice is bought again "
    "in 14 days."
)


@dataclass(frozen=True)
class Trial:
    """One family on one set of data.

    Attributes:
        family: On trial.
        cuts: Where it is fitted and until when it is measured.
        metrics: The first decides.
        rules: The simple rules.
    """

    family: Family[Any, Any]
    cuts: Sequence[Cut]
    metrics: Sequence[Metric]
    rules: Sequence[Family[Any, Any]]

    def on(self, data: Any) -> Backtest:
        """What `backtest` says of it."""
        rules = {rule.name: rule for rule in self.rules}
        return backtest(self.family, data, self.cuts, self.metrics, rules)


def main() -> int:
    """Runs the benchmark."""
    started = time.monotonic()
    rows: list[Row] = []
    for found in (_juice(), _households()):
        for about, (trial, tried) in found.items():
            rows += rows_of(about, trial, tried)
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL.format(cuts=CUTS),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 0


def rows_of(about: str, trial: Trial, tried: Backtest) -> list[Row]:
    """What is reported of a trial: every system, whether it was promoted, what serves.

    Args:
        about: Put before the names of the metrics.
        trial: The trial.
        tried: What was found.
    """
    called = {trial.family.name: OURS}
    board = tried.leaderboard.to_dicts()
    rows = [
        Row(
            called.get(one["system"], one["system"]),
            f"{about}_{one['metric']}",
            one["value"],
            "fraction",
            (one["low"], one["high"]),
        )
        for one in board
    ]
    deciding = trial.metrics[0]
    of_rules = {
        one["system"]: one["value"]
        for one in board
        if one["metric"] == deciding.name and one["system"] != trial.family.name
    }
    better: Callable[..., str] = max if deciding.higher_is_better else min
    best = better(of_rules, key=lambda system: of_rules[system])
    serves = trial.family.name if tried.decision.promoted else best
    rows.append(Row(OURS, f"{about}_promoted", float(tried.decision.promoted), "1 = yes"))
    rows += [
        Row(SERVED, f"{about}_{one['metric']}", one["value"], "fraction")
        for one in board
        if one["system"] == serves
    ]
    return rows


def _juice() -> Mapping[str, tuple[Trial, Backtest]]:
    try:
        panel = orange_juice.read(public_file("orange_juice", "orangeJuice_yx.csv.gz"))
    except MissingDataError as error:
        print(f"{NAME}: {error}; orange juice is left out", file=sys.stderr)
        return {}
    trial = Trial(
        Boosted(),
        rolling_steps(panel.target.shape[1], orange_juice.HORIZON, CUTS),
        [quantile_loss((0.1, 0.5, 0.9)), wape()],
        [Intermittent("tsb"), Smoothing()],
    )
    return {"juice": (trial, trial.on(panel))}


def _households() -> Mapping[str, tuple[Trial, Backtest]]:
    purchases = read_purchases()
    (newest,) = purchases.frame.select(pl.col("at").max()).row(0)
    fortnights = rolling_cuts(newest, timedelta(days=14), CUTS)
    months = rolling_cuts(newest, timedelta(days=28), CUTS)
    trials = {
        "basket": Trial(NextBasket(), fortnights, [ndcg_at(10), recall_at(10)], [TopFrequency()]),
        "churn": Trial(Churn(), months, [auc_of(no_order), ece_of(no_order)], [Recency()]),
        "rebuy": Trial(Rebuy(), fortnights, [auc_of(bought_again), ece_of(bought_again)], [OwnRate()]),
    }
    return {about: (trial, trial.on(purchases)) for about, trial in trials.items()}


if __name__ == "__main__":
    raise SystemExit(main())
