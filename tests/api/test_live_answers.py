"""What the resources show of a delta: values, revision, and the age of tags by refresh class."""

import time
from datetime import timedelta

import pytest
from litestar.testing import TestClient
from published_scores import AS_OF, SCHEMA, manifest_of, small_tables

from feature_store.online import ProfileReader
from serving.app import create_app
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish
from serving.scores.profile_cache import LEASE_S
from serving.security import Scope, issue_key

NOON = AS_OF + timedelta(hours=30)


@pytest.fixture
def ask(database_url, settings):
    """GET with an operator's key; the clock stands at noon of the next day."""
    tables = small_tables()
    publish(database_url, manifest_of("v1", tables), tables)
    key = issue_key(database_url, name="operator", scopes=list(Scope)).secret
    app = create_app(settings.model_copy(update={"as_of": NOON}), database_url, ProfileReader(SCHEMA))
    with TestClient(app) as client:
        yield lambda path, **query: client.get(path, params=query, headers={"X-API-Key": key}).json()


def instant(moment):
    return moment.isoformat().replace("+00:00", "Z")


def test_a_silent_consumer_is_as_fresh_as_the_tick(ask, database_url):
    assert ask("/v1/consumers/c1/profile")["tags"]["last_search"]["status"] == "expired"
    publish_delta(database_url, Delta("v1", 1, {"15m": NOON}, profiles=[("c2", {"last_search": "tea"})]))
    time.sleep(LEASE_S)
    silent = ask("/v1/consumers/c1/profile")
    assert silent["revision"] == 1
    assert silent["tags"]["last_search"] == {"value": "milk", "status": "present", "refresh": "15m"}
    assert silent["tags"]["order_count_28d"] == {"value": 3, "status": "present", "refresh": "1d"}
    assert {name: age["as_of"] for name, age in silent["classes"].items()} == {
        "15m": instant(NOON),
        "1h": instant(AS_OF - timedelta(hours=2)),
        "1d": instant(AS_OF - timedelta(hours=2)),
    }
    changed = ask("/v1/consumers/c2/profile")
    assert changed["tags"]["last_search"] == {"value": "tea", "status": "present", "refresh": "15m"}
    assert changed["tags"]["order_count_28d"]["status"] == "expired"  # three and a quarter days old


def test_a_profile_of_another_schema_shows_its_changes(ask, database_url):
    publish_delta(database_url, Delta("v1", 1, {"15m": NOON}, profiles=[("c3", {"old_tag": 2})]))
    time.sleep(LEASE_S)
    shown = ask("/v1/consumers/c3/profile")
    assert shown["schema_matches"] is False
    assert shown["tags"]["old_tag"] == {"value": 2, "status": "present", "refresh": None}


def test_prices_name_their_revision_and_moment(ask, database_url):
    before = ask("/v1/prices/m2/s00")
    assert (before["revision"], before["prices_as_of"]) == (0, instant(AS_OF))
    row = ("m2", "s00", 50, 80, 71, 54, 90, 75, None, -0.8, "anchor_index", "publish", "{}")
    publish_delta(database_url, Delta("v1", 5, {}, prices=[row], prices_as_of=NOON))
    after = ask("/v1/prices/m2/s00")
    assert (after["revision"], after["prices_as_of"]) == (5, instant(NOON))
    assert (after["price"]["price_cents"], after["publication_version"]) == (71, "v1")
    page = ask("/v1/prices/m2")
    assert (page["revision"], [price["price_cents"] for price in page["prices"]]) == (5, [71])
    assert ask("/v1/consumers/c1/profile")["revision"] == 0
