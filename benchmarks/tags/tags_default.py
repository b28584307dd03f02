"""Tags of the home's own warehouse: the nightly table, and a refresh in which 2% of consumers are touched.

Run `muyun run` first. The warehouse is copied; nothing of the home is changed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import duckdb

from benchmarks.harness import OURS, Row, report
from feature_store.contracts import RefreshClass
from feature_store.offline import build_tags, validate_tags
from feature_store.refresh.engine import build, refresh
from feature_store.registry import load_registry

HOME = Path(os.environ.get("MUYUN_HOME", "var"))
REBUILD_AT_MOST_S, REFRESH_AT_MOST_S = 60.0, 10.0
TICK, ZONE = timedelta(minutes=15), "UTC"


def main() -> int:
    """Runs the benchmark; 1 when there is no warehouse, a tag breaks its rules, or a limit is passed."""
    started = time.monotonic()
    warehouse = HOME / "warehouse" / "good.duckdb"
    if not warehouse.exists():
        print(f"tags_default: {warehouse} is missing; run `muyun run` first", file=sys.stderr)
        return 1
    registry = load_registry()
    with tempfile.TemporaryDirectory(prefix="muyun-tags-") as folder:
        file = Path(folder) / "live.duckdb"
        shutil.copyfile(warehouse, file)
        with duckdb.connect(str(file)) as con:
            newest = con.execute("SELECT MAX(placed_at) FROM intermediate.int_orders_known").fetchone()
            if newest is None or newest[0] is None:
                print(f"tags_default: {warehouse} holds no order", file=sys.stderr)
                return 1
            as_of = newest[0]
            began, cpu = time.perf_counter(), time.process_time()
            frame = build_tags(con, as_of, time_zone=ZONE)
            violations = validate_tags(frame)
            rebuild_s, rebuild_cpu_s = time.perf_counter() - began, time.process_time() - cpu
            quarter = RefreshClass.QUARTER_HOUR
            build(con, registry, refresh_class=quarter, as_of=as_of, time_zone=ZONE)
            two_percent = "SELECT entity_id FROM tags.consumer_15m WHERE hash(entity_id) % 50 = 0"
            con.execute(f"CREATE TABLE touched AS {two_percent}")
            con.begin()
            cpu = time.process_time()
            done = refresh(
                con,
                registry,
                refresh_class=quarter,
                as_of=as_of + TICK,
                time_zone=ZONE,
                touched="touched",
                revision=1,
            )
            con.commit()
            refresh_cpu_s = time.process_time() - cpu
    rows = [
        Row(OURS, "consumers", frame.height, "count"),
        Row(OURS, "tags", len(registry.tags), "count"),
        Row(OURS, "full_rebuild_s", rebuild_s, "s"),
        Row("limit", "full_rebuild_s", REBUILD_AT_MOST_S, "s"),
        Row(OURS, "full_rebuild_cpu_s", rebuild_cpu_s, "cpu s"),
        Row(OURS, "refresh_s", done.seconds, "s"),
        Row("limit", "refresh_s", REFRESH_AT_MOST_S, "s"),
        Row(OURS, "refresh_cpu_s", refresh_cpu_s, "cpu s"),
        Row(OURS, "recomputed", done.recomputed, "count"),
        Row(OURS, "tags_that_break_their_rules", len(violations), "count"),
    ]
    report(
        HOME,
        name="tags_default",
        protocol=(
            "On a copy of the home's last good warehouse, at its newest order: all tags of everybody with "
            "their validation; then, 15 minutes later, a refresh of the tags of class 15m in which 2% are "
            "touched, in one transaction, with the compilation of its statement."
        ),
        rows=rows,
        wall_s=time.monotonic() - started,
    )
    too_slow = rebuild_s > REBUILD_AT_MOST_S or done.seconds > REFRESH_AT_MOST_S
    return 1 if violations or too_slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
