"""Coupon programmes over HTTP: who opens, agrees, issues and sees what, and a code in an order."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from callers_of_roles import caller
from small_market import Shop

from serving.db.operations import Operations
from serving.security import Role

pytestmark = pytest.mark.xdist_group("coupon_programmes")  # one world for all, in order

PARTIES = {
    "op": (Role.OPERATOR, None),
    "audit": (Role.AUDITOR, None),
    "m1": (Role.MERCHANT, "m1"),
    "m2": (Role.MERCHANT, "m2"),
    "S1": (Role.SUPPLIER, "S1"),
    "S2": (Role.SUPPLIER, "S2"),
}


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        made.list("sku", 10_000)
        made.supply("S1", "sku", 50, price=4_000)
        yield made


@pytest.fixture(scope="module")
def call(client, scores_url, shop):
    return caller(client, scores_url, PARTIES)


def programme(*funders, **more):
    return {
        "name": "opening sale",
        "kind": "percentage",
        "off_bps": 1_000,
        "funders": [
            {"party_type": kind, "share_bps": bps} | ({"party_id": party} if party else {})
            for kind, party, bps in funders
        ],
        "budget_cents": 100_000,
        "budget_count": 10,
        "valid_from": "2017-01-01T00:00:00Z",
        "valid_to": "2019-01-01T00:00:00Z",
        **more,
    }


OWN = ("merchant", "m1", 10_000)


def order(*codes):
    lines = [{"sku_id": "sku", "qty": 1}]
    return {"merchant_id": "m1", "consumer_id": "c1", "lines": lines, "coupon_codes": list(codes)}


def test_a_merchants_own_discount_from_the_programme_to_the_order(call):
    opened = call("m1", "POST", "/coupon-programmes", programme(OWN), 201, "own")
    assert (opened["status"], opened["issuer_id"], opened["merchant_ids"]) == ("active", "m1", ["m1"])
    assert opened["funders"][0]["consented_at"] is not None
    again = call("m1", "POST", "/coupon-programmes", programme(OWN), 201, "own")
    assert again == opened
    other = programme(OWN, off_bps=999)
    call("m1", "POST", "/coupon-programmes", other, (409, "idempotency-conflict"), "own")
    path = f"/coupon-programmes/{opened['programme_id']}"
    issued = call("m1", "POST", f"{path}/coupons", {"count": 2, "consumer_id": "c1"}, 201, "two")["coupons"]
    assert len({coupon["code"] for coupon in issued}) == 2
    assert (
        call("m1", "POST", f"{path}/coupons", {"count": 2, "consumer_id": "c1"}, 201, "two")["coupons"]
        == issued
    )
    placed = call("m1", "POST", "/orders", order(issued[0]["code"]), 201, "o1")
    assert (placed["coupon_discount_cents"], placed["payable_cents"]) == (1_000, 9_000)
    used = {"code": issued[0]["code"], "programme_id": opened["programme_id"]}
    assert placed["coupons"] == [used | {"discount_cents": 1_000, "state": "redeemed"}]
    shown = call("audit", "GET", f"/orders/{placed['order_id']}", None, 200)
    assert (shown["coupons"], shown["roles"]) == (placed["coupons"], [])
    shown = call("S1", "GET", f"/orders/{placed['order_id']}", None, 200)
    assert (shown["coupons"], shown["roles"]) == (None, None)
    call("m1", "POST", "/orders", order(issued[0]["code"]), (409, "coupon-exhausted"), "o2")
    shown = call("m1", "GET", f"{path}/coupons", None, 200)["coupons"]
    assert {coupon["code"]: coupon["state"] for coupon in shown} == {
        issued[0]["code"]: "used",
        issued[1]["code"]: "issued",
    }
    page = call("m1", "GET", f"{path}/coupons", None, 200, limit=1)
    last = call("m1", "GET", f"{path}/coupons", None, 200, limit=1, cursor=page["next_cursor"])
    assert ([*page["coupons"], *last["coupons"]], last["next_cursor"]) == (shown, None)
    seen = call("audit", "GET", path, None, 200)
    assert (seen["spent_cents"], seen["spent_count"]) == (1_000, 1)
    assert call("m1", "POST", f"{path}/close", None, 200)["status"] == "closed"
    call("m1", "POST", "/orders", order(issued[1]["code"]), (422, "discount-refused"), "o3")


def test_of_sixteen_orders_at_once_for_the_last_of_a_budget_one_is_placed(call):
    body = programme(OWN, budget_count=1, per_consumer_count=100)
    opened = call("m1", "POST", "/coupon-programmes", body, 201, "last")
    path = f"/coupon-programmes/{opened['programme_id']}/coupons"
    coupons = call("m1", "POST", path, {"count": 16}, 201, "sixteen")["coupons"]

    def place(number):
        return call("m1", "POST", "/orders", order(coupons[number]["code"]), None, f"race-{number}")

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(place, range(16)))
    refused = [answer["type"] for answer in answers if "type" in answer]
    assert refused == ["urn:muyun:problem:coupon-exhausted"] * 15


def test_nobody_puts_a_discount_on_anybody_who_did_not_agree(call):
    """A merchant's programme at the cost of platform and supplier waits for both."""
    shared = programme(("merchant", "m1", 2_000), ("supplier", "S1", 3_000), ("platform", None, 5_000))
    opened = call("m1", "POST", "/coupon-programmes", shared, 201, "shared")
    path, digest = f"/coupon-programmes/{opened['programme_id']}", {"terms_digest": opened["terms_digest"]}
    assert opened["status"] == "proposed"
    call("m1", "POST", f"{path}/coupons", {}, (409, "programme-state"), "early")
    call("S2", "POST", f"{path}/consent", digest, (404, "coupon-programme-not-found"))
    call("S1", "POST", f"{path}/consent", {"terms_digest": "0" * 64}, (409, "consent-refused"))
    assert call("S1", "POST", f"{path}/consent", digest, 200)["status"] == "proposed"
    assert call("op", "POST", f"{path}/consent", digest, 200)["status"] == "active"
    assert call("op", "POST", f"{path}/consent", digest, 200)["status"] == "active"
    call("S1", "POST", f"{path}/coupons", {}, (403, "role-not-allowed"), "mine")
    # The operator agrees for the platform only, and issues a merchant's programme as little as it funds one.
    mine = call("op", "POST", "/coupon-programmes", programme(OWN, merchant_ids=["m1"]), 201, "theirs")
    own = f"/coupon-programmes/{mine['programme_id']}"
    assert mine["status"] == "proposed"
    call("op", "POST", f"{own}/consent", {"terms_digest": mine["terms_digest"]}, (409, "consent-refused"))
    # Who agreed may take it back.
    assert call("S1", "POST", f"{path}/close", None, 200)["status"] == "closed"


