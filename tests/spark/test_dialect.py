"""Each rule of the dialect gives on Spark what DuckDB gives: by execution, on random values."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlglot

from feature_store.compiler import compile_tags
from feature_store.registry import load_registry
from feature_store.spark.dialect import for_spark

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spark")]


@pytest.fixture(scope="module")
def rows(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 groups of one to nine rows, whole numbers and fractions, ties among them, some nulls."""
    draw = random.Random(8021)
    made = [
        (
            group,
            draw.choice([None, draw.randint(0, 90) / 90, 1 / 3]),
            draw.choice([None, draw.randint(-5, 100_000), 7]),
            draw.randint(0, 2**51),
        )
        for group in range(400)
        for _ in range(draw.randint(1, 9))
    ]
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pl.DataFrame(made, schema=["g", "fraction", "whole", "us"], orient="row").write_parquet(file)
    spark.read.parquet(str(file)).createOrReplaceTempView("rows")
    return file


QUANTILES = [
    f"SELECT g, {value} AS value FROM rows GROUP BY g ORDER BY g"
    for value in (
        "MEDIAN(fraction)",
        "MEDIAN(whole) FILTER (WHERE fraction > 0.5)",
        *(
            spelling.format(q)
            for q in (0.1, 0.2, 0.5, 0.75, 0.9)
            for spelling in (
                "QUANTILE_CONT(fraction, {})",
                "QUANTILE_CONT(whole, {}) FILTER (WHERE fraction > 0.5)",
                "QUANTILE_CONT(whole % 3, {})",
            )
        ),
    )
]
WINDOWS = [
    "SELECT us, MEDIAN(inner_rows.half) OVER (PARTITION BY inner_rows.g) AS value"
    " FROM (SELECT us, g, fraction / 3 AS half FROM rows) AS inner_rows ORDER BY us",
    "SELECT us, whole > QUANTILE_CONT(whole, 0.9) OVER () AS value FROM rows ORDER BY us",
    "SELECT us, fraction < QUANTILE_CONT(fraction, 0.2) FILTER (WHERE whole > 50) OVER (PARTITION BY g)"
    " AS value FROM rows ORDER BY us",
]
TIMES = [
    "SELECT us, ISODOW(MAKE_TIMESTAMP(us)) AS value FROM rows ORDER BY us",
    "SELECT us, EXTRACT(HOUR FROM MAKE_TIMESTAMP(us) + INTERVAL '-300' MINUTE) AS value"
    " FROM rows ORDER BY us",
    "SELECT us, EPOCH_US(((MAKE_TIMESTAMP(us)) AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/London') AS value"
    " FROM rows ORDER BY us",
    "SELECT us, CAST((((MAKE_TIMESTAMP(us)) AT TIME ZONE 'UTC') AT TIME ZONE 'Asia/Shanghai') AS DATE)"
    " AS value FROM rows ORDER BY us",
]


@pytest.mark.parametrize("sql", QUANTILES + WINDOWS + TIMES)
def test_a_statement_means_the_same(spark: Any, rows: Path, sql: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE VIEW rows AS FROM '{rows}'")
        ours = connection.execute(sql).fetchall()
    (step,) = for_spark(sql)
    theirs = [tuple(row) for row in spark.sql(step.sql).collect()]
    assert theirs == ours
    assert len({row[1] for row in ours}) > 1


def test_a_quantile_over_a_window_of_a_join_is_refused() -> None:
    with pytest.raises(ValueError, match="window of a join"):
        for_spark("SELECT QUANTILE_CONT(a.x, 0.5) OVER () FROM a JOIN b ON a.k = b.k")


def test_every_part_of_the_tags_is_a_step() -> None:
    """Spark plans each step by itself, and no part is planned twice: what a step reads was written before."""
    registry = load_registry()
    query = compile_tags(registry)
    *parts, last = for_spark(query.sql)
    assert [step.name for step in parts] == [
        cte.alias for cte in sqlglot.parse_one(query.sql, read="duckdb").ctes
    ]
    assert sqlglot.parse_one(last.sql, read="spark").named_selects[3:] == list(query.tags)
