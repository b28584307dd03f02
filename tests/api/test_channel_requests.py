"""Refunds and pay-outs asked of a channel that is a real HTTP server; money in suspense and its way out."""

from datetime import UTC, datetime, timedelta

import pytest
from simulated_till import till_with_server
from small_market import TENANT, Shop
from two_people import approved

from serving.channels.facts import Progress
from serving.channels.requests import reference_of, require_by_hand
from serving.db.operations import Operations
from serving.jobs.__main__ import main
from serving.ledger.accounts import AccountKind, Party
from serving.ledger.invariants import check
from serving.ledger.posting import Line, Posting, post
from serving.orders.paying.misfits import sort_misfits
from serving.orders.paying.payments import pay_free_orders
from serving.privacy.data_keys import Vault
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.settlement.channel.requests import Sent, open_payout_requests, send_due
from serving.settlement.payouts import fail_payout, prepare_payouts

pytestmark = pytest.mark.xdist_group("channel_requests")  # one world for all, in order

PRICE = 1000


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        made.list("sku", PRICE)
        made.supply("S1", "sku", 10_000, price=600)
        yield made


@pytest.fixture
def till(client, scores_url):
    with till_with_server(client, scores_url, fee_bps=60) as made:
        yield made


@pytest.fixture(scope="module")
def keys(scores_url):
    return {
        who: issue_key(
            scores_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
        ).secret
        for who, role, party in (
            ("op", Role.OPERATOR, None),
            ("op2", Role.OPERATOR, None),
            ("m1", Role.MERCHANT, "m1"),
        )
    }


@pytest.fixture(scope="module")
def call(client, keys):
    def send(who, method, path, body=None, idempotency=None, **query):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": idempotency} if idempotency else {})
        return client.request(method, f"/v1{path}", params=query, json=body, headers=headers)

    return send


@pytest.fixture
def placed(call, shop):
    def make(key, qty=1):
        body = {"merchant_id": "m1", "consumer_id": "c1", "lines": [{"sku_id": "sku", "qty": qty}]}
        answer = call("m1", "POST", "/orders", body, idempotency=key)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


@pytest.fixture
def bought(placed, till):
    def make(key, qty=1):
        order = placed(key, qty)
        at = datetime.fromisoformat(order["placed_at"])
        assert till.pay(order["order_id"], qty * PRICE, payment_id=f"pay-{key}", paid_at=at)[0] == 200
        return order

    return make


@pytest.fixture
def refund(call):
    def give(order, cents, key):
        case = {"line_no": 1, "kind": "refund", "reason_code": "late", "requested_cents": cents}
        opened = call("m1", "POST", f"/orders/{order['order_id']}/after-sales", case, f"case-{key}").json()
        path = f"/after-sales/{opened['case_id']}/refund"
        answer = call("m1", "POST", path, {"refund_cents": cents}, f"refund-{key}")
        assert answer.status_code == 200, answer.text

    return give


@pytest.fixture
def run(shop, settings, scores_url):
    """One round of the job; the wall clock so many minutes ahead."""

    def once(minutes=0):
        now = datetime.now(UTC)
        wall = now + timedelta(minutes=minutes)
        return send_due(shop.operations, Vault.of(settings), TENANT, business_now(shop), wall)

    return once


def business_now(shop):
    return shop.sql("select greatest(max(placed_at), '2026-11-02T00:00:00Z') from orders.customer_order")[0][
        0
    ]


def asked(call, till, **query):
    found = call("op", "GET", "/channel-requests", limit=500, **query).json()["requests"]
    return [one for one in found if one["channel_id"] == till.channel_id]


def sound(shop):
    with shop.transaction() as conn:
        return [f"{one.rule}: {one.subject}" for one in check(conn, TENANT)]


def test_a_refund_is_owed_until_the_channel_gave_it_back(call, bought, refund, run, shop, till):
    order = bought("owed")
    before = shop.balances()
    refund(order, 400, "owed")
    moved = shop.moved(before)
    # 4.00 of 10.00: nothing left the channel yet.
    assert moved["refund_in_transit", ""] == 400
    assert ("channel_frozen", "") not in moved
    assert [(one["state"], one["amount_cents"]) for one in asked(call, till)] == [("requested", 400)]
    assert sound(shop) == []
    assert till.bank.balance_cents == 1000
    assert run() == Sent(done=1)
    moved = shop.moved(before)
    assert moved["channel_frozen", ""] == 400
    assert ("refund_in_transit", "") not in moved
    assert till.bank.balance_cents == 600
    assert [one["state"] for one in asked(call, till)] == ["done"]
    assert run(minutes=60) == Sent()
    assert sound(shop) == []


