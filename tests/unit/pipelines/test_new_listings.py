"""Which listings are new: on sale, begun lately, and nothing of it sold before."""

import datetime as dt

import duckdb
import pytest

from pipelines.warehouse import reading

BEGAN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def warehouse():
    with duckdb.connect() as connection:
        connection.execute(
            """
            set timezone='UTC'; create schema core;
            create table core.dim_products as select * from (values
                ('s', true, 'a'), ('postage', false, 'z')) as t(sku_id, is_merchandise, category_l2_id);
            create table core.dim_listings (
                merchant_id text, sku_id text, is_listed boolean, is_current boolean, valid_from timestamptz);
            create table core.fct_order_lines (order_id text, line_no smallint, consumer_id text,
                merchant_id text, sku_id text, is_sale boolean, is_return boolean, is_merchandise boolean,
                placed_at timestamptz, received_at timestamptz, qty double, qty_milli bigint,
                net_paid_cents bigint, returned_order_id text, returned_line_no smallint);
            create table core.fct_after_sales (case_id text, order_id text, line_no smallint, kind text,
                refund_cents bigint, resolved_at timestamptz, received_at timestamptz, origin text);
            """
        )
        yield connection


def new(warehouse, listings, sold=()):
    """`sold` are (merchant, at, units, order that is returned or None)."""
    for row in listings:
        warehouse.execute("insert into core.dim_listings values (?, ?, ?, ?, ?)", row)
    for number, (merchant, at, units, returned) in enumerate(sold):
        warehouse.execute(
            """
            insert into core.fct_order_lines
            values (?, 1, 'c', ?, 's', ?, ?, true, ?, ?, ?, ?, 100, ?, ?)
            """,
            [
                *(f"o{number}", merchant, units > 0, units < 0, at, at, units, round(units * 1000)),
                *(returned, 1 if returned else None),
            ],
        )
    until = BEGAN + 30 * DAY
    return reading.new_listings(warehouse, since=BEGAN - DAY, until=until, weeks=2, offset_hours=-5).rows()


def test_the_first_version_of_a_listing_tells_when_it_began(warehouse):
    versions = [("m", "s", True, False, BEGAN), ("m", "s", True, True, BEGAN + 9 * DAY)]
    assert new(warehouse, versions) == [("m", "a", "s", dt.date(2024, 12, 31), 0.0, 0.0)]


@pytest.mark.parametrize(("began", "is_new"), [(-1, False), (0, True), (30, True), (31, False)])
def test_it_began_lately(warehouse, began, is_new):
    assert bool(new(warehouse, [("m", "s", True, True, BEGAN + began * DAY)])) == is_new


def test_what_was_taken_off_or_is_no_merchandise_is_not_new(warehouse):
    off = [
        ("m", "s", True, False, BEGAN),
        ("m", "s", False, True, BEGAN + DAY),
        ("m", "postage", True, True, BEGAN),
        ("m", "of no category", True, True, BEGAN),
    ]
    assert new(warehouse, off) == []


@pytest.mark.parametrize(("sold_at", "is_new"), [(-DAY, False), (0 * DAY, True)])
def test_what_sold_before_is_not_new(warehouse, sold_at, is_new):
    listing = [("m", "s", True, True, BEGAN)]
    assert bool(new(warehouse, listing, [("m", BEGAN + sold_at, 1, None)])) == is_new


def test_units_of_the_first_weeks_and_since(warehouse):
    """The fifteenth day is the third week; others' sales, what came back and what is later is not read."""
    sold = [
        ("m", BEGAN + 8 * DAY, 3.5, None),
        ("m", BEGAN + 9 * DAY, -1, "o0"),
        ("m", BEGAN + 14 * DAY, 4, None),
        ("m", BEGAN + 31 * DAY, 9, None),
        ("other", BEGAN + 2 * DAY, 7, None),
    ]
    found = new(warehouse, [("m", "s", True, True, BEGAN)], sold)
    assert found == [("m", "a", "s", dt.date(2024, 12, 31), 2.5, 6.5)]
