"""Notices of a payment channel through the public route: what proves them, what they book, once."""

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from channel_keys import API_V3_KEY, rsa_pair
from channel_notices import alipay_signed, wechat_envelope, wechat_signed
from simulated_till import till_of
from small_market import TENANT, Shop

from serving.channels.facts import PayoutWanted
from serving.channels.simulated.messages import encoded, new_keys, signed_headers
from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, Scope, issue_key

pytestmark = pytest.mark.xdist_group("channels")  # one world for all, in order

PRICE = 1000


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        made.list("sku", PRICE)
        made.supply("S1", "sku", 10_000, price=600)
        yield made


@pytest.fixture(scope="module")
def till(client, scores_url):
    return till_of(client, scores_url, fee_bps=60)


@pytest.fixture(scope="module")
def call(client, scores_url):
    keys = {
        who: issue_key(
            scores_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
        ).secret
        for who, role, party in (
            ("op", Role.OPERATOR, None),
            ("audit", Role.AUDITOR, None),
            ("m1", Role.MERCHANT, "m1"),
        )
    }

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


def at(order):
    return datetime.fromisoformat(order["placed_at"])


def status_of(call, order):
    return call("m1", "GET", f"/orders/{order['order_id']}").json()["status"]


def refused(answer, doubt):
    status, text = answer if isinstance(answer, tuple) else (answer.status_code, answer.content)
    assert (status, json.loads(text)["type"]) == (401, f"urn:muyun:problem:notice-{doubt}")


def notice_to(client, till, body, headers, channel_id=None):
    path = f"/v1/channels/{channel_id or till.channel_id}/notices"
    return client.post(path, content=body, headers=headers)


def test_a_signed_notice_pays_the_order_at_the_contracts_fee(call, till, placed, shop):
    order = placed("fits")
    before = shop.balances()
    status, text = till.pay(order["order_id"], PRICE, payment_id="pay-fits", paid_at=at(order))
    assert (status, text) == (200, b'{"code":"SUCCESS"}')
    assert status_of(call, order) == "paid"
    # 0.60% of 10.00 is 6 fen, whatever a shop would like it to be.
    moved = shop.moved(before)
    assert (moved["channel_frozen", ""], moved["channel_fee", ""]) == (-1000, 6)
    assert shop.sql("select channel_id, fee_cents from orders.payment where payment_id = 'pay-fits'") == [
        (till.channel_id, 6)
    ]


def test_no_key_can_say_that_money_came(call, placed):
    order = placed("asserted")
    notice = {
        "payment_id": "mine",
        "order_id": order["order_id"],
        "adapter": "wechat",
        "captured_cents": PRICE,
        "fee_cents": PRICE,
    }
    for who in ("m1", "op"):
        assert call(who, "POST", "/payments/notices", notice).status_code in (404, 405)
    asked = call("m1", "POST", "/payments/mine/query", {"channel_id": "ch-1"})
    assert (asked.status_code, asked.json()["type"]) == (403, "urn:muyun:problem:scope-missing")
    assert status_of(call, order) == "placed"


def test_what_is_not_proven_books_nothing(client, call, till, placed, shop):
    order = placed("unproven")
    before = shop.balances()
    body = encoded(till.bank.pay(order["order_id"], PRICE, paid_at=at(order)))
    good = till.headers(body)
    stranger = new_keys().private

    refused(notice_to(client, till, body + b" ", good), "signature")
    refused(notice_to(client, till, body, good | {"muyun-signature": "AAAA"}), "signature")
    refused(notice_to(client, till, body, {**good, "muyun-nonce": "another-nonce"}), "signature")
    refused(notice_to(client, till, body, good | {"muyun-serial": "other"}), "serial")
    refused(notice_to(client, till, body, {}), "serial")
    forged = signed_headers(stranger, "simulated-1", body, datetime.now(UTC))
    refused(notice_to(client, till, body, forged), "signature")
    refused(notice_to(client, till, body, good, channel_id="ch-nobody"), "channel")
    nonsense = b'{"kind":"payment"}'
    refused(notice_to(client, till, nonsense, till.headers(nonsense)), "content")
    for minutes in (-6, 6):
        off = till.headers(body, datetime.now(UTC) + timedelta(minutes=minutes))
        refused(notice_to(client, till, body, off), "timestamp")

    assert status_of(call, order) == "placed"
    assert shop.moved(before) == {}
    assert notice_to(client, till, body, good).status_code == 200
    assert status_of(call, order) == "paid"


