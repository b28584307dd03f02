"""Tags of many consumers: a full build, and refreshes in which 2% of the consumers send.

MUYUN_BENCH_CONSUMERS sets the size (default 20,000; 1,000,000 are 96 million events and 47 million lines).
MUYUN_BENCH_FOLDER is where the facts are made, the folder of temporary files by default. The refreshed state
is compared with a build at the same moment, value by value.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.harness import OURS, Row, report
from benchmarks.tags.synthetic_facts import NOW, SIZE, add_tick, write_facts
from feature_store.contracts import RefreshClass
from feature_store.offline import build_tags
from feature_store.refresh.engine import Refreshed, build, refresh, tags_of
from feature_store.refresh.state import StateTable
from feature_store.registry import load_registry

CONSUMERS = int(os.environ.get("MUYUN_BENCH_CONSUMERS", "20000"))
MEMORY_GB = 5
SHARE, TICK = 0.02, timedelta(minutes=15)
ZONE = "Etc/GMT+5"
EVERY_CLASS = frozenset(RefreshClass)


@dataclass(frozen=True)
class Ticked:
    """The last of several ticks.

    Attributes:
        done: What the refresh reported.
        cpu_s: Its processor seconds.
        differences: Rows that differ from a build at the same moment.
        rebuilt_s: Seconds of that build.
    """

    done: Refreshed
    cpu_s: float
    differences: int
    rebuilt_s: float


def main() -> int:
    """Runs the benchmark; 1 when a refreshed state differs from a built one."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="muyun-tags-", dir=os.environ.get("MUYUN_BENCH_FOLDER")
    ) as folder:
        file = Path(folder) / "facts.duckdb"
        making = multiprocessing.get_context("spawn").Process(target=_make, args=(file,))
        making.start()
        making.join()
        if making.exitcode != 0:
            print("tags_scale: the facts could not be made", file=sys.stderr)
            return 1
        con = connect(file)
        live = ticked(con, [RefreshClass.QUARTER_HOUR], NOW)
        everything = ticked(con, EVERY_CLASS, NOW + 3 * TICK)
        compared_s = _comparing_tags(con, NOW + 5 * TICK)
        con.close()
    rows = [
        Row(OURS, "consumers", CONSUMERS, "count"),
        Row(OURS, "tags_15m", len(tags_of(load_registry(), [RefreshClass.QUARTER_HOUR])), "count"),
        Row(OURS, "tags_all", len(tags_of(load_registry(), EVERY_CLASS)), "count"),
        Row(OURS, "refresh_2pct_s", live.done.seconds, "s"),
        Row(OURS, "refresh_2pct_cpu_s", live.cpu_s, "cpu s"),
        Row(OURS, "recomputed_2pct", live.done.recomputed, "count"),
        Row(OURS, "recomputed_per_changed", live.done.recomputed / max(1, live.done.changed), "ratio"),
        Row(OURS, "full_rebuild_15m_s", live.rebuilt_s, "s"),
        Row(OURS, "refresh_2pct_all_s", everything.done.seconds, "s"),
        Row(OURS, "refresh_2pct_all_cpu_s", everything.cpu_s, "cpu s"),
        Row(OURS, "recomputed_2pct_all", everything.done.recomputed, "count"),
        Row(
            OURS,
            "recomputed_per_changed_all",
            everything.done.recomputed / max(1, everything.done.changed),
            "ratio",
        ),
        Row(OURS, "full_rebuild_s", everything.rebuilt_s + compared_s, "s"),
        Row(OURS, "full_rebuild_comparing_s", compared_s, "s"),
        Row(OURS, "diffs_to_rebuild", live.differences + everything.differences, "count"),
    ]
    report(
        Path(os.environ.get("MUYUN_HOME", "var")),
        name="tags_scale",
        protocol=(
            f"{CONSUMERS:,} consumers, {SIZE}, in a DuckDB file ordered by time, {MEMORY_GB} GB of memory. "
            "The state is built, then refreshed at two ticks of 15 minutes in which 2% of consumers send; "
            "the second is told. full_rebuild_s: the build at that moment of all tags that compare nobody, "
            "which the refreshed state is compared with, and the table of those that compare consumers."
        ),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    return 1 if live.differences + everything.differences else 0


def _comparing_tags(con: duckdb.DuckDBPyConnection, as_of: datetime) -> float:
    """Seconds of the tags that compare consumers, which only the nightly table has."""
    registry = load_registry()
    names = [tag.name for tag in registry.tags.values() if registry.is_population_relative(tag)]
    began = time.perf_counter()
    build_tags(con, as_of, names, time_zone=ZONE)
    return time.perf_counter() - began


def _make(file: Path) -> None:
    with connect(file) as con:
        write_facts(con, load_registry(), CONSUMERS)


def connect(file: Path) -> duckdb.DuckDBPyConnection:
    """The database, with bounded memory and spill beside it."""
    con = duckdb.connect(str(file))
    con.execute(f"SET memory_limit = '{MEMORY_GB}GB'; SET TimeZone = 'UTC'")
    con.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
    return con


def ticked(con: duckdb.DuckDBPyConnection, classes: Collection[RefreshClass], start: datetime) -> Ticked:
    """A build at `start`, two ticks, and a build to compare with."""
    registry = load_registry()
    build(con, registry, refresh_class=classes, as_of=start, time_zone=ZONE)
    moment = start
    for number in (1, 2):
        add_tick(con, moment, TICK, CONSUMERS, SHARE, seed=20_000 + number + moment.minute)
        moment += TICK
        before = time.process_time()
        con.begin()
        done = refresh(
            con,
            registry,
            refresh_class=classes,
            as_of=moment,
            time_zone=ZONE,
            touched="touched",
            revision=number,
        )
        con.commit()
        cpu_s = time.process_time() - before
        print(f"{done} {cpu_s:.1f} cpu s", flush=True)
    table = StateTable.of(registry.entity, classes)
    kept = "entity_id, " + ", ".join(tags_of(registry, classes))
    con.execute(f"CREATE OR REPLACE TABLE refreshed AS SELECT {kept} FROM {table.name}")
    rebuilt = build(con, registry, refresh_class=classes, as_of=moment, time_zone=ZONE)
    print(rebuilt, flush=True)
    differs = (
        f"SELECT COUNT(*) FROM ((SELECT * FROM refreshed EXCEPT SELECT {kept} FROM {table.name}) "
        f"UNION ALL (SELECT {kept} FROM {table.name} EXCEPT SELECT * FROM refreshed))"
    )
    found = con.execute(differs).fetchone()
    con.execute("DROP TABLE refreshed")
    return Ticked(done, cpu_s, found[0] if found is not None else 0, rebuilt.seconds)


if __name__ == "__main__":
    raise SystemExit(main())
