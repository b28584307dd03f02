"""Three-way reconciliation of a bill of a million lines, of which one in a hundred is wrong on purpose.

The books are made in a temporary database, the bill by the simulated channel, which lists its mistakes.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.money.synthetic_books import TENANT, as_application, make_books
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.urls import libpq_url
from serving.settings import Settings
from serving.settlement.channel.bill import load_bill
from serving.settlement.channel.reconciliation import BreakType, breaks_of, reconcile
from serving.settlement.channel.simulator import Faults, bill_blocks, simulate_bill

RECORDS = int(os.environ.get("MUYUN_BENCH_RECORDS", "1010000"))
FAULTS = Faults(
    {
        BreakType.MISSING_IN_BILL: 2000,
        BreakType.MISSING_IN_LEDGER: 2000,
        BreakType.AMOUNT_DIFFERS: 2000,
        BreakType.FEE_DIFFERS: 2000,
        BreakType.DUPLICATE_IN_BILL: 2000,
        BreakType.TIMING: 30000,
        BreakType.STATUS_DIFFERS: 100000,
    },
    seed=20260105,
)
PROTOCOL = (
    "Books of one day made in SQL (85% payments, 12% refunds, 3% pay-outs, 10% of these failed), with their "
    "ledger transactions. The simulated channel writes the bill and makes mistakes of seven kinds. wall_s: "
    "from the CSV text of the bill to the committed, typed differences (load_s + compare_s), as the "
    "application, with row-level security. A detected fault has its type, kind and reference; anything else "
    "found is a false alarm."
)


def main() -> int:
    """Run the benchmark; 0 when every fault was found and nothing else."""
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        url = libpq_url(cluster.connect_info().url(DATABASE))
        migrate.upgrade(cluster.connect_info().url(DATABASE))
        print(f"making the books of {RECORDS:,} records ...", flush=True)
        bill = make_books(url, RECORDS, without_triggers=True)
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("vacuum analyze")
            conn.execute("checkpoint")
        with as_application(url) as conn:
            injected = set(simulate_bill(conn, TENANT, bill, FAULTS))
            text = b"".join(bill_blocks(conn))
        print(f"made after {time.perf_counter() - started:.0f} s; {len(injected):,} faults", flush=True)
        begun = time.perf_counter()
        with as_application(url) as conn:
            loaded = load_bill(conn, TENANT, bill, [text])
        load_s = time.perf_counter() - begun
        with as_application(url) as conn:
            run = reconcile(conn, TENANT, bill_id=bill.bill_id, run_id="benchmark", as_of=bill.bill_to)
        wall_s = time.perf_counter() - begun
        with as_application(url) as conn:
            found = {row[:3] for row in breaks_of(conn, TENANT, "benchmark", limit=10_000_000)}
    for name, count in run.breaks.items():
        print(f"  {name}: {count:,}")
    false_alarms = len(found - injected)
    report(
        Settings().home,
        name="reconciliation",
        protocol=PROTOCOL,
        rows=[
            Row(OURS, "lines", loaded.lines, ""),
            Row(OURS, "injected_faults", len(injected), ""),
            Row(OURS, "detected_share", len(found & injected) / len(injected), ""),
            Row(OURS, "false_alarms", false_alarms, ""),
            Row(OURS, "load_s", load_s, "s"),
            Row(OURS, "compare_s", wall_s - load_s, "s"),
            Row(OURS, "wall_s", wall_s, "s"),
        ],
        wall_s=time.perf_counter() - started,
    )
    return 0 if found == injected else 1


if __name__ == "__main__":
    raise SystemExit(main())