def test_a_recording_is_refused_and_a_repetition_is_acknowledged(client, call, till, placed, shop):
    order = placed("recorded")
    body = encoded(till.bank.pay(order["order_id"], PRICE, paid_at=at(order)))
    headers = till.headers(body)
    assert notice_to(client, till, body, headers).status_code == 200
    before = shop.balances()
    refused(notice_to(client, till, body, headers), "nonce")
    # The channel itself signs anew when it sends again.
    assert notice_to(client, till, body, till.headers(body)).status_code == 200
    assert shop.moved(before) == {}


def test_the_channel_cannot_say_two_things_about_one_payment(till, placed, shop):
    order = placed("contradicted")
    assert till.pay(order["order_id"], PRICE, payment_id="pay-two", paid_at=at(order))[0] == 200
    other = till.bank.payment("pay-two")
    before = shop.balances()
    changed = type(other)(
        notice_id="n",
        kind="payment",
        id="pay-two",
        reference=other.reference,
        amount_cents=999,
        occurred_at=other.occurred_at,
    )
    refused(till.send(changed), "content")
    assert shop.moved(before) == {}


def test_the_same_notice_16_times_at_once_is_booked_once(client, till, placed, shop):
    order = placed("raced")
    message = till.bank.pay(order["order_id"], PRICE, payment_id="pay-raced", paid_at=at(order))
    body = encoded(message)
    recorded = till.headers(body)
    before = shop.balances()
    gate, answers = threading.Barrier(16), []

    def one(number):
        headers = recorded if number % 2 else till.headers(body)
        gate.wait()
        answers.append((number % 2, notice_to(client, till, body, headers).status_code))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Eight signed anew: acknowledged. Eight copies of one recording: one, or none that came in time.
    assert Counter(answers) == {(0, 200): 8, (1, 200): 1, (1, 401): 7}
    moved = shop.moved(before)
    assert (moved["channel_frozen", ""], moved["channel_fee", ""]) == (-1000, 6)
    assert shop.sql("select count(*) from orders.payment where payment_id = 'pay-raced'") == [(1,)]


def test_money_that_fits_no_order_waits_in_suspense(call, till, placed, shop):
    order, over, cancelled = placed("short"), placed("over"), placed("ended")
    assert call("m1", "POST", f"/orders/{cancelled['order_id']}/cancel").status_code == 200
    before = shop.balances()
    moment = at(order)
    # 9.99 for 10.00; nothing is paid.
    assert till.pay(order["order_id"], 999, payment_id="mf-small", paid_at=moment)[0] == 200
    # 10.50 for 10.00: the order is paid, 0.50 wait.
    assert till.pay(over["order_id"], 1050, payment_id="mf-large", paid_at=at(over))[0] == 200
    assert till.pay(over["order_id"], 1000, payment_id="mf-second", paid_at=at(over))[0] == 200
    assert till.pay(cancelled["order_id"], 1000, payment_id="mf-late", paid_at=moment)[0] == 200
    assert till.pay("nobody's", 777, payment_id="mf-unknown", paid_at=moment)[0] == 200
    assert till.pay(order["order_id"], 300, payment_id="mf-usd", currency="USD", paid_at=moment)[0] == 200
    assert (status_of(call, order), status_of(call, over)) == ("placed", "paid")
    moved = shop.moved(before)
    # 9.99 + 0.50 + 10.00 + 10.00 + 7.77; foreign money is no fen.
    assert moved["reconciliation_suspense", ""] == 999 + 50 + 1000 + 1000 + 777
    assert moved["channel_available", ""] == -(999 + 50 + 1000 + 1000 + 777)
    assert moved["channel_frozen", ""] == -1000
    kinds = dict(shop.sql("select reference, kind from channels.misfit where reference like 'mf-%%'"))
    assert kinds == {
        "mf-small": "smaller_payment",
        "mf-large": "larger_payment",
        "mf-second": "second_payment",
        "mf-late": "payment_after_end",
        "mf-unknown": "unknown_order",
        "mf-usd": "foreign_currency",
    }


