"""What models read from the warehouse: the right rows, in one order whatever the file's."""

import datetime as dt

import duckdb
import pytest

from pipelines import reading

T1, T2 = dt.datetime(2025, 1, 1, tzinfo=dt.UTC), dt.datetime(2025, 2, 1, tzinfo=dt.UTC)


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute("set timezone='UTC'; create schema core; create schema intermediate")
        connection.execute(
            """
            create table core.fct_order_lines as
            select * from (values
              ('o2', 1, 'b', true, timestamptz '2025-02-01 00:00:00+00'),
              ('o1', 2, 'b', false, timestamptz '2025-01-01 00:00:00+00'),
              ('o1', 1, 'a', true, timestamptz '2025-01-01 00:00:00+00')
            ) as t(order_id, line_no, sku_id, is_merchandise, placed_at)
            """
        )
        absent = (
            "consumer_id merchant_id supplier_id category_l1_id category_l2_id category_l3_id placed_on "
            "week_start_on qty list_price_cents promo_discount_cents coupon_discount_cents net_paid_cents "
            "unit_price_cents is_on_display is_on_mailer"
        )
        for column in absent.split():
            connection.execute(f"alter table core.fct_order_lines add column {column} bigint")
        connection.execute(
            """
            create table core.dim_listings as
            select * from (values
              ('m2', 's', 100, 'auto', true, true, timestamptz '2025-01-01 00:00:00+00'),
              ('m1', 's', 100, 'auto', false, true, timestamptz '2025-01-01 00:00:00+00'),
              ('m1', 't', 100, 'auto', true, false, timestamptz '2025-01-01 00:00:00+00')
            ) as t(merchant_id, sku_id, list_price_cents, pricing_mode, is_listed, is_current, valid_from)
            """
        )
        connection.execute("create table core.fct_orders as select placed_at from core.fct_order_lines")
        yield connection


def test_lines_come_in_time_order_and_fuel_and_coupon_lines_stay_out(warehouse):
    lines = reading.order_lines(warehouse)
    assert lines.select("order_id", "line_no").rows() == [("o1", 1), ("o2", 1)]
    everything = reading.order_lines(warehouse, merchandise_only=False)
    assert everything.select("order_id", "line_no").rows() == [("o1", 1), ("o1", 2), ("o2", 1)]


def test_since_is_exclusive(warehouse):
    assert reading.order_lines(warehouse, since=T1)["order_id"].to_list() == ["o2"]
    assert reading.order_lines(warehouse, since=T2).height == 0


def test_listings_are_the_current_ones_with_or_without_what_was_taken_off(warehouse):
    assert reading.current_listings(warehouse).select("merchant_id", "sku_id").rows() == [("m2", "s")]
    both = reading.current_listings(warehouse, listed_only=False)
    assert both.select("merchant_id", "sku_id", "is_listed").rows() == [("m1", "s", False), ("m2", "s", True)]


def test_the_time_range_of_the_orders(warehouse):
    assert reading.order_time_range(warehouse) == (T1, T2)
    warehouse.execute("delete from core.fct_orders")
    assert reading.order_time_range(warehouse) is None
