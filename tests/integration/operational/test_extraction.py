"""Rows of the operational database reach the lake once: whoever commits when, whatever is killed where."""

import datetime as dt
import json
import os
import random
import threading

import polars as pl
import psycopg
import pytest

from pipelines.sources.contract import SourceError
from pipelines.sources.recorded import extraction as operational
from pipelines.sources.recorded.extraction import recorded_books, recorded_feeds
from pipelines.sources.recorded.streams import VERSION_COLUMN
from serving.db.urls import libpq_url

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WRITERS, TRANSACTIONS = (8, 400) if os.environ.get("MUYUN_NIGHTLY") else (4, 40)


def add_order(connection, order_id, *, source="api", tenant="default", lines=1):
    connection.execute(
        "insert into orders.customer_order (tenant_id, order_id, merchant_id, consumer_id, channel, source,"
        " status, placed_at, payable_cents) values (%s, %s, 'm-1', 'c-1', 'store', %s, 'placed', %s, %s)",
        (tenant, order_id, source, NOW, 100 * lines),
    )
    for line_no in range(1, lines + 1):
        connection.execute(
            "insert into orders.order_line (tenant_id, order_id, line_no, sku_id, supplier_id, qty,"
            " list_price_cents, net_paid_cents, supply_price_cents)"
            " values (%s, %s, %s, 'k', 's-1', 1, 100, 100, 60)",
            (tenant, order_id, line_no),
        )


def change_order(connection, order_id, status):
    connection.execute(
        "update orders.customer_order set status = %s, xact_id = pg_current_xact_id()"
        " where tenant_id = 'default' and order_id = %s",
        (status, order_id),
    )


def add_event(connection, event_id):
    connection.execute(
        "insert into events.event (tenant_id, event_id, session_id, event_type, occurred_at, received_at,"
        " query) values ('default', %s, 'v', 'search', %s, %s, %s)",
        (event_id, NOW, NOW, 'milk, "whole"\nfresh'),
    )


def add_leg(connection, order_id, cents=100):
    (leg_id,) = connection.execute(
        "insert into settlement.leg (tenant_id, order_id, line_no, supplier_id, kind, scenario, plan_id,"
        " plan_version, payee_type, payee_id, wanted_cents, amount_cents, explanation, state, accrued_at)"
        " values ('default', %s, 1, 's-1', 'supplier', 1, 'cn_strict', 1, 'supplier', 's-1', %s, %s, 'all',"
        " 'pending', %s) returning leg_id",
        (order_id, cents, cents, NOW),
    ).fetchone()
    connection.execute("select set_config('muyun.tenant', 'default', true)")
    connection.execute(
        "select ledger.post('default', %s, '\\x00', 'accrual', %s, %s, array[ledger.open_account('default',"
        " 'channel_frozen', 'platform', ''),"
        " ledger.open_account('default', 'supplier_pending', 'supplier', 's-1')],"
        " array[%s, %s]::bigint[])",
        (f"accrue:{order_id}", order_id, NOW, -cents, cents),
    )
    return leg_id


@pytest.fixture
def writer(database_url):
    with psycopg.connect(libpq_url(database_url)) as connection:
        yield connection


@pytest.fixture
def feeds(tmp_path):
    return recorded_feeds(tmp_path)


def versions(extraction):
    """Every row version in the files that count, by table and key."""
    found = []
    for file in extraction.files():
        key = next(stream.key for stream in extraction.streams if stream.table == file.parent.name)
        frame = pl.read_parquet(file, hive_partitioning=False)
        found += [(file.parent.name, *row) for row in frame.select(*key, VERSION_COLUMN).iter_rows()]
    return found


def test_nothing_recorded_is_nothing_extracted(database_url, feeds):
    assert feeds.extract(database_url).rows == {}
    assert feeds.read("orders").height == 0
    assert feeds.files() == []
    assert feeds.last_time() is None


def test_every_type_of_value_arrives_as_it_was(database_url, feeds, writer):
    add_order(writer, "o-1", lines=2)
    add_event(writer, "e-1")
    writer.commit()
    done = feeds.extract(database_url)
    assert done.rows == {"orders": 1, "order_lines": 2, "events": 1}
    order = feeds.read("orders").row(0, named=True)
    assert (order["placed_at"], order["paid_at"], order["agent_id"], order["origin"]) == (
        NOW,
        None,
        None,
        "observed",
    )
    event = feeds.read("events").row(0, named=True)
    assert (event["query"], event["dwell_ms"], event["propensity"]) == ('milk, "whole"\nfresh', None, None)
    assert feeds.read("order_lines")["line_no"].to_list() == [1, 2]
    assert feeds.last_time() == NOW


