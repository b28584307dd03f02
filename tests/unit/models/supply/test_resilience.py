"""Resilience by hand: shares, the least change, and what the failure of a supplier costs."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from models.supply.resilience.config import ResilienceConfig
from models.supply.resilience.coverage import coverage
from models.supply.resilience.failures import failures
from models.supply.resilience.supply import daily_supply

TEN_DAYS = ResilienceConfig(window_days=10, horizon_days=10)


def sold(*rows):
    """(supplier, sku, units) in the window of ten days, at 5.00 a unit."""
    return pl.DataFrame(
        [(supplier, sku, "tea", float(units), round(units * 500)) for supplier, sku, units in rows],
        schema={
            "supplier_id": pl.String,
            "sku_id": pl.String,
            "category_id": pl.String,
            "units": pl.Float64,
            "net_paid_cents": pl.Int64,
        },
        orient="row",
    )


def offers(*rows):
    """(supplier, sku, price, lead time, stock, capacity a day or None)."""
    return pl.DataFrame(
        [
            (supplier, sku, "tea", price, lead, stock, able)
            for supplier, sku, price, lead, stock, able in rows
        ],
        schema={
            "supplier_id": pl.String,
            "sku_id": pl.String,
            "category_id": pl.String,
            "supply_price_cents": pl.Int64,
            "lead_time_days": pl.Int64,
            "on_hand_qty": pl.Int64,
            "capacity_per_day": pl.Int64,
        },
        orient="row",
    )


def looked_at(sales, offered, config=TEN_DAYS):
    return coverage(daily_supply(sales, offered, config), config)


def proposals_of(found):
    return {
        (sku, supplier): (now, round(proposed, 6))
        for _, sku, supplier, now, proposed in found.proposals.rows()
    }


def test_what_a_supplier_could_ship_a_day_is_its_capacity_or_its_stock_and_what_it_ships_now():
    supply = daily_supply(
        sold(("A", "k", 50), ("B", "k", 20), ("gone", "k", 10)),
        offers(("A", "k", 100, 1, 0, None), ("B", "k", 100, 1, 0, 7), ("C", "k", 100, 1, 40, None)),
        TEN_DAYS,
    )
    able = dict(supply.select("supplier_id", "able_per_day").rows())
    assert able == {"A": 5.0, "B": 7.0, "C": 4.0, "gone": 0.0}
    assert supply["price_cents"].to_list() == [500.0] * 4


def test_a_category_on_one_supplier_is_spread_to_the_cheaper_other():
    # A ships 9 of 10 a day; B could ship 4 more, C 5 more at a higher price. 60% is 6: three units move to B.
    found = looked_at(
        sold(("A", "k", 90), ("B", "k", 10)),
        offers(("A", "k", 100, 1, 0, 9), ("B", "k", 110, 1, 0, 5), ("C", "k", 150, 1, 0, 5)),
    )
    row = found.categories.row(0, named=True)
    assert (row["main_supplier_id"], row["main_share"], row["is_main_too_large"]) == ("A", 0.9, True)
    assert (row["backup_share"], row["is_backup_too_small"]) == (1.0, False)
    assert (row["trial_share"], row["trial_skus"]) == (0.0, "[]")
    assert row["moved_share"] == pytest.approx(0.3)
    assert row["extra_cents_per_day"] == 30
    assert proposals_of(found) == {("k", "A"): (9.0, 6.0), ("k", "B"): (1.0, 4.0)}


def test_the_printed_case_leaves_a_tenth_for_a_trial_of_new_suppliers():
    # A ships all 10; B could ship 3: 60% and 30%, one unit a day is for somebody new.
    found = looked_at(sold(("A", "k", 100)), offers(("A", "k", 100, 1, 0, 9), ("B", "k", 100, 1, 0, 3)))
    row = found.categories.row(0, named=True)
    assert row["backup_share"] == pytest.approx(0.3)
    assert row["is_backup_too_small"] is False
    assert row["trial_share"] == pytest.approx(0.1)
    assert json.loads(row["trial_skus"]) == ["k"]
    assert proposals_of(found) == {("k", "A"): (10.0, 6.0), ("k", "B"): (0.0, 3.0)}
    assert row["extra_cents_per_day"] == -100


@pytest.mark.parametrize(("units", "too_large"), [(60, False), (60.1, True)])
def test_exactly_the_limit_of_the_main_supplier_is_within_it(units, too_large):
    found = looked_at(
        sold(("A", "k", units), ("B", "k", 100 - units)),
        offers(("A", "k", 100, 1, 0, None), ("B", "k", 100, 1, 0, 9)),
    )
    assert found.categories["is_main_too_large"].item() is too_large
    assert found.proposals.is_empty() is not too_large


@pytest.mark.parametrize(("able", "too_small"), [(30, False), (29, True)])
def test_exactly_the_limit_of_the_backups_is_enough(able, too_small):
    found = looked_at(
        sold(("A", "k", 1000)), offers(("A", "k", 100, 1, 0, None), ("B", "k", 100, 1, 0, able))
    )
    assert found.categories["is_backup_too_small"].item() is too_small


def test_what_nobody_offers_any_more_is_named():
    found = looked_at(sold(("A", "k", 50), ("B", "m", 50)), offers(("A", "k", 100, 1, 0, 5)))
    row = found.categories.row(0, named=True)
    assert json.loads(row["trial_skus"]) == ["m"]
    assert row["trial_share"] == pytest.approx(0.5)
    assert proposals_of(found) == {("m", "B"): (5.0, 0.0)}


def test_a_category_without_sales_and_one_without_offers():
    assert looked_at(sold(), offers(("A", "k", 100, 1, 5, None))).categories.is_empty()
    found = looked_at(sold(("A", "k", 0)), offers(("A", "k", 100, 1, 5, None)))
    assert found.categories.is_empty()
    alone = looked_at(sold(("A", "k", 10)), offers())
    assert alone.categories["trial_share"].item() == 1.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.sampled_from("kmn"), st.integers(0, 40), st.integers(0, 6)),
        min_size=1,
        max_size=9,
        unique_by=lambda row: row[:2],
    )
)
def test_the_change_keeps_every_limit_and_supplies_as_much_as_can_be(rows):
    sales = sold(*[(supplier, sku, units) for supplier, sku, units, _ in rows])
    offered = offers(*[(supplier, sku, 100 + able, 1, 0, able) for supplier, sku, _, able in rows])
    supply = daily_supply(sales, offered, TEN_DAYS)
    found = coverage(supply, TEN_DAYS)
    if found.categories.is_empty():
        return
    row = found.categories.row(0, named=True)
    after = (
        supply.join(found.proposals, on=["sku_id", "supplier_id"], how="left")
        .with_columns(now=pl.coalesce("proposed_per_day", "per_day"))
        .filter(pl.col("now") > 0)
    )
    most = 0.6 * row["units_per_day"] + 1e-5
    assert (after["now"] <= after["able_per_day"] + 1e-5).all()
    assert (after.group_by("supplier_id").agg(pl.col("now").sum())["now"] <= most).all()
    supplied = 1 - row["trial_share"]
    assert after["now"].sum() == pytest.approx(supplied * row["units_per_day"], abs=1e-4)
    assert supplied * row["units_per_day"] == pytest.approx(most_supplied(supply), abs=1e-4)


def most_supplied(supply):
    """Largest flow from suppliers over offers to skus, written without the moves."""
    suppliers, skus = sorted(set(supply["supplier_id"])), sorted(set(supply["sku_id"]))
    wanted = {sku: sum(supply.filter(sku_id=sku)["per_day"]) for sku in skus}
    rows, limits = [], []
    for sku in skus:
        rows.append([float(other == sku) for other in supply["sku_id"]])
        limits.append(wanted[sku])
    for supplier in suppliers:
        rows.append([float(other == supplier) for other in supply["supplier_id"]])
        limits.append(0.6 * sum(wanted.values()))
    bounds = [(0, able) for able in supply["able_per_day"]]
    return -linprog(-np.ones(supply.height), A_ub=rows, b_ub=limits, bounds=bounds).fun


def failed(sales, offered, config=TEN_DAYS):
    found = failures(daily_supply(sales, offered, config), config)
    return {row["supplier_id"]: row for row in found.iter_rows(named=True)}


def test_a_failure_by_hand():
    # A ships 6 k a day for ten days: 60. B has 35 and sells 1 a day itself: 25 to spare, at 20 more; C has 20
    # at 40 more and three days later. 15 are lost, at 5.00 each.
    answer = failed(
        sold(("A", "k", 60), ("B", "k", 10)),
        offers(("A", "k", 100, 2, 500, None), ("B", "k", 120, 2, 35, None), ("C", "k", 140, 5, 20, None)),
    )["A"]
    assert (answer["skus"], answer["units"], answer["lost_units"]) == (1, 60.0, 15.0)
    assert answer["lost_sales_cents"] == 7_500
    assert answer["extra_cost_cents"] == 25 * 20 + 20 * 40
    assert answer["extra_days"] == pytest.approx(20 * 3 / 45)
    # Up to day 7: 42 wanted, 28 + 20 there; up to day 8: 48 wanted, 27 + 20 there.
    assert answer["days_until_short"] == 8
    assert json.loads(answer["lost_skus"]) == ["k"]


def test_capacity_helps_after_the_lead_time():
    # B makes 4 a day from day 3 on: (10 - 2) x 4 = 32 of the 40 that A ships within ten days.
    answer = failed(sold(("A", "k", 40)), offers(("A", "k", 100, 0, 0, 9), ("B", "k", 100, 2, 0, 4)))["A"]
    assert answer["lost_units"] == 8.0
    assert answer["days_until_short"] == 1


def test_nothing_is_lost_where_the_others_have_enough_and_a_cheaper_one_saves():
    answer = failed(sold(("A", "k", 40)), offers(("A", "k", 100, 3, 0, 9), ("B", "k", 90, 1, 40, None)))["A"]
    assert (answer["lost_units"], answer["lost_skus"]) == (0.0, "[]")
    assert answer["extra_cost_cents"] == -400
    assert answer["extra_days"] == 0.0
    assert answer["days_until_short"] is None


def test_a_supplier_without_another_loses_everything_and_one_without_sales_is_no_case():
    found = failed(sold(("A", "k", 40)), offers(("A", "k", 100, 1, 0, 9), ("B", "m", 100, 1, 50, None)))
    assert set(found) == {"A"}
    assert (found["A"]["lost_units"], found["A"]["extra_days"], found["A"]["days_until_short"]) == (
        40.0,
        None,
        1,
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"window_days": 0}, "window_days"),
        ({"most_main": 0}, "most_main"),
        ({"least_backup": 1.1}, "least_backup"),
    ],
)
def test_settings_out_of_range_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        ResilienceConfig(**wrong)


@given(st.lists(st.integers(1, 9_999), min_size=1, max_size=40))
@settings(max_examples=50)
def test_a_share_is_a_part_of_a_whole_in_the_last_bit_too(units):
    sales = sold(*(("A", f"k{number}", count / 7) for number, count in enumerate(units)))
    row = looked_at(sales, offers(("A", "k0", 100, 1, 0, 9))).categories.row(0, named=True)
    assert row["main_share"] == pytest.approx(1)
    assert max(row[name] for name in row if name.endswith("_share")) <= 1
