"""Anonymous visitors become consumers by statements with evidence, and can be parted again."""

import psycopg
import pytest

from serving.db.urls import libpq_url
from serving.security import Scope, issue_key

NOON, TWO = "2017-12-30T12:00:00Z", "2017-12-30T14:00:00Z"


@pytest.fixture
def post(client, scores_url):
    with psycopg.connect(libpq_url(scores_url)) as connection:
        connection.execute("delete from identity.edge")
    key = issue_key(scores_url, name="operator", scopes=list(Scope)).secret
    return lambda path, **body: client.post(
        f"/v1/identity/visitors/{path}", json=body, headers={"X-API-Key": key}
    )


def link(post, visitor="v1", consumer="c1", at=NOON, evidence="login"):
    return post(f"{visitor}/links", consumer_id=consumer, valid_from=at, evidence=evidence)


def holders(url, visitor, at):
    """Consumers whom the visitor is at a moment, by the rule that the lake joins with."""
    with psycopg.connect(libpq_url(url)) as connection:
        rows = connection.execute(
            "select distinct consumer_id from identity.edge where anonymous_id = %s and valid_from <= %s"
            " and (revoked_at is null or revoked_at > %s) order by 1",
            (visitor, at, at),
        ).fetchall()
    return [row[0] for row in rows]


def test_an_edge_holds_from_its_moment_on(post, scores_url):
    answer = link(post).json()
    assert answer["changed"] is True
    assert answer["edges"] == [
        {"consumer_id": "c1", "valid_from": NOON, "evidence": "login", "revoked_at": None}
    ]
    assert holders(scores_url, "v1", "2017-12-30T11:59:59Z") == []
    assert holders(scores_url, "v1", NOON) == ["c1"]
    again = link(post).json()
    assert (again["changed"], len(again["edges"])) == (False, 1)


def test_an_edge_can_be_undone_from_a_moment_on_or_whole(post, scores_url):
    link(post)
    ended = post("v1/revocations", consumer_id="c1", revoked_at=TWO).json()
    assert (ended["changed"], ended["edges"][0]["revoked_at"]) == (True, TWO)
    assert holders(scores_url, "v1", "2017-12-30T13:00:00Z") == ["c1"]
    assert holders(scores_url, "v1", TWO) == []
    assert link(post).json()["changed"] is False  # what was revoked stays revoked
    assert post("v1/revocations", consumer_id="c1", revoked_at=NOON).json()["changed"] is True
    assert holders(scores_url, "v1", NOON) == []
    assert link(post, at=TWO).json()["changed"] is True
    assert holders(scores_url, "v1", TWO) == ["c1"]


def test_a_change_of_an_edge_has_a_new_transaction_number(post, scores_url):
    def number():
        with psycopg.connect(libpq_url(scores_url)) as connection:
            return int(connection.execute("select xact_id::text from identity.edge").fetchone()[0])

    link(post)
    before = number()
    post("v1/revocations", consumer_id="c1", revoked_at=TWO)
    assert number() > before


def test_a_shared_device_shows_both(post, scores_url):
    link(post)
    link(post, consumer="c2", at=TWO)
    assert holders(scores_url, "v1", TWO) == ["c1", "c2"]


def test_a_device_is_no_evidence(post, scores_url):
    assert link(post, evidence="device").status_code == 422
    assert link(post, evidence="same_ip").status_code == 422
    assert link(post, at="2018-02-01T00:00:00Z").status_code == 422
    assert holders(scores_url, "v1", TWO) == []


def test_a_revocation_of_nothing_changes_nothing(post):
    assert post("v9/revocations", consumer_id="c1", revoked_at=NOON).json() == {
        "anonymous_id": "v9",
        "changed": False,
        "edges": [],
    }
