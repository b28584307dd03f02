"""Units sold, in every sum that models read, are those that were kept: worked out by hand."""

from datetime import UTC, date, datetime

import duckdb
import polars as pl
import pytest

from pipelines.scoring.prices import score_clearance
from pipelines.warehouse import reading

SINCE, UNTIL = datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 31, tzinfo=UTC)


@pytest.fixture
def shop():
    with duckdb.connect() as connection:
        connection.execute(
            """
            set timezone = 'UTC'; create schema core; create schema intermediate;
            create table core.fct_order_lines (order_id varchar, line_no smallint, consumer_id varchar,
                sku_id varchar, placed_at timestamptz, qty double, is_sale boolean, is_return boolean,
                returned_order_id varchar, returned_line_no smallint, merchant_id varchar default 'm',
                supplier_id varchar default 's', is_merchandise boolean default true,
                net_paid_cents bigint default 100, week_start_on date, received_at timestamptz,
                qty_milli bigint);
            create table core.fct_after_sales (case_id varchar, order_id varchar, line_no smallint,
                kind varchar, refund_cents bigint, resolved_at timestamptz, received_at timestamptz,
                origin varchar);
            create table core.dim_products (sku_id varchar, category_l3_id varchar, is_merchandise boolean);
            create table intermediate.int_stock_levelled (supplier_id varchar, sku_id varchar,
                on_hand_qty bigint, supply_price_cents bigint);
            insert into core.dim_products values ('tea', 'drinks', true);
            insert into intermediate.int_stock_levelled values ('s', 'tea', 12, 400);
            insert into core.fct_order_lines by name
            select *, 'tea' as sku_id, qty > 0 as is_sale, qty < 0 as is_return from (values
                ('o1', 1, 'c1', timestamptz '2018-01-03', 5, null, null),
                ('o2', 1, 'c1', timestamptz '2018-01-09', 3, null, null),
                ('o3', 1, null, timestamptz '2018-01-10', 2, null, null),
                ('r1', 1, 'c1', timestamptz '2018-01-11', -2, 'o1', 1),
                ('r2', 1, 'c1', timestamptz '2018-01-12', -3.5, null, null),
                ('r3', 1, null, timestamptz '2018-01-12', -1, null, null)
            ) as t(order_id, line_no, consumer_id, placed_at, qty, returned_order_id, returned_line_no);
            update core.fct_order_lines set received_at = placed_at, qty_milli = qty * 1000,
                week_start_on = date_trunc('week', placed_at);
            """
        )
        yield connection


def close_case(shop, order: str, kind: str, origin: str = "observed") -> None:
    shop.execute(
        "insert into core.fct_after_sales values ('k', ?, 1, ?, 100, '2018-01-20', '2018-01-20', ?)",
        [order, kind, origin],
    )


def sold(shop) -> dict[datetime, int]:
    found = reading.units_sold(shop, since=SINCE, until=UNTIL)
    return {at.date(): qty for _, _, at, qty in found.iter_rows()}


def test_what_came_back_takes_from_its_line_and_else_from_the_newest(shop):
    # o1: 5 - 2 (named) - 0.5 (what o2 could not give); o2: 3 - 3; the return of nobody takes nothing.
    assert sold(shop) == {date(2018, 1, 3): 2500, date(2018, 1, 10): 2000}
    assert reading.units_sold(shop, since=SINCE, until=UNTIL, skus=["mate"]).is_empty()
    assert reading.weekly_units(shop, since=SINCE).rows() == [
        ("tea", date(2018, 1, 1), 2.5),
        ("tea", date(2018, 1, 8), 2.0),
    ]
    stock = reading.stock_movements(shop, since=SINCE, until=UNTIL)
    assert stock.select("on_hand_qty", "sold_qty").rows() == [(12, 4.5)]
    later = reading.stock_movements(shop, since=datetime(2018, 1, 9, 12, tzinfo=UTC), until=UNTIL)
    assert later["sold_qty"].to_list() == [2.0]


def test_a_closed_case_gives_its_line_back_and_a_refund_of_money_no_unit(shop):
    close_case(shop, "o3", "refund")
    assert sold(shop)[date(2018, 1, 10)] == 2000
    close_case(shop, "o3", "return", origin="overlay")
    assert sold(shop)[date(2018, 1, 10)] == 2000
    close_case(shop, "o3", "return")
    assert sold(shop) == {date(2018, 1, 3): 2500}
    assert reading.stock_movements(shop, since=SINCE, until=UNTIL)["sold_qty"].to_list() == [2.5]


def test_no_more_comes_back_than_was_sold(shop):
    shop.execute("update core.fct_order_lines set qty = -9, qty_milli = -9000 where order_id = 'r1'")
    assert sold(shop) == {date(2018, 1, 10): 2000}
    assert reading.weekly_units(shop, since=SINCE)["qty"].to_list() == [2.0]


def test_stock_that_came_back_did_not_turn_over(shop):
    """Of 12 at hand 10 left the shelf in the month, which is enough; 4.5 stayed away, and 2 are too few."""
    shelf = pl.DataFrame({"merchant_id": "m", "sku_id": "tea", "list_price_cents": [600]})
    warned, judged = score_clearance(shop, shelf, UNTIL, None)
    assert (warned.height, judged) == (0, 1)
    shop.execute("delete from core.fct_order_lines where order_id = 'o1'")
    warned, _ = score_clearance(shop, shelf, UNTIL, None)
    assert warned.select("sold_qty", "turnover_rate").rows() == [(2.0, round(2 / 14, 4))]
    shop.execute("delete from core.fct_order_lines where is_return")
    assert score_clearance(shop, shelf, UNTIL, None)[0].is_empty()  # 5 of 17
