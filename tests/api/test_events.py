import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.security import issue_key

SCOPE = ["events:write"]


def event(event_id, **changes):
    return {
        "event_id": event_id,
        "session_id": "s1",
        "event_type": "view",
        "occurred_at": "2017-12-31T08:00:00+08:00",
        "merchant_id": "m1",
        **changes,
    }


@pytest.fixture(scope="module")
def keys(scores_url):
    with Operations(scores_url) as operations, operations.transaction("default") as conn:
        conn.execute(
            "insert into agents.agent (tenant_id, agent_id, merchant_id, depth) values"
            " ('default', 'a1', 'm1', 1), ('default', 'a2', null, 1)"
        )

    def key(**whose):
        return issue_key(scores_url, name="sender", scopes=SCOPE, **whose).secret

    return {
        "operator": key(),
        "merchant": key(role="merchant", party_id="m1"),
        "agent": key(role="agent", party_id="a1"),
        "free agent": key(role="agent", party_id="a2"),
        "other tenant": key(tenant_id="other"),
    }


@pytest.fixture(scope="module")
def send(client, keys):
    def post(events, whose="operator", raw=None):
        content = raw if raw is not None else json.dumps({"events": events}).encode()
        return client.post("/v1/events", content=content, headers={"X-API-Key": keys[whose]})

    return post


@pytest.fixture
def stored(scores_url):
    def rows(prefix):
        with psycopg.connect(libpq_url(scores_url)) as connection:
            return connection.execute(
                "select tenant_id, event_id, merchant_id, propensity, position,"
                " occurred_at at time zone 'UTC', received_at is not null"
                " from events.event where event_id like %s order by 1, 2",
                (prefix + "%",),
            ).fetchall()

    return rows


def test_good_events_are_kept_and_bad_ones_named(send, stored):
    impression = {"event_type": "impression", "policy_version": "p1", "propensity": 0.125, "position": 3}
    answer = send(
        [event("k-1", **impression), event("k-2", propensity=2), event("k-3"), {"event_id": "k-4"}, "text"]
    )
    assert answer.status_code == 200
    receipt = answer.json()
    refusals = receipt.pop("refusals")
    assert receipt == {"received": 5, "accepted": 2, "duplicates": 0, "refused": 3}
    assert [(item["index"], item["reason"]) for item in refusals] == [
        (1, "invalid_field"),
        (3, "missing_field"),
        (4, "malformed"),
    ]
    rows = stored("k-")
    assert [row[1:5] for row in rows] == [("k-1", "m1", 0.125, 3), ("k-3", "m1", None, None)]
    assert str(rows[0][5]) == "2017-12-31 00:00:00"
    assert rows[0][6] is True


def test_sending_again_changes_nothing_and_another_content_is_told(send, stored):
    batch = [event(f"i-{number}") for number in range(5)]
    assert send(batch).json()["accepted"] == 5
    again = send([*batch, event("i-0", sku_id="other"), batch[1]]).json()
    assert (again["accepted"], again["duplicates"], again["refused"]) == (0, 6, 1)
    assert [(item["index"], item["reason"], item["event_id"]) for item in again["refusals"]] == [
        (5, "event_id_reused", "i-0")
    ]
    later = send([event("i-3", query="else"), event("i-3", query="else")]).json()
    assert (later["accepted"], later["duplicates"], later["refused"]) == (0, 0, 2)
    assert len(stored("i-")) == 5


def test_concurrent_batches_with_the_same_events_store_each_once(send, stored):
    names = [f"c-{number:03}" for number in range(200)]
    batches = [[event(name) for name in (names if turn % 2 else names[::-1])] for turn in range(8)]
    with ThreadPoolExecutor(8) as threads:
        receipts = [answer.json() for answer in threads.map(send, batches)]
    assert sum(receipt["accepted"] for receipt in receipts) == 200
    assert sum(receipt["duplicates"] for receipt in receipts) == 7 * 200
    assert len(stored("c-")) == 200


def test_a_merchants_key_sends_for_its_merchant_only(send, stored):
    batch = [event("m-1"), event("m-2", merchant_id=None), event("m-3", merchant_id="m2")]
    for whose in ("merchant", "agent"):
        receipt = send([{**item, "event_id": item["event_id"] + whose} for item in batch], whose).json()
        assert (receipt["accepted"], receipt["refused"]) == (2, 1)
        assert receipt["refusals"][0]["reason"] == "merchant_out_of_scope"
    assert {row[2] for row in stored("m-")} == {"m1"}
    nothing = send([event("n-1")], "free agent").json()
    assert (nothing["accepted"], nothing["refused"]) == (0, 1)


def test_another_merchants_event_id_is_not_swallowed(send):
    assert send([event("x-1", merchant_id="m2")]).json()["accepted"] == 1
    receipt = send([event("x-1")], "merchant").json()
    assert receipt["refusals"][0]["reason"] == "event_id_reused"


def test_tenants_have_ids_of_their_own(send, stored):
    assert send([event("t-1")]).json()["accepted"] == 1
    assert send([event("t-1", sku_id="k")], "other tenant").json()["accepted"] == 1
    assert [row[0] for row in stored("t-")] == ["default", "other"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"events": 1}', b"\xff", b'{"events":["\\ud800"]}'])
def test_what_is_no_batch_is_a_problem(send, raw):
    answer = send(None, raw=raw)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:muyun:problem:invalid-event-batch"


def test_limits(send):
    assert send([]).json() == {"received": 0, "accepted": 0, "duplicates": 0, "refused": 0, "refusals": []}
    answer = send([event(str(number)) for number in range(1_001)])
    assert answer.status_code == 422
    assert "at most 1000" in answer.json()["detail"]


def test_an_auditor_cannot_send(client, scores_url):
    key = issue_key(scores_url, name="a", scopes=["audit:read"], role="auditor").secret
    assert client.post("/v1/events", content=b"{}", headers={"X-API-Key": key}).status_code == 403
    assert client.post("/v1/events", content=b"{}").status_code == 401
