"""Everything that must happen once, by many at once: real threads, real connections."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from settlement_books import DUE, PAID, PAYDAY, RECEIVED, Books, plan
from settlement_sales import sale

from serving.db.operations import Operations
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.errors import IdempotencyConflictError
from serving.ledger.posting import Line, Posting, post
from serving.orders.settling import refund_line, release_due
from serving.settlement.books.accrual import accrue_orders
from serving.settlement.control.holds import confirm_hold, lift_hold, on_order, place_hold
from serving.settlement.errors import HoldResolvedError, PayoutResolvedError, RefundConflictError, RefundError
from serving.settlement.payouts import confirm_payout, fail_payout, prepare_payouts

NIGHTLY = bool(os.environ.get("MUYUN_NIGHTLY"))
PAYEES = (("supplier", "S1"), ("merchant", "m1"))


@pytest.fixture(scope="module")
def wide(module_database_url):
    """Enough connections for 32 workers."""
    with Operations(module_database_url, size=32, timeout_s=60) as made:
        yield made


@pytest.fixture
def busy(wide):
    books = Books(wide)
    for party in PAYEES:
        books.party(*party)
    return books


def at_once(calls):
    """Run every call in a thread of its own, all let go at the same moment; results or errors, in order."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        try:
            return call()
        except Exception as error:  # noqa: BLE001
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def sell(books, count, prefix="o"):
    orders = [sale(f"{prefix}{number}") for number in range(count)]
    with books.transactions() as conn:
        for order in orders:
            books.place_in(conn, order, status="received", received_at=RECEIVED, release_due_at=DUE)
        accrue_orders(conn, books.tenant, orders, plan(), PAID)
    return orders


def faults(results, *expected):
    return [r for r in results if isinstance(r, Exception) and not isinstance(r, expected)]


def test_one_refund_id_reverses_once(busy):
    sell(busy, 1)
    results = at_once(
        [lambda: busy.do(refund_line, "r1", "o0", 1, "S1", 10_000, DUE) for _ in range(6)]
        + [lambda: busy.do(refund_line, "r1", "o0", 1, "S1", 1, DUE) for _ in range(2)]
    )
    assert faults(results, RefundConflictError) == []
    assert sum(not isinstance(r, Exception) and r.is_new for r in results) == 1
    assert busy.rows("select count(*) from settlement.refund") == [(1,)]
    assert busy.violations() == []


def test_two_refunds_never_give_back_more_than_was_paid(busy):
    sell(busy, 1)
    results = at_once(
        [lambda n=n: busy.do(refund_line, f"r{n}", "o0", 1, "S1", 4_000, DUE) for n in range(8)]
    )
    assert faults(results, RefundError) == []
    assert sum(not isinstance(r, Exception) for r in results) == 2
    assert busy.rows("select refunded_cents from orders.customer_order") == [(8_000,)]
    assert busy.violations() == []


def test_one_refund_id_for_two_orders_is_a_conflict(busy):
    sell(busy, 8)
    results = at_once([lambda n=n: busy.do(refund_line, "r1", f"o{n}", 1, "S1", 100, DUE) for n in range(8)])
    assert faults(results, RefundConflictError, IdempotencyConflictError) == []
    assert sum(not isinstance(r, Exception) for r in results) == 1
    assert busy.violations() == []


def test_many_release_runs_release_everything_once(busy):
    orders = sell(busy, 60)
    results = at_once([lambda: release_due(busy.transactions, busy.tenant, DUE, 20) for _ in range(6)])
    results.append(busy.release())
    assert faults(results) == []
    assert sum(r.sub_orders for r in results) == len(orders)
    assert busy.rows("select count(*) from settlement.leg where state <> 'released'") == [(0,)]
    assert busy.balance("supplier_available", ("supplier", "S1")) == 6_000 * len(orders)
    assert busy.violations() == []


def test_refunds_pay_outs_and_releases_at_once_lose_nothing(busy):
    count = 300 if NIGHTLY else 24
    sell(busy, count)
    calls = []
    for n in range(count):
        calls.append(lambda n=n: busy.do(refund_line, f"a{n}", f"o{n}", 1, "S1", 10_000, DUE))
        if n % 4 == 0:
            calls.append(lambda: busy.release(DUE, 10))
            calls.append(lambda n=n: busy.do(prepare_payouts, f"b{n}", "simulated", PAYDAY))
    random.Random(7).shuffle(calls)
    results = []
    for start in range(0, len(calls), 16):
        results += at_once(calls[start : start + 16])
    assert faults(results) == []
    assert busy.violations() == []
    sent = busy.rows("select coalesce(sum(amount_cents), 0)::bigint from settlement.payout")[0][0]
    owed = busy.rows(
        "select -coalesce(sum(amount), 0)::bigint from ledger.account_balance"
        " where kind = 'clawback_receivable'"
    )[0][0]
    left = busy.rows(
        "select coalesce(sum(amount), 0)::bigint from ledger.account_balance"
        " where kind in ('supplier_available', 'merchant_available')"
    )[0][0]
    # Everything was refunded: whatever was sent is owed, whatever was not is not there.
    assert sent == owed - left
    assert busy.balance("channel_frozen") == 0


