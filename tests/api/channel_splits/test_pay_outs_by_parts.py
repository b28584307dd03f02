"""Pay-outs by parts of payments that a channel holds: who gets what, what stands before it, what returns."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from held_payments import DAY, PAID, PRICE, SUPPLY, asked, states
from small_market import NOW, TENANT
from two_people import approved

from serving.channels.facts import SplitWanted
from serving.channels.requests import money_at, reference_of
from serving.db.urls import libpq_url
from serving.jobs.__main__ import main
from serving.ledger.accounts import Party
from serving.ledger.invariants import check
from serving.orders.after_sales import after_sales
from serving.orders.settling import unfreeze_due
from serving.settlement.channel.bill import Bill, as_csv, load_bill
from serving.settlement.channel.reconciliation import reconcile
from serving.settlement.channel.requests import Sent
from serving.settlement.control.holds import on_party, place_hold
from serving.settlement.payouts import prepare_payouts

pytestmark = pytest.mark.xdist_group("channel_splits")  # one world for all, in order


def test_a_pay_out_goes_by_the_payments_of_the_partys_own_orders(shop, till, sold, pay_out, run):
    """Two orders at 10.00, 6.00 each for the supplier: two parts of 6.00, and the merchant by a transfer."""
    sold("o1", "o2")
    before = shop.balances()
    made = pay_out("b1")
    assert {key: cents for key, cents in made.items() if key[0] == "S1"} == {
        ("S1", "o1"): SUPPLY,
        ("S1", "o2"): SUPPLY,
    }
    merchants = made["m1", None]
    assert shop.moved(before)["payout_in_transit", ""] == 2 * SUPPLY + merchants
    assert till.bank.received == {}
    run()
    assert till.bank.received == {"190001": 2 * SUPPLY}
    assert states(shop, "b1")["o1"] == states(shop, "b1")["o2"] == "paid"
    assert shop.moved(before)["supplier_available", "S1"] == -2 * SUPPLY
    # The rest of both payments is frozen until nothing more can be split of it: no transfer goes before.
    assert till.bank.frozen_cents == 2 * (PRICE - SUPPLY)
    with shop.transaction() as conn:
        assert money_at(conn, TENANT, till.channel_id, PAID) <= 0
    run(1)
    assert till.bank.frozen_cents == 0
    run(5)
    assert states(shop, "b1")["m1"] == "paid"
    assert run(1000) == Sent()
    assert till.bank.received == {"190001": 2 * SUPPLY}


def test_no_more_is_split_than_the_contract_lets_and_the_rest_is_transferred(
    shop, till, sold, pay_out, run, call
):
    body = {"fee_bps": 60, "public_keys": till_keys(shop, till), "split_max_bps": 2500}
    answer = call("op", "PUT", f"/channels/{till.channel_id}", body)
    assert answer.json()["split_max_bps"] == 2500
    sold("c1")
    made = pay_out("cap")
    assert (made["S1", "c1"], made["S1", None]) == (250, SUPPLY - 250)
    run()
    assert till.bank.received == {"190001": 250}
    # What was agreed when it was paid counts, whatever the contract says later.
    call("op", "PUT", f"/channels/{till.channel_id}", body | {"split_max_bps": 10_000})
    assert pay_out("cap-2") == {}
    run(1)
    run(5)
    assert states(shop, "cap")["S1"] == "paid"


def till_keys(shop, till):
    return shop.sql("select public_keys from channels.account where channel_id = %(c)s", c=till.channel_id)[
        0
    ][0]


def test_nothing_is_split_before_two_persons_agreed_to_the_pay_out(
    shop, till, sold, run, call, client, monkeypatch, module_database_url, settings, capsys
):
    """A split is a road of a pay-out: the same approval, the same holds."""
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(settings.home))
    sold("e1")
    run(at=NOW + 8 * DAY)
    body = {"batch_id": "eyes", "adapter": "simulated", "party_types": ["supplier"]}
    waits = call("op", "POST", "/payout-batches", body)
    assert waits.status_code == 202, waits.text
    run()
    assert till.bank.received == {}
    assert approved(client, call.keys["op2"], waits).json()["effect"]["sum_cents"] == SUPPLY
    # What counts for who may send it alone is what a party gets, in however many parts.
    sold("e3", "e4")
    monkeypatch.setenv("MUYUN_ALONE_PAYOUT_CENTS", str(2 * SUPPLY - 1))
    monkeypatch.setenv("MUYUN_ALONE_PAYOUT_BATCH_CENTS", "100000")
    capsys.readouterr()
    assert main(["payouts", "--tenant", TENANT, "--as-of", PAID.isoformat(), "--batch-id", "parts"]) == 0
    assert "needs 2 persons" in capsys.readouterr().out
    assert states(shop, "parts") == {}
    monkeypatch.setenv("MUYUN_ALONE_PAYOUT_CENTS", str(2 * SUPPLY))
    assert main(["payouts", "--tenant", TENANT, "--as-of", PAID.isoformat(), "--batch-id", "small"]) == 0
    assert {states(shop, "small")[order] for order in ("e3", "e4")} == {"in_transit"}
    run()
    sold("e2")
    hold = shop.act(place_hold, on_party(Party("supplier", "S1")), "risk", "fraud_check", PAID)
    assert main(["payouts", "--tenant", TENANT, "--as-of", PAID.isoformat(), "--batch-id", "held"]) == 0
    run()
    assert till.bank.received == {"190001": 3 * SUPPLY}
    assert "e2" not in states(shop, "held")
    shop.sql(
        "update settlement.hold set state = 'lifted', resolved_at = %(at)s, resolved_by = 'x'"
        " where hold_id = %(h)s",
        h=hold.hold_id,
        at=PAID,
    )
    assert main(["payouts", "--tenant", TENANT, "--as-of", PAID.isoformat(), "--batch-id", "free"]) == 0
    run()
    assert till.bank.received == {"190001": 4 * SUPPLY}


def test_a_part_that_the_channel_refuses_is_the_partys_again_and_goes_by_transfer(
    shop, till, sold, pay_out, run
):
    sold("r1")
    before = shop.balances()
    made = pay_out("refused")
    payout_id = shop.sql("select payout_id from settlement.payout where order_id = 'r1'")[0][0]
    till.bank.faults.failing.add(reference_of(TENANT, "split", payout_id))
    run()
    assert states(shop, "refused")["r1"] == "failed"
    assert shop.moved(before).get(("supplier_available", "S1"), 0) == 0
    again = pay_out("refused-2")
    assert again["S1", None] == sum(cents for (party, _), cents in made.items() if party == "S1")
    # Nothing can be split of it any more: it is unfrozen, and the transfer finds its money.
    run(1)
    run(30)
    assert states(shop, "refused-2")["S1"] == "paid"


def test_a_silent_channel_splits_once(shop, till, sold, pay_out, run):
    sold("s1")
    pay_out("silent", party_types=["supplier"])
    till.bank.faults.silent = 2
    assert run().waiting >= 1
    for minutes in (2, 10, 60):
        run(minutes)
    assert till.bank.received["190001"] == SUPPLY
    assert states(shop, "silent")["s1"] == "paid"


def test_a_refund_fetches_back_what_was_split_beyond_what_is_due(shop, till, sold, pay_out, run):
    """4.00 of 10.00 go back to the buyer: 2.40 of the supplier's 6.00, which it has already."""
    sold("f1")
    pay_out("back", party_types=["supplier"])
    run()
    assert till.bank.received == {"190001": SUPPLY}
    before = shop.balances()
    case = shop.agreed_case("f1", 1, None, "refund", "broken", 400, PAID)
    shop.act(after_sales.refund_case, case.case_id, 400, PAID)
    owed = -shop.moved(before)["clawback_receivable", "S1"]
    assert owed == 240
    run(1)
    assert asked(shop, till)["split_return", "f1"] == ("done", 240)
    assert till.bank.received == {"190001": SUPPLY - 240}
    moved = shop.moved(before)
    assert ("clawback_receivable", "S1") not in moved
    assert ("supplier_available", "S1") not in moved
    # The rest of the line, too: what came back before is not asked for twice.
    case = shop.agreed_case("f1", 1, None, "refund", "broken", 600, PAID)
    shop.act(after_sales.refund_case, case.case_id, 600, PAID)
    run(2)
    assert till.bank.received == {"190001": 0}
    assert ("clawback_receivable", "S1") not in shop.moved(before)
    assert run(1000).done == 0


