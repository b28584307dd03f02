"""Bills of the simulated channel against the books: every fault found and typed, nothing else."""

import datetime as dt
import os

import psycopg
import pytest

from benchmarks.money.reconciliation import FAULTS
from benchmarks.money.synthetic_books import DAY, TENANT, as_application, make_books
from serving.db.urls import libpq_url
from serving.settlement.channel.bill import (
    Bill,
    BillConflictError,
    BillLine,
    BillRefusedError,
    as_csv,
    load_bill,
)
from serving.settlement.channel.reconciliation import (
    ReconciliationConflictError,
    UnknownBillError,
    breaks_of,
    find_reconciliation,
    reconcile,
)
from serving.settlement.channel.simulator import bill_blocks, simulate_bill

RECORDS = 200_000 if os.environ.get("MUYUN_NIGHTLY") == "1" else 20_000
NEXT_DAY = DAY + dt.timedelta(days=1)


@pytest.fixture(scope="module")
def many(module_database_url):
    """The books of a busy day; every run takes a bill id of its own."""
    url = libpq_url(module_database_url)
    return url, make_books(url, RECORDS)


@pytest.fixture
def few(database_url):
    """Small books, which a test may damage."""
    url = libpq_url(database_url)
    return url, make_books(url, 300)


def simulated(url, bill, faults=None):
    """What was injected, and the bill as text."""
    with as_application(url) as conn:
        injected = {tuple(fault) for fault in simulate_bill(conn, TENANT, bill, faults)}
        return injected, b"".join(bill_blocks(conn))


def compared(url, bill, text, run_id=None):
    """The run and its differences as a set of (type, kind, reference)."""
    with as_application(url) as conn:
        loaded = load_bill(conn, TENANT, bill, [text])
        run = reconcile(
            conn, TENANT, bill_id=loaded.bill_id, run_id=run_id or loaded.bill_id, as_of=bill.bill_to
        )
        found = breaks_of(conn, TENANT, run.run_id, limit=10**6)
    return run, {tuple(row[:3]) for row in found}


def as_owner(url, statement, *values):
    with psycopg.connect(url) as conn:
        return conn.execute(statement, values).rowcount


def lines_of(text):
    return [line.split(",") for line in text.decode().splitlines()[1:]]


def from_lines(lines):
    return as_csv(
        BillLine(kind, ref, int(cents), int(fee), dt.datetime.fromisoformat(at))
        for kind, ref, cents, fee, at in lines
    )


def renamed(bill, bill_id):
    return Bill(bill_id, bill.adapter, bill.bill_from, bill.bill_to)


def test_a_true_bill_agrees_with_everything(many):
    url, bill = many
    injected, text = simulated(url, bill)
    run, found = compared(url, renamed(bill, "true"), text)
    assert injected == set()
    assert found == set()
    assert run.breaks == {}
    assert run.difference_cents == 0
    assert run.lines == run.records == len(lines_of(text)) > 0.95 * RECORDS


def test_every_injected_fault_is_found_and_typed_and_nothing_else(many):
    url, bill = many
    injected, text = simulated(url, bill, FAULTS)
    run, found = compared(url, renamed(bill, "faulty"), text)
    assert found == injected
    assert {break_type for break_type, _, _ in injected} == {
        "missing_in_bill",
        "missing_in_ledger",
        "amount_differs",
        "fee_differs",
        "duplicate_in_bill",
        "status_differs",
        "timing",
    }
    assert sum(run.breaks.values()) == len(injected) > 0.008 * RECORDS


def test_the_difference_is_that_of_two_sums(many):
    url, bill = many
    _, text = simulated(url, bill, FAULTS)
    _, true_text = simulated(url, bill)

    def net(lines):
        return sum(int(line[2]) if line[0] == "payment" else -int(line[2]) for line in lines)

    run, _ = compared(url, renamed(bill, "faulty"), text, run_id="difference")
    assert run.difference_cents == net(lines_of(text)) - net(lines_of(true_text)) != 0


