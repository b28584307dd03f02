"""Orders over HTTP: who may do and see what, keys that repeat, and the race for the last unit."""

import threading
from collections import Counter
from datetime import UTC, datetime

import psycopg
import pytest
from simulated_till import till_of
from small_market import TENANT, Shop

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, Scope, issue_key

RECIPIENT = {"name": "王小明", "phone": "13812345678", "address": "浙江省杭州市西湖区文三路 1 号"}


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        yield made


@pytest.fixture(scope="module")
def call(client, scores_url):
    """Send a request as somebody: `op`, `audit`, `m1`, `m2`, `S1`, `S2`, `ag`."""
    parties = {
        "S1": Role.SUPPLIER,
        "S2": Role.SUPPLIER,
        "m1": Role.MERCHANT,
        "m2": Role.MERCHANT,
        "ag": Role.AGENT,
    }

    def key(who):
        role = parties.get(who, Role.AUDITOR if who == "audit" else Role.OPERATOR)
        scopes = ROLE_SCOPES[role] - ({Scope.PERSONAL_READ} if who == "op" else set())
        party = who if who in parties else None
        return issue_key(scores_url, name=who, role=role, party_id=party, scopes=sorted(scopes)).secret

    keys = {who: key(who) for who in ("op", "clear", "audit", *parties)}

    def send(who, method, path, body=None, expected=None, idempotency=None, **query):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": idempotency} if idempotency else {})
        answer = client.request(method, f"/v1{path}", params=query, json=body, headers=headers)
        if expected is not None:
            assert answer.status_code == expected, answer.text
        return answer

    return send


def problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:muyun:problem:{slug}"
    return answer.json()


def body(sku, qty=1, **more):
    return {"merchant_id": "m1", "consumer_id": "c1", "lines": [{"sku_id": sku, "qty": qty}], **more}


def place(call, key, sku, qty=1, who="m1", **more):
    return call(who, "POST", "/orders", body(sku, qty, **more), 201, key).json()


@pytest.fixture(scope="module")
def pay(client, scores_url):
    """Pay an order as the simulated channel reports it; the channel keeps 0.60%."""
    till = till_of(client, scores_url, fee_bps=60)

    def paid(order, cents=None):
        status, text = till.pay(
            order["order_id"],
            order["payable_cents"] if cents is None else cents,
            payment_id=f"p-{order['order_id']}",
            paid_at=datetime.fromisoformat(order["placed_at"]),
        )
        assert status == 200, text

    return paid


@pytest.fixture
def goods(shop):
    def make(sku, qty=10, price=1000):
        shop.list(sku, price)
        shop.supply("S1", sku, qty, price=600, freight=100)
        shop.supply("S2", sku, qty, price=700, freight=100)

    return make


def test_who_was_erased_orders_nothing_any_more(call, goods):
    goods("erased-sku")
    late = body("erased-sku", consumer_id="c-erased")
    assert call("op", "POST", "/consumers/c-erased/erasure").status_code == 200
    answer = call("m1", "POST", "/orders", late, idempotency="late-order")
    assert "another consumer_id" in problem(answer, 410, "consumer-erased")["remedy"]
    again = {**late, "consumer_id": "c-came-back"}
    assert call("m1", "POST", "/orders", again, 201, "late-order").json()["consumer_id"] == "c-came-back"


