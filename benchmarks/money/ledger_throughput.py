"""Postings a second of the eight-leg transaction, through SQL and through HTTP, beside pgbench's TPC-B.

All run on the same embedded server with durable settings, in turns, so that a busy machine slows all of them;
with a short history and again with ten times as much.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.harness import OURS, Row, report
from benchmarks.money.ledger_books import PGBENCH_SCRIPT, add_history, open_accounts
from benchmarks.servers import free_port, server
from serving.db import migrate, users
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.programs import binary
from serving.db.urls import libpq_url
from serving.security import Scope, issue_key
from serving.settings import Settings

PEER = "pgbench_tpcb"
ROUNDS = int(os.environ.get("MUYUN_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("MUYUN_BENCH_SECONDS", "6"))
HISTORY = int(os.environ.get("MUYUN_BENCH_HISTORY", "50000"))
CLIENTS = 8
TPCB_SCALE = 20
WORKERS = 2
"""Processes of the API."""
PROTOCOL = (
    f"{CLIENTS} clients; TPC-B (pgbench, scale {TPCB_SCALE}), the posting through SQL "
    "(pgbench with a script) and through HTTP "
    f"(the real server with {WORKERS} processes, keep-alive connections) in turns, "
    f"{SECONDS} s each, {ROUNDS} rounds; prepared statements; fsync and synchronous_commit on. "
    "Ratios are taken within a round; value: their median; interval: smallest and largest. "
    "ratio_at_10x_history: the median SQL ratio with ten times the postings there, over the one before."
)


@dataclass(frozen=True)
class Round:
    """Transactions a second of one turn each; HTTP only where it was measured."""

    tpcb: float
    sql: float
    http: float | None


def main() -> int:
    """Run the benchmark; 0 when every HTTP posting was answered with 201."""
    started = time.perf_counter()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muyun-bench-")))
        cluster = stack.enter_context(EmbeddedPostgres(home / "postgres"))
        users.join(cluster)  # the API must not stop it when it ends
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        tpcb_url = libpq_url(cluster.ensure_database("tpcb"))
        _pgbench(tpcb_url, "--initialize", "--quiet", f"--scale={TPCB_SCALE}")
        ids = open_accounts(libpq_url(url))
        script = home / "post.sql"
        script.write_text(PGBENCH_SCRIPT)
        add_history(libpq_url(url), ids, HISTORY)
        key = issue_key(
            url, name="benchmark", scopes=[Scope.LEDGER_POST], rate_per_s=1e6, burst=1_000_000
        ).secret
        port = free_port()
        environment = {**os.environ, "MUYUN_HOME": str(home), "MUYUN_API_PORT": str(port)}
        # A posting in one request: what is measured is the booking, not the second person.
        environment["MUYUN_ALONE_POSTING_CENTS"] = str(10**15)
        environment["MUYUN_API_WORKERS"] = str(WORKERS)
        environment.pop("MUYUN_DATABASE_URL", None)
        # One turn of each to warm up, then the rounds that count.
        rounds, grown, refused = [], [], 0
        with server(["-m", "serving.server"], environment, port, "/health/live"):
            for number in range(ROUNDS + 1):
                tpcb, sql = _tpcb(tpcb_url), _sql(url, script, ids)
                answer = _http(port, key, number)
                refused += int(answer["other"])
                _say(Round(tpcb, sql, answer["per_s"]))
                rounds.append(Round(tpcb, sql, answer["per_s"]))
        print("making ten times the history ...", flush=True)
        with psycopg.connect(libpq_url(url)) as conn:
            row = conn.execute("select count(*) from ledger.transaction").fetchone()
        count = int(row[0]) if row else 0
        add_history(libpq_url(url), ids, 9 * count)
        for _ in range(ROUNDS + 1):
            grown.append(Round(_tpcb(tpcb_url), _sql(url, script, ids), None))
            _say(grown[-1])
    report(
        Settings().home,
        name="ledger_throughput",
        protocol=f"{PROTOCOL} History: {count:,} postings, then {10 * count:,}.",
        rows=_rows(rounds[1:], grown[1:]),
        wall_s=time.perf_counter() - started,
    )
    if refused:
        sys.stderr.write(f"error: {refused} postings were not answered with 201\n")
        return 1
    return 0


def _rows(rounds: list[Round], grown: list[Round]) -> list[Row]:
    sql = [turn.sql / turn.tpcb for turn in rounds]
    http = [turn.http / turn.tpcb for turn in rounds if turn.http is not None]
    later = [turn.sql / turn.tpcb for turn in grown]
    rates = [turn.http for turn in rounds if turn.http is not None]
    return [
        _median(OURS, "sql_ratio_to_tpcb", sql, ""),
        _median(OURS, "http_ratio_to_tpcb", http, ""),
        Row(OURS, "ratio_at_10x_history", statistics.median(later) / statistics.median(sql), ""),
        _median(OURS, "sql_per_s", [turn.sql for turn in rounds], "1/s"),
        _median(OURS, "http_per_s", rates, "1/s"),
        _median(OURS, "sql_per_s_at_10x_history", [turn.sql for turn in grown], "1/s"),
        _median(PEER, "per_s", [turn.tpcb for turn in rounds], "1/s"),
        _median(PEER, "per_s_beside_10x_history", [turn.tpcb for turn in grown], "1/s"),
    ]


def _median(system: str, metric: str, values: list[float], unit: str) -> Row:
    return Row(system, metric, statistics.median(values), unit, (min(values), max(values)))


def _say(turn: Round) -> None:
    http = "" if turn.http is None else f", HTTP {turn.http:.0f}/s ({turn.http / turn.tpcb:.2f})"
    print(f"  TPC-B {turn.tpcb:.0f}/s, SQL {turn.sql:.0f}/s ({turn.sql / turn.tpcb:.2f}){http}", flush=True)


def _tpcb(url: str) -> float:
    return _rate(_pgbench(url, *_load()))


def _sql(url: str, script: Path, ids: dict[str, int]) -> float:
    defined = [f"--define={name}={value}" for name, value in ids.items()]
    return _rate(
        _pgbench(libpq_url(url), *_load(), *defined, f"--file={script}", options="-c role=muyun_app")
    )


def _load() -> tuple[str, ...]:
    return ("--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=2", f"--time={SECONDS}")


def _pgbench(url: str, *arguments: str, options: str = "") -> str:
    finished = subprocess.run(
        [str(binary("pgbench")), *arguments, url],
        env={**os.environ, "LC_ALL": "C", "PGOPTIONS": options},
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise SystemExit(f"error: pgbench failed: {finished.stderr.strip()}")
    return finished.stdout


def _rate(output: str) -> float:
    found = re.search(r"tps = ([0-9.]+)", output)
    if found is None:
        raise SystemExit(f"error: pgbench named no rate: {output}")
    return float(found.group(1))


def _http(port: int, key: str, seed: int) -> dict[str, float]:
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.money.ledger_client", "--port", str(port), "--key", key),
            *("--seconds", str(SECONDS), "--connections", str(CLIENTS), "--seed", str(seed)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, float] = json.loads(finished.stdout)
    return answer


if __name__ == "__main__":
    raise SystemExit(main())
