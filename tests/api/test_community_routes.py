"""Communities over HTTP: joining with consent, grades, calendar, promotions for members, weeks, erasure."""

from datetime import timedelta

import pytest
from callers_of_roles import caller
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import NOW, TENANT, Shop

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.consumers.erasure import erase
from serving.db.operations import Operations
from serving.security import Role

pytestmark = pytest.mark.xdist_group("community_routes")  # one world for all, in order

PARTIES = {
    "op": (Role.OPERATOR, None),
    "m1": (Role.MERCHANT, "m1"),
    "m1b": (Role.MERCHANT, "m1"),
    "m2": (Role.MERCHANT, "m2"),
}
COMMUNITY = {
    "community_id": "mothers",
    "title": "Mothers of the north gate",
    "theme": "baby food",
    "rules": "Be kind. No advertising.",
}


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=4) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        made.list("sku", 10_000)
        made.supply("S1", "sku", 500, price=4_000)
        yield made


@pytest.fixture(scope="module")
def call(scores_url, settings, shop):
    now = settings.model_copy(update={"as_of": NOW})
    app = create_app(now, scores_url, ProfileReader(SCHEMA))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield caller(client, scores_url, PARTIES)


def join(call, consumer, expected=200):
    return call(
        "m1", "POST", "/communities/mothers/members", {"consumer_id": consumer, "agreed": True}, expected
    )


def test_a_community_is_made_once_and_joined_with_consent(call):
    made = call("m1", "POST", "/communities", COMMUNITY, 201)
    assert (made["merchant_id"], made["owner_type"], made["owner_id"], made["members"]) == (
        "m1",
        "merchant",
        "m1",
        0,
    )
    assert call("m1", "POST", "/communities", COMMUNITY, 201) == made
    call("m1", "POST", "/communities", COMMUNITY | {"theme": "other"}, (409, "community-conflict"))
    call("op", "POST", "/communities", COMMUNITY, (422, "invalid-parameter"))
    assert join(call, "ann")["members"] == 1
    assert join(call, "ann")["members"] == 1
    assert join(call, "bea")["members"] == 2
    call(
        "m1",
        "POST",
        "/communities/mothers/members",
        {"consumer_id": "x", "agreed": False},
        (422, "invalid-parameter"),
    )
    assert call("m1", "POST", "/communities/mothers/members/bea/leave", None, 200)["members"] == 1
    call("m1", "POST", "/communities/mothers/members/bea/leave", None, (404, "community-not-found"))
    assert join(call, "bea")["members"] == 2
    assert [one["community_id"] for one in call("op", "GET", "/communities", None, 200)["communities"]] == [
        "mothers"
    ]


def test_another_shop_sees_and_does_nothing(call):
    missing = (404, "community-not-found")
    assert call("m2", "GET", "/communities", None, 200)["communities"] == []
    for method, route, body in (
        ("GET", "members", None),
        ("GET", "calendar", None),
        ("GET", "health", None),
        ("POST", "close", None),
        ("POST", "members", {"consumer_id": "ann", "agreed": True}),
        ("POST", "members/ann/leave", None),
    ):
        call("m2", method, f"/communities/mothers/{route}", body, missing)


def test_two_shops_may_use_one_id(call, shop):
    """Of a merchant's key it is its own; an operator names the shop."""
    other = COMMUNITY | {"title": "Mothers of the south gate"}
    assert call("m2", "POST", "/communities", other, 201)["members"] == 0
    agreed = {"consumer_id": "sue", "agreed": True}
    assert call("m2", "POST", "/communities/mothers/members", agreed, 200)["title"] == other["title"]
    activity = {
        "activity_id": "walk",
        "title": "A walk",
        "content": "At ten.",
        "tag": "walk",
        "starts_at": "2026-11-03T00:00:00Z",
        "ends_at": "2026-11-04T00:00:00Z",
    }
    call("m2", "POST", "/communities/mothers/activities", activity, 200)
    assert call("m1", "GET", "/communities/mothers/calendar", None, 200)["activities"] == []
    call("op", "GET", "/communities/mothers/members", None, (422, "invalid-parameter"))
    call("m2", "GET", "/communities/mothers/members", None, (403, "merchant-out-of-scope"), merchant_id="m1")
    for owner, names in (("m1", ["ann", "bea"]), ("m2", ["sue"])):
        found = call("op", "GET", "/communities/mothers/members", None, 200, merchant_id=owner)["members"]
        assert [one["consumer_id"] for one in found] == names
    first = call("op", "GET", "/communities", None, 200, limit=1)
    second = call("op", "GET", "/communities", None, 200, cursor=first["next_cursor"])
    found = [
        (one["community_id"], one["merchant_id"]) for one in first["communities"] + second["communities"]
    ]
    assert found == [("mothers", "m1"), ("mothers", "m2")]
    week = call("m2", "GET", "/communities/mothers/health", None, 200)["weeks"][0]
    assert (week["merchant_id"], week["members"], week["orders"]) == ("m2", 1, 0)
    assert call("op", "POST", "/communities/mothers/close", None, 200, merchant_id="m2")["members"] == 0
    acts = "select details->>'merchant_id' from ops.audit_log where action = %(act)s order by 1"
    assert shop.sql(acts, act="community.close") == [("m2",)]
    assert shop.sql(acts, act="community.make") == [("m1",), ("m1",), ("m2",)]
    assert [one["members"] for one in call("m1", "GET", "/communities", None, 200)["communities"]] == [2]


