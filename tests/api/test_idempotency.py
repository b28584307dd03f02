"""Every POST may be sent again: by a key, by the id of what it makes, or because it moves a thing once."""

import psycopg
import pytest
from role_matrix import resolve
from small_market import Shop

from serving.db import idempotency
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("idempotency")  # one world for all, in order

NATURAL = {
    "/v1/channels": {"adapter", "merchant_number", "app_id"},
    "/v1/agents": {"agent_id"},
    "/v1/agents/{agent_id}/violations": {"reference"},
    "/v1/channel-bills": {"bill_id"},
    "/v1/communities": {"community_id"},
    "/v1/communities/{community_id}/activities": {"activity_id"},
    "/v1/communities/{community_id}/members": {"consumer_id"},
    "/v1/consumers/{consumer_id}/consents": {"purpose", "stated_at"},
    "/v1/debts/repayments": {"repayment_id"},
    "/v1/debts/write-offs": {"write_off_id"},
    "/v1/fees/compensations": {"fee_id"},
    "/v1/fees/penalties": {"fee_id"},
    "/v1/fees/service": {"fee_id"},
    "/v1/fees/slot": {"fee_id"},
    "/v1/fees/{fee_id}/reversals": {"reversal_id"},
    "/v1/guarantees/clearings": {"clearing_id"},
    "/v1/guarantees/payments": {"payment_id"},
    "/v1/holds": {"target_type", "source", "reason_code"},
    "/v1/identity/visitors/{anonymous_id}/links": {"consumer_id", "valid_from"},
    "/v1/identity/visitors/{anonymous_id}/revocations": {"consumer_id", "revoked_at"},
    "/v1/orders/{order_id}/suborders/{supplier_id}/shipments": {"shipment_id"},
    "/v1/payout-batches": {"batch_id"},
    "/v1/plans": {"document"},
    "/v1/plans/{plan_id}/legal-reviews": {"review_id"},
    "/v1/materials": {"material_id"},
    "/v1/reconciliations": {"run_id"},
    "/v1/trainings": {"training_id"},
}
"""Fields of the body that name what is made; with the path, which names the rest."""
OF_ROWS = {
    "/v1/competitor-prices": "sku, competitor and moment",
    "/v1/events": "event_id",
    "/v1/feedback": "feedback_id",
    "/v1/observations": "observation_id",
}
"""Routes that take many rows, and what names a row."""
MOVES = {
    "/v1/channel-requests/{reference}/retry": "asks the channel again under the same reference",
    "/v1/misfits/{misfit_id}/resolutions": "resolved once",
    "/v1/invitations/{token}/bind": "an invitation is bound once, to one consumer",
    "/v1/approval-batches": "a batch is a list of what to decide; another of the same decides nothing twice",
    "/v1/approval-batches/{batch_id}/decide": "the digest of the selection, decided once",
    "/v1/approvals/{approval_id}/adjust": "the version that was seen",
    "/v1/approvals/{approval_id}/approve": "the version that was seen",
    "/v1/approvals/{approval_id}/reject": "the version that was seen",
    "/v1/approvals/{approval_id}/snooze": "the version that was seen",
    "/v1/approvals/{approval_id}/withdraw": "the version that was seen",
    "/v1/communities/{community_id}/close": "closed once",
    "/v1/communities/{community_id}/members/{consumer_id}/leave": "a consumer is or is not in it",
    "/v1/coupon-programmes/{programme_id}/close": "closed once",
    "/v1/member-programmes": "the digest of the words; the same again are the version that has them",
    "/v1/member-programmes/{version}/in-force": "asked once; what waits is answered again",
    "/v1/members/{consumer_id}/notice": "the first notice stands",
    "/v1/promotions/{promotion_id}/approve": "approved once",
    "/v1/promotions/{promotion_id}/close": "closed once",
    "/v1/coupon-programmes/{programme_id}/consent": "a funder consents once to the digest of the terms",
    "/v1/agents/{agent_id}/diversion-reviews": "counts of the agent's day, written over",
    "/v1/agents/{agent_id}/termination": "the agent is or is not terminated",
    "/v1/agents/{agent_id}/violations/{violation_id}/withdrawal": "withdrawn once",
    "/v1/consumers/{consumer_id}/erasure": "erased once",
    "/v1/holds/{hold_id}/confirm": "resolved once",
    "/v1/experiments": "the same words are the experiment that has them",
    "/v1/experiments/{experiment_id}/coupons": "a consumer is exposed once, and gets one code",
    "/v1/experiments/{experiment_id}/start": "asked once; what waits is answered again",
    "/v1/experiments/{experiment_id}/stop": "stopped once",
    "/v1/materials/{material_id}/release": "it is or is not released",
    "/v1/materials/{material_id}/withdraw": "withdrawn once",
    "/v1/journeys": "the same words are the version that has them",
    "/v1/journeys/{journey_id}/versions/{version}/in-force": "asked once; what waits is answered again",
    "/v1/journeys/{journey_id}/pause": "it is or is not paused",
    "/v1/journeys/{journey_id}/resume": "it is or is not paused",
    "/v1/journeys/{journey_id}/stop": "stopped once",
    "/v1/journey-receipts": "a notice counts once, by channel and id",
    "/v1/journey-tasks/{task_id}/claim": "claimed once; again by the same key is the same claim",
    "/v1/journey-tasks/{task_id}/end": "ended once",
    "/v1/channel-tests": "the id and the content of a test; the same again is the one that stands",
    "/v1/channel-tests/{test_id}/stop": "given up once",
    "/v1/links/{link_id}/revoke": "it is or is not revoked",
    "/v1/link-clicks/{click_id}/visitor": "a click is named once; the same again changes nothing",
    "/v1/feedback/{feedback_no}/answer": "a text has one answer",
    "/v1/feedback/{feedback_no}/topic": "a text has one topic",
    "/v1/holds/{hold_id}/lift": "resolved once",
    "/v1/orders/{order_id}/lines/{line_no}/points": "a line has one number of points",
    "/v1/channels/{channel_id}/notices": "the signed notice names its event; a known one is answered again",
    "/v1/stock-pushes/{source_id}": "a nonce counts once, and for each sku the latest count stands",
    "/v1/suppliers/{supplier_id}/push-sources": "a key names one system",
    "/v1/payments/{payment_id}/query": "the channel is asked again what it knows of a payment",
    "/v1/payouts/{payout_id}/confirm": "resolved once",
    "/v1/payouts/{payout_id}/fail": "resolved once",
    "/v1/periods/{month}/close": "closed once",
    "/v1/plans/in-force": "the same plan by the same review for the same shop stands already",
    "/v1/plans/{plan_id}/assignments": "the same plan for the same shop from the same day stands already",
    "/v1/prices/{merchant_id}/approvals": "a suggestion is asked once; what waits is answered again",
    "/v1/quality/cases/{improvement_case_id}/sign-offs": "a department signs once",
    "/v1/product-matches/undo": "the same undoing of a pair is asked once; what waits is answered again",
    "/v1/quality/overrides": "the same override of the same sku is asked once; what waits is answered again",
    "/v1/supervision/invoices": "an invoice backs a sku of a party once; with other words it is refused",
    "/v1/supervision/cases/{listing_case_id}/decisions": "an end is decided once, and so is what was said",
    "/v1/supervision/cases/{listing_case_id}/statements": "one word waits at a time",
    "/v1/supervision/cases/{listing_case_id}/deposits": "asked once; what waits is answered again",
    "/v1/supervision/cases/{listing_case_id}/deposit-returns": "asked once; what waits is answered again",
    "/v1/routes/plan": "computes, and stores nothing",
    "/v1/supply-alarms/{alarm_id}/acknowledge": "seen once",
    "/v1/supply-alarms/{alarm_id}/assign": "somebody looks after it",
    "/v1/supply-alarms/{alarm_id}/resolve": "resolved once",
    "/v1/supply-alarms/{alarm_id}/alternatives/{option_no}/take": "an alarm's alternative is taken once",
    "/v1/scenes/{scene_id}/agreement": "agreed once",
    "/v1/scenes/{scene_id}/close": "closed once",
}
"""Routes that make nothing: the thing of the path is in a state, and a repetition finds it there."""