def test_the_life_of_an_order(call, goods, shop, pay):
    goods("life")
    before = shop.balances()
    order = place(call, "life-1", "life", 2, region_code="330100", recipient=RECIPIENT)
    path = f"/orders/{order['order_id']}"
    assert (order["status"], order["payable_cents"], order["freight_cents"]) == ("placed", 2200, 200)
    assert order["lines"][0]["supplier_id"] == "S1"
    assert order["recipient"] is None
    pay(order)
    assert call("m1", "GET", path, None, 200).json()["status"] == "paid"
    # 0.60% of 22.00 is 0.132.
    assert shop.moved(before)["channel_fee", ""] == 13
    assert shop.moved(before)["channel_frozen", ""] == -2200
    part = f"{path}/suborders/S1"
    call("S1", "POST", f"{part}/accept", {}, 200)
    notice = {"shipment_id": "sh-life", "promised_at": "2026-11-09T00:00:00Z", "carrier": "SF"}
    assert call("S1", "POST", f"{part}/shipments", notice, 200).json()["status"] == "shipped"
    received = call("m1", "POST", f"{path}/receipt", {}, 200).json()
    assert (received["status"], received["sub_orders"][0]["status"]) == ("received", "received")
    case = {"line_no": 1, "kind": "refund", "reason_code": "broken", "requested_cents": 2000}
    opened = call("m1", "POST", f"{path}/after-sales", case, 201, "case-1").json()
    refund = f"/after-sales/{opened['case_id']}/refund"
    # The goods are with the buyer: the shop does not give away the supplier's money by itself.
    problem(call("m1", "POST", refund, {"refund_cents": 500}, None, "r0"), 409, "refund-refused")
    call("S1", "POST", f"/after-sales/{opened['case_id']}/answer", {"agrees": True}, 200)
    one = call("m1", "POST", refund, {"refund_cents": 500}, 200, "r1").json()
    assert (one["order_status"], one["case"]["status"], one["case"]["refund_cents"]) == (
        "received",
        "open",
        500,
    )
    assert call("m1", "POST", refund, {"refund_cents": 500}, 200, "r1").json() == one
    call("m1", "POST", refund, {"refund_cents": 1500}, 200, "r2")
    problem(call("m1", "POST", refund, {"refund_cents": 1}, None, "r3"), 409, "refund-refused")
    call("m1", "POST", f"/after-sales/{opened['case_id']}/close", None, 200)
    problem(call("m1", "POST", refund, {"refund_cents": 1}, None, "r4"), 409, "impossible-move")
    assert call("m1", "GET", path, None, 200).json()["refunded_cents"] == 2000
    # The channel was asked for 20.00 and has yet to say that it gave them back.
    assert shop.moved(before) == {
        ("channel_frozen", ""): -2200,
        ("refund_in_transit", ""): 2000,
        ("supplier_pending", "S1"): 200,
    }


def test_who_sees_what_of_an_order(call, goods, shop, pay):
    goods("seen")
    shop.agent("ag")
    order = place(call, "seen-1", "seen", recipient=RECIPIENT, agent_id="ag")
    pay(order)
    path = f"/orders/{order['order_id']}"
    shown = {
        who: call(who, "GET", path, None, 200).json() for who in ("op", "clear", "audit", "m1", "S1", "ag")
    }
    masked = {"name": "王**", "phone": "138****5678", "address": "浙江省杭州市****", "region_code": None}
    clear = {**RECIPIENT, "region_code": None}
    assert {who: document["recipient"] for who, document in shown.items()} == {
        "op": masked,
        "clear": clear,
        "audit": masked,
        "m1": masked,
        "S1": clear,
        "ag": None,
    }
    hidden = (
        "consumer_id",
        "agent_id",
        "payable_cents",
        "captured_cents",
        "refunded_cents",
        "coupon_discount_cents",
    )
    assert all(shown["S1"][name] is None for name in hidden)
    assert shown["S1"]["lines"][0]["net_paid_cents"] is None
    assert shown["S1"]["lines"][0]["supply_price_cents"] == 600
    assert shown["ag"]["lines"][0]["supply_price_cents"] is None
    for who in ("S2", "m2"):
        problem(call(who, "GET", path), 404, "order-not-found")
    noted = call(
        "audit", "GET", "/audit-log", None, 200, action="recipient.read", object_id=order["order_id"]
    )
    assert sorted(entry["role"] for entry in noted.json()["entries"]) == ["operator", "supplier"]


