"""Data that contradicts itself makes `dbt build` fail, and what stands on it is not built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import tiny_lake
from dbt_runs import run_dbt

Rows = dict[str, list[dict[str, Any]]]
BUILD_ORDERS = ("build", "--select", "+fct_orders", "--exclude-resource-type", "unit_test")


def _line_paid_above_its_list_price(rows: Rows) -> None:
    rows["order_lines"][0]["net_paid_cents"] = 1_000


def _line_given_twice(rows: Rows) -> None:
    rows["order_lines"].append(dict(rows["order_lines"][2]))


def _coupons_beyond_the_order_coupon(rows: Rows) -> None:
    rows["orders"][0]["coupon_discount_cents"] = 49


@pytest.mark.parametrize(
    ("spoils", "complaints"),
    [
        (
            [_line_paid_above_its_list_price, _line_given_twice],
            ["order_line_money_adds_up", "key_is_unique_fct_order_lines_order_id__line_no"],
        ),
        ([_coupons_beyond_the_order_coupon], ["line_coupons_stay_within_the_order_coupon"]),
    ],
    ids=["lines", "orders"],
)
def test_the_build_fails(tmp_path: Path, spoils: list[Callable[[Rows], None]], complaints: list[str]) -> None:
    rows = tiny_lake.tables()
    for spoil in spoils:
        spoil(rows)
    tiny_lake.write(tmp_path / "lake", rows)
    build = run_dbt(tmp_path, *BUILD_ORDERS)
    assert build.code != 0
    for complaint in complaints:
        assert f"Failure in test {complaint}" in build.output


def test_a_line_without_its_order_fails_and_stops_what_follows(tmp_path: Path) -> None:
    rows = tiny_lake.tables()
    rows["order_lines"][0]["order_id"] = "o-gone"
    rows["orders"].append(rows["orders"][0] | {"order_id": "o-gone"})
    tiny_lake.write(tmp_path / "lake", rows)
    for file in (tmp_path / "lake" / "accepted" / "orders").rglob("*.parquet"):
        duckdb.sql(
            f"copy (select * from '{file}' where order_id <> 'o-gone') to '{file}.new' (format parquet)"
        )
        Path(f"{file}.new").replace(file)
    build = run_dbt(tmp_path, *BUILD_ORDERS)
    assert build.code != 0
    assert "NOT NULL constraint failed" in build.output
    with duckdb.connect(str(build.file), read_only=True) as connection:
        names = {name for (name,) in connection.sql("select table_name from duckdb_tables()").fetchall()}
    assert "fct_orders" not in names


def test_a_lake_with_only_the_required_tables_builds(tmp_path: Path) -> None:
    """What is left when a user brings products, orders and lines: the other three are derived from them."""
    rows = tiny_lake.tables()
    kept = ("categories", "products", "merchants", "consumers", "orders", "order_lines")
    tiny_lake.write(tmp_path / "lake", {name: rows[name] for name in kept})
    build = run_dbt(tmp_path, "build", "--exclude-resource-type", "unit_test")
    assert build.code == 0, build.output
    questions = {
        "select count(margin_cents) from core.fct_order_lines": (1,),
        "select count(*) from analyst.mart_stock_position": (0,),
        "select sum(sessions), sum(orders) from analyst.mart_channel_funnel": (0, 128),
        "select count(*) from core.fct_order_lines where is_on_display": (0,),
        "select count(*) from core.dim_suppliers where is_implied": (2,),
    }
    with duckdb.connect(str(build.file), read_only=True) as connection:
        assert {sql: connection.sql(sql).fetchone() for sql in questions} == questions
