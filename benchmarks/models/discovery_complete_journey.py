"""Complete Journey: what households buy for the first time in the 14 days after a cut."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.harness import OURS, Row, report
from benchmarks.models.basket_panel import Measured, at_a_cut, measured, read_purchases, truth_of
from models.data import Purchases
from models.metrics import paired_bootstrap
from models.recommendation.config import ALONE, EaseParams, RecommendationConfig
from models.recommendation.lists.ranking import top_k_dense
from models.recommendation.rankers.ease import fit_ease
from models.recommendation.rankers.finds import Discovery, Popularity, as_interactions

NAME = "discovery_complete_journey"
CUT = datetime(2017, 12, 1, tzinfo=UTC)
POPULARITY, EASE, ALS = "popularity_28d", "ease", "implicit_als"
_PROTOCOL = (
    "Cut 2017-12-01, the 14 days after it, skus with at least 10 baskets before the cut; truth: skus "
    "that the household never bought before, lists: skus that it never bought; Recall@10, truncated "
    "NDCG@10, share of the skus that occur in some list of ten. muyun is Discovery with its default "
    "settings, which chooses on the 14 days before the cut. implicit_als is the same ALS (library "
    "implicit) alone, ease is EASE by second-level category alone, popularity_28d is the rule. "
    "lift_low: low end of the 95% interval (500 paired draws of households) of muyun's NDCG less that "
    "of the system."
)


def main() -> int:
    """Runs the benchmark."""
    started = time.monotonic()
    data = at_a_cut(read_purchases(), CUT)
    truth = truth_of(data, CUT, new_only=True)
    known = data.until(CUT)
    n_items = known.frame["item_id"].n_unique()
    alone = replace(RecommendationConfig(), beside_weights=(ALONE,))
    systems = {
        POPULARITY: Popularity().fit(known, CUT),
        EASE: EaseAlone(known, CUT),
        ALS: Discovery(alone).fit(known, CUT),
        OURS: Discovery().fit(known, CUT),
    }
    found = {name: measured(system, truth, n_items) for name, system in systems.items()}
    rows = [row for name, one in found.items() for row in _rows(name, one)]
    rows += [_lift(found[OURS], found[name], name) for name in (POPULARITY, EASE, ALS)]
    wall = time.monotonic() - started
    report(Path(os.environ.get("MUYUN_HOME", "var")), name=NAME, protocol=_PROTOCOL, rows=rows, wall_s=wall)
    return 0


class EaseAlone:
    """The peer: EASE by category on every sku that was ever bought."""

    def __init__(self, known: Purchases, until: datetime) -> None:
        self.data = as_interactions(known, until)
        self.counts = self.data.counts(self.data.until(until))
        self.bought = self.counts.copy()
        self.bought.data = np.ones_like(self.bought.data)
        _, block = np.unique(np.array(self.data.item_l2, dtype=np.str_), return_inverse=True)
        params = EaseParams(min_buyers=1, kept=2000, widest=2000)
        self.links = fit_ease(self.counts, block.astype(np.int64), params)

    def rank(self, users: Sequence[str], k: int, within: Sequence[str] | None = None) -> list[list[str]]:
        """Never-bought skus by the weights alone."""
        skus = self.data.skus
        allowed = np.arange(len(skus)) if within is None else np.flatnonzero(np.isin(skus, list(within)))
        place = {name: row for row, name in enumerate(self.data.consumers)}
        rows = np.array([place[one] for one in users], dtype=np.int64)
        scores = (self.bought[rows] @ self.links[:, allowed]).toarray()
        scores[self.counts[rows][:, allowed].toarray() > 0] = -np.inf
        ranked = allowed[top_k_dense(scores, k)]
        return [[skus[item] for item in row] for row in ranked.tolist()]


def _rows(system: str, one: Measured) -> list[Row]:
    return [
        Row(system, "recall_at_10", float(one.recall.mean()), "fraction"),
        Row(system, "ndcg_at_10", float(one.ndcg.mean()), "fraction"),
        Row(system, "coverage", one.coverage, "fraction"),
    ]


def _lift(ours: Measured, theirs: Measured, name: str) -> Row:
    lift = paired_bootstrap(
        len(ours.ndcg),
        lambda drawn: float(ours.ndcg[drawn].mean()),
        lambda drawn: float(theirs.ndcg[drawn].mean()),
        higher_is_better=True,
    )
    metric = "lift_low" if name == POPULARITY else f"lift_low_over_{name}"
    return Row(OURS, metric, lift.low, "fraction", (lift.low, lift.high))


if __name__ == "__main__":
    raise SystemExit(main())
