"""Reading profiles over HTTP, beside an empty endpoint of the same framework in the same run.

Profiles have every tag of the shipped registry. Deltas arrive while the load runs; `cold_` is the same
without any memory in the process.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.harness import OURS, Row, report
from benchmarks.servers import free_port, server
from benchmarks.web.api_read import PEER, Target, offer_load, settle
from benchmarks.web.synthetic_scores import AS_OF, CONSUMERS, manifest, tables
from feature_store.contracts import ProfileSchema, TagType
from feature_store.online import packaged_schema
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish
from serving.security import Scope, issue_key
from serving.settings import Settings

RATE = 2_000.0
REPETITIONS = 3
OPEN_S = 5.0
CLOSED_S = 3.0
CONNECTIONS = 16
DELTA_EVERY_S = 2.0
DELTA_SHARE = 0.02
SEED = 20171231
VERSION = "synthetic"
PROTOCOL = (
    "One server process; a separate load process. "
    f"p99_ms: open loop, {RATE:.0f} requests/s (cold_: a tenth) at Poisson moments over 32 connections for "
    f"{OPEN_S:.0f} s, counted from the moment a request was due. "
    f"requests_per_s: closed loop, {CONNECTIONS} connections, {CLOSED_S:.0f} s. "
    f"{CONSUMERS} consumers, asked at random after each was read once. "
    f"All the while a delta over {DELTA_SHARE:.0%} of them is published each {DELTA_EVERY_S:.0f} s. "
    "ratio_to_empty: requests_per_s over that of the empty endpoint, run by run. "
    "cold_: without memory (MUYUN_PROFILE_CACHE_MB=0). "
    f"Value: median of {REPETITIONS} runs, alternating between the systems; interval: smallest and largest."
)


def main() -> int:
    """Run the benchmark; 0 when every answer was a 200."""
    started = time.perf_counter()
    schema = packaged_schema()
    with ExitStack() as stack:
        home, url, as_of = stack.enter_context(_publication(schema))
        key = issue_key(url, name="benchmark", scopes=[Scope.PROFILES], rate_per_s=1e6, burst=1_000_000)
        environment = {
            **os.environ,
            "MUYUN_HOME": str(home),
            "MUYUN_API_HOST": "127.0.0.1",
            "MUYUN_AS_OF": as_of.isoformat(),
        }
        warm = Target(_api(stack, environment), key.secret)
        cold = Target(_api(stack, {**environment, "MUYUN_PROFILE_CACHE_MB": "0"}), key.secret)
        empty = Target(free_port())
        stack.enter_context(
            server(["-m", "benchmarks.web.empty_endpoint", str(empty.port)], environment, empty.port, "/")
        )
        paths = [f"/v1/profiles/c{random.Random(SEED + n).randrange(CONSUMERS)}" for n in range(4_000)]
        _read_everybody(warm)
        stack.enter_context(_deltas(url, schema, as_of))
        rows, bad = _measure(warm, cold, empty, paths)
    report(
        Settings().home,
        name="profile_read",
        protocol=f"{PROTOCOL} {len(schema.fields)} tags a profile.",
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    if bad:
        print(f"error: {bad} requests were not answered with 200")
    return 1 if bad else 0


def _read_everybody(target: Target) -> None:
    """Read every profile once, so that the runs measure the steady state and not the first seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    for number in range(CONSUMERS):
        connection.request("GET", f"/v1/profiles/c{number}", headers={"X-API-Key": target.key})
        connection.getresponse().read()
    connection.close()


def _api(stack: ExitStack, environment: dict[str, str]) -> int:
    port = free_port()
    stack.enter_context(
        server(["-m", "serving.server"], {**environment, "MUYUN_API_PORT": str(port)}, port, "/health/ready")
    )
    return port


