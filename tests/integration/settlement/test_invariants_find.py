"""Each invariant query finds what it is about: the owner of the server breaks the books on purpose."""

import psycopg
import pytest
from settlement_books import PAID, PAYDAY
from settlement_sales import sale

from serving.db.urls import libpq_url
from serving.ledger import invariants
from serving.ledger.accounts import Party
from serving.orders.settling import refund_line
from serving.settlement.control.holds import on_order, place_hold
from serving.settlement.payouts import prepare_payouts


@pytest.fixture
def tampered(books, module_database_url):
    """Run statements as the owner, with triggers and foreign keys off, constraints of the tables dropped."""
    books.party("supplier", "S1")
    books.party("merchant", "m1")
    books.sell(sale("o1"))
    books.sell(sale("o2"))
    books.sell(sale("o3"), status="paid")
    books.do(refund_line, "r1", "o1", 1, "S1", 1_000, PAID)
    books.release()
    books.do(prepare_payouts, "b1", "simulated", PAYDAY)
    books.do(place_hold, on_order("o3"), "risk", "score", PAID)
    assert books.violations() == []

    def run(statement):
        with psycopg.connect(libpq_url(module_database_url), autocommit=False) as conn:
            conn.execute("set session_replication_role = replica")
            conn.execute(statement.replace(":tenant", f"'{books.tenant}'"))
            conn.execute("set role muyun_app")
            conn.execute("select set_config('muyun.tenant', %s, true)", (books.tenant,))
            found = {violation.invariant for violation in invariants.check(conn, books.tenant)}
            conn.rollback()
        return found

    return run


ENTRY = (
    "ledger.entry e set {} from ledger.transaction t"
    " where t.transaction_id = e.transaction_id and t.tenant_id = :tenant and e.entry_no = 1"
)
LEG = "update settlement.leg set {} where tenant_id = :tenant"
CASES = [
    ("L1", "update " + ENTRY.format("amount = amount + 1")),
    ("L2", "update " + ENTRY.format("unit = 'PT'")),
    ("L3", "drop trigger entry_is_append_only on ledger.entry"),
    ("L3", "grant update on ledger.entry to muyun_app"),
    ("L4", "update ledger.balance set amount = amount + 1 where tenant_id = :tenant and guard = 1"),
    ("L5", "alter table ledger.balance drop constraint balance_guard;"
           " update ledger.balance set amount = -1 where tenant_id = :tenant and guard = 1"),
    ("L6", "update ledger.transaction set request_hash = 'x' where tenant_id = :tenant"),
    ("L7", "alter table settlement.hold drop constraint resolved_holds_know_when;"
           " update settlement.hold set resolved_at = now() where tenant_id = :tenant"),
    ("L8", "delete from settlement.leg_reversal where tenant_id = :tenant"),
    ("L9", LEG.format("amount_cents = amount_cents + 1")),
    ("L9", LEG.format("is_unfrozen = false")),
    ("L9", "update settlement.refund set refund_cents = refund_cents + 1 where tenant_id = :tenant"),
    ("L10", LEG.format("amount_cents = amount_cents + 3000") + " and kind = 'direct'"),
    ("L11", LEG.format("released_at = released_at - interval '1 second'")),
    ("L12", "update settlement.plan_version set document = '{}' where tenant_id = :tenant"),
    ("L12", "delete from settlement.plan_version where tenant_id = :tenant"),
    ("L13", "insert into settlement.statement values"
            " (:tenant, 'supplier', 'S1', '2026-01-01', '2026-02-01', 0, 5, '{}', now()),"
            " (:tenant, 'supplier', 'S1', '2026-02-01', '2026-03-01', 6, 5, '{}', now())"),
    ("L14", "update orders.customer_order set captured_cents = captured_cents + 1 where tenant_id = :tenant"),
    ("L14", "update settlement.payout set amount_cents = amount_cents + 1 where tenant_id = :tenant"),
    ("L16", "update " + ENTRY.format("account_id = -1")),
    ("L17", "insert into orders.loss_budget values (:tenant, 'm1', '2026-01-01', 5, 5)"),
    ("L18", "insert into orders.offer (tenant_id, supplier_id, sku_id, supply_price_cents, lead_time_days,"
            " source_at) values (:tenant, 'S1', 'never approved', 1, 1, now())"),
    ("L18", "insert into orders.payment (tenant_id, payment_id, order_id, adapter, captured_cents, fee_cents,"
            " paid_at) select tenant_id, 'p', order_id, 'wechat', 1, 0, now() from orders.customer_order"
            " where tenant_id = :tenant and order_id = 'o1'"),
    ("L18", "update ledger.transaction set idempotency_key = 'manual:nobody' where transaction_id ="
            " (select min(transaction_id) from ledger.transaction where tenant_id = :tenant)"),
]  # fmt: skip


@pytest.mark.parametrize(("invariant", "statement"), CASES)
def test_what_is_broken_is_found(tampered, invariant, statement):
    assert invariant in tampered(statement)


def test_a_party_of_another_tenant_is_not_seen(books, operations):
    books.sell(sale("o1"))
    with operations.transaction("t-other") as conn:
        assert conn.execute("select count(*) from settlement.leg").fetchone() == (0,)
        assert conn.execute("select count(*) from ledger.account_balance").fetchone() == (0,)
    assert books.balance("supplier_pending", Party("supplier", "S1")) == 6_000
