"""Read latency and throughput of the API, beside an empty endpoint of the same framework.

Uses the live publication of `MUYUN_HOME` when there is one, else a synthetic one in a temporary folder.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.servers import free_port, server
from benchmarks.web.synthetic_scores import USUAL, counts, manifest, stock_shelves, tables
from serving.db import migrate
from serving.db.connect import DATABASE, ready_database
from serving.db.embedded import EmbeddedPostgres, embedded_postgres
from serving.db.urls import libpq_url
from serving.errors import ServingError
from serving.scores.loader import current, publish
from serving.security import Scope, issue_key, revoke_key
from serving.settings import Settings

PEER = "litestar_empty_endpoint"
RATE = 200.0
REPETITIONS = 3
OPEN_S = 6.0
CLOSED_S = 3.0
CLOSED_CONNECTIONS = 16
SAMPLE = 2_000
UNKNOWN_SHARE = 0.05
SEED = 20171231
PROTOCOL = (
    f"One server process; a separate load process sends {RATE:.0f} requests/s at Poisson moments over 32 "
    f"connections for {OPEN_S:.0f} s, {REPETITIONS} times; times count from the moment a request was due. "
    f"requests_per_s: closed loop, {CLOSED_CONNECTIONS} connections, {CLOSED_S:.0f} s. "
    "p50_ms, p99_ms and requests_per_s without a prefix: the three resources mixed evenly. "
    "Value: median of the repetitions; interval: smallest and largest."
)


@dataclass(frozen=True)
class Target:
    """Where the load goes."""

    port: int
    key: str = ""


def main() -> int:
    """Run the benchmark; 0 when every answer was a 200."""
    started = time.perf_counter()
    settings = Settings()
    with ExitStack() as stack:
        home, url, source = stack.enter_context(_publication(settings))
        key = issue_key(url, name="benchmark api_read", scopes=list(Scope), rate_per_s=1e6, burst=1_000_000)
        stack.callback(revoke_key, url, key.key_id)
        paths = _paths(url)
        port = free_port()
        environment = {
            **os.environ,
            "MUYUN_HOME": str(home),
            "MUYUN_API_PORT": str(port),
            "MUYUN_API_HOST": "127.0.0.1",
        }
        api = stack.enter_context(server(["-m", "serving.server"], environment, port, "/health/ready"))
        rows, bad = _measure(OURS, Target(port, key.secret), paths)
        memory_mb = tree_rss_mb(api)
        peer_port = free_port()
        stack.enter_context(
            server(["-m", "benchmarks.web.empty_endpoint", str(peer_port)], environment, peer_port, "/")
        )
        peer_rows, peer_bad = _measure(PEER, Target(peer_port), {"": ["/"]})
    rows.append(Row(OURS, "server_rss_mb", memory_mb, "MB"))
    report(
        settings.home,
        name="api_read",
        protocol=f"{PROTOCOL} Data: {source}.",
        rows=[*rows, *peer_rows],
        wall_s=time.perf_counter() - started,
    )
    if bad or peer_bad:
        sys.stderr.write(f"error: {bad + peer_bad} requests were not answered with 200\n")
        return 1
    return 0


@contextmanager
def _publication(settings: Settings) -> Iterator[tuple[Path, str, str]]:
    """Home, database address and description of the publication to read."""
    live = _live(settings)
    if live is not None:
        yield settings.home, live, "the live publication"
        return
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        home = Path(folder)
        with EmbeddedPostgres(home / "postgres") as cluster:
            url = cluster.connect_info().url(DATABASE)
            migrate.upgrade(url)
            print("loading 250 k prices, 8 k lists of 40 and 2.5 k profiles ...", flush=True)
            rows = tables(SEED)
            loaded = publish(url, manifest(counts(USUAL), "synthetic"), rows)
            with psycopg.connect(libpq_url(url)) as connection:
                stock_shelves(connection, USUAL)
            settle(url)
            print(f"loaded {sum(loaded.loaded.values()):,} rows in {loaded.wall_s:.1f} s", flush=True)
            yield (
                home,
                url,
                "synthetic, 250 k prices with offers, 8 k lists of 40, 2.5 k profiles of 60 tags",
            )


def settle(url: str) -> None:
    """Let the server finish what a bulk load leaves behind; a run measures reading, not loading."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")