@contextmanager
def _publication(schema: ProfileSchema) -> Iterator[tuple[Path, str, datetime]]:
    """Home, database address and business time of a synthetic publication with full profiles."""
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        home = Path(folder)
        with EmbeddedPostgres(home / "postgres") as cluster:
            url = cluster.connect_info().url(DATABASE)
            migrate.upgrade(url)
            random_ = random.Random(SEED)
            rows = {name: found[:1] for name, found in tables(SEED).items()}
            rows["recommendations"] = rows["popular_items"] = rows["rebuy_reminders"] = []
            rows["profiles"] = [
                (f"c{number}", json.dumps(_tags(schema, random_)), schema.fingerprint, AS_OF)
                for number in range(CONSUMERS)
            ]
            publish(url, manifest({name: len(found) for name, found in rows.items()}, VERSION), rows)
            settle(url)
            yield home, url, AS_OF


def _tags(schema: ProfileSchema, random_: random.Random) -> dict[str, Any]:
    """A value of the right type for every tag; a tenth has none."""
    values = {
        TagType.INT: lambda: random_.randrange(5_000),
        TagType.DECIMAL: lambda: random_.random(),
        TagType.BOOL: lambda: random_.random() < 0.5,
        TagType.ENUM: lambda: f"l2-grocery/{random_.randrange(40)}",
        TagType.TEXT: lambda: f"l3-category-{random_.randrange(400)}",
        TagType.DATE: lambda: f"2017-{random_.randrange(1, 13):02}-01",
    }
    return {field.name: None if random_.random() < 0.1 else values[field.type]() for field in schema.fields}


@contextmanager
def _deltas(url: str, schema: ProfileSchema, as_of: datetime) -> Iterator[None]:
    """Publish a delta every few seconds meanwhile."""
    done = threading.Event()

    def run() -> None:
        random_ = random.Random(SEED)
        revision = 0
        while not done.wait(DELTA_EVERY_S):
            revision += 1
            changed = random_.sample(range(CONSUMERS), int(CONSUMERS * DELTA_SHARE))
            delta = Delta(
                VERSION,
                revision,
                {"15m": as_of + timedelta(seconds=revision)},
                profiles=[(f"c{number}", _tags(schema, random_)) for number in changed],
            )
            publish_delta(url, delta)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _measure(warm: Target, cold: Target, empty: Target, paths: list[str]) -> tuple[list[Row], int]:
    found: dict[tuple[str, str, str], list[float]] = {}
    bad = 0
    systems = ((OURS, "", warm, paths), (OURS, "cold_", cold, paths), (PEER, "", empty, ["/"]))
    for number in range(REPETITIONS):
        for system, prefix, target, requests in systems:
            rate = RATE / 10 if prefix else RATE
            offer_load(target, requests, rate=0.0, seconds=0.5, seed=number, connections=CONNECTIONS)
            opened = offer_load(target, requests, rate=rate, seconds=OPEN_S, seed=number)
            closed = offer_load(
                target, requests, rate=0.0, seconds=CLOSED_S, seed=number, connections=CONNECTIONS
            )
            bad += sum(int(run["failed"]) + int(run["answered"]) - int(run["ok"]) for run in (opened, closed))
            for metric in ("p50_ms", "p99_ms"):
                found.setdefault((system, prefix + metric, "ms"), []).append(opened[metric])
            found.setdefault((system, prefix + "requests_per_s", "1/s"), []).append(closed["requests_per_s"])
            print(
                f"  {system} {prefix}p99 {opened['p99_ms']:.2f} ms, {closed['requests_per_s']:.0f}/s",
                flush=True,
            )
    peer = found[PEER, "requests_per_s", "1/s"]
    for prefix in ("", "cold_"):
        ours = found[OURS, prefix + "requests_per_s", "1/s"]
        found[OURS, prefix + "ratio_to_empty", ""] = [a / b for a, b in zip(ours, peer, strict=True)]
    return [
        Row(system, metric, statistics.median(values), unit, (min(values), max(values)))
        for (system, metric, unit), values in found.items()
    ], bad


if __name__ == "__main__":
    raise SystemExit(main())
