"""Which published prices came into force: recorded with the switch of the readers, and with each delta."""

from datetime import timedelta

import psycopg
import pytest
from published_rows import AS_OF, manifest_of, rows_of

from models.contracts import PUBLISHED_TABLES
from pipelines.sources.recorded.extraction import Extraction
from pipelines.sources.recorded.rows import RecordedRows
from pipelines.sources.recorded.streams import RECORDED
from serving.db.urls import libpq_url
from serving.errors import PublicationRejectedError
from serving.scores.live import Delta, publish_delta
from serving.scores.loader import publish, release, rollback

HOUR = timedelta(hours=1)


def price(sku, cents, action="publish", list_price=1000):
    return ("m1", sku, 1, list_price, cents, 2, 8000, 5, None, -1.0, "auto", action, "{}")


def put(url, version, prices, *, hours=0, **arguments):
    """Publish a version of these prices as of some hours on."""
    rows = rows_of(version) | {"prices": prices}
    manifest = manifest_of(version, rows).model_copy(update={"as_of": AS_OF + hours * HOUR})
    return publish(url, manifest, rows, **arguments)


def refine(url, version, revision, prices, *, hours):
    at = AS_OF + hours * HOUR
    return publish_delta(url, Delta(version, revision, {"15m": at}, prices=prices, prices_as_of=at))


def recorded(url):
    """Every recorded change: sku, hours on, price, version and revision."""
    with psycopg.connect(libpq_url(url)) as connection:
        rows = connection.execute(
            "select sku_id, changed_at, price_cents, version, revision from market.price_change"
            " order by sku_id, changed_at"
        ).fetchall()
    return [(sku, (at - AS_OF) / HOUR, cents, *rest) for sku, at, cents, *rest in rows]


def test_a_publication_records_what_it_publishes_and_nothing_that_waits_or_stands(database_url):
    prices = [price("kept", 1000, "keep"), price("moved", 960), price("waits", 1400, "await_approval")]
    put(database_url, "v1", prices)
    assert recorded(database_url) == [("moved", 0, 960, "v1", 0)]
    assert put(database_url, "v1", prices).already_loaded
    assert recorded(database_url) == [("moved", 0, 960, "v1", 0)]


def test_a_carried_table_changes_no_price_again(database_url):
    put(database_url, "v1", [price("a", 960)])
    rows = rows_of("v2")
    manifest = manifest_of("v2", rows, carried={"prices": "v1"}, counts={"prices": 1})
    manifest = manifest.model_copy(update={"as_of": AS_OF + 5 * HOUR})
    publish(database_url, manifest, {name: rows[name] for name in PUBLISHED_TABLES if name != "prices"})
    assert recorded(database_url) == [("a", 0, 960, "v1", 0)]


def test_a_delta_records_what_it_changes_at_its_own_time(database_url):
    put(database_url, "v1", [price("a", 960), price("b", 1000, "keep")])
    refine(database_url, "v1", 1, [price("a", 960, "keep"), price("b", 950)], hours=3)
    refine(database_url, "v1", 1, [price("b", 900)], hours=4)  # a revision that was there before
    refine(database_url, "v1", 2, [price("b", 1300, "await_approval")], hours=5)
    assert recorded(database_url) == [("a", 0, 960, "v1", 0), ("b", 3, 950, "v1", 1)]


def test_a_delta_that_fails_records_nothing(database_url):
    put(database_url, "v1", [price("a", 960)])
    with pytest.raises(PublicationRejectedError, match="two prices"):
        refine(database_url, "v1", 1, [price("a", 950), price("a", 940)], hours=1)
    assert recorded(database_url) == [("a", 0, 960, "v1", 0)]


def test_the_price_of_before_is_a_change_once_the_merchant_has_moved_the_list_price(database_url):
    put(database_url, "v1", [price("a", 960)])
    put(database_url, "v2", [price("a", 1010, "keep", list_price=1010)], hours=24)
    put(database_url, "v3", [price("a", 960, list_price=1010)], hours=240)
    assert recorded(database_url) == [("a", 0, 960, "v1", 0), ("a", 240, 960, "v3", 0)]


def test_publishing_anew_for_the_same_business_time_replaces_and_takes_back(database_url):
    put(database_url, "v1", [price("a", 960), price("b", 970), price("c", 980)])
    put(database_url, "v2", [price("a", 955), price("b", 1300, "await_approval"), price("c", 980)])
    assert recorded(database_url) == [
        ("a", 0, 955, "v2", 0),
        ("b", 0, 1000, "v2", 0),  # the list price again: the other was in force for no time
        ("c", 0, 980, "v1", 0),
    ]


def test_what_readers_are_held_back_from_is_not_in_force_until_they_are_released(database_url):
    put(database_url, "v1", [price("a", 960)])
    put(database_url, "v2", [price("a", 960, "keep"), price("b", 970)], hours=24)
    rollback(database_url)
    put(database_url, "v3", [price("b", 970, "keep"), price("c", 980)], hours=48)
    refine(database_url, "v3", 1, [price("d", 990)], hours=49)
    assert [row[0] for row in recorded(database_url)] == ["a", "b"]
    assert release(database_url) == "v3"
    assert [(row[0], row[2]) for row in recorded(database_url)] == [
        ("a", 960), ("b", 970), ("c", 980), ("d", 990),
    ]  # fmt: skip


def test_the_application_reads_its_own_tenant_and_writes_none(database_url):
    put(database_url, "v1", [price("a", 960)])
    with psycopg.connect(libpq_url(database_url), autocommit=True) as connection:
        connection.execute("set role muyun_app")
        connection.execute("select set_config('muyun.tenant', 'other', false)")
        assert connection.execute("select count(*) from market.price_change").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("update market.price_change set price_cents = 1")


def test_the_prices_come_back_right_after_their_moment_and_once(database_url, tmp_path):
    extraction = Extraction(tmp_path / "prices", RECORDED["prices"], tenant_id="default")
    put(database_url, "v1", [price("a", 960)])
    assert extraction.extract(libpq_url(database_url)).rows == {"price_changes": 1}
    assert extraction.extract(libpq_url(database_url)).rows == {}
    rows = RecordedRows(extraction)
    # A run of the very moment must not read its own prices: what it publishes again would move them twice.
    assert rows.rows("price_changes", AS_OF).height == 0
    due = rows.next_at("price_changes", AS_OF)
    assert due == AS_OF + timedelta(microseconds=1)
    assert rows.next_at("price_changes", due) is None
    (row,) = rows.rows("price_changes", due).iter_rows(named=True)
    assert (row["merchant_id"], row["sku_id"], row["changed_at"], row["price_cents"]) == (
        "m1", "a", AS_OF, 960,
    )  # fmt: skip