def test_a_return_that_the_channel_refuses_leaves_the_debt_and_is_asked_again_by_hand(
    shop, till, sold, pay_out, run, call
):
    sold("g1")
    pay_out("stay", party_types=["supplier"])
    run()
    before = shop.balances()
    case = shop.agreed_case("g1", 1, None, "refund", "broken", 400, PAID)
    shop.act(after_sales.refund_case, case.case_id, 400, PAID)
    payout_id = shop.sql("select payout_id from settlement.payout where order_id = 'g1'")[0][0]
    reference = reference_of(TENANT, "split_return", f"{payout_id}:return:0")
    till.bank.faults.failing.add(reference)
    run(1)
    run(60)
    assert asked(shop, till)["split_return", "g1"] == ("failed", 240)
    assert shop.moved(before)["clawback_receivable", "S1"] == -240
    till.bank.faults.failing.clear()
    assert call("op", "POST", f"/channel-requests/{reference}/retry").status_code == 200
    run(120)
    assert ("clawback_receivable", "S1") not in shop.moved(before)
    assert till.bank.received == {"190001": SUPPLY - 240}


def test_what_still_waits_is_unfrozen_at_the_deadline(shop, till, sold, run):
    """Nobody received it: after 25 days the channel is asked to free it, so that it does not do so unseen."""
    shop.place("d1", ("sku", 1))
    assert till.pay("d1", PRICE, payment_id="pay-d1", paid_at=NOW)[0] == 200
    unfreeze_due(shop.transaction, TENANT, NOW + 25 * DAY - timedelta(seconds=1))
    assert ("unfreeze", "d1") not in asked(shop, till)
    unfreeze_due(shop.transaction, TENANT, NOW + 25 * DAY)
    assert asked(shop, till)["unfreeze", "d1"] == ("requested", PRICE)
    assert till.bank.frozen_cents == PRICE
    run(at=NOW + 25 * DAY)
    assert till.bank.frozen_cents == 0
    assert asked(shop, till)["unfreeze", "d1"] == ("done", PRICE)


