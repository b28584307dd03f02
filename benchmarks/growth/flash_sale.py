"""Ten thousand buyers for a hundred units, and groups that fill or end: sold once, paid back once."""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.harness import OURS, Row, report
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.ledger import invariants
from serving.orders.assortment import catalogue, stock
from serving.orders.coupons.programme import Share
from serving.orders.errors import ImpossibleMoveError, PromotionSoldOutError
from serving.orders.paying import payments
from serving.orders.placing import placing
from serving.orders.promotions import records
from serving.orders.promotions.claims import Wanted
from serving.orders.promotions.document import NewPromotion
from serving.orders.promotions.ending import end_groups_due
from serving.settings import Settings
from serving.settlement.plans.profiles import load_shipped, shipped_text
from serving.settlement.plans.store import publish_plan

BUYERS = int(os.environ.get("MUYUN_BENCH_BUYERS", "10000"))
UNITS = int(os.environ.get("MUYUN_BENCH_UNITS", "100"))
GROUPS = int(os.environ.get("MUYUN_BENCH_GROUPS", "100"))
PROCESSES, THREADS = 4, 16
SIZE = 3
"""Buyers of a group."""
TENANT, MERCHANT, START = "default", "m1", datetime(2026, 1, 1, tzinfo=UTC)
DUE = START + timedelta(hours=1)
STEP_S = 0.1
"""Seconds from the due time of one group to that of the next."""
PEER = "counter_row"
PROTOCOL = (
    f"{BUYERS} buyers for {UNITS} units from {PROCESSES} processes of {THREADS} threads, let go at once: "
    "each places one order by the product's own function, in a transaction of its own, on an embedded "
    f"PostgreSQL. {PEER}: the same orders of a promotion with more units than buyers, behind a counter that "
    "is read FOR UPDATE and lowered in the same transaction. requests_per_s is all buyers over the time from "
    "the first to the last; while_selling is how many had their answer a second until the last unit was "
    "sold. oversold is orders beyond the units, and units or reserved stock that do not fit the orders. Then "
    f"{GROUPS} groups of {SIZE} with all but one paid: {PROCESSES} processes pay the last ones when they "
    f"fall due, {PROCESSES} end what is due and are killed at random moments; group_double is groups that "
    "are complete with an order that is not paid, or ended with one that was not paid back in full, once. "
    "Every invariant of the ledger afterwards."
)


@dataclass(frozen=True)
class Answer:
    """What one buyer got, and when, by the monotonic clock of the machine."""

    bought: bool
    began: float
    ended: float


def main() -> int:
    """Run the benchmark; 0 when nothing was oversold or doubled, nothing failed and the books are sound."""
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        with Operations(url, size=2, timeout_s=120) as operations:
            _open_shop(operations)
            flash = _promote(operations, "flash_sale", "flash", UNITS)
            ours = _rush(url, "flash", flash)
            oversold = _oversold(operations, flash)
            _make_counter(url)
            naive = _rush(url, "naive", _promote(operations, "flash_sale", "naive", BUYERS))
            naive_sold = sum(answer.bought for answer in naive)
            group_double, ends = _groups(url, operations)
            with operations.transaction(TENANT) as conn:
                broken = [f"{found}" for found in invariants.check(conn, TENANT)]
    sold = sum(answer.bought for answer in ours)
    report(
        Settings().home,
        name="flash_sale",
        protocol=PROTOCOL,
        rows=[
            Row(OURS, "oversold", float(oversold), "count"),
            Row(OURS, "sold", float(sold), "count"),
            *_speed(OURS, ours),
            Row(PEER, "sold", float(naive_sold), "count"),
            *_speed(PEER, naive),
            Row(OURS, "ratio_to_counter_row", _rate(ours) / _rate(naive), "ratio"),
            Row(OURS, "group_double", float(group_double), "count"),
            Row(OURS, "groups_complete", float(ends["complete"]), "count"),
            Row(OURS, "groups_ended", float(ends["ended"]), "count"),
            Row(OURS, "violations", float(len(broken)), "count"),
        ],
        wall_s=time.perf_counter() - started,
    )
    for line in broken[:10]:
        sys.stderr.write(f"error: {line}\n")
    is_whole = sold == UNITS and ends.total() == GROUPS and not ends["open"]
    return 0 if is_whole and not (oversold or group_double or broken) else 1