def test_replayed_orders_and_other_tenants_are_not_read_back(database_url, feeds, writer):
    add_order(writer, "replayed", source="replay")
    add_order(writer, "elsewhere", tenant="other")
    writer.commit()
    assert feeds.extract(database_url).rows == {}


def test_a_change_supersedes_and_comes_with_its_lines(database_url, feeds, writer):
    add_order(writer, "o-1", lines=3)
    writer.commit()
    feeds.extract(database_url)
    change_order(writer, "o-1", "paid")
    writer.commit()
    assert feeds.extract(database_url).rows == {"orders": 1, "order_lines": 3}
    assert feeds.read("orders")["status"].to_list() == ["paid"]
    assert feeds.read("order_lines").height == 3
    assert feeds.extract(database_url).rows == {}


def test_a_late_commit_is_read_late_and_an_early_one_is_not_read_twice(database_url, feeds, writer):
    with psycopg.connect(libpq_url(database_url)) as slow:
        add_order(slow, "began-first")
        add_order(writer, "ended-first")
        writer.commit()
        first = feeds.extract(database_url)
        assert feeds.read("orders")["order_id"].to_list() == ["ended-first"]
        assert feeds.extract(database_url).rows == {}
        slow.commit()
    assert feeds.extract(database_url).rows == {"orders": 1, "order_lines": 1}
    assert sorted(feeds.read("orders")["order_id"]) == ["began-first", "ended-first"]
    assert first.to_transaction <= feeds.manifest().cursor
    assert len(versions(feeds)) == len(set(versions(feeds)))


def test_the_later_state_wins_though_its_transaction_began_earlier(database_url, feeds, writer):
    add_order(writer, "o-1")
    writer.commit()
    with psycopg.connect(libpq_url(database_url)) as early:
        early.execute("select pg_current_xact_id()")
        change_order(writer, "o-1", "paid")
        writer.commit()
        feeds.extract(database_url)
        change_order(early, "o-1", "shipped")
        early.commit()
    feeds.extract(database_url)
    assert feeds.read("orders")["status"].to_list() == ["shipped"]


def test_a_leg_never_comes_without_its_entries(database_url, tmp_path, writer):
    """What another transaction changed since is seen whole, although it is not settled yet."""
    books = recorded_books(tmp_path)
    with psycopg.connect(libpq_url(database_url)) as slow:
        slow.execute("select pg_current_xact_id()")
        add_order(writer, "o-1")
        add_leg(writer, "o-1")
        writer.commit()
        assert books.extract(database_url).rows == {"settlement_legs": 1, "ledger_entries": 2}
    assert books.extract(database_url).rows == {}
    assert books.read("ledger_entries")["amount"].sum() == 0
    assert books.read("settlement_legs")["payee_id"].to_list() == ["s-1"]
    assert set(books.read("ledger_entries")["party_id"]) == {"s-1", "platform"}


def test_writers_that_commit_out_of_order_lose_and_double_nothing(database_url, feeds):
    stop = threading.Event()

    def write(number):
        draw = random.Random(number)
        with psycopg.connect(libpq_url(database_url)) as connection:
            mine = []
            for step in range(TRANSACTIONS):
                for part in range(draw.randint(1, 3)):
                    order = f"o-{number}-{step}-{part}"
                    add_order(connection, order, lines=draw.randint(1, 3))
                    mine.append(order)
                    add_event(connection, f"e-{order}")
                if draw.random() < 0.6:
                    change_order(connection, draw.choice(mine), draw.choice(("paid", "shipped", "cancelled")))
                if draw.random() < 0.5:
                    stop.wait(draw.random() / 50)
                if draw.random() < 0.15:
                    connection.rollback()
                    mine = [order for order in mine if not order.startswith(f"o-{number}-{step}-")] or [order]
                else:
                    connection.commit()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    extractions = 0
    while any(thread.is_alive() for thread in threads):
        feeds.extract(database_url)
        extractions += 1
    for thread in threads:
        thread.join()
    feeds.extract(database_url)
    assert extractions > 3
    with psycopg.connect(libpq_url(database_url)) as connection:
        for table, columns, query in (
            ("orders", ("order_id", "status"), "select order_id, status from orders.customer_order"),
            ("order_lines", ("order_id", "line_no"), "select order_id, line_no from orders.order_line"),
            ("events", ("event_id",), "select event_id from events.event"),
        ):
            expected = sorted(connection.execute(query).fetchall())
            assert sorted(feeds.read(table).select(columns).iter_rows()) == expected, table
            assert len(expected) > TRANSACTIONS
    found = versions(feeds)
    assert len(found) == len(set(found)), "a row version stands in two batches"
    assert feeds.extract(database_url).rows == {}


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