def test_two_accounts_may_use_one_id_for_their_payments(client, scores_url, till, placed, shop):
    """7.77 at one account and 7.77 at the other: 15.54 are held; it was 7.77, and the rest was nowhere."""
    other = till_of(client, scores_url, fee_bps=60)
    moment = at(placed("one-id"))
    before = shop.balances()
    for one in (till, other, till):
        assert one.pay("nobody's", 777, payment_id="same-id", paid_at=moment)[0] == 200
    assert shop.moved(before) == {
        ("channel_available", ""): -1_554,
        ("reconciliation_suspense", ""): 1_554,
    }


def test_an_unknown_pay_out_that_comes_back_leaves_nothing(till, placed, shop):
    """It left -7.00 in suspense, and the 7.00 that came back were nowhere."""
    till.bank.pay("elsewhere", 700)
    before = shop.balances()
    left = till.bank.pay_out(PayoutWanted("p-nobody-asked", "somebody", 700, "?"))
    assert till.send(left)[0] == 200
    assert shop.moved(before)["reconciliation_suspense", ""] == -700
    assert till.send(till.bank.return_payout("p-nobody-asked", "account closed"))[0] == 200
    assert shop.moved(before) == {}
    held = shop.sql(
        "select booked_cents, state from channels.misfit where reference = 'p-nobody-asked' order by 1"
    )
    assert held == [(-700, "open"), (700, "open")]


def test_a_charge_back_is_held_against_suspense(till, placed, shop):
    order = placed("charged-back")
    till.pay(order["order_id"], PRICE, payment_id="pay-cb", paid_at=at(order))
    before = shop.balances()
    assert till.send(till.bank.charge_back("pay-cb", 400))[0] == 200
    assert shop.moved(before) == {
        ("channel_available", ""): 400,
        ("reconciliation_suspense", ""): -400,
    }


def test_accounts_are_registered_changed_and_ended_by_operators(client, call, till, scores_url, placed):
    order = placed("ended-account")
    own = till_of(client, scores_url)
    shown = call("audit", "GET", "/channels").json()["channels"]
    mine = next(one for one in shown if one["channel_id"] == own.channel_id)
    assert (mine["serials"], mine["fee_bps"], "secrets" in mine) == (["simulated-1"], 0, False)
    bad_key = {
        "adapter": "simulated",
        "merchant_number": "m",
        "api_url": "http://127.0.0.1:9",
        "fee_bps": 0,
        "public_keys": {"s": "no key"},
        "secrets": {"private_key": new_keys().private},
    }
    assert call("op", "POST", "/channels", bad_key).json()["type"] == "urn:muyun:problem:channel-key-refused"
    assert call("m1", "POST", "/channels", bad_key).status_code == 403
    unknown = bad_key | {"adapter": "barter", "public_keys": {"s": new_keys().public}}
    answer = call("op", "POST", "/channels", unknown)
    assert answer.json()["type"] == "urn:muyun:problem:channel-account-refused"
    change = {"fee_bps": 10, "public_keys": {"s": new_keys().public}, "is_active": False}
    assert call("op", "PUT", f"/channels/{own.channel_id}", change).json()["is_active"] is False
    refused(own.pay(order["order_id"], PRICE, paid_at=at(order)), "channel")


def test_secrets_lie_sealed(till, shop):
    rows = shop.sql("select secrets_enc from channels.account where tenant_id = %(t)s", t=TENANT)
    assert rows
    assert all(b"PRIVATE" not in bytes(row[0]) for row in rows)


def test_another_tenants_operator_sees_no_account(client, scores_url, till):
    key = issue_key(scores_url, name="other", tenant_id="elsewhere", scopes=[Scope.LEDGER_READ]).secret
    assert client.get("/v1/channels", headers={"X-API-Key": key}).json() == {"channels": []}