@pytest.fixture(scope="module")
def shop(scores_url):
    with Operations(scores_url, size=2) as operations:
        made = Shop(scores_url, operations)
        made.plan()
        made.list("tea", 1000)
        made.list("tea", 1000, "m2")
        made.supply("S1", "tea", 50, price=600)
        yield made


@pytest.fixture(scope="module")
def place(client, scores_url, shop):
    """Place an order as a merchant or the operator under a key."""
    keys = {
        who: issue_key(
            scores_url,
            name=who,
            role=Role.MERCHANT if who.startswith("m") else Role.OPERATOR,
            party_id=who[:2] if who.startswith("m") else None,
            scopes=sorted(ROLE_SCOPES[Role.MERCHANT if who.startswith("m") else Role.OPERATOR]),
        ).secret
        for who in ("m1", "m1 again", "m2", "operator")
    }

    def send(who, key, qty=1, merchant="m1"):
        body = {"merchant_id": merchant, "consumer_id": "c1", "lines": [{"sku_id": "tea", "qty": qty}]}
        headers = {"X-API-Key": keys[who], "Idempotency-Key": key}
        return client.post("/v1/orders", json=body, headers=headers)

    return send


def test_every_post_may_be_sent_again(client):
    document = client.get("/v1/openapi.json").json()
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    keyed = {
        path
        for path, operation in posts.items()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
    }
    assert {
        path for path in posts if path not in keyed | NATURAL.keys() | OF_ROWS.keys() | MOVES.keys()
    } == set()
    assert (NATURAL.keys() | OF_ROWS.keys() | MOVES.keys()) - posts.keys() == set()
    assert keyed & (NATURAL.keys() | OF_ROWS.keys() | MOVES.keys()) == set()
    unnamed = []
    for path, fields in NATURAL.items():
        schema = posts[path]["requestBody"]["content"]["application/json"]["schema"]
        unnamed += [f"{path}: {name}" for name in fields - resolve(document, schema)["properties"].keys()]
    assert unnamed == []


