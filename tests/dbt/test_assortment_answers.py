"""What merchants answered to suggestions, what came of it, and those that are open."""

from __future__ import annotations

import shutil

import duckdb
import polars as pl
from dbt_runs import Build
from tiny_lake import AS_OF, at

from models.supply.assortment.suggestions import SUGGESTIONS
from pipelines.warehouse.suggested import put_suggestions


def test_an_answer_has_what_was_sold_since(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = {
        (sku, version): rest
        for sku, version, *rest in warehouse.sql(
            "select sku_id, version, answer, reason_code, days_on_sale, sold_qty, sold_net_paid_cents"
            " from analyst.mart_assortment_answers"
        ).fetchall()
    }
    sold = warehouse.execute(
        "select coalesce(sum(qty_milli) / 1000, 0), coalesce(sum(net_paid_cents), 0)"
        " from core.fct_order_lines where is_merchandise and (is_sale or is_return) and merchant_id = 'm-1'"
        " and sku_id = 'milk-1' and placed_at >= $begin and placed_at < $begin + interval 56 days",
        {"begin": at(1, 2)},
    ).fetchone()
    assert sold is not None
    assert sold[0] > 0
    assert rows["milk-1", "v-1"] == ["taken", None, 56.0, *sold]
    assert rows["bread-1", "v-1"] == ["refused", "too_expensive", None, None, None]
    # Refused, suggested again and taken yesterday.
    days = (AS_OF - at(3, 30)).total_seconds() / 86_400
    assert rows["bread-1", "v-2"][:3] == ["taken", None, days]


def test_what_is_published_stands_beside_as_open(built: Build, tmp_path) -> None:
    row = dict.fromkeys(SUGGESTIONS) | {
        "merchant_id": "m-1", "rank": 1, "sku_id": "milk-2", "category_id": "l2-grocery/milk",
        "expected_qty": 2.5, "expected_margin_cents": 75, "list_price_cents": 130, "supplier_id": "s-1",
        "propensity": 1.0, "basis": "popular_in_scene",
    }  # fmt: skip
    pl.DataFrame([row], schema=SUGGESTIONS).write_parquet(tmp_path / "told.parquet")
    shutil.copyfile(built.file, tmp_path / "warehouse.duckdb")
    assert put_suggestions(tmp_path / "warehouse.duckdb", tmp_path / "told.parquet") == 1
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        (open_,) = connection.sql(
            "select merchant_id, sku_id, version, expected_margin_cents, sold_qty"
            " from analyst.mart_assortment_answers where answer = 'open'"
        ).fetchall()
    assert open_ == ("m-1", "milk-2", None, 75, None)
