"""Bills fetched from channels that are real HTTP servers: one an account and day, outages, faults by type."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from simulated_till import till_with_server
from small_market import TENANT, Shop

from serving.db.operations import Operations
from serving.jobs.__main__ import main
from serving.ledger.invariants import check
from serving.privacy.data_keys import Vault
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.settlement.channel.daily_bills import take_bills
from serving.settlement.channel.requests import Sent, send_due

pytestmark = pytest.mark.xdist_group("channel_bills")  # one world for all, in order

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
def tills(client, scores_url, shop):
    """Two accounts of one adapter, the only active ones; each with a bank of its own."""
    shop.sql("update channels.account set is_active = false")

    def last_order():
        return shop.sql("select max(placed_at) from orders.customer_order")[0][0]

    with ExitStack() as stack:
        yield [
            stack.enter_context(till_with_server(client, scores_url, fee_bps=60, clock=last_order))
            for _ in range(2)
        ]


@pytest.fixture(scope="module")
def call(client, scores_url):
    keys = {
        who: issue_key(
            scores_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
        ).secret
        for who, role, party in (("op", Role.OPERATOR, None), ("m1", Role.MERCHANT, "m1"))
    }

    def send(who, method, path, body=None, idempotency=None, **query):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": idempotency} if idempotency else {})
        return client.request(method, f"/v1{path}", params=query, json=body, headers=headers)

    return send


@pytest.fixture
def bought(call):
    def make(till, key):
        """A paid order; when it was paid."""
        body = {"merchant_id": "m1", "consumer_id": "c1", "lines": [{"sku_id": "sku", "qty": 1}]}
        order = call("m1", "POST", "/orders", body, idempotency=key).json()
        at = datetime.fromisoformat(order["placed_at"])
        assert till.pay(order["order_id"], PRICE, payment_id=f"pay-{key}", paid_at=at)[0] == 200
        return at

    return make


@pytest.fixture
def run(scores_url, settings, monkeypatch, capsys):
    monkeypatch.setenv("MUYUN_DATABASE_URL", scores_url)
    monkeypatch.setenv("MUYUN_HOME", str(settings.home))

    def once(at, job="bills"):
        """Exit status of the job at a business time, and its lines."""
        status = main([job, "--tenant", TENANT, "--as-of", at.isoformat()])
        return status, capsys.readouterr().out.splitlines()

    return once


def told(taken, waiting=0, held=0):
    return f"{taken} bills taken, {waiting} wait; {held} differences are held in suspense"


def sound(shop):
    with shop.transaction() as conn:
        return [f"{one.rule}: {one.subject}" for one in check(conn, TENANT)]


def bills_of(shop, till):
    return shop.sql(
        "select bill_from, bill_to, kinds from settlement.channel_bill where channel_id = %(c)s order by 1",
        c=till.channel_id,
    )


DAY = timedelta(days=1)


def test_each_account_has_a_bill_a_day_which_is_compared_with_its_own_payments_only(tills, bought, run, shop):
    at = [bought(till, f"true-{number}") for number, till in enumerate(tills)][-1]
    before = shop.balances()
    # The day is not over yet: nothing is due but the day before, on which nothing was paid.
    assert run(at + DAY) == (0, [told(2)])
    assert run(at + DAY) == (0, [told(0)])
    assert shop.moved(before) == {}
    for till in tills:
        ((start, end, kinds),) = bills_of(shop, till)
        assert start <= at < end == start + DAY
        # The channel's day begins at midnight in China.
        assert start.hour * 60 + start.minute == 16 * 60
        assert "payment" in kinds
    assert sound(shop) == []


def test_refunds_are_compared_with_the_bill_of_the_account_that_gave_them(
    tills, bought, run, shop, call, settings
):
    """4.00 of 10.00 back at the first account only: it returns 0.02 of its fee of 0.06, as the books say."""
    at = [bought(till, f"back-{number}") for number, till in enumerate(tills)][-1]
    order_id = shop.sql("select order_id from orders.payment where payment_id = 'pay-back-0'")[0][0]
    case = {"line_no": 1, "kind": "refund", "reason_code": "late", "requested_cents": 400}
    opened = call("m1", "POST", f"/orders/{order_id}/after-sales", case, "case").json()
    path = f"/after-sales/{opened['case_id']}/refund"
    assert call("m1", "POST", path, {"refund_cents": 400}, "refund").status_code == 200
    sent = send_due(shop.operations, Vault.of(settings), TENANT, at, datetime.now(UTC))
    assert sent == Sent(done=1)
    before = shop.balances()
    assert run(at + DAY) == (0, [told(2)])
    billed = shop.sql(
        "select b.channel_id, l.kind, l.amount_cents, l.fee_cents from settlement.channel_bill b"
        " join settlement.channel_bill_line l using (tenant_id, bill_id)"
        " where b.channel_id = any(%(c)s) order by 2, 1",
        c=[till.channel_id for till in tills],
    )
    assert sorted(billed) == sorted(
        [
            (tills[0].channel_id, "payment", PRICE, 6),
            (tills[0].channel_id, "refund", 400, -2),
            (tills[1].channel_id, "payment", PRICE, 6),
        ]
    )
    assert shop.moved(before) == {}


def test_a_channel_that_does_not_answer_is_asked_again_the_next_night(tills, bought, run, shop):
    at = [bought(till, f"outage-{number}") for number, till in enumerate(tills)][-1]
    tills[0].bank.faults.busy = 1
    status, lines = run(at + DAY)
    assert (status, lines[0]) == (1, told(1, waiting=1))
    assert tills[0].channel_id in lines[1]
    assert "503" in lines[1]
    assert bills_of(shop, tills[0]) == []
    assert run(at + 2 * DAY) == (0, [told(3)])
    assert run(at + 2 * DAY) == (0, [told(0)])
    assert [len(bills_of(shop, till)) for till in tills] == [2, 2]


def test_days_older_than_the_setting_are_told_until_they_are_loaded_by_hand(
    tills, bought, run, shop, call, monkeypatch
):
    till, other = tills
    at = bought(till, "old")
    shop.sql("update channels.account set is_active = false where channel_id = %(c)s", c=other.channel_id)
    till.bank.faults.busy = 1
    assert run(at + DAY)[1][0] == told(0, waiting=1)
    monkeypatch.setenv("MUYUN_BILL_DAYS", "1")
    status, lines = run(at + 2 * DAY)
    assert (status, lines[0]) == (1, told(1))
    assert "1 days from" in lines[1]
    assert "load them by hand" in lines[1]
    ((start, _, _),) = bills_of(shop, till)
    bill = {
        "bill_id": "by-hand",
        "adapter": "simulated",
        "channel_id": "ch-nobody",
        "bill_from": (start - DAY).isoformat(),
        "bill_to": start.isoformat(),
        "lines": [
            {
                "kind": "payment",
                "reference": "pay-old",
                "amount_cents": PRICE,
                "fee_cents": 6,
                "occurred_at": at.isoformat(),
            }
        ],
    }
    refused = call("op", "POST", "/channel-bills", bill)
    assert (refused.status_code, "ch-nobody" in refused.text) == (422, True)
    assert call("op", "POST", "/channel-bills", bill | {"channel_id": till.channel_id}).status_code == 201
    assert run(at + 2 * DAY)[1][0] == told(0), "a bill that nobody compared covers no day"
    compared = call("op", "POST", "/reconciliations", {"run_id": "by-hand", "bill_id": "by-hand"}).json()
    assert (compared["breaks"], compared["records"]) == ({}, 1)
    assert run(at + 2 * DAY) == (0, [told(0)])


def test_an_account_that_was_ended_begins_anew(tills, bought, run, shop, call):
    till, other = tills
    shop.sql("update channels.account set is_active = false where channel_id = %(c)s", c=other.channel_id)
    at = bought(till, "ended")
    assert run(at + DAY) == (0, [told(1)])
    shown = call("op", "GET", "/channels").json()["channels"]
    keys = shop.sql("select public_keys from channels.account where channel_id = %(c)s", c=till.channel_id)
    assert till.channel_id in {one["channel_id"] for one in shown}
    change = {"fee_bps": 60, "public_keys": keys[0][0], "is_active": False}
    path = f"/channels/{till.channel_id}"
    assert call("op", "PUT", path, change).status_code == 200
    assert run(at + 40 * DAY) == (0, [told(0)])
    assert call("op", "PUT", path, change | {"is_active": True}).status_code == 200
    # It told something before: as far back as an account that begins is asked, and no day is given up.
    assert run(at + 40 * DAY) == (0, [told(7)])


def test_what_a_bill_says_otherwise_is_found_by_type_and_held_by_account(tills, bought, run, shop, call):
    """Each bank took 5.00 of which nobody told us, under one id; the first keeps 0.10 of 10.00, not 0.06."""
    tills[0].bank.fee_bps = 100
    at = [bought(till, f"fault-{number}") for number, till in enumerate(tills)][-1]
    before = shop.balances()
    for till in tills:
        till.bank.fee_bps = 0
        till.bank.pay("unheard", 500, payment_id="same-id", paid_at=at)
    assert run(at + DAY) == (1, [told(2, held=3), "  fee_differs: 1", "  missing_in_ledger: 2"])
    # 5.00 twice more at the channel, 0.04 less.
    assert shop.moved(before) == {("channel_available", ""): -996, ("reconciliation_suspense", ""): 996}
    found = [
        one
        for one in call("op", "GET", "/misfits", status="open", limit=500).json()["misfits"]
        if one["kind"].startswith("bill_")
    ]
    assert {(one["kind"], one["reference"], one["channel_id"], one["booked_cents"]) for one in found} == {
        ("bill_missing_in_ledger", "payment:same-id", tills[0].channel_id, 500),
        ("bill_missing_in_ledger", "payment:same-id", tills[1].channel_id, 500),
        ("bill_fee_differs", "payment:pay-fault-0", tills[0].channel_id, -4),
    }
    assert run(at + DAY) == (0, [told(0)])
    assert sound(shop) == []
    # The channel corrects its bill: there was no difference.
    path = f"/misfits/{found[0]['misfit_id']}/resolutions"
    corrected = call("op", "POST", path, {"act": "correct", "reason_code": "bill_corrected"})
    assert corrected.status_code in (201, 202), corrected.text
    # A bill of all accounts that finds the same holds nothing twice.
    moved = shop.moved(before)
    ((start, end, _),) = bills_of(shop, tills[0])
    line = {"kind": "payment", "occurred_at": at.isoformat()}
    bill = {
        "bill_id": "all",
        "adapter": "simulated",
        "bill_from": (start - 400 * DAY).isoformat(),
        "bill_to": (end - 400 * DAY).isoformat(),
        "lines": [line | {"reference": "same-id", "amount_cents": 500}],
    }
    assert call("op", "POST", "/channel-bills", bill).status_code == 201
    again = call("op", "POST", "/reconciliations", {"run_id": "all", "bill_id": "all"}).json()
    assert again["breaks"] == {"missing_in_ledger": 1}
    assert shop.moved(before) == moved


def test_the_night_takes_the_bills_and_a_channel_that_is_away_stops_nothing_else(tills, bought, run):
    at = [bought(till, f"night-{number}") for number, till in enumerate(tills)][-1]
    tills[1].bank.faults.busy = 1
    status, lines = run(at + DAY, "day")
    assert status == 1
    assert {"bills: 1", "bills_waiting: 1", "bill_differences: 0"} <= set(lines)
    assert any("503" in line for line in lines)
    status, lines = run(at + DAY, "day")
    assert (status, "bills: 1" in lines, "bills_waiting: 0" in lines) == (0, True, True)


def test_a_bill_of_other_kinds_covers_no_day_and_says_what_it_tells_of(tills, bought, run, shop, call):
    """Loaded by hand: pay-outs alone. The night still takes the day's payments."""
    till, other = tills
    shop.sql("update channels.account set is_active = false where channel_id = %(c)s", c=other.channel_id)
    at = bought(till, "kinds")
    assert run(at + DAY) == (0, [told(1)])
    ((_, end, _),) = bills_of(shop, till)
    line = {"kind": "payout", "reference": "po-kinds", "amount_cents": 5, "occurred_at": end.isoformat()}
    bill = {
        "bill_id": "pay-outs",
        "adapter": "simulated",
        "channel_id": till.channel_id,
        "kinds": ["payment"],
        "bill_from": end.isoformat(),
        "bill_to": (end + DAY).isoformat(),
        "lines": [line],
    }
    refused = call("op", "POST", "/channel-bills", bill)
    assert (refused.status_code, "name the kinds" in refused.text) == (422, True)
    assert call("op", "POST", "/channel-bills", bill | {"kinds": ["payout"]}).status_code == 201
    call("op", "POST", "/reconciliations", {"run_id": "pay-outs", "bill_id": "pay-outs"})
    assert run(at + 2 * DAY) == (0, [told(1)])


def test_two_workers_take_a_bill_once_and_neither_fails(tills, bought, shop, settings):
    at = [bought(till, f"twice-{number}") for number, till in enumerate(tills)][-1]
    vault, alarms = Vault.of(settings), []

    def take(_):
        return take_bills(shop.transaction, vault, TENANT, at + DAY, 7, lambda *told: alarms.append(told))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(take, range(4)))
    assert alarms == []
    assert [sum(getattr(one, name) for one in done) for name in ("taken", "waiting", "held")] == [2, 0, 0]
    assert [len(bills_of(shop, till)) for till in tills] == [1, 1]
