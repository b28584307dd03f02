"""Agents that fell silent: one task a silence, the dearest first, dropped when the agent sells again."""

from datetime import UTC, date, datetime, timedelta

import pytest
from litestar.testing import TestClient
from published_scores import SCHEMA, manifest_of, reviewed, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.operations import Operations
from serving.journeys import tasks
from serving.journeys.dormant_agents import MOST_OPEN
from serving.journeys.rounds import make_round
from serving.scores.loader import publish
from serving.security import ROLE_SCOPES, Role, issue_key

TENANT = "default"
NOW = datetime(2018, 1, 3, 12, tzinfo=UTC)
NOV, DEC = date(2017, 11, 1), date(2017, 12, 1)


class Town:
    def __init__(self, url, operations):
        self.url, self.operations, self.version = url, operations, 0

    def publish(self, *rows):
        self.version += 1
        tables = small_tables()
        tables["party_reviews"] = list(rows)
        name = f"v{self.version}"
        as_of = datetime(2018, 1, self.version, tzinfo=UTC)
        publish(self.url, manifest_of(name, tables, as_of=as_of, sha=f"{self.version:x}"), tables)

    def round(self, now=NOW):
        return make_round(lambda: self.operations.transaction(TENANT), TENANT, {}, now).agents

    def tasks(self, state="open"):
        with self.operations.transaction(TENANT) as conn:
            return tasks.page(conn, TENANT, state, after=0, limit=500)

    def act(self, what, *arguments):
        with self.operations.transaction(TENANT) as conn:
            return what(conn, TENANT, *arguments)


@pytest.fixture
def town(database_url):
    with Operations(database_url, size=2) as operations:
        yield Town(database_url, operations)


def month(agent, quiet, **changes):
    return reviewed("agent", agent, month=changes.pop("on", NOV), quiet_months=quiet, **changes)


def test_a_silence_is_one_task_however_often_a_round_is_made(town):
    town.publish(
        month("sells", 0), month("quiet", 2), month("never", None), month("gone", 3, is_active=False),
        month("runs", 1, on=DEC),
    )  # fmt: skip
    assert town.round().asked == 1
    assert town.round(NOW + timedelta(hours=1)).asked == 0
    (task,) = town.tasks()
    assert (task.agent_id, task.consumer_id, task.journey_id) == ("quiet", None, "dormant_agent")
    assert "since 2017-09" in task.title
    assert task.due_at == NOW + timedelta(days=1)
    assert not task.is_late(NOW + timedelta(hours=23))
    assert task.is_late(NOW + timedelta(hours=25))


def test_a_person_claims_and_ends_it_and_the_next_silence_is_another_task(town):
    town.publish(month("quiet", 2))
    town.round()
    (task,) = town.tasks()
    town.act(tasks.claim, task.task_id, "ann", NOW)
    town.act(tasks.end, task.task_id, "ann", "done", "has a new phone", NOW)
    town.publish(month("quiet", 3, on=DEC, is_whole=True))
    assert town.round().asked == 0
    town.publish(month("quiet", 1, on=date(2018, 2, 1), is_whole=True))
    assert town.round().asked == 1
    assert [one.title for one in town.tasks()] == ["Sold nothing since 2018-01: ask what is missing"]


def test_who_sells_again_is_asked_nothing_unless_somebody_is_at_it(town):
    town.publish(month("a", 1), month("b", 1))
    town.round()
    first, second = town.tasks()
    town.act(tasks.claim, first.task_id, "ann", NOW)
    town.publish(*(month(agent, 0, on=DEC, is_whole=True) for agent in ("a", "b")))
    found = town.round()
    assert (found.asked, found.dropped) == (0, 1)
    assert [one.task_id for one in town.tasks("dropped")] == [second.task_id]
    assert [one.task_id for one in town.tasks("claimed")] == [first.task_id]


def test_who_is_no_agent_any_more_leaves_the_desk_and_a_refund_makes_no_second_task(town):
    town.publish(month("left", 2), month("refunded", 1), month("sells", 0))
    assert town.round().asked == 2
    # The last sale of one was refunded, so that its silence began earlier; the other was closed.
    town.publish(month("refunded", 2), month("sells", 0))
    done = town.round()
    assert (done.asked, done.dropped) == (0, 1)
    assert [one.agent_id for one in town.tasks()] == ["refunded"]


def test_the_dearest_silences_come_first_and_no_more_than_people_can_do(town):
    town.publish(*(month(f"a{n:03}", 1, cents=4_000 + 8 * n) for n in range(MOST_OPEN + 10)))
    assert town.round().asked == MOST_OPEN
    assert {one.agent_id for one in town.tasks()} == {f"a{n:03}" for n in range(10, MOST_OPEN + 10)}
    assert town.round().asked == 0
    for task in town.tasks()[:3]:
        town.act(tasks.claim, task.task_id, "ann", NOW)
        town.act(tasks.end, task.task_id, "ann", "dropped", "left", NOW)
    assert town.round().asked == 3


def test_without_reviews_nobody_is_asked(town):
    assert (town.round().asked, town.round().dropped) == (0, 0)


def test_the_desk_sees_claims_and_ends_it_through_the_api(town, settings):
    town.publish(month("quiet", 2))
    town.round()
    app = create_app(settings.model_copy(update={"as_of": NOW}), town.url, ProfileReader(SCHEMA))
    key = issue_key(town.url, name="ann", scopes=sorted(ROLE_SCOPES[Role.OPERATOR])).secret
    with TestClient(app) as client:
        client.headers["X-API-Key"] = key
        (task,) = client.get("/v1/journey-tasks").json()["tasks"]
        assert (task["agent_id"], task["consumer_id"], task["is_late"]) == ("quiet", None, False)
        number = task["task_id"]
        assert client.post(f"/v1/journey-tasks/{number}/claim").json()["state"] == "claimed"
        done = client.post(f"/v1/journey-tasks/{number}/end", json={"state": "done", "outcome": "spoke"})
        assert (done.json()["state"], done.json()["agent_id"]) == ("done", "quiet")