def test_a_supplier_reaches_its_own_part_only(call, goods, shop, pay):
    goods("own")
    order = place(call, "own-1", "own", recipient=RECIPIENT)
    pay(order)
    part = f"/orders/{order['order_id']}/suborders/S1"
    problem(call("S2", "POST", f"{part}/accept", {}), 403, "supplier-out-of-scope")
    answer = call("S2", "POST", f"/orders/{order['order_id']}/suborders/S2/accept", {})
    problem(answer, 404, "sub-order-not-found")
    problem(call("S2", "GET", "/suppliers/S1/shipping-instructions"), 403, "supplier-out-of-scope")
    problem(call("m1", "GET", "/suppliers/S1/shipping-instructions"), 403, "role-not-allowed")
    mine = call("S1", "GET", "/suppliers/S1/shipping-instructions", None, 200, limit=500).json()[
        "instructions"
    ]
    found = [one for one in mine if one["order_id"] == order["order_id"]]
    assert [(one["lines"][0]["qty"], one["recipient"]["phone"]) for one in found] == [(1, "13812345678")]
    theirs = call("S2", "GET", "/suppliers/S2/shipping-instructions", None, 200).json()["instructions"]
    assert order["order_id"] not in [one["order_id"] for one in theirs]
    operator = call("op", "GET", "/suppliers/S1/shipping-instructions", None, 200, limit=500).json()[
        "instructions"
    ]
    assert {one["recipient"]["phone"] for one in operator if one["recipient"]} == {"138****5678"}
    call("S1", "POST", f"{part}/reject", {"reason_code": "none_left"}, 200)
    moved = call("S2", "GET", f"/orders/{order['order_id']}", None, 200).json()
    assert [(line["supplier_id"], line["supply_price_cents"]) for line in moved["lines"]] == [("S2", 700)]
    assert call("S1", "GET", f"/orders/{order['order_id']}", None, 200).json()["recipient"]["name"] == "王**"


def test_an_idempotency_key_gives_the_first_answer_again(call, goods, shop):
    goods("again")
    first = call("m1", "POST", "/orders", body("again"), 201, "again-1")
    second = call("m1", "POST", "/orders", body("again"), 201, "again-1")
    assert first.json() == second.json()
    problem(call("m1", "POST", "/orders", body("again", 2), None, "again-1"), 409, "idempotency-conflict")
    problem(call("m1", "POST", "/orders", body("again")), 422, "invalid-parameter")
    assert shop.stock_of("S1", "again") == (10, 1, 9)
    entries = call("audit", "GET", "/audit-log", None, 200, object_id=first.json()["order_id"]).json()[
        "entries"
    ]
    assert [entry["outcome"] for entry in entries if entry["action"] == "order.place"] == ["repeated", "done"]


def test_a_refused_order_leaves_its_key_free(call, goods, shop):
    goods("free", qty=1)
    problem(call("m1", "POST", "/orders", body("free", 3), None, "free-1"), 409, "out-of-stock")
    shop.supply("S1", "free", 5, price=600, at=shop_time())
    call("m1", "POST", "/orders", body("free", 3), 201, "free-1")


def shop_time():
    from datetime import timedelta

    from small_market import NOW

    return NOW + timedelta(seconds=1)


def together(count, work):
    """The answers of `count` requests that start at one moment, by what `work` returns."""
    gate, lock, answers = threading.Barrier(count), threading.Lock(), []

    def one(number):
        gate.wait()
        answer = work(number)
        with lock:
            answers.append(answer)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_concurrent_duplicates_wait_for_the_first(call, goods, shop):
    goods("dup")
    answers = together(8, lambda _: call("m1", "POST", "/orders", body("dup"), None, "dup-1"))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["order_id"] for answer in answers}) == 1
    assert shop.stock_of("S1", "dup") == (10, 1, 9)


def test_of_64_buyers_of_the_last_unit_exactly_one_wins(call, shop):
    shop.list("last", 1000)
    shop.supply("S1", "last", 1, price=600)
    answers = together(64, lambda n: call("m1", "POST", "/orders", body("last"), None, f"last-{n}"))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 63}
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"urn:muyun:problem:out-of-stock"}
    assert shop.stock_of("S1", "last") == (1, 1, 0)


