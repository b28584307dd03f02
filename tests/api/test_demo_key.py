"""The key that `make ui` prints: it reads, changes nothing, and ends with the command."""

import psycopg
import pytest

from pipelines.console.demo_key import NAME, SCOPES, DemoKey
from serving.db.urls import libpq_url
from serving.security import Scope


def get(client, key, path="/v1/publications/current"):
    return client.get(path, headers={"X-API-Key": key}).status_code


def test_it_works_while_it_is_open_and_not_afterwards(client, scores_url):
    with DemoKey(scores_url) as key:
        assert get(client, key) == 200
    assert get(client, key) == 401


def test_a_new_start_ends_what_a_killed_one_left(client, scores_url):
    left_behind = DemoKey(scores_url).__enter__()
    assert get(client, left_behind) == 200
    with DemoKey(scores_url) as key:
        assert get(client, left_behind) == 401
        assert get(client, key) == 200
    with psycopg.connect(libpq_url(scores_url)) as connection:
        working = connection.execute(
            "select count(*) from ops.api_key where name = %s and revoked_at is null", (NAME,)
        ).fetchone()
    assert working == (0,)


def test_it_is_a_key_of_the_tenant_whose_home_it_is(scores_url):
    def working():
        with psycopg.connect(libpq_url(scores_url)) as connection:
            return connection.execute(
                "select tenant_id from ops.api_key where name = %s and revoked_at is null order by 1", (NAME,)
            ).fetchall()

    with DemoKey(scores_url, "east"), DemoKey(scores_url):
        assert working() == [("default",), ("east",)]
    assert working() == []


def test_it_reads_only_and_names_nobody():
    assert {scope.split(":")[1] for scope in SCOPES} == {"read"}
    assert Scope.PERSONAL_READ not in SCOPES
    assert {Scope.PRICES, Scope.ORDERS_READ, Scope.LEDGER_READ} <= set(SCOPES)


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/ledger/transactions"])
def test_it_may_not_write(client, scores_url, path):
    with DemoKey(scores_url) as key:
        assert client.post(path, json={}, headers={"X-API-Key": key}).status_code in (403, 405)
