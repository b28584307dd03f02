"""How many behaviour events a second `POST /v1/events` stores on one core, and that it loses none.

The API process is pinned to one core. Repeated batches, repeated events and bad events are sent on purpose;
what the answers say is held against what was planned and against a count in the database.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.servers import answers
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.urls import libpq_url
from serving.security import IssuedKey, issue_key
from serving.settings import Settings

PEER = "raw_copy_unindexed"
EVENTS = 60_000
BATCH = 1_000
REPETITIONS = 3
CONNECTIONS = 4
DUPLICATE_SHARE = 0.05
BAD_SHARE = 0.01
SEED = 20240501
PROTOCOL = (
    "One API process pinned to one core (sched_setaffinity), PostgreSQL and the sender free on all; "
    f"{EVENTS:,} distinct good events a repetition in batches of {BATCH:,} over {CONNECTIONS} connections; "
    f"besides them {DUPLICATE_SHARE:.0%} repeated events, {BAD_SHARE:.0%} bad ones; every tenth batch twice. "
    "events_per_s counts good distinct events only. lost: good events that are not in the database, "
    "plus events that the answers do not account for, over all repetitions. Peer: the same rows by one COPY "
    f"into a table without index or row security. {REPETITIONS} repetitions: median, smallest and largest."
)


@dataclass(frozen=True)
class Load:
    """What one repetition sends.

    Attributes:
        bodies: Encoded batches in order.
        rows: The good events as tuples for COPY.
        sent: Events in all batches.
        good: Distinct good events.
        bad: Events that must be refused.
    """

    bodies: list[bytes]
    rows: list[tuple[Any, ...]]
    sent: int
    good: int
    bad: int


def main() -> int:
    """Run the benchmark; 0 when nothing was lost."""
    started = time.perf_counter()
    core = max(os.sched_getaffinity(0))
    rates: list[float] = []
    copies: list[float] = []
    cpu: list[float] = []
    lost = 0
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        home = Path(folder)
        with EmbeddedPostgres(home / "postgres") as cluster:
            url = cluster.connect_info().url(DATABASE)
            migrate.upgrade(url)
            key = issue_key(url, name="bench", scopes=["events:write"], rate_per_s=1e6, burst=1_000_000)
            with pinned_api(home, url, core) as (port, process):
                _send(port, key, [_load(-1).bodies[0]])
                for number in range(REPETITIONS):
                    load = _load(number)
                    used = _cpu_s(process)
                    begun = time.perf_counter()
                    receipts = _send(port, key, load.bodies)
                    wall_s = time.perf_counter() - begun
                    cpu.append((_cpu_s(process) - used) / load.sent * 1e6)
                    rates.append(load.good / wall_s)
                    lost += _lost(url, number, load, receipts)
                    copies.append(load.good / _copy(url, load))
                    print(f"  {rates[-1]:,.0f} events/s, copy {copies[-1]:,.0f} rows/s", flush=True)
    rows = [
        _row(OURS, "events_per_s", rates, "1/s"),
        Row(OURS, "lost", float(lost), "events"),
        _row(OURS, "api_cpu_us_per_event", cpu, "us"),
        _row(PEER, "events_per_s", copies, "1/s"),
    ]
    report(
        Settings().home,
        name="event_intake",
        protocol=PROTOCOL,
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    if lost:
        sys.stderr.write(f"error: {lost} events were lost or not accounted for\n")
    return 1 if lost else 0


def _row(system: str, metric: str, values: list[float], unit: str) -> Row:
    return Row(system, metric, statistics.median(values), unit, (min(values), max(values)))


def _load(number: int) -> Load:
    """Batches of one repetition, whose ids no other has."""
    random_ = random.Random(SEED + number)
    good = [_event(f"{number}-{n:06}", random_) for n in range(EVENTS)]
    sent: list[object] = []
    for place, event in enumerate(good):
        sent.append(event)
        if random_.random() < DUPLICATE_SHARE:
            sent.append(random_.choice(good[max(0, place - 5_000) : place + 1]))
        if random_.random() < BAD_SHARE:
            sent.append(random_.choice([{"event_id": "?"}, {**event, "propensity": 2}, 1, None]))
    batches = [sent[start : start + BATCH] for start in range(0, len(sent), BATCH)]
    everything = []
    for place, batch in enumerate(batches):
        everything += [batch] * (2 if place % 10 == 0 else 1)
    refused = sum(1 for batch in everything for event in batch if _is_bad(event))
    return Load(
        bodies=[json.dumps({"events": batch}).encode() for batch in everything],
        rows=[tuple(event.values()) for event in good],
        sent=sum(len(batch) for batch in everything),
        good=len(good),
        bad=refused,
    )


def _is_bad(event: object) -> bool:
    return not isinstance(event, dict) or "session_id" not in event or event["propensity"] == 2


def _event(name: str, random_: random.Random) -> dict[str, object]:
    """An impression with every usual field."""
    return {
        "event_id": f"event-{name}",
        "session_id": f"session-{random_.randrange(10_000)}",
        "event_type": "impression",
        "occurred_at": f"2024-05-01T{random_.randrange(24):02}:{random_.randrange(60):02}:30Z",
        "merchant_id": f"m{random_.randrange(100)}",
        "consumer_id": f"c{random_.randrange(50_000)}",
        "sku_id": f"sku-{random_.randrange(20_000)}",
        "dwell_ms": random_.randrange(60_000),
        "position": random_.randrange(40),
        "policy_version": "rank-2024-04",
        "propensity": round(random_.uniform(0.001, 1.0), 6),
    }


def _send(port: int, key: IssuedKey, bodies: list[bytes]) -> list[dict[str, int]]:
    """Answers to every batch, sent over several connections that each take the next batch in turn."""

    def one_connection(first: int) -> list[dict[str, int]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"X-API-Key": key.secret, "Content-Type": "application/json"}
        found = []
        for body in bodies[first::CONNECTIONS]:
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise SystemExit(f"error: a batch was answered with {answer.status}: {content[:300]!r}")
            found.append(json.loads(content))
        connection.close()
        return found

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return [receipt for found in threads.map(one_connection, range(CONNECTIONS)) for receipt in found]


def _lost(url: str, number: int, load: Load, receipts: list[dict[str, int]]) -> int:
    """Good events that are not stored, and events that no answer speaks of."""
    with psycopg.connect(libpq_url(url)) as connection:
        found = connection.execute(
            "select count(*) from events.event where event_id like %s", (f"event-{number}-%",)
        ).fetchone()
    stored = found[0] if found else 0
    total = {
        name: sum(receipt[name] for receipt in receipts)
        for name in ("received", "accepted", "duplicates", "refused")
    }
    expected = {
        "received": load.sent,
        "accepted": load.good,
        "duplicates": load.sent - load.good - load.bad,
        "refused": load.bad,
    }
    return abs(load.good - stored) + sum(abs(total[name] - expected[name]) for name in expected)


def _copy(url: str, load: Load) -> float:
    """Seconds to COPY the same rows into a bare table."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute("drop table if exists public.bare_event")
        connection.execute(
            "create table public.bare_event (event_id text, session_id text, event_type text,"
            " occurred_at timestamptz, merchant_id text, consumer_id text, sku_id text, dwell_ms bigint,"
            " position integer, policy_version text, propensity double precision)"
        )
        begun = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy("copy public.bare_event from stdin") as copy:
            for row in load.rows:
                copy.write_row(row)
        return time.perf_counter() - begun


@contextmanager
def pinned_api(home: Path, url: str, core: int) -> Iterator[tuple[int, psutil.Process]]:
    """The API in a process that may use one core only; stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {
        **os.environ,
        "MUYUN_HOME": str(home),
        "MUYUN_DATABASE_URL": url,
        "MUYUN_API_PORT": str(port),
        "MUYUN_API_HOST": "127.0.0.1",
    }
    # The mask is set in a program of its own: children and threads inherit it, whenever they are made.
    pinned = (
        "import os, runpy; os.sched_setaffinity(0, {%d});"
        " runpy.run_module('serving.server', run_name='__main__')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", pinned % core],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not answers(f"http://127.0.0.1:{port}/health/live"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"error: the API did not come up on port {port}")
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _cpu_s(process: psutil.Process) -> float:
    """Processor seconds of the API process and its workers."""
    times = [part.cpu_times() for part in (process, *process.children(recursive=True))]
    return float(sum(spent.user + spent.system for spent in times))


if __name__ == "__main__":
    raise SystemExit(main())
