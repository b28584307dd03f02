"""Scores of a large platform: latency at 500 requests a second, memory, and who sees another's goods.

2,000,000 skus of 2,000 merchants and lists for 1,000,000 consumers are made and published;
`MUYUN_BENCH_ONE_IN` divides merchants and consumers, for a quick look.
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
from pathlib import Path
from typing import Any

from benchmarks.harness import OURS, Row, report
from benchmarks.servers import free_port, server
from benchmarks.web.api_read import PEER, Target, offer_load, settle, tree_rss_mb
from benchmarks.web.synthetic_scores import Size, counts, manifest, streams
from models.contracts import PUBLISHED_TABLES
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.scores.loader import publish
from serving.security import Scope, issue_key
from serving.settings import Settings

RATE = 500.0
REPETITIONS = 3
OPEN_S = 10.0
CLOSED_S = 5.0
CLOSED_CONNECTIONS = 16
PATHS = 20_000
UNKNOWN_SHARE = 0.05
PROBING_MERCHANTS = 50
SEED = 20171231
LIMITS = {"p50_ms": (4.0, "ms"), "p99_ms": (15.0, "ms"), "memory_mb": (4096.0, "MB"), "leaks": (0.0, "skus")}


def main() -> int:
    """Run the benchmark; 1 when an answer was not a 200 or a sku of another merchant was seen."""
    started = time.perf_counter()
    one_in = int(os.environ.get("MUYUN_BENCH_ONE_IN", "1"))
    probes = int(os.environ.get("MUYUN_BENCH_REQUESTS", "1000000"))
    size = Size(
        merchants=2_000 // one_in,
        skus_per_merchant=1_000,
        lists=1_000_000 // one_in,
        list_length=10,
        profiles=0,
    )
    with ExitStack() as stack:
        home, url, load_s = stack.enter_context(_published(size))
        environment = {**os.environ, "MUYUN_HOME": str(home), "MUYUN_API_HOST": "127.0.0.1"}
        key = issue_key(url, name="benchmark", scopes=list(Scope), rate_per_s=1e6, burst=1_000_000)
        port = free_port()
        api = stack.enter_context(
            server(
                ["-m", "serving.server"], {**environment, "MUYUN_API_PORT": str(port)}, port, "/health/ready"
            )
        )
        rows, bad = _measured(OURS, Target(port, key.secret), _paths(size))
        found = _probe(port, _merchant_keys(url, size), size, probes)
        memory = tree_rss_mb(api)
        peer_port = free_port()
        stack.enter_context(
            server(["-m", "benchmarks.web.empty_endpoint", str(peer_port)], environment, peer_port, "/")
        )
        peer_rows, _ = _measured(PEER, Target(peer_port), ["/"])
    statuses = ", ".join(f"{count:,} x {status}" for status, count in found["statuses"].items())
    rows += [
        Row(OURS, "leaks", found["leaks"], "skus"),
        Row(OURS, "skus_seen", found["items"], "skus"),
        Row(OURS, "memory_mb", memory, "MB"),
        Row(OURS, "load_s", load_s, "s"),
        *peer_rows,
        *(Row("limit", metric, value, unit) for metric, (value, unit) in LIMITS.items()),
    ]
    total = counts(size)
    report(
        Settings().home,
        name="score_2m_skus",
        protocol=(
            f"{total['prices']:,} prices of {size.merchants:,} merchants, {size.lists:,} lists of "
            f"{size.list_length}; one server process. Recommendations and prices in turns, "
            f"{UNKNOWN_SHARE:.0%} of unknown consumers, {RATE:.0f} requests/s at Poisson moments for "
            f"{OPEN_S:.0f} s, {REPETITIONS} times, timed from when a request was due; requests_per_s: closed "
            f"loop, {CLOSED_CONNECTIONS} connections. leaks: {probes:,} requests with keys of "
            f"{PROBING_MERCHANTS} merchants for their own and others' goods ({statuses}). memory_mb: the "
            "API's processes, without PostgreSQL."
        ),
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    if bad or found["leaks"]:
        sys.stderr.write(f"error: {bad} bad answers, {found['leaks']} leaks, e.g. {found['example']}\n")
        return 1
    return 0


@contextmanager
def _published(size: Size) -> Iterator[tuple[Path, str, float]]:
    """Home and database address of the publication, and the seconds that loading took."""
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        home = Path(folder)
        with EmbeddedPostgres(home / "postgres") as cluster:
            url = cluster.connect_info().url(DATABASE)
            migrate.upgrade(url)
            print(f"loading {sum(counts(size).values()):,} rows ...", flush=True)
            filled = streams(SEED, size)
            rows: dict[str, Any] = {name: filled.get(name, ()) for name in PUBLISHED_TABLES}
            loaded = publish(url, manifest(counts(size), "synthetic"), rows)
            settle(url)
            yield home, url, loaded.wall_s


def _paths(size: Size) -> list[str]:
    random_ = random.Random(SEED)
    paths = []
    for _ in range(PATHS // 2):
        consumer = random_.randrange(size.lists)
        merchant = consumer % size.merchants
        who = "nobody" if random_.random() < UNKNOWN_SHARE else f"c{consumer}"
        paths.append(f"/v1/recommendations?merchant_id=m{merchant}&consumer_id={who}")
        seller, sku = random_.randrange(size.merchants), random_.randrange(size.skus_per_merchant)
        paths.append(f"/v1/prices/m{seller}/m{seller}-s{sku}")
    return paths


def _measured(system: str, target: Target, paths: list[str]) -> tuple[list[Row], int]:
    """Latency and throughput, and how many requests were not answered with 200."""
    offer_load(target, paths, rate=RATE, seconds=2.0, seed=0)
    runs = [
        offer_load(target, paths, rate=RATE, seconds=OPEN_S, seed=number) for number in range(REPETITIONS)
    ]
    closed = offer_load(target, paths, rate=0.0, seconds=CLOSED_S, seed=0, connections=CLOSED_CONNECTIONS)
    rows = []
    for metric in ("p50_ms", "p99_ms"):
        values = [run[metric] for run in runs]
        rows.append(Row(system, metric, statistics.median(values), "ms", (min(values), max(values))))
    rows.append(Row(system, "requests_per_s", closed["requests_per_s"], "1/s"))
    bad = sum(int(run["failed"]) + int(run["answered"]) - int(run["ok"]) for run in (*runs, closed))
    return rows, bad


def _merchant_keys(url: str, size: Size) -> dict[int, str]:
    """A key of its own for some merchants."""
    chosen = random.Random(SEED).sample(range(size.merchants), min(PROBING_MERCHANTS, size.merchants))
    return {
        merchant: issue_key(
            url,
            name=f"probe m{merchant}",
            scopes=[Scope.RECOMMENDATIONS, Scope.PRICES],
            merchant_id=f"m{merchant}",
            rate_per_s=1e6,
            burst=1_000_000,
        ).secret
        for merchant in chosen
    }


def _probe(port: int, keys: dict[int, str], size: Size, requests: int) -> dict[str, Any]:
    """What `benchmarks.web.leak_probe` found."""
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.web.leak_probe", "--port", str(port)),
            *("--requests", str(requests), "--merchants", str(size.merchants)),
            *("--skus", str(size.skus_per_merchant), "--consumers", str(size.lists)),
        ],
        input="\n".join(f"{merchant} {key}" for merchant, key in keys.items()),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outcome: dict[str, Any] = json.loads(finished.stdout)
    return outcome


if __name__ == "__main__":
    raise SystemExit(main())
