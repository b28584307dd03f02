"""What the warehouse says about the tiny lake, against values worked out by hand and plain Python loops."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import tiny_lake
from dbt_runs import Build

from models.pricing.config import PricingConfig
from models.supply.resilience.config import ResilienceConfig
from models.supply.resilience.coverage import coverage
from models.supply.resilience.failures import failures
from models.supply.resilience.supply import daily_supply
from pipelines.scoring.prices import read_market, score_clearance, score_prices
from pipelines.warehouse import reading

Row = dict[str, Any]
LEVEL_2 = {
    "milk-1": "l2-grocery/milk",
    "milk-2": "l2-grocery/milk",
    "bread-1": "l2-grocery/bread",
    "fuel-1": "l2-fuel/fuel",
    "flyer-1": "l2-coupon/paper",
    "apples-kg": "l1-grocery",
    "postage": "l2-grocery/bread",
}
KIND = {"fuel-1": "fuel", "flyer-1": "coupon", "postage": "service"}
MAKERS = tiny_lake.SKUS | tiny_lake.ODD_SKUS
TODAY = dt.date(2017, 3, 31)


def fetch(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    result = connection.sql(sql)
    return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]


def only(connection: duckdb.DuckDBPyConnection, sql: str) -> Row:
    rows = fetch(connection, sql)
    assert len(rows) == 1
    return rows[0]


def local_day(time: dt.datetime) -> dt.date:
    return (time + dt.timedelta(hours=tiny_lake.UTC_OFFSET_HOURS)).date()


def monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())


def expected_lines() -> list[Row]:
    """Every order line as the warehouse should show it, worked out line by line."""
    rows = tiny_lake.tables()
    orders = {order["order_id"]: order for order in rows["orders"]}
    answer = []
    for line in rows["order_lines"]:
        order, sku = orders[line["order_id"]], line["sku_id"]
        placed, supplier = order["placed_at"], line.get("supplier_id") or MAKERS[sku]
        started = [
            offer
            for offer in rows["offers"]
            if (offer["supplier_id"], offer["sku_id"]) == (supplier, sku) and offer["valid_from"] <= placed
        ]
        cost = line.get("supply_price_cents")
        if cost is None and started:
            price = max(started, key=lambda offer: offer["valid_from"])["supply_price_cents"]
            cost = round(line["qty_milli"] * price / 1000)
        week = monday(local_day(placed))
        placements = [
            promotion["kind"]
            for promotion in rows["promotions"]
            if promotion["sku_id"] == sku
            and promotion["merchant_id"] in (None, order["merchant_id"])
            and local_day(promotion["starts_at"]) < week + dt.timedelta(days=7)
            and local_day(promotion["ends_at"] - dt.timedelta(seconds=1)) >= week
        ]
        answer.append(
            line
            | {
                "consumer_id": order["consumer_id"],
                "merchant_id": order["merchant_id"],
                "supplier_id": supplier,
                "category_l2_id": LEVEL_2[sku],
                "qty": line["qty_milli"] / 1000,
                "is_sale": order["state"] == "paid" and line["qty_milli"] > 0,
                "is_return": order["state"] == "paid" and line["qty_milli"] < 0,
                "placed_on": local_day(placed),
                "week_start_on": week,
                "coupon_discount_cents": line["list_price_cents"]
                - line["promo_discount_cents"]
                - line["net_paid_cents"],
                "supply_cost_cents": cost,
                "line_kind": KIND.get(sku, "merchandise"),
                "is_merchandise": sku not in KIND,
                "is_on_display": "display" in placements,
                "is_on_mailer": "mailer" in placements,
            }
        )
    return answer


LINES = expected_lines()
COUNTED = [line for line in LINES if line["is_sale"] or line["is_return"]]
SALES = [line for line in LINES if line["is_sale"]]


def test_every_line_is_as_worked_out(warehouse: duckdb.DuckDBPyConnection) -> None:
    columns = [
        "order_id",
        "line_no",
        "consumer_id",
        "merchant_id",
        "sku_id",
        "supplier_id",
        "category_l2_id",
        "placed_on",
        "week_start_on",
        "qty",
        "list_price_cents",
        "promo_discount_cents",
        "coupon_discount_cents",
        "net_paid_cents",
        "supply_cost_cents",
        "line_kind",
        "is_merchandise",
        "is_sale",
        "is_return",
        "is_on_display",
        "is_on_mailer",
    ]
    found = warehouse.sql(f"select {', '.join(columns)} from core.fct_order_lines").fetchall()
    assert len(found) > 250
    assert sorted(found, key=repr) == sorted((tuple(line[c] for c in columns) for line in LINES), key=repr)


def test_the_local_day_turns_between_two_seconds(warehouse: duckdb.DuckDBPyConnection) -> None:
    before = only(warehouse, "select * from core.fct_order_lines where order_id = 'o-day-1' and line_no = 1")
    after = only(warehouse, "select * from core.fct_order_lines where order_id = 'o-day-2' and line_no = 1")
    assert (before["placed_on"], before["week_start_on"]) == (dt.date(2017, 1, 1), dt.date(2016, 12, 26))
    assert (after["placed_on"], after["week_start_on"]) == (dt.date(2017, 1, 2), dt.date(2017, 1, 2))
    assert (before["is_on_display"], after["is_on_display"], after["is_on_mailer"]) == (False, True, True)
    assert (before["coupon_discount_cents"], before["net_paid_cents"], before["unit_price_cents"]) == (
        50,
        150,
        75.0,
    )
    assert (before["supply_cost_cents"], before["margin_cents"], before["supply_cost_origin"]) == (
        120,
        30,
        "overlay",
    )


def test_a_cost_booked_on_the_line_is_observed(warehouse: duckdb.DuckDBPyConnection) -> None:
    line = only(warehouse, "select * from core.fct_order_lines where order_id = 'o-march'")
    assert (line["supply_cost_cents"], line["margin_cents"], line["supply_cost_origin"]) == (
        66,
        59,
        "observed",
    )


def test_order_money_is_the_sum_of_its_lines(warehouse: duckdb.DuckDBPyConnection) -> None:
    order = only(warehouse, "select * from core.fct_orders where order_id = 'o-day-1'")
    assert order["line_count"] == 2
    assert order["units"] == 2
    assert order["list_price_cents"] == 8240
    assert order["net_paid_cents"] == 8150
    assert (order["coupon_discount_cents"], order["freight_cents"], order["has_coupon"]) == (50, 600, True)
    total = only(warehouse, "select sum(net_paid_cents) as net, count(*) as orders from core.fct_orders")
    assert total == {"net": sum(line["net_paid_cents"] for line in LINES), "orders": 132}
    sales = only(
        warehouse,
        "select sum(net_sales_cents) as net, sum(returned_cents) as returned,"
        " count(*) filter (is_sale) as orders, count(*) filter (is_guest) as guests,"
        " count(*) filter (not is_counted) as left_out from core.fct_orders",
    )
    assert sales == {
        "net": sum(line["net_paid_cents"] for line in COUNTED),
        "returned": 240 + 199,
        "orders": 128,
        "guests": 1,
        "left_out": 3,
    }


def test_daily_sales_equal_the_loop(warehouse: duckdb.DuckDBPyConnection) -> None:
    cells: dict[tuple[str, str, dt.date], Row] = defaultdict(
        lambda: {"orders": 0, "units": 0, "net": 0, "costed": 0, "cost": None}
    )
    first: dict[str, int] = {}
    for line in SALES:
        first[line["order_id"]] = min(line["line_no"], first.get(line["order_id"], line["line_no"]))
    for line in COUNTED:
        cell = cells[line["merchant_id"], line["category_l2_id"], line["placed_on"]]
        cell["orders"] += first.get(line["order_id"]) == line["line_no"]
        cell["units"] += line["qty_milli"] if line["is_merchandise"] else 0
        cell["net"] += line["net_paid_cents"]
        if line["supply_cost_cents"] is not None:
            cell["costed"] += line["net_paid_cents"]
            cell["cost"] = (cell["cost"] or 0) + line["supply_cost_cents"]
    expected = {
        key: (c["orders"], c["units"] / 1000, c["net"], c["costed"], c["cost"]) for key, c in cells.items()
    }
    found = warehouse.sql(
        "select merchant_id, category_l2_id, placed_on, orders, units, net_paid_cents, "
        "costed_net_paid_cents, supply_cost_cents from analyst.mart_sales_daily"
    ).fetchall()
    assert {row[:3]: row[3:] for row in found} == expected
    (orders,) = warehouse.sql("select sum(orders) from analyst.mart_sales_daily").fetchone() or (None,)
    assert orders == len(first) == 128


def test_weekly_placements_count_skus_once(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = warehouse.sql(
        "select category_l2_id, merchant_id, week_start_on::varchar, display_sku_count, mailer_sku_count "
        "from intermediate.int_promotions_weekly_category order by all"
    ).fetchall()
    assert found == [
        ("l2-grocery/bread", "m-1", "2017-01-02", 0, 1),
        ("l2-grocery/bread", "m-2", "2017-01-02", 0, 1),
        ("l2-grocery/milk", "m-1", "2017-01-02", 1, 1),
        ("l2-grocery/milk", "m-1", "2017-01-30", 1, 0),
        ("l2-grocery/milk", "m-1", "2017-02-06", 1, 0),
        ("l2-grocery/milk", "m-1", "2017-02-13", 1, 0),
        ("l2-grocery/milk", "m-1", "2017-02-20", 1, 0),
    ]


def test_sku_weeks_hold_merchandise_only(warehouse: duckdb.DuckDBPyConnection) -> None:
    expected: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for line in SALES:
        if line["is_merchandise"]:
            key = tuple(
                line[c] for c in ("sku_id", "merchant_id", "week_start_on", "is_on_display", "is_on_mailer")
            )
            expected[key][0] += line["qty_milli"]
            expected[key][1] += line["net_paid_cents"]
    found = warehouse.sql(
        "select sku_id, merchant_id, week_start_on, is_on_display, is_on_mailer, qty * 1000, net_paid_cents "
        "from intermediate.int_sku_week"
    ).fetchall()
    assert {row[:5]: list(row[5:]) for row in found} == expected


def test_parcels_are_late_after_the_promise(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = {row["shipment_id"]: row for row in fetch(warehouse, "select * from core.fct_shipments")}
    assert {name: row["is_late"] for name, row in found.items()} == {"p-1": False, "p-2": True, "p-3": True}
    assert found["p-2"]["delivery_days"] == pytest.approx(4 + 7 / 24)
    assert found["p-3"]["delivery_days"] is None
    card = only(warehouse, "select * from analyst.mart_supplier_scorecard where supplier_id = 's-1'")
    assert (card["shipment_count"], card["delivered_count"], card["late_count"]) == (3, 2, 2)
    assert card["late_rate"] == pytest.approx(2 / 3)
    assert (card["after_sale_count"], card["refund_count"], card["refund_cents"]) == (2, 1, 100)
    assert (card["delivery_origin"], card["stock_origin"]) == ("overlay", "overlay")
    bakery = only(warehouse, "select * from analyst.mart_supplier_scorecard where supplier_id = 's-2'")
    assert (bakery["offered_sku_count"], bakery["stock_out_sku_count"], bakery["stock_out_rate"]) == (
        1,
        1,
        1.0,
    )
    assert (bakery["shipment_count"], bakery["late_rate"]) == (0, None)
    sleeping = only(warehouse, "select * from analyst.mart_supplier_scorecard where supplier_id = 's-3'")
    assert (sleeping["net_paid_cents"], sleeping["after_sale_rate"]) == (0, None)


def test_stock_position_follows_the_statement_and_the_window(warehouse: duckdb.DuckDBPyConnection) -> None:
    position = only(warehouse, "select * from analyst.mart_stock_position where sku_id = 'milk-1'")
    window = [
        line["qty"]
        for line in COUNTED
        if line["sku_id"] == "milk-1" and TODAY - dt.timedelta(days=28) < line["placed_on"] <= TODAY
    ]
    assert (position["stated_qty"], position["moved_qty"], position["on_hand_qty"]) == (120, -20, 100)
    assert position["qty_28d"] == sum(window) > 0
    assert position["cover_days"] == pytest.approx(100 / (sum(window) / 28))
    assert position["stock_value_cents"] == 7000
    flags = warehouse.sql(
        "select sku_id, is_low_turnover, is_stock_out from analyst.mart_stock_position"
    ).fetchall()
    assert {sku: rest for sku, *rest in flags} == {
        "milk-1": [position["turnover_30d_rate"] < 0.15, False],
        "milk-2": [True, False],
        "bread-1": [False, True],
    }


def test_slow_stock_is_warned_about_as_the_mart_says(warehouse: duckdb.DuckDBPyConnection) -> None:
    market = read_market(warehouse, tiny_lake.AS_OF, PricingConfig().policy)
    warned, stocked = score_clearance(warehouse, market.listings, tiny_lake.AS_OF, None)
    said = warehouse.sql(
        "select supplier_id, sku_id from analyst.mart_stock_position where is_low_turnover order by all"
    ).fetchall()
    assert warned.select("supplier_id", "sku_id").rows() == said
    assert len(said) == 1
    assert stocked == 2
    assert warned["days_to_clear_now"].to_list() == [380.3]  # 72 sold in 30 days, one came back, 900 at hand


def test_prices_are_made_from_what_is_left(warehouse: duckdb.DuckDBPyConnection) -> None:
    offers = {row["sku_id"]: row for row in reading.current_offers(warehouse).iter_rows(named=True)}
    assert {sku: row["on_hand_qty"] for sku, row in offers.items()} == {
        "milk-1": 100,  # stated 120, of which 20 net went out
        "milk-2": 900,
        "bread-1": 0,
    }
    prices = score_prices(warehouse, tiny_lake.AS_OF, None, ["milk-1"])
    # Cost 70 plus 35% is 94 (rounded); at most 5% below the list price of 125 is 119, with an allowed ending.
    assert prices.select("merchant_id", "cost_cents", "anchor_cents", "price_cents").rows() == [
        ("m-1", 70, 94, 119)
    ]
    assert prices.equals(
        score_prices(warehouse, tiny_lake.AS_OF, None, None).filter(pl.col("sku_id") == "milk-1")
    )


def test_versions_end_where_the_next_starts(warehouse: duckdb.DuckDBPyConnection) -> None:
    offers = fetch(warehouse, "select * from core.dim_offers where sku_id = 'milk-1' order by valid_from")
    assert [offer["is_current"] for offer in offers] == [False, True]
    assert [offer["valid_to"] for offer in offers] == [tiny_lake.at(3, 1, 0), None]
    listing = only(
        warehouse,
        "select * from core.dim_listings where merchant_id = 'm-1' and sku_id = 'milk-1' and is_current",
    )
    sold = [line["placed_on"] for line in SALES if (line["merchant_id"], line["sku_id"]) == ("m-1", "milk-1")]
    assert (listing["list_price_cents"], listing["last_sold_on"]) == (125, max(sold))


def test_the_price_in_force_is_the_newer_of_list_and_published_price(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    at = tiny_lake.at
    spans = [
        ("m-1", "milk-1", at(1, 1), at(1, 20), 120, "list"),
        ("m-1", "milk-1", at(1, 20), at(2, 1), 114, "published"),
        ("m-1", "milk-1", at(2, 1), at(3, 1), 125, "list"),  # the merchant's own change beats the older one
        ("m-1", "milk-1", at(3, 1), at(3, 20), 131, "published"),
        ("m-1", "milk-1", at(3, 20), None, 125, "published"),
        ("m-2", "bread-1", at(1, 1), None, 82, "published"),  # of one moment, the published price
    ]
    assert (
        warehouse.sql(
            "select merchant_id, sku_id, valid_from, valid_to, price_cents, source"
            " from core.fct_prices_in_force order by merchant_id, sku_id, valid_from"
        ).fetchall()
        == spans
    )

    def read(as_of: dt.datetime) -> tuple[Any, ...]:
        (row,) = (
            reading.listings_in_force(warehouse, as_of=as_of, skus=["milk-1"])
            .select("current_price_cents", "week_low_price_cents", "week_high_price_cents", "valid_from")
            .rows()
        )
        return row

    assert read(at(3, 1)) == (131, 125, 131, at(3, 1))
    assert read(at(3, 27) - dt.timedelta(microseconds=1)) == (125, 125, 131, at(3, 20))
    assert read(at(3, 27)) == (125, 125, 125, at(3, 20))  # what ended seven days ago is not of the week


def test_funnel_follows_visits_to_orders(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = fetch(warehouse, "select * from analyst.mart_channel_funnel where sessions > 0 order by date_on")
    anonymous, known = rows
    assert (anonymous["date_on"], anonymous["channel"]) == (dt.date(2017, 3, 29), "unknown")
    assert (anonymous["viewers"], anonymous["carts"], anonymous["conversion_rate"]) == (1, 0, 0.0)
    assert (known["date_on"], known["channel"], known["sessions"]) == (dt.date(2017, 3, 30), "store", 2)
    assert (known["carts"], known["checkouts"], known["converted_sessions"]) == (1, 1, 2)
    assert known["overlay_sessions"] == 2


def test_consumers_without_orders_are_kept(warehouse: duckdb.DuckDBPyConnection) -> None:
    silent = only(warehouse, "select * from analyst.mart_consumer_360 where consumer_id = 'c-silent'")
    assert (silent["order_count"], silent["net_paid_cents"], silent["recency_days"]) == (0, 0, None)
    first = only(warehouse, "select * from analyst.mart_consumer_360 where consumer_id = 'c-1'")
    mine = [line for line in COUNTED if line["consumer_id"] == "c-1"]
    assert first["net_paid_cents"] == sum(line["net_paid_cents"] for line in mine)
    assert first["recency_days"] == (TODAY - max(line["placed_on"] for line in mine)).days
    assert (first["after_sale_count"], first["session_28d_count"], first["session_origin"]) == (
        1,
        1,
        "overlay",
    )


def test_promotion_effect_equals_the_loop(warehouse: duckdb.DuckDBPyConnection) -> None:
    weeks: dict[tuple[str, str, str], dict[dt.date, float]] = defaultdict(lambda: defaultdict(float))
    for line in SALES:
        if line["is_merchandise"]:
            shown = [name for name in ("display", "mailer") if line[f"is_on_{name}"]]
            placement = "_and_".join(shown) or "none"
            weeks[line["sku_id"], line["merchant_id"], placement][line["week_start_on"]] += line["qty"]
    expected: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
    for (sku, merchant, placement), quantities in weeks.items():
        quiet = weeks.get((sku, merchant, "none"))
        if placement != "none" and quiet:
            expected[sku, placement][0] += sum(quantities.values())
            expected[sku, placement][1] += round(len(quantities) * sum(quiet.values()) / len(quiet), 3)
    found = warehouse.sql(
        "select sku_id, placement, promoted_qty, baseline_qty from analyst.mart_promotion_effect"
    ).fetchall()
    assert len(found) >= 2
    assert {row[:2]: list(row[2:]) for row in found} == {k: pytest.approx(v) for k, v in expected.items()}


def test_times_stay_utc_and_money_stays_whole(warehouse: duckdb.DuckDBPyConnection) -> None:
    columns = warehouse.sql(
        "select column_name, data_type from duckdb_columns() where schema_name in ('core', 'analyst')"
    ).fetchall()
    assert {kind for name, kind in columns if name.endswith("_at")} == {"TIMESTAMP WITH TIME ZONE"}
    assert {kind for name, kind in columns if name.endswith("_on") and not name.startswith("is_")} == {"DATE"}
    means = {"unit_price_cents", "mean_order_cents", "baseline_net_paid_cents"}
    assert {kind for name, kind in columns if name.endswith("_cents") and name not in means} == {"BIGINT"}


def test_dbt_ran_its_own_tests(built: Build) -> None:
    assert " unit tests" in built.output
    assert "WARN=0 ERROR=0 SKIP=0" in built.output


def test_what_steps_read_is_read_from_a_file_of_another_name(built: Build, tmp_path: Path) -> None:
    """A view names its tables as they stand in the file that is handed on, not as in the build."""
    copy = tmp_path / "handed_on.duckdb"
    shutil.copyfile(built.file, copy)
    with duckdb.connect(str(copy), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        assert reading.units_supplied(connection).height > 0
        assert reading.known_lines(connection).height > 0


def test_a_licence_holds_for_who_stated_its_number_first(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = fetch(warehouse, "select licence_id, is_contested, is_in_force from core.dim_licences")
    told = {row["licence_id"]: (row["is_contested"], row["is_in_force"]) for row in rows}
    assert told == {
        "alone": (False, True),
        "renewed": (False, True),
        "first": (False, True),
        "copied": (True, False),
        "same-moment-1": (True, False),
        "same-moment-2": (True, False),
        "another-kind": (False, True),
        "last-day": (False, True),
        "over": (False, False),
        "not-yet": (False, False),
        "suspended": (False, False),
    }


def test_a_warehouse_without_coordinates_says_so(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = fetch(warehouse, "select warehouse_id, has_coordinates from core.dim_warehouses order by 1")
    assert [tuple(row.values()) for row in rows] == [("w-1", True), ("w-nowhere", False)]


def test_an_observation_has_its_local_day(warehouse: duckdb.DuckDBPyConnection) -> None:
    row = only(warehouse, "select occurred_on, qty from core.fct_supply_observations")
    assert row == {"occurred_on": dt.date(2017, 3, 19), "qty": 40}


def test_resilience_leans_as_the_mart_says(warehouse: duckdb.DuckDBPyConnection) -> None:
    config = ResilienceConfig()
    offers = reading.current_offers(warehouse).rename({"category_l2_id": "category_id"})
    supply = daily_supply(reading.units_supplied(warehouse), offers, config)
    found = coverage(supply, config).categories
    said = warehouse.sql(
        "select category_l2_id, supplier_id, unit_share, is_main_too_large, category_units_90d / 90 "
        "from analyst.mart_supply_resilience where is_main order by category_l2_id"
    ).fetchall()
    assert said
    assert found["category_id"].to_list() == [row[0] for row in said]
    assert found["main_supplier_id"].to_list() == [row[1] for row in said]
    assert found["main_share"].to_list() == pytest.approx([row[2] for row in said])
    assert found["is_main_too_large"].to_list() == [row[3] for row in said]
    assert found["units_per_day"].to_list() == pytest.approx([row[4] for row in said])
    failed = failures(supply, config)
    assert failed["units"].sum() > 0
    assert (failed["lost_units"] <= failed["units"] + 1e-9).all()