def test_each_fault_by_hand(few):
    url, bill = few
    _, text = simulated(url, bill)
    lines = lines_of(text)
    payments = [line for line in lines if line[0] == "payment"]
    dropped, dearer, costlier, twice = payments[:4]
    lines.remove(dropped)
    dearer[2] = str(int(dearer[2]) + 1)
    costlier[3] = str(int(costlier[3]) - 1)
    lines.append(list(twice))
    lines.append(["payment", "nobody-knows", "100", "1", lines[0][4]])
    failed = failed_payout(url)
    lines.append(["payout", failed, "100", "0", lines[0][4]])
    run, found = compared(url, bill, b"".join(from_lines(lines)))
    assert found == {
        ("missing_in_bill", "payment", dropped[1]),
        ("amount_differs", "payment", dearer[1]),
        ("fee_differs", "payment", costlier[1]),
        ("duplicate_in_bill", "payment", twice[1]),
        ("missing_in_ledger", "payment", "nobody-knows"),
        ("status_differs", "payout", failed),
        ("amount_differs", "payout", failed),
    }
    assert run.difference_cents == -int(dropped[2]) + 1 + int(twice[2]) + 100 - 100


def failed_payout(url):
    with psycopg.connect(url) as conn:
        return conn.execute("select min(payout_id) from settlement.payout where state = 'failed'").fetchone()[
            0
        ]


def test_the_ledger_is_the_third_side(few):
    url, bill = few
    _, text = simulated(url, bill)
    references = sorted(line[1] for line in lines_of(text) if line[0] == "payment")
    more, fee, alone = references[:3]
    as_owner(url, "update orders.payment set captured_cents = captured_cents + 7 where payment_id = %s", more)
    as_owner(url, "update orders.payment set fee_cents = fee_cents + 2 where payment_id = %s", fee)
    with psycopg.connect(url) as conn:
        conn.execute("select set_config('muyun.tenant', %s, true)", (TENANT,))
        conn.execute("set local session_replication_role = replica")
        conn.execute(
            "update ledger.transaction t set idempotency_key = 'lost' from orders.payment p"
            " where p.payment_id = %s and t.order_id = p.order_id and t.kind = 'accrual'",
            (alone,),
        )
        accounts = [
            conn.execute("select ledger.open_account(%s, %s, 'platform', '')", (TENANT, kind)).fetchone()[0]
            for kind in ("channel_available", "platform_fee")
        ]
        conn.execute(
            "select ledger.post(%s, 'manual:x', '\\x00', 'correction', null, %s, %s, %s)",
            (TENANT, DAY + dt.timedelta(hours=3), accounts, [-500, 500]),
        )
    _, found = compared(url, bill, text)
    assert found == {
        ("amount_differs", "payment", more),
        ("booked_amount_differs", "payment", more),
        ("fee_differs", "payment", fee),
        ("booked_fee_differs", "payment", fee),
        ("not_booked", "payment", alone),
        ("booked_without_record", "accrual", "lost"),
        ("booked_without_record", "correction", "manual:x"),
    }


def test_what_slips_into_the_next_bill_is_timing_until_it_is_missing(few):
    url, bill = few
    minute = dt.timedelta(minutes=1)
    as_owner(
        url,
        "update orders.payment set paid_at = %s where payment_id = any(%s)",
        bill.bill_to - minute,
        ["p1", "p2"],
    )
    _, text = simulated(url, bill)
    lines = lines_of(text)
    late, lost = (next(line for line in lines if line[1] == ref) for ref in ("p1", "p2"))
    lines = [line for line in lines if line not in (late, lost)]
    _, first = compared(url, bill, b"".join(from_lines(lines)))
    assert first == {("timing", "payment", "p1"), ("timing", "payment", "p2")}

    tomorrow = Bill("tomorrow", bill.adapter, NEXT_DAY, NEXT_DAY + dt.timedelta(days=1))
    _, rest = simulated(url, tomorrow)
    _, second = compared(url, tomorrow, b"".join(from_lines([*lines_of(rest), late])))
    assert second == {("timing", "payment", "p1"), ("missing_in_bill", "payment", "p2")}