def _open_shop(operations: Operations) -> None:
    with operations.transaction(TENANT) as conn:
        plan = publish_plan(conn, TENANT, shipped_text("cn_strict"), START)
        conn.execute(
            "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id, effective_at)"
            " values (%s, '', %s, %s)",
            (TENANT, plan.plan_id, START),
        )
        for sku in ("flash", "naive", "group"):
            catalogue.put_products(conn, TENANT, [catalogue.Product(sku, sku, ("leaf",))])
            catalogue.put_listings(conn, TENANT, [catalogue.Listing(MERCHANT, sku, 10_000)])
            catalogue.put_offers(conn, TENANT, [catalogue.Offer("S1", sku, 4_000, 0, 1, START)])
            stock.report_stock(conn, TENANT, "S1", [stock.StockReport(sku, 10**6, 0, START)], START)


def _promote(operations: Operations, kind: Any, sku: str, units: int, **more: int) -> str:
    new = NewPromotion(
        merchant_id=MERCHANT,
        kind=kind,
        title=kind,
        sku_ids=(sku,),
        starts_at=START - timedelta(hours=1),
        ends_at=START + timedelta(days=1),
        funders=(Share(party_type="merchant", share_bps=10_000, party_id=MERCHANT),),
        budget_cents=10**9,
        budget_count=10**6,
        price_cents=9_000,
        stock_qty=units,
        **more,
    )
    with operations.transaction(TENANT) as conn:
        made = records.propose(conn, TENANT, new, ("merchant", MERCHANT), "key:a", START)
        records.approve(conn, TENANT, made.promotion_id, "key:b", START)
    return made.promotion_id


# The rush ---------------------------------------------------------------------------------------------------