def registered(call, adapter, **more):
    """An account of a real-shaped channel, as the operator registers it; its channel id."""
    fields = {
        "adapter": adapter,
        "api_url": "https://channel.test",
        "fee_bps": 60,
        "public_keys": {"PLATFORM": rsa_pair("platform")[2]},
        "secrets": {"private_key": rsa_pair("shop")[0]},
    }
    answer = call("op", "POST", "/channels", fields | more)
    assert answer.status_code == 201, answer.text
    return answer.json()["channel_id"]


def test_wechat_pays_an_order_through_the_public_route(client, call, placed, shop):
    secrets = {"private_key": rsa_pair("shop")[0], "serial": "SHOP1", "api_v3_key": API_V3_KEY}
    merchant = {"merchant_number": "1900009191", "app_id": "wx1", "secrets": secrets}
    channel_id = registered(call, "wechat", **merchant)
    order = placed("wechat")
    paid = {
        "mchid": "1900009191",
        "out_trade_no": order["order_id"],
        "transaction_id": "4200000042",
        "trade_state": "SUCCESS",
        "success_time": order["placed_at"],
        "amount": {"total": PRICE, "currency": "CNY"},
    }
    body = wechat_envelope("TRANSACTION.SUCCESS", paid)
    old = wechat_signed(body, at=datetime.now(UTC) - timedelta(minutes=6))
    path = f"/v1/channels/{channel_id}/notices"
    refused(client.post(path, content=body, headers=old), "timestamp")
    stranger = wechat_signed(body, at=datetime.now(UTC), key="shop")
    refused(client.post(path, content=body, headers=stranger), "signature")
    assert status_of(call, order) == "placed"
    headers = wechat_signed(body, at=datetime.now(UTC))
    answer = client.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (200, "SUCCESS")
    refused(client.post(path, content=body, headers=headers), "nonce")
    assert status_of(call, order) == "paid"
    assert shop.sql("select adapter, fee_cents from orders.payment where payment_id = '4200000042'") == [
        ("wechat", 6)
    ]


def test_alipay_pays_an_order_through_the_public_route(client, call, placed):
    channel_id = registered(call, "alipay", merchant_number="2088", app_id="2021")
    order = placed("alipay")
    in_china = (at(order) + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    form = alipay_signed(
        out_trade_no=order["order_id"], trade_no="a-1", total_amount="10.00", gmt_payment=in_china
    )
    path = f"/v1/channels/{channel_id}/notices"
    media = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
    forged = urlencode(form | {"total_amount": "0.01"})
    refused(client.post(path, content=forged, headers=media), "signature")
    for _ in range(2):
        answer = client.post(path, content=urlencode(form), headers=media)
        assert (answer.status_code, answer.text) == (200, "success")
    assert status_of(call, order) == "paid"


def test_differences_of_a_bill_go_to_suspense_with_their_type_once(call, till, placed, shop):
    order = placed("billed")
    till.pay(order["order_id"], PRICE, payment_id="pay-billed", paid_at=at(order))
    start = at(order).replace(minute=0, second=0, microsecond=0)
    line = {"kind": "payment", "amount_cents": 500, "fee_cents": 3, "occurred_at": start.isoformat()}
    bill = {
        "bill_id": "b-suspense",
        "adapter": "simulated",
        "bill_from": (start - timedelta(days=400)).isoformat(),
        "bill_to": (start - timedelta(days=399)).isoformat(),
        "lines": [
            line | {"reference": "never-heard"},
            line | {"kind": "payout", "reference": "nobody-asked", "fee_cents": 0, "amount_cents": 200},
        ],
    }
    assert call("op", "POST", "/channel-bills", bill).status_code == 201
    before = shop.balances()
    for run in ("r-1", "r-2"):
        found = call("op", "POST", "/reconciliations", {"run_id": run, "bill_id": "b-suspense"})
        assert found.json()["breaks"] == {"missing_in_ledger": 2}
    # 5.00 more came in than the books know, 2.00 more went out: 3.00 in suspense, once.
    assert shop.moved(before) == {
        ("channel_available", ""): -300,
        ("reconciliation_suspense", ""): 300,
    }
    held = {
        one["reference"]: one["booked_cents"]
        for one in call("op", "GET", "/misfits", limit=500).json()["misfits"]
        if one["kind"] == "bill_missing_in_ledger"
    }
    assert held == {"payment:never-heard": 500, "payout:nobody-asked": -200}
