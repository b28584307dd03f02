"""What models read from the warehouse: the right rows, in one order whatever the file's."""

import datetime as dt

import duckdb
import pytest

from models.recommendation.config import RecommendationConfig
from pipelines.trainings.recommendation import recommendation
from pipelines.trainings.task import Task
from pipelines.warehouse import reading

T1, T2 = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("set timezone='UTC'; create schema core; create schema intermediate")
        connection.execute(
            """
            create table core.fct_order_lines as
            select * from (values
              ('o2', 1, 'b', 'c1', true, true, timestamptz '2025-02-01 00:00:00+00'),
              ('o1', 2, 'fuel', 'c1', false, true, timestamptz '2025-01-01 00:00:00+00'),
              ('o1', 1, 'a', 'c1', true, true, timestamptz '2025-01-01 00:00:00+00'),
              ('guest', 1, 'a', null, true, true, timestamptz '2025-01-02 00:00:00+00'),
              ('returned', 1, 'a', 'c1', true, false, timestamptz '2025-01-03 00:00:00+00')
            ) as t(order_id, line_no, sku_id, consumer_id, is_merchandise, is_sale, placed_at)
            """
        )
        connection.execute(
            "create table core.dim_products as select *, null as category_l2_id"
            " from (values ('s', true, 'x'), ('a', true, 'x'), ('b', true, 'y'), ('postage', false, 'z'))"
            " as t(sku_id, is_merchandise, category_l3_id)"
        )
        connection.execute(
            "create table core.dim_offers as select *, 9 as stock_qty, true as is_active,"
            " timestamptz '2025-01-01' as valid_from, null as stated_capacity_per_day"
            " from (values ('s1', 's', true),"
            " ('s1', 's', false), ('s1', 'postage', true), ('s1', 'not_in_products', true))"
            " as t(supplier_id, sku_id, is_current)"
        )
        connection.execute(
            "create table intermediate.int_stock_levelled as select * from (values ('s1', 's', 4),"
            " ('s1', 'postage', 1), ('s1', 'not_in_products', 2)) as t(supplier_id, sku_id, on_hand_qty)"
        )
        absent = (
            "merchant_id supplier_id category_l1_id category_l2_id category_l3_id placed_on "
            "week_start_on qty list_price_cents promo_discount_cents coupon_discount_cents net_paid_cents "
            "unit_price_cents is_on_display is_on_mailer"
        )
        for column in absent.split():
            connection.execute(f"alter table core.fct_order_lines add column {column} bigint")
        connection.execute(
            """
            alter table core.fct_order_lines add column is_return boolean;
            alter table core.fct_order_lines add column returned_order_id varchar;
            alter table core.fct_order_lines add column returned_line_no integer;
            alter table core.fct_order_lines add column received_at timestamptz;
            update core.fct_order_lines set is_return = not is_sale, qty = 1, net_paid_cents = 100,
                received_at = placed_at;
            create table core.fct_after_sales (case_id varchar, order_id varchar, line_no integer,
                kind varchar, refund_cents bigint, resolved_at timestamptz, received_at timestamptz,
                origin varchar)
            """
        )
        connection.execute(
            """
            create table core.dim_listings as
            select * from (values
              ('m2', 's', 100, 'auto', true, true, timestamptz '2025-01-01 00:00:00+00'),
              ('m1', 's', 100, 'auto', false, true, timestamptz '2025-01-01 00:00:00+00'),
              ('m1', 't', 100, 'auto', true, false, timestamptz '2025-01-01 00:00:00+00'),
              ('m1', 'postage', 600, 'auto', true, true, timestamptz '2025-01-01 00:00:00+00')
            ) as t(merchant_id, sku_id, list_price_cents, pricing_mode, is_listed, is_current, valid_from)
            """
        )
        connection.execute("create table core.fct_orders as select placed_at from core.fct_order_lines")
        yield connection


def test_sale_lines_come_in_time_order_and_what_is_no_merchandise_stays_out(warehouse):
    lines = reading.order_lines(warehouse)
    assert lines.select("order_id", "line_no").rows() == [("o1", 1), ("guest", 1), ("o2", 1)]
    everything = reading.order_lines(warehouse, merchandise_only=False)
    assert everything.select("order_id", "line_no").rows() == [("o1", 1), ("o1", 2), ("guest", 1), ("o2", 1)]


def test_what_came_back_is_no_sale_line(warehouse):
    back = "update core.fct_order_lines set returned_order_id = 'guest', returned_line_no = 1, qty = -1"
    warehouse.execute(f"begin; {back} where order_id = 'returned'")
    try:
        assert reading.order_lines(warehouse)["order_id"].to_list() == ["o1", "o2"]
        closed = "now(), now(), 'observed'"
        warehouse.execute(f"insert into core.fct_after_sales values ('k', 'o2', 1, 'return', 100, {closed})")
        assert reading.order_lines(warehouse)["order_id"].to_list() == ["o1"]
        warehouse.execute("update core.fct_after_sales set origin = 'overlay'")
        assert reading.order_lines(warehouse)["order_id"].to_list() == ["o1", "o2"]
    finally:
        warehouse.execute("rollback")


def test_guests_stay_out_of_what_is_told_by_consumer(warehouse):
    members = reading.order_lines(warehouse, with_guests=False)
    assert members["order_id"].to_list() == ["o1", "o2"]


