"""Promotions over HTTP: who puts forward, approves and sees what; a unit, a group, the guard, in orders."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from callers_of_roles import caller
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.jobs import __main__ as jobs
from serving.security import Role

pytestmark = pytest.mark.xdist_group("promotion_routes")  # one world for all, in order

PARTIES = {
    "op": (Role.OPERATOR, None),
    "audit": (Role.AUDITOR, None),
    "m1": (Role.MERCHANT, "m1"),
    "m1b": (Role.MERCHANT, "m1"),
    "m2": (Role.MERCHANT, "m2"),
    "S1": (Role.SUPPLIER, "S1"),
    "S2": (Role.SUPPLIER, "S2"),
}
FLASH = {
    "kind": "flash_sale",
    "title": "Wednesday",
    "sku_ids": ["sku"],
    "starts_at": "2026-11-01T00:00:00Z",
    "ends_at": "2026-11-08T00:00:00Z",
    "budget_cents": 100_000,
    "price_cents": 9_000,
    "stock_qty": 5,
}
GIFT = {name: value for name, value in FLASH.items() if name != "price_cents"} | {
    "kind": "gift",
    "sku_ids": ["present"],
    "min_goods_cents": 10_000,
}
GROUP = FLASH | {"kind": "group_buy", "group_size": 2, "group_minutes": 30}


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        made.list("sku", 10_000)
        made.supply("S1", "sku", 500, price=4_000)
        # Of the small publication: its floor is 95 fen a unit.
        made.list("k1", 200)
        made.supply("S1", "k1", 500, price=50)
        yield made


@pytest.fixture(scope="module")
def call(scores_url, settings, shop):
    now = settings.model_copy(update={"as_of": NOW})
    app = create_app(now, scores_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield caller(client, scores_url, PARTIES)


def running(call, body, key):
    made = call("m1", "POST", "/promotions", body, 201, key)
    return call("m1b", "POST", f"/promotions/{made['promotion_id']}/approve", None, 200)


def order(promotion, consumer, **more):
    lines = [{"sku_id": "sku", "qty": 1}]
    named = {"promotion_id": promotion["promotion_id"]}
    return {"merchant_id": "m1", "consumer_id": consumer, "lines": lines} | named | more


def test_a_flash_sale_needs_two_people_and_sells_what_there_is(call):
    made = call("m1", "POST", "/promotions", FLASH, 201, "flash")
    assert (made["status"], made["left_qty"], made["merchant_id"]) == ("proposed", 5, "m1")
    assert call("m1", "POST", "/promotions", FLASH, 201, "flash") == made
    call("m1", "POST", "/promotions", FLASH | {"title": "全网最佳"}, (422, "invalid-parameter"), "words")
    path = f"/promotions/{made['promotion_id']}"
    call("m1", "POST", "/orders", order(made, "early"), (422, "promotion-refused"), "early")
    call("m1", "POST", f"{path}/approve", None, (403, "own-request"))
    assert call("m1b", "POST", f"{path}/approve", None, 200)["status"] == "active"
    programme = call("m1", "GET", f"/coupon-programmes/{made['programme_id']}", None, 200)
    assert (programme["kind"], programme["unit_price_cents"]) == ("unit_price", 9_000)
    placed = call("m1", "POST", "/orders", order(made, "c-0"), 201, "o-0")
    assert placed["payable_cents"] == 9_000
    assert placed["promotion"]["promotion_id"] == made["promotion_id"]
    call("m1", "POST", "/orders", order(made, "c-0"), (409, "promotion-limit"), "o-0b")

    def place(number):
        return call("m1", "POST", "/orders", order(made, f"r-{number}"), None, f"race-{number}")

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(place, range(16)))
    refused = [answer["type"] for answer in answers if "type" in answer]
    assert refused == ["urn:muyun:problem:promotion-sold-out"] * 12
    seen = call("audit", "GET", path, None, 200)
    assert (seen["left_qty"], seen["orders"], seen["paid_orders"], seen["spent_cents"]) == (0, 5, 0, 5_000)
    call("m1", "POST", f"/orders/{placed['order_id']}/cancel", None, 200)
    assert call("m1", "GET", path, None, 200)["left_qty"] == 1
    shown = call("m1", "GET", "/promotions", None, 200, open_now=True)["promotions"]
    assert [one["promotion_id"] for one in shown] == [made["promotion_id"]]
    assert call("m1", "POST", f"{path}/close", None, 200)["status"] == "closed"
    assert call("m1", "GET", "/promotions", None, 200, open_now=True)["promotions"] == []
    call("m1", "POST", "/orders", order(made, "after"), (422, "promotion-refused"), "after")


def test_a_group_completes_or_is_ended_by_the_worker(call, shop, scores_url, settings, monkeypatch, capsys):
    made = running(call, GROUP, "group")
    first = call("m1", "POST", "/orders", order(made, "g-1"), 201, "g-1")
    group = first["promotion"]["group_id"]
    assert first["promotion"]["group_status"] == "open"
    second = call("m1", "POST", "/orders", order(made, "g-2", group_id=group), 201, "g-2")
    call("m1", "POST", "/orders", order(made, "g-3", group_id=group), (409, "promotion-sold-out"), "g-3")
    call("m1", "POST", "/orders", order(made, "g-3", group_id="bg-0"), (404, "buying-group-not-found"), "g-4")
    alone = call("m1", "POST", "/orders", order(made, "g-5"), 201, "g-5")
    for one in (first, second, alone):
        shop.pay(one["order_id"])
    found = call("m1", "GET", f"/promotions/{made['promotion_id']}/groups", None, 200)["groups"]
    assert {one["group_id"]: (one["status"], one["taken"], one["paid"]) for one in found} == {
        group: ("complete", 2, 2),
        alone["promotion"]["group_id"]: ("open", 1, 1),
    }
    monkeypatch.setenv("MUYUN_DATABASE_URL", scores_url)
    monkeypatch.setenv("MUYUN_HOME", str(settings.home))
    assert jobs.main(["expire-unpaid", "--tenant", "default", "--as-of", "2026-11-01T08:30:00Z"]) == 0
    assert "1 groups ended, 0 orders cancelled, 9000 fen refunded" in capsys.readouterr().out
    shown = call("m1", "GET", f"/orders/{alone['order_id']}", None, 200)
    assert (shown["status"], shown["promotion"]["state"], shown["promotion"]["group_status"]) == (
        "refunded",
        "given_back",
        "ended",
    )
    assert call("m1", "GET", f"/orders/{first['order_id']}", None, 200)["status"] == "paid"
    left = call("m1", "GET", f"/promotions/{made['promotion_id']}/groups", None, 200, open_only=True)
    assert left["groups"] == []


def test_a_gift_goes_with_the_goods_that_earned_it(call, shop):
    shop.may_lose(10**9)
    shop.list("present", 2_000)
    shop.supply("S2", "present", 10, price=1_200)
    made = running(call, GIFT, "gift")
    lines = [{"sku_id": "sku", "qty": 1}, {"sku_id": "present", "qty": 1}]
    first, second = (
        call("m1", "POST", "/orders", order(made, f"gift-{n}", lines=lines), 201, f"gift-{n}")["order_id"]
        for n in (1, 2)
    )
    for order_id in (first, second):
        shop.pay(order_id)
    done = call("m1", "POST", f"/orders/{first}/lines/1/cancel", {"qty": 1}, 200, "cancel-1")
    assert (done["refund_cents"], done["order_status"]) == (10_000, "refunded")
    assert [one["reserved_qty"] for one in call("m1", "GET", f"/orders/{first}", None, 200)["lines"]] == [
        0,
        0,
    ]

    call("S2", "POST", f"/orders/{second}/suborders/S2/accept", {}, 200)
    notice = {"shipment_id": "present-2", "promised_at": "2026-11-03T00:00:00Z"}
    notice |= {"shipped_at": NOW.isoformat()}
    call("S2", "POST", f"/orders/{second}/suborders/S2/shipments", notice)
    cancel = ("m1", "POST", f"/orders/{second}/lines/1/cancel", {"qty": 1})
    refused = call(*cancel, (409, "gift-kept"), "cancel-2")
    assert "a case of kind return on line 2 over 0 fen" in refused["remedy"]
    wanted = {"line_no": 2, "kind": "return", "reason_code": "other", "requested_cents": 0, "qty": 1}
    case = call("m1", "POST", f"/orders/{second}/after-sales", wanted, 201, "back")
    path = f"/after-sales/{case['case_id']}"
    call("m1", "POST", f"{path}/refund", {"refund_cents": 0}, (409, "refund-refused"), "zero-1")
    call("S2", "POST", f"{path}/return-receipt", {"received_qty": 1, "restocked_qty": 1}, 200, "came")
    back = call("m1", "POST", f"{path}/refund", {"refund_cents": 0}, 200, "zero-2")
    assert (back["refund_cents"], back["case"]["status"]) == (0, "refunded")
    assert call("m1", "POST", f"{path}/refund", {"refund_cents": 0}, 200, "zero-2") == back
    call("m1", "POST", f"{path}/refund", {"refund_cents": 0}, (409, "impossible-move"), "zero-3")
    call("m1", "POST", f"{path}/refund", {"refund_cents": 1}, (409, "idempotency-conflict"), "zero-2")
    assert call(*cancel, 200, "cancel-3")["refund_cents"] == 10_000


def test_of_three_gifts_of_which_one_is_cancelled_the_supplier_is_paid_for_two(call, shop):
    """12.00 for each: 36.00 are accrued, 12.00 taken back with the first, 12.00 with the one that returns."""
    shop.may_lose(10**9)
    shop.list("triple", 2_000)
    shop.supply("S2", "triple", 10, price=1_200)
    made = running(call, GIFT | {"sku_ids": ["triple"], "per_consumer_qty": 3}, "triple")
    lines = [{"sku_id": "sku", "qty": 1}, {"sku_id": "triple", "qty": 3}]
    order_id = call("m1", "POST", "/orders", order(made, "triple", lines=lines), 201, "triple")["order_id"]
    shop.pay(order_id)

    def share():
        told = call("op", "GET", f"/settlements/{order_id}/explain", None, 200)
        assert all(proof["holds"] for proof in told["proofs"])
        (leg,) = [one for one in told["legs"] if one["line_no"] == 2 and one["kind"] == "supplier"]
        return leg["amount_cents"], leg["reversed_cents"], leg["left_cents"]

    assert share() == (3_600, 0, 3_600)
    call("m1", "POST", f"/orders/{order_id}/lines/2/cancel", {"qty": 1}, 200, "triple-1")
    assert share() == (3_600, 1_200, 2_400)
    call("S2", "POST", f"/orders/{order_id}/suborders/S2/accept", {}, 200)
    notice = {"shipment_id": "triple", "promised_at": "2026-11-03T00:00:00Z", "shipped_at": NOW.isoformat()}
    call("S2", "POST", f"/orders/{order_id}/suborders/S2/shipments", notice)
    wanted = {"line_no": 2, "kind": "return", "reason_code": "other", "requested_cents": 0, "qty": 1}
    case = call("m1", "POST", f"/orders/{order_id}/after-sales", wanted, 201, "triple-2")
    path = f"/after-sales/{case['case_id']}"
    call("S2", "POST", f"{path}/return-receipt", {"received_qty": 1, "restocked_qty": 1}, 200, "triple-3")
    call("m1", "POST", f"{path}/refund", {"refund_cents": 0}, 200, "triple-4")
    assert share() == (3_600, 2_400, 1_200)


def test_below_the_published_floor_others_pay(call, shop):
    listed = shop.sql("select floor_cents, merchant_id, sku_id from scores.prices order by 3 limit 1")
    floor, merchant, sku = listed[0]
    shop.list(sku, floor + 60, merchant)
    body = FLASH | {"merchant_id": merchant, "sku_ids": [sku], "price_cents": floor - 5}
    answer = call("op", "POST", "/promotions", body, (422, "below-floor"), "floor")
    assert f"brings {floor - 5} fen, the floor is {floor}" in answer["detail"]
    call("op", "POST", "/promotions", body | {"price_cents": floor}, 201, "at-floor")
    supplier = [{"party_type": "supplier", "party_id": "S1", "share_bps": 10_000}]
    made = call("op", "POST", "/promotions", body | {"funders": supplier}, 201, "by-supplier")
    call("op", "POST", f"/promotions/{made['promotion_id']}/approve", None, (403, "own-request"))


def test_another_shop_sees_and_does_nothing(call):
    made = running(call, FLASH, "private")
    path, missing = f"/promotions/{made['promotion_id']}", (404, "promotion-not-found")
    for who, method, route in (
        ("m2", "GET", path),
        ("m2", "POST", f"{path}/approve"),
        ("m2", "POST", f"{path}/close"),
        ("m2", "GET", f"{path}/groups"),
    ):
        call(who, method, route, None, missing)
    call("m2", "POST", "/promotions", FLASH | {"merchant_id": "m1"}, (403, "merchant-out-of-scope"), "steal")
    assert call("m2", "GET", "/promotions", None, 200)["promotions"] == []
    body = order(made, "x") | {"merchant_id": "m2"}
    call("m2", "POST", "/orders", body, (422, "promotion-refused"), "other-shop")
    stray = order(made, "x") | {"promotion_id": None, "group_id": "g"}
    call("m1", "POST", "/orders", stray, (422, "invalid-parameter"), "x")
    page = call("m1", "GET", "/promotions", None, 200, limit=1)
    assert page["next_cursor"]
    rest = call("m1", "GET", "/promotions", None, 200, limit=500, cursor=page["next_cursor"])
    assert page["promotions"][0]["promotion_id"] not in {one["promotion_id"] for one in rest["promotions"]}