def test_another_party_sees_and_does_nothing(call):
    opened = call("m1", "POST", "/coupon-programmes", programme(OWN), 201, "private")
    path = f"/coupon-programmes/{opened['programme_id']}"
    missing = (404, "coupon-programme-not-found")
    digest = {"terms_digest": opened["terms_digest"]}
    for who in ("m2", "S2"):
        call(who, "GET", path, None, missing)
        call(who, "POST", f"{path}/consent", digest, missing)
        call(who, "POST", f"{path}/close", None, missing)
        names = {
            one["programme_id"] for one in call(who, "GET", "/coupon-programmes", None, 200)["programmes"]
        }
        assert opened["programme_id"] not in names
    call("m2", "POST", f"{path}/coupons", {}, missing, "steal")
    call("m2", "GET", f"{path}/coupons", None, missing)
    call("m2", "POST", "/coupon-programmes", programme(OWN), (422, "invalid-parameter"), "for-m1")
    every = call("op", "GET", "/coupon-programmes", None, 200, limit=500)["programmes"]
    assert opened["programme_id"] in {one["programme_id"] for one in every}


def test_faulty_programmes_are_told_why(call):
    for change in ({"valid_to": "2016-01-01T00:00:00Z"}, {"budget_cents": 0}, {"off_cents": 5}, {"x": 1}):
        call("m1", "POST", "/coupon-programmes", programme(OWN, **change), (422, "invalid-parameter"), "bad")