def test_services_are_neither_offered_nor_listed_to_the_models(warehouse):
    assert reading.current_offers(warehouse)["sku_id"].to_list() == ["not_in_products", "s"]
    assert "postage" not in reading.current_listings(warehouse)["sku_id"].to_list()


def test_offers_tell_what_is_left_and_not_what_was_stated(warehouse):
    offers = reading.current_offers(warehouse)
    assert offers.select("sku_id", "on_hand_qty", "category_l3_id").rows() == [
        ("not_in_products", 2, None),
        ("s", 4, "x"),
    ]
    assert "stock_qty" not in offers.columns
    assert reading.current_offers(warehouse, skus=["s", "b"])["sku_id"].to_list() == ["s"]


def test_the_pricing_group_is_the_category_and_what_is_in_none(warehouse):
    assert reading.pricing_group(warehouse, ["s", "not_in_products"]) == ["a", "not_in_products", "s"]
    assert reading.pricing_group(warehouse, []) == []


def test_since_is_exclusive(warehouse):
    assert reading.order_lines(warehouse, since=T1)["order_id"].to_list() == ["guest", "o2"]
    assert reading.order_lines(warehouse, since=T2).height == 0


def test_listings_are_the_current_ones_with_or_without_what_was_taken_off(warehouse):
    assert reading.current_listings(warehouse).select("merchant_id", "sku_id").rows() == [("m2", "s")]
    both = reading.current_listings(warehouse, listed_only=False)
    assert both.select("merchant_id", "sku_id", "is_listed").rows() == [("m1", "s", False), ("m2", "s", True)]


def test_the_time_range_of_the_orders(warehouse):
    assert reading.order_time_range(warehouse) == (T1, T2)
    warehouse.execute("delete from core.fct_orders")
    assert reading.order_time_range(warehouse) is None


def test_who_agreed_by_a_moment_is_told_by_what_was_stated_and_received_by_then():
    """`a` agreed on 1 January and took it back on 1 February; of `b` a statement of January came in March."""
    with duckdb.connect() as connection:
        connection.execute("set timezone='UTC'; create schema core")
        connection.execute(
            """
            create table core.fct_consents as select * from (values
              ('a', 'cross_merchant', timestamptz '2025-01-01', true, timestamptz '2025-01-01'),
              ('a', 'cross_merchant', timestamptz '2025-02-01', false, timestamptz '2025-02-01'),
              ('b', 'cross_merchant', timestamptz '2025-01-15', true, timestamptz '2025-03-01'),
              ('c', 'marketing', timestamptz '2025-01-01', true, timestamptz '2025-01-01')
            ) as t(consumer_id, purpose, stated_at, is_granted, received_at)
            """
        )
        march = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
        found = [reading.platform_wide_consumers(connection, at) for at in (T1, T2, march, None)]
    assert found == [["a"], [], ["b"], ["b"]]


@pytest.fixture
def priced(tmp_path):
    """A price of 100 that falls to 60 in February, and one of 90 in January that was told in March."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            """
            set timezone='UTC'; create schema core;
            create table core.dim_products as select *, null as brand_id, null as title,
                null as category_l1_id, null as category_l2_id, null as category_l3_id
            from (values ('a', true), ('fee', false)) as t(sku_id, is_merchandise);
            create table core.dim_listings as select *, valid_from = max(valid_from) over (
                partition by merchant_id, sku_id) as is_current from (values
              ('m1', 'a', 100, true, timestamptz '2025-01-01', timestamptz '2025-01-01'),
              ('m1', 'a', 60, true, timestamptz '2025-02-01', timestamptz '2025-02-01'),
              ('m2', 'a', 90, true, timestamptz '2025-01-15', timestamptz '2025-03-01'),
              ('m3', 'a', 50, true, timestamptz '2025-01-01', timestamptz '2025-01-01'),
              ('m3', 'a', 50, false, timestamptz '2025-01-02', timestamptz '2025-01-02')
            ) as t(merchant_id, sku_id, list_price_cents, is_listed, valid_from, received_at)
            """
        )
    return file


@pytest.mark.parametrize(
    ("at", "cents"),
    [
        (dt.datetime(2024, 12, 31, tzinfo=dt.UTC), None),
        (T1, 50),
        (T2 - dt.timedelta(microseconds=1), 100),
        (T2, 60),
        (None, 60),
    ],
)
def test_a_product_of_a_moment_has_the_price_of_that_moment(priced, at, cents):
    with duckdb.connect(str(priced), read_only=True) as connection:
        connection.execute("set timezone='UTC'")
        found = reading.product_content(connection, at)
    assert found.select("sku_id", "list_price_cents").rows() == [("a", cents)]


def test_lists_are_judged_with_the_prices_of_their_moment(priced, tmp_path, monkeypatch):
    """The lists that are judged begin 14 days before: what fell after that is not told to them."""
    given = []
    monkeypatch.setattr(
        "models.recommendation.training.train", lambda *_, products, **__: given.append(products) or []
    )
    monkeypatch.setattr("models.recommendation.sessions.training.train", lambda *_: None)
    monkeypatch.setattr(reading, "known_lines", lambda *_, **__: None)
    monkeypatch.setattr(reading, "platform_wide_consumers", lambda *_: [])
    horizon = dt.timedelta(days=RecommendationConfig().horizon_days)
    for as_of in (T2 + horizon, T2 + horizon - dt.timedelta(seconds=1)):
        recommendation(Task(priced, as_of, tmp_path, 1, 0, "UTC", "none", {}))
    assert [frame["list_price_cents"].to_list() for frame in given] == [[60], [100]]
