"""From `POST /v1/events` to the next list that is ordered by the event."""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.servers import free_port, server
from benchmarks.web.api_read import SEED, settle
from benchmarks.web.synthetic_scores import USUAL, counts, manifest, stock_shelves, tables
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.urls import libpq_url
from serving.scores.loader import publish
from serving.security import Scope, issue_key
from serving.settings import DEFAULT_TENANT, Settings

NAME = "event_to_list"
TRIALS = 300
MOST_MS = 100.0
BEFORE = "list_before"
OCCURRED_AT = "2018-01-01T03:00:00+00:00"
_PROTOCOL = (
    f"{TRIALS} times: read a consumer's list, put the sku on place 30 into the cart by one event, read the "
    "list again. A trial is stale when the list is not ordered by the event. Milliseconds from sending the "
    "event to the last byte of the list; list_before: of the list alone. One server process, one connection, "
    "nothing else sent."
)


def main() -> int:
    """Runs the benchmark; 1 when a list was stale or came too late."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        home = Path(folder)
        with EmbeddedPostgres(home / "postgres") as cluster:
            url = cluster.connect_info().url(DATABASE)
            _fill(url)
            key = issue_key(url, name=NAME, scopes=list(Scope), rate_per_s=1e6, burst=1_000_000).secret
            port = free_port()
            environment = {
                **os.environ,
                "MUYUN_HOME": str(home),
                "MUYUN_API_PORT": str(port),
                "MUYUN_API_HOST": "127.0.0.1",
            }
            with server(["-m", "serving.server"], environment, port, "/health/ready"):
                before, after, stale = _measure(port, key)
    rows = [
        Row(system, metric, value, "ms")
        for system, values in ((OURS, after), (BEFORE, before))
        for metric, value in (
            ("p50_ms", statistics.median(values)),
            ("p99_ms", statistics.quantiles(values, n=100)[98]),
            ("max_ms", max(values)),
        )
    ]
    rows += [Row(OURS, "stale_lists", stale, ""), Row("limit", "p99_ms", MOST_MS, "ms")]
    report(Settings().home, name=NAME, protocol=_PROTOCOL, rows=rows, wall_s=time.perf_counter() - started)
    return 1 if stale or rows[1].value > MOST_MS else 0


def _fill(url: str) -> None:
    migrate.upgrade(url)
    rows = tables(SEED)
    publish(url, manifest(counts(USUAL), "synthetic"), rows)
    with psycopg.connect(libpq_url(url)) as connection:
        stock_shelves(connection, USUAL)
        connection.execute(
            "insert into orders.product (tenant_id, sku_id, title, category_ids)"
            " select %s, sku_id, sku_id, array['leaf-' || abs(hashtext(sku_id)) %% 50] from orders.offer"
            " group by sku_id",
            (DEFAULT_TENANT,),
        )
    settle(url)


def _measure(port: int, key: str) -> tuple[list[float], list[float], int]:
    """Milliseconds of lists before, of event and list after, and how many were stale."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"X-API-Key": key, "Content-Type": "application/json"}

    def ask(method: str, path: str, body: Any = None) -> Any:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {content[:200]!r}")
        return json.loads(content)

    before, after, stale = [], [], 0
    for number in random.Random(SEED).sample(range(USUAL.lists), TRIALS + 20):
        merchant, consumer = f"m{number % USUAL.merchants}", f"c{number}"
        path = f"/v1/recommendations?merchant_id={merchant}&consumer_id={consumer}&limit=40"
        began = time.perf_counter()
        items = ask("GET", path)["items"]
        seen = time.perf_counter()
        wanted = items[min(29, len(items) - 1)]["sku_id"]
        event = {
            "event_id": f"e{number}", "session_id": "s", "event_type": "add_to_cart", "sku_id": wanted,
            "merchant_id": merchant, "consumer_id": consumer, "occurred_at": OCCURRED_AT,
        }  # fmt: skip
        sent = time.perf_counter()
        ask("POST", "/v1/events", {"events": [event]})
        ordered = [item["sku_id"] for item in ask("GET", path)["items"]]
        ended = time.perf_counter()
        before.append(1000 * (seen - began))
        after.append(1000 * (ended - sent))
        stale += ordered.index(wanted) >= [item["sku_id"] for item in items].index(wanted)
    return before[20:], after[20:], stale


if __name__ == "__main__":
    sys.exit(main())