def test_a_busy_and_a_silent_channel_are_asked_again_with_the_same_id(call, bought, refund, run, till):
    order = bought("busy")
    refund(order, 300, "busy")
    till.bank.faults.busy = 1
    assert run() == Sent(waiting=1)
    waiting = asked(call, till)[0]
    assert (waiting["state"], waiting["attempts"]) == ("requested", 1)
    assert "503" in waiting["last_answer"]
    # Before a minute has passed nothing is due.
    assert run() == Sent()
    # It does it and says nothing: the next time it says that it is done, and does not do it twice.
    till.bank.faults.silent = 1
    assert run(minutes=2) == Sent(waiting=1)
    assert till.bank.balance_cents == 700
    assert run(minutes=10) == Sent(done=1)
    assert till.bank.balance_cents == 700


def test_an_accepted_refund_is_done_by_a_notice(call, bought, refund, run, shop, till):
    order = bought("slow")
    till.bank.faults.slow = True
    refund(order, 250, "slow")
    before = shop.balances()
    assert run() == Sent(accepted=1)
    assert shop.moved(before) == {}
    reference = asked(call, till)[0]["reference"]
    done = till.bank.finish("refund", reference)
    assert till.send(done)[0] == 200
    assert till.send(done)[0] == 200
    assert shop.moved(before) == {("channel_frozen", ""): 250, ("refund_in_transit", ""): -250}
    assert asked(call, till)[0]["state"] == "done"
    assert sound(shop) == []


def test_a_refund_that_fails_stays_owed_and_is_retried_by_hand(call, bought, refund, run, shop, till):
    order = bought("fails")
    before = shop.balances()
    till.bank.faults.slow = True
    refund(order, 200, "fails")
    assert run() == Sent(accepted=1)
    reference = asked(call, till)[0]["reference"]
    assert till.send(till.bank.finish("refund", reference, Progress.FAILED))[0] == 200
    failed = asked(call, till, status="failed")[0]
    assert (failed["reference"], failed["failure"]) == (reference, "ended by the channel")
    assert shop.moved(before)["refund_in_transit", ""] == 200
    assert run(minutes=600) == Sent()
    assert call("m1", "POST", f"/channel-requests/{reference}/retry").status_code == 403
    again = call("op", "POST", f"/channel-requests/{reference}/retry").json()
    assert (again["state"], again["attempts"]) == ("requested", 0)
    till.bank.finish("refund", reference, Progress.DONE)
    assert run() == Sent(done=1)
    assert ("refund_in_transit", "") not in shop.moved(before)
    assert call("op", "POST", f"/channel-requests/{reference}/retry").status_code == 409
    assert sound(shop) == []


def payable(shop, till, cents, party):
    """Give a party money to be paid out, at the channel as well."""
    till.bank.pay("elsewhere", cents)
    with shop.transaction() as conn:
        conn.execute(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
            " values (%s, %s, %s, true)",
            (TENANT, *party),
        )
        lines = [
            Line(AccountKind.SUPPLIER_AVAILABLE, cents, party),
            Line(AccountKind.CHANNEL_AVAILABLE, -cents),
        ]
        post(conn, TENANT, Posting(f"opening:{party.party_id}", "opening", business_now(shop), lines))