def test_a_promotion_of_a_community_is_for_its_members_and_stands_in_its_calendar(call, shop):
    body = {
        "kind": "flash_sale",
        "title": "Wednesday",
        "sku_ids": ["sku"],
        "starts_at": "2026-11-01T00:00:00Z",
        "ends_at": "2026-11-08T00:00:00Z",
        "budget_cents": 100_000,
        "price_cents": 9_000,
        "stock_qty": 5,
        "community_id": "mothers",
    }
    unknown = body | {"community_id": "nobody"}
    call("m1", "POST", "/promotions", unknown, (422, "invalid-parameter"), "unknown")
    made = call("m1", "POST", "/promotions", body, 201, "flash")
    call("m1b", "POST", f"/promotions/{made['promotion_id']}/approve", None, 200)
    order = {"merchant_id": "m1", "lines": [{"sku_id": "sku", "qty": 1}]}
    order |= {"promotion_id": made["promotion_id"]}
    call("m1", "POST", "/orders", order | {"consumer_id": "eve"}, (422, "promotion-refused"), "eve")
    placed = call("m1", "POST", "/orders", order | {"consumer_id": "ann"}, 201, "ann")
    shop.pay(placed["order_id"])
    activity = {
        "activity_id": "recipes",
        "title": "Recipes",
        "content": "Three soups.",
        "tag": "recipe",
        "starts_at": "2026-11-03T00:00:00Z",
        "ends_at": "2026-11-04T00:00:00Z",
    }
    call("m1", "POST", "/communities/mothers/activities", activity, 200)
    call("m1", "POST", "/communities/mothers/activities", activity, 200)
    other = activity | {"title": "Other"}
    call("m1", "POST", "/communities/mothers/activities", other, (409, "community-conflict"))
    loud = activity | {"activity_id": "loud", "content": "国家级 soups"}
    call("m1", "POST", "/communities/mothers/activities", loud, (422, "forbidden-words"))
    past = activity | {"activity_id": "p", "ends_at": "2026-11-02T00:00:00Z"}
    call("m1", "POST", "/communities/mothers/activities", past, (422, "invalid-parameter"))
    found = call("m1", "GET", "/communities/mothers/calendar", None, 200)["activities"]
    assert [(one["activity_id"], one["tag"]) for one in found] == [
        (made["promotion_id"], "promotion"),
        ("recipes", "recipe"),
    ]
    found = call("m1", "GET", "/communities/mothers/calendar", None, 200, tag="recipe")["activities"]
    assert [one["activity_id"] for one in found] == ["recipes"]


def test_weeks_and_grades_follow_what_members_do(call, shop):
    """Ann bought a unit of 100.00 for 90.00 (supply 40.00) and wrote twice, once to blame; Bea did not."""
    for number, sentiment in enumerate(("negative", "positive")):
        shop.sql(
            "insert into feedback.message (tenant_id, feedback_id, merchant_id, consumer_id, text,"
            " occurred_at, received_at, is_verified, topic, sentiment, sorted_by)"
            " values (%(t)s, %(id)s, 'm1', 'ann', 'words', %(at)s, %(at)s, false, 'other', %(s)s, 'test')",
            t=TENANT,
            id=f"f-{number}",
            at=NOW + timedelta(minutes=5),
            s=sentiment,
        )
    week = call("m1", "GET", "/communities/mothers/health", None, 200, weeks=4)["weeks"]
    assert week == [
        {
            "community_id": "mothers",
            "merchant_id": "m1",
            "title": COMMUNITY["title"],
            "week_on": "2026-10-26",
            "members": 2,
            "joined": 3,
            "left_members": 1,
            "active_members": 1,
            "orders": 1,
            "net_sales_cents": 9_000,
            "margin_cents": 5_000,
            "promotion_orders": 1,
            "promotion_cost_cents": 1_000,
            "texts": 2,
            "complaints": 1,
        }
    ]
    members = call("m1", "GET", "/communities/mothers/members", None, 200)["members"]
    assert [(one["consumer_id"], one["grade"], one["orders"], one["texts"]) for one in members] == [
        ("ann", "active", 1, 0),
        ("bea", "quiet", 0, 0),
    ]


def test_an_erased_consumer_disappears_and_stays_counted(call, shop):
    join(call, "gone")
    with shop.transaction() as conn:
        erase(conn, TENANT, "gone", NOW)
    names = [
        one["consumer_id"] for one in call("m1", "GET", "/communities/mothers/members", None, 200)["members"]
    ]
    assert names == ["ann", "bea"]
    join(call, "gone", (410, "consumer-erased"))
    week = call("m1", "GET", "/communities/mothers/health", None, 200)["weeks"][0]
    assert (week["members"], week["joined"], week["left_members"]) == (2, 4, 2)
    assert shop.sql("select count(*) from communities.member where consumer_id = 'gone'") == [(0,)]


def test_a_closed_community_takes_nobody(call):
    assert call("m1", "POST", "/communities/mothers/close", None, 200)["members"] == 0
    join(call, "late", (409, "community-closed"))
    assert call("m1", "POST", "/communities/mothers/close", None, 200)["closed_at"] is not None
