"""Purchase orders from the suggestion to the shelf: policies, approvals, answers, parcels, receipts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta

import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, small_tables
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.jobs.__main__ import main
from serving.orders.assortment import stock
from serving.orders.errors import InvalidRequestError
from serving.orders.webhooks import webhooks
from serving.privacy.data_keys import Vault
from serving.purchasing.arrivals import receive_purchase
from serving.purchasing.placing import Ordered, order_suggested
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("purchases")  # one world for all, in order

DAY = timedelta(days=1)
TODAY = NOW.date()


def suggestion(supplier, sku, qty, by=TODAY):
    return (supplier, sku, 5, 3, 10.0, 14.0, 5 + qty, qty, by, False, "below_level", "{}")


@pytest.fixture(scope="module")
def shop(module_database_url):
    tables = small_tables()
    tables["reorder_suggestions"] = [
        suggestion("S1", "tea", 40),
        suggestion("S1", "milk", 30),
        suggestion("S2", "tea", 12),
        suggestion("S1", "soap", 50),
        suggestion("S1", "later", 60, TODAY + 2 * DAY),
        suggestion("S1", "unoffered", 70),
        suggestion("S1", "idle", 0),
    ]
    tables["reorder_merchant_shares"] = [
        ("m1", "tea", "S1", 25.0, 25),
        ("m2", "tea", "S1", 15.0, 15),
    ]
    publish(module_database_url, manifest_of("v1", tables), tables)
    with Operations(module_database_url, size=8, timeout_s=60) as operations:
        made = Shop(module_database_url, operations)
        for sku, path in {
            "tea": ("tea", "drinks"),
            "milk": ("milk", "drinks"),
            "soap": ("care",),
            "later": ("tea", "drinks"),
            "idle": ("tea", "drinks"),
        }.items():
            made.list(sku, 1000)
            made.sql(
                "update orders.product set category_ids = %(path)s where sku_id = %(sku)s",
                path=list(path),
                sku=sku,
            )
            made.supply("S1", sku, 5, price=200, days=3)
        made.supply("S2", "tea", 5, price=300, days=6, smallest=12)
        yield made


@pytest.fixture(scope="module")
def client(module_database_url, settings, shop):
    told = settings.model_copy(update={"as_of": NOW})
    app = create_app(told, module_database_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def call(client, module_database_url):
    parties = {"S1": Role.SUPPLIER, "S2": Role.SUPPLIER, "m1": Role.MERCHANT, "op": Role.OPERATOR}
    keys = {
        who: issue_key(
            module_database_url,
            name=who,
            role=role,
            party_id=None if who == "op" else who,
            scopes=sorted(ROLE_SCOPES[role]),
        ).secret
        for who, role in parties.items()
    }

    def send(who, method, path, body=None, expected=200, key=None, **query):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
        answer = client.request(method, f"/v1{path}", params=query, json=body, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None

    return send


def orders(call, who="op", path="/purchase-orders", **query):
    return call(who, "GET", path, limit=500, **query)["purchase_orders"]


def lines(order):
    return {line["sku_id"]: line["ordered_qty"] for line in order["lines"]}


def test_without_a_policy_nothing_is_ordered(shop, call):
    """Four suggestions can be ordered by tomorrow; the others have no offer, no units, or time."""
    assert shop.act(order_suggested, NOW) == Ordered(left=4)
    assert orders(call) == []


def test_policies_say_what_is_ordered_and_what_is_asked(shop, call):
    call("op", "PUT", "/purchase-policies", {"category_id": "*", "mode": "off"}, 204)
    call("op", "PUT", "/purchase-policies", {"category_id": "drinks", "mode": "approve"}, 204)
    call("op", "PUT", "/purchase-policies", {"category_id": "tea", "mode": "auto", "max_cents": 8_000}, 204)
    call("S1", "PUT", "/purchase-policies", {"category_id": "tea", "mode": "auto"}, 403)
    stated = call("op", "GET", "/purchase-policies")["policies"]
    assert [(one["category_id"], one["mode"]) for one in stated] == [
        ("*", "off"),
        ("drinks", "approve"),
        ("tea", "auto"),
    ]
    # 40 at 2.00 are the 80.00 that may be ordered at once; 12 at 3.00 are less.
    done = shop.act(order_suggested, NOW)
    assert done == Ordered(orders=2, lines=2, cents=40 * 200 + 12 * 300, asked=1, left=1)
    made = {order["supplier_id"]: order for order in orders(call)}
    assert lines(made["S1"]) == {"tea": 40}
    assert made["S1"]["expected_on"] == (TODAY + 3 * DAY).isoformat()
    assert made["S2"]["expected_on"] == (TODAY + 6 * DAY).isoformat()
    assert {order["cause"] for order in made.values()} == {"auto"}
    # What is on order is not ordered again, and what waits is not asked again.
    assert shop.act(order_suggested, NOW) == Ordered(left=1)


def test_a_line_worth_more_than_the_policy_lets_is_asked_for(shop, call):
    call("op", "PUT", "/purchase-policies", {"category_id": "tea", "mode": "auto", "max_cents": 7_999}, 204)
    shop.sql("update purchasing.purchase_order set status = 'cancelled', closed_at = now()")
    done = shop.act(order_suggested, NOW)
    assert (done.orders, done.asked, done.cents) == (1, 1, 12 * 300)
    waiting = call("op", "GET", "/approvals", kind="purchase", state="pending")["approvals"]
    assert {(one["suggestion"]["sku_id"], one["suggestion"]["qty"]) for one in waiting} == {
        ("milk", 30),
        ("tea", 40),
    }


def waiting_for(call, sku):
    found = call("op", "GET", "/approvals", kind="purchase", state="pending")["approvals"]
    return next(one for one in found if one["suggestion"]["sku_id"] == sku)


def test_an_approved_suggestion_is_ordered_with_fewer_units_where_the_decider_says_so(shop, call):
    one = waiting_for(call, "tea")
    decided = {"version": one["version"], "digest": one["digest"]}
    path = f"/approvals/{one['approval_id']}"
    call("op", "POST", f"{path}/adjust", {**decided, "adjusted": {"qty": 41}}, 422)
    less = call("op", "POST", f"{path}/adjust", {**decided, "adjusted": {"qty": 20}})
    decided = {"version": less["version"], "digest": less["digest"]}
    assert call("op", "POST", f"{path}/approve", decided)["state"] == "in_effect"
    order = next(one for one in orders(call, "S1", "/suppliers/S1/purchase-orders", status="placed"))
    assert (lines(order), order["cause"]) == ({"tea": 20}, "approved")
    # The merchants' shares of 25 and 15 fit into what was ordered: 12.5 and 7.5.
    share = call("m1", "GET", "/merchants/m1/purchase-orders", status="placed")["lines"]
    assert [(one["sku_id"], one["ordered_qty"], one["qty"]) for one in share] == [("tea", 20, 13)]
    call("m1", "GET", "/merchants/m2/purchase-orders", expected=403)
    call("m1", "GET", "/suppliers/S1/purchase-orders", expected=403)


def test_what_costs_more_by_now_is_not_ordered(shop, call):
    one = waiting_for(call, "milk")
    shop.sql("update orders.offer set supply_price_cents = 201 where sku_id = 'milk'")
    decided = {"version": one["version"], "digest": one["digest"]}
    problem = call("op", "POST", f"/approvals/{one['approval_id']}/approve", decided, 409)
    assert "costs 201 by now" in problem["detail"]
    shop.sql("update orders.offer set supply_price_cents = 200 where sku_id = 'milk'")
    assert call("op", "POST", f"/approvals/{one['approval_id']}/approve", decided)["state"] == "in_effect"


def placed(call, key, **units):
    body = {"supplier_id": "S1", "lines": [{"sku_id": sku, "qty": qty} for sku, qty in units.items()]}
    return call("op", "POST", "/purchase-orders", body, 201, key)


def test_an_order_that_is_stated_is_made_once_and_of_offers_in_force(shop, call):
    first = placed(call, "once", soap=10)
    assert placed(call, "once", soap=10) == first
    assert (first["status"], first["cause"], lines(first)) == ("placed", "stated", {"soap": 10})
    body = {"supplier_id": "S1", "lines": [{"sku_id": "nothing", "qty": 1}]}
    assert "no offer in force" in call("op", "POST", "/purchase-orders", body, 422, "k1")["detail"]
    body = {"supplier_id": "S2", "lines": [{"sku_id": "tea", "qty": 11}]}
    assert "smallest order" in call("op", "POST", "/purchase-orders", body, 422, "k2")["detail"]
    body = {"supplier_id": "S1", "lines": [{"sku_id": "tea", "qty": 1}] * 2}
    call("op", "POST", "/purchase-orders", body, 422, "k3")
    call("S1", "POST", "/purchase-orders", body, 403, "k4")


def own(order):
    return f"/suppliers/S1/purchase-orders/{order['purchase_order_id']}"


def test_from_the_answer_to_the_shelf(shop, call):
    """20 and 30 ordered, 15 and 30 a day later promised, agreed, shipped and received in parts."""
    order = placed(call, "life", tea=20, soap=30)
    one = f"/purchase-orders/{order['purchase_order_id']}"
    late = (date.fromisoformat(order["expected_on"]) + DAY).isoformat()
    promises = {
        "lines": [
            {"sku_id": "tea", "qty": 15, "promised_on": order["expected_on"]},
            {"sku_id": "soap", "qty": 30, "promised_on": late},
        ]
    }
    call("S2", "POST", f"{own(order)}/answer", promises, 403)
    call("S2", "POST", own(order).replace("S1", "S2") + "/answer", promises, 404)
    call("op", "POST", f"{one}/agree", None, 409)
    too_many = {"lines": [{"sku_id": "tea", "qty": 21, "promised_on": late}]}
    assert "more than the 20 ordered" in call("S1", "POST", f"{own(order)}/answer", too_many, 422)["detail"]
    past = {"lines": [{"sku_id": "tea", "qty": 20, "promised_on": (TODAY - DAY).isoformat()}]}
    call("S1", "POST", f"{own(order)}/answer", past, 422)
    assert call("S1", "POST", f"{own(order)}/answer", promises)["status"] == "changed"
    call("S1", "POST", f"{own(order)}/shipments", {"lines": [{"sku_id": "tea", "qty": 1}]}, 409, "early")
    assert call("op", "POST", f"{one}/agree")["status"] == "confirmed"
    before = {sku: shop.stock_of("S1", sku)[0] for sku in ("tea", "soap")}
    part = {"lines": [{"sku_id": "tea", "qty": 15}, {"sku_id": "soap", "qty": 10}]}
    call("op", "POST", f"{one}/receipts", part, 409, "not-yet")
    assert call("S1", "POST", f"{own(order)}/shipments", part, 200, "p1")["status"] == "shipped"
    assert call("S1", "POST", f"{own(order)}/shipments", part, 200, "p1")["status"] == "shipped"
    call("S1", "POST", f"{own(order)}/shipments", part, 422, "p2")
    twice = {"lines": [{"sku_id": "soap", "qty": 1}] * 2}
    for path, key in ((f"{own(order)}/shipments", "t1"), (f"{one}/receipts", "t2")):
        assert "stands twice" in call("op", "POST", path, twice, 422, key)["detail"]
    said = {"lines": [{"sku_id": "soap", "qty": 1, "promised_on": late}] * 2}
    assert "stands twice" in call("S1", "POST", f"{own(order)}/answer", said, 422)["detail"]
    call("op", "POST", f"{one}/cancel", {"reason_code": "too_late"}, 409)
    assert call("op", "POST", f"{one}/receipts", part, 200, "r1")["status"] == "shipped"
    assert call("op", "POST", f"{one}/receipts", part, 200, "r1")["status"] == "shipped"
    call("op", "POST", f"{one}/receipts", part, 422, "r2")
    assert {sku: shop.stock_of("S1", sku)[0] - was for sku, was in before.items()} == {"tea": 15, "soap": 10}
    rest = {"lines": [{"sku_id": "soap", "qty": 20}]}
    call("S1", "POST", f"{own(order)}/shipments", rest, 200, "p3")
    done = call("op", "POST", f"{one}/receipts", rest, 200, "r3")
    assert (done["status"], done["closed_at"]) == ("received", NOW.isoformat().replace("+00:00", "Z"))
    assert shop.stock_of("S1", "soap")[0] - before["soap"] == 30
    assert shop.sql(
        "select sum(qty_delta)::int from orders.stock_movement where purchase_order_id = %(p)s"
        " and reason = 'inbound'",
        p=order["purchase_order_id"],
    ) == [(45,)]


def test_a_count_from_before_a_receipt_does_not_undo_it(shop, call):
    order = placed(call, "count", soap=10)
    call("S1", "POST", f"{own(order)}/answer", {})
    units = {"lines": [{"sku_id": "soap", "qty": 10}]}
    call("S1", "POST", f"{own(order)}/shipments", units, 200, "c1")
    call("op", "POST", f"/purchase-orders/{order['purchase_order_id']}/receipts", units, 200, "c2")
    report = stock.StockReport("soap", 3, 0, NOW - timedelta(hours=1))
    shop.sql("update orders.stock set source_at = '2026-01-01T00:00:00Z' where sku_id = 'soap'")
    shop.act(stock.report_stock, "S1", [report], NOW)
    arrived = shop.sql(
        "select sum(qty_delta)::int from orders.stock_movement where sku_id = 'soap'"
        " and purchase_order_id is not null"
    )[0][0]
    assert shop.stock_of("S1", "soap")[0] == 3 + arrived


def test_what_is_declined_cancelled_or_closed_short_is_not_on_order(shop, call):
    shop.sql(
        "update purchasing.purchase_order set status = 'cancelled', closed_at = now()"
        " where status in ('placed', 'changed', 'confirmed', 'shipped')"
    )
    call("op", "PUT", "/purchase-policies", {"category_id": "tea", "mode": "auto", "max_cents": 8_000}, 204)
    assert shop.act(order_suggested, NOW).orders == 2
    first = next(one for one in orders(call, status="placed") if one["supplier_id"] == "S1")
    done = call("S1", "POST", f"{own(first)}/decline", {"reason_code": "out_of_season"})
    assert (done["status"], done["reason_code"]) == ("declined", "out_of_season")
    assert shop.act(order_suggested, NOW).orders == 1
    second = next(one for one in orders(call, status="placed") if one["supplier_id"] == "S1")
    call("S1", "POST", f"{own(second)}/answer", {})
    units = {"lines": [{"sku_id": "tea", "qty": 15}]}
    call("S1", "POST", f"{own(second)}/shipments", units, 200, "s1")
    one = f"/purchase-orders/{second['purchase_order_id']}"
    call("op", "POST", f"{one}/receipts", units, 200, "s2")
    assert shop.act(order_suggested, NOW).orders == 0
    ended = call("op", "POST", f"{one}/close", {"reason_code": "rest_lost"})
    assert (ended["status"], ended["reason_code"]) == ("closed", "rest_lost")
    assert second["purchase_order_id"] in {one["purchase_order_id"] for one in orders(call, status="closed")}
    assert shop.act(order_suggested, NOW).orders == 1


def test_what_the_quality_brake_stopped_is_ordered_by_nobody(shop, call):
    """Level 3 stops reorders in the transaction that would place them."""
    shop.sql(
        "update purchasing.purchase_order set status = 'cancelled', closed_at = now()"
        " where status in ('placed', 'changed', 'confirmed', 'shipped')"
    )
    shop.sql(
        "insert into quality.brake (tenant_id, sku_id, held_level, reason_code, evidence, judged_at)"
        " values (%(t)s, 'tea', 3, 'rate', '{}', %(at)s)",
        t=TENANT,
        at=NOW,
    )
    assert shop.act(order_suggested, NOW).orders == 0
    body = {"supplier_id": "S1", "lines": [{"sku_id": "tea", "qty": 5}]}
    problem = call("op", "POST", "/purchase-orders", body, 409, "braked")
    assert problem["type"].endswith("sale-stopped")
    shop.sql("update quality.brake set held_level = 2 where sku_id = 'tea'")
    assert shop.act(order_suggested, NOW).orders == 2


def test_runs_at_once_order_once(shop, call):
    shop.sql(
        "update purchasing.purchase_order set status = 'cancelled', closed_at = now()"
        " where status in ('placed', 'changed', 'confirmed', 'shipped')"
    )
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: shop.act(order_suggested, NOW), range(6)))
    assert sorted(one.orders for one in done) == [0, 0, 0, 0, 0, 2]


def test_receipts_at_once_put_no_unit_on_the_shelf_twice(shop, call):
    order = placed(call, "race", soap=10)
    call("S1", "POST", f"{own(order)}/answer", {})
    units = {"lines": [{"sku_id": "soap", "qty": 10}]}
    call("S1", "POST", f"{own(order)}/shipments", units, 200, "x1")
    before = shop.stock_of("S1", "soap")[0]

    def receive(_):
        try:
            shop.act(receive_purchase, order["purchase_order_id"], {"soap": 4}, NOW)
        except InvalidRequestError:
            return 0
        return 4

    with ThreadPoolExecutor(5) as pool:
        taken = sum(pool.map(receive, range(5)))
    assert taken == 8
    assert shop.stock_of("S1", "soap")[0] == before + 8


def test_a_supplier_is_told_by_webhook(shop, call, settings):
    endpoint, _ = shop.act(
        lambda conn, tenant: webhooks.add_endpoint(
            conn, Vault.of(settings), tenant, "supplier", "S1", "https://example.com/hook"
        )
    )
    order = placed(call, "told", soap=1)
    told = shop.sql(
        "select event_type, payload from orders.webhook_delivery where endpoint_id = %(e)s",
        e=endpoint.endpoint_id,
    )
    assert told == [
        (
            "purchase_order.placed",
            {"purchase_order_id": order["purchase_order_id"], "supplier_id": "S1"},
        )
    ]


def test_the_nightly_job_orders(shop, call, monkeypatch, module_database_url, settings, capsys):
    monkeypatch.setenv("MUYUN_DATABASE_URL", module_database_url)
    monkeypatch.setenv("MUYUN_HOME", str(settings.home))
    shop.sql(
        "update purchasing.purchase_order set status = 'cancelled', closed_at = now()"
        " where status in ('placed', 'changed', 'confirmed', 'shipped')"
    )
    at = datetime.fromisoformat(NOW.isoformat())
    assert main(["purchases", "--tenant", TENANT, "--as-of", at.isoformat()]) == 0
    assert "Ordered(orders=2" in capsys.readouterr().out
