"""How long the factors of the discovery lane take beside the library that solves them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from benchmarks.harness import OURS, Row, report
from benchmarks.models.basket_panel import at_a_cut, read_purchases
from benchmarks.models.discovery_complete_journey import CUT
from models.recommendation.config import AlsParams, RecommendationConfig
from models.recommendation.rankers.discovery import confidences, fit_als, fold_in
from models.recommendation.rankers.finds import as_interactions

NAME, PEER = "als_speed", "implicit"
TIMES, THREADS, SEED = 5, 1, 0
LARGEST_DIFFERENCE = 1e-3
Found = TypeVar("Found")
_PROTOCOL = (
    f"Purchases of the embedded household panel until 2017-12-01, skus with at least 10 baskets, confidences "
    f"and first setting of the discovery lane; one thread, BLAS held to one, {TIMES} times in turn. "
    "implicit: one fit of its AlternatingLeastSquares with the same settings, which leaves factors of "
    "households and of skus. muyun: fit_als, and fold_in of every household, as scoring does every night. "
    "seconds are processor seconds, medians with ranges; ratio_to_implicit is the median of ratios of both "
    "together, fit_ratio_to_implicit that of fit_als alone. sku_difference and household_difference: largest "
    "difference of a factor, of skus from implicit's fit, of households from implicit's own exact solver "
    "given the same factors of skus."
)


def main() -> int:
    """Runs the benchmark; 1 when the two do not come to the same factors."""
    started = time.monotonic()
    params, confidence = panel()
    peer, fit, whole = [], [], []
    for _ in range(TIMES):
        model, spent = timed(lambda: by_implicit(confidence, params))
        peer.append(spent)
        factors, spent = timed(lambda: fit_als(confidence, params, SEED, THREADS))
        fit.append(spent)
        households, more = timed(lambda skus=factors: fold_in(confidence, skus, params))
        whole.append(spent + more)
    rows = [
        _row(PEER, "seconds", peer, "cpu s"),
        _row(OURS, "seconds", whole, "cpu s"),
        _row(OURS, "ratio_to_implicit", _ratios(whole, peer), "times"),
        _row(OURS, "fit_ratio_to_implicit", _ratios(fit, peer), "times"),
    ]
    known = np.flatnonzero(np.diff(confidence.indptr))
    solved = model.recalculate_user(known, confidence[known])
    differences = {
        "sku_difference": float(np.abs(factors - model.item_factors).max()),
        "household_difference": float(np.abs(households[known] - solved).max()),
    }
    rows += [Row(OURS, name, value, "factor") for name, value in differences.items()]
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL,
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    if max(differences.values()) > LARGEST_DIFFERENCE:
        print(f"{NAME}: the two come to other factors: {differences}", file=sys.stderr)
        return 1
    return 0


def panel() -> tuple[AlsParams, sp.csr_matrix]:
    """Settings, and confidences of households and skus at the cut."""
    params = RecommendationConfig().als_grid[0]
    data = as_interactions(at_a_cut(read_purchases(), CUT), CUT)
    return params, confidences(data, data.until(CUT), CUT, params.decay_days)


def by_implicit(confidence: sp.csr_matrix, params: AlsParams) -> AlternatingLeastSquares:
    """The peer, fitted."""
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=params.factors,
            regularization=params.regularisation,
            alpha=params.alpha,
            iterations=params.iterations,
            num_threads=THREADS,
            random_state=SEED,
        )
        model.fit(confidence, show_progress=False)
    return model


def timed(work: Callable[[], Found]) -> tuple[Found, float]:
    """What some work gives, and the processor seconds that it took."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def _row(system: str, metric: str, values: list[float], unit: str) -> Row:
    return Row(system, metric, median(values), unit, (min(values), max(values)))


if __name__ == "__main__":
    raise SystemExit(main())
