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
            create table core.fct_order_lines (
                merchant_id text, sku_id text, is_sale boolean, placed_at timestamptz, qty_milli bigint);
            """
        )
        yield connection


def new(warehouse, listings, sold=()):
    for row in listings:
        warehouse.execute("insert into core.dim_listings values (?, ?, ?, ?, ?)", row)
    for row in sold:
        warehouse.execute("insert into core.fct_order_lines values (?, 's', ?, ?, ?)", row)
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
    assert bool(new(warehouse, listing, [("m", True, BEGAN + sold_at, 1000)])) == is_new


def test_units_of_the_first_weeks_and_since(warehouse):
    """The fifteenth day is the third week; others' sales, what came back and what is later is not read."""
    sold = [
        ("m", True, BEGAN + 8 * DAY, 2500),
        ("m", True, BEGAN + 14 * DAY, 4000),
        ("m", True, BEGAN + 31 * DAY, 9000),
        ("m", False, BEGAN + 2 * DAY, 7000),
        ("other", True, BEGAN + 2 * DAY, 7000),
    ]
    found = new(warehouse, [("m", "s", True, True, BEGAN)], sold)
    assert found == [("m", "a", "s", dt.date(2024, 12, 31), 2.5, 6.5)]
