"""What sold at which price in which week, read from the facts: worked out by hand."""

from datetime import UTC, date, datetime

import duckdb
import pytest

from pipelines.warehouse.reading import price_periods

SINCE, UNTIL = datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 29, tzinfo=UTC)


@pytest.fixture
def shop():
    with duckdb.connect() as connection:
        connection.execute(
            """
            set timezone = 'UTC'; create schema core;
            create table core.fct_prices_in_force (merchant_id varchar, sku_id varchar,
                valid_from timestamptz, valid_to timestamptz, price_cents bigint, source varchar);
            create table core.fct_order_lines (merchant_id varchar, sku_id varchar, placed_at timestamptz,
                qty_milli bigint, is_sale boolean, is_merchandise boolean, order_id varchar, line_no int,
                consumer_id varchar, qty double, net_paid_cents bigint default 0,
                is_return boolean default false, returned_order_id varchar, returned_line_no int,
                received_at timestamptz);
            create table core.fct_after_sales (case_id varchar, order_id varchar, line_no int, kind varchar,
                refund_cents bigint, resolved_at timestamptz, received_at timestamptz, origin varchar);
            create table core.fct_competitor_prices (sku_id varchar, competitor varchar,
                observed_at timestamptz, price_cents bigint);
            insert into core.fct_prices_in_force values
                ('m', 'a', '2017-06-01', '2017-12-20', 900, 'list'),
                ('m', 'a', '2017-12-20', '2018-01-17 12:00', 1000, 'list'),
                ('m', 'a', '2018-01-17 12:00', '2018-01-24', 1050, 'published'),
                ('m', 'a', '2018-01-24', null, 1000, 'list'),
                ('m', 'never_moved', '2017-06-01', '2018-01-10', 500, 'list'),
                ('m', 'never_moved', '2018-01-10', null, 550, 'list'),
                ('m', 'later', '2017-06-01', '2018-01-29', 500, 'list'),
                ('m', 'later', '2018-01-29', null, 550, 'published');
            insert into core.fct_order_lines
                (merchant_id, sku_id, placed_at, qty_milli, is_sale, is_merchandise) values
                ('m', 'a', '2017-12-31 23:00', 1000, true, true),
                ('m', 'a', '2018-01-02', 2000, true, true),
                ('m', 'a', '2018-01-17 11:59', 3000, true, true),
                ('m', 'a', '2018-01-17 12:00', 4000, true, true),
                ('m', 'a', '2018-01-18', 500, true, true),
                ('m', 'a', '2018-01-18', 9000, false, true),
                ('m', 'a', '2018-01-29', 7000, true, true),
                ('m', 'never_moved', '2018-01-18', 1000, true, true);
            insert into core.fct_competitor_prices values
                ('a', 'r', '2018-01-16', 1100), ('a', 'r', '2018-01-20', 1300), ('a', 'r', '2018-01-29', 1);
            update core.fct_order_lines
                set order_id = strftime(placed_at, '%m-%d %H:%M'), line_no = 1, qty = qty_milli / 1000;
            """
        )
        yield connection


def test_weeks_are_split_where_the_price_moved(shop):
    rows = price_periods(shop, since=SINCE, until=UNTIL).rows()
    assert rows == [
        ("m", "a", date(2018, 1, 1), 1000, 7.0, 2000, None),
        ("m", "a", date(2018, 1, 8), 1000, 7.0, 0, None),
        ("m", "a", date(2018, 1, 15), 1000, 2.5, 3000, 1200.0),
        ("m", "a", date(2018, 1, 15), 1050, 4.5, 4500, 1200.0),
        ("m", "a", date(2018, 1, 22), 1000, 5.0, 0, None),
        ("m", "a", date(2018, 1, 22), 1050, 2.0, 0, None),
    ]


def test_a_listing_counts_from_four_weeks_before_its_first_published_price(shop):
    rows = price_periods(shop, since=datetime(2017, 12, 4, tzinfo=UTC), until=UNTIL).rows()
    # 2018-01-17 12:00 less 28 days is the moment at which the price of 900 had ended for twelve hours.
    assert rows[0][2:6] == (date(2017, 12, 18), 1000, 4.5, 0)
    assert rows[1][2:6] == (date(2017, 12, 25), 1000, 7.0, 1000)
    assert {row[3] for row in rows} == {1000, 1050}


def test_only_some_skus_and_none(shop):
    assert price_periods(shop, since=SINCE, until=UNTIL, skus=["never_moved", "later"]).is_empty()
    assert price_periods(shop, since=SINCE, until=UNTIL, skus=["a"]).height == 6


def give_back(shop, order: str, units: float, when: str) -> None:
    shop.execute(
        "insert into core.fct_order_lines by name select 'm' as merchant_id, 'a' as sku_id,"
        " $at::timestamptz as placed_at, $at::timestamptz as received_at, -1000 * $units as qty_milli,"
        " -$units as qty, false as is_sale, true as is_return, true as is_merchandise,"
        " 'back of ' || $of as order_id, 1 as line_no, $of as returned_order_id, 1 as returned_line_no",
        {"at": when, "units": units, "of": order},
    )


def test_what_came_back_was_not_sold_at_the_price_of_its_line(shop):
    give_back(shop, "01-17 12:00", 1.5, "2018-01-26")
    give_back(shop, "01-02 00:00", 2, "2018-01-27")
    sold = {row[2:4]: row[5] for row in price_periods(shop, since=SINCE, until=UNTIL).rows()}
    assert sold[date(2018, 1, 15), 1050] == 4000 - 1500 + 500
    assert sold[date(2018, 1, 15), 1000] == 3000
    assert sold[date(2018, 1, 1), 1000] == 0
    # The week of the return is left alone: nothing was sold in it, and nothing less.
    assert sold[date(2018, 1, 22), 1000] == 0


def test_what_comes_back_later_counts_in_the_next_week(shop):
    give_back(shop, "01-17 12:00", 1, "2018-01-29")
    assert price_periods(shop, since=SINCE, until=UNTIL)["qty_milli"].sum() == 2000 + 3000 + 4500
    give_back(shop, "01-17 12:00", 1, "2018-01-28 23:59:59")
    assert price_periods(shop, since=SINCE, until=UNTIL)["qty_milli"].sum() == 2000 + 3000 + 3500
