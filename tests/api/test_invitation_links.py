"""Invitation links over HTTP: who makes one for whom, who binds it; nothing else makes a relation."""

import pytest
from small_market import Shop

from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("invitation_links")  # one world for all, in order

PARTIES = {
    "op": (Role.OPERATOR, None),
    "m1": (Role.MERCHANT, "m1"),
    "m2": (Role.MERCHANT, "m2"),
    "a1": (Role.AGENT, "a1"),
    "a2": (Role.AGENT, "a2"),
    "free": (Role.AGENT, "free"),
}


@pytest.fixture(scope="module")
def call(client, scores_url):
    keys = {
        who: issue_key(
            scores_url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
        ).secret
        for who, (role, party) in PARTIES.items()
    }

    def send(who, path, body, expected, key=None):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
        answer = client.post(f"/v1{path}", json=body, headers=headers)
        found = answer.status_code, answer.json().get("type", "").rsplit(":", 1)[-1]
        assert found == (expected if isinstance(expected, tuple) else (expected, "")), answer.text
        return answer.json()

    for agent_id, merchant in (("a1", "m1"), ("a2", "m2"), ("free", None)):
        joining = {"agent_id": agent_id, "joined_on": "2017-06-01", "merchant_id": merchant}
        send("op", "/agents", joining, 201)
    return send


def test_from_the_link_to_the_relation(call):
    made = call("a1", "/invitations", {}, 201, "k1")
    assert (made["agent_id"], made["merchant_id"]) == ("a1", "m1")
    assert call("a1", "/invitations", {}, 201, "k1") == made
    bind = f"/invitations/{made['token']}/bind"
    buyer = {"consumer_id": "c1"}
    call("m2", bind, buyer, (403, "merchant-out-of-scope"))
    call("a1", bind, buyer, (403, "role-not-allowed"))
    bound = call("m1", bind, buyer, 200)
    assert (bound["agent_id"], bound["merchant_id"], bound["is_new"]) == ("a1", "m1", True)
    assert call("m1", bind, buyer, 200)["is_new"] is False
    call("m1", bind, {"consumer_id": "c2"}, (409, "invitation-refused"))
    rival = call("m1", "/invitations", {"agent_id": "free"}, 201, "k2")
    call("m1", f"/invitations/{rival['token']}/bind", buyer, (409, "agent-conflict"))


def test_an_agent_earns_where_the_consumer_followed_and_nowhere_else(call, scores_url):
    """a2 of m2 gets 10.00 of the 100.00 that its consumer buys at m2, and nothing of the sale at m1."""
    made = call("a2", "/invitations", {}, 201, "earn")
    call("m2", f"/invitations/{made['token']}/bind", {"consumer_id": "fan"}, 200)
    with Operations(scores_url, size=2) as operations:
        shop = Shop(scores_url, operations)
        shop.plan()
        shop.sql("update parties.party set is_verified = true where party_id = 'a2'")
        shop.supply("S1", "sku", 9, price=4_000)
        for merchant in ("m1", "m2"):
            shop.list("sku", 10_000, merchant=merchant)
            order = {"merchant_id": merchant, "consumer_id": "fan", "lines": [{"sku_id": "sku", "qty": 1}]}
            order_id = call(merchant, "/orders", order, 201, "fan")["order_id"]
            placed_at = shop.read(order_id)[0].placed_at
            shop.pay(order_id, at=placed_at)
        earned = shop.sql(
            "select o.merchant_id, l.payee_id, l.amount_cents from settlement.leg l"
            " join orders.customer_order o using (tenant_id, order_id) where l.kind = 'upline'"
        )
    assert earned == [("m2", "a2", 1_000)]


def test_nobody_makes_links_for_others(call):
    call("a1", "/invitations", {"agent_id": "a2"}, (403, "agent-out-of-scope"), "o1")
    call("a1", "/invitations", {"merchant_id": "m2"}, (409, "relation-refused"), "o2")
    call("m1", "/invitations", {"agent_id": "a1", "merchant_id": "m2"}, (403, "merchant-out-of-scope"), "o3")
    call("m1", "/invitations", {"agent_id": "a2"}, (409, "relation-refused"), "o4")
    call("m1", "/invitations", {"agent_id": "nobody"}, (404, "agent-not-found"), "o5")
    call("free", "/invitations", {}, (422, "invalid-parameter"), "o6")
    assert call("free", "/invitations", {"merchant_id": "m2"}, 201, "o7")["merchant_id"] == "m2"
    late = {"expires_at": "2099-01-01T00:00:00Z"}
    call("a1", "/invitations", late, (422, "invalid-parameter"), "o8")
    call("a1", "/invitations", {"expires_at": "2001-01-01T00:00:00Z"}, (409, "invitation-refused"), "o9")


def test_a_forged_link_and_a_plain_statement_make_no_relation(call):
    call("m2", "/invitations/WyJpdiJd.AAAA/bind", {"consumer_id": "c9"}, (409, "invitation-refused"))
    call("m2", "/agents/a2/referrals", {"consumer_id": "c9"}, (404, "route-not-found"))
