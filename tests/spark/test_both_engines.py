"""DuckDB and Apache Spark make the same tables and the same tags of the same lake, to the bit."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import polars as pl
import pytest

from feature_store.compiler import compile_tags
from feature_store.point_in_time import population_at, run
from feature_store.registry import CONSUMER, Registry, entities, load_registry
from feature_store.spark.tags import tag_table
from pipelines.spark.compare import compare_tables, compare_tags

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]

BRITISH, FIXED = "Europe/London", "Etc/GMT+5"
"""A zone with two offsets a year, which is looked up, and one with a single offset, which is added."""


@pytest.mark.parametrize("schema", ["core", "intermediate"])
def test_every_table_is_the_same(panel: Any, schema: str) -> None:
    rows, different = compare_tables(panel.duckdb, panel.spark, schema)
    assert different == []
    if schema == "core":
        assert {"fct_orders", "fct_order_lines", "dim_consumers", "fct_events"} <= rows.keys()
        assert rows["dim_consumers"] > 60
        assert rows["fct_order_lines"] > 20_000


@pytest.mark.parametrize(
    ("entity", "zone"), [(entity, BRITISH if entity == CONSUMER else FIXED) for entity in entities()]
)
def test_every_tag_of_every_entity_is_the_same(panel: Any, spark: Any, entity: str, zone: str) -> None:
    registry = load_registry(entity=entity)
    filled = same_on_both(panel, spark, registry, zone, list(registry.tags))
    assert len(filled) > len(registry.tags) / 2, "a comparison of empty columns proves nothing"


def test_tags_of_local_time_are_the_same_in_a_zone_without_summer_time(panel: Any, spark: Any) -> None:
    registry = load_registry()
    local = [
        name for name in registry.tags if compiled(registry, name, BRITISH) != compiled(registry, name, FIXED)
    ]
    assert len(same_on_both(panel, spark, registry, FIXED, local)) > len(local) / 2


def compiled(registry: Registry, name: str, zone: str) -> str:
    return compile_tags(registry, [name], time_zone=zone).sql


def same_on_both(panel: Any, spark: Any, registry: Registry, zone: str, names: list[str]) -> list[str]:
    """Compares tags of everybody on both engines; names of those that have more than one value."""
    folder = panel.settings.home / "tags" / registry.entity / zone.replace("/", "_")
    parts = folder.with_name("parts")
    with tag_table(spark, panel.as_of, parts, names, time_zone=zone, registry=registry) as tags:
        tags.write.parquet(str(folder))
    assert not parts.exists()
    theirs = pl.read_parquet(folder / "*.parquet").sort("row_id")
    with duckdb.connect(str(panel.duckdb), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        everybody = population_at(connection, registry, panel.as_of.astimezone(dt.UTC).replace(tzinfo=None))
        rows = theirs.select("row_id", registry.id_column, pl.col("as_of").dt.replace_time_zone(None))
        ours = run(connection, compile_tags(registry, names, time_zone=zone), rows)
    assert theirs[registry.id_column].to_list() == everybody
    assert compare_tags(ours.drop("row_id", "as_of"), theirs.drop("row_id", "as_of")) == {}
    return [name for name in names if ours[name].drop_nulls().n_unique() > 1]
