"""What the grading reads of the tiny warehouse, and the step from the warehouse to the published grades."""

from __future__ import annotations

import datetime as dt
import json
import shutil

import duckdb
import polars as pl
import tiny_lake
from dbt_runs import Build

from models.supply.grading.config import FAULT_REASONS
from pipelines.defs.supply import grade_suppliers
from pipelines.lake.tables import Lake
from pipelines.settings import Settings
from pipelines.stores.grades import GATES, STATES, without_gated
from pipelines.stores.scores import Scores
from pipelines.stores.warehouse import Warehouse
from pipelines.warehouse.graded import put_grades
from pipelines.warehouse.supply import happened, suppliers_and_licences

TODAY = dt.date(2017, 3, 31)
SINCE = tiny_lake.AS_OF - dt.timedelta(days=400)


def read(warehouse: duckdb.DuckDBPyConnection):
    return happened(
        warehouse,
        since=SINCE,
        as_of=tiny_lake.AS_OF,
        today=TODAY,
        fault_reasons=FAULT_REASONS,
        held_skus=["milk-1"],
    )


def test_lines_and_their_faults_are_those_of_the_facts(warehouse: duckdb.DuckDBPyConnection) -> None:
    lines = read(warehouse).lines
    told = warehouse.sql(
        "select count(*) from core.fct_order_lines"
        " where is_sale and is_merchandise and supplier_id is not null"
    ).fetchone()
    assert (lines.height,) == told
    cases = {
        (case["order_id"], case["line_no"])
        for case in tiny_lake.tables()["after_sales"]
        if case["kind"] == "complaint" or case["reason_code"] in FAULT_REASONS
    }
    assert lines["is_fault"].sum() == len(cases) > 0


def test_parcels_count_when_they_came_or_were_due(warehouse: duckdb.DuckDBPyConnection) -> None:
    deliveries = read(warehouse).deliveries.filter(supplier_id="s-1")
    # p-1 in time, p-2 late, p-3 due and not there; all of supplier s-1 and of milk.
    assert deliveries["is_late"].sort().to_list() == [False, True, True]
    assert set(deliveries["category_id"]) == {"l2-grocery/milk"}
    late = deliveries.filter(pl.col("is_late"))["days_late"].sort(nulls_last=True).to_list()
    assert late[0] > 0
    assert late[1] is None


def test_purchase_lines_count_as_they_came_or_were_due(warehouse: duckdb.DuckDBPyConnection) -> None:
    deliveries = read(warehouse).deliveries.filter(supplier_id="s-2").sort("due_at", "days_late")
    assert deliveries.select("is_late", "days_late", pl.col("due_at").dt.day()).rows() == [
        (False, None, 10),
        (True, None, 10),  # closed, and nothing came
        (True, 1.0, 10),
        (True, None, 30),  # half of it is here
        (True, None, 30),  # nobody answered
    ]


def test_answers_to_customers_orders_are_short_or_declined(warehouse: duckdb.DuckDBPyConnection) -> None:
    answered = read(warehouse).purchases.filter(placed_at=tiny_lake.at(3, 2))
    rows = answered.select("supplier_id", "category_id", "is_short", "is_declined").rows()
    # Shipped whole, one of four, none: who ships none is not short besides.
    assert [(supplier, *told) for supplier, _, *told in rows] == [
        ("s-1", False, False),
        ("s-2", None, True),
        ("s-2", True, False),
    ]
    assert dict(answered.select("supplier_id", "category_id").iter_rows())["s-1"] == "l2-grocery/milk"


def test_purchase_lines_are_short_or_declined(warehouse: duckdb.DuckDBPyConnection) -> None:
    bought = read(warehouse).purchases.filter(pl.col("placed_at") < tiny_lake.at(3, 1))
    assert set(bought["supplier_id"]) == {"s-2"}
    # Came short twice and was promised short once; whole once; two are on their way, two bring nothing.
    assert bought["is_short"].sort(nulls_last=True).to_list() == [False, True, True, True, *[None] * 4]
    assert bought["is_declined"].sum() == 2
    assert bought.filter("is_declined")["is_short"].to_list() == [None, None]


