"""Neighbours of every consumer, for more and more generated consumers: time, memory and what is found.

`MUYUN_BENCH_CONSUMERS` names the sizes (default 60000,200000; 1000000 may be one).
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from benchmarks.harness import OURS, Row, own_peak_rss_mb, report
from models.metrics import recall_at_k
from models.recommendation.config import TifuParams
from models.recommendation.interactions import Indices
from models.recommendation.lists.ranking import hits, top_k_dense
from models.recommendation.nextbasket.settings import UpcfParams
from models.recommendation.nextbasket.upcf import KnownItems
from models.recommendation.rankers.repeat import VectorPool, tifu_scores

NAME = "neighbours_scale"
SIZES = tuple(int(one) for one in os.environ.get("MUYUN_BENCH_CONSUMERS", "60000,200000").split(","))
ASKED, BLOCK, EVERY, K, SEED = 250, 256, 100, 10, 7
ITEMS, TASTES, KNOWN, BASKETS = 20_000, 400, 24, 12
SHARE_A_BASKET = 0.25
TIFU, UPCF = TifuParams(own_weight=0.1), UpcfParams()
BRUTE = "every pair"
_PROTOCOL = (
    "Generated consumers (20,000 items of Zipf popularity in 400 tastes; each consumer has two tastes, knows "
    "up to 24 items and made 1 to 12 baskets; the one after them is the truth): the 300 nearest TIFU vectors "
    "and the 600 most similar consumers of UP-CF by the product's pools, one thread, for every hundredth "
    "consumer. cpu_s: making the pool, and a hundred times those. time_growth: exponent of cpu_s between the "
    "two largest sizes; 2 would be every pair. For {asked} consumers the same by comparing with everybody: "
    "shares of those neighbours that were found, Recall@10 of the next basket by both, and cpu_s."
)


@dataclass(frozen=True)
class World:
    """Generated consumers.

    Attributes:
        vectors: float32 CSR (n, ITEMS), decayed shares of baskets with the item.
        truth: float32 CSR (n, ITEMS), 1 where the next basket has the item.
    """

    vectors: sp.csr_matrix
    truth: sp.csr_matrix


def world(consumers: int, seed: int) -> World:
    """Consumers who take each item of their repertoire in a quarter of their baskets."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, ITEMS + 1) ** 0.8
    taste_of = rng.integers(0, TASTES, ITEMS)
    inside = [np.flatnonzero(taste_of == taste) for taste in range(TASTES)]
    shares = [np.cumsum(popularity[items]) / popularity[items].sum() for items in inside]
    everybody = np.cumsum(popularity) / popularity.sum()
    draw = rng.random((consumers, KNOWN), dtype=np.float32)
    known = np.searchsorted(everybody, draw).astype(np.int32)
    own_taste = rng.integers(0, TASTES, (consumers, 2))
    for taste in range(TASTES):
        for half in range(2):
            users = np.flatnonzero(own_taste[:, half] == taste)
            columns = slice(half * KNOWN // 3, (half + 1) * KNOWN // 3)
            known[users, columns] = inside[taste][np.searchsorted(shares[taste], draw[users, columns])]
    np.clip(known, 0, ITEMS - 1, out=known)
    baskets = rng.integers(1, BASKETS + 1, consumers)
    weight = np.zeros((consumers, KNOWN), np.float32)
    for back in range(BASKETS):
        taken = (rng.random(known.shape, dtype=np.float32) < SHARE_A_BASKET) & (back < baskets)[:, None]
        weight += taken * np.float32(TIFU.basket_decay**back)
    weight /= baskets[:, None]
    following = (rng.random(known.shape, dtype=np.float32) < SHARE_A_BASKET).astype(np.float32)
    return World(_sparse(known, weight), _flags(_sparse(known, following)))


def _sparse(columns: npt.NDArray[np.int32], values: npt.NDArray[np.float32]) -> sp.csr_matrix:
    starts = np.arange(len(columns) + 1) * columns.shape[1]
    out = sp.csr_matrix((values.ravel(), columns.ravel().copy(), starts), shape=(len(columns), ITEMS))
    out.sum_duplicates()
    out.eliminate_zeros()
    return out


def _flags(matrix: sp.csr_matrix) -> sp.csr_matrix:
    matrix.data = np.ones_like(matrix.data)
    return matrix


def main() -> int:
    """Runs the benchmark; 1 when the time grows like that of every pair."""
    started = time.monotonic()
    rows: list[Row] = []
    seconds: dict[str, list[float]] = {"tifu": [], "upcf": []}
    for size in SIZES:
        made = world(size, SEED)
        asked = np.sort(np.random.default_rng(SEED).choice(size, min(ASKED, size), replace=False))
        for name, found in (("tifu", _tifu(made, asked)), ("upcf", _upcf(made, asked))):
            seconds[name].append(found["cpu_s"])
            for metric, value in found.items():
                system = BRUTE if metric.startswith("every_pair_") else OURS
                what = metric.removeprefix("every_pair_")
                rows.append(
                    Row(system, f"{name}_{size}_{what}", value, "cpu s" if what == "cpu_s" else "fraction")
                )
        rows.append(Row(OURS, f"{size}_peak_rss_mb", own_peak_rss_mb(), "MB"))
        told = "\n".join(
            f"{row.system} {row.metric} {row.value:.4g}" for row in rows if f"{size}_" in row.metric
        )
        print(f"{told}\n{size}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    growth = {name: _exponent(SIZES, one) for name, one in seconds.items() if len(SIZES) > 1}
    rows += [Row(OURS, f"{name}_time_growth", value, "exponent") for name, value in growth.items()]
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL.format(asked=ASKED),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 1 if any(value > 1.5 for value in growth.values()) else 0


def _exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    return math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])


