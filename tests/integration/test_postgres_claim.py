"""Whose data a database holds, and that one emptied under its address is another database."""

from pathlib import Path

import psycopg
import pytest
from published_rows import manifest_of, rows_of

from pipelines.sources.recorded.extraction import database_identity
from serving.db.claim import AnotherHomeError, claim_database
from serving.db.urls import libpq_url
from serving.errors import DatabaseUnavailableError
from serving.scores.loader import publish


def folder(url):
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute("select folder from ops.home").fetchone()[0]


def test_a_home_finds_its_database_again_also_after_it_was_moved(database_url):
    claim_database(database_url, "one", Path("/srv/one"), is_new_home=True)
    before = database_identity(database_url)
    claim_database(database_url, "one", Path("/srv/moved"))
    assert folder(database_url) == "/srv/moved"
    assert database_identity(database_url) == before


def test_another_home_is_refused_and_changes_nothing(database_url):
    claim_database(database_url, "one", Path("/srv/one"))
    with pytest.raises(AnotherHomeError, match=r"holds the data of the home /srv/one: name an empty one"):
        claim_database(database_url, "two", Path("/srv/two"))
    assert folder(database_url) == "/srv/one"
    claim_database(database_url, "one", Path("/srv/one"))


def test_a_tenant_has_one_home_and_a_home_one_tenant(database_url):
    claim_database(database_url, "one", Path("/srv/one"))
    before = database_identity(database_url, "default")
    assert claim_database(database_url, "two", Path("/srv/two"), tenant_id="second", is_new_home=True)
    with pytest.raises(AnotherHomeError, match="publishes for the tenant default, not for third"):
        claim_database(database_url, "one", Path("/srv/one"), tenant_id="third")
    assert database_identity(database_url, "default") == before != database_identity(database_url, "second")


def test_a_new_home_refuses_data_that_nobody_claimed_and_its_own_home_takes_them(database_url):
    rows = rows_of("v1")
    publish(database_url, manifest_of("v1", rows), rows)
    with pytest.raises(AnotherHomeError, match="an earlier version"):
        claim_database(database_url, "new", Path("/srv/new"), is_new_home=True)
    claim_database(database_url, "old", Path("/srv/old"), is_new_home=False)
    assert folder(database_url) == "/srv/old"


def test_an_emptied_database_is_another_one(database_url):
    claim_database(database_url, "one", Path("/srv/one"))
    before = database_identity(database_url)
    with psycopg.connect(libpq_url(database_url)) as connection:
        connection.execute("truncate ops.home")
    claim_database(database_url, "one", Path("/srv/one"))
    assert database_identity(database_url) != before


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1") as failure:
        claim_database("postgresql://someone:secret@127.0.0.1:1/none", "one", Path("/srv/one"))
    assert "secret" not in str(failure.value)