def test_lists_are_bounded_by_the_key_and_walk_page_by_page(call, goods, shop):
    goods("listed", qty=50)
    ids = [place(call, f"listed-{n}", "listed")["order_id"] for n in range(5)]
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = call("m1", "GET", "/orders", None, 200, **query).json()
        seen += [order["order_id"] for order in page["orders"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen[:5] == ids[::-1]
    assert len(seen) == len(set(seen))
    assert call("m2", "GET", "/orders", None, 200).json()["orders"] == []
    problem(call("m2", "GET", "/orders", merchant_id="m1"), 403, "merchant-out-of-scope")
    supplier = call("S1", "GET", "/orders", None, 200, limit=500).json()["orders"]
    assert ids[0] in [order["order_id"] for order in supplier]
    assert {order["payable_cents"] for order in supplier} == {None}
    placed = call("op", "GET", "/orders", None, 200, status="placed", merchant_id="m1", limit=500).json()
    assert {order["status"] for order in placed["orders"]} == {"placed"}


def test_what_belongs_to_another_merchant_is_out_of_reach(call, goods, pay):
    goods("foreign")
    order = place(call, "foreign-1", "foreign")
    path = f"/orders/{order['order_id']}"
    problem(call("m2", "POST", "/orders", body("foreign"), None, "f"), 403, "merchant-out-of-scope")
    problem(call("m2", "POST", f"{path}/cancel"), 404, "order-not-found")
    problem(call("m2", "POST", f"{path}/receipt", {}), 404, "order-not-found")
    pay(order)
    case = {"line_no": 1, "kind": "refund", "reason_code": "x", "requested_cents": 10}
    problem(call("m2", "POST", f"{path}/after-sales", case, None, "c"), 404, "order-not-found")
    problem(call("S2", "POST", f"{path}/after-sales", case, None, "c"), 404, "order-not-found")
    opened = call("S1", "POST", f"{path}/after-sales", case, 201, "c").json()
    problem(call("m2", "POST", f"/after-sales/{opened['case_id']}/close"), 404, "after-sale-case-not-found")
    problem(call("S1", "POST", f"/after-sales/{opened['case_id']}/close"), 403, "role-not-allowed")
    problem(call("op", "POST", "/after-sales/none/close"), 404, "after-sale-case-not-found")


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"sku_id": "bad", "qty": 0}]}, "qty"),
        ({"lines": [{"sku_id": "bad", "qty": 1, "price_cents": 1}]}, "price_cents"),
        ({"merchant_id": "m\u0000"}, "merchant_id"),
        ({"channel": "fax"}, "channel"),
        ({"recipient": {**RECIPIENT, "phone": "call me"}}, "phone"),
        ({"agent_id": "stranger"}, "agent_id"),
        ({"roles": [{"role": "live_anchor", "party_type": "agent", "party_id": "stranger"}]}, "roles"),
        ({"scene_ids": ["sc-nowhere"]}, "scene_ids"),
    ],
)
def test_faulty_orders_are_told_why(call, goods, change, parameter):
    goods("bad")
    who = "op" if "merchant_id" in change else "m1"
    found = problem(call(who, "POST", "/orders", body("bad") | change, None, "bad"), 422, "invalid-parameter")
    assert parameter in found["detail"]


def test_refusals_have_their_own_types(call, goods, pay):
    goods("typed")
    problem(call("m1", "POST", "/orders", body("unlisted"), None, "t1"), 422, "not-listed")
    unknown = body("typed", coupon_codes=["NOTHING"])
    problem(call("m1", "POST", "/orders", unknown, None, "t2"), 422, "discount-refused")
    # A shop names no amount and no funder.
    coupon = {"kind": "percentage", "discount_cents": 900, "funder_split_bps": {"platform": 10000}}
    stated = body("typed", coupons=[coupon])
    problem(call("m1", "POST", "/orders", stated, None, "t2"), 422, "invalid-parameter")
    order = place(call, "t3", "typed")
    pay(order)
    cancelled = problem(call("m1", "POST", f"/orders/{order['order_id']}/cancel"), 409, "impossible-move")
    assert "refund" in cancelled["remedy"]
    answer = call("op", "POST", "/payments/p-1/query", content_that_is_no_json())
    assert answer.status_code == 422


def content_that_is_no_json():
    return "not an object"