def test_pay_outs_wait_for_money_at_the_channel_and_come_back_into_suspense(
    call, keys, client, run, shop, till, bought
):
    party = Party("supplier", f"S-{till.channel_id}")
    payable(shop, till, 900, party)
    with shop.transaction() as conn:
        # Nobody else is paid here: others lie below the threshold or are not verified.
        for other in shop.sql("select distinct adapter, channel_id from channels.account where is_active"):
            if other[1] != till.channel_id:
                conn.execute(
                    "update channels.account set is_active = false where channel_id = %s", (other[1],)
                )
        made = prepare_payouts(conn, TENANT, f"b-{till.channel_id}", "simulated", business_now(shop), 900)
    mine = [one for one in made if one.party == party]
    assert [one.amount_cents for one in mine] == [900]
    before = shop.balances()
    # The channel never said that it holds that much for us: it is not asked.
    run()
    waiting = next(one for one in asked(call, till) if one["party_id"] == party.party_id)
    assert (waiting["state"], waiting["last_answer"][:20]) == ("requested", "the channel holds 0 ")
    bought("funds")
    run(minutes=5)
    paid = next(one for one in asked(call, till) if one["party_id"] == party.party_id)
    assert paid["state"] == "done"
    assert shop.sql("select state from settlement.payout where payout_id = %(p)s", p=mine[0].payout_id) == [
        ("paid",)
    ]
    moved = shop.moved(before)
    assert (moved["payout_in_transit", ""], moved["channel_available", ""]) == (-900, 900)
    assert call("op", "POST", f"/payouts/{mine[0].payout_id}/fail", {"failure": "x"}).status_code == 409
    # It comes back a day later: the party has it again once an operator says so.
    reference = reference_of(TENANT, "payout", mine[0].payout_id)
    assert till.send(till.bank.return_payout(reference, "account closed"))[0] == 200
    misfit = find(call, "payout_returned", reference)
    assert misfit["booked_cents"] == 900
    body = {"act": "give_to_party", "reason_code": "account_renewed", "party": party._asdict()}
    first = call("op", "POST", f"/misfits/{misfit['misfit_id']}/resolutions", body)
    answer = approved(client, keys["op2"], first)
    assert answer.status_code == 200, answer.text
    assert shop.moved(before)["supplier_available", party.party_id] == 900
    assert sound(shop) == []


def paid_out(shop, till, call, run, cents=900):
    """A party and the request by which the channel is asked to pay it; the channel is at it."""
    party = Party("supplier", f"S-{till.channel_id}")
    payable(shop, till, cents, party)
    till.bank.faults.slow = True
    with shop.transaction() as conn:
        conn.execute(
            "update channels.account set is_active = false where channel_id <> %s", (till.channel_id,)
        )
        prepare_payouts(conn, TENANT, f"b-{till.channel_id}", "simulated", business_now(shop), cents)
    run()
    request = next(one for one in asked(call, till) if one["party_id"] == party.party_id)
    assert request["state"] == "accepted"
    return party, request["reference"]


def test_a_pay_out_that_is_done_after_it_failed_is_no_second_gift(
    call, keys, client, bought, run, shop, till
):
    """9.00: failed, so the party has them again; then the bank says that it did pay: it owes them."""
    # Enough for whoever else is paid by the way.
    bought("twice-paid", qty=10)
    before = shop.balances()
    party, reference = paid_out(shop, till, call, run)
    assert till.send(till.bank.finish("payout", reference, Progress.FAILED))[0] == 200
    assert shop.moved(before)["supplier_available", party.party_id] == 900
    assert till.send(till.bank.finish("payout", reference, Progress.DONE))[0] == 200
    misfit = find(call, "payout_after_failure", reference)
    assert (misfit["booked_cents"], misfit["state"]) == (-900, "open")
    assert shop.moved(before)["reconciliation_suspense", ""] == -900
    assert sound(shop) == []
    body = {"act": "charge_party", "reason_code": "was_paid", "party": party._asdict()}
    first = call("op", "POST", f"/misfits/{misfit['misfit_id']}/resolutions", body)
    assert approved(client, keys["op2"], first).status_code == 200
    moved = shop.moved(before)
    assert ("supplier_available", party.party_id) not in moved
    assert ("reconciliation_suspense", "") not in moved
    # And back it comes: 9.00 that are the party's.
    assert till.send(till.bank.return_payout(reference, "account closed"))[0] == 200
    back = find(call, "payout_returned", reference)
    assert back["booked_cents"] == 900
    assert shop.moved(before)["reconciliation_suspense", ""] == 900
    assert sound(shop) == []


def test_a_pay_out_that_failed_and_came_back_before_it_was_done_moves_nothing(call, run, bought, shop, till):
    """Notices out of order: failed, returned, done. The money left and came back, and the party has it."""
    bought("out-of-order", qty=10)
    before = shop.balances()
    party, reference = paid_out(shop, till, call, run)
    failed = till.bank.finish("payout", reference, Progress.FAILED)
    done = till.bank.finish("payout", reference, Progress.DONE)
    returned = till.bank.return_payout(reference, "account closed")
    for notice in (failed, returned, done):
        assert till.send(notice)[0] == 200
    moved = shop.moved(before)
    assert moved["supplier_available", party.party_id] == 900
    assert moved.get(("reconciliation_suspense", ""), 0) == 0
    assert sound(shop) == []