def _blocks(users: Indices) -> Iterator[Indices]:
    return (users[start : start + BLOCK] for start in range(0, len(users), BLOCK))


def _tifu(made: World, asked: Indices) -> dict[str, float]:
    vectors, n_users = made.vectors, made.vectors.shape[0]
    began = time.process_time()
    pool = VectorPool(vectors)
    made_at = time.process_time()
    some = np.arange(0, n_users, EVERY)
    for part in _blocks(some):
        pool.nearest_rows(vectors[part], part, TIFU.neighbours)
    cpu_s = made_at - began + (time.process_time() - made_at) * n_users / len(some)
    whole = VectorPool(vectors, exact_up_to=n_users)
    began = time.process_time()
    truly = [whole.nearest(vectors[part], part, TIFU.neighbours) for part in _blocks(asked)]
    every = (time.process_time() - began) * n_users / len(asked)
    found = [pool.nearest(vectors[part], part, TIFU.neighbours) for part in _blocks(asked)]

    def ranked(links: list[sp.csr_matrix]) -> Indices:
        scores = [
            tifu_scores(vectors[part], one, vectors, TIFU.own_weight)
            for part, one in zip(_blocks(asked), links, strict=True)
        ]
        return top_k_dense(np.concatenate(scores), K)

    return _compared(cpu_s, every, truly, found, ranked(truly), ranked(found), made, asked)


def _upcf(made: World, asked: Indices) -> dict[str, float]:
    counts, n_users = made.vectors, made.vectors.shape[0]
    began = time.process_time()
    known = KnownItems(counts)
    made_at = time.process_time()
    some = np.arange(0, n_users, EVERY)
    for part in _blocks(some):
        known.similar(part, UPCF)
    cpu_s = made_at - began + (time.process_time() - made_at) * n_users / len(some)
    whole = KnownItems(counts, exact_up_to=n_users)
    began = time.process_time()
    truly = [whole.similar(part, UPCF) for part in _blocks(asked)]
    every = (time.process_time() - began) * n_users / len(asked)
    found = [known.similar(part, UPCF) for part in _blocks(asked)]

    def ranked(links: list[sp.csr_matrix]) -> Indices:
        return top_k_dense(np.concatenate([(one @ counts).toarray() for one in links]), K)

    return _compared(cpu_s, every, truly, found, ranked(truly), ranked(found), made, asked)


def _compared(
    cpu_s: float,
    every_pair_s: float,
    truly: list[sp.csr_matrix],
    found: list[sp.csr_matrix],
    ranked_truly: Indices,
    ranked_found: Indices,
    made: World,
    asked: Indices,
) -> dict[str, float]:
    size = np.diff(made.truth.indptr)[asked].astype(np.int64)
    some = size > 0

    def recall(ranked: Indices) -> float:
        return float(recall_at_k(hits(ranked, asked, made.truth)[some], size[some]).mean())

    both = sum(_flags(a.copy()).multiply(_flags(b.copy())).sum() for a, b in zip(truly, found, strict=True))
    return {
        "cpu_s": cpu_s,
        "every_pair_cpu_s": every_pair_s,
        "neighbours_found": float(both / max(sum(one.nnz for one in truly), 1)),
        "recall_at_10": recall(ranked_found),
        "every_pair_recall_at_10": recall(ranked_truly),
    }


if __name__ == "__main__":
    raise SystemExit(main())