def test_pay_outs_at_once_split_a_payment_no_further_than_it_goes(shop, till, sold, run):
    """Eight batches of four workers over six orders: each fen once, whoever comes first."""
    names = [f"p{number}" for number in range(6)]
    sold(*names)

    def prepare(number):
        return shop.act(prepare_payouts, f"race-{number}", "simulated", PAID, 1, ["supplier"])

    with ThreadPoolExecutor(4) as pool:
        made = [one for batch in pool.map(prepare, range(8)) for one in batch]
    split = {one.order_id: one.amount_cents for one in made if one.order_id in names}
    assert split == dict.fromkeys(names, SUPPLY)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(), range(4)))
    assert till.bank.received == {"190001": 6 * SUPPLY}


def test_the_bill_of_the_day_tells_of_parts_and_agrees(
    shop, till, sold, pay_out, run, monkeypatch, module_database_url, settings, capsys
):
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(settings.home))
    sold("l1")
    pay_out("billed", party_types=["supplier"])
    run()
    case = shop.agreed_case("l1", 1, None, "refund", "broken", 400, PAID)
    shop.act(after_sales.refund_case, case.case_id, 400, PAID)
    run(1)
    capsys.readouterr()
    assert main(["bills", "--tenant", TENANT, "--as-of", (PAID + DAY).isoformat()]) == 0
    lines = shop.sql(
        "select l.kind, l.amount_cents from settlement.channel_bill_line l join settlement.channel_bill b"
        " using (tenant_id, bill_id) where b.channel_id = %(c)s and l.kind <> 'payment' order by 1",
        c=till.channel_id,
    )
    assert lines == [("refund", 400), ("split", SUPPLY), ("split_return", 240)]
    assert (
        shop.sql(
            "select k.break_type, k.kind from settlement.reconciliation_break k"
            " join settlement.reconciliation r using (tenant_id, run_id)"
            " join settlement.channel_bill b using (tenant_id, bill_id)"
            " where b.channel_id = %(c)s and k.break_type <> 'timing'",
            c=till.channel_id,
        )
        == []
    )


def test_a_part_that_the_books_do_not_know_is_a_difference(shop, till, sold, pay_out, run):
    """The bank says 6.00 went to a receiver; nobody asked for it."""
    sold("u1", released=False)
    till.bank.received.setdefault("190001", 0)
    till.bank.split(SplitWanted("nobody-asked", "pay-u1", "190001", SUPPLY, "x"))
    day = PAID.date()
    with shop.transaction() as conn:
        bill = Bill("odd", "simulated", PAID - DAY / 2, PAID + DAY / 2, till.channel_id)
        load_bill(conn, TENANT, bill, as_csv([one for one in till.bank.bill(day) if one.kind != "payment"]))
        found = reconcile(conn, TENANT, bill_id="odd", run_id="odd", as_of=PAID + DAY)
        assert found.breaks == {"missing_in_ledger": 1}
        assert found.difference_cents == -SUPPLY


def test_books_that_somebody_changed_are_found(shop, sold, pay_out, run, module_database_url):
    """6.00 of 7.00 that may be split went to S1, 2.40 came back; then somebody changes rows."""
    sold("i1")
    pay_out("i1", party_types=["supplier"])
    run()
    case = shop.agreed_case("i1", 1, None, "refund", "broken", 400, PAID)
    shop.act(after_sales.refund_case, case.case_id, 400, PAID)
    run(1)
    part, back = "order_id = 'i1'", "order_id = 'i1' and kind = 'split_return'"
    changes = {
        f"update settlement.payout set amount_cents = 701 where {part}": "than its contract lets",
        f"update channels.request set amount_cents = 601 where {back}": "of a part comes back",
        f"update settlement.leg set amount_cents = 359 where {part} and payee_id = 'S1'": "was released of",
        f"update channels.request set party_id = 'S2' where {back}": "a receiver of its party",
    }
    with psycopg.connect(libpq_url(module_database_url)) as conn:
        for change, rule in changes.items():
            with conn.transaction(force_rollback=True):
                conn.execute("set local session_replication_role = replica")
                conn.execute(change.encode())
                assert any(rule in one.rule for one in check(conn, TENANT)), rule