@pytest.mark.parametrize("dies_at", ["files", "manifest"])
def test_a_kill_between_files_and_cursor_repeats_the_range(database_url, feeds, writer, monkeypatch, dies_at):
    add_order(writer, "o-1")
    writer.commit()
    feeds.extract(database_url)
    add_order(writer, "o-2", lines=2)
    add_event(writer, "e-2")
    writer.commit()

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        if dies_at == "manifest":
            patch.setattr(operational.Extraction, "_write", die)
        else:
            written = operational.atomic_path

            def die_at_the_second(path):
                if path.parent.name == "order_lines":
                    raise Killed
                return written(path)

            patch.setattr(operational, "atomic_path", die_at_the_second)
        with pytest.raises(Killed):
            feeds.extract(database_url)
    assert feeds.read("orders")["order_id"].to_list() == ["o-1"], (
        "what the manifest does not name never happened"
    )
    add_order(writer, "o-3")
    writer.commit()
    assert feeds.extract(database_url).rows == {"orders": 2, "order_lines": 3, "events": 1}
    assert sorted(feeds.read("orders")["order_id"]) == ["o-1", "o-2", "o-3"]
    found = versions(feeds)
    assert len(found) == len(set(found))
    assert len(list(feeds.folder.glob("*/*.parquet"))) == len(feeds.files())


def test_many_batches_become_one_and_keep_the_newest_versions(database_url, feeds, writer, monkeypatch):
    monkeypatch.setattr(operational, "MOST_BATCHES", 3)
    for number in range(5):
        add_order(writer, f"o-{number}")
        if number:
            change_order(writer, "o-0", f"{['paid', 'shipped', 'received', 'completed'][number - 1]}")
        writer.commit()
        feeds.extract(database_url)
    assert len(feeds.manifest().batches) <= 3
    assert feeds.read("orders").sort("order_id").select("order_id", "status").rows()[0] == (
        "o-0",
        "completed",
    )
    assert feeds.read("orders").height == 5
    assert (
        feeds.manifest().rows["orders"]
        == pl.concat(
            [
                pl.read_parquet(file, hive_partitioning=False)
                for file in feeds.files()
                if file.parent.name == "orders"
            ]
        ).height
    )


def test_another_database_starts_over(database_url, other_database_url, feeds, writer):
    add_order(writer, "o-1")
    writer.commit()
    feeds.extract(database_url)
    done = feeds.extract(other_database_url)
    assert done.is_new_start
    assert feeds.read("orders").height == 0
    assert feeds.files() == []
    assert feeds.extract(database_url).rows == {"orders": 1, "order_lines": 1}


def test_rows_restored_from_a_server_further_on_are_read_once(database_url, feeds, writer):
    add_order(writer, "restored")
    writer.execute("update orders.customer_order set xact_id = '900000000000'")
    writer.commit()
    assert feeds.extract(database_url).rows == {"orders": 1, "order_lines": 1}
    assert feeds.extract(database_url).rows == {}
    add_order(writer, "new")
    change_order(writer, "restored", "paid")
    writer.commit()
    assert feeds.extract(database_url).rows == {"orders": 2, "order_lines": 2}
    assert dict(feeds.read("orders").select("order_id", "status").iter_rows()) == {
        "restored": "paid",
        "new": "placed",
    }


def test_news_are_what_an_extraction_would_bring(database_url, feeds, writer):
    assert feeds.has_news(database_url), "nothing was ever extracted"
    feeds.extract(database_url)
    assert not feeds.has_news(database_url)
    add_order(writer, "replayed", source="replay")
    writer.commit()
    assert not feeds.has_news(database_url), "replayed orders are not read back"
    with psycopg.connect(libpq_url(database_url)) as slow:
        slow.execute("select pg_current_xact_id()")
        add_order(writer, "o-1")
        writer.commit()
        assert feeds.has_news(database_url)
        feeds.extract(database_url)
        assert not feeds.has_news(database_url), "known, though another transaction still runs"
        change_order(writer, "o-1", "paid")
        writer.commit()
        assert feeds.has_news(database_url)


def test_a_database_that_was_set_back_is_read_from_its_beginning(database_url, feeds, writer):
    add_order(writer, "o-1")
    writer.commit()
    feeds.extract(database_url)
    manifest = feeds.folder / "manifest.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {"cursor": found["cursor"] + 10**9}))
    assert feeds.has_news(database_url)
    assert feeds.extract(database_url).is_new_start
    assert feeds.read("orders")["order_id"].to_list() == ["o-1"]


def test_a_server_that_does_not_answer_is_one_clear_line(feeds):
    with pytest.raises(SourceError, match="cannot be read"):
        feeds.extract("postgresql://nobody@127.0.0.1:9/none")
