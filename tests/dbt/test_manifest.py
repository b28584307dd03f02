"""Rules of the dbt project itself: descriptions, owners, contracts, layout, portable SQL."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny_lake
from dbt_runs import PROJECT, Build, run_dbt

from pipelines.sources.contract import INGEST_ORDER

PREFIXES = {
    "staging": ("stg_lake__",),
    "intermediate": ("int_",),
    "core": ("dim_", "fct_"),
    "analyst": ("mart_",),
}
ENGINE_SPECIFIC = re.compile(
    r"\bqualify\b|\brange\s*\(|\basof\b|\bstruct|::|\bepoch_us\b|\bunnest\b", re.IGNORECASE
)


@pytest.fixture(scope="module")
def manifest(built: Build) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((built.home / "target" / "manifest.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_every_model_says_its_grain(models: list[dict[str, Any]]) -> None:
    wrong = [m["name"] for m in models if not re.search(r"One row per [^.]+\.$", m["description"].strip())]
    assert wrong == []


def test_every_column_in_the_database_is_described(models: list[dict[str, Any]], warehouse: Any) -> None:
    described = {
        (m["schema"], m["name"], c["name"]): c["description"].strip()
        for m in models
        for c in m["columns"].values()
    }
    present = warehouse.sql(
        "select schema_name, table_name, column_name from duckdb_columns() "
        "where schema_name in ('staging', 'intermediate', 'core', 'analyst')"
    ).fetchall()
    assert len(present) > 500
    assert sorted(column for column in present if not described.get(column)) == []
    assert sorted(set(described) - set(present)) == []


def test_every_model_has_an_owner_a_tag_and_its_layer_schema(models: list[dict[str, Any]]) -> None:
    for model in models:
        folder = Path(model["original_file_path"]).parent.name
        assert model["schema"] == folder
        assert model["config"]["tags"] == [folder]
        assert model["config"]["meta"]["owner"] in {"data-engineering", "analytics"}
        assert model["name"].startswith(PREFIXES[folder]), model["name"]


def test_marts_are_tables_with_an_enforced_contract_and_a_tested_key(
    manifest: dict[str, Any], models: list[dict[str, Any]]
) -> None:
    keyed = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "key_is_unique"
    }
    marts = [m for m in models if m["schema"] in {"core", "analyst"}]
    assert len(marts) >= 20
    for model in marts:
        assert model["config"]["contract"]["enforced"] is True
        assert model["config"]["materialized"] == "table"
        assert model["unique_id"] in keyed, model["name"]


def test_staging_reads_every_contract_table_once(manifest: dict[str, Any]) -> None:
    sources = {s["name"]: s for s in manifest["sources"].values()}
    assert set(sources) == set(INGEST_ORDER)
    for name, source in sources.items():
        assert source["config"]["meta"]["dagster"]["asset_key"] == ["raw", name]
        readers = manifest["child_map"][source["unique_id"]]
        assert readers == [f"model.muyun.stg_lake__{name}"]


def test_money_and_window_logic_has_unit_tests(manifest: dict[str, Any]) -> None:
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    assert tested >= {
        "int_order_lines_classified",
        "int_order_lines_costed",
        "fct_shipments",
        "mart_sales_daily",
        "mart_stock_position",
        "mart_supply_resilience",
        "mart_supply_health",
        "mart_channel_funnel",
    }


@pytest.mark.parametrize("file", sorted((PROJECT / "models").rglob("*.sql")), ids=lambda f: f.stem)
def test_engine_specific_sql_stays_in_macros(file: Path) -> None:
    assert ENGINE_SPECIFIC.search(file.read_text()) is None


def test_parse_needs_no_database_and_no_settings_but_a_build_needs_its_moment(tmp_path: Path) -> None:
    parsed = run_dbt(tmp_path, "parse", environment={})
    assert parsed.code == 0, parsed.output
    assert list(tmp_path.rglob("*.duckdb")) == []
    places = {"MUYUN_LAKE": str(tmp_path / "lake"), "MUYUN_WAREHOUSE_BUILD": str(tmp_path / "build.duckdb")}
    tiny_lake.write(tmp_path / "lake", tiny_lake.tables())
    build = run_dbt(tmp_path, "build", "--select", "stg_lake__orders", "int_dates_spined", environment=places)
    assert build.code != 0
    assert "MUYUN_AS_OF is not set" in build.output