def test_a_pay_out_is_resolved_once(busy):
    sell(busy, 1)
    busy.release()
    for payout in busy.do(prepare_payouts, "b1", "simulated", PAYDAY):
        results = at_once(
            [lambda p=payout: busy.do(confirm_payout, p.payout_id, DUE) for _ in range(4)]
            + [lambda p=payout: busy.do(fail_payout, p.payout_id, DUE, "closed") for _ in range(4)]
        )
        assert faults(results, PayoutResolvedError) == []
    assert busy.balance("payout_in_transit") == 0
    states = {row[0] for row in busy.rows("select state from settlement.payout")}
    assert states <= {"paid", "failed"}
    assert busy.violations() == []


def test_one_batch_id_pays_once_and_batches_never_share_money(busy):
    sell(busy, 1)
    busy.release()
    results = at_once(
        [lambda n=n: busy.do(prepare_payouts, f"b{n // 4}", "simulated", PAYDAY) for n in range(8)]
    )
    assert faults(results) == []
    assert busy.rows("select party_id, amount_cents from settlement.payout order by 1") == [
        ("S1", 6_000),
        ("m1", 2_000),
    ]
    assert busy.violations() == []


def test_a_hold_is_resolved_once(busy):
    sell(busy, 1)
    hold = busy.do(place_hold, on_order("o0"), "risk", "score", PAID)
    results = at_once(
        [lambda: busy.do(confirm_hold, hold.hold_id, "a", DUE) for _ in range(4)]
        + [lambda: busy.do(lift_hold, hold.hold_id, "b", DUE) for _ in range(4)]
    )
    assert faults(results, HoldResolvedError) == []
    assert sum(isinstance(r, HoldResolvedError) for r in results) == 4
    state = busy.rows("select state from settlement.hold")[0][0]
    assert busy.balance("merchant_pending", ("merchant", "m1")) == (0 if state == "confirmed" else 2_000)
    assert busy.violations() == []


def test_a_hold_and_a_release_exclude_each_other(busy):
    """Either the hold came first and nothing is paid, or the release did and there is nothing to hold."""
    for n in range(40 if NIGHTLY else 6):
        sell(busy, 1, prefix=f"race{n}-")
        order_id = f"race{n}-0"
        at_once(
            [
                lambda o=order_id: busy.do(place_hold, on_order(o), "risk", "score", DUE),
                lambda: busy.release(),
            ]
        )
        held = busy.rows("select 1 from settlement.hold where target_id = %s", order_id)
        released = busy.rows(
            "select 1 from settlement.leg where order_id = %s and state = 'released'", order_id
        )
        assert not (held and released)
    assert busy.violations() == []


def test_the_same_order_is_accrued_once(busy):
    order = sale("o0")
    busy.place(order)
    results = at_once([lambda: busy.accrue(order) for _ in range(8)])
    assert faults(results) == []
    assert sum(r.is_new for r in results) == 1
    assert busy.violations() == []


def duplicate_keys(busy, keys, workers):
    """Every key three times from many workers, every tenth once more with another body."""
    supplier = Party("supplier", "S1")

    def call(key, cents):
        lines = [
            Line(AccountKind.CHANNEL_FROZEN, -cents),
            Line(AccountKind.SUPPLIER_PENDING, cents, supplier),
        ]
        try:
            with busy.transactions() as conn:
                return post(conn, busy.tenant, Posting(f"k{key}", "accrual", PAID, lines)).is_new
        except IdempotencyConflictError:
            return "conflict"

    jobs = [(key, 100) for key in range(keys) for _ in range(3)]
    random.Random(11).shuffle(jobs)
    with ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(lambda job: call(*job), jobs))
        changed = list(pool.map(lambda key: call(key, 101), range(0, keys, 10)))
    assert sum(answer is True for answer in answers) == keys
    assert "conflict" not in answers
    assert set(changed) == {"conflict"}
    assert busy.balance("supplier_pending", supplier) == 100 * keys
    assert busy.rows("select count(*) from ledger.transaction where kind = 'accrual'") == [(keys,)]


def test_duplicate_keys_book_once(busy):
    duplicate_keys(busy, 60, 8)


@pytest.mark.slow
def test_very_many_duplicate_keys_book_once(busy):
    duplicate_keys(busy, 10_000 if NIGHTLY else 2_000, 32)


@pytest.mark.slow
def test_very_many_races(busy):
    """Double reversal, double release, and refund against pay-out, over and over."""
    rounds = 10_000 if NIGHTLY else 300
    for n in range(rounds):
        order = sell(busy, 1, prefix=f"x{n}-")[0]
        results = at_once(
            [
                lambda o=order.order_id: busy.do(refund_line, f"r-{o}", o, 1, "S1", 5_001, DUE),
                lambda o=order.order_id: busy.do(refund_line, f"r-{o}", o, 1, "S1", 5_001, DUE),
                lambda: busy.release(),
                lambda: busy.release(),
                lambda k=n: busy.do(prepare_payouts, f"b{k}", "simulated", PAYDAY),
            ]
        )
        assert faults(results) == []
    busy.release()
    refunds, legs = busy.rows(
        "select (select count(*) from settlement.refund),"
        " (select count(*) from settlement.leg where state = 'pending')"
    )[0]
    assert (refunds, legs) == (rounds, 0)
    assert busy.violations() == []
