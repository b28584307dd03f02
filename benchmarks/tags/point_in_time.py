"""Training sets against plain loops: every tag of consumers at random moments, value by value.

Made-up shops in which every feed reports, with late, corrected, future and duplicate rows on the edges of
windows. MUYUN_BENCH_ROWS sets how many (consumer, moment) rows there are at least.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness import OURS, Row, report
from benchmarks.tags.tag_oracle.compare import differences
from benchmarks.tags.tag_oracle.feeds import Feeds
from benchmarks.tags.tag_oracle.loops import Oracle
from benchmarks.tags.tag_oracle.random_world import consumers_of, expected_tags, random_world
from benchmarks.tags.tag_oracle.world import OFFSET, ZONE, World, ago
from feature_store.point_in_time import training_set
from feature_store.registry import load_registry

HOME = Path(os.environ.get("MUYUN_HOME", "var"))
ROWS = int(os.environ.get("MUYUN_BENCH_ROWS", "100000"))
BUYERS, MOMENTS = 500, 10
_ASKED = {"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")}


def main() -> int:
    """Runs the benchmark; 1 when any value differs."""
    started = time.monotonic()
    found: Counter[str] = Counter()
    rows, ours, loops = 0, [0.0, 0.0], [0.0, 0.0]
    seed = 0
    while rows < ROWS:
        seed += 1
        world, moments = random_world(seed, BUYERS), _moments(seed)
        asked = pl.DataFrame(
            [(consumer, moment) for moment in moments for consumer in consumers_of(BUYERS)],
            schema=_ASKED,
            orient="row",
        )
        with world.connect() as con, _Timed(ours):
            got = training_set(con, asked, time_zone=ZONE)
        with _Timed(loops):
            expected = _by_loops(world, moments)
        for row in got.iter_rows(named=True):
            key = row["consumer_id"], row["as_of"]
            for tag, values in differences(row, expected[key]).items():
                if found.total() < 5:
                    print(f"world {seed}, {key}, {tag}: {values}", file=sys.stderr)
                found[tag] += 1
        rows += got.height
    tags = len(load_registry().tags)
    report(
        HOME,
        name="point_in_time",
        protocol=(
            f"{seed} made-up shops of {BUYERS} buyers in which every feed reports, {MOMENTS} random moments "
            "each; every tag of every consumer at every moment by one call of training_set a shop, and by "
            "plain Python loops over rows (`benchmarks.tags.tag_oracle`), which share no code with it. "
            "Numbers differ beyond 1e-9. Seconds without making the shops and without comparing."
        ),
        rows=[
            Row(OURS, "rows", rows, "count"),
            Row(OURS, "tags", tags, "count"),
            Row(OURS, "values", rows * tags, "count"),
            Row(OURS, "mismatches", found.total(), "count"),
            Row("limit", "mismatches", 0, "count"),
            Row(OURS, "wall_s", ours[0], "s"),
            Row("plain loops", "wall_s", loops[0], "s"),
            Row(OURS, "cpu_s", ours[1], "cpu s"),
            Row("plain loops", "cpu_s", loops[1], "cpu s"),
            Row(OURS, "ratio_to_loops", ours[0] / loops[0], "ratio"),
        ],
        wall_s=time.monotonic() - started,
    )
    return 1 if found else 0


class _Timed:
    """Adds the wall and processor seconds of a block to a pair."""

    def __init__(self, total: list[float]) -> None:
        self._total = total

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self._total[0] += time.perf_counter() - self._wall
        self._total[1] += time.process_time() - self._cpu


def _moments(seed: int) -> list[datetime]:
    """Random moments of the last year of a shop; some a microsecond beside a whole number of days."""
    rng = random.Random(seed)
    edges = [ago(rng.randint(0, 120)) + timedelta(microseconds=rng.choice([-1, 0, 1])) for _ in range(3)]
    return sorted({*edges, *(ago(rng.uniform(0, 300)) for _ in range(MOMENTS - len(edges)))})


def _by_loops(world: World, moments: list[datetime]) -> dict[tuple[str, datetime], dict[str, Any]]:
    oracle = Oracle(world.tables, OFFSET)
    feeds = Feeds(oracle)
    expected = {}
    for moment in moments:
        population = oracle.population(moment)
        for consumer in consumers_of(BUYERS):
            expected[consumer, moment] = expected_tags(oracle, feeds, population, moment, consumer)
    return expected


if __name__ == "__main__":
    raise SystemExit(main())
