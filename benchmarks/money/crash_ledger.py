"""Kills API, settlement worker and PostgreSQL under load; counts what is lost, doubled or unbalanced."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks.harness import OURS, Row, report
from benchmarks.money.crash_load import Storefront, till_at
from benchmarks.money.crash_verdict import Verdict, judge
from benchmarks.servers import free_port
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.orders.assortment import catalogue, stock
from serving.security import Scope, issue_key
from serving.settings import Settings
from serving.settlement.plans.assignments import put_into_force

TENANT = "default"
CYCLES = 200
STOREFRONTS = 4
SKUS = 40
SEED = 20260301
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKER_NOW = NOW + timedelta(days=20)
_RECOVER_WITHIN_S = 60.0
_MOST_REFUSED = 20
PROTOCOL = (
    f"{STOREFRONTS} storefronts place, pay, ship and refund orders over HTTP beside running settlement jobs. "
    "Every cycle kills one of API, worker and PostgreSQL (all of its processes) with SIGKILL at a random "
    "moment and starts it again. Recovery: from the kill to the next acknowledged write. Lost: acknowledged "
    "orders, payments or refunds that are not there afterwards; duplicated: keys with more than one of "
    "them. fsync and synchronous_commit on."
)


@dataclass
class Outcome:
    """What a run of cycles gave.

    Attributes:
        recoveries_s: Seconds from each kill to the next acknowledged write.
        verdict: What was found afterwards.
        orders: Acknowledged orders.
        retries: Calls that were sent again.
    """

    recoveries_s: list[float] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    orders: int = 0
    retries: int = 0


def main() -> int:
    """Run the benchmark; 0 when nothing was lost, doubled or unbalanced."""
    started = time.perf_counter()
    cycles = int(os.environ.get("MUYUN_CRASH_CYCLES", CYCLES))
    outcome = run(cycles, lambda text: print(text, flush=True))
    verdict = outcome.verdict
    report(
        Settings().home,
        name="crash_ledger",
        protocol=PROTOCOL,
        rows=[
            Row(OURS, "cycles", cycles, "kills"),
            Row(OURS, "lost", verdict.lost, "writes"),
            Row(OURS, "duplicated", verdict.duplicated, "writes"),
            Row(OURS, "unbalanced", len(verdict.broken), "findings"),
            Row(OURS, "max_recovery_s", max(outcome.recoveries_s), "s"),
            Row(OURS, "median_recovery_s", sorted(outcome.recoveries_s)[cycles // 2], "s"),
            Row(OURS, "acknowledged_orders", outcome.orders, "orders"),
            Row(OURS, "retried_calls", outcome.retries, "calls"),
        ],
        wall_s=time.perf_counter() - started,
    )
    for finding in (*verdict.broken, *verdict.refused):
        sys.stderr.write(f"error: {finding}\n")
    return int(bool(verdict.lost or verdict.duplicated or verdict.broken or verdict.refused))


def run(cycles: int, say: Callable[[str], None]) -> Outcome:
    """Kill and start again as often as asked, in a folder of its own.

    Args:
        cycles: Kills.
        say: Told of the progress.
    """
    random_ = random.Random(SEED)
    outcome = Outcome()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muyun-crash-")))
        cluster = stack.enter_context(EmbeddedPostgres(home / "postgres"))
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        skus = _fill(url)
        key = issue_key(url, name="crash", scopes=list(Scope), rate_per_s=1e6, burst=1_000_000).secret
        programs = _Programs(cluster, url, home)
        stack.callback(programs.end)
        programs.start_api()
        programs.start_worker()
        promised_at = (NOW + timedelta(days=3)).isoformat()
        till = till_at(programs.port, key)
        storefronts = [Storefront(n, programs.port, key, till, skus, promised_at) for n in range(STOREFRONTS)]
        for storefront in storefronts:
            storefront.start()
        for cycle in range(cycles):
            time.sleep(random_.uniform(0.2, 1.0))
            victim = ("api", "worker", "postgres")[cycle % 3]
            killed = time.monotonic()
            programs.kill(victim)
            programs.start(victim)
            outcome.recoveries_s.append(_recovery_s(storefronts, killed))
            if (cycle + 1) % 10 == 0:
                say(f"  {cycle + 1} of {cycles} kills, slowest recovery {max(outcome.recoveries_s):.1f} s")
        for storefront in storefronts:
            storefront.stopping.set()
        for storefront in storefronts:
            storefront.join()
        programs.kill("worker")
        outcome.verdict = judge(
            url, TENANT, home, [storefront.done for storefront in storefronts], WORKER_NOW
        )
        outcome.orders = sum(len(storefront.done.orders) for storefront in storefronts)
        outcome.retries = sum(storefront.done.retries for storefront in storefronts)
    return outcome


def _recovery_s(storefronts: list[Storefront], killed: float) -> float:
    """Seconds from the kill to the first write that was acknowledged after the restart was asked for.

    Raises:
        TimeoutError: Nothing was acknowledged for a minute.
        RuntimeError: The API answers, but refuses.
    """
    asked = time.monotonic()
    while time.monotonic() - asked < _RECOVER_WITHIN_S:
        latest = max(storefront.last_write for storefront in storefronts)
        if latest > asked:
            return latest - killed
        refused = [text for storefront in storefronts for text in storefront.done.refused]
        if len(refused) > _MOST_REFUSED:
            raise RuntimeError(f"the API refuses what a storefront sends: {refused[0]}")
        time.sleep(0.005)
    raise TimeoutError(f"no write was acknowledged within {_RECOVER_WITHIN_S:.0f} s after a kill")


def _fill(url: str) -> list[str]:
    """A plan in force, one merchant, two verified suppliers with plenty of everything; the sku ids."""
    skus = [f"sku-{number}" for number in range(SKUS)]
    early = NOW - timedelta(days=60)
    with Operations(url, size=1) as operations, operations.transaction(TENANT) as conn:
        put_into_force(conn, TENANT, early)
        conn.execute(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
            " select %s, kind, id, true, true from (values ('merchant', 'm1'), ('supplier', 's1'),"
            " ('supplier', 's2')) as p (kind, id)",
            (TENANT,),
        )
        catalogue.put_products(conn, TENANT, [catalogue.Product(sku, sku, ()) for sku in skus])
        catalogue.put_listings(
            conn, TENANT, [catalogue.Listing("m1", sku, 2_000 + 137 * n) for n, sku in enumerate(skus)]
        )
        for number, sku in enumerate(skus):
            supplier = "s1" if number % 2 else "s2"
            catalogue.put_offers(
                conn, TENANT, [catalogue.Offer(supplier, sku, 1_100 + 61 * number, 0, 2, early)]
            )
            stock.report_stock(conn, TENANT, supplier, [stock.StockReport(sku, 1_000_000, 0, early)], early)
    return skus


class _Programs:
    """The API, the worker and PostgreSQL, each to be killed and started again."""

    def __init__(self, cluster: EmbeddedPostgres, url: str, home: Path) -> None:
        self._cluster = cluster
        self._home = home
        self.port = free_port()
        self._log = (home / "programs.log").open("ab")
        self._environment = {
            **os.environ,
            "MUYUN_HOME": str(home),
            "MUYUN_DATABASE_URL": url,
            "MUYUN_AS_OF": NOW.isoformat(),
            "MUYUN_API_HOST": "127.0.0.1",
            "MUYUN_API_PORT": str(self.port),
            "MUYUN_LOG_LEVEL": "ERROR",
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_api(self) -> None:
        """Start the API and wait until it is ready."""
        self._spawn("api", ["-m", "serving.server"])
        deadline = time.monotonic() + _RECOVER_WITHIN_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/live", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise TimeoutError(f"the API did not start; see {self._home / 'programs.log'}")

    def start_worker(self) -> None:
        """Start the settlement jobs."""
        self._spawn("worker", ["-m", "benchmarks.money.crash_worker", WORKER_NOW.isoformat()])

    def start(self, name: str) -> None:
        """Start what was killed; a worker that died with its database is started as well."""
        if name == "postgres":
            self._cluster.start()
        elif name == "api":
            self.start_api()
        if self._running["worker"].poll() is not None:
            self.start_worker()

    def kill(self, name: str) -> None:
        """SIGKILL to a program and all of its processes."""
        if name == "postgres":
            status = self._cluster.status()
            if status.pid is None:
                raise RuntimeError("PostgreSQL does not run, so it cannot be killed")
            _kill_tree(status.pid)
            return
        process = self._running[name]
        _kill_tree(process.pid)
        process.wait()

    def end(self) -> None:
        """Kill what still runs; PostgreSQL is stopped by its owner."""
        for name, process in self._running.items():
            if process.poll() is None:
                self.kill(name)
        self._log.close()

    def _spawn(self, name: str, arguments: list[str]) -> None:
        self._running[name] = subprocess.Popen(
            [sys.executable, *arguments],
            env=self._environment,
            cwd=Path(__file__).resolve().parents[2],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )


def _kill_tree(pid: int) -> None:
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


if __name__ == "__main__":
    raise SystemExit(main())
