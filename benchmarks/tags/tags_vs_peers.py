"""The one compiled build of tags against a query a tag, and a documented subset against pandas and Polars.

MUYUN_BENCH_CONSUMERS sets the size (default 5,000: 480,000 events and 235,000 order lines).
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from polars.testing import assert_frame_equal

from benchmarks.harness import OURS, Row, report
from benchmarks.tags.synthetic_facts import NOW, SIZE, write_facts
from benchmarks.tags.tag_peers import SUBSET, by_pandas, by_polars
from feature_store.compiler import CompiledTags, compile_tags
from feature_store.offline import build_tags
from feature_store.point_in_time import entity_rows, run
from feature_store.registry import load_registry

HOME = Path(os.environ.get("MUYUN_HOME", "var"))
CONSUMERS = int(os.environ.get("MUYUN_BENCH_CONSUMERS", "5000"))
ROUNDS = 3
FEWEST_QUERIES = 220
ZONE, OFFSET = "Etc/GMT+5", timedelta(hours=-5)
QUERIES = "a query a tag"
_TABLES = {
    "orders": "intermediate.int_orders_known",
    "lines": "intermediate.int_order_lines_known",
    "events": "core.fct_events",
}
_NEEDED = {
    "orders": "consumer_id placed_at received_at superseded_at is_sale is_counted net_sales_cents sold_cents "
    "has_coupon",
    "lines": "consumer_id order_id sku_id placed_at received_at superseded_at is_sale is_merchandise qty "
    "list_price_cents net_paid_cents category_l1_id category_l2_id",
    "events": "consumer_id session_id event_type sku_id occurred_at received_at",
}

Contender = Callable[[], pl.DataFrame]


def main() -> int:
    """Runs the benchmark; 1 when the contenders do not agree on every value."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="muyun-peers-", dir=os.environ.get("MUYUN_BENCH_FOLDER")
    ) as folder:
        file = Path(folder) / "facts.duckdb"
        # In a process of its own, so that the making is not in the memory that is told.
        making = multiprocessing.get_context("spawn").Process(target=_make, args=(file,))
        making.start()
        making.join()
        if making.exitcode != 0:
            print("tags_vs_peers: the facts could not be made", file=sys.stderr)
            return 1
        with duckdb.connect(str(file), read_only=True) as con:
            con.execute("SET TimeZone='UTC'")
            registry = load_registry()
            direct = [tag.name for tag in registry.tags.values() if not registry.is_population_relative(tag)]
            people = build_tags(con, NOW, ["orders_7d"], time_zone=ZONE).select("consumer_id", "as_of")
            statements = [compile_tags(registry, [name], time_zone=ZONE) for name in direct]
            entities = entity_rows(people, registry)
            began = time.perf_counter()
            together = compile_tags(registry, direct, time_zone=ZONE)
            compiled_s = time.perf_counter() - began
            queries = {
                OURS: lambda: run(con, together, entities).sort("row_id").drop("row_id", "as_of"),
                QUERIES: lambda: _one_by_one(con, statements, entities),
            }
            frames = {
                name: con.execute(f"SELECT {', '.join(_NEEDED[name].split())} FROM {table}").pl()
                for name, table in _TABLES.items()
            }
            ids = people.select("consumer_id")
            # Text as pandas' own type is slow to group; categories are what its manual advises.
            pandas = {name: _for_pandas(frame) for name, frame in frames.items()}
            subsets = {
                OURS: _build(con, people, SUBSET),
                "polars": lambda: by_polars(frames, ids, NOW, OFFSET),
                "pandas": lambda: by_pandas(pandas, ids, NOW, OFFSET),
            }
            try:
                _require_equal(queries)
                _require_equal(subsets)
            except AssertionError as error:
                print(f"tags_vs_peers: the contenders differ: {error}", file=sys.stderr)
                return 1
            rows = [
                Row(OURS, "consumers", people.height, "count"),
                Row(OURS, "tags", len(direct), "count"),
                Row(QUERIES, "queries", len(statements), "count"),
                Row(OURS, "compilation_s", compiled_s, "s"),
                *_compared("all", queries),
                Row(OURS, "subset_tags", len(SUBSET), "count"),
                *_compared("subset", subsets),
            ]
    report(
        HOME,
        name="tags_vs_peers",
        protocol=(
            f"{CONSUMERS} made-up consumers ({SIZE}), in DuckDB on all cores. All tags that compare nobody: "
            "the one compiled statement, beside one statement a tag on the same engine; all are compiled "
            "beforehand. A documented subset (`benchmarks.tags.tag_peers.SUBSET`): a build of just "
            "these with its compilation, from the tables, beside Polars and pandas, whose frames lie in "
            "memory with the needed columns only. Every value is equal (1e-9) before anything is timed; then "
            f"{ROUNDS} rounds in turns, medians."
        ),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    if len(statements) < FEWEST_QUERIES:
        print(f"tags_vs_peers: {len(statements)} queries; {FEWEST_QUERIES} are asked for", file=sys.stderr)
        return 1
    return 0


def _make(file: Path) -> None:
    with duckdb.connect(str(file)) as con:
        con.execute("SET memory_limit='2GB'; SET TimeZone='UTC'")
        write_facts(con, load_registry(), CONSUMERS)


def _build(con: duckdb.DuckDBPyConnection, people: pl.DataFrame, names: Sequence[str]) -> Contender:
    ids = people["consumer_id"].to_list()
    return lambda: build_tags(con, NOW, names, ids, time_zone=ZONE).drop("as_of")


def _one_by_one(
    con: duckdb.DuckDBPyConnection, statements: Sequence[CompiledTags], entities: pl.DataFrame
) -> pl.DataFrame:
    """Every tag by a statement of its own, side by side."""
    columns = [run(con, statement, entities).sort("row_id").drop("as_of") for statement in statements]
    found = [frame.drop("row_id", "consumer_id") for frame in columns]
    return pl.concat([entities.select("consumer_id"), *found], how="horizontal")


def _for_pandas(frame: pl.DataFrame) -> Any:
    made = frame.to_pandas()
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return made.astype(dict.fromkeys(texts, "category")) if texts else made


def _require_equal(contenders: Mapping[str, Contender]) -> None:
    """Every value of every contender is that of the first.

    Raises:
        AssertionError: It is not; the message names the contender and the column.
    """
    (_, first), *others = contenders.items()
    expected = first()
    for name, contender in others:
        got = contender().select(expected.columns)
        try:
            assert_frame_equal(got, expected, check_dtypes=False, rel_tol=1e-9, abs_tol=1e-9)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def _compared(scope: str, contenders: Mapping[str, Contender]) -> list[Row]:
    """Rounds in turns: medians of wall and processor seconds, and ours as a ratio of each peer's."""
    walls: dict[str, list[float]] = {name: [] for name in contenders}
    cpus: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            contender()
            walls[name].append(time.perf_counter() - wall)
            cpus[name].append(time.process_time() - cpu)
    rows = []
    for name in contenders:
        for what, seconds, unit in (("wall", walls[name], "s"), ("cpu", cpus[name], "cpu s")):
            spread = min(seconds), max(seconds)
            rows.append(Row(name, f"{scope}_{what}_s", statistics.median(seconds), unit, spread))
    for name in contenders:
        if name != OURS:
            for what, seconds in (("wall", walls), ("cpu", cpus)):
                ratio = statistics.median(seconds[OURS]) / statistics.median(seconds[name])
                rows.append(Row(OURS, f"{scope}_{what}_ratio_to_{name.replace(' ', '_')}", ratio, "ratio"))
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
