"""Scenes over HTTP: who opens, agrees, closes and sees them, and a scene in an order."""

import pytest
from small_market import Shop

from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("scenes")  # one world for all, in order

PARTIES = {
    "op": (Role.OPERATOR, None),
    "audit": (Role.AUDITOR, None),
    "m1": (Role.MERCHANT, "m1"),
    "m2": (Role.MERCHANT, "m2"),
    "own": (Role.AGENT, "own"),
    "free": (Role.AGENT, "free"),
}
CLOSES = "2018-06-01T00:00:00Z"


@pytest.fixture(scope="module")
def call(client, scores_url):
    keys = {
        who: issue_key(scores_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role]))
        for who, (role, party) in PARTIES.items()
    }

    def send(who, method, path, body, expected, key=None, **query):
        headers = {"X-API-Key": keys[who].secret} | ({"Idempotency-Key": key} if key else {})
        answer = client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        found = answer.status_code, answer.json().get("type", "").rsplit(":", 1)[-1]
        assert found == (expected if isinstance(expected, tuple) else (expected, "")), answer.text
        return answer.json()

    for agent_id, merchant in (("own", "m1"), ("free", None)):
        joining = {"agent_id": agent_id, "joined_on": "2017-06-01", "merchant_id": merchant}
        send("op", "POST", "/agents", joining, 201)
    with Operations(scores_url, size=2) as operations:
        shop = Shop(scores_url, operations)
        shop.plan()
        shop.list("sku", 10_000)
        shop.supply("S1", "sku", 9, price=4_000)
    return send


def opening(party_id, **more):
    return {"kind": "group", "party_type": "agent", "party_id": party_id, "closes_at": CLOSES, **more}


def order(*scene_ids):
    lines = [{"sku_id": "sku", "qty": 1}]
    return {"merchant_id": "m1", "consumer_id": "c1", "lines": lines, "scene_ids": list(scene_ids)}


def test_from_the_scene_to_the_order(call):
    opened = call("m1", "POST", "/scenes", opening("own"), 201, "s1")
    assert (opened["state"], opened["role"], opened["merchant_id"]) == ("open", "group_leader", "m1")
    assert call("m1", "POST", "/scenes", opening("own"), 201, "s1") == opened
    placed = call("m1", "POST", "/orders", order(opened["scene_id"]), 201, "o1")
    role = {"role": "group_leader", "party_type": "agent", "party_id": "own", "scene_id": opened["scene_id"]}
    assert placed["roles"] == [role]
    path = f"/scenes/{opened['scene_id']}"
    assert call("own", "POST", f"{path}/close", None, 200)["state"] == "closed"
    call("m1", "POST", "/orders", order(opened["scene_id"]), (422, "invalid-parameter"), "o2")


def test_who_does_not_belong_to_the_shop_agrees_with_the_own_key(call):
    opened = call("m1", "POST", "/scenes", opening("free"), 201, "s2")
    assert opened["state"] == "proposed"
    path = f"/scenes/{opened['scene_id']}"
    call("m1", "POST", "/orders", order(opened["scene_id"]), (422, "invalid-parameter"), "o3")
    call("m1", "POST", f"{path}/agreement", None, (404, "scene-not-found"))
    call("own", "POST", f"{path}/agreement", None, (404, "scene-not-found"))
    call("op", "POST", f"{path}/agreement", None, (403, "role-not-allowed"))
    assert call("free", "POST", f"{path}/agreement", None, 200)["state"] == "open"
    call("m1", "POST", "/orders", order(opened["scene_id"]), 201, "o4")


def test_nobody_reaches_into_another_shop(call):
    opened = call("m1", "POST", "/scenes", opening("own"), 201, "s3")
    path = f"/scenes/{opened['scene_id']}"
    missing = (404, "scene-not-found")
    for who in ("m2", "free"):
        call(who, "GET", path, None, missing)
        call(who, "POST", f"{path}/close", None, missing)
        seen = call(who, "GET", "/scenes", None, 200)["scenes"]
        assert opened["scene_id"] not in {scene["scene_id"] for scene in seen}
    call("m2", "POST", "/scenes", opening("own", merchant_id="m1"), (403, "merchant-out-of-scope"), "s4")
    call("own", "POST", "/scenes", opening("own", merchant_id="m1"), (403, "role-not-allowed"), "s5")
    call("op", "POST", "/scenes", opening("own"), (422, "invalid-parameter"), "s6")
    past = opening("own", opens_at="2017-01-01T00:00:00Z")
    call("m1", "POST", "/scenes", past, (409, "scene-refused"), "s7")
    call("m1", "POST", "/scenes", opening("nobody"), (409, "scene-refused"), "s8")
    page = call("audit", "GET", "/scenes", None, 200, limit=1)
    rest = call("audit", "GET", "/scenes", None, 200, cursor=page["next_cursor"])
    names = [scene["scene_id"] for scene in (*page["scenes"], *rest["scenes"])]
    assert opened["scene_id"] in names
    assert names == sorted(names)
