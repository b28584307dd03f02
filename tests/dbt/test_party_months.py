"""Months of merchants and agents on the tiny warehouse, against plain loops over the rows that went in."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections import Counter, defaultdict

import duckdb
import tiny_lake
from dbt_runs import Build

from models.reviews.config import ReviewConfig
from models.reviews.months import party_reviews
from pipelines.stores.publication import conform
from pipelines.warehouse.party_months import party_month_skus, party_months


def month(time: dt.datetime) -> dt.date:
    return time.astimezone(dt.UTC).date().replace(day=1)


def rows(warehouse: duckdb.DuckDBPyConnection, sql: str) -> list[dict]:
    found = warehouse.sql(sql)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def test_a_month_of_a_merchant_is_its_orders_buyers_and_margin(warehouse) -> None:
    orders = rows(warehouse, "select * from core.fct_orders order by placed_at, order_id")
    margins: Counter[str] = Counter()
    costed: Counter[str] = Counter()
    for line in rows(warehouse, "select * from core.fct_order_lines where is_sale or is_return"):
        if line["margin_cents"] is not None:
            margins[line["order_id"]] += line["margin_cents"]
            costed[line["order_id"]] += line["net_paid_cents"]
    want: dict[tuple[str, dt.date], Counter[str]] = defaultdict(Counter)
    spent: dict[tuple[str, dt.date], Counter[str]] = defaultdict(Counter)
    buyers: dict[tuple[str, dt.date], set[str]] = defaultdict(set)
    new: dict[tuple[str, dt.date], set[str]] = defaultdict(set)
    again: dict[tuple[str, dt.date], set[str]] = defaultdict(set)
    known: set[tuple[str, str]] = set()
    for order in orders:
        key = (order["merchant_id"], month(order["placed_at"]))
        want[key]["orders"] += order["is_sale"]
        want[key]["known"] += bool(order["is_sale"] and order["consumer_id"])
        want[key]["net"] += order["net_sales_cents"]
        want[key]["margin"] += margins[order["order_id"]]
        want[key]["costed"] += costed[order["order_id"]]
        refunded = order["net_paid_cents"] if order["state"] == "refunded" else 0
        want[key]["paid"] += order["sold_cents"] + refunded
        want[key]["refunded"] += order["returned_cents"] + refunded
        spent[key][order["consumer_id"] or order["order_id"]] += order["net_sales_cents"]
        if order["is_sale"] and order["consumer_id"]:
            who = (order["merchant_id"], order["consumer_id"])
            (again if who in known else new)[key].add(order["consumer_id"])
            known.add(who)
            buyers[key].add(order["consumer_id"])
    found = {
        (row["party_id"], row["month_start_on"]): row
        for row in rows(warehouse, "select * from analyst.mart_party_month where party_type = 'merchant'")
    }
    assert set(want) <= set(found)
    assert any(want[key]["refunded"] for key in want)
    assert any(want[key]["known"] < want[key]["orders"] for key in want)
    for key, row in found.items():
        names = ("order_count", "known_order_count", "net_sales_cents", "paid_cents", "refunded_cents")
        told = [row[n] for n in names]
        assert told == [want[key][n] for n in ("orders", "known", "net", "paid", "refunded")], key
        assert (row["margin_cents"] or 0, row["costed_cents"]) == (want[key]["margin"], want[key]["costed"])
        assert row["net_sales_square"] == sum(cents**2 for cents in spent[key].values())
        assert row["buyer_count"] == len(buyers[key])
        assert row["new_buyer_count"] == len(new[key])
        assert row["repeat_buyer_count"] == len(again[key])


def test_settled_months_are_what_settlement_released(warehouse) -> None:
    kept: Counter[tuple[str, str, dt.date]] = Counter()
    lines: dict[tuple[str, int], list[dict]] = defaultdict(list)
    legs = rows(warehouse, "select * from core.fct_settlement_legs where line_no > 0 and not is_replaced")
    for leg in legs:
        lines[leg["order_id"], leg["line_no"]].append(leg)
    for of_line in lines.values():
        cents = sum(leg["channel_cents"] for leg in of_line)
        released = [leg["released_at"] for leg in of_line if leg["released_at"]]
        if released and of_line[0]["merchant_id"]:
            kept["merchant", of_line[0]["merchant_id"], month(min(released))] += cents
        for leg in of_line:
            if leg["payee_type"] == "agent" and leg["leg_kind"] == "direct" and leg["released_at"]:
                kept["agent", leg["payee_id"], month(leg["released_at"])] += cents
    found = rows(warehouse, "select * from analyst.mart_party_month where settled_cents <> 0")
    told = {(r["party_type"], r["party_id"], r["month_start_on"]): r["settled_cents"] for r in found}
    assert told == {key: cents for key, cents in kept.items() if cents}
    assert {key[0] for key in told} == {"merchant", "agent"}


def test_the_best_and_worst_skus_share_no_sku_and_are_in_order(warehouse) -> None:
    sides: dict[tuple, dict[str, list[dict]]] = defaultdict(lambda: {"best": [], "worst": []})
    for row in rows(warehouse, "select * from analyst.mart_party_month_skus order by place"):
        sides[row["party_type"], row["party_id"], row["month_start_on"]][row["side"]].append(row)
    assert any(side["worst"] for side in sides.values())
    for side in sides.values():
        best, worst = side["best"], side["worst"]
        assert not {r["sku_id"] for r in best} & {r["sku_id"] for r in worst}
        assert len(best) == 3 or not worst
        known = [r["margin_cents"] for r in best if r["margin_cents"] is not None]
        assert known == sorted(known, reverse=True)
        least = [r["margin_cents"] for r in worst if r["margin_cents"] is not None]
        assert least == sorted(least)
        if known and least and len(known) == 3:
            assert max(least) <= min(known)


def test_reviews_of_the_warehouse_can_be_published(warehouse) -> None:
    found = party_reviews(
        party_months(warehouse), party_month_skus(warehouse), tiny_lake.AS_OF, ReviewConfig(fewest_peers=2)
    )
    published = conform("party_reviews", found)
    newest = published.filter(party_type="merchant", month_start_on=dt.date(2017, 3, 1))
    assert sorted(newest["party_id"]) == ["m-1", "m-2"]
    assert sorted(newest["rank"]) == [1, 2]
    assert not newest["is_whole"].any()
    best = {len(json.loads(one)) for one in newest["best_skus"]}
    assert max(best) == 3
    assert published["churn_risk"].is_between(0, 1).all()


def test_who_left_after_a_sale_is_seen_falling_silent(warehouse) -> None:
    found = rows(
        warehouse,
        "select party_id, month_start_on, order_count, is_active from analyst.mart_party_month"
        " where party_type = 'agent' order by 1, 2",
    )
    gone = [(row["month_start_on"].month, row["order_count"]) for row in found if not row["is_active"]]
    assert gone == [(1, 1), (2, 0), (3, 0)]
    stays = [row["order_count"] for row in found if row["is_active"]]
    assert min(stays[:3]) > 0
    reviewed = party_reviews(
        party_months(warehouse), party_month_skus(warehouse), tiny_lake.AS_OF, ReviewConfig(prior=0.0)
    )
    agents = {
        (row["party_id"], row["month_start_on"].month): row
        for row in reviewed.filter(party_type="agent").iter_rows(named=True)
    }
    # March runs, so that January is followed by a month that is over: one of two sold nothing in February.
    assert agents["a-1", 1]["churn_risk"] == 1 / 2
    assert [key for key in agents if key[0] == "a-gone"] == [("a-gone", 1)]


def test_orders_of_parties_are_read_from_the_published_copy(built: Build, tmp_path) -> None:
    copy = tmp_path / "published.duckdb"
    shutil.copyfile(built.file, copy)
    with duckdb.connect(str(copy), read_only=True) as connection:
        found = connection.sql("select count(*) from intermediate.int_orders_by_party").fetchone()
    assert found is not None
    assert found[0] > 0