def test_stock_and_terms_are_taken_over_by_source_time(call):
    later, early = "2017-01-02T00:00:00Z", "2017-01-01T00:00:00Z"

    def count(qty, at, sku="fed"):
        return {"stock": [{"sku_id": sku, "on_hand_qty": qty, "buffer_qty": 1, "source_at": at}]}

    path = "/suppliers/S2/stock"
    assert call("S2", "PUT", path, count(5, later), 200).json() == {"accepted": ["fed"], "outdated": []}
    assert call("S2", "PUT", path, count(9, early), 200).json() == {"accepted": [], "outdated": ["fed"]}
    shown = call("S2", "GET", path, None, 200, limit=500).json()["stock"]
    assert next(s for s in shown if s["sku_id"] == "fed")["available_qty"] == 4
    double = {"stock": count(1, later)["stock"] * 2}
    problem(call("S2", "PUT", path, double), 422, "invalid-parameter")
    problem(call("S2", "PUT", path, count(1, "2099-01-01T00:00:00Z")), 422, "invalid-parameter")
    problem(call("S2", "PUT", path, count(1, "0001-01-01T00:00:00+14:00")), 422, "invalid-parameter")
    problem(call("S1", "PUT", path, count(1, later)), 403, "supplier-out-of-scope")
    terms = {"sku_id": "fed", "supply_price_cents": 100, "lead_time_days": 1, "source_at": later}
    put = {"offers": [terms]}
    problem(call("S2", "PUT", "/suppliers/S2/offers", put), 403, "sku-not-approved")
    problem(call("S2", "PUT", "/suppliers/S2/skus", {"skus": [{"sku_id": "fed"}]}), 403, "role-not-allowed")
    call("op", "PUT", "/suppliers/S2/skus", {"skus": [{"sku_id": "fed"}]}, 200)
    first = call("S2", "PUT", "/suppliers/S2/offers", put, 200).json()
    unmeasured = {"sku_id": "fed", "reason": "no_reference", "low_cents": None, "high_cents": None}
    assert first == {"accepted": [], "outdated": [], "waiting": [unmeasured]}
    assert call("S2", "PUT", "/suppliers/S2/offers", put, 200).json()["outdated"] == ["fed"]


def test_a_price_outside_the_corridor_waits_and_the_supplier_sees_it(call, shop):
    shop.supply("S1", "corridor", 5, price=600, at=datetime(2017, 1, 1, tzinfo=UTC))
    price, later = 600, "2017-01-02T00:00:00Z"

    def state(cents, **more):
        terms = {
            "sku_id": "corridor",
            "supply_price_cents": cents,
            "lead_time_days": 1,
            "source_at": later,
        }
        return call("S1", "PUT", "/suppliers/S1/offers", {"offers": [terms | more]})

    problem(state(0), 422, "free-offer-refused")
    waiting = state(100 * price).json()["waiting"]
    assert [(one["sku_id"], one["reason"]) for one in waiting] == [("corridor", "own_price")]
    shown = call("S1", "GET", "/suppliers/S1/offers", None, 200, limit=500).json()["offers"]
    assert [(o["state"], o["supply_price_cents"]) for o in shown if o["sku_id"] == "corridor"] == [
        ("in_force", price),
        ("waiting", 100 * price),
    ]


def test_what_costs_more_than_it_brings_needs_a_budget_of_the_operator(call, shop):
    shop.list("lossy", 10_000, merchant="m1")
    shop.supply("S1", "lossy", 5, price=100_000_000)
    found = problem(call("m1", "POST", "/orders", body("lossy"), None, "lossy-1"), 409, "loss-refused")
    assert "99990060 fen" in found["detail"]
    assert "is 0 fen, 0 left" in found["detail"]
    path = "/merchants/m1/loss-budgets"
    today = call("op", "GET", "/publications/current", None, 200).json()["as_of"][:10]
    wanted = {"first_on": today, "last_on": today, "limit_cents": 1}
    problem(call("m1", "PUT", path, wanted), 403, "scope-missing")
    set_to = {"merchant_id": "m1", "day": today, "limit_cents": 1, "spent_cents": 0}
    assert call("op", "PUT", path, wanted, 200).json() == {"budgets": [set_to]}
    assert call("m1", "GET", path, None, 200, first_on=today).json() == {"budgets": [set_to]}
    problem(call("m2", "GET", path), 403, "merchant-out-of-scope")
    noted = call("op", "GET", "/audit-log", None, 200, action="loss_budget.set").json()["entries"]
    assert {one["authority"] for one in noted} == {"loss_budget"}