def _rush(url: str, sku: str, promotion_id: str) -> list[Answer]:
    """Every buyer once, from all processes at once."""
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(PROCESSES)
    answers: multiprocessing.Queue[list[Answer]] = context.Queue()
    workers = [
        context.Process(target=_buyers, args=(url, sku, promotion_id, number, begin, answers))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    return [answer for some in found for answer in some]


def _buyers(url: str, sku: str, promotion_id: str, process: int, begin: Barrier, answers: Any) -> None:
    """The buyers of one process."""
    plan = load_shipped("cn_strict")
    mine = range(process, BUYERS, PROCESSES)

    def buy(number: int) -> Answer:
        name = f"{sku}-{number}"
        wanted = Wanted(promotion_id)
        lines = [placing.WantedLine(sku, 1)]
        order = placing.NewOrder(name, MERCHANT, f"c-{name}", lines, promotion=wanted)
        began = time.monotonic()
        try:
            with operations.transaction(TENANT) as conn:
                if sku == "naive":
                    _count_down(conn)
                placing.place_order(conn, TENANT, order, plan, START)
        except PromotionSoldOutError:
            return Answer(False, began, time.monotonic())
        return Answer(True, began, time.monotonic())

    with Operations(url, size=THREADS, timeout_s=600) as operations, ThreadPoolExecutor(THREADS) as pool:
        with operations.transaction(TENANT):
            begin.wait()
        answers.put(list(pool.map(buy, mine)))


def _make_counter(url: str) -> None:
    """The peer's counter, in a schema of its own."""
    with psycopg.connect(url.replace("+psycopg", "")) as conn:
        conn.execute("create schema bench")
        conn.execute("create table bench.counter (left_qty integer not null)")
        conn.execute("insert into bench.counter values (%s)", (UNITS,))
        conn.execute("grant usage on schema bench to muyun_app")
        conn.execute("grant select, update on bench.counter to muyun_app")


def _count_down(conn: psycopg.Connection) -> None:
    row = conn.execute("select left_qty from bench.counter for update").fetchone()
    if row is None or row[0] == 0:
        raise PromotionSoldOutError("counter", "bench")
    conn.execute("update bench.counter set left_qty = left_qty - 1")


def _rate(answers: Sequence[Answer]) -> float:
    return len(answers) / (max(one.ended for one in answers) - min(one.began for one in answers))


def _speed(system: str, answers: Sequence[Answer]) -> list[Row]:
    began = min(one.began for one in answers)
    last = max(one.ended for one in answers if one.bought)
    answered = sum(one.ended <= last for one in answers)
    waits = [1_000 * (one.ended - one.began) for one in answers if not one.bought]
    cuts = statistics.quantiles(waits, n=100)
    return [
        Row(system, "requests_per_s", _rate(answers), "per s"),
        Row(system, "while_selling", answered / (last - began), "per s"),
        Row(system, "selling_s", last - began, "s"),
        Row(system, "refused_p50_ms", cuts[49], "ms"),
        Row(system, "refused_p99_ms", cuts[98], "ms"),
    ]


def _oversold(operations: Operations, promotion_id: str) -> int:
    """Orders beyond the units, units beyond the orders, and what is reserved beyond both."""
    with operations.transaction(TENANT) as conn:
        row = conn.execute(
            "select (select count(*) from promotions.claim where promotion_id = %(id)s and state = 'taken'),"
            " (select count(order_id) from promotions.unit where promotion_id = %(id)s),"
            " (select count(distinct order_id) from promotions.unit where promotion_id = %(id)s),"
            " (select reserved_qty from orders.stock where sku_id = 'flash')",
            {"id": promotion_id},
        ).fetchone()
    assert row is not None
    claims, units, orders, reserved = row
    return max(0, claims - UNITS) + (units - orders) + abs(claims - units) + abs(reserved - claims)


# Groups -----------------------------------------------------------------------------------------------------


def _groups(url: str, operations: Operations) -> tuple[int, Counter[str]]:
    """Groups that want one payment, while others end them and die; what is wrong, and how they ended.

    Group number k is opened k seconds after the first and falls due k steps after the start of the race; that
    is when its last buyer pays.
    """
    promotion_id = _promote(
        operations, "group_buy", "group", GROUPS * SIZE, group_size=SIZE, group_minutes=60
    )
    plan = load_shipped("cn_strict")
    for group in range(GROUPS):
        at = START + timedelta(seconds=group)
        joined: str | None = None
        for buyer in range(SIZE):
            name = f"g-{group}-{buyer}"
            wanted = Wanted(promotion_id, joined)
            lines = [placing.WantedLine("group", 1)]
            order = placing.NewOrder(name, MERCHANT, f"c-{name}", lines, promotion=wanted)
            with operations.transaction(TENANT) as conn:
                placing.place_order(conn, TENANT, order, plan, at)
                row = conn.execute(
                    "select group_id from promotions.claim where order_id = %s", (name,)
                ).fetchone()
            joined = row[0] if row else None
            if buyer < SIZE - 1:
                _pay(operations, name)
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(2 * PROCESSES + 1)
    payers = [context.Process(target=_payers, args=(url, number, begin)) for number in range(PROCESSES)]
    enders = [context.Process(target=_ender, args=(url, begin)) for _ in range(PROCESSES)]
    for worker in (*payers, *enders):
        worker.start()
    begin.wait()
    draw = random.Random(1)
    for ender in enders[1:]:
        time.sleep(draw.uniform(0, GROUPS * STEP_S / PROCESSES))
        ender.kill()
    for worker in payers:
        worker.join()
    for worker in enders:
        worker.kill()
        worker.join()
    end_groups_due(lambda: operations.transaction(TENANT), TENANT, DUE + timedelta(hours=1))
    return _judged(operations, promotion_id)


def _payers(url: str, process: int, begin: Barrier) -> None:
    """Pay the last buyers of some groups, each when its group falls due."""
    draw = random.Random(process)
    with Operations(url, size=1, timeout_s=600) as operations:
        begin.wait()
        began = time.monotonic()
        for group in range(process, GROUPS, PROCESSES):
            wait = began + STEP_S * (group + draw.uniform(-1, 1)) - time.monotonic()
            time.sleep(max(0.0, wait))
            try:
                _pay(operations, f"g-{group}-{SIZE - 1}")
            except ImpossibleMoveError:
                continue  # the end was first, and cancelled it


def _ender(url: str, begin: Barrier) -> None:
    """End what is due until somebody kills it; business time goes a second a step."""
    with Operations(url, size=1, timeout_s=600) as operations:
        begin.wait()
        began = time.monotonic()
        while True:
            now = DUE + timedelta(seconds=(time.monotonic() - began) / STEP_S)
            end_groups_due(lambda: operations.transaction(TENANT), TENANT, now)
            time.sleep(STEP_S / 5)


def _pay(operations: Operations, order_id: str) -> None:
    at = DUE - timedelta(minutes=1)
    payment = payments.Payment(f"pay-{order_id}", order_id, payments.SIMULATED, 9_000, 0, at)
    with operations.transaction(TENANT) as conn:
        payments.take_payment(conn, TENANT, payment, at)


def _judged(operations: Operations, promotion_id: str) -> tuple[int, Counter[str]]:
    """Groups whose orders do not fit their end, and how groups ended."""
    with operations.transaction(TENANT) as conn:
        rows = conn.execute(
            "select g.status, array_agg(o.status), bool_or(o.refunded_cents > 0),"
            " bool_and(o.refunded_cents = o.captured_cents), count(*) from promotions.buying_group g"
            " join promotions.claim c using (tenant_id, group_id)"
            " join orders.customer_order o using (tenant_id, order_id)"
            " where g.promotion_id = %s group by g.group_id, g.status",
            (promotion_id,),
        ).fetchall()
    wrong = 0
    for status, orders, any_back, all_back, count in rows:
        is_sold = set(orders) == {"paid"} and not any_back and count == SIZE
        is_back = set(orders) <= {"refunded", "cancelled"} and all_back
        wrong += not (is_sold if status == "complete" else is_back)
    return wrong, Counter(row[0] for row in rows)
