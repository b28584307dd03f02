"""Recorded rows stand beside the rows of a source: the same tables, the same rules, the same quarantine."""

import datetime as dt

import polars as pl
import psycopg
import pytest
from test_extraction import NOW, add_event, add_order

from pipelines.intake.feeds import Feeds
from pipelines.lake.tables import Lake
from pipelines.sources.files import Files
from pipelines.sources.recorded.extraction import recorded_feeds
from pipelines.sources.recorded.rows import RecordedRows
from serving.db.urls import libpq_url

TABLES = (
    "suppliers", "categories", "products", "merchants", "consumers", "orders", "order_lines",
    "inventory_movements", "events",
)  # fmt: skip
AS_OF = NOW + dt.timedelta(hours=1)
FEED = {
    "products.csv": "sku_id,title,category_id\nk,Milk,dairy\n",
    "orders.csv": (
        "order_id,consumer_id,merchant_id,channel,placed_at,status,coupon_discount_cents,freight_cents\n"
        "file-1,c-9,m-1,store,2026-02-01T10:00:00Z,completed,0,0\n"
    ),
    "order_lines.csv": (
        "order_id,line_no,sku_id,qty,list_price_cents,promo_discount_cents,net_paid_cents\nfile-1,1,k,1,100,0,100\n"
    ),
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "feeds"
    path.mkdir()
    for name, text in FEED.items():
        (path / name).write_text(text)
    return path


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def load(database_url, folder, lake):
    """Extracts, then loads every table at a business time; returns the reports by table."""

    def run(as_of=AS_OF, window=None):
        extraction = recorded_feeds(lake.root)
        extraction.extract(database_url)
        lake.create()
        feeds = Feeds(
            Files(folder, not_after=as_of),
            lake,
            with_overlay=False,
            seed=1,
            utc_offset_hours=8,
            recorded=RecordedRows(extraction),
        )
        return {table: feeds.load(table, as_of, window) for table in TABLES}

    return run


@pytest.fixture
def writer(database_url):
    with psycopg.connect(libpq_url(database_url)) as connection:
        yield connection


def test_orders_of_the_api_join_those_of_the_folder(load, lake, writer):
    add_order(writer, "api-1", lines=2)
    add_event(writer, "e-1")
    writer.commit()
    reports = load()
    assert sorted(lake.read("orders")["order_id"]) == ["api-1", "file-1"]
    assert lake.read("order_lines").height == 3
    assert "1 rows recorded by the platform" in reports["orders"].notes
    assert (reports["orders"].received, reports["orders"].quarantined, reports["orders"].origin) == (
        2,
        0,
        "observed",
    )
    assert lake.read("events")["event_id"].to_list() == ["e-1"]


def test_a_new_consumer_is_taken_in_without_consent(load, lake, writer):
    add_order(writer, "api-1")
    writer.commit()
    load()
    consumers = {row["consumer_id"]: row for row in lake.read("consumers").iter_rows(named=True)}
    assert set(consumers) == {"c-1", "c-9"}
    assert (consumers["c-1"]["consent_marketing"], consumers["c-1"]["consent_profiling"]) == (False, False)
    assert consumers["c-1"]["registered_at"] == NOW


def test_a_recorded_row_that_breaks_the_contract_is_quarantined(load, lake, writer):
    add_order(writer, "api-1")
    writer.execute("update orders.order_line set sku_id = 'unknown'")
    writer.commit()
    reports = load()
    assert reports["order_lines"].quarantined == 1
    (row,) = lake.read_quarantine("order_lines").iter_rows(named=True)
    assert (row["file"], row["column"]) == ("the operational database", "sku_id")
    assert "not in products" in row["reason"]


def test_a_row_of_a_later_moment_waits_with_all_that_hangs_on_it(load, lake, writer):
    add_order(writer, "early", lines=1)
    add_order(writer, "late", lines=2)
    writer.execute(
        "update orders.customer_order set placed_at = %s where order_id = 'late'",
        (NOW + dt.timedelta(hours=2),),
    )
    writer.commit()
    reports = load()
    assert sorted(lake.read("orders")["order_id"]) == ["early", "file-1"]
    assert [report.quarantined for report in reports.values()] == [0] * len(TABLES)
    load(as_of=NOW + dt.timedelta(hours=3))
    assert sorted(lake.read("orders")["order_id"]) == ["early", "file-1", "late"]
    assert lake.read("order_lines").height == 4


def test_loading_again_or_day_by_day_changes_nothing(load, lake, writer):
    add_order(writer, "api-1", lines=2)
    writer.commit()
    load()
    whole = {table: lake.read(table) for table in TABLES}
    load(window=(NOW.date(), NOW.date()))
    for table, frame in whole.items():
        assert lake.read(table).equals(frame), table


def test_a_changed_order_replaces_its_former_version(load, lake, writer):
    add_order(writer, "api-1")
    writer.commit()
    load()
    writer.execute(
        "update orders.customer_order set status = 'paid', paid_at = %s, xact_id = pg_current_xact_id()",
        (NOW,),
    )
    writer.commit()
    load()
    order = lake.read("orders").filter(pl.col("order_id") == "api-1").row(0, named=True)
    assert (order["status"], order["paid_at"]) == ("paid", NOW)


def test_stock_of_the_api_moves_in_the_warehouse_of_its_supplier(load, lake, writer, folder):
    (folder / "suppliers.csv").write_text(
        "supplier_id,name,channel,region_code,joined_on,is_active\ns-1,S,factory,east,2026-01-01,true\n"
    )
    writer.execute(
        "insert into orders.stock_movement (tenant_id, supplier_id, sku_id, qty_delta, reason, occurred_at)"
        " values ('default', 's-1', 'k', -3, 'sale', %s)",
        (NOW,),
    )
    writer.commit()
    load()
    (movement,) = lake.read("inventory_movements").iter_rows(named=True)
    assert (movement["warehouse_id"], movement["qty_delta"], movement["movement_id"][:3]) == (
        "s-1",
        -3,
        "op-",
    )