def _live(settings: Settings) -> str | None:
    """Address of the configured database if it holds a publication."""
    if settings.database_url is None and not embedded_postgres(settings).data.exists():
        return None
    try:
        url = ready_database(settings)
        return url if current(url) is not None else None
    except ServingError as error:
        print(f"the configured database cannot be used ({error}); a synthetic one is made", flush=True)
        return None


def _paths(url: str) -> dict[str, list[str]]:
    """Request paths per resource, sampled from what is published; some consumers are unknown."""
    random_ = random.Random(SEED)
    shown = (
        "join scores.publication_table t on t.snapshot_id = x.snapshot_id"
        " join scores.current_publication c on c.version = t.version"
    )
    with psycopg.connect(libpq_url(url)) as connection:
        lists = connection.execute(
            f"select x.merchant_id, x.consumer_id from scores.recommendations x {shown} order by 1, 2"
        ).fetchall()
        prices = connection.execute(
            f"select x.merchant_id, x.sku_id from scores.prices x {shown} order by 1, 2"
        ).fetchall()
        profiles = connection.execute(
            f"select x.consumer_id from scores.profiles x {shown} order by 1"
        ).fetchall()
    found = {
        "recommendations": [
            f"/v1/recommendations?merchant_id={merchant}&consumer_id="
            + ("nobody" if random_.random() < UNKNOWN_SHARE else consumer)
            for merchant, consumer in random_.choices(lists, k=SAMPLE)
        ],
        "prices": [f"/v1/prices/{merchant}/{sku}" for merchant, sku in random_.choices(prices, k=SAMPLE)],
        "profile": [f"/v1/consumers/{row[0]}/profile" for row in random_.choices(profiles, k=SAMPLE)],
    }
    mixed = [path for group in zip(*found.values(), strict=True) for path in group]
    return {**found, "": mixed}


def _measure(system: str, target: Target, paths: dict[str, list[str]]) -> tuple[list[Row], int]:
    """Rows for every resource, and how many requests were not answered with 200."""
    rows: list[Row] = []
    bad = 0
    for resource, requests in paths.items():
        prefix = f"{resource}_" if resource else ""
        offer_load(target, requests, rate=RATE, seconds=1.0, seed=0)
        runs = [
            offer_load(target, requests, rate=RATE, seconds=OPEN_S, seed=number)
            for number in range(REPETITIONS)
        ]
        closed = offer_load(
            target, requests, rate=0.0, seconds=CLOSED_S, seed=0, connections=CLOSED_CONNECTIONS
        )
        for run in (*runs, closed):
            bad += int(run["failed"]) + int(run["answered"]) - int(run["ok"])
        for metric in ("p50_ms", "p99_ms"):
            values = [run[metric] for run in runs]
            rows.append(
                Row(system, prefix + metric, statistics.median(values), "ms", (min(values), max(values)))
            )
        rows.append(Row(system, f"{prefix}requests_per_s", closed["requests_per_s"], "1/s"))
        print(f"  {system} {resource or 'all'}: p99 {rows[-2].value:.2f} ms", flush=True)
    return rows, bad


def offer_load(
    target: Target, paths: list[str], *, rate: float, seconds: float, seed: int, connections: int = 32
) -> dict[str, float]:
    """Send GET requests from a process of its own; what `benchmarks.web.load_generator` prints, and `ok`."""
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.web.load_generator", "--port", str(target.port)),
            *("--rate", str(rate), "--seconds", str(seconds), "--seed", str(seed)),
            *("--connections", str(connections), "--key", target.key),
        ],
        input="\n".join(paths),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outcome: dict[str, Any] = json.loads(finished.stdout)
    outcome["ok"] = outcome.pop("statuses").get("200", 0)
    return outcome


def tree_rss_mb(process: subprocess.Popen[bytes]) -> float:
    """Memory of a process and all below it, MiB."""
    root = psutil.Process(process.pid)
    return float(sum(part.memory_info().rss for part in (root, *root.children(recursive=True)))) / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
