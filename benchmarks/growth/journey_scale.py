"""Journeys at scale: rules kept over months, a tick of many due runs, workers killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.growth.journey_world import CHANNELS, START, TENANT, Erratic, Noting, name_of, shop
from benchmarks.harness import OURS, Row, own_peak_rss_mb, report
from models.experiments.assignment import draw
from serving.consumers.erased import hold_erasures
from serving.db import locks
from serving.db.operations import Operations
from serving.db.retries import ConnectionFactory
from serving.journeys import outbox, receipts, versions, violations
from serving.journeys.engine.entering import Candidate, enter
from serving.journeys.engine.ticking import tick
from serving.journeys.receipts import Receipt
from serving.settings import Settings

CONSUMERS = int(os.environ.get("MUYUN_BENCH_CONSUMERS", "20000"))
DAYS = int(os.environ.get("MUYUN_BENCH_DAYS", "90"))
KILLS = int(os.environ.get("MUYUN_BENCH_KILLS", "100"))
DUE = int(os.environ.get("MUYUN_BENCH_DUE", "100000"))
_KILLED_CONSUMERS = 6_000
_HOURS = (0, 2, 5, 9, 11, 14, 20)
"""Hours after the start of a day (nine in the morning of the shop): two of them in quiet hours."""
_LONGEST_LIFE_S = 1.2
_PROTOCOL = (
    f"{CONSUMERS:,} generated consumers live through {DAYS} days of three journeys, {len(_HOURS)} rounds a"
    " day on a real PostgreSQL; consents come and go, providers refuse, are away for hours, tell of opt-outs"
    " and clicks. `violations`: messages that went out against cap, quiet hours, consent or opt-out, or"
    " twice, counted in SQL over the outbox, not by the guards; those of the kills as well."
    f" `tick_100k_s`: one tick of {DUE:,} due runs, each with a message and a coupon of its own."
    f" `double_sends`: over {KILLS} workers that were killed (SIGKILL) at random moments of entering, moving"
    " and handing over: consumers who got a step of a journey twice, by the provider's notes, a message"
    " counted once by its name; `asked_again`: messages that a provider was handed again under the same name."
    " `memory_mb`: the largest of this process and its workers."
)


def main() -> int:
    """Run it."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder:
        lived, days = _months(Path(folder) / "months")
        tick_s = _tick(Path(folder) / "tick")
        killed, doubles, again = _kills(Path(folder) / "kills")
    rows = [
        Row(OURS, "violations", sum(lived.values()) + sum(killed.values()), "messages"),
        Row(OURS, "messages", days["messages"], "messages"),
        Row(OURS, "moves", days["moves"], "moves"),
        Row(OURS, "moves_per_s", days["moves"] / days["seconds"], "moves/s"),
        Row(OURS, "tick_100k_s", tick_s * 100_000 / DUE, "s"),
        Row(OURS, "double_sends", doubles, "messages"),
        Row(OURS, "asked_again", again, "messages"),
        Row(OURS, "memory_mb", own_peak_rss_mb(), "MB"),
    ]
    target = report(
        Settings().home,
        name="journey_scale",
        protocol=_PROTOCOL,
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    return 0 if target.exists() else 1


def _months(folder: Path) -> tuple[dict[str, int], dict[str, float]]:
    """Days of three journeys; broken rules, and what was done in which time."""
    folder.mkdir(parents=True)
    provider = Erratic()
    moves = 0
    with shop(folder, CONSUMERS) as (_, _, transactions):
        began = time.perf_counter()
        for day in range(DAYS):
            for hour in _HOURS:
                now = provider.now = START + timedelta(days=day, hours=hour)
                with transactions() as conn:
                    _say(conn, now)
                if hour == _HOURS[0]:
                    with transactions() as conn:
                        _enter(conn, day, now)
                moves += tick(transactions, TENANT, now).moved
                outbox.hand_over_due(transactions, TENANT, dict.fromkeys(CHANNELS, provider), now)
                with transactions() as conn:
                    _tell(conn, now)
        seconds = time.perf_counter() - began
        with transactions() as conn:
            broken = violations.count(conn, TENANT, START, now + timedelta(days=1))
            messages = _number(conn, "select count(*) from journeys.message where sent_at is not null")
    return broken, {"messages": messages, "moves": moves, "seconds": seconds}


def _say(conn: psycopg.Connection, now: datetime) -> None:
    """Some take their consent back, some give it, just before the round."""
    conn.execute(
        "insert into consumers.consent (tenant_id, consumer_id, purpose, stated_at, granted, source,"
        " received_at) select %(t)s, 'c' || lpad(n::text, 7, '0'), 'marketing', %(at)s, n %% 2 = 0, 'app',"
        " %(at)s from (select distinct floor(random() * %(all)s)::int as n"
        " from generate_series(1, %(some)s)) n",
        {"t": TENANT, "at": now - timedelta(seconds=1), "all": CONSUMERS, "some": 1 + CONSUMERS // 2_000},
    )


def _enter(conn: psycopg.Connection, day: int, now: datetime) -> None:
    """A part of all consumers enters each journey, each day another one."""
    hold_erasures(conn)
    locks.journeys(conn, TENANT)
    for version in versions.live(conn, TENANT):
        name = version.journey.journey_id
        every = 7 if name == "weekly" else 15
        found = [
            Candidate(name_of(number), f"day:{day}")
            for number in range(CONSUMERS)
            if int(draw(name, str(number)) * every) == day % every
        ]
        enter(conn, TENANT, version, found, now)


def _tell(conn: psycopg.Connection, now: datetime) -> None:
    """Channels tell of some messages: that they came, or did not, were clicked, are not wanted any more."""
    rows = conn.execute(
        "select message_id, channel from journeys.message where tenant_id = %s and sent_at = %s"
        " and message_id %% 25 = 0",
        (TENANT, now),
    ).fetchall()
    kinds: list[receipts.Kind] = ["clicked", "opted_out", "failed", "delivered"]
    told = [
        Receipt(f"r{message_id}", channel, message_id, kinds[message_id // 25 % 4], now)
        for message_id, channel in rows
    ]
    receipts.take(conn, TENANT, told, now)


def _tick(folder: Path) -> float:
    """Seconds of one tick of `DUE` runs."""
    folder.mkdir(parents=True)
    with shop(folder, DUE * 10 // 9 * 20 // 19) as (url, _, transactions):
        with transactions() as conn:
            hold_erasures(conn)
            locks.journeys(conn, TENANT)
            (version,) = (one for one in versions.live(conn, TENANT) if one.journey.journey_id == "wake")
            enter(conn, TENANT, version, [Candidate(name_of(n), "day:0") for n in range(DUE)], START)
        began = time.perf_counter()
        ticked = tick(transactions, TENANT, START)
        seconds = time.perf_counter() - began
        if ticked.moved != DUE:
            raise SystemExit(f"error: {ticked.moved} runs moved of {DUE} that were due in {url}")
    return seconds


def _kills(folder: Path) -> tuple[dict[str, int], int, int]:
    """Workers that are killed: broken rules, steps that somebody got twice, messages handed over again."""
    folder.mkdir(parents=True)
    notes = folder / "notes"
    rng = random.Random(7)
    with shop(folder, _KILLED_CONSUMERS) as (url, operations, _):
        for number in range(KILLS + 3):
            now = START + timedelta(hours=1, minutes=3 * number)
            child = os.fork()
            if child == 0:
                _work(url, notes, number, now)
            if number < KILLS:
                time.sleep(rng.uniform(0.02, _LONGEST_LIFE_S))
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        with operations.transaction(TENANT) as conn:
            broken = violations.count(conn, TENANT, START, now + timedelta(days=1))
            waiting = _number(conn, "select count(*) from journeys.message where state = 'waiting'")
            recorded = _number(conn, "select count(*) from journeys.message where sent_at is not null")
        handed = [line.split("\t") for line in notes.read_text().splitlines()]
    named = {message_id: tuple(rest) for message_id, *rest in handed}
    if waiting or len(named) != recorded:
        raise SystemExit(
            f"error: {waiting} messages wait, {len(named)} were handed over, {recorded} recorded"
        )
    texts = Counter((consumer, channel) for consumer, channel, _ in named.values())
    doubles = sum(count - 1 for count in texts.values())
    doubles += sum(named[message_id] != tuple(rest) for message_id, *rest in handed)
    return broken, doubles, len(handed) - len(named)


def _work(url: str, notes: Path, number: int, now: datetime) -> None:
    """A worker's life: connections of its own, people who enter, a tick, the outbox."""
    try:
        with Operations(url, size=2, timeout_s=60) as operations:
            transactions: ConnectionFactory = partial(operations.transaction, TENANT)
            with transactions() as conn:
                hold_erasures(conn)
                locks.journeys(conn, TENANT)
                first = number * _KILLED_CONSUMERS // KILLS
                found = [
                    Candidate(name_of(n), "once")
                    for n in range(first, min(first + 3 * _KILLED_CONSUMERS // KILLS, _KILLED_CONSUMERS))
                ]
                for version in versions.live(conn, TENANT):
                    if version.journey.journey_id == "wake":
                        enter(conn, TENANT, version, found, now)
            tick(transactions, TENANT, now, batch=50)
            outbox.hand_over_due(transactions, TENANT, dict.fromkeys(CHANNELS, Noting(notes)), now, batch=20)
    finally:
        os._exit(0)


def _number(conn: psycopg.Connection, query: str) -> int:
    row = conn.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    raise SystemExit(main())
