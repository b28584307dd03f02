"""Ta-Feng: the last basket of a fifth of the consumers, in the protocol of "Next Basket Reality Check"."""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError, public_file
from models.data import Purchases
from models.metrics import ndcg_at_k, recall_at_k
from models.protocol import Ranker
from models.recommendation.nextbasket.family import NextBasket, TopFrequency

NAME, FOLDER, K = "next_basket_tafeng", "tafeng_next_basket", 10
PARTS, METRICS = ("history", "future"), ("recall_at_10", "ndcg_at_10")
SEEDS = int(os.environ.get("MUYUN_BENCH_SEEDS", "5"))
END = datetime(2001, 2, 28, tzinfo=UTC)
TOP_FREQUENCY, INFORMED = "topfreq", "topfreq_informed"
PUBLISHED = {"tifu_published": (0.124, 0.101), "tifu_tuned_published": (0.153, 0.131)}
"""Recall@10 and NDCG@10 of TIFU-KNN: of the literature, and with k 300, m 7, r_b .9, r_g .9, a .1."""
ANCHOR, MARGIN = (0.134, 0.115), 0.002
_PROTOCOL = (
    "Preprocessed Ta-Feng (13,858 consumers, 11,997 items, histories of 2 to 49 baskets); {seeds} "
    "seeds, each asks for the last basket of a fifth of the consumers. muyun and topfreq_informed know "
    "every other basket, the last ones of the remaining consumers too (they are what learning methods "
    "are trained on); topfreq is GP-TopFreq on the histories alone, as published, and must give .134 / "
    ".115. The data have no days: the k-th basket from the end stands for k days ago. Recall@10 and "
    "NDCG@10 (binary, the ideal list is not cut), means over seeds with ranges. muyun is NextBasket "
    "with its default settings, which chooses inside what is known; the published rows are constants. "
    "wall_s is of its fits and lists of all seeds."
)
Basket = list[int]
Histories = Mapping[str, Sequence[Basket]]


def main() -> int:
    """Runs the benchmark; 1 when the data are missing or the simple rule is not where it must be."""
    try:
        histories, last = (read_baskets(public_file(FOLDER, f"tafeng_{part}.json.gz")) for part in PARTS)
    except MissingDataError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 1
    started = time.monotonic()
    families = {TOP_FREQUENCY: TopFrequency(), INFORMED: TopFrequency(), OURS: NextBasket()}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in families}
    seconds, cpu = dict.fromkeys(families, 0.0), dict.fromkeys(families, 0.0)
    histories_alone = known_purchases(histories, last, list(histories))
    for seed in range(SEEDS):
        asked = asked_consumers(sorted(histories), seed)
        purchases = known_purchases(histories, last, asked)
        for name, family in families.items():
            began, spent = time.monotonic(), time.process_time()
            known = histories_alone if name == TOP_FREQUENCY else purchases
            found[name].append(measured(family.fit(known, END), asked, last))
            seconds[name] += time.monotonic() - began
            cpu[name] += time.process_time() - spent
    rows = [row for name in families for row in _rows(name, found[name])]
    rows += [
        Row(name, metric, value, "fraction")
        for name, values in PUBLISHED.items()
        for metric, value in zip(METRICS, values, strict=True)
    ]
    rows += [Row(OURS, "wall_s", seconds[OURS], "s"), Row(OURS, "cpu_s", cpu[OURS], "cpu s")]
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL.format(seeds=SEEDS),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    rule = np.mean(found[TOP_FREQUENCY], axis=0)
    if SEEDS >= 5 and np.abs(rule - ANCHOR).max() > MARGIN:
        print(f"{NAME}: GP-TopFreq gives {rule}, not {ANCHOR}: the protocol is not kept", file=sys.stderr)
        return 1
    return 0


def read_baskets(file: Path) -> dict[str, list[Basket]]:
    """Consumer to baskets, oldest first, without the marks at both ends."""
    with gzip.open(file, "rt", encoding="ascii") as opened:
        return {user: baskets[1:-1] for user, baskets in json.load(opened).items()}


def asked_consumers(users: Sequence[str], seed: int) -> list[str]:
    """A fifth of the consumers, sorted."""
    shuffled = np.random.default_rng(seed).permutation(np.array(users))
    return sorted(shuffled[int(len(users) * 0.8) :].tolist())


def known_purchases(histories: Histories, last: Histories, asked: Sequence[str]) -> Purchases:
    """Every basket but the last ones of those who are asked; the k-th from the end is k days old."""
    hidden = set(asked)
    rows = []
    for user, baskets in histories.items():
        known = [*baskets, *([] if user in hidden else last[user])]
        for back, basket in enumerate(reversed(known)):
            rows += [(user, item, END - timedelta(days=back)) for item in set(basket)]
    frame = pl.DataFrame(rows, schema=["consumer_id", "item_id", "at"], orient="row")
    return Purchases.from_frame(frame)


def measured(ranker: Ranker, asked: Sequence[str], last: Histories) -> tuple[float, float]:
    """Mean Recall@10 and NDCG@10 of those who are asked."""
    truth = [{str(item) for item in last[user][0]} for user in asked]
    hits = np.zeros((len(asked), K), dtype=np.bool_)
    for row, (items, ranked) in enumerate(zip(truth, ranker.rank(asked, K), strict=True)):
        hits[row, : len(ranked)] = [item in items for item in ranked]
    size = np.array([len(items) for items in truth], dtype=np.int64)
    recall, ndcg = recall_at_k(hits, size), ndcg_at_k(hits, size, truncate_ideal=False)
    return float(recall.mean()), float(ndcg.mean())


def _rows(system: str, values: Sequence[tuple[float, float]]) -> list[Row]:
    columns = zip(METRICS, zip(*values, strict=True), strict=True)
    return [
        Row(system, metric, float(np.mean(column)), "fraction", (min(column), max(column)))
        for metric, column in columns
    ]


if __name__ == "__main__":
    raise SystemExit(main())
