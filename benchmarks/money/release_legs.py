"""How long a release job takes for a million legs, and how many orders a second a replay accrues.

The sales differ in parties, prices and suppliers; a part of them cannot be released, as in real life.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.harness import OURS, Row, report
from serving.db import migrate
from serving.db.connect import DATABASE
from serving.db.embedded import EmbeddedPostgres
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import invariants
from serving.orders.settling import release_due
from serving.settings import Settings
from serving.settlement.books.accrual import accrue_orders
from serving.settlement.books.release import Released
from serving.settlement.plans.loader import plan_document
from serving.settlement.plans.profiles import load_shipped
from serving.settlement.plans.store import publish_plan
from serving.settlement.sharing.freeze import CartLine, freeze
from serving.settlement.sharing.snapshot import FreightSnapshot, OrderSnapshot, Parties, Party

LEGS = int(os.environ.get("MUYUN_BENCH_LEGS", "100000"))
ORDERS_A_TRANSACTION = 250
LINES = 9
SUPPLIERS = 60
AGENTS = 300
WORKERS = 2
UNVERIFIED_SHARE = 0.03
SEED = 20260301
TENANT = "default"
PAID = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECEIVED = PAID + timedelta(days=3)
DUE = RECEIVED + timedelta(days=7)
PROTOCOL = (
    f"About {LEGS:,} legs of orders with {LINES} lines of up to 3 of {SUPPLIERS} suppliers, sold by {AGENTS} "
    f"agents under the plan cn_strict; {UNVERIFIED_SHARE:.0%} of the agents are not verified, so that their "
    f"shares keep waiting. Accrual: bulk form, {ORDERS_A_TRANSACTION} orders a transaction, with legs and "
    f"postings, without the orders' own rows. Release: {WORKERS} runs at once, batches of 500 legs, each a "
    "transaction, points of the buyers included. wall_s_per_million is the wall time of all runs over the "
    "legs they released, in millions. Afterwards every invariant is checked over the whole database."
)


def main() -> int:
    """Run the benchmark; 0 when the books are sound and all that could be released was."""
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="muyun-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        url = cluster.connect_info().url(DATABASE)
        migrate.upgrade(url)
        with Operations(url, size=WORKERS + 1) as operations:
            accrual_s, orders, legs = _accrue(url, operations)
            print(f"  accrued {orders:,} orders, {legs:,} legs in {accrual_s:.1f} s", flush=True)
            release_s, released = _release(operations)
            print(f"  released {released.legs:,} legs in {release_s:.1f} s", flush=True)
            with operations.transaction(TENANT) as conn:
                violations = invariants.check(conn, TENANT)
                left = _releasable(conn)
    rows = [
        Row(OURS, "wall_s_per_million", release_s / released.legs * 1e6, "s"),
        Row(OURS, "released_legs", float(released.legs), "legs"),
        Row(OURS, "released_legs_per_s", released.legs / release_s, "1/s"),
        Row(OURS, "accrued_orders_per_s", orders / accrual_s, "1/s"),
        Row(OURS, "accrued_legs_per_s", legs / accrual_s, "1/s"),
        Row(OURS, "violations", float(len(violations)), "count"),
        Row(OURS, "left_behind", float(left), "legs"),
    ]
    report(
        Settings().home,
        name="release_legs",
        protocol=PROTOCOL,
        rows=rows,
        wall_s=time.perf_counter() - started,
    )
    for violation in violations[:10]:
        sys.stderr.write(f"error: {violation.invariant}: {violation.rule}: {violation.subject}\n")
    return 1 if violations or left else 0


def _accrue(url: str, operations: Operations) -> tuple[float, int, int]:
    """Parties, orders and their legs; seconds spent in accrual, orders, legs."""
    plan = load_shipped("cn_strict")
    draw = random.Random(SEED)
    with operations.transaction(TENANT) as conn:
        publish_plan(conn, TENANT, plan_document(plan), PAID - timedelta(days=900))
    _write_parties(url, draw)
    spent = 0.0
    orders = legs = 0
    while legs < LEGS:
        chunk = [_order(draw, orders + number) for number in range(ORDERS_A_TRANSACTION)]
        _write_orders(url, chunk)
        begun = time.perf_counter()
        with operations.transaction(TENANT) as conn:
            accrued = accrue_orders(conn, TENANT, chunk, plan)
        spent += time.perf_counter() - begun
        orders += len(chunk)
        legs += sum(len(one.legs) for one in accrued)
    return spent, orders, legs


def _release(operations: Operations) -> tuple[float, Released]:
    begun = time.perf_counter()
    run = partial(release_due, partial(operations.transaction, TENANT), TENANT, DUE)
    with ThreadPoolExecutor(WORKERS) as pool:
        runs = list(pool.map(lambda _: run(), range(WORKERS)))
    wall_s = time.perf_counter() - begun
    total = Released()
    for done in runs:
        total = total.plus(done)
    return wall_s, total


def _releasable(conn: psycopg.Connection) -> int:
    row = conn.execute(
        "select count(*) from settlement.leg l left join parties.party p on p.tenant_id = l.tenant_id"
        " and p.party_type = l.payee_type and p.party_id = l.payee_id"
        " where l.tenant_id = %s and l.state = 'pending' and (l.payee_type = 'platform' or p.is_verified)",
        (TENANT,),
    ).fetchone()
    return int(row[0]) if row else 0


def _order(draw: random.Random, number: int) -> OrderSnapshot:
    shops = draw.sample(range(SUPPLIERS), draw.randint(1, 3))
    cart = []
    for line_no in range(1, LINES + 1):
        price = draw.randint(300, 30_000)
        supply = price * draw.randint(45, 80) // 100
        cart.append(CartLine(line_no, f"k{line_no}", (), f"s{draw.choice(shops):03}", 1, price, supply))
    agent, upline = draw.sample(range(AGENTS), 2)
    return freeze(
        order_id=f"o{number:07}",
        merchant_id=f"m{number % 20}",
        consumer_id=f"c{number % 5_000}",
        paid_at=PAID,
        cart=cart,
        freights=[FreightSnapshot(cart[0].supplier_id, 800)],
        fee_rate_bps=60,
        parties=Parties(Party("agent", f"a{agent}"), upline=(Party("agent", f"a{upline}"),)),
    )


def _write_parties(url: str, draw: random.Random) -> None:
    rows = [(TENANT, "supplier", f"s{number:03}", True) for number in range(SUPPLIERS)]
    rows += [(TENANT, "agent", f"a{n}", draw.random() >= UNVERIFIED_SHARE) for n in range(AGENTS)]
    with psycopg.connect(libpq_url(url)) as conn, conn.cursor() as cursor:
        copied = "copy parties.party (tenant_id, party_type, party_id, is_verified) from stdin"
        with cursor.copy(copied) as copy:
            for row in rows:
                copy.write_row(row)


def _write_orders(url: str, orders: list[OrderSnapshot]) -> None:
    """What the order service leaves of received orders, written as the owner of the tables."""
    with psycopg.connect(libpq_url(url)) as conn, conn.cursor() as cursor:
        with cursor.copy(
            "copy orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel, source,"
            " status, placed_at, paid_at, payable_cents, captured_cents, freight_cents) from stdin"
        ) as copy:
            for order in orders:
                freight = sum(one.cents for one in order.freights)
                copy.write_row(
                    (TENANT, order.order_id, order.merchant_id, order.consumer_id, "other", "replay",
                     "received", PAID, PAID, order.captured_cents, order.captured_cents, freight)
                )  # fmt: skip
        with cursor.copy(
            "copy orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
            " list_price_cents, net_paid_cents, supply_price_cents) from stdin"
        ) as copy:
            for order in orders:
                for line in order.lines:
                    copy.write_row(
                        (TENANT, order.order_id, line.line_no, line.sku_id, line.supplier_id, line.qty,
                         line.list_price_cents, line.net_paid_cents, line.supply_price_cents)
                    )  # fmt: skip
        with cursor.copy(
            "copy orders.sub_order (tenant_id, order_id, supplier_id, status, freight_cents, received_at,"
            " release_due_at) from stdin"
        ) as copy:
            for order in orders:
                freights = {one.supplier_id: one.cents for one in order.freights}
                for supplier in sorted({line.supplier_id for line in order.lines}):
                    freight = freights.get(supplier, 0)
                    copy.write_row((TENANT, order.order_id, supplier, "received", freight, RECEIVED, DUE))


if __name__ == "__main__":
    raise SystemExit(main())
