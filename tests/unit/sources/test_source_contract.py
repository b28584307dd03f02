"""The contract says what the data contract page says, and every table can exist empty."""

import polars as pl
import pytest

from pipelines.lake.tables import Lake
from pipelines.sources.contract import INGEST_ORDER, TABLES, ContractError, contract_table, empty


def test_tables_are_those_of_the_page():
    assert set(TABLES) == {
        "suppliers", "categories", "products", "offers", "inventory_movements", "merchants", "listings",
        "agents", "consumers", "orders", "order_lines", "shipments", "after_sales", "events", "promotions",
        "coupons", "coupon_redemptions", "competitor_prices", "messages", "touches", "points_ledger",
        "settlement_legs", "ledger_entries", "consents", "identity_edges", "price_changes",
        "warehouses", "warehouse_closures", "licences", "batches", "supply_observations",
        "feedback", "level_changes", "purchase_lines", "supply_answers", "grade_changes",
        "assortment_decisions",
    }  # fmt: skip
    assert [name for name, table in TABLES.items() if table.is_required] == [
        "products",
        "orders",
        "order_lines",
    ]


@pytest.mark.parametrize("name", INGEST_ORDER)
def test_every_table_is_complete(name):
    table = TABLES[name]
    frame = empty(name)
    assert frame.columns[-2:] == ["received_at", "origin"]
    assert set(table.key) <= set(frame.columns)
    assert not set(table.key) & table.nullable
    assert table.description.startswith("One row per")
    assert all(table.column_descriptions.values())
    for key in table.foreign_keys:
        assert set(key.columns) <= set(frame.columns)
        assert set(key.parent_columns) <= set(TABLES[key.parent].columns)
        assert key.parent == name or INGEST_ORDER.index(key.parent) < INGEST_ORDER.index(name)
    for column, dtype in frame.schema.items():
        if column.endswith("_cents"):
            assert dtype == pl.Int64
        if column.endswith("_at") or column == "valid_from":
            assert dtype == pl.Datetime("us", "UTC")
        if column.endswith("_id"):
            assert dtype == pl.String


def test_plans_may_lie_ahead_and_history_may_not():
    assert TABLES["orders"].past_columns == ("placed_at", "paid_at")
    assert TABLES["promotions"].past_columns == ()
    assert TABLES["shipments"].past_columns == ("shipped_at", "delivered_at", "last_node_at")


def test_unknown_table_is_named():
    with pytest.raises(ContractError, match=r"'order'; .*orders"):
        contract_table("order")


def test_a_new_lake_has_every_table_empty(tmp_path):
    lake = Lake(tmp_path)
    lake.create()
    for name in INGEST_ORDER:
        assert lake.read(name).schema == empty(name).schema
        assert lake.read(name).height == 0
        assert list(lake.accepted_path(name).rglob("*.parquet"))