def test_a_refund_that_is_done_after_it_failed_is_done(call, bought, refund, run, shop, till):
    order = bought("late-done")
    before = shop.balances()
    till.bank.faults.slow = True
    refund(order, 200, "late-done")
    run()
    reference = asked(call, till)[0]["reference"]
    assert till.send(till.bank.finish("refund", reference, Progress.FAILED))[0] == 200
    assert shop.moved(before)["refund_in_transit", ""] == 200
    assert till.send(till.bank.finish("refund", reference, Progress.DONE))[0] == 200
    moved = shop.moved(before)
    assert ("refund_in_transit", "") not in moved
    assert moved["channel_frozen", ""] == 200
    assert asked(call, till)[0]["state"] == "done"
    # Asking again would pay the buyer twice.
    assert call("op", "POST", f"/channel-requests/{reference}/retry").status_code == 409
    assert sound(shop) == []


def test_a_refund_that_comes_back_is_held(call, bought, refund, run, shop, till):
    order = bought("comes-back")
    refund(order, 200, "comes-back")
    assert run() == Sent(done=1)
    before = shop.balances()
    reference = asked(call, till)[0]["reference"]
    assert till.send(till.bank.finish("refund", reference, Progress.FAILED))[0] == 200
    assert shop.moved(before) == {("channel_available", ""): -200, ("reconciliation_suspense", ""): 200}
    misfit = find(call, "refund_returned", reference)
    assert misfit["booked_cents"] == 200
    assert sound(shop) == []
    # The buyer is still owed it: once more through the channel, under a reference of its own.
    till.bank.faults.slow = False
    body = {"act": "refund", "reason_code": "card_replaced"}
    answer = call("op", "POST", f"/misfits/{misfit['misfit_id']}/resolutions", body)
    assert answer.status_code == 201, answer.text
    held = till.bank.balance_cents
    run(minutes=1)
    again = next(one for one in asked(call, till) if one["subject"] == f"misfit:{misfit['misfit_id']}")
    assert (again["state"], again["amount_cents"]) == ("done", 200)
    assert again["reference"] != reference
    assert till.bank.balance_cents == held - 200
    assert sound(shop) == []


def find(call, kind, reference):
    found = call("op", "GET", "/misfits", limit=500).json()["misfits"]
    return next(one for one in found if (one["kind"], one["reference"]) == (kind, reference))


def test_what_never_fits_goes_back_to_the_buyer_by_itself(call, placed, bought, run, shop, till):
    order, late, short = bought("twice"), placed("late"), placed("short")
    at = datetime.fromisoformat(order["placed_at"])
    before = shop.balances()
    till.pay(order["order_id"], PRICE, payment_id="second", paid_at=at)
    call("m1", "POST", f"/orders/{late['order_id']}/cancel")
    till.pay(late["order_id"], PRICE, payment_id="after-end", paid_at=at)
    till.pay(short["order_id"], 990, payment_id="too-small", paid_at=at)
    till.pay(f"soon-{till.channel_id}", 500, payment_id="unknown", paid_at=business_now(shop))
    assert shop.moved(before)["reconciliation_suspense", ""] == 1000 + 1000 + 990 + 500
    found = sort_misfits(shop.transaction, TENANT, business_now(shop))
    assert found.refunds >= 2
    assert find(call, "smaller_payment", "too-small")["state"] == "open"
    assert find(call, "second_payment", "second")["act"] == "refund"
    assert run() == Sent(done=2)
    moved = shop.moved(before)
    assert moved["reconciliation_suspense", ""] == 990 + 500
    assert moved["channel_available", ""] == -(990 + 500)
    assert ("refund_in_transit", "") not in moved
    # The order of the small payment ends: it goes back as well; the unknown one after 7 days.
    call("m1", "POST", f"/orders/{short['order_id']}/cancel")
    sort_misfits(shop.transaction, TENANT, business_now(shop) + timedelta(days=8))
    assert run() == Sent(done=2)
    assert ("reconciliation_suspense", "") not in shop.moved(before)
    assert sound(shop) == []


