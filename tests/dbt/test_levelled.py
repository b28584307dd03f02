"""Levels of members in the warehouse: as held, as tags knew them, by month; and what growth reads."""

from __future__ import annotations

import datetime as dt
import shutil

import duckdb
import polars as pl
import pytest
from dbt_runs import Build
from tiny_lake import at

from feature_store.point_in_time import training_set
from feature_store.registry import load_registry
from models.members.growth import ACTED, SPENT
from pipelines.lake.tables import Lake
from pipelines.stores.members import COST_COLUMNS, COSTS
from pipelines.warehouse import grown
from pipelines.warehouse.levelled import put_coupon_costs

NAMES = ["member_level", "growth_value", "is_level_at_risk", "days_as_member", "days_on_level"]
YEAR = (dt.date(2016, 4, 1), dt.date(2017, 3, 31))


def test_a_level_is_held_until_the_next_change(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = warehouse.sql(
        "select level, growth, changed_at, superseded_at from intermediate.int_levels_held order by 3"
    ).fetchall()
    assert rows == [
        ("ordinary", 10, at(1, 2), at(1, 3)),
        ("ordinary", 20, at(1, 3), at(3, 1)),
        # The change of the same moment that another close corrected never held.
        ("gold", 2_500, at(3, 1), None),
    ]


@pytest.mark.parametrize(
    ("moment", "known"),
    [
        (at(1, 1), (None, None, False, None, None)),
        (at(1, 2), ("ordinary", 10, False, 0, 0)),
        (at(2, 28), ("ordinary", 20, False, 57, 57)),
        (at(3, 11), ("gold", 2_500, False, 68, 10)),
    ],
)
def test_tags_know_what_held_then(warehouse, moment, known) -> None:
    asked = pl.DataFrame(
        {"consumer_id": ["c-1"], "as_of": [moment]},
        schema={"consumer_id": pl.String, "as_of": pl.Datetime("us", "UTC")},
    )
    (row,) = training_set(warehouse, asked, NAMES, registry=load_registry()).iter_rows(named=True)
    if moment == at(1, 1):  # nobody has reported a level yet: whatever the null rule says, nothing is known
        assert [row[name] for name in NAMES] == [None] * 5
    else:
        assert tuple(row[name] for name in NAMES) == known


def test_the_mart_has_members_by_month_and_takes_what_coupons_cost(built: Build, tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    costs = [("gold", dt.date(2017, 3, 1), 4, 2, 1_500), ("gold", dt.date(2016, 1, 1), 9, 9, 9)]
    lake.put(COSTS, pl.DataFrame(costs, schema=COST_COLUMNS, orient="row"))
    copy = tmp_path / "analysts.duckdb"
    shutil.copyfile(built.file, copy)
    for _ in range(2):
        assert put_coupon_costs(copy, lake.derived_path(COSTS)) == 1
    with duckdb.connect(str(copy), read_only=True) as connection:
        shown = connection.sql(
            "select level, month_start_on, member_count, entered_count, left_count, coupon_cost_cents"
            " from analyst.mart_member_levels where month_start_on in ('2017-01-01', '2017-03-01')"
            " order by 1, 2"
        ).fetchall()
        gold, silver = (
            connection.sql(f"select sum(order_count) from analyst.mart_member_levels where level = '{level}'")
            for level in ("gold", "silver")
        )
        assert gold.fetchone()[0] > 0
        assert silver.fetchone() == (0,)  # held for no time
    january, march = dt.date(2017, 1, 1), dt.date(2017, 3, 1)
    assert shown == [
        ("gold", january, 0, 0, 0, 0),
        ("gold", march, 1, 1, 0, 1_500),
        ("ordinary", january, 1, 1, 0, 0),
        ("ordinary", march, 0, 0, 1, 0),
        ("silver", january, 0, 0, 0, 0),
        ("silver", march, 0, 1, 1, 0),
    ]


def test_what_growth_reads_is_what_a_loop_over_the_facts_says(warehouse: duckdb.DuckDBPyConnection) -> None:
    sold: dict[str, int] = {}
    back: dict[str, int] = {}
    first: dict[str, tuple[str | None, dt.date, bool]] = {}
    lines = warehouse.sql(
        "select order_id, returned_order_id, consumer_id, placed_on, qty_milli, net_paid_cents"
        " from core.fct_order_lines where is_counted order by consumer_id, placed_on"
    ).fetchall()
    for order, gave_back, consumer, day, qty, cents in lines:
        key = gave_back or order if qty < 0 else order
        sold[key] = sold.get(key, 0) + (cents if qty > 0 else 0)
        back[key] = back.get(key, 0) - (cents if qty <= 0 else 0)
        if key not in first or (qty > 0 and not first[key][2]):
            first[key] = (consumer, day, qty > 0)
    refunded: dict[str, int] = {}
    for order, cents in warehouse.sql(
        "select order_id, refund_cents from core.fct_after_sales where origin = 'observed'"
    ).fetchall():
        refunded[order] = refunded.get(order, 0) + (cents or 0)
    settled = {
        order for (order,) in warehouse.sql("select order_id from core.fct_settlement_legs").fetchall()
    }
    expected: dict[tuple[str, dt.date], int] = {}
    for key, (consumer, day, _) in first.items():
        if consumer is None or key in settled or not YEAR[0] <= day <= YEAR[1]:
            continue
        net = max(sold[key] - max(back[key], refunded.get(key, 0)), 0) if sold[key] else -back[key]
        expected[consumer, day] = expected.get((consumer, day), 0) + net
    spent = grown.spent(warehouse, *YEAR, 0)
    assert dict(spent.schema) == dict(SPENT)
    assert {(consumer, day): cents for consumer, day, cents in spent.iter_rows()} == expected
    assert len(expected) > 50
    assert sum(back.values()) > 0
    assert dict(grown.acted(warehouse, *YEAR, 0).schema) == dict(ACTED)
