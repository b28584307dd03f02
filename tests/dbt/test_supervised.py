"""What supervision reads of the tiny warehouse, and the mart that shows its cases."""

from __future__ import annotations

import datetime as dt
import shutil

import duckdb
import polars as pl
import tiny_lake
from dbt_runs import Build

from models.supply.supervision.facts import frame_of
from pipelines.lake.tables import Lake
from pipelines.stores.supervision import CASE_COLUMNS, CASES
from pipelines.warehouse.supervised import facts, put_cases


def read(warehouse: duckdb.DuckDBPyConnection, days: int = 400):
    since = tiny_lake.AS_OF - dt.timedelta(days=days)
    stated = {name: frame_of(name, []) for name in ("cleared", "invoices")}
    return facts(warehouse, since=since, as_of=tiny_lake.AS_OF, **stated)


def test_listings_and_offers_are_read_as_they_stand(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = read(warehouse)
    assert found.listings.select("merchant_id", "sku_id", "list_price_cents").rows() == [
        ("m-1", "milk-1", 125),
        ("m-2", "bread-1", 80),
    ]
    first = found.listings.filter(sku_id="milk-1")["since"][0]
    assert first == tiny_lake.at(1, 1)  # of its first version
    priced = found.offers.select("supplier_id", "sku_id", "supply_price_cents").rows()
    assert priced == [("s-1", "milk-1", 70), ("s-1", "milk-2", 90), ("s-2", "bread-1", 40)]
    makers = dict(found.offers.select("sku_id", "maker_id").rows())
    assert makers["milk-1"] == tiny_lake.SKUS["milk-1"]
    # None of the licences of the tiny lake is an authorisation of a brand.
    assert found.authorisations.height == 0


def test_cases_are_read_with_the_reason_as_it_was_given(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = read(warehouse)
    told = {(case["order_id"], case["reason_code"]) for case in tiny_lake.tables()["after_sales"]}
    assert set(found.complaints.select("order_id", "reason").rows()) == told
    assert set(found.complaints["order_id"]) <= set(found.sold["order_id"])
    assert read(warehouse, days=0).sold.height == 0


def test_the_mart_has_every_listing_and_offer_and_shows_the_open_cases(built: Build, tmp_path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.create()
    opened = dt.datetime(2017, 3, 30, tzinfo=dt.UTC)
    case = {"case_id": 7, "party_type": "merchant", "party_id": "m-1", "sku_id": "milk-1", "level": 2,
            "score": 0.7, "signs": "authorisation, price", "opened_at": opened}  # fmt: skip
    gone = {**case, "case_id": 8, "sku_id": "not-listed-any-more"}
    lake.put(CASES, pl.DataFrame([case, gone], schema=CASE_COLUMNS))
    copy = tmp_path / "analysts.duckdb"
    shutil.copyfile(built.file, copy)
    assert put_cases(copy, lake.derived_path(CASES)) == 1
    with duckdb.connect(str(copy), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        shown = connection.sql(
            "select party_type, party_id, sku_id, price_cents, offer_count, mean_supply_price_cents,"
            " is_brand_guarded, is_authorised, level, signs, opened_at"
            " from analyst.mart_listing_supervision order by 1, 2, 3"
        ).fetchall()
    assert shown[0] == (
        *("merchant", "m-1", "milk-1", 125, 1, 70, False, False, 2, "authorisation, price"),
        opened,
    )
    assert [row[:3] for row in shown] == [
        ("merchant", "m-1", "milk-1"),
        ("merchant", "m-2", "bread-1"),
        ("supplier", "s-1", "milk-1"),
        ("supplier", "s-1", "milk-2"),
        ("supplier", "s-2", "bread-1"),
    ]
    assert [row[8] for row in shown[1:]] == [None] * 4