def test_a_key_is_its_callers_own(place):
    first = place("m1", "mine")
    assert first.status_code == 201
    assert place("m1", "mine").json() == first.json()
    assert place("m1 again", "mine").json() == first.json(), "another API key of the same merchant"
    other = place("m1", "mine", qty=2)
    assert (other.status_code, other.json()["type"]) == (409, "urn:muyun:problem:idempotency-conflict")
    theirs = place("m2", "mine", merchant="m2")
    operators = place("operator", "mine")
    assert [theirs.status_code, operators.status_code] == [201, 201]
    assert len({answer.json()["order_id"] for answer in (first, theirs, operators)}) == 3


def test_a_webhook_is_added_once_under_a_key(client, scores_url):
    key = issue_key(
        scores_url, name="S1", role="supplier", party_id="S1", scopes=sorted(ROLE_SCOPES[Role.SUPPLIER])
    ).secret
    headers = {"X-API-Key": key, "Idempotency-Key": "hook"}
    first, again = (
        client.post("/v1/webhooks", json={"url": "https://93.184.215.14/x"}, headers=headers)
        for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}


def test_a_key_is_forgotten_after_its_time(place, scores_url):
    old, young = place("m1", "old").json()["order_id"], place("m1", "young").json()["order_id"]
    with psycopg.connect(libpq_url(scores_url)) as connection:
        connection.execute(
            "update ops.idempotency set created_at = created_at - interval '31 days'"
            " where idempotency_key = 'old'"
        )
        assert idempotency.purge(connection, 30) == 1
    assert place("m1", "young").json()["order_id"] == young
    assert place("m1", "old").json()["order_id"] != old
