"""Tests of channels through their routes: declared ahead, never changed, one at a time, drawn for good."""

import threading
import uuid

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.channel_tests.records import is_held_out, standing
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("channel_tests")

HOLDOUT = {
    "test_id": "sms-june", "channel": "sms", "kind": "holdout", "off_share_bps": 2_000,
    "starts_on": "2026-11-10", "ends_on": "2026-12-08",
}  # fmt: skip


class Desk:
    def __init__(self, url, client):
        self.url, self.client = url, client
        self.keys = {
            who: issue_key(url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("auditor", Role.AUDITOR, None),
                ("m1", Role.MERCHANT, "m1"),
            )
        }

    def ask(self, who, method, path, body=None, status=200, **query):
        answer = self.client.request(
            method, f"/v1{path}", json=body, params=query, headers={"X-API-Key": self.keys[who]}
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def declare(self, status=201, who="ann", **changes):
        return self.ask(who, "POST", "/channel-tests", {**HOLDOUT, **changes}, status)


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    import datetime as dt

    now = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)
    app = create_app(settings.model_copy(update={"as_of": now}), module_database_url, ProfileReader(SCHEMA))
    with TestClient(app) as client:
        yield Desk(module_database_url, client)


def test_a_test_is_declared_once_and_never_changes(desk):
    first = desk.declare()
    assert first == desk.declare()
    assert desk.declare(off_share_bps=1_000, status=409)["type"].endswith("channel-test-state")
    # The id stands for one test, whatever channel another names.
    assert desk.declare(channel="wecom", status=409)["type"].endswith("channel-test-state")
    assert desk.ask("auditor", "GET", "/channel-tests")["tests"] == [first]
    desk.declare(who="m1", status=403)
    with psycopg.connect(libpq_url(desk.url)) as connection:
        noted = connection.execute(
            "select authority from ops.audit_log where action = 'channel_test.declare'"
        ).fetchall()
    assert set(noted) == {("channel_test",)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"starts_on": "2026-11-08"}, "lies in the past"),
        ({"ends_on": "2026-11-16"}, "7 days at least"),
        ({"off_share_bps": None}, "has off_share_bps"),
        ({"on_regions": ["east", "west"]}, "no regions"),
        ({"kind": "geo"}, "no off_share_bps"),
        ({"kind": "geo", "off_share_bps": None, "on_regions": ["a", "b"], "off_regions": ["b", "c"]}, "both"),
        (
            {"kind": "geo", "off_share_bps": None, "on_regions": ["a", "a"], "off_regions": ["b", "c"]},
            "2 regions",
        ),
    ],
)
def test_what_would_tell_nothing_is_refused(desk, changes, said):
    answer = desk.declare(test_id=uuid.uuid4().hex, channel="qr", **changes, status=422)
    assert said in answer["detail"]


def test_of_tests_that_overlap_one_stands_and_a_stopped_one_makes_room(desk):
    desk.declare(test_id="mail-1", channel="mail")
    assert "mail-1" in desk.declare(test_id="mail-2", channel="mail", status=409)["detail"]
    desk.declare(test_id="mail-3", channel="mail", starts_on="2026-12-08", ends_on="2026-12-20")
    stopped = desk.ask("ann", "POST", "/channel-tests/mail-1/stop", {"reason": "switched off"})
    assert (stopped["reason"], stopped["stopped_at"] is not None) == ("switched off", True)
    assert stopped == desk.ask("ann", "POST", "/channel-tests/mail-1/stop", {"reason": "another"})
    desk.declare(test_id="mail-2", channel="mail")
    desk.ask("ann", "POST", "/channel-tests/no-such/stop", {"reason": "x"}, status=404)


def test_two_declarations_at_once_leave_one_test(desk):
    codes = []

    def send(name):
        answer = desk.client.post(
            "/v1/channel-tests",
            json={**HOLDOUT, "test_id": name, "channel": "race"},
            headers={"X-API-Key": desk.keys["ann"]},
        )
        codes.append(answer.status_code)

    threads = [threading.Thread(target=send, args=(f"race-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [201, *[409] * 5]


def test_the_lot_is_the_share_and_the_same_for_every_question(desk):
    desk.declare(test_id="draw", channel="draw", starts_on="2026-11-09", ends_on="2026-11-16")
    with Operations(desk.url, size=1) as operations, operations.transaction("default") as conn:
        (test,) = [one for one in standing(conn, "default") if one.test_id == "draw"]
    out = [name for name in map(str, range(4_000)) if is_held_out("default", test, name)]
    assert 0.18 < len(out) / 4_000 < 0.22
    held = desk.ask("ann", "GET", "/channel-tests/held-out", channel="draw", consumer_id=out[0])
    assert (held["is_held_out"], held["test_id"]) == (True, "draw")
    free = next(name for name in map(str, range(4_000)) if name not in set(out))
    assert not desk.ask("ann", "GET", "/channel-tests/held-out", channel="draw", consumer_id=free)[
        "is_held_out"
    ]
    # Not begun yet, and another channel.
    for channel in ("sms", "nothing"):
        assert not desk.ask("ann", "GET", "/channel-tests/held-out", channel=channel, consumer_id=out[0])[
            "is_held_out"
        ]
    desk.ask("m1", "GET", "/channel-tests/held-out", status=403, channel="draw", consumer_id=out[0])
