"""Rerun cost: processor seconds of a run with nothing new, and with one order more, as shares of the first.

With the clock standing still and with the wall clock, each in a fresh home on a folder that is made here.
With MUYUN_BENCH_PANEL=1 the embedded panel is tried as well, whose clock always stands still.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.harness import OURS, Row, report
from benchmarks.runs.process_cost import Cost, cost_of
from benchmarks.runs.synthetic_shop import SIZE, add_one_order, write_shop

NOTHING_NEW_AT_MOST = 0.02
_RUN = ["-m", "pipelines.cli", "run"]


def main() -> int:
    """Runs the benchmark; 1 when a run fails or a run with nothing new costs too much."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="muyun-rerun-") as folder:
        rows = [*_shop(Path(folder), "fixed"), *_shop(Path(folder), "wall")]
        if os.environ.get("MUYUN_BENCH_PANEL"):
            rows += _panel(Path(folder) / "panel")
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="rerun_cost",
        protocol=(
            f"`muyun run` three times in a fresh home, in processes of their own, on {SIZE}; before the "
            "third one order of one line is appended. Processor seconds, user and system, of the command, "
            "its children and the embedded PostgreSQL, as shares of the first run's. fixed: MUYUN_AS_OF set; "
            "wall: the wall clock."
        ),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    shares = [row for row in rows if row.metric.startswith("nothing_new") and row.unit == "share"]
    dear = [row for row in shares if row.value > NOTHING_NEW_AT_MOST]
    return 1 if dear else 0


def _shop(folder: Path, clock: str) -> list[Row]:
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    feeds = write_shop(folder / clock / "feeds", now - timedelta(hours=1))
    home = folder / clock / "home"
    environment = {"MUYUN_DATA": str(feeds)} | ({"MUYUN_AS_OF": now.isoformat()} if clock == "fixed" else {})
    first = _ran(environment, home)
    again = _ran(environment, home)
    add_one_order(feeds, now - timedelta(minutes=30))
    more = _ran(environment, home)
    return [
        Row(OURS, f"first_{clock}", first.cpu_s, "cpu s"),
        Row(OURS, f"nothing_new_{clock}", again.cpu_s / first.cpu_s, "share"),
        Row(OURS, f"nothing_new_{clock}_s", again.wall_s, "s"),
        Row(OURS, f"one_order_{clock}", more.cpu_s / first.cpu_s, "share"),
    ]


def _panel(home: Path) -> list[Row]:
    environment = {"MUYUN_DATA": ""}
    first = _ran(environment, home)
    again = _ran(environment, home)
    return [
        Row(OURS, "first_panel", first.cpu_s, "cpu s"),
        Row(OURS, "nothing_new_panel", again.cpu_s / first.cpu_s, "share"),
        Row(OURS, "nothing_new_panel_s", again.wall_s, "s"),
    ]


def _ran(environment: dict[str, str], home: Path) -> Cost:
    cost = cost_of(_RUN, environment, home)
    if cost.status != 0:
        print(cost.said[-4000:], file=sys.stderr)
        raise SystemExit(f"rerun_cost: the run in {home} ended with {cost.status}")
    return cost
