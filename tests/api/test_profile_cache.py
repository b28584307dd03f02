"""Profiles from memory: fast, and never older than what was promised, in every process."""

import json
import time
from datetime import timedelta

import psycopg
import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, TAGS, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.db.urls import libpq_url
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish, rollback
from serving.scores.profile_cache import LEASE_S
from serving.security import Scope, issue_key

LATER = AS_OF + timedelta(minutes=30)


class Process:
    """One API process over the database."""

    def __init__(self, client, key):
        self.client, self.headers = client, {"X-API-Key": key}

    def read(self, consumer_id):
        return self.client.get(f"/v1/profiles/{consumer_id}", headers=self.headers)

    def search(self, consumer_id):
        """Value and status of a tag that needs profiling, and the revision."""
        answer = self.read(consumer_id).json()
        tag = answer["tags"]["last_search"]
        return tag["value"], tag["status"], answer["revision"]

    def post(self, path, body=None):
        answer = self.client.post(path, json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def remember(self, *consumers):
        """Read twice, so that the watch is awake and the answers are kept."""
        for consumer_id in consumers:
            self.read(consumer_id)
        time.sleep(LEASE_S)
        return [self.search(consumer_id) for consumer_id in consumers]


@pytest.fixture
def processes(database_url, settings):
    """Two of them, with everything published just now."""
    tables = small_tables()
    tables["profiles"] = [
        (consumer, json.dumps(TAGS), SCHEMA.fingerprint, AS_OF) for consumer in ("c1", "c2", "c3")
    ]
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    now = settings.model_copy(update={"as_of": AS_OF + timedelta(minutes=30)})
    apps = [create_app(now, database_url, ProfileReader(SCHEMA)) for _ in range(2)]
    with TestClient(apps[0]) as one, TestClient(apps[1]) as other:
        yield Process(one, key), Process(other, key)


def tamper(url):
    """Change a published row, which never happens: whoever still says `milk` did not ask the database."""
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute('update scores.profiles set tags = tags || \'{"last_search": "tampered"}\'')


def consent(granted):
    return {
        "purpose": "profiling",
        "granted": granted,
        "stated_at": (AS_OF + timedelta(minutes=granted)).isoformat(),
        "source": "app",
    }


def test_what_did_not_change_is_answered_from_memory_under_the_new_revision(processes, database_url):
    one, _ = processes
    assert one.remember("c1", "c2") == [("milk", "present", 0)] * 2
    tamper(database_url)
    assert one.search("c1") == ("milk", "present", 0)
    publish_delta(database_url, Delta("v1", 1, {"15m": LATER}, profiles=[("c2", {"last_search": "tea"})]))
    time.sleep(LEASE_S)
    assert one.search("c2") == ("tea", "present", 1)
    assert one.search("c1") == ("milk", "present", 1)
    answer = one.read("c1").json()
    assert answer["classes"]["15m"]["as_of"] == "2017-12-31T04:30:00Z"
    assert answer["classes"]["1d"]["as_of"] == "2017-12-31T04:00:00Z"


def test_from_memory_and_from_the_database_the_answer_is_the_same(processes):
    one, _ = processes
    first = one.read("c1")
    one.remember("c1")
    again = one.read("c1")
    assert again.content == first.content
    assert again.headers["muyun-publication"] == first.headers["muyun-publication"] == "v1"
    assert again.headers["content-type"] == "application/json"


def test_a_consent_and_its_withdrawal_are_seen_by_the_next_read_of_every_process(processes):
    one, other = processes
    one.remember("c1")
    other.remember("c1", "c2")
    for granted, seen in ((False, (None, "withheld", 0)), (True, ("milk", "present", 0))):
        one.post("/v1/consumers/c1/consents", consent(granted))
        assert other.search("c1") == seen
        assert one.search("c1") == seen
        assert other.search("c2") == ("milk", "present", 0)


def test_an_erasure_is_seen_by_the_next_read_of_every_process(processes):
    one, other = processes
    one.remember("c1")
    other.remember("c1")
    one.post("/v1/consumers/c1/erasure")
    assert [other.read("c1").status_code, one.read("c1").status_code] == [404, 404]
    assert other.search("c2") == ("milk", "present", 0)


def test_a_switch_is_seen_within_the_lease(processes, database_url):
    one, _ = processes
    one.remember("c1")
    tables = small_tables("v2")
    publish(database_url, manifest_of("v2", tables), tables)
    time.sleep(LEASE_S)
    assert one.read("c1").json()["publication_version"] == "v2"
    rollback(database_url)
    time.sleep(LEASE_S)
    assert one.read("c1").json()["publication_version"] == "v1"


def test_a_merchant_never_gets_what_was_remembered_for_an_operator(processes, database_url):
    one, _ = processes
    one.remember("c3")
    key = issue_key(database_url, name="m1", scopes=["profiles:read"], merchant_id="m1").secret
    merchant = Process(one.client, key)
    assert merchant.read("c3").status_code == 404
    assert merchant.read("c1").status_code == 200


def test_a_tag_expires_in_memory_too(processes):
    one, _ = processes
    one.remember("c1")
    settings = one.client.app.state.settings
    one.client.app.state.settings = settings.model_copy(update={"as_of": AS_OF + timedelta(hours=2)})
    assert one.search("c1") == (None, "expired", 0)
    tags = one.read("c1").json()["tags"]
    assert tags["order_count_28d"]["status"] == "present"


def test_memory_has_a_bound(database_url, settings):
    tables = small_tables()
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    app = create_app(settings, database_url, ProfileReader(SCHEMA))
    with TestClient(app) as client:
        process = Process(client, key)
        memory = app.state.profile_caches.memory
        memory.most_bytes = 1_000  # room for one entry
        process.remember("c1", "c2")
        assert [key[0] for _, key in memory.entries] == ["c2"]
        assert 0 < memory.bytes <= 1_000
