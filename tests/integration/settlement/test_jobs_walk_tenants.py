"""Jobs without a named tenant: every tenant has its turn, and one that fails keeps no other from it."""

import datetime as dt

import pytest
from settlement_books import DUE, Books
from settlement_sales import sale

from serving.db.operations import Operations
from serving.jobs.__main__ import main
from serving.ledger.accounts import Party

SUPPLIER, MERCHANT = Party("supplier", "S1"), Party("merchant", "m1")


@pytest.fixture
def shops(module_database_url, monkeypatch, tmp_path, capsys):
    """Two tenants with a sale of 100.00 each, and the command line without a tenant."""
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    with Operations(module_database_url) as operations:
        found = [Books(operations), Books(operations)]
        for books in found:
            books.party(*SUPPLIER)
            books.party(*MERCHANT)
            books.sell(sale("o1"))

        def run(job, at=DUE):
            status = main([job, "--as-of", at.isoformat()])
            return status, capsys.readouterr()

        yield found, run


def test_every_tenant_is_released(shops):
    found, run = shops
    status, said = run("release")
    assert status == 0, said.err
    for books in found:
        assert f"{books.tenant}: 1 sub-orders" in said.out
        assert books.balance("supplier_available", SUPPLIER) == 6_000


def test_a_day_is_worked_for_every_tenant_and_a_second_time_does_nothing(shops):
    found, run = shops
    status, said = run("day")
    assert status == 0, said.err
    for books in found:
        assert f"{books.tenant}: released_cents: 8000" in said.out
        assert books.balance("supplier_available", SUPPLIER) == 6_000
    again = run("day")[1].out
    assert all(f"{books.tenant}: released_cents: 0" in again for books in found)


def test_a_tenant_that_fails_keeps_no_other_from_its_turn(shops):
    found, run = shops
    first, second = sorted(found, key=lambda books: books.tenant)
    # A leg that no transaction stands behind.
    with first.transactions() as conn:
        conn.execute(
            "insert into settlement.leg (tenant_id, order_id, line_no, supplier_id, kind, scenario, plan_id,"
            " plan_version, payee_type, payee_id, wanted_cents, amount_cents, explanation, state, accrued_at)"
            " values (%s, 'o1', 1, 'S1', 'direct', 1, 'cn_strict', 1, 'merchant', 'm1', 1, 1, '', 'pending',"
            " %s)",
            (first.tenant, DUE - dt.timedelta(days=10)),
        )
    status, said = run("check")
    assert status == 1
    assert f"error: {first.tenant}: " in said.err
    assert f"{second.tenant}: no violation" in said.out
