"""The command line of the jobs against a real database: what each prints and how it ends."""

import datetime as dt

import pytest
from settlement_books import DUE, PAID, PAYDAY, Books, plan
from settlement_sales import worked_example

from serving.approvals.decisions import Decider, Seen, approve
from serving.approvals.records import ApprovalFilter, page_of_approvals
from serving.db.operations import Operations
from serving.jobs.__main__ import main
from serving.jobs.commands import JOBS
from serving.jobs.effects import EFFECTS
from serving.security import ROLE_SCOPES, Principal, Role

PARTIES = (("supplier", "S1"), ("supplier", "S2"), ("agent", "a1"), ("agent", "a2"))


@pytest.fixture
def shop(module_database_url, monkeypatch, tmp_path, capsys):
    """Books with the worked example, its payment, and the command line on them."""
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(tmp_path))
    with Operations(module_database_url) as operations:
        books = Books(operations)
        for party in PARTIES:
            books.party(*party)
        books.sell(worked_example(), plan("worked_20_8_25"))
        with books.transactions() as conn:
            conn.execute(
                "insert into orders.payment (tenant_id, payment_id, order_id, adapter, captured_cents,"
                " fee_cents, paid_at) values (%s, 'p1', 'o1', 'simulated', 23660, 142, %s)",
                (books.tenant, PAID),
            )
        books.settled_by("cn_strict")

        def run(job, *arguments, at=DUE):
            status = main([job, *arguments, "--tenant", books.tenant, "--as-of", at.isoformat()])
            return status, capsys.readouterr()

        yield books, run


def approved_by(books, *keys):
    """What the only open request of the books made once these persons approved it, one after another."""
    for key in keys:
        with books.transactions() as conn:
            (waiting,) = page_of_approvals(conn, books.tenant, ApprovalFilter(), before=None, limit=10)
            seen = Seen(approval_id=waiting.approval_id, version=waiting.version, digest=waiting.digest)
            person = Principal(key, books.tenant, Role.OPERATOR, None, ROLE_SCOPES[Role.OPERATOR])
            done = approve(conn, EFFECTS, seen, Decider(principal=person, now=DUE))
    return done.effect


def test_an_order_lives_by_the_command_line_alone(shop):
    books, run = shop
    assert run("receipts")[0] == 0
    status, said = run("release")
    assert status == 0
    assert "2 sub-orders" in said.out
    assert run("deadline", at=PAID + dt.timedelta(days=26))[0] == 0
    paid = 7_000 + 8_570 + 4_571 + 1_827
    status, said = run("payouts", "--batch-id", "b1", at=PAYDAY)
    assert status == 0
    assert said.out.startswith(f"4 pay-outs, {paid} fen: approval ")
    assert said.out.endswith(" is pending and needs 2 persons\n")
    effect = approved_by(books, "first", "second")
    assert effect == {"payouts": 4, "sum_cents": paid}
    status, said = run("payouts", "--batch-id", "b1", at=PAYDAY)
    assert (status, said.out) == (0, f"4 pay-outs, {paid} fen\n")
    assert run("roll")[0] == 0
    assert run("seal")[1].out.startswith("block ")
    status, said = run("close-period", "--period", "2026-03", at=dt.datetime(2026, 4, 2, tzinfo=dt.UTC))
    assert (status, said.out) == (0, "2026-03: 4 statements\n")
    assert run("tiers", at=dt.datetime(2026, 4, 2, tzinfo=dt.UTC))[0] == 0
    assert run("deliver-webhooks")[0] == 0
    assert run("check") == (0, ("no violation\n", ""))


def test_a_bill_is_simulated_loaded_and_compared(shop, tmp_path):
    _, run = shop
    day = ("--from", "2026-03-01T00:00:00+00:00", "--to", "2026-03-02T00:00:00+00:00")
    status, said = run("simulate-bill", "--bill-id", "s1", *day)
    assert status == 0
    assert "simulated channel" in said.out
    assert "1 lines, 1 records, difference 0 fen" in said.out

    bill = tmp_path / "bill.csv"
    bill.write_text(
        f"kind,reference,amount_cents,fee_cents,occurred_at\npayment,p1,23659,142,{PAID.isoformat()}\n"
    )
    status, said = run("load-bill", "--bill-id", "b1", *day, "--adapter", "simulated", str(bill))
    assert (status, said.out) == (0, "bill b1: 1 lines\n")
    status, said = run("reconcile", "--bill-id", "b1")
    assert status == 1
    assert "amount_differs: 1" in said.out
    assert "found 1 differences" in said.err


def test_refusals_end_with_a_line_and_status_1(shop):
    _, run = shop
    for job, arguments in (
        ("close-period", ["--period", "2026-13"]),
        ("close-period", ["--period", "2099-01"]),
        ("reconcile", ["--bill-id", "none"]),
    ):
        status, said = run(job, *arguments)
        assert status == 1
        assert said.err.startswith("error: ")
        assert said.err.count("\n") == 1


def test_every_job_says_what_it_does(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in JOBS)


def test_the_worker_seals_again_and_again_and_says_what_changed(shop, tmp_path):
    books, run = shop
    status, said = run("work", "--every-s", "0.01", "--rounds", "3")
    assert status == 0, said.err
    assert said.out.count("seal: block ") == 1
    assert said.out.count("expire-unpaid: 0 unpaid orders cancelled") == 1
    assert "deliver-webhooks" not in said.out
    status, delivered = run("deliver", "--every-s", "0.01", "--rounds", "2")
    assert status == 0, delivered.err
    assert delivered.out.count("deliver-webhooks: Delivered(delivered=0, failed=0, given_up=0)") == 1
    assert "waits" not in said.out
    (anchor,) = (tmp_path / "anchors" / "ledger-chain.jsonl").read_text().splitlines()
    assert anchor
    books.sell(worked_example("o2"), plan("worked_20_8_25"))
    status, said = run("work", "--rounds", "1")
    assert status == 0, said.err
    assert len((tmp_path / "anchors" / "ledger-chain.jsonl").read_text().splitlines()) == 2
