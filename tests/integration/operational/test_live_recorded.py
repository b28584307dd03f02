"""What a tick reads of the operational database: every version once it counts, from a cursor of its own."""

import datetime as dt

import psycopg
import pytest
from test_extraction import add_event, add_order, change_order

from pipelines.live import recorded
from pipelines.sources.contract import SourceError
from pipelines.sources.recorded.extraction import recorded_feeds
from serving.db.urls import libpq_url
from serving.purchasing.answering import Promise, answer_purchase
from serving.purchasing.arrivals import receive_purchase, ship_purchase


@pytest.fixture
def writer(database_url):
    with psycopg.connect(libpq_url(database_url)) as connection:
        yield connection


def test_nothing_recorded_is_nothing_read(database_url):
    first = recorded.read(database_url, 0, tenant_id="default")
    assert first.rows == {}
    assert not first.is_set_back
    assert recorded.read(database_url, first.cursor, tenant_id="default").rows == {}


def test_rows_come_once_and_a_change_brings_its_order_whole(database_url, writer):
    add_order(writer, "o-1", lines=2)
    add_event(writer, "e-1")
    writer.commit()
    first = recorded.read(database_url, 0, tenant_id="default")
    assert {table: frame.height for table, frame in first.rows.items()} == {
        "orders": 1, "order_lines": 2, "events": 1,
    }  # fmt: skip
    assert recorded.read(database_url, first.cursor, tenant_id="default").rows == {}
    change_order(writer, "o-1", "paid")
    writer.commit()
    second = recorded.read(database_url, first.cursor, tenant_id="default")
    assert {table: frame.height for table, frame in second.rows.items()} == {"orders": 1, "order_lines": 2}
    assert second.rows["orders"]["status"].to_list() == ["paid"]


def test_what_commits_late_is_read_late(database_url, writer):
    with psycopg.connect(libpq_url(database_url)) as slow:
        add_order(slow, "began-first")
        add_order(writer, "ended-first")
        writer.commit()
        first = recorded.read(database_url, 0, tenant_id="default")
        assert first.rows["orders"]["order_id"].to_list() == ["ended-first"]
        slow.commit()
    second = recorded.read(database_url, first.cursor, tenant_id="default")
    assert "began-first" in second.rows["orders"]["order_id"].to_list()


def test_the_tick_and_the_nightly_extraction_do_not_take_rows_from_each_other(database_url, writer, tmp_path):
    add_event(writer, "e-1")
    writer.commit()
    nightly = recorded_feeds(tmp_path)
    assert nightly.extract(database_url).rows == {"events": 1}
    assert recorded.read(database_url, 0, tenant_id="default").rows["events"].height == 1
    assert nightly.read("events").equals(recorded.read(database_url, 0, tenant_id="default").rows["events"])


def test_a_database_behind_the_cursor_is_told(database_url):
    assert recorded.read(database_url, 2**40, tenant_id="default").is_set_back


def test_a_database_that_cannot_be_read_is_named():
    with pytest.raises(SourceError, match="cannot be read"):
        recorded.read("postgresql://127.0.0.1:1/none", 0, tenant_id="default")


def test_statements_and_competitor_prices_are_read_as_the_contract_has_them(database_url, writer):
    now = dt.datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=dt.UTC)
    writer.execute(
        "insert into consumers.consent (tenant_id, consumer_id, purpose, granted, stated_at, source,"
        " received_at) values ('default', 'c-1', 'marketing', false, %s, 'app', %s)",
        (now, now),
    )
    writer.execute(
        "insert into market.competitor_price (tenant_id, sku_id, competitor, observed_at, price_cents,"
        " received_at) values ('default', 'k', 'rival', %s, 99, %s)",
        (now, now),
    )
    writer.commit()
    rows = recorded.read(database_url, 0, tenant_id="default").rows
    assert rows["consents"].row(0) == ("c-1", "marketing", now, False, "app", now, "observed")
    assert rows["competitor_prices"].row(0) == ("k", "rival", now, 99, now, "observed")


def test_purchase_orders_are_read_line_by_line_with_what_arrived(database_url, writer):
    day = dt.timedelta(days=1)
    now = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    for name, source in (("po-1", "key"), ("po-past", "feed")):
        writer.execute(
            "insert into purchasing.purchase_order (tenant_id, purchase_order_id, supplier_id, status, cause,"
            " placed_at, expected_on, source) values ('default', %s, 's', 'placed', 'stated', %s, %s, %s)",
            (name, now, (now + 5 * day).date(), source),
        )
        writer.execute(
            "insert into purchasing.purchase_line (tenant_id, purchase_order_id, sku_id, ordered_qty,"
            " supply_price_cents) values ('default', %s, 'a', 9, 100)",
            (name,),
        )
    writer.commit()
    first = recorded.read(database_url, 0, tenant_id="default")
    expected = (
        "po-1",
        "a",
        "s",
        "placed",
        9,
        None,
        0,
        now,
        (now + 5 * day).date(),
        None,
        None,
        now,
        "observed",
    )
    assert first.rows["purchase_lines"].rows() == [expected]
    answer_purchase(writer, "default", "s", "po-1", {"a": Promise(9, (now + 4 * day).date())}, now + day)
    ship_purchase(writer, "default", "s", "po-1", {"a": 9}, now + 2 * day)
    receive_purchase(writer, "default", "po-1", {"a": 4}, now + 3 * day)
    writer.commit()
    (row,) = recorded.read(database_url, first.cursor, tenant_id="default").rows["purchase_lines"].rows()
    assert row == (
        "po-1", "a", "s", "shipped", 9, 9, 4, now, (now + 5 * day).date(), (now + 4 * day).date(),
        now + 3 * day, now + 3 * day, "observed",
    )  # fmt: skip
