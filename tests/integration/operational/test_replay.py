"""A replay on a small lake: each order once, whatever is killed, and the money of it is sound."""

import datetime as dt

import polars as pl
import psycopg
import pytest
from tiny_world import AS_OF, world

from pipelines.lake.tables import Lake
from pipelines.replay import orders as replay_orders
from pipelines.replay import replay
from pipelines.settlement_day import settle_day
from pipelines.sources.files import Files
from pipelines.sources.loading.ingest import INGEST_ORDER, ingest
from serving.db.operations import Operations
from serving.db.urls import libpq_url
from serving.ledger import invariants

DAYS = 20


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """The tiny world, loaded."""
    import tiny_world

    folder = tmp_path_factory.mktemp("replay")
    for table, rows in world().items():
        (folder / "feeds").mkdir(exist_ok=True)
        tiny_world.write_table(folder / "feeds", table, rows)
    source, made = Files(folder / "feeds", not_after=AS_OF), Lake(folder / "lake")
    made.create()
    for table in INGEST_ORDER:
        ingest(source, table, made, as_of=AS_OF, window=None, loaded_at=AS_OF)
    return made


def run(lake, url, *, as_of=AS_OF, days=DAYS, agents=False):
    return replay(lake, url, tenant_id="default", as_of=as_of, days=days, has_generated_agents=agents)


def books(url):
    """What a replay leaves: orders, legs, entries and movements of stock, in figures."""
    with psycopg.connect(libpq_url(url)) as connection:
        return connection.execute(
            "select (select count(*) from orders.customer_order), (select count(*) from settlement.leg),"
            " (select count(*) from ledger.entry), (select sum(abs(amount)) from ledger.entry),"
            " (select count(*) from orders.stock_movement), (select count(*) from settlement.refund),"
            " (select count(*) from settlement.payout)"
        ).fetchone()


def broken(url):
    with Operations(url, size=1) as operations, operations.transaction("default") as connection:
        return invariants.check(connection, "default")


def test_each_order_is_replayed_once_and_the_books_are_sound(lake, database_url):
    report = run(lake, database_url)
    since = AS_OF - dt.timedelta(days=DAYS)
    wanted = lake.read("orders").filter(pl.col("placed_at") > since)
    assert report.orders == wanted.height > 100
    assert report.released_legs > 0
    assert report.refunds > 0
    assert broken(database_url) == []
    before = books(database_url)
    again = run(lake, database_url)
    assert (again.orders, again.legs, again.refunds, again.released_legs, again.payouts) == (0, 0, 0, 0, 0)
    assert books(database_url) == before


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


def test_a_replay_that_was_killed_goes_on_where_it_was(lake, database_url, other_database_url, monkeypatch):
    monkeypatch.setattr(replay_orders, "_CHUNK", 40)
    accrue, calls = replay_orders.accrue_orders, []

    def dies_at_the_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise Killed
        return accrue(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(replay_orders, "accrue_orders", dies_at_the_third)
        with pytest.raises(Killed):
            run(lake, database_url)
    run(lake, other_database_url)
    assert 0 < books(database_url)[0] < books(other_database_url)[0]
    run(lake, database_url)
    assert books(database_url) == books(other_database_url)
    assert broken(database_url) == []


def test_orders_of_a_closed_month_are_booked_after_it(lake, database_url):
    """A longer window later brings orders of a month that is closed by now."""
    first = run(lake, database_url, days=35)
    assert first.closed_months == ("2025-05",)
    later = run(lake, database_url, days=50)
    assert later.orders > 0
    assert broken(database_url) == []


def test_generated_agents_sell_for_their_merchant(lake, database_url):
    report = run(lake, database_url, agents=True)
    with psycopg.connect(libpq_url(database_url)) as connection:
        (sold,) = connection.execute(
            "select count(*) from orders.customer_order where agent_id is not null"
        ).fetchone()
        kinds = {
            kind for (kind,) in connection.execute("select distinct kind from settlement.leg").fetchall()
        }
    assert report.orders / 2 < sold < report.orders
    assert {"supplier", "direct", "platform", "channel_fee", "fund"} <= kinds
    assert broken(database_url) == []


def test_a_day_of_settlement_is_done_once(lake, database_url, tmp_path):
    run(lake, database_url)
    later = AS_OF + dt.timedelta(days=9)
    day = settle_day(database_url, later, anchors=tmp_path)
    assert day.released_legs > 0
    assert day.violations == ()
    assert (tmp_path / "anchors" / "ledger-chain.jsonl").exists()
    again = settle_day(database_url, later, anchors=tmp_path)
    assert (again.receipts, again.released_legs, again.released_cents) == (0, 0, 0)
    assert (day.expired_orders, again.expired_orders) == (0, 0)


def test_a_home_gives_its_tenant_its_time_zone_until_a_month_is_closed(database_url, tmp_path):
    settle_day(database_url, AS_OF, anchors=tmp_path, time_zone="Asia/Shanghai")
    settle_day(database_url, AS_OF, anchors=tmp_path, time_zone="Europe/Berlin")
    with psycopg.connect(libpq_url(database_url)) as connection:
        zones = connection.execute("select tenant_id, time_zone from ops.tenant_calendar").fetchall()
    assert zones == [("default", "Asia/Shanghai")]
