"""Journeys through their routes: drafts, four eyes, preview, outbox, tasks, receipts, verdict, stop."""

import uuid

import pytest
from journey_town import NOW, WAKE, Town
from litestar.testing import TestClient
from published_scores import SCHEMA
from two_people import approved

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.security import ROLE_SCOPES, Role, issue_key

pytestmark = pytest.mark.xdist_group("journey_routes")  # one database and application for all


class Desk:
    """The application over a town, with keys by role."""

    def __init__(self, client, town):
        self.client, self.town = client, town
        self.keys = {
            who: issue_key(
                town.url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])
            ).secret
            for who, role, party in (
                ("ann", Role.OPERATOR, None),
                ("bob", Role.OPERATOR, None),
                ("auditor", Role.AUDITOR, None),
                ("m1", Role.MERCHANT, "m1"),
            )
        }

    def ask(self, who, method, path, body=None, status=200, **query):
        headers = {"X-API-Key": self.keys[who], "Idempotency-Key": uuid.uuid4().hex}
        answer = self.client.request(method, f"/v1{path}", json=body, params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture(scope="module")
def desk(module_database_url, settings):
    with Operations(module_database_url, size=4) as operations:
        town = Town(module_database_url, operations)
        town.people(20, others=10)
        app = create_app(
            settings.model_copy(update={"as_of": NOW}), module_database_url, ProfileReader(SCHEMA)
        )
        with TestClient(app) as client:
            yield Desk(client, town)


def test_the_life_of_a_journey_through_its_routes(desk):
    town = desk.town
    shipped = {
        one["journey_id"] for one in desk.ask("auditor", "GET", "/journeys/shipped").json()["journeys"]
    }
    assert {"dormant_wakeup", "abandoned_cart", "newcomer"} <= shipped

    draft = desk.ask("ann", "POST", "/journeys", {"document": WAKE}, status=201).json()
    assert (draft["journey_id"], draft["version"], draft["state"]) == ("wake", 1, "draft")
    again = desk.ask("bob", "POST", "/journeys", {"document": WAKE}, status=201).json()
    assert again == draft
    town.look()
    assert town.runs() == {}

    seen = desk.ask("auditor", "GET", "/journeys/wake/versions/1/preview").json()
    assert seen["arms"] == {"treated": 19, "universal": 1}
    assert (seen["entering"], seen["first_acts"], seen["detectable"]) == (20, {"message": 19}, None)
    assert town.messages() == []

    waiting = desk.ask("ann", "POST", "/journeys/wake/versions/1/in-force", status=202)
    own = waiting.json()
    told = {"version": own["version"], "digest": own["digest"]}
    desk.ask("ann", "POST", f"/approvals/{own['approval_id']}/approve", told, status=403)
    done = approved(desk.client, desk.keys["bob"], waiting)
    assert done.json()["effect"] == {"journey_id": "wake", "version": 1}
    (shown,) = desk.ask("auditor", "GET", "/journeys").json()["journeys"]
    assert (shown["state"], shown["document"]["steps"][0]["coupon"]) == ("live", "wakeup")

    town.look(send=False)
    first = desk.ask("ann", "GET", "/journeys/wake/messages", limit=5).json()
    assert [one["state"] for one in first["messages"]].count("waiting") >= 4
    rest = desk.ask("ann", "GET", "/journeys/wake/messages", limit=500, cursor=first["next_cursor"]).json()
    assert len(first["messages"]) + len(rest["messages"]) == 20
    desk.ask("auditor", "GET", "/journeys/wake/messages", status=403)

    sent = next(one for one in rest["messages"] if one["state"] == "waiting")
    town.sql("update journeys.message set attempts = 1 where message_id = %(m)s", m=sent["message_id"])
    notice = {
        "receipt_id": "r1",
        "channel": "sms",
        "message_id": sent["message_id"],
        "kind": "clicked",
        "occurred_at": NOW.isoformat(),
    }
    assert desk.ask("ann", "POST", "/journey-receipts", {"receipts": [notice]}).json()["new"] == 1
    assert desk.ask("ann", "POST", "/journey-receipts", {"receipts": [notice]}).json()["known"] == 1
    town.look()
    assert town.runs()[sent["consumer_id"]][2] == "reacted"

    paused = desk.ask("bob", "POST", "/journeys/wake/pause", {"reason": "a wrong price"}).json()
    assert (paused["state"], paused["reason"]) == ("paused", "a wrong price")
    assert desk.ask("bob", "POST", "/journeys/wake/resume").json()["state"] == "live"
    verdict = desk.ask("auditor", "GET", "/journeys/wake/verdict").json()
    assert (verdict["verdict"], verdict["treated"]) == ("not_yet", {"size": 0, "reached": 0})
    ended = desk.ask("ann", "POST", "/journeys/wake/stop", {"reason": "over"}).json()
    assert ended == {"journey_id": "wake", "ended_runs": 19}
    desk.ask("ann", "POST", "/journeys/wake/stop", {"reason": "over"}, status=409)
    noted = town.sql("select distinct action, authority from ops.audit_log where action like 'journey%%'")
    assert {
        ("journey.draft", "journey"),
        ("journey.pause", "journey"),
        ("journey.resume", "journey"),
        ("journey.stop", "journey"),
        ("journey_receipts.take", "journey_work"),
    } <= set(noted)


def test_tasks_are_claimed_and_ended_by_one_key(desk):
    town = desk.town
    head = WAKE[: WAKE.index("steps:")].replace("journey_id: wake", "journey_id: call")
    town.journey(f"{head}steps:\n  - {{id: call, kind: task, task: Call, within_minutes: 15, next: end}}\n")
    town.look()
    (one, *_) = desk.ask("ann", "GET", "/journey-tasks").json()["tasks"]
    path = f"/journey-tasks/{one['task_id']}"
    assert desk.ask("ann", "POST", f"{path}/claim").json()["state"] == "claimed"
    desk.ask("bob", "POST", f"{path}/claim", status=409)
    desk.ask("bob", "POST", f"{path}/end", {"state": "done", "outcome": "spoke"}, status=409)
    done = desk.ask("ann", "POST", f"{path}/end", {"state": "done", "outcome": "spoke"}).json()
    assert (done["state"], done["outcome"], done["is_late"]) == ("done", "spoke", False)
    desk.ask("ann", "POST", "/journey-tasks/999999/claim", status=404)


def test_a_refused_journey_names_every_step_and_reason(desk):
    wrong = WAKE.replace("segment: dormant", "segment: nobody").replace("next: list}", "next: nowhere}")
    problem = desk.ask("ann", "POST", "/journeys", {"document": wrong}, status=422).json()
    assert problem["type"].endswith("journey-refused")
    told = {(one["parameter"], one["message"].split("]")[0].strip("[")) for one in problem["errors"]}
    assert {("journey", "segment_unknown"), ("day", "step_unknown"), ("list", "step_unreachable")} <= told
    desk.ask("ann", "POST", "/journeys", {"document": "a: ["}, status=422)
    desk.ask("m1", "POST", "/journeys", {"document": WAKE}, status=403)
    desk.ask("auditor", "POST", "/journeys", {"document": WAKE}, status=403)
    desk.ask("ann", "GET", "/journeys/unknown/verdict", status=404)
    desk.ask("ann", "POST", "/journeys/unknown/versions/1/in-force", status=404)
