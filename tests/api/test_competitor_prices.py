"""Competitor prices in batches: good rows stored once each, bad ones told with index and reason."""

from datetime import timedelta

import psycopg
import pytest
from published_scores import AS_OF

from serving.db.urls import libpq_url
from serving.security import Scope, issue_key


def row(sku="s1", competitor="rival", hour=-1, cents=100, **more):
    at = (AS_OF + timedelta(hours=hour)).isoformat()
    return {"sku_id": sku, "competitor": competitor, "observed_at": at, "price_cents": cents, **more}


@pytest.fixture
def send(client, scores_url):
    """Send a batch with a key of a merchant, or of the operator."""
    with psycopg.connect(libpq_url(scores_url)) as connection:
        connection.execute("alter table market.competitor_price disable trigger all")
        connection.execute("delete from market.competitor_price")
        connection.execute("alter table market.competitor_price enable trigger all")
    keys = {
        None: issue_key(scores_url, name="operator", scopes=list(Scope)).secret,
        "m1": issue_key(scores_url, name="m1", scopes=["competitor_prices:write"], merchant_id="m1").secret,
    }

    def post(prices, merchant=None, **options):
        body = {"json": {"prices": prices}} if prices is not None else options
        return client.post("/v1/competitor-prices", headers={"X-API-Key": keys[merchant]}, **body)

    return post


def stored(url):
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute(
            "select sku_id, competitor, price_cents, merchant_id, xact_id is not null"
            " from market.competitor_price order by 1, 2"
        ).fetchall()


def test_observations_are_stored_once_each(send, scores_url):
    batch = [row("s1"), row("s2", cents=250), row("s1")]
    first = send(batch)
    assert first.status_code == 200, first.text
    assert first.json() == {"received": 3, "accepted": 2, "duplicates": 1, "refused": 0, "refusals": []}
    again = send(batch).json()
    assert (again["accepted"], again["duplicates"], again["refused"]) == (0, 3, 0)
    assert stored(scores_url) == [("s1", "rival", 100, None, True), ("s2", "rival", 250, None, True)]


def test_each_bad_row_is_told_and_spoils_no_other(send, scores_url):
    bad = [
        (row(cents=0), "invalid_field", "price_cents"),
        (row(hour=2), "observed_in_future", "observed_at"),
        ({**row(), "observed_at": "1999-12-31T00:00:00Z"}, "observed_too_long_ago", "observed_at"),
        ({**row(), "observed_at": "2017-12-31T00:00:00"}, "invalid_field", "observed_at"),
        ({**row(), "colour": "red"}, "unknown_field", "colour"),
        ({"sku_id": "s1"}, "missing_field", "competitor"),
        (row(sku=""), "invalid_field", "sku_id"),
        ("text", "malformed", None),
    ]
    receipt = send([row("good"), *(one for one, _, _ in bad)]).json()
    assert (receipt["received"], receipt["accepted"], receipt["refused"]) == (9, 1, 8)
    assert [(r["index"], r["reason"], r.get("field")) for r in receipt["refusals"]] == [
        (index, reason, field) for index, (_, reason, field) in enumerate(bad, 1)
    ]
    assert [line[0] for line in stored(scores_url)] == ["good"]


def test_another_price_for_the_same_moment_is_refused(send, scores_url):
    send([row("s1")])
    receipt = send([row("s1", cents=101), row("s2", cents=1), row("s2", cents=2)]).json()
    assert [(r["index"], r["reason"]) for r in receipt["refusals"]] == [
        (0, "price_contradicts"),
        (2, "price_contradicts"),
    ]
    assert (receipt["accepted"], receipt["duplicates"]) == (1, 0)
    assert [line[2] for line in stored(scores_url)] == [100, 1]


def test_a_merchant_states_prices_for_itself_only(send, scores_url):
    receipt = send([row("s1"), row("s2", merchant_id="m2"), row("s3", merchant_id="m1")], "m1").json()
    assert [(r["index"], r["reason"]) for r in receipt["refusals"]] == [(1, "merchant_out_of_scope")]
    assert [(line[0], line[3]) for line in stored(scores_url)] == [("s1", "m1"), ("s3", "m1")]


def test_what_is_no_batch_is_refused_whole(send, scores_url):
    for body in (b"", b"[]", b'{"prices": 1}', b'{"prices": [], "more": 1}', b"\xff"):
        answer = send(None, content=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:muyun:problem:invalid-price-batch")
    assert send([row(f"s{n}") for n in range(1001)]).status_code == 422
    assert stored(scores_url) == []
    assert send([]).json()["received"] == 0
