"""Texts that nobody can keep or that look like another one are refused wherever they are sent."""

import re

import pytest

from serving.security import Scope, issue_key

NUL = "a\x00b"


@pytest.fixture(scope="module")
def send(client, scores_url):
    key = issue_key(scores_url, name="texts", scopes=list(Scope)).secret

    def _send(method, path, body=None, status=422):
        headers = {"X-API-Key": key, "Idempotency-Key": "k"}
        answer = client.request(method, f"/v1{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    return _send


def experiment(**changes):
    arms = [{"name": "a", "share_bps": 5_000}, {"name": "b", "share_bps": 5_000, "price": "hold"}]
    return {
        "experiment_id": "e1", "title": "t", "surface": "prices", "unit": "sku", "layer": "p",
        "metric": "units", "arms": arms,
    } | changes  # fmt: skip


def feedback(text):
    told = {"feedback_id": "f1", "merchant_id": "m1", "consumer_id": "c1", "text": text}
    return {"texts": [told | {"occurred_at": "2017-12-01T00:00:00Z"}]}


def test_the_one_character_that_postgresql_keeps_in_no_text_is_refused(send):
    send("POST", "/experiments", experiment(), status=201)
    send("POST", "/feedback", feedback("kept"), status=200)
    declared = {"channel": "sms", "kind": "holdout", "off_share_bps": 1_000}
    days = {"starts_on": "2099-01-01", "ends_on": "2099-02-01"}
    send("POST", "/channel-tests", {"test_id": "t1"} | declared | days, status=201)
    for method, path, body in (
        ("POST", "/experiments", experiment(experiment_id="e2", title=NUL)),
        ("GET", "/experiments/e1/assignments/a%00b", None),
        ("POST", "/feedback", feedback(NUL)),
        ("POST", "/feedback/1/answer", {"text": NUL}),
        ("POST", "/channel-tests/t1/stop", {"reason": NUL}),
    ):
        found = send(method, path, body)
        assert found["type"] == "urn:muyun:problem:invalid-parameter", path
        assert "U+0000" in found["detail"], path


def patterns(part):
    """Every pattern of an OpenAPI document."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            yield part["pattern"]
        for value in part.values():
            yield from patterns(value)
    elif isinstance(part, list):
        for value in part:
            yield from patterns(value)


def test_no_id_ends_with_a_line_break(client, send):
    """In Python `$` is also before a line break at the end: `c1` and `c1` with one would be two consumers."""
    found = set(patterns(client.get("/v1/openapi.json").json()))
    assert len(found) > 15
    loose = {one for one in found if one.endswith("$") and not one.endswith(r"(?!\n)$")}
    assert loose == set()
    assert [re.search(r"^[a-z]+(?!\n)$", text) is None for text in ("abc", "abc\n")] == [False, True]
    for ended in ({"consumer_id": "c1\n"}, {"feedback_id": "f1\n"}, {"merchant_id": "m1\n"}):
        body = feedback("x")
        body["texts"][0] |= ended
        send("POST", "/feedback", body)
    send("PUT", "/merchants/m1/link-destinations/nl", {"url": "https://shop.example.com/\n"})
