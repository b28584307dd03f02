"""DuckDB and Apache Spark make the same tables and the same tags of the same lake, to the bit."""

from __future__ import annotations

from typing import Any

import duckdb
import polars as pl
import pytest

from feature_store.compiler import compile_tags
from feature_store.point_in_time import run
from feature_store.registry import Registry, load_registry
from feature_store.spark.tags import tag_table
from pipelines.spark.compare import compare_tables, compare_tags

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


@pytest.mark.parametrize("schema", ["core", "intermediate", "analyst"])
def test_every_table_is_the_same(panel: Any, schema: str) -> None:
    rows, different = compare_tables(panel.duckdb, panel.spark, schema)
    assert different == []
    if schema == "core":
        assert {"fct_orders", "fct_order_lines", "dim_consumers", "fct_events"} <= rows.keys()
        assert rows["dim_consumers"] > 250
        assert rows["fct_order_lines"] > 100_000


@pytest.mark.parametrize("zone", ["Etc/GMT+5", "Europe/London"])
def test_every_tag_of_every_consumer_is_the_same(panel: Any, spark: Any, zone: str) -> None:
    registry = load_registry()
    theirs = on_spark(spark, registry, panel, zone)
    with duckdb.connect(str(panel.duckdb), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = compile_tags(registry, time_zone=zone)
        rows = theirs.select("row_id", registry.id_column, pl.col("as_of").dt.replace_time_zone(None))
        ours = run(connection, query, rows)
    drop = ["row_id", "as_of"]
    assert theirs.height > 250
    assert compare_tags(ours.drop(drop), theirs.drop(drop)) == {}
    filled = [name for name in query.tags if ours[name].drop_nulls().n_unique() > 1]
    assert len(filled) > len(query.tags) / 2, "a comparison of empty columns proves nothing"


def on_spark(spark: Any, registry: Registry, panel: Any, zone: str) -> pl.DataFrame:
    folder = panel.settings.home / "tags" / zone.replace("/", "_")
    with tag_table(spark, panel.as_of, time_zone=zone, registry=registry) as tags:
        tags.write.parquet(str(folder))
    return pl.read_parquet(folder / "*.parquet").sort("row_id")