def test_an_operator_matches_acts_and_gives_reasons(call, placed, shop, till, client, keys):
    order = placed("matched")
    at = datetime.fromisoformat(order["placed_at"])
    till.pay("another-name", PRICE, payment_id="misnamed", paid_at=at)
    misfit = find(call, "unknown_order", "misnamed")
    path = f"/misfits/{misfit['misfit_id']}/resolutions"
    wrong = {"act": "match", "reason_code": "typo", "order_id": "nobody"}
    assert call("op", "POST", path, wrong).status_code == 404
    assert call("op", "POST", path, {"act": "match", "reason_code": "typo"}).status_code == 422
    assert call("m1", "POST", path, wrong).status_code == 403
    before = shop.balances()
    done = call("op", "POST", path, wrong | {"order_id": order["order_id"]})
    assert (done.status_code, done.json()["state"], done.json()["reason"]) == (201, "closed", "typo")
    shown = call("m1", "GET", f"/orders/{order['order_id']}").json()
    assert (shown["status"], shown["paid_at"]) == ("paid", order["placed_at"])
    moved = shop.moved(before)
    assert (moved["reconciliation_suspense", ""], moved["channel_available", ""]) == (-1000, 1000)
    assert (moved["channel_frozen", ""], moved["channel_fee", ""]) == (-1000, 6)
    assert call("op", "POST", path, {"act": "refund", "reason_code": "again"}).status_code == 409
    # A charge-back of 4.00 is borne by the platform; two people, since it is money without an owner.
    till.send(till.bank.charge_back("misnamed", 400))
    back = next(
        one
        for one in call("op", "GET", "/misfits", status="open", limit=500).json()["misfits"]
        if one["kind"] == "chargeback" and one["channel_id"] == till.channel_id
    )
    assert (back["booked_cents"], back["order_ref"]) == (-400, order["order_id"])
    first = call(
        "op",
        "POST",
        f"/misfits/{back['misfit_id']}/resolutions",
        {"act": "absorb", "reason_code": "case_lost"},
    )
    assert approved(client, keys["op2"], first).status_code == 200
    assert shop.moved(before)["subsidy", ""] == -400
    assert sound(shop) == []


def test_an_order_that_costs_nothing_is_paid_by_no_channel(placed, shop, call):
    shop.list("gift", 0)
    shop.supply("S1", "gift", 5, price=0)
    body = {"merchant_id": "m1", "consumer_id": "c1", "lines": [{"sku_id": "gift", "qty": 1}]}
    order = call("m1", "POST", "/orders", body, idempotency="gift").json()
    assert order["payable_cents"] == 0, order
    assert pay_free_orders(shop.transaction, TENANT, business_now(shop)) == 1
    assert call("m1", "GET", f"/orders/{order['order_id']}").json()["status"] == "paid"
    assert pay_free_orders(shop.transaction, TENANT, business_now(shop)) == 0


def test_the_command_serves_the_simulated_channel_and_asks_channels(
    scores_url, settings, monkeypatch, capsys
):
    monkeypatch.setenv("MUYUN_DATABASE_URL", scores_url)
    monkeypatch.setenv("MUYUN_HOME", str(settings.home))
    assert main(["simulated-channel", "--tenant", TENANT, "--for-s", "0.1"]) == 0
    assert "it moves no money" in capsys.readouterr().out
    assert main(["channel-requests", "--tenant", TENANT]) == 0
    assert "Sent(" in capsys.readouterr().out
    assert main(["misfits", "--tenant", TENANT]) == 0
    assert "Sorted(" in capsys.readouterr().out


def test_no_channel_is_asked_for_a_pay_out_that_an_operator_fails_meanwhile(call, shop, till):
    party = Party("supplier", f"S-{till.channel_id}")
    payable(shop, till, 900, party)
    with shop.transaction() as conn:
        conn.execute(
            "update channels.account set is_active = false where channel_id <> %s", (till.channel_id,)
        )
        made = prepare_payouts(conn, TENANT, f"b-{till.channel_id}", "simulated", business_now(shop), 900)
    payout_id = next(one.payout_id for one in made if one.party == party)
    with shop.transaction() as conn:
        require_by_hand(conn, TENANT, payout_id)
        with shop.transaction() as other:
            open_payout_requests(other, TENANT, business_now(shop))
        fail_payout(conn, TENANT, payout_id, business_now(shop), "closed")
    with shop.transaction() as conn:
        open_payout_requests(conn, TENANT, business_now(shop))
    assert [one for one in asked(call, till) if one["party_id"] == party.party_id] == []
