"""Open Bandit data: what Bernoulli Thompson sampling earns, told from decisions of the random policy."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.public_data import MissingDataError, public_file
from models.contracts import Interval
from models.recommendation.judging.off_policy import (
    SmallEffectiveSampleError,
    cross_fitted,
    doubly_robust,
    effective_sample_size,
    snips,
)

NAME = "off_policy_obd"
CAMPAIGNS = ("all", "men", "women")
LOGGED_BTS, LOGGED_RANDOM = "bts_as_logged", "random_as_logged"
_PRIOR = 500.0
_UNIT = "clicks/1000"
_PROTOCOL = (
    "Samples of 10,000 impressions a campaign and policy, 38 to 69 clicks each. The policy to tell is the "
    "share of each item at each position in the log of Thompson sampling (its clicks are not read); the "
    "decisions are those of the random policy with their logged propensities. snips and dr are clicks a "
    "thousand impressions with 95% intervals; covers is 1 where the logged clicks of Thompson "
    "sampling lie in the interval. effective: Kish's effective sample. refused: 1 where the estimate of a "
    "policy that always shows the first item is refused by name."
)


def main() -> int:
    """Runs the benchmark; 1 when the data are missing."""
    started = time.perf_counter()
    try:
        rows = [row for campaign in CAMPAIGNS for row in _campaign(campaign)]
    except MissingDataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    home = Path(os.environ.get("MUYUN_HOME", "var"))
    report(home, name=NAME, protocol=_PROTOCOL, rows=rows, wall_s=time.perf_counter() - started)
    return 0


def _read(policy: str, campaign: str) -> pl.DataFrame:
    file = public_file("obd_sample", f"{policy}/{campaign}/{campaign}.csv.gz")
    return pl.read_csv(file, columns=["item_id", "position", "click", "propensity_score"])


def _campaign(campaign: str) -> list[Row]:
    logged, told = _read("random", campaign), _read("bts", campaign)
    table = shares(told)
    weights, chances = weights_of(logged, table)
    click = logged["click"].to_numpy().astype(np.float64)
    items = logged["item_id"].to_numpy().astype(np.int64)
    cell = _place(logged) * table.shape[1] + items
    means = cross_fitted(cell, click, table.size, _PRIOR).reshape(-1, *table.shape)
    fold = np.arange(len(click)) % len(means)
    of_place = means[fold, _place(logged)]
    predicted = of_place[np.arange(len(click)), items]
    expected = (chances * of_place).sum(axis=1)
    truth = float(told["click"].to_numpy().mean())
    estimates = {
        "snips": snips(click, weights),
        "dr": doubly_robust(click, weights, predicted, expected),
    }
    rows = [_row(OURS, f"{name}_{campaign}", value) for name, value in estimates.items()]
    rows += [
        Row(OURS, f"{name}_{campaign}_covers", float(value.low <= truth <= value.high), "")
        for name, value in estimates.items()
    ]
    rows.append(Row(OURS, f"effective_{campaign}", effective_sample_size(weights), "decisions"))
    rows.append(Row(OURS, f"refused_{campaign}", float(_is_refused(logged, click)), ""))
    rows.append(Row(LOGGED_BTS, f"clicks_{campaign}", 1000 * truth, _UNIT))
    rows.append(Row(LOGGED_RANDOM, f"clicks_{campaign}", 1000 * float(click.mean()), _UNIT))
    return rows


def shares(log: pl.DataFrame) -> np.ndarray:
    """Share of each item at each position: float64 (n_positions, n_items), rows sum to 1."""
    size = (int(log["position"].n_unique()), int(log["item_id"].max()) + 1)  # type: ignore[arg-type]
    table = np.zeros(size)
    np.add.at(table, (_place(log), log["item_id"].to_numpy()), 1.0)
    return table / table.sum(axis=1, keepdims=True)


def weights_of(log: pl.DataFrame, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Importance weights of what was shown (n,), and the other policy's shares at each place (n, n_items)."""
    chances = table[_place(log)]
    shown = chances[np.arange(log.height), log["item_id"].to_numpy()]
    return shown / log["propensity_score"].to_numpy(), chances


def _place(log: pl.DataFrame) -> np.ndarray:
    return log["position"].to_numpy().astype(np.int64) - 1


def _is_refused(log: pl.DataFrame, click: np.ndarray) -> bool:
    weights = (log["item_id"].to_numpy() == 0) / log["propensity_score"].to_numpy()
    try:
        snips(click, weights)
    except SmallEffectiveSampleError:
        return True
    return False


def _row(system: str, metric: str, value: Interval) -> Row:
    return Row(system, metric, 1000 * value.mean, _UNIT, (1000 * value.low, 1000 * value.high))
