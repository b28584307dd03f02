"""When nobody had a sku: by hand, and hour by hour against a plain loop over random stock."""

import datetime as dt
from itertools import pairwise

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.out_of_stock import OUT_OF_STOCK
from pipelines.warehouse import reading

BEGAN = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
HOURS = 24


@pytest.fixture(scope="module")
def warehouse():
    with duckdb.connect() as connection:
        connection.execute(
            """
            set timezone='UTC'; create schema core;
            create table core.dim_products as select * from (values
                ('s', true), ('t', true), ('postage', false)) as t(sku_id, is_merchandise);
            create table core.dim_offers (
                supplier_id text, sku_id text, valid_from timestamptz, stock_qty bigint);
            create table core.fct_inventory_movements (
                supplier_id text, sku_id text, occurred_at timestamptz, qty_delta bigint);
            """
        )
        yield connection


def out(warehouse, stated, moved, since=0, until=HOURS):
    """`stated` and `moved` are (supplier, sku, hour, units); answers (sku, hour, hour)."""
    warehouse.execute("delete from core.dim_offers; delete from core.fct_inventory_movements")
    for supplier, sku, hour, units in stated:
        warehouse.execute(
            "insert into core.dim_offers values (?, ?, ?, ?)", [supplier, sku, BEGAN + hour * HOUR, units]
        )
    for supplier, sku, hour, units in moved:
        warehouse.execute(
            "insert into core.fct_inventory_movements values (?, ?, ?, ?)",
            [supplier, sku, BEGAN + hour * HOUR, units],
        )
    found = reading.out_of_stock(warehouse, since=BEGAN + since * HOUR, until=BEGAN + until * HOUR)
    assert dict(found.schema) == dict(OUT_OF_STOCK)
    return [(sku, int((a - BEGAN) / HOUR), int((b - BEGAN) / HOUR)) for sku, a, b in found.iter_rows()]


def test_sold_to_the_last_and_brought_in_again(warehouse):
    moved = [("S", "s", 3, -5), ("S", "s", 9, 4)]
    assert out(warehouse, [("S", "s", 0, 5)], moved) == [("s", 3, 9)]
    assert out(warehouse, [("S", "s", 0, 5)], moved, since=5, until=7) == [("s", 5, 7)]
    assert out(warehouse, [("S", "s", 0, 6)], moved) == []
    assert out(warehouse, [("S", "postage", 0, 0)], []) == []


def test_a_statement_replaces_what_moved_before_it(warehouse):
    moved = [("S", "s", 3, -5), ("S", "s", 6, -1)]
    # At hour 6 the statement of 1 comes first, then the sale at that very moment.
    assert out(warehouse, [("S", "s", 0, 9), ("S", "s", 6, 1)], moved) == [("s", 6, HOURS)]


def test_one_supplier_with_stock_is_enough_and_one_who_says_nothing_has_some(warehouse):
    empty = [("S", "s", 2, 0), ("R", "s", 0, 3)]
    assert out(warehouse, empty, []) == []
    assert out(warehouse, empty, [("R", "s", 5, -3), ("S", "s", 8, 1)]) == [("s", 5, 8)]
    assert out(warehouse, [*empty, ("Q", "s", 0, None)], [("R", "s", 5, -3)]) == []
    assert out(warehouse, [], [("S", "s", 1, -4)]) == [], "sales alone say nothing of the stock"


events = st.lists(
    st.tuples(st.sampled_from("SR"), st.sampled_from("st"), st.integers(0, HOURS - 1), st.integers(-3, 3)),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("SR"), st.sampled_from("st"), st.integers(0, HOURS - 1), st.integers(0, 3)),
        max_size=6,
        unique_by=lambda one: one[:3],
    ),
    events,
)
def test_equal_to_a_loop_over_hours(warehouse, stated, moved):
    found = out(warehouse, stated, moved)
    hours = {(sku, hour) for sku, begin, end in found for hour in range(begin, end)}
    wanted = set()
    for sku in "st":
        suppliers = {supplier for supplier, of, _, _ in stated if of == sku}
        for hour in range(HOURS):
            levels = []
            for supplier in suppliers:
                said = [one for one in stated if one[:2] == (supplier, sku) and one[2] <= hour]
                if not said:
                    levels.append(1)
                    continue
                newest = max(said, key=lambda one: one[2])
                since = [
                    one[3] for one in moved if one[:2] == (supplier, sku) and newest[2] <= one[2] <= hour
                ]
                levels.append(newest[3] + sum(since))
            if levels and max(levels) <= 0:
                wanted.add((sku, hour))
    assert hours == wanted
    assert all(one[0] != two[0] or one[2] < two[1] for one, two in pairwise(found))