def test_a_held_sku_counts_for_whose_buyers_faulted_it(warehouse: duckdb.DuckDBPyConnection) -> None:
    held = read(warehouse).held
    sold = warehouse.sql(
        "select distinct supplier_id, sku_id from core.fct_order_lines"
        " where is_sale and is_merchandise and supplier_id is not null"
    ).pl()
    assert held.height == sold.height
    faulted = {
        lines[0]
        for case in tiny_lake.tables()["after_sales"]
        if case["kind"] == "complaint" or case["reason_code"] in FAULT_REASONS
        for lines in [
            [
                line["sku_id"]
                for line in tiny_lake.tables()["order_lines"]
                if (line["order_id"], line["line_no"]) == (case["order_id"], case["line_no"])
            ]
        ]
    }
    assert held["is_held"].sum() == ("milk-1" in faulted)
    nothing = happened(
        warehouse, since=SINCE, as_of=tiny_lake.AS_OF, today=TODAY, fault_reasons=FAULT_REASONS
    )
    assert nothing.held["is_held"].sum() == 0


def test_offers_and_the_market_are_read_as_they_stand(warehouse: duckdb.DuckDBPyConnection) -> None:
    what = read(warehouse)
    milk = what.offers.filter(sku_id="milk-1").sort("valid_from")
    assert milk.select("supply_price_cents", "is_current").rows() == [(60, False), (70, True)]
    assert what.market.rows() == [("milk-1", 100.0)]  # the median of 110 and 90


def test_the_step_publishes_grades_gates_and_what_tomorrow_needs(built: Build, tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    scores = Scores(lake)
    settings = Settings(home=tmp_path, time_zone="Etc/GMT+5", data=tmp_path)

    def run(as_of: dt.datetime):
        return grade_suppliers(settings, as_of, lake, Warehouse(built.file), scores)

    done = run(tiny_lake.AS_OF)
    grades = scores.get("supplier_grades")
    assert done.rows == grades.height > 0
    assert set(grades["supplier_id"]) == set(scores.get("channel_scores")["supplier_id"])
    assert set(grades["graded_on"]) == {dt.date(2017, 3, 31)}
    (row,) = (
        scores.get("channel_scores")
        .filter(supplier_id="s-1", category_id="l2-grocery/milk")
        .iter_rows(named=True)
    )
    signals = {one["signal"]: one["count"] for one in json.loads(row["explanation"])["signals"]}
    assert signals["late"] == 3
    assert signals["fault"] == row["line_count"]
    # Supplier s-2 states licences of which the business one holds; nobody is gated.
    assert lake.get(GATES).height == 0
    copy = tmp_path / "analysts.duckdb"
    shutil.copyfile(built.file, copy)
    assert put_grades(copy, *scores.files("supplier_grades")) == grades.height
    with duckdb.connect(str(copy), read_only=True) as connection:
        shown = connection.sql(
            "select supplier_id, grade, gate, score, score_low, graded_on from"
            " analyst.mart_supplier_scorecard where grade is not null order by 1"
        ).pl()
    assert shown.equals(grades.select(shown.columns))
    assert set(lake.get(STATES)["graded_on"]) == {dt.date(2017, 3, 31)}
    run(tiny_lake.AS_OF + dt.timedelta(days=1))
    assert set(lake.get(STATES)["graded_on"]) == {dt.date(2017, 3, 31), dt.date(2017, 4, 1)}


def test_offers_of_gated_suppliers_do_not_count_for_reorders(tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    offers = pl.DataFrame({"supplier_id": ["s-1", "s-2"], "sku_id": "milk-1"})
    assert without_gated(offers, lake).equals(offers)
    lake.put(GATES, pl.DataFrame({"supplier_id": ["s-2"], "gate": ["licence_expired"]}))
    assert without_gated(offers, lake)["supplier_id"].to_list() == ["s-1"]


def test_suppliers_and_their_licences_are_read_whole(warehouse: duckdb.DuckDBPyConnection) -> None:
    suppliers, licences = suppliers_and_licences(warehouse)
    assert suppliers.columns == ["supplier_id", "is_active"]
    assert licences.height == len(tiny_lake.tables()["licences"])
    assert licences["is_in_force"].sum() == 5
