"""Every pair of writing operations let loose on the same rows: how many PostgreSQL had to end."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import OURS, Row, report
from benchmarks.money.lock_arena import OPERATIONS, TENANT, Arena, clash
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.ledger import invariants
from serving.settings import Settings

ORDERS = int(os.environ.get("MUYUN_BENCH_ORDERS", "8"))
THREADS = int(os.environ.get("MUYUN_BENCH_THREADS", "16"))
PROTOCOL = (
    f"{len(OPERATIONS)} writing operations, each against each other and against itself. A pair gets {ORDERS} "
    "orders in the state that each of the two needs, of two skus (lines in an order by chance) that four "
    f"suppliers offer, by one buyer, sold by one agent of one merchant; {THREADS} threads, let go at once, "
    "try both operations on every order. Nothing is run again, so that every transaction that PostgreSQL "
    "ended is counted; jobs run their batches again by themselves, and those are counted, too. retries_share "
    "is transactions that would have been run again over calls. Afterwards every invariant is checked."
)


def main() -> int:
    """Run the benchmark; 0 when no transaction was ended, nothing failed and the books are sound."""
    started = time.perf_counter()
    calls = done = pairs = 0
    faults: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        with Operations(url, size=THREADS, timeout_s=120) as operations:
            arena = Arena(operations)
            for first, second in itertools.combinations_with_replacement(OPERATIONS, 2):
                before = arena.lost.copy()
                found = clash(arena, first, second, orders=ORDERS, threads=THREADS)
                pairs, calls, done = pairs + 1, calls + found.calls, done + found.done
                lost_here = arena.lost - before
                name = f"{first.name} against {second.name}"
                faults += [f"{name}: {fault!r}" for fault in found.faults]
                if lost_here:
                    print(f"  {name}: {dict(lost_here)} of {found.calls}", flush=True)
            with operations.transaction(TENANT) as conn:
                broken = [f"{found}" for found in invariants.check(conn, TENANT)]
    lost = arena.lost
    report(
        Settings().home,
        name="lock_pairs",
        protocol=PROTOCOL,
        rows=[
            Row(OURS, "pairs", float(pairs), "count"),
            Row(OURS, "calls", float(calls), "count"),
            Row(OURS, "calls_done", float(done), "count"),
            Row(OURS, "deadlocks", float(lost["deadlock"]), "count"),
            Row(OURS, "retries_share", lost.total() / calls, "share"),
            Row(OURS, "faults", float(len(faults)), "count"),
            Row(OURS, "violations", float(len(broken)), "count"),
        ],
        wall_s=time.perf_counter() - started,
    )
    for line in [*faults[:10], *broken[:10]]:
        sys.stderr.write(f"error: {line}\n")
    return 1 if lost or faults or broken else 0