def test_an_old_record_in_a_new_bill_is_timing_not_unknown(few):
    url, bill = few
    as_owner(
        url, "update orders.payment set paid_at = %s where payment_id = 'p1'", DAY - dt.timedelta(days=9)
    )
    _, text = simulated(url, bill)
    with psycopg.connect(url) as conn:
        cents, fee = conn.execute(
            "select captured_cents, fee_cents from orders.payment where payment_id = 'p1'"
        ).fetchone()
    lines = [*lines_of(text), ["payment", "p1", str(cents), str(fee), DAY.isoformat()]]
    run, found = compared(url, bill, b"".join(from_lines(lines)))
    assert found == {("timing", "payment", "p1")}
    assert run.difference_cents == cents


def test_another_channel_and_another_tenant_are_left_alone(few):
    url, bill = few
    _, text = simulated(url, bill)
    as_owner(url, "update orders.payment set adapter = 'other' where payment_id = 'p1'")
    _, found = compared(url, bill, text)
    assert found == {("missing_in_ledger", "payment", "p1")}
    with psycopg.connect(url) as conn:
        conn.execute("set local role muyun_app")
        conn.execute("select set_config('muyun.tenant', 'another', true)")
        with pytest.raises(UnknownBillError):
            reconcile(conn, "another", bill_id=bill.bill_id, run_id="r", as_of=DAY)


def test_a_bill_is_loaded_once_per_content(few):
    url, bill = few
    _, text = simulated(url, bill)
    with as_application(url) as conn:
        first = load_bill(conn, TENANT, bill, [text])
        again = load_bill(conn, TENANT, bill, [text[:1000], text[1000:]])
        other_name = load_bill(conn, TENANT, renamed(bill, "other"), [text])
    assert first.is_new
    assert not again.is_new
    assert (other_name.bill_id, other_name.lines) == (first.bill_id, first.lines)
    with as_application(url) as conn, pytest.raises(BillConflictError, match="other content"):
        load_bill(conn, TENANT, bill, [b"".join(from_lines(lines_of(text)[1:]))])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"payment,p,1.5,0,2026-01-05T00:00:00Z\n", "amount_cents"),
        (b"gift,p,100,0,2026-01-05T00:00:00Z\n", "line 1"),
        (b"payment,p,0,0,2026-01-05T00:00:00Z\n", "above 0"),
        (b"payment,,100,0,2026-01-05T00:00:00Z\n", "reference"),
        (b'payment,"",100,0,2026-01-05T00:00:00Z\n', "line 1"),
        (b"payment,p,100,0,yesterday or so\n", "occurred_at"),
        (b"payment,p,100\n", "missing data"),
        (b"payment,p,99999999999999999999,0,2026-01-05T00:00:00Z\n", "out of range"),
    ],
)
def test_a_line_that_cannot_be_read_refuses_the_bill(few, line, says):
    url, bill = few
    header = b"kind,reference,amount_cents,fee_cents,occurred_at\n"
    with as_application(url) as conn, pytest.raises(BillRefusedError, match=says):
        load_bill(conn, TENANT, bill, [header, line])
    with pytest.raises(BillRefusedError, match="covers no time"), as_application(url) as conn:
        load_bill(conn, TENANT, Bill("b", "simulated", DAY, DAY), [header])


def test_a_run_id_is_used_once(few):
    url, bill = few
    _, text = simulated(url, bill)
    compared(url, bill, text, run_id="r")
    with as_application(url) as conn:
        again = reconcile(conn, TENANT, bill_id=bill.bill_id, run_id="r", as_of=NEXT_DAY)
        assert not again.is_new
        assert again == find_reconciliation(conn, TENANT, "r")
        with pytest.raises(ReconciliationConflictError):
            reconcile(conn, TENANT, bill_id="another", run_id="r", as_of=NEXT_DAY)