def test_addresses_for_messages(call):
    made = call("S1", "POST", "/webhooks", {"url": "https://93.184.216.34/a"}, 201).json()
    assert len(made["secret"]) >= 32
    path = f"/webhooks/{made['endpoint_id']}"
    assert call("S1", "GET", path, None, 200).json()["secret"] is None
    problem(call("S2", "GET", path), 404, "webhook-endpoint-not-found")
    problem(call("m1", "PUT", path, {"url": "https://93.184.216.34/x"}), 404, "webhook-endpoint-not-found")
    problem(call("S1", "POST", "/webhooks", {"url": "ftp://hooks.example.com/a"}), 422, "invalid-parameter")
    foreign = {"url": "https://93.184.216.34/a", "party_type": "supplier", "party_id": "S2"}
    problem(call("S1", "POST", "/webhooks", foreign), 403, "supplier-out-of-scope")
    problem(call("op", "POST", "/webhooks", {"url": "https://93.184.216.34/a"}), 422, "invalid-parameter")
    call("op", "POST", "/webhooks", foreign, 201)
    assert (
        call("S1", "PUT", path, {"url": "https://93.184.216.34/b"}, 200).json()["url"]
        == "https://93.184.216.34/b"
    )
    call("S1", "DELETE", path, None, 204)
    assert call("S1", "GET", path, None, 200).json()["is_active"] is False
    assert [one["party_id"] for one in call("S2", "GET", "/webhooks", None, 200).json()["endpoints"]] == [
        "S2"
    ]


def test_no_clear_personal_value_lies_in_any_table(call, goods, scores_url, pay):
    goods("sealed")
    who = {"name": "Zzyzx Quintus", "phone": "19955512399", "address": "Planted Avenue 77"}
    order = place(call, "sealed-1", "sealed", recipient=who)
    pay(order)
    call("S1", "GET", f"/orders/{order['order_id']}", None, 200)
    with psycopg.connect(libpq_url(scores_url)) as connection:
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname in ('orders', 'ops', 'settlement', 'ledger', 'parties')"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"select t::text from {table} t").fetchall()
            text = "\n".join(row for (row,) in rows if row)
            for value in who.values():
                assert value not in text, table
                assert value.encode().hex() not in text, table
    assert TENANT == "default"


def test_a_move_under_a_key_is_made_once_and_may_be_sent_again(call, goods, pay):
    """The answer to a first call can get lost; the second must not look like a mistake."""
    goods("again")
    order = place(call, "again-1", "again")
    pay(order)
    path = f"/orders/{order['order_id']}"
    part = f"{path}/suborders/S1"
    for _ in range(2):
        taken = call("S1", "POST", f"{part}/accept", {}, 200, "accept-again").json()
        assert taken["sub_orders"][0]["status"] == "accepted"
    problem(call("S1", "POST", f"{part}/accept", {}), 409, "impossible-move")
    other = {"short": [{"line_no": 1, "available_qty": 0}]}
    problem(
        call("S1", "POST", f"{part}/accept", other, idempotency="accept-again"), 409, "idempotency-conflict"
    )
    notice = {"shipment_id": "sh-again", "promised_at": "2026-11-09T00:00:00Z"}
    call("S1", "POST", f"{part}/shipments", notice, 200)
    for _ in range(2):
        assert call("m1", "POST", f"{path}/receipt", {}, 200, "got-again").json()["status"] == "received"
    case = {"line_no": 1, "kind": "complaint", "reason_code": "late", "requested_cents": 0}
    opened = call("m1", "POST", f"{path}/after-sales", case, 201, "case-again").json()
    for _ in range(2):
        ended = call("op", "POST", f"/after-sales/{opened['case_id']}/close", None, 200, "close-again").json()
        assert ended["status"] == "closed"


def test_a_cancelled_order_under_a_key_is_cancelled_once(call, goods, shop):
    goods("never")
    order = place(call, "never-1", "never", 3)
    for _ in range(2):
        path = f"/orders/{order['order_id']}/cancel"
        assert call("m1", "POST", path, None, 200, "cancel-never").json()["status"] == "cancelled"
    assert shop.stock_of("S1", "never") == (10, 0, 10)
