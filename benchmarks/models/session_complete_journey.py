"""The session lane on the embedded household panel: the rest of a basket, by the training's own procedure."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.models.household_panel import last_order, read_lines
from models.contracts import Candidate
from models.recommendation.sessions.judging import RULES, SESSION
from models.recommendation.sessions.links import SessionSettings
from models.recommendation.sessions.training import train
from pipelines.sources.panel.complete_journey import CompleteJourney

NAME = "session_complete_journey"
WINDOWS = int(os.environ.get("MUYUN_BENCH_CUTS", "3"))
METRICS = ("ndcg_at_10", "recall_at_10")
_PROTOCOL = (
    "{windows} windows of 14 days at the end of the panel, up to {most:,} baskets of four known skus or more "
    "each, of households that had bought at the store before: a random half is shown as put into the cart, "
    "the other half must be found. Lists of 40: what the household bought most often at that store, then "
    "what sells most there. muyun orders them by links learnt until the window, with default settings. The "
    "panel has no sessions: what was viewed, and in which order, is not known. Means over all baskets; "
    "gate_lift_low: low end of the gate's 95% interval over the best rule, the least of the windows."
)


def main() -> int:
    """Runs the benchmark; 1 when the gate refuses the lane on the newest window."""
    started = time.monotonic()
    lines = read_lines(CompleteJourney()).with_columns(category_l2_id=pl.col("category_l3_id"))
    settings, newest = SessionSettings(), last_order(lines)
    found: list[Candidate] = []
    spent = time.process_time()
    with tempfile.TemporaryDirectory(prefix="muyun-session-") as folder:
        for back in range(WINDOWS):
            until = newest - timedelta(days=settings.window_days * back)
            one = train(lines.filter(pl.col("placed_at") <= until), until, Path(folder))
            if one is None:
                print(f"{NAME}: nothing to judge by before {until}", file=sys.stderr)
                return 1
            found.append(one)
    spent = (time.process_time() - spent) / WINDOWS
    rows = [
        Row(OURS if system == SESSION else system, metric, _pooled(found, system, metric), "fraction")
        for system in (SESSION, *RULES)
        for metric in METRICS
    ]
    rows.append(Row(OURS, "gate_lift_low", min(one.decision.lift.low for one in found), "NDCG"))
    rows.append(Row(OURS, "cpu_s", spent, "cpu s a training"))
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name=NAME,
        protocol=_PROTOCOL.format(windows=WINDOWS, most=settings.most_baskets),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 0 if found[0].decision.promoted else 1


def _pooled(found: list[Candidate], system: str, metric: str) -> float:
    """The mean over the baskets of all windows."""
    rows = [r for one in found for r in one.leaderboard if (r["system"], r["metric"]) == (system, metric)]
    return sum(row["value"] * row["units"] for row in rows) / sum(row["units"] for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
