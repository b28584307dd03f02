"""A test of a channel that is declared through its route keeps journeys from whom it holds out."""

import uuid
from datetime import timedelta

import pytest
from journey_town import NOW, WAKE, Town, names
from litestar.testing import TestClient
from published_scores import SCHEMA
from small_market import TENANT

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.journeys import violations
from serving.journeys.assignment import arm_of
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("journey_held_out")

PEOPLE = 40


class Desk:
    """The application over a town, with the key of an operator."""

    def __init__(self, client, town):
        self.client, self.town = client, town
        scopes = sorted(ROLE_SCOPES[Role.OPERATOR])
        self.key = issue_key(town.url, name="ann", role=Role.OPERATOR, party_id=None, scopes=scopes).secret

    def ask(self, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.key, "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def declare(self, **changes):
        wanted = {
            "test_id": "sms-november", "channel": "sms", "kind": "holdout", "off_share_bps": 3_000,
            "starts_on": "2026-11-02", "ends_on": "2026-11-10",
        }  # fmt: skip
        return self.ask("POST", "/channel-tests", {**wanted, **changes}, 201)

    def held_out(self, channel="sms"):
        """Whom the route says that the channel must not touch."""
        return {
            one
            for one in names(PEOPLE)
            if self.ask("GET", "/channel-tests/held-out", channel=channel, consumer_id=one)["is_held_out"]
        }


@pytest.fixture
def desk(database_url, settings):
    with Operations(database_url, size=4) as operations:
        town = Town(database_url, operations)
        town.people(PEOPLE, others=20)
        app = create_app(settings.model_copy(update={"as_of": NOW}), database_url, ProfileReader(SCHEMA))
        with TestClient(app) as client:
            yield Desk(client, town)


def treated():
    return {
        one
        for one in names(PEOPLE)
        if arm_of(TENANT, "wake", one, NOW.date(), 0, marketing=True) == "treated"
    }


def reasons(town, **by):
    """Why messages were withheld, by consumer."""
    return {one["consumer_id"]: one["reason"] for one in town.messages(state="withheld", **by)}


def test_preview_and_rounds_leave_out_whom_the_test_holds_out_and_go_on(desk):
    town = desk.town
    desk.declare()
    off, told = desk.held_out(), treated()
    assert 5 < len(off & told) < len(told) - 5
    desk.ask("POST", "/journeys", {"document": WAKE}, 201)
    seen = desk.ask("GET", "/journeys/wake/versions/1/preview")
    assert seen["first_acts"] == {
        "message": len(told - off),
        "withheld:channel_held_out": len(told & off),
    }

    town.journey()
    town.look()
    assert {who for who in reasons(town) if who in told} == off & told
    # The universal hold-out is judged by the same guards.
    assert reasons(town) == dict.fromkeys(off, "channel_held_out")
    assert {one["consumer_id"] for one in town.messages(state="delivered")} == told - off
    # Only this channel is left out: the next step writes by another one.
    town.on(days=1, minutes=1)
    town.look()
    by_wecom = {one["consumer_id"] for one in town.messages(step="list") if one["state"] == "delivered"}
    assert by_wecom == told
    assert not any(town.act(violations.count, NOW - timedelta(days=1), town.now).values())


def test_a_test_that_was_given_up_or_is_over_or_is_of_another_channel_holds_nobody_out(desk):
    town = desk.town
    desk.declare(test_id="given-up")
    assert desk.held_out()
    desk.ask("POST", "/channel-tests/given-up/stop", {"reason": "switched off"})
    desk.declare(test_id="later", starts_on="2026-11-03", ends_on="2026-11-10")
    desk.declare(test_id="mail", channel="email")
    town.journey()
    town.look()
    assert reasons(town) == {}
    assert {one["consumer_id"] for one in town.messages(state="delivered")} == treated()


def test_service_reaches_whom_a_test_holds_out(desk):
    town = desk.town
    desk.declare()
    town.journey(WAKE.replace("purpose: marketing", "purpose: service"))
    town.look()
    assert reasons(town) == {}
    assert desk.held_out() <= {one["consumer_id"] for one in town.messages(state="delivered")}


def test_a_test_that_begins_while_a_message_waits_stops_it(desk):
    town = desk.town
    town.journey()
    town.look(send=False)
    desk.declare()
    town.look(enter=False)
    assert reasons(town) == dict.fromkeys(desk.held_out() & treated(), "channel_held_out")
    assert {one["consumer_id"] for one in town.messages(state="delivered")} == treated() - desk.held_out()
