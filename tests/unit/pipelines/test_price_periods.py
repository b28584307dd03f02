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
                qty_milli bigint, is_sale boolean, is_merchandise boolean);
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
            insert into core.fct_order_lines values
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
