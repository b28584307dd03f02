"""Complete Journey: what households buy in the 14 days after a cut, on three rolling cuts."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.harness import OURS, Row, report
from benchmarks.models.basket_panel import HORIZON, Measured, at_a_cut, measured, read_purchases, truth_of
from models.data import Purchases
from models.metrics import FloatArray, IntArray, paired_bootstrap
from models.recommendation.nextbasket.family import Choice, FittedNextBasket, NextBasket, TopFrequency
from models.recommendation.nextbasket.settings import NextBasketSettings

NAME = "next_basket_complete_journey"
CUT = datetime(2017, 12, 1, tzinfo=UTC)
CUTS = tuple(CUT - HORIZON * back for back in range(int(os.environ.get("MUYUN_BENCH_CUTS", "3"))))
TOP_FREQUENCY, TIFU, RANK_AVERAGE = "topfreq", "tifu_knn", "rank_average"
PUBLISHED = {"ranker_first_release": (0.1396, 0.3507), "lightgbm_repeat_ranker": (0.1446, 0.353)}
"""Recall@10 and NDCG@10 at the cut of 2017-12-01, measured elsewhere."""
_PROTOCOL = (
    "Cut 2017-12-01, the 14 days after it, skus with at least 10 baskets before the cut, every household "
    "with history that bought something; Recall@10 and truncated NDCG@10, full-catalogue ranking. muyun is "
    "NextBasket with horizon_days=14 and otherwise default settings, which chooses inside what is known at "
    "the cut. tifu_knn and rank_average (of tifu_knn and the ranker, equal weights) are members of that very "
    "fit. The rows _all_cuts pool this cut and those 14 and 28 days before it. ndcg_lift_low: low end of the "
    "95% interval (500 paired draws of households and cuts) of muyun's NDCG less that of rank_average. "
    "first_release and repeat_ranker are constants."
)


def main() -> int:
    """Runs the benchmark."""
    started = time.monotonic()
    purchases = read_purchases()
    found = [_at(purchases, cut) for cut in CUTS]
    rows: list[Row] = []
    for system in found[0]:
        rows += [
            Row(system, "recall_at_10", float(found[0][system].recall.mean()), "fraction"),
            Row(system, "ndcg_at_10", float(found[0][system].ndcg.mean()), "fraction"),
            Row(system, "recall_at_10_all_cuts", float(_pooled(found, system, "recall").mean()), "fraction"),
            Row(system, "ndcg_at_10_all_cuts", float(_pooled(found, system, "ndcg").mean()), "fraction"),
        ]
    for system, (recall, ndcg) in PUBLISHED.items():
        rows += [
            Row(system, "recall_at_10", recall, "fraction"),
            Row(system, "ndcg_at_10", ndcg, "fraction"),
        ]
    ours, theirs = _pooled(found, OURS, "ndcg"), _pooled(found, RANK_AVERAGE, "ndcg")

    def mean(values: FloatArray, drawn: IntArray) -> float:
        return float(values[drawn].mean())

    lift = paired_bootstrap(
        len(ours), lambda drawn: mean(ours, drawn), lambda drawn: mean(theirs, drawn), higher_is_better=True
    )
    rows.append(Row(OURS, "ndcg_lift_low", lift.low, "fraction", (lift.low, lift.high)))
    wall = time.monotonic() - started
    report(Path(os.environ.get("MUYUN_HOME", "var")), name=NAME, protocol=_PROTOCOL, rows=rows, wall_s=wall)
    return 0


def _at(purchases: Purchases, cut: datetime) -> dict[str, Measured]:
    data = at_a_cut(purchases, cut)
    truth = truth_of(data, cut, new_only=False)
    known = data.until(cut)
    n_items = known.frame["item_id"].n_unique()
    fitted = NextBasket(NextBasketSettings(horizon_days=HORIZON.days)).fit(known, cut)
    systems = {
        TOP_FREQUENCY: TopFrequency().fit(known, cut),
        TIFU: _with(fitted, (0.0, 1.0, 0.0)),
        RANK_AVERAGE: _with(fitted, (1.0, 1.0, 0.0)),
        OURS: fitted,
    }
    return {name: measured(system, truth, n_items) for name, system in systems.items()}


def _with(fitted: FittedNextBasket, weights: tuple[float, float, float]) -> FittedNextBasket:
    """The same fit with other weights of its members; the weights alone where it holds no ranker."""
    choice: Choice = replace(fitted.choice, weights=weights if fitted.booster else (0.0, 1.0, 0.0))
    return replace(fitted, choice=choice)


def _pooled(found: list[dict[str, Measured]], system: str, metric: str) -> FloatArray:
    return np.concatenate([getattr(one[system], metric) for one in found])


if __name__ == "__main__":
    raise SystemExit(main())
